"""Curves of losses as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from stylegan_v_ext.files import atomic_path


def write_curve(path: str | Path, curves: Mapping[str, Sequence[float]], title: str) -> None:
    """Draw losses over steps as a PNG, on a logarithmic scale.

    Args:
        path: Name of the PNG file.
        curves: Losses by name. Each name is a line; it begins where the line before it ends.
        title: Heading of the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    first = 0
    for name, values in curves.items():
        axes.plot(range(first, first + len(values)), values, label=name, linewidth=0.9)
        first += len(values)
    axes.set(xlabel="step", ylabel="loss", yscale="log", title=title)
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
