"""The members of a zip file as columns of arrays: where each member lies, how long it is, what it is called.

Python's `zipfile` makes an object of thirty attributes for each member. For the hundreds of thousands of frames of a
data set this takes seconds and much memory, in every process that reads them. Columns of arrays are small, and can be
mapped from a file that all processes share, so that they are in memory once.
"""

import mmap
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from stylegan_v_ext.files import atomic_path

STORED, DEFLATED = 0, 8  # methods of packing
_AT_ONCE = 1 << 16  # names that are decoded together


class BadZip(ValueError):
    """A file is no zip, or it is damaged or unsafe; the message is a clause that says what is wrong with it."""


class Names(Sequence[str]):
    """A sequence of names that are stored as one text.

    Args:
        text: All names in UTF-8 without anything between them, uint8 `[bytes]`.
        ends: Place in `text` after the last byte of each name, int64 `[members]`.
    """

    def __init__(self, text: np.ndarray, ends: np.ndarray) -> None:
        self._text, self._ends = text, ends

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        chosen = range(len(self))[index]
        if isinstance(chosen, int):
            begin = self._ends[chosen - 1] if chosen else 0
            return self._text[begin : self._ends[chosen]].tobytes().decode("utf-8", "replace")
        if chosen.step == 1:
            return self._run(chosen.start, chosen.stop)
        return [self[number] for number in chosen]

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _AT_ONCE):
            yield from self._run(start, min(start + _AT_ONCE, len(self)))

    def _run(self, start: int, stop: int) -> list[str]:
        """Return the names from number `start` to `stop` at once."""
        if start >= stop:
            return []
        first = int(self._ends[start - 1]) if start else 0
        ends = (self._ends[start:stop] - first).tolist()
        data = self._text[first : first + ends[-1]].tobytes()
        begins = [0, *ends[:-1]]
        if data.isascii():
            text = data.decode("ascii")
            return [text[begin:end] for begin, end in zip(begins, ends, strict=True)]
        return [data[begin:end].decode("utf-8", "replace") for begin, end in zip(begins, ends, strict=True)]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class ZipIndex:
    """The members of a zip that are files, in the order of its directory.

    Attributes:
        names: Name of each member.
        offset: Place of each member's header in the zip in bytes, int64.
        packed_size: Length of each member in the zip in bytes, int64.
        size: Length of each member after unpacking in bytes, int64.
        crc: CRC-32 of each member after unpacking, uint32.
        method: `STORED`, `DEFLATED` or the number of another method of packing, uint16.
        encrypted: 1 for an encrypted member, 0 for others, uint8.
        mapped: The file from which the columns are mapped; None if they are in memory.
    """

    names: Names
    offset: np.ndarray
    packed_size: np.ndarray
    size: np.ndarray
    crc: np.ndarray
    method: np.ndarray
    encrypted: np.ndarray
    mapped: Path | None = None

    def __reduce__(self) -> tuple[Callable[..., "ZipIndex"], tuple[object, ...]]:
        if self.mapped is not None:
            return map_index, (self.mapped,)
        return ZipIndex, tuple(getattr(self, name) for name in self.__dataclass_fields__)


_MAGIC = b"SGVZIP03"
COLUMNS = {
    "ends": np.int64,
    "offset": np.int64,
    "packed_size": np.int64,
    "size": np.int64,
    "crc": np.uint32,
    "method": np.uint16,
    "encrypted": np.uint8,
}
_FILE_HEADER = struct.Struct("<8s2Q")  # magic, members, bytes of names


def write_index(index: ZipIndex, path: Path) -> None:
    """Write an index to a file for `map_index`. Raises `OSError` if there is no room."""
    names = index.names
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(_FILE_HEADER.pack(_MAGIC, len(names), names._text.nbytes))
        for name in COLUMNS:
            column = names._ends if name == "ends" else getattr(index, name)
            file.write(np.ascontiguousarray(column, dtype=COLUMNS[name]).data)
        file.write(np.ascontiguousarray(names._text).data)


def map_index(path: Path) -> ZipIndex:
    """Map an index from its file. Raises `OSError` if the file cannot be read, `ValueError` if it is not whole."""
    with open(path, "rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if len(data) < _FILE_HEADER.size:
        raise ValueError("too short")
    magic, count, num_bytes = _FILE_HEADER.unpack_from(data)
    at, columns = _FILE_HEADER.size, {}
    if magic != _MAGIC or at + num_bytes + count * sum(np.dtype(t).itemsize for t in COLUMNS.values()) != len(data):
        raise ValueError("not whole")
    for name, dtype in COLUMNS.items():
        columns[name] = np.frombuffer(data, dtype, count, at)
        at += columns[name].nbytes
    names = Names(np.frombuffer(data, np.uint8, num_bytes, at), columns.pop("ends"))
    return ZipIndex(names, **columns, mapped=path)
