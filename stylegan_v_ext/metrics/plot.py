"""Draw the figures of a run over its snapshots."""

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from stylegan_v_ext.documents import read_json_lines
from stylegan_v_ext.files import atomic_path
from stylegan_v_ext.text import printable

_HIGHER_IS_BETTER = re.compile(r"^(is|isv)[0-9]|_precision$|_recall$")
_HIDDEN = re.compile(r"_std$|_split_std$|_real$|_fake$")
_MOST_CURVES = 100
_LONGEST_NAME = 100
_LARGEST = 1e100  # larger values cannot be drawn


def read_curves(run_dir: Path) -> dict[str, list[tuple[float, float]]]:
    """Read the figures of a run from all `metric-*.jsonl` in its folder; lines that are damaged are skipped.

    Args:
        run_dir: The folder.

    Returns:
        Points (kimg, value) by the name of the value, ascending; the last value of each snapshot counts.

    Raises:
        ValueError: If there is no value, or if there are too many names.
    """
    curves: dict[str, dict[float, float]] = {}
    for path in sorted(run_dir.glob("metric-*.jsonl")):
        try:
            for kimg, values in _figures(path):
                for name, value in values.items():
                    curves.setdefault(name, {})[kimg] = value
        except ValueError as error:
            raise ValueError(f"{printable(path)} cannot be read ({error}); remove it") from None
    if len(curves) > _MOST_CURVES:
        raise ValueError(f"{run_dir} holds figures of {len(curves)} names, {_MOST_CURVES} at most can be drawn")
    if not curves:
        raise ValueError(
            f"{run_dir} holds no figures of snapshots (metric-*.jsonl); measure with `stylegan-v metrics --network=…`"
        )
    return {name: sorted(points.items()) for name, points in curves.items()}


def _figures(path: Path) -> Iterator[tuple[float, dict[str, float]]]:
    """Yield (kimg, values by name) of every line of a file that has both; values that are no numbers are skipped."""
    for entry in read_json_lines(path):
        snapshot, results = entry.get("snapshot_pkl"), entry.get("results")
        number = re.search(r"([0-9]{1,9})\.[a-z]{1,20}$", snapshot[-64:]) if isinstance(snapshot, str) else None
        if number is not None and isinstance(results, dict):
            yield (
                float(number[1]),
                {
                    printable(name, _LONGEST_NAME): float(value)
                    for name, value in results.items()
                    if type(value) in (int, float) and abs(value) <= _LARGEST and not _HIDDEN.search(name[-20:])
                },
            )


class Curve(NamedTuple):
    """A curve in words.

    Attributes:
        name: Name of the value.
        num_snapshots: Number of points.
        best: Best value.
        best_kimg: Clips that the network with the best value was trained on, in thousands.
    """

    name: str
    num_snapshots: int
    best: float
    best_kimg: float


def plot_run(run_dir: Path, target: Path) -> list[Curve]:
    """Draw the figures of a run.

    Args:
        run_dir: Folder of the run.
        target: PNG to write.

    Returns:
        The curves in the picture.

    Raises:
        ValueError: If there is no value, or if there are too many names.
    """
    from matplotlib.figure import Figure

    curves = read_curves(run_dir)
    columns = min(len(curves), 3)
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(5 * columns, 3.4 * rows), layout="constrained")
    summary = []
    for number, (name, points) in enumerate(curves.items()):
        axes = figure.add_subplot(rows, columns, number + 1)
        best = (max if _HIGHER_IS_BETTER.search(name) else min)(points, key=lambda point: point[1])
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3)
        axes.plot(*best, marker="o", color="black")
        axes.annotate(f"{best[1]:.4g}", best, textcoords="offset points", xytext=(4, 6))
        axes.set_title(printable(name, _LONGEST_NAME), parse_math=False)
        axes.set(xlabel="thousand clips (kimg)")
        axes.grid(alpha=0.3)
        summary.append(Curve(name, len(points), best[1], best[0]))
    with atomic_path(target) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a name may have letters that the font lacks
        figure.savefig(temporary, format="png", dpi=120)
    return summary
