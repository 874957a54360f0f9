"""Averages of the numbers that a training reports, over all processes.

`report` adds numbers to sums on the device of the tensor, without waiting for the device. Once a tick, a `Collector`
reads the mean and the standard deviation of the numbers that were reported since its last update.

The sums belong to a `Statistics`. Stock loops use the `Statistics` of the process and never see it. Inside a block of
`recording`, reports go to another `Statistics`, so that several runs in a process do not mix their numbers.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

import dnnlib

_Value = TypeVar("_Value")
_MOMENTS = 3  # count, sum, sum of squares
_rank = 0
_sync_device: torch.device | None = None
_started_sync = False


class Statistics:
    """Count, sum and sum of squares of the reported numbers, by name."""

    def __init__(self) -> None:
        self._new: dict[str, dict[torch.device, torch.Tensor]] = {}  # since the last fetch, by name and device
        self._totals: dict[str, torch.Tensor] = {}  # over all processes since the start, float64 on the CPU

    def names(self) -> list[str]:
        """Return all names that were reported."""
        return list(self._new)

    def add(self, name: str, moments: torch.Tensor | None) -> None:
        """Add to the sums of a statistic.

        Args:
            name: Name of the statistic.
            moments: Count, sum and sum of squares `[3]` of the values, on the device of the values; None for a name
                without values.
        """
        by_device = self._new.setdefault(name, {})
        if moments is None:
            return
        if moments.device in by_device:
            by_device[moments.device].add_(moments)
        else:
            by_device[moments.device] = moments

    def fetch(self, names: list[str]) -> dict[str, torch.Tensor]:
        """Return the sums over all processes since the start. Every process has to call this function.

        Args:
            names: Names of statistics, the same in every process.

        Returns:
            Count, sum and sum of squares, float64 `[3]` on the CPU, by name.
        """
        global _started_sync
        if not names:
            return {}
        _started_sync = True
        new = _over_processes(torch.stack([self._take(name) for name in names]))
        for name, row in zip(names, new, strict=True):
            self._totals[name] = self._totals.get(name, torch.zeros(_MOMENTS, dtype=torch.float64)) + row
        return {name: self._totals[name].clone() for name in names}

    def _take(self, name: str) -> torch.Tensor:
        """Return the sums of this process since the last fetch, and set them to zero."""
        row = torch.zeros(_MOMENTS, dtype=torch.float64)
        for moments in self._new[name].values():
            row += moments.to(device="cpu", dtype=torch.float64)
        self._new[name] = {}
        return row

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return all sums over all processes since the start. Every process has to call this function."""
        return self.fetch(self.names())

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from the sums in `state`; the sums until now are dropped."""
        for name in [*self._new, *state]:
            self._new[name] = {}
        self._totals = {name: total.clone() for name, total in state.items()}


_current = Statistics()


@contextmanager
def recording(statistics: Statistics) -> Iterator[None]:
    """Send reports to these statistics inside the block; collectors that are made there read them.

    Args:
        statistics: The sums of a run.
    """
    global _current
    before, _current = _current, statistics
    try:
        yield
    finally:
        _current = before


def init_multiprocessing(rank: int, sync_device: torch.device | None) -> None:
    """Set the rank of this process and the device on which sums over processes are made.

    Call it before the first `Collector.update`; later calls with the same values change nothing.

    Args:
        rank: Number of this process.
        sync_device: Device for the sums over processes; None for a single process.

    Raises:
        RuntimeError: If the statistics were read before with other values.
    """
    global _rank, _sync_device
    if _started_sync and (rank, sync_device) != (_rank, _sync_device):
        raise RuntimeError("init_multiprocessing has to be called before the statistics are first read")
    _rank, _sync_device = rank, sync_device


@torch.no_grad()
def report(name: str, value: _Value) -> _Value:
    """Add every finite element of a value to a statistic. Every process has to report the same names.

    Elements that are not finite are left out, because they would stay in the sums for ever.

    Args:
        name: Name of the statistic.
        value: Tensor, array, list or number.

    Returns:
        `value` itself.
    """
    values = torch.as_tensor(value).detach().flatten()
    if values.numel() == 0:
        _current.add(name, None)
        return value
    # Squares of large losses overflow 32 bits, but not every device has float64.
    dtype = torch.float32 if values.device.type == "mps" else torch.float64
    values = values.to(dtype)
    finite = torch.isfinite(values)
    values = torch.where(finite, values, 0)
    _current.add(name, torch.stack([finite.sum().to(dtype), values.sum(), values.square().sum()]))
    return value


def report0(name: str, value: _Value) -> _Value:
    """Add the elements of a value to a statistic in the first process, as `report`; other processes add nothing.

    Args:
        name: Name of the statistic.
        value: Tensor, array, list or number.

    Returns:
        `value` itself.
    """
    report(name, value if _rank == 0 else [])
    return value


class Collector:
    """Means and standard deviations of statistics between two updates.

    A collector reads the `Statistics` that was current when the collector was made (`recording`).

    Args:
        regex: Regular expression that has to match a whole name.
        keep_previous: Whether a statistic without new numbers keeps its mean; otherwise the mean is NaN.
    """

    def __init__(self, regex: str = ".*", keep_previous: bool = True) -> None:
        self._regex = re.compile(regex)
        self._keep_previous = keep_previous
        self._statistics = _current
        self._seen: dict[str, torch.Tensor] = {}
        self._change: dict[str, torch.Tensor] = {}
        self.update()
        self._change.clear()

    def names(self) -> list[str]:
        """Return the names of all reported statistics that match `regex`."""
        return [name for name in self._statistics.names() if self._regex.fullmatch(name)]

    def update(self) -> None:
        """Read the numbers of all processes since the last update. Every process has to call this function."""
        if not self._keep_previous:
            self._change.clear()
        for name, total in self._statistics.fetch(self.names()).items():
            change = total - self._seen.get(name, torch.zeros(_MOMENTS, dtype=torch.float64))
            self._seen[name] = total
            if float(change[0]) != 0:
                self._change[name] = change

    def _moments(self, name: str) -> torch.Tensor:
        return self._change.get(name, torch.zeros(_MOMENTS, dtype=torch.float64))

    def num(self, name: str) -> int:
        """Return the number of values reported between the last two updates."""
        return int(self._moments(name)[0])

    def mean(self, name: str) -> float:
        """Return the mean between the last two updates; NaN if nothing was reported."""
        count, total, _ = self._moments(name).tolist()
        return total / count if count else float("nan")

    def std(self, name: str) -> float:
        """Return the standard deviation between the last two updates; NaN if nothing was reported."""
        count, total, squares = self._moments(name).tolist()
        if not count:
            return float("nan")
        mean = total / count
        return max(squares / count - mean * mean, 0.0) ** 0.5  # `**` would raise for a very large mean

    def as_dict(self) -> dnnlib.EasyDict:
        """Return `{name: EasyDict(num, mean, std)}` of all names that match."""
        return dnnlib.EasyDict(
            {n: dnnlib.EasyDict(num=self.num(n), mean=self.mean(n), std=self.std(n)) for n in self.names()}
        )

    def __getitem__(self, name: str) -> float:
        return self.mean(name)

    def state_dict(self) -> dict[str, dict[str, torch.Tensor]]:
        """Return the state of the collector, for `load_state_dict` of a collector in another process."""
        return {"seen": dict(self._seen), "change": dict(self._change)}

    def load_state_dict(self, state: dict[str, dict[str, torch.Tensor]]) -> None:
        """Go on from the state of another collector."""
        self._seen, self._change = dict(state["seen"]), dict(state["change"])


def _over_processes(rows: torch.Tensor) -> torch.Tensor:
    """Return the rows `[names, 3]`, summed over all processes."""
    if _sync_device is None:
        return rows
    on_device = rows.to(_sync_device)
    torch.distributed.all_reduce(on_device)
    return on_device.cpu()
