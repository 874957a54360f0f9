"""What machine this is, as the tables name it: `python -m benchmarks.gpu.machine DEVICE` prints it as JSON."""

import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.gpu.plan import ROOT

_SECONDS = 90  # a driver's first start on a fresh machine can take most of a minute


def look(device: str) -> dict[str, Any]:
    """What a process of its own sees; empty if it gives no answer.

    Raises:
        ValueError: The device is not there; the message says what to do.
    """
    command = [sys.executable, "-m", "benchmarks.gpu.machine", device]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return {}
    if done.returncode == 2:
        raise ValueError(done.stderr.strip())
    lines = done.stdout.splitlines()
    return json.loads(lines[-1]) if done.returncode == 0 and lines else {}


def in_words(machine: dict[str, Any]) -> str:
    """A line for the head of a table."""
    if not machine:
        return "The machine is not known: PyTorch gave no answer"
    parts = [f"{machine['cores']} cores of {machine['processor']}", f"Python {machine['python']}"]
    parts.append(f"PyTorch {machine['pytorch']}")
    if "card" in machine:
        card = f"{machine['cards']} x {machine['card']} ({machine['card_memory_gib']} GiB)"
        parts = [card, f"driver {machine['driver']}", *parts, f"cuDNN {machine['cudnn']}"]
    return ", ".join(parts)


def main() -> int:
    device = sys.argv[1]
    if device == "cpu":
        print(json.dumps(_common() | {"pytorch": importlib.metadata.version("torch")}))
        return 0
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        print(
            "no CUDA device is available here; to try all parts without one: --device cpu --rehearse", file=sys.stderr
        )
        return 2
    properties = torch.cuda.get_device_properties(0)
    card = {
        "pytorch": torch.__version__, "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(),
        "driver": _driver(), "card": properties.name, "cards": torch.cuda.device_count(),
        "card_memory_gib": round(properties.total_memory / 2**30, 1),
        "capability": f"{properties.major}.{properties.minor}", "multiprocessors": properties.multi_processor_count,
    }  # fmt: skip
    print(json.dumps(_common() | card))
    return 0


def _common() -> dict[str, Any]:
    """Versions, processor and memory, without PyTorch."""
    return {
        "python": platform.python_version(), "cores": os.cpu_count(),
        "processor": _first(r"model name\s*:\s*(.+)", "/proc/cpuinfo") or platform.machine(),
        "memory_gib": round(int(_first(r"MemTotal:\s+(\d+) kB", "/proc/meminfo") or 0) / 2**20, 1),
    }  # fmt: skip


def _driver() -> str:
    if shutil.which("nvidia-smi") is None:
        return "unknown"
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.splitlines()[0].strip() if done.stdout.strip() else "unknown"


def _first(pattern: str, path: str) -> str | None:
    """The first group of a pattern in a file of the system; None if there is no such file or no match."""
    try:
        found = re.search(pattern, Path(path).read_text(encoding="utf-8"))
    except OSError:
        return None
    return found[1].strip() if found else None


if __name__ == "__main__":
    sys.exit(main())
