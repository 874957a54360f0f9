"""Paths of data sets that come from a file, not from the user."""

import shlex
from pathlib import Path

from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.remote import is_remote
from stylegan_v_ext.text import printable

_LONGEST_SHOWN = 200


def recorded_path(holder: object, path: object) -> str:
    """Check the path of a data set that a checkpoint or a run folder records. Opens no file and asks no network.

    Args:
        holder: The file or folder that records the path, for messages.
        path: The recorded value.

    Returns:
        The path, which is a local path.

    Raises:
        DataError: If the value is an address, a path on another host, or no path.
    """
    if not isinstance(path, str) or not path or "\0" in path:
        raise DataError(f"{holder} names no data set that is here; name one with --data")
    if leads_to_network(path):
        shown = printable(path, _LONGEST_SHOWN)
        raise DataError(
            f"{holder} names {shown} as its data set, and nothing is fetched that you did not name; if you want it, "
            f"pass --data={shlex.quote(shown)}"
        )
    return path


def leads_to_network(path: str) -> bool:
    """Check whether opening a path may ask another machine: an address (`s3://…`), or a network share (`//host/…`)."""
    return is_remote(path) or "://" in path or path.replace("\\", "/").startswith("//")


def is_here(path: str) -> bool:
    """Check whether a local data set exists: a file, a folder, or the shards that `name.zip` stands for."""
    try:
        if Path(path).is_file() or Path(path).is_dir():
            return True
        return any(Path(path).parent.glob(f"{Path(path).stem}-[0-9]*.zip"))
    except (OSError, ValueError):  # the name is too long, or no valid pattern
        return False
