"""Which stock codebase a folder holds."""

import os
from dataclasses import dataclass
from pathlib import Path

# Files that both codebases have, and a file that tells them apart.
_COMMON = (
    "legacy.py",
    "training/training_loop.py",
    "training/loss.py",
    "training/augment.py",
    "metrics/metric_main.py",
    "metrics/metric_utils.py",
)
_NETWORKS = {
    "stylegan3": "training/networks_stylegan2.py",
    "stylegan2-ada-pytorch": "training/networks.py",
}


@dataclass(frozen=True)
class Checkout:
    """A folder with the code of a stock codebase, or of a fork with the same layout.

    Attributes:
        path: The folder, without symbolic links.
        codebase: "stylegan3" or "stylegan2-ada-pytorch".
    """

    path: Path
    codebase: str


def recognise(path: str | Path) -> Checkout:
    """Return the checkout in a folder.

    Args:
        path: The folder; `~` stands for the home folder.

    Returns:
        The checkout.

    Raises:
        ValueError: If the folder holds no checkout; the message says which file was looked for.
    """
    path = Path(os.path.realpath(os.path.expanduser(path)))
    if not path.is_dir():
        raise ValueError(f"{path} is no folder; name a checkout of {' or '.join(_NETWORKS)}")
    missing = [name for name in _COMMON if not (path / name).is_file()]
    found = [codebase for codebase, name in _NETWORKS.items() if (path / name).is_file()]
    if missing or not found:
        lacking = missing[0] if missing else " or ".join(_NETWORKS.values())
        raise ValueError(
            f"{path} is no checkout of {' or '.join(_NETWORKS)}: it has no {lacking} (looked for "
            f"{', '.join(_COMMON)} and {' or '.join(_NETWORKS.values())})"
        )
    return Checkout(path, found[0])
