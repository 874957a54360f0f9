"""A few training steps under PyTorch's profiler: `python -m benchmarks.gpu.profile REQUEST`, an answer in JSON."""

import collections
import json
import re
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity

from benchmarks.train_step import trainer

_WAIT = "called a synchronizing CUDA operation"
_CPU_WAITS = ("aten::_local_scalar_dense",)
_LONGEST = 10
_NAME_LENGTH = 90


def main() -> None:
    request = json.loads(sys.argv[1])
    run = trainer(request["data"], "stylegan-v", request["folder"], **request["options"])
    device = torch.device(request["device"])
    steps = request["steps"]
    for _ in range(request["warm_up"]):
        without_r1 = _milliseconds(run.step, device)  # the first ones prepare what the last one uses
    run.state.num_steps = 16 * (run.state.num_steps // 16 + 1)
    with_r1 = _milliseconds(run.step, device)
    waits = _waits(run.step, device, steps)
    print(
        json.dumps({"r1_ms": max(with_r1 - without_r1, 0.0), **_profiled(run.step, device, steps), **waits}), flush=True
    )


def _milliseconds(step: Any, device: torch.device) -> float:
    _finish(device)
    started = time.perf_counter()
    step()
    _finish(device)
    return (time.perf_counter() - started) * 1e3


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _profiled(step: Any, device: torch.device, steps: int) -> dict[str, Any]:
    """Busy share and longest kernels; without a GPU the operators of the CPU take the place of kernels."""
    cuda = device.type == "cuda"
    activity = ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU  # one alone, which slows the host less
    _finish(device)
    with torch.profiler.profile(activities=[activity]) as profiler:
        started = time.perf_counter()
        for _ in range(steps):
            step()
        _finish(device)
        microseconds = (time.perf_counter() - started) * 1e6
    kind = DeviceType.CUDA if cuda else DeviceType.CPU
    spans = [
        (event.name, event.time_range.start, event.time_range.end)
        for event in profiler.events()
        if event.device_type == kind and event.time_range.end > event.time_range.start
        and (not cuda or not getattr(event, "is_user_annotation", False))
    ]  # fmt: skip
    return {
        "busy_share": covered([(start, end) for _, start, end in spans]) / microseconds,
        "kernels_per_step": len(spans) / steps, "longest": _longest(spans, steps),
    }  # fmt: skip


def covered(spans: list[tuple[float, float]]) -> float:
    """Length of the union of some spans of time."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(end - max(start, reached), 0.0)
        reached = max(reached, end)
    return total


def _longest(spans: list[tuple[str, float, float]], steps: int) -> list[tuple[str, float, float, float]]:
    """(name, milliseconds a step, share of all kernels, calls a step), the longest first."""
    times: dict[str, float] = collections.defaultdict(float)
    calls: dict[str, int] = collections.defaultdict(int)
    for name, start, end in spans:
        times[name] += end - start
        calls[name] += 1
    total = sum(times.values()) or 1.0
    longest = sorted(times, key=times.__getitem__, reverse=True)[:_LONGEST]
    return [(short(name), times[name] / steps / 1e3, times[name] / total, calls[name] / steps) for name in longest]


def short(name: str) -> str:
    """A kernel's name without template arguments and parameters, at most as long as a table's column."""
    plain = re.sub(r"\((anonymous namespace)\)::", "", name)
    while "<" in plain and (cut := re.sub(r"<[^<>]*>", "", plain)) != plain:
        plain = cut
    plain = re.sub(r"\(.*", "", plain).removeprefix("void ").replace("|", "/").strip() or name
    return plain if len(plain) <= _NAME_LENGTH else plain[: _NAME_LENGTH - 1] + "…"


def _waits(step: Any, device: torch.device, steps: int) -> dict[str, Any]:
    """Where the host waits for the device in a step without R1, by PyTorch's own watch."""
    if device.type != "cuda":
        return _waits_of_cpu(step)
    places: collections.Counter[str] = collections.Counter()

    def note(message: Any, *_: Any) -> None:
        if _WAIT in str(message):
            places[_place(traceback.extract_stack())] += 1

    shown = warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        torch.cuda.set_sync_debug_mode("warn")
        try:
            for _ in range(steps):
                step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
            warnings.showwarning = shown
    return {
        "waits_per_step": sum(places.values()) / steps,
        "waits": [(place, count / steps) for place, count in places.most_common(_LONGEST)],
    }  # fmt: skip


def _place(stack: traceback.StackSummary) -> str:
    """File and line of this project that a warning comes from."""
    root = Path(__file__).parents[2]
    paths = [(Path(frame.filename), frame.lineno) for frame in stack]
    here = [(path.relative_to(root), line) for path, line in paths if path.is_relative_to(root)]
    path, line = next((place for place in reversed(here) if place[0].parts[0] != "benchmarks"), paths[-1])
    return f"{path}:{line}"


def _waits_of_cpu(step: Any) -> dict[str, Any]:
    """The twin without a GPU: numbers that the host takes out of tensors, which on a GPU would be waits."""
    with torch.profiler.profile(activities=[ProfilerActivity.CPU]) as profiler:
        step()
    count = sum(event.name in _CPU_WAITS for event in profiler.events())
    return {"waits_per_step": float(count), "waits": []}


if __name__ == "__main__":
    main()
