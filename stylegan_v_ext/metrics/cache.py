"""Statistics of real videos, kept from one evaluation to the next.

The key holds everything that the statistics depend on, so that an entry is never out of date. An entry that cannot be
read is computed again.
"""

import contextlib
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

import dnnlib
from stylegan_v_ext.files import atomic_path
from stylegan_v_ext.metrics.statistics import Statistics

_FOLDER = "metric-statistics"
_VERSION = 1
_MOST_BYTES = 2**30  # larger statistics are not kept


def load_statistics(kind: type[Statistics], key: dict[str, Any]) -> Statistics | None:
    """Load statistics.

    Args:
        kind: Class of the statistics.
        key: Plain values that the statistics depend on.

    Returns:
        The statistics; None if there is no entry that can be read.
    """
    try:
        with open(cache_path(key), "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return kind.from_arrays(dict(arrays))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError):
        return None


def save_statistics(statistics: Statistics, key: dict[str, Any]) -> None:
    """Keep statistics for the next time, unless they are too large or the disk is full.

    Args:
        statistics: What to keep.
        key: Plain values that the statistics depend on.
    """
    arrays = statistics.to_arrays()
    if sum(array.nbytes for array in arrays.values()) > _MOST_BYTES:
        return
    with contextlib.suppress(OSError), atomic_path(cache_path(key)) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def cache_path(key: dict[str, Any]) -> Path:
    """Return the file of the statistics with this key."""
    text = json.dumps({**key, "version": _VERSION}, sort_keys=True)
    return Path(dnnlib.make_cache_dir_path(_FOLDER, hashlib.sha256(text.encode()).hexdigest()[:32] + ".npz"))
