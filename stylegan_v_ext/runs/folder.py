"""Run folders: `{outdir}/{number}-{name}`, numbered in the order in which runs begin."""

import re
from pathlib import Path

from stylegan_v_ext.engine.saved_state import STATE_NAME
from stylegan_v_ext.files import locked

_NUMBER = re.compile(r"[0-9]{1,9}(?=-)")


def make_run_dir(outdir: str | Path, name: str) -> Path:
    """Make a new folder with the first number after those that are there.

    Several runs that begin at the same moment get a number each.

    Args:
        outdir: Folder of the run folders; it is made if it is not there.
        name: What follows the number.

    Returns:
        The new folder.

    Raises:
        OSError: If the folder cannot be made.
    """
    outdir = Path(outdir)
    outdir.mkdir(parents=True, exist_ok=True)
    with locked(outdir):
        numbers = [int(match[0]) for path in outdir.iterdir() if (match := _NUMBER.match(path.name))]
        run_dir = outdir / f"{max(numbers, default=-1) + 1:05d}-{name}"
        run_dir.mkdir()
    return run_dir


def latest_run(outdir: str | Path) -> Path | None:
    """Find the run folder whose state was written last.

    Args:
        outdir: Folder of the run folders.

    Returns:
        The run folder; None if no folder holds a state.
    """
    states = sorted(Path(outdir).glob(f"*/{STATE_NAME}"), key=lambda path: path.stat().st_mtime_ns)
    return states[-1].parent if states else None
