"""Sides of a comparison that live at the same time and work in turn; one that fails leaves it, the others go on."""

import statistics
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

from benchmarks.gpu.findings import Findings
from benchmarks.sides import Side


class Comparison:
    """Times of several sides.

    Args:
        makers: Functions that start a side, by its name.
        references: Names of sides that are other people's code; what fails there is no problem of ours.
        warm_up: Number of first calls, which are not counted.
    """

    def __init__(
        self, makers: dict[str, Callable[[], Side]], found: Findings, references: Collection[str], warm_up: int
    ):
        self.found, self.references = found, references
        self.sides: dict[str, Side] = {}
        self.times: dict[str, list[float]] = {}
        with ThreadPoolExecutor(len(makers)) as pool:  # starting takes processors, not the GPU
            futures = {name: pool.submit(make) for name, make in makers.items()}
            for name, future in futures.items():
                with self._attempt(f"starting {name}", name):
                    self.sides[name] = future.result()
                self._warm_up(name, warm_up)

    def _warm_up(self, name: str, calls: int) -> None:
        """First calls of a side, alone: cuDNN chooses its algorithms by time, which work of others would falsify."""
        if name in self.sides:
            self._run(name, f"first calls of {name}", lambda side: side.run(calls))
        if name in self.sides:
            self._run(name, f"memory of {name}", lambda side: side.forget_peak())

    def round(self, calls: int) -> None:
        """Some calls of each side, in turn."""
        for name in list(self.sides):
            number = len(self.times.get(name, [])) + 1
            milliseconds = self._run(name, f"{name}, round {number}", lambda side: side.run(calls))
            if milliseconds is not None:
                self.times.setdefault(name, []).append(milliseconds)

    def medians(self) -> dict[str, float]:
        """Milliseconds of a call of the sides that still live, the median of the rounds."""
        return {name: statistics.median(self.times[name]) for name in self.sides if name in self.times}

    def peaks(self) -> dict[str, float]:
        """Peak memory in MB of the same sides."""
        peaks = {name: self._run(name, f"memory of {name}", lambda side: side.peak()) for name in self.medians()}
        return {name: peak for name, peak in peaks.items() if peak is not None}

    def close(self) -> None:
        """End all sides."""
        for side in self.sides.values():
            side.kill()

    def _run(self, name: str, what: str, ask: Callable[[Side], float]) -> float | None:
        """A side's answer; None, and the side leaves, if it fails."""
        with self._attempt(what, name):
            return ask(self.sides[name])
        self.sides.pop(name).kill()
        return None

    def _attempt(self, what: str, name: str):  # noqa: ANN202 - a context manager
        return self.found.attempt(what, needed=name not in self.references)
