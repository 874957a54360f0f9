"""Opening a snapshot safely against Python's own unpickler, which runs the source inside.

python -m benchmarks.checkpoint
"""

import argparse
import pickle
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from stylegan_v_ext.checkpoints import load, save_snapshot
from stylegan_v_ext.networks.generator import VideoGenerator


def main() -> None:
    """Print medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network-snapshot-000000.pkl"
        generator = VideoGenerator(3, 256, 3, channel_base=16384).eval().requires_grad_(False)
        save_snapshot(path, {"G": None, "D": None, "G_ema": generator, "augment_pipe": None, "training_set_kwargs": {}})
        millions = sum(parameter.numel() for parameter in generator.parameters()) / 1e6
        print(f"{millions:.1f} M parameters, {path.stat().st_size / 1e6:.0f} MB")
        ways: dict[str, Callable[[], Any]] = {
            "pickle.load": lambda: _plain(path),
            "read as data": lambda: load(path).network("G_ema"),
            "read and build": lambda: load(path).build_generator(),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(repeats):
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                times[name].append(time.perf_counter() - start)
    base = statistics.median(times["pickle.load"])
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:15s} {median * 1000:7.1f} ms   {median / base:.2f}")


def _plain(path: Path) -> Any:
    with open(path, "rb") as file:
        return pickle.load(file)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
