"""Measuring a generator against the data set that it was trained on, and keeping the figures."""

import json
import math
import time
from pathlib import Path
from typing import Any

import torch

import dnnlib
from stylegan_v_ext.distributed import Processes
from stylegan_v_ext.files import append_line
from stylegan_v_ext.metrics.catalogue import Metric
from stylegan_v_ext.metrics.measure import ProgressFn, Result, measure
from stylegan_v_ext.metrics.sources import DatasetVideos, GeneratedVideos


def measure_generator(
    metric: Metric,
    generator: Any,
    dataset_kwargs: dict[str, Any],
    device: torch.device,
    repeat: int = 1,
    own_detector: Path | None = None,
    use_cache: bool = True,
    processes: Processes = Processes(),  # noqa: B008
    progress: ProgressFn = lambda done, total: None,
) -> Result:
    """A metric of a generator against a data set.

    Args:
        dataset_kwargs: Of `SparseVideoDataset`; its `xflip` counts as more videos. The rest is of `measure`.
    """
    real = DatasetVideos(
        dataset_kwargs["path"],
        bool(dataset_kwargs.get("xflip")),
        dataset_kwargs.get("exclude") or (),
        dataset_kwargs.get("max_size"),
        dataset_kwargs.get("random_seed") or 0,
    )
    if real.resolution != generator.img_resolution:
        raise ValueError(
            f"{real.name} has {real.resolution} px, the model {generator.img_resolution}; convert the data "
            f"(stylegan-v data convert --resolution={generator.img_resolution})"
        )
    fake = GeneratedVideos(generator, device, real)
    return measure(metric, real, fake, device, repeat, own_detector, use_cache, processes, progress)


def result_line(name: str, result: Result, seconds: float, snapshot: str | None) -> str:
    """A result as a line of `metric-NAME.jsonl`: the keys of stock StyleGAN, and `protocol` and `notes`."""
    return json.dumps(
        {
            "results": {key: value if math.isfinite(value) else None for key, value in result.values.items()},
            "metric": name,
            "total_time": seconds,
            "total_time_str": dnnlib.util.format_time(seconds),
            "num_gpus": result.protocol.get("num_processes", 1),
            "snapshot_pkl": snapshot,
            "timestamp": time.time(),
            "protocol": result.protocol,
            "notes": result.notes,
        }
    )


def append_result(folder: Path, name: str, line: str) -> None:
    """Add a line to `metric-NAME.jsonl` in a folder. Raises `OSError`."""
    append_line(folder / f"metric-{name}.jsonl", line)
