"""Reading files out of a zip, a folder or a set of zip shards by number, without locks.

Archives are listed once. A zip member is then read with one `pread` at its offset, which shares no
file position: forked and spawned workers and threads may all read at the same time.
"""

import os
import re
import struct
import zlib
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.zip_index import DEFLATED, STORED, BadZip, read_zip_index

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_SHARD_NAME = re.compile(r"(.+)-\d{5}\.zip")


class Archive:
    """Files with relative names, `/` between folders, that are read by their number in `names`."""

    path: Path
    names: list[str]

    def read(self, index: int) -> bytes:
        """Content of file `names[index]`. Raises `DataError` where it cannot be read whole."""
        raise NotImplementedError


class FolderArchive(Archive):
    """All files below a folder."""

    def __init__(self, path: Path):
        self.path = path
        self.names = []
        for folder, subfolders, files in os.walk(path):
            subfolders.sort()
            relative = Path(folder).relative_to(path)
            self.names += [(relative / name).as_posix() for name in sorted(files)]

    def read(self, index: int) -> bytes:
        try:
            return (self.path / self.names[index]).read_bytes()
        except OSError as error:
            raise DataError(f"{self.path / self.names[index]} cannot be read ({error.strerror})") from None


class ZipArchive(Archive):
    """All members of a zip file, stored or deflated. Raises `DataError` if it is damaged or encrypted."""

    def __init__(self, path: Path):
        self.path = path
        try:
            index = read_zip_index(path)
        except (BadZip, OSError) as error:
            raise DataError(f"{path} is not a sound zip archive ({error}); make or copy it again") from None
        unusual = index.encrypted | ~np.isin(index.method, (STORED, DEFLATED))
        if unusual.any():
            name = index.names[int(unusual.argmax())]
            raise DataError(f"{path}: {name} is encrypted or packed in an unusual way; zip it again, stored")
        self.names = index.names
        self._index = index

    def content_table(self) -> bytes:
        """Name, size and checksum of every member: equal for archives of equal content."""
        where = self._index
        numbers = np.stack([where.size, where.crc.astype(np.int64)], axis=1)
        return "\n".join(self.names).encode() + numbers.tobytes()

    @cached_property
    def _file(self) -> int:
        return os.open(self.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))

    def __getstate__(self) -> dict:
        return {name: value for name, value in self.__dict__.items() if name != "_file"}

    def __del__(self) -> None:
        if "_file" in self.__dict__:
            os.close(self.__dict__.pop("_file"))

    def read(self, index: int) -> bytes:
        where = self._index
        size = int(where.size[index])
        data = self._packed(int(where.offset[index]), int(where.packed_size[index]))
        if data is not None and where.method[index] == DEFLATED:
            try:
                data = zlib.decompressobj(-15).decompress(data, size + 1)
            except zlib.error:
                data = None
        if data is None or len(data) != size or zlib.crc32(data) != where.crc[index]:
            raise DataError(f"{self.path}: {self.names[index]} is damaged (its checksum does not match)")
        return data

    def _packed(self, offset: int, packed_size: int) -> bytes | None:
        """Bytes of a member as they lie in the file; the name's length there need not be the listed one."""
        guess = _LOCAL_HEADER.size + 256
        try:
            data = os.pread(self._file, guess + packed_size, offset)
            magic, *_, name_size, extra_size = _LOCAL_HEADER.unpack_from(data)
            start = _LOCAL_HEADER.size + name_size + extra_size
            if start > guess:
                data = os.pread(self._file, start + packed_size, offset)
        except (OSError, struct.error):
            return None
        return data[start : start + packed_size] if magic == b"PK\x03\x04" else None


class ShardedArchive(Archive):
    """Several zip files as one; the names of a shard's members begin with the shard's file name."""

    def __init__(self, path: Path, shards: list[Path]):
        self.path = path
        self.shards = [_open_zip(shard) for shard in shards]
        self._starts = np.cumsum([0] + [len(shard.names) for shard in self.shards])
        self.names = [f"{shard.path.name}/{name}" for shard in self.shards for name in shard.names]

    def read(self, index: int) -> bytes:
        shard = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self.shards[shard].read(index - int(self._starts[shard]))


def _open_zip(path: Path) -> ZipArchive:
    """A zip archive, listed once in this process as long as it does not change."""
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from None
    return _listed_zip(path.resolve(), status.st_mtime_ns, status.st_size, status.st_ino)


@lru_cache(maxsize=1024)
def _listed_zip(path: Path, mtime_ns: int, size: int, inode: int) -> ZipArchive:
    return ZipArchive(path)


def open_archive(path: str | Path) -> Archive:
    """The archive at a path: a zip, a folder, or shards.

    Shards are `name-00000.zip`, `name-00001.zip`, ...; name them by `name.zip` or by the folder that
    holds them and nothing else. Raises `DataError` if there is nothing readable.
    """
    path = Path(path)
    if path.is_dir():
        inside = sorted(path.iterdir())
        shards = [file for file in inside if _SHARD_NAME.fullmatch(file.name)]
        return ShardedArchive(path, shards) if shards and len(shards) == len(inside) else FolderArchive(path)
    if path.is_file():
        return _open_zip(path)
    shards = sorted(path.parent.glob(f"{path.stem}-[0-9][0-9][0-9][0-9][0-9].zip")) if path.suffix == ".zip" else []
    if not shards:
        raise DataError(f"{path} does not exist; give a .zip, a folder of frame folders, or name-00000.zip shards")
    return ShardedArchive(path, shards)
