"""From a path to an archive: a zip, a folder or shards."""

import re
from functools import lru_cache
from pathlib import Path

from stylegan_v_ext.data.archive.base import Archive
from stylegan_v_ext.data.archive.folder import FolderArchive
from stylegan_v_ext.data.archive.shards import ShardedArchive
from stylegan_v_ext.data.archive.zipped import ZipArchive
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.names import is_hidden
from stylegan_v_ext.data.remote import is_remote, local_copy

_SHARD_NAME = re.compile(r"(.+)-[0-9]{5}\.zip")


def open_archive(path: str | Path) -> Archive:
    """Open the archive at a path.

    Args:
        path: A zip, a folder, or shards. Shards are `name-00000.zip`, `name-00001.zip` and so on; name them by
            `name.zip`, or by a folder that holds nothing else but hidden files. An address (`s3://…/name.zip`) is
            copied first.

    Returns:
        The archive; it lists its files once.

    Raises:
        DataError: If there is nothing readable.
    """
    if is_remote(path):
        path = local_copy(str(path))
    path = Path(path)
    if path.is_dir():
        try:
            inside = sorted(file for file in path.iterdir() if not is_hidden(file.name))
        except OSError as error:
            raise DataError(f"{path} cannot be listed ({error.strerror})") from None
        shards = [file for file in inside if _SHARD_NAME.fullmatch(file.name)]
        return _open_shards(path, shards) if shards and len(shards) == len(inside) else FolderArchive(path)
    if path.is_file():
        return _open_zip(path)
    shards = sorted(path.parent.glob(f"{path.stem}-[0-9][0-9][0-9][0-9][0-9].zip")) if path.suffix == ".zip" else []
    if not shards:
        raise DataError(f"{path} does not exist; give a .zip, a folder of frame folders, or name-00000.zip shards")
    return _open_shards(path, shards)


def _open_shards(path: Path, shards: list[Path]) -> ShardedArchive:
    return ShardedArchive(path, [_open_zip(shard) for shard in shards])


def _open_zip(path: Path) -> ZipArchive:
    """Open a zip file; this process lists it once, unless the file changes."""
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from None
    return _listed_zip(path.resolve(), status.st_mtime_ns, status.st_size, status.st_ino)


@lru_cache(maxsize=1024)
def _listed_zip(path: Path, mtime_ns: int, size: int, inode: int) -> ZipArchive:
    return ZipArchive(path)
