"""The index of a zip file; the index of a large one is kept in a file of the cache that all processes map."""

import contextlib
import hashlib
from pathlib import Path

import dnnlib
from stylegan_v_ext.data.archive.zip_directory import read_zip_index
from stylegan_v_ext.data.archive.zip_index import ZipIndex, map_index, write_index

KEPT_FROM = 50_000  # members; smaller directories are read again each time


def open_zip_index(path: Path) -> ZipIndex:
    """Return the index of a zip file; map it from the cache if it is kept there.

    Args:
        path: The zip file. The index is kept if the file has `KEPT_FROM` members or more.

    Raises:
        BadZip: If the file is no zip, or if it is damaged or unsafe.
        OSError: If the file cannot be read.
    """
    kept = None
    with contextlib.suppress(ValueError):  # there is no cache folder
        kept = _kept_path(path)
    if kept is not None:
        with contextlib.suppress(OSError, ValueError):
            return map_index(kept)
    index = read_zip_index(path)
    if len(index.names) < KEPT_FROM or kept is None:
        return index
    with contextlib.suppress(OSError):  # without room for the file, the index stays in memory
        write_index(index, kept)
        for other in kept.parent.glob(f"{kept.name.partition('-')[0]}-*.index"):
            if other != kept:
                other.unlink(missing_ok=True)  # the index of an earlier state of the same zip
        return map_index(kept)
    return index


def _kept_path(path: Path) -> Path:
    """Return the place where the index of a zip file is kept; it changes whenever the zip changes."""
    status = path.stat()
    state = f"{status.st_mtime_ns} {status.st_size} {status.st_ino}"
    parts = [hashlib.sha256(text.encode()).hexdigest()[:20] for text in (str(path.resolve()), state)]
    return Path(dnnlib.make_cache_dir_path("zip-index", f"{'-'.join(parts)}.index"))
