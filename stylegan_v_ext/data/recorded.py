"""Paths of data sets that a file names, not the user."""

import shlex
from pathlib import Path
from typing import Any

from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.remote import is_remote
from stylegan_v_ext.text import printable

_LONGEST_SHOWN = 200


def recorded_path(holder: Any, path: Any) -> str:
    """The local path of a data set as a checkpoint or a run folder records it. Opens nothing, and asks no network.

    Args:
        holder: The file or folder that records it, for messages.
        path: Whatever it holds.

    Raises:
        DataError: For an address, a path on another host, and what is no path.
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
    """Whether opening a path may ask another machine: an address (`s3://…`), or a host's share (`//host/…`)."""
    return is_remote(path) or "://" in path or path.replace("\\", "/").startswith("//")


def is_here(path: str) -> bool:
    """Whether a local data set is there: a file, a folder, or the shards that a name stands for."""
    try:
        if Path(path).is_file() or Path(path).is_dir():
            return True
        return any(Path(path).parent.glob(f"{Path(path).stem}-[0-9]*.zip"))
    except (OSError, ValueError):  # too long a name, no pattern
        return False
