"""Curves of a run's figures over its snapshots, as a picture."""

import json
import re
from pathlib import Path

from stylegan_v_ext.files import atomic_path

_HIGHER_IS_BETTER = re.compile(r"^(is|isv)[0-9]|_precision$|_recall$")
_HIDDEN = re.compile(r"_std$|_split_std$|_real$|_fake$")


def read_curves(run_dir: Path) -> dict[str, list[tuple[float, float]]]:
    """(kimg, value) by the name of the value, the last one of each snapshot, from all `metric-*.jsonl` in a folder.

    Lines that are torn or of something else are passed over. Raises `ValueError` where there is no value.
    """
    curves: dict[str, dict[float, float]] = {}
    for path in sorted(run_dir.glob("metric-*.jsonl")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
                kimg = float(re.search(r"([0-9]{1,15})(?=\.[a-z]+$)", entry["snapshot_pkl"])[1])  # type: ignore[index]
                values = {name: float(value) for name, value in entry["results"].items() if value is not None}
            except (ValueError, TypeError, KeyError, AttributeError):
                continue
            for name, value in values.items():
                if not _HIDDEN.search(name):
                    curves.setdefault(name, {})[kimg] = value
    if not curves:
        raise ValueError(
            f"{run_dir} holds no figures of snapshots (metric-*.jsonl); measure with `stylegan-v metrics --network=…`"
        )
    return {name: sorted(points.items()) for name, points in curves.items()}


def plot_run(run_dir: Path, target: Path) -> list[tuple[str, int, float, float]]:
    """Write the picture; (name, snapshots, best value, its kimg) of each curve. Raises `ValueError`."""
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
        axes.set(title=name, xlabel="thousand clips (kimg)")
        axes.grid(alpha=0.3)
        summary.append((name, len(points), best[1], best[0]))
    with atomic_path(target) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    return summary
