"""Averages of anything reported anywhere in a training loop, over all processes.

`report` adds scalars to counters on the tensor's own device without waiting for it; a `Collector`
reads, once a tick, the mean and standard deviation of what came in since its last update.
"""

import re
from typing import Any

import torch

import dnnlib

_MOMENTS = 3  # count, sum, sum of squares
_rank = 0
_sync_device: torch.device | None = None
_started_sync = False
_counters: dict[str, dict[torch.device, torch.Tensor]] = {}  # since the last fetch, by name and device
_totals: dict[str, torch.Tensor] = {}  # over all processes since the start, float64 on the CPU


def init_multiprocessing(rank: int, sync_device: torch.device | None) -> None:
    """Tell this process' rank and the device to sum over processes on (`None`: single process).

    Call before the first `Collector.update`.
    """
    global _rank, _sync_device
    if _started_sync:
        raise RuntimeError("init_multiprocessing has to be called before the statistics are first read")
    _rank, _sync_device = rank, sync_device


@torch.no_grad()
def report(name: str, value: Any) -> Any:
    """Add every finite element of a tensor, array, list or number to the statistic `name`; returns `value`.

    One that is not finite would be in the sums for ever. Every process has to report the same names.
    """
    by_device = _counters.setdefault(name, {})
    values = torch.as_tensor(value).detach().flatten()
    if values.numel() == 0:
        return value
    # Squares of large losses overflow 32 bits, but not every device has float64.
    dtype = torch.float32 if values.device.type == "mps" else torch.float64
    values = values.to(dtype)
    finite = torch.isfinite(values)
    values = torch.where(finite, values, 0)
    moments = torch.stack([finite.sum().to(dtype), values.sum(), values.square().sum()])
    if values.device in by_device:
        by_device[values.device].add_(moments)
    else:
        by_device[values.device] = moments
    return value


def report0(name: str, value: Any) -> Any:
    """Like `report`, but only the first process' values count."""
    report(name, value if _rank == 0 else [])
    return value


class Collector:
    """Reads statistics whose names match `regex`, as changes between updates.

    `keep_previous` keeps the figures of a statistic that got nothing new; otherwise it reads NaN.
    """

    def __init__(self, regex: str = ".*", keep_previous: bool = True) -> None:
        self._regex = re.compile(regex)
        self._keep_previous = keep_previous
        self._seen: dict[str, torch.Tensor] = {}
        self._change: dict[str, torch.Tensor] = {}
        self.update()
        self._change.clear()

    def names(self) -> list[str]:
        """Names seen so far that match."""
        return [name for name in _counters if self._regex.fullmatch(name)]

    def update(self) -> None:
        """Take in what all processes reported since the last update; every process has to call it."""
        if not self._keep_previous:
            self._change.clear()
        for name, total in _fetch(self.names()).items():
            change = total - self._seen.get(name, torch.zeros(_MOMENTS, dtype=torch.float64))
            self._seen[name] = total
            if float(change[0]) != 0:
                self._change[name] = change

    def _moments(self, name: str) -> torch.Tensor:
        return self._change.get(name, torch.zeros(_MOMENTS, dtype=torch.float64))

    def num(self, name: str) -> int:
        """Number of values reported between the last two updates."""
        return int(self._moments(name)[0])

    def mean(self, name: str) -> float:
        """Mean between the last two updates; NaN if there was nothing."""
        count, total, _ = self._moments(name).tolist()
        return total / count if count else float("nan")

    def std(self, name: str) -> float:
        """Standard deviation between the last two updates; NaN if there was nothing."""
        count, total, squares = self._moments(name).tolist()
        if not count:
            return float("nan")
        mean = total / count
        return max(squares / count - mean * mean, 0.0) ** 0.5  # `**` would raise for a very large mean

    def as_dict(self) -> dnnlib.EasyDict:
        """`{name: EasyDict(num, mean, std)}` of everything that matches."""
        return dnnlib.EasyDict(
            {n: dnnlib.EasyDict(num=self.num(n), mean=self.mean(n), std=self.std(n)) for n in self.names()}
        )

    def __getitem__(self, name: str) -> float:
        return self.mean(name)

    def state_dict(self) -> dict[str, dict[str, torch.Tensor]]:
        """What it has seen, for `load_state_dict` of another process."""
        return {"seen": dict(self._seen), "change": dict(self._change)}

    def load_state_dict(self, state: dict[str, dict[str, torch.Tensor]]) -> None:
        self._seen, self._change = dict(state["seen"]), dict(state["change"])


def state_dict() -> dict[str, torch.Tensor]:
    """Totals of everything reported so far, over all processes; every process has to call it."""
    return _fetch(list(_counters))


def load_state_dict(state: dict[str, torch.Tensor]) -> None:
    """Go on from these totals; what was reported in this process before is forgotten."""
    for name in [*_counters, *state]:
        _counters[name] = {}
    _totals.clear()
    _totals.update({name: total.clone() for name, total in state.items()})


def _fetch(names: list[str]) -> dict[str, torch.Tensor]:
    """Totals by name over all processes since the start, `[count, sum, sum of squares]`."""
    global _started_sync
    if not names:
        return {}
    _started_sync = True
    rows = []
    for name in names:
        row = torch.zeros(_MOMENTS, dtype=torch.float64)
        for counter in _counters[name].values():
            row += counter.to(device="cpu", dtype=torch.float64)
        _counters[name] = {}
        rows.append(row)
    new = torch.stack(rows)
    if _sync_device is not None:
        on_device = new.to(_sync_device)
        torch.distributed.all_reduce(on_device)
        new = on_device.cpu()
    for name, row in zip(names, new, strict=True):
        _totals[name] = _totals.get(name, torch.zeros(_MOMENTS, dtype=torch.float64)) + row
    return {name: _totals[name].clone() for name in names}
