"""Data sets in object stores and on web servers: copied once, shard by shard, then read as local files.

Training on random clips reads from every shard within minutes, and a GPU waits while a worker waits for a network. So
whole shards are copied before the first batch. fsspec reads the addresses (`s3://`, `gs://`, `https://`, ...); its
drivers (`s3fs`, `gcsfs`, ...) must be installed separately.
"""

import hashlib
import os
import re
from pathlib import Path
from typing import BinaryIO, Protocol, TypeGuard

import dnnlib
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.files import atomic_path
from stylegan_v_ext.text import say

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://.+", re.IGNORECASE)
_REFUSED = ("file", "local")  # the user can name the path itself
_CHUNK = 1 << 22  # bytes that are copied at a time


class _FileSystem(Protocol):
    """The methods of fsspec's file systems that are used here."""

    def size(self, path: str) -> int: ...
    def ukey(self, path: str) -> str: ...
    def open(self, path: str, mode: str) -> BinaryIO: ...


def is_remote(path: object) -> TypeGuard[str]:
    """Check whether the path of a data set is an address."""
    return isinstance(path, str) and bool(_ADDRESS.fullmatch(path))


def absolute(path: str) -> str:
    """Return a path or address of a data set that is valid in every folder."""
    return path if is_remote(path) else os.path.abspath(path)


def local_copy(address: str) -> Path:
    """Copy a data set from an address, unless an up-to-date copy exists.

    Args:
        address: Address of a zip; `…/name.zip` also stands for the shards `…/name-00000.zip`, `…/name-00001.zip`, …

    Returns:
        The local zip, or the local folder of the shards.

    Raises:
        DataError: If the address is unknown, or if it cannot be copied.
    """
    import fsspec

    scheme = address.split("://")[0].lower()
    if scheme in _REFUSED or not address.lower().endswith(".zip"):
        raise DataError(f"{address} is no address of a .zip or of name-00000.zip shards named by name.zip")
    try:
        system, path = fsspec.core.url_to_fs(address)
        shards = [path] if system.exists(path) else sorted(system.glob(path[:-4] + "-[0-9][0-9][0-9][0-9][0-9].zip"))
        if not shards:
            raise DataError(f"{address} does not exist, nor do shards of that name (name-00000.zip, …)")
        folder = Path(dnnlib.make_cache_dir_path("shards", hashlib.sha256(address.encode()).hexdigest()[:20]))
        copies = [_copy(system, shard, folder) for shard in shards]
    except ImportError as error:
        raise DataError(f"{address} needs a driver ({error}); install it, or copy the data here") from None
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{address} cannot be copied ({str(error) or type(error).__name__}); check it") from None
    for other in folder.glob("*.zip"):
        if other not in copies:
            other.unlink()  # a shard of an earlier state
    return copies[0] if shards == [path] else folder


def _copy(system: _FileSystem, remote: str, folder: Path) -> Path:
    """Copy a shard, unless the copy is up to date; return the path of the copy."""
    name = re.sub(r"[^0-9A-Za-z._-]", "_", remote.rsplit("/", 1)[-1])
    target, state = folder / name, folder.parent / f"{folder.name}-{name}.state"
    size, version = int(system.size(remote)), str(system.ukey(remote))
    if target.is_file() and target.stat().st_size == size and state.is_file() and state.read_text() == version:
        return target
    say(f"Copying {remote} ({size / 1e6:.0f} MB) ...")
    with system.open(remote, "rb") as source, atomic_path(target) as temporary, open(temporary, "wb") as file:
        copied = 0
        while data := source.read(_CHUNK):
            file.write(data)
            copied += len(data)
        if copied != size:
            raise OSError(f"{name} ended after {copied} of {size} bytes")
    with atomic_path(state) as temporary:
        temporary.write_text(version)
    return target
