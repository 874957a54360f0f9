"""A zip file as an archive."""

import contextlib
import os
import re
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from stylegan_v_ext.data.archive.base import Archive
from stylegan_v_ext.data.archive.kept_index import open_zip_index
from stylegan_v_ext.data.archive.zip_index import DEFLATED, STORED, BadZip, Names
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.kinds import kind_of_archive

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_MOST_BYTES = 2**28  # largest member that is read as a whole; frames are far smaller
_MOST_FILE_BYTES = 2**36  # largest member that is copied to a file; such members are videos
_CHUNK = 2**20  # bytes that are copied at a time
_MOST_OVERHEAD = 1024  # bytes that deflating may add to data that cannot be made smaller
_SAFE_SUFFIX = re.compile(r"\.[0-9A-Za-z]{1,8}")


class ZipArchive(Archive):
    """All members of a zip file, stored or deflated.

    Args:
        path: The zip file.

    Raises:
        DataError: If the file is no zip, or if it is damaged, encrypted or packed in an unusual way.
    """

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
        """Relative name of every member."""
        return self._index.names

    def sizes(self) -> np.ndarray:
        """Return the length of every member after unpacking in bytes, int64."""
        return np.asarray(self._index.size, dtype=np.int64)

    def checksums(self) -> np.ndarray:
        """Return the CRC-32 of every member, uint32."""
        return np.asarray(self._index.crc, dtype=np.uint32)

    def content_table(self) -> bytes:
        """Return names, sizes and checksums of all members as bytes; they are equal for archives of equal content."""
        where = self._index
        numbers = np.stack([where.size, where.crc.astype(np.int64)], axis=1)
        return "\n".join(self.names).encode() + numbers.tobytes()

    @cached_property
    def _file(self) -> int:
        return os.open(self.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_file"}

    def __del__(self) -> None:
        if "_file" in self.__dict__:
            os.close(self.__dict__.pop("_file"))

    def read(self, index: int) -> bytes:
        """Return the content of a member, checked against its checksum."""
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
        """Return the first bytes of a member."""
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
        """Give the path of a copy of a member."""
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
        """Yield the content of a member in pieces. Raises `DataError` at the end if the checksum does not match."""
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
        """Find the place in the zip where the content of a member begins; None if its header is damaged."""
        try:
            magic, *_, name_size, extra_size = _LOCAL_HEADER.unpack(os.pread(self._file, _LOCAL_HEADER.size, offset))
        except struct.error:
            return None
        return offset + _LOCAL_HEADER.size + name_size + extra_size if magic == b"PK\x03\x04" else None

    def _packed(self, offset: int, packed_size: int) -> bytes | None:
        """Read the bytes of a member as the zip holds them; None if its header is damaged.

        The length of the name in this header may differ from the length in the directory, so it is guessed first.
        """
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
