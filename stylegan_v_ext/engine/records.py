"""Bringing the files that a run adds lines to back to the moment of its state, before it goes on."""

import contextlib
import re
from collections.abc import Callable, Collection
from pathlib import Path

from stylegan_v_ext.documents import parse_json
from stylegan_v_ext.files import atomic_path, remove_leftovers

STATS_NAME = "stats.jsonl"


def rewind(run_dir: Path, tick: int, num_clips: int, metrics: Collection[str]) -> None:
    """Remove from the files of a run what it did after its last state, since it does that again.

    These are lines of later ticks in `stats.jsonl` and `log.txt`, figures of later snapshots for the run's metrics, and
    what a killed process left half-written. Everything else stays. A file that cannot be written stays as it is.

    Args:
        run_dir: Run folder, which this process has to hold (`folder.held`).
        tick: Number of the last tick before the state.
        num_clips: Clips that were seen before the state.
        metrics: Names of the run's metrics.
    """
    remove_leftovers(run_dir)

    def is_past(entry: object) -> bool:
        return _number(entry, "Progress/tick") <= tick

    def is_measured(entry: object) -> bool:
        found = re.search(r"network-snapshot-([0-9]{1,12})\.pkl$", str(_entry(entry, "snapshot_pkl")))
        return found is None or int(found[1]) <= num_clips // 1000

    _keep_lines(run_dir / STATS_NAME, lambda line: _is_entry(line, is_past))
    for path in run_dir.glob("metric-*.jsonl"):
        if path.stem.removeprefix("metric-") in metrics:
            _keep_lines(path, lambda line: _is_entry(line, is_measured))
    _keep_lines(run_dir / "log.txt", lambda line: _tick_of(line) <= tick)


def last_step(run_dir: Path) -> int:
    """Return the step of the last line of `stats.jsonl`; -1 if there are no lines."""
    try:
        path = run_dir / STATS_NAME
        lines = path.read_bytes().splitlines() if path.is_file() else []
        return step_of(_number(parse_json(lines[-1]), "Progress/kimg"))
    except (OSError, ValueError, IndexError, OverflowError):
        return -1


def step_of(kimg: float) -> int:
    """Return the number under which TensorBoard has the values of a moment."""
    return round(kimg * 1e3)


def _keep_lines(path: Path, keep: Callable[[bytes], bool]) -> None:
    """Leave lines out of a file, and end its last line; write nothing if nothing changes."""
    with contextlib.suppress(OSError):
        if path.is_symlink() or not path.is_file():
            return
        before = path.read_bytes()
        *lines, rest = before.split(b"\n")
        if rest and not rest.startswith(b"tick "):  # half a line of a tick could be of any tick
            lines.append(rest)
        after = b"".join(line + b"\n" for line in lines if keep(line))
        if after != before:
            with atomic_path(path) as temporary:
                temporary.write_bytes(after)


def _is_entry(line: bytes, keep: Callable[[object], bool]) -> bool:
    """Return whether a line is JSON that `keep` accepts; a killed process may have left half a line."""
    try:
        return keep(parse_json(line))
    except ValueError:
        return False


def _entry(entry: object, name: str) -> object:
    return entry.get(name) if isinstance(entry, dict) else None


def _number(entry: object, name: str) -> float:
    """Return the mean of a statistic; -1 if there is no such number."""
    mean = _entry(_entry(entry, name), "mean")
    return mean if isinstance(mean, (int, float)) else -1


def _tick_of(line: bytes) -> int:
    """Return the number of the tick that a line of `log.txt` is about; -1 for other lines."""
    found = re.match(rb"tick ([0-9]{1,12}) ", line)
    return int(found[1]) if found else -1
