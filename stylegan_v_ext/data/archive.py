"""Reading files out of a zip, a folder or a set of zip shards by number, without locks.

Archives are listed once. A zip member is then read with one `pread` at its offset, which shares no
file position: forked and spawned workers and threads may all read at the same time.
"""

import contextlib
import os
import re
import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.names import is_hidden
from stylegan_v_ext.data.remote import is_remote, local_copy
from stylegan_v_ext.data.zip_index import DEFLATED, STORED, BadZip, Names, open_zip_index
from stylegan_v_ext.text import printable

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_MOST_BYTES = 2**28  # of a member: frames are far smaller
_MOST_FILE_BYTES = 2**36  # of a member that is copied to a file: a video
_CHUNK = 2**20
_MOST_OVERHEAD = 1024  # bytes that deflating adds to what cannot be made smaller, with a table of codes
_SAFE_SUFFIX = re.compile(r"\.[0-9A-Za-z]{1,8}")
_STATS_AT_ONCE, _STAT_THREADS = 1000, 16  # questions to the file system
_MOST_LEVELS = 100  # of folders in folders
_OTHER_ARCHIVES = {
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"\x1f\x8b": "gzip (.tar.gz)",
    b"BZh": "bzip2 (.tar.bz2)",
    b"\xfd7zXZ\x00": "xz (.tar.xz)",
    b"\x28\xb5\x2f\xfd": "zstd (.tar.zst)",
}
_TAR_MARK, _TAR_MARK_AT = b"ustar", 257
_SHARD_NAME = re.compile(r"(.+)-[0-9]{5}\.zip")


class Archive:
    """Files with relative names, `/` between folders, that are read by their number in `names`.

    Attributes:
        links_left: Names of links that are not followed, since they lead to folders or to nothing.
    """

    path: Path
    names: Sequence[str]
    links_left: Sequence[str] = ()

    def read(self, index: int) -> bytes:
        """Content of file `names[index]`. Raises `DataError` where it cannot be read whole."""
        raise NotImplementedError

    def head(self, index: int, size: int) -> bytes:
        """The first bytes of file `names[index]`, unchecked, or fewer if it is shorter.

        Args:
            size: How many bytes, far fewer than the file may have.

        Raises:
            DataError: If the file cannot be read.
        """
        return self.read(index)[:size]

    def local_file(self, index: int) -> contextlib.AbstractContextManager[Path]:
        """A local path of file `names[index]`, for readers that want a file; do not write to it.

        A file in a zip is copied, with its checksum compared; the copy keeps the ending of its name, and goes when
        the block ends. Raises `DataError` when the block begins, if the file is damaged, too large, or without room.
        """
        raise NotImplementedError

    def sizes(self) -> np.ndarray:
        """Bytes of every file, int64, in the order of `names`."""
        raise NotImplementedError

    def checksums(self) -> np.ndarray | None:
        """CRC-32 of every file, uint32, in the order of `names`; `None` if they are not known without reading."""
        return None


def files_below(folder: Path, check_link: Callable[[Path], None] | None = None) -> Iterator[str]:
    """Names, relative to the folder, of all files below it; the files of each folder come before its folders.

    Args:
        check_link: Called with every link, to refuse it; None accepts all links. Links to folders are not followed.

    Raises:
        DataError: For a folder that cannot be listed and for more than 100 levels of folders.
    """
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        if prefix.count("/") > _MOST_LEVELS:
            raise DataError(f"{folder} has more than {_MOST_LEVELS} levels of folders ({printable(prefix, 100)})")
        try:
            with os.scandir(folder / prefix) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            raise DataError(f"{folder}: {printable(prefix, 100)} cannot be listed ({error.strerror})") from None
        folders = []
        for entry in entries:
            if entry.is_symlink() and check_link is not None:
                check_link(Path(entry.path))
            if entry.is_dir(follow_symlinks=False):
                folders.append(f"{prefix}{entry.name}/")
            elif _is_file(entry):
                yield prefix + entry.name
        waiting += reversed(folders)


def _is_file(entry: os.DirEntry) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link in a circle
        return False


class FolderArchive(Archive):
    """All files below a folder. Raises `DataError` for links that lead out of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._links: list[str] = []
        self.names = list(files_below(path, self._check_link))
        self.links_left = tuple(name for name in self._links if not is_hidden(name))

    def _check_link(self, link: Path) -> None:
        if not Path(os.path.realpath(link)).is_relative_to(os.path.realpath(self.path)):
            raise DataError(
                f"{link} is a link to {os.readlink(link)}, which is not in {self.path}; copy what it links to"
            )
        if not link.is_file():
            self._links.append(link.relative_to(self.path).as_posix())

    def sizes(self) -> np.ndarray:
        parts = [self.names[start : start + _STATS_AT_ONCE] for start in range(0, len(self.names), _STATS_AT_ONCE)]
        folder = os.fspath(self.path)

        def sizes_of(names: list[str]) -> list[int]:
            return [os.stat(os.path.join(folder, name)).st_size for name in names]

        try:
            with ThreadPoolExecutor(_STAT_THREADS) as pool:  # a network drive takes its time to answer each
                return np.array([size for part in pool.map(sizes_of, parts) for size in part], dtype=np.int64)
        except OSError as error:
            raise DataError(f"{error.filename} cannot be read ({error.strerror})") from None

    def read(self, index: int) -> bytes:
        try:
            return (self.path / self.names[index]).read_bytes()
        except OSError as error:
            raise DataError(f"{self.path / self.names[index]} cannot be read ({error.strerror})") from None

    def head(self, index: int, size: int) -> bytes:
        try:
            with open(self.path / self.names[index], "rb", buffering=0) as file:
                return file.read(size)
        except OSError as error:
            raise DataError(f"{self.path / self.names[index]} cannot be read ({error.strerror})") from None

    @contextlib.contextmanager
    def local_file(self, index: int) -> Iterator[Path]:
        path = self.path / self.names[index]
        try:
            open(path, "rb").close()
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror})") from None
        yield path


class ZipArchive(Archive):
    """All members of a zip file, stored or deflated. Raises `DataError` if it is damaged or encrypted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            index = open_zip_index(path)
        except (BadZip, OSError) as error:
            other = kind_of_archive(path)
            if other:
                raise DataError(f"{path} is a {other} archive; unpack it and give the folder, or zip that") from None
            raise DataError(f"{path} is not a sound zip archive ({error}); make or copy it again") from None
        unusual = index.encrypted.astype(bool) | ~np.isin(index.method, (STORED, DEFLATED))
        if unusual.any():
            name = index.names[int(unusual.argmax())]
            raise DataError(f"{path}: {name} is encrypted or packed in an unusual way; zip it again, stored")
        self._index = index

    @property
    def names(self) -> Names:  # type: ignore[override]
        return self._index.names

    def sizes(self) -> np.ndarray:
        return np.asarray(self._index.size, dtype=np.int64)

    def checksums(self) -> np.ndarray:
        return np.asarray(self._index.crc, dtype=np.uint32)

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
        if size > _MOST_BYTES:
            raise DataError(f"{self.path}: {self.names[index]} has {size} bytes, the most is {_MOST_BYTES}")
        data = self._packed(int(where.offset[index]), int(where.packed_size[index]))
        if data is not None and where.method[index] == DEFLATED:
            try:
                data = zlib.decompressobj(-15).decompress(data, size + 1)
            except zlib.error:
                data = None
        if data is None or len(data) != size or zlib.crc32(data) != where.crc[index]:
            raise self._damage(index)
        return data

    def head(self, index: int, size: int) -> bytes:
        where = self._index
        at = self._content_at(int(where.offset[index]))
        if at is None:
            raise self._damage(index)
        is_packed = where.method[index] == DEFLATED
        wanted = min(int(where.packed_size[index]), size + _MOST_OVERHEAD if is_packed else size)
        try:
            data = os.pread(self._file, wanted, at)
            return zlib.decompressobj(-15).decompress(data, size) if is_packed else data
        except zlib.error:
            raise self._damage(index) from None
        except OSError as error:
            raise DataError(f"{self.path} cannot be read ({error.strerror})") from None

    def _damage(self, index: int) -> DataError:
        return DataError(f"{self.path}: {self.names[index]} is damaged (its checksum does not match)")

    @contextlib.contextmanager
    def local_file(self, index: int) -> Iterator[Path]:
        name, size = self.names[index], int(self._index.size[index])
        if size > _MOST_FILE_BYTES:
            raise DataError(f"{self.path}: {name} has {size} bytes, the most is {_MOST_FILE_BYTES}")
        suffix = os.path.splitext(name)[1]
        with contextlib.ExitStack() as stack:
            try:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stylegan-v-")))
                if size > shutil.disk_usage(folder).free:
                    raise DataError(
                        f"{self.path}: {name} needs {size} bytes in {folder.parent}; free them, or set TMPDIR"
                    )
                copy = folder / f"member{suffix if _SAFE_SUFFIX.fullmatch(suffix) else ''}"
                with open(copy, "xb") as file:
                    for chunk in self._unpacked(index):
                        file.write(chunk)
            except OSError as error:
                raise DataError(f"{self.path}: {name} cannot be copied to a file ({error.strerror})") from None
            yield copy

    def _unpacked(self, index: int) -> Iterator[bytes]:
        """Content of a member, piece by piece. Raises `DataError` at the end if it is not what the zip states."""
        where = self._index
        size, at = int(where.size[index]), self._content_at(int(where.offset[index]))
        if at is None:
            raise self._damage(index)
        end = at + int(where.packed_size[index])
        decoder = zlib.decompressobj(-15) if where.method[index] == DEFLATED else None
        made, checksum, waiting = 0, 0, b""
        while made < size:
            if not waiting and at < end:
                waiting = os.pread(self._file, min(_CHUNK, end - at), at)
                at += len(waiting)
            data, waiting, had = waiting, b"", bool(waiting)
            if decoder is not None:
                try:
                    data = decoder.decompress(data, _CHUNK)
                except zlib.error:
                    break
                waiting = decoder.unconsumed_tail
            if not data and not had:
                break
            made, checksum = made + len(data), zlib.crc32(data, checksum)
            if made > size:
                break
            yield data
        if made != size or checksum != where.crc[index]:
            raise self._damage(index)

    def _content_at(self, offset: int) -> int | None:
        """Where the content of a member begins in the file; None if its header is damaged."""
        try:
            magic, *_, name_size, extra_size = _LOCAL_HEADER.unpack(os.pread(self._file, _LOCAL_HEADER.size, offset))
        except struct.error:
            return None
        return offset + _LOCAL_HEADER.size + name_size + extra_size if magic == b"PK\x03\x04" else None

    def _packed(self, offset: int, packed_size: int) -> bytes | None:
        """Bytes of a member as they lie in the file; the name's length there need not be the listed one."""
        guess = _LOCAL_HEADER.size + 256
        try:
            data = os.pread(self._file, guess + packed_size, offset)
            magic, *_, name_size, extra_size = _LOCAL_HEADER.unpack_from(data)
            start = _LOCAL_HEADER.size + name_size + extra_size
            if start > guess:
                data = os.pread(self._file, start + packed_size, offset)
        except struct.error:
            return None
        except OSError as error:
            raise DataError(f"{self.path} cannot be read ({error.strerror})") from None
        return data[start : start + packed_size] if magic == b"PK\x03\x04" else None


def kind_of_archive(path: Path) -> str:
    """The kind of an archive that is no zip, by its first bytes; "" for anything else."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        head = file.read(_TAR_MARK_AT + len(_TAR_MARK))
        if head[_TAR_MARK_AT:] == _TAR_MARK:
            return "tar"
        return next((kind for mark, kind in _OTHER_ARCHIVES.items() if head.startswith(mark)), "")
    return ""


class ShardedArchive(Archive):
    """Several zip files as one; the names of a shard's members begin with the shard's file name."""

    def __init__(self, path: Path, shards: list[Path]) -> None:
        self.path = path
        self.shards = [_open_zip(shard) for shard in shards]
        self._starts = np.cumsum([0] + [len(shard.names) for shard in self.shards])
        self.names = _ShardedNames(self.shards, self._starts)

    def sizes(self) -> np.ndarray:
        return np.concatenate([shard.sizes() for shard in self.shards])

    def checksums(self) -> np.ndarray:
        return np.concatenate([shard.checksums() for shard in self.shards])

    def read(self, index: int) -> bytes:
        shard, member = self._locate(index)
        return shard.read(member)

    def head(self, index: int, size: int) -> bytes:
        shard, member = self._locate(index)
        return shard.head(member, size)

    def local_file(self, index: int) -> contextlib.AbstractContextManager[Path]:
        shard, member = self._locate(index)
        return shard.local_file(member)

    def _locate(self, index: int) -> tuple[ZipArchive, int]:
        """(shard, number in it) of a file."""
        shard = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self.shards[shard], index - int(self._starts[shard])


class _ShardedNames(Sequence[str]):
    """Names of the members of all shards, each behind its shard's."""

    def __init__(self, shards: list[ZipArchive], starts: np.ndarray) -> None:
        self._shards, self._starts = shards, starts

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: Any) -> Any:
        chosen = range(len(self))[index]
        if isinstance(chosen, int):
            return self._run(chosen, chosen + 1)[0]
        if chosen.step == 1 and len(chosen) and self._shard(chosen.start) == self._shard(chosen.stop - 1):
            return self._run(chosen.start, chosen.stop)
        return [self[number] for number in chosen]

    def _shard(self, index: int) -> int:
        return int(np.searchsorted(self._starts, index, side="right")) - 1

    def _run(self, start: int, stop: int) -> list[str]:
        """Names of members that lie one behind the other in a shard."""
        shard = self._shard(start)
        archive, first = self._shards[shard], int(self._starts[shard])
        return [f"{archive.path.name}/{name}" for name in archive.names[start - first : stop - first]]

    def __iter__(self) -> Iterator[str]:
        return (f"{shard.path.name}/{name}" for shard in self._shards for name in shard.names)


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
    holds them and nothing else but hidden files. An address (`s3://…/name.zip`) is copied first. Raises
    `DataError` if there is nothing readable.
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
        return ShardedArchive(path, shards) if shards and len(shards) == len(inside) else FolderArchive(path)
    if path.is_file():
        return _open_zip(path)
    shards = sorted(path.parent.glob(f"{path.stem}-[0-9][0-9][0-9][0-9][0-9].zip")) if path.suffix == ".zip" else []
    if not shards:
        raise DataError(f"{path} does not exist; give a .zip, a folder of frame folders, or name-00000.zip shards")
    return ShardedArchive(path, shards)
