"""The directory of a zip file, read at once: where each member lies, how long it is, what it is called.

Python's `zipfile` makes an object of thirty attributes for each member, which takes seconds and much
memory for the hundreds of thousands of frames of a data set; here they are columns of an array.
Layout: PKWARE's APPNOTE 6.3.10, sections 4.3.12 to 4.3.16 and 4.5.3 (Zip64).
"""

import os
import struct
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

STORED, DEFLATED = 0, 8
_END = struct.Struct("<4s4H2IH")
_END64_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")
# A member in the directory, before its name.
_HEADER = np.dtype({
    "names": ["magic", "flags", "method", "crc", "packed_size", "size", "name_size", "offset"],
    "formats": ["S4", "<u2", "<u2", "<u4", "<u4", "<u4", "<u2", "<u4"],
    "offsets": [0, 8, 10, 16, 20, 24, 28, 42], "itemsize": 46,
})  # fmt: skip
_LENGTHS = struct.Struct("<3H")  # of name, extra field and comment
_LENGTHS_AT = 28
_ALL_ONES = 0xFFFFFFFF  # the value is in the Zip64 extra field
_UTF8_FLAG, _ENCRYPTED_FLAG = 1 << 11, 1


class BadZip(ValueError):
    """Not a zip file, or a damaged one; the message says what is wrong with it."""


@dataclass(frozen=True)
class ZipIndex:
    """Members that are files, in the order of the directory. offset: of their headers in the file, in bytes."""

    names: list[str]
    offset: np.ndarray  # int64
    packed_size: np.ndarray  # int64
    size: np.ndarray  # int64
    crc: np.ndarray  # uint32
    method: np.ndarray  # uint16
    encrypted: np.ndarray  # bool


def read_zip_index(path: Path) -> ZipIndex:
    """The index of a zip file. Raises `BadZip`, and `OSError` if it cannot be read."""
    with open(path, "rb") as file:
        length = file.seek(0, os.SEEK_END)
        tail_at = max(length - _END.size - 0xFFFF, 0)
        file.seek(tail_at)
        tail = file.read()
        count, size, start, shift = _find_directory(file, tail, tail_at)
        file.seek(start)
        directory = file.read(size)
    if len(directory) != size:
        raise BadZip("its directory is cut short")
    return _parse(directory, count, shift, length)


def _find_directory(file, tail: bytes, tail_at: int) -> tuple[int, int, int, int]:  # noqa: ANN001
    """(members, bytes, position, what to add to offsets in it) of the directory."""
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        raise BadZip("it has no end record")
    *_, count, size, start, _ = _END.unpack_from(tail, at)
    end = tail_at + at
    locator_at = end - _END64_LOCATOR.size
    if locator_at >= 0:
        file.seek(locator_at)
        magic, _, end64, _ = _END64_LOCATOR.unpack(file.read(_END64_LOCATOR.size))
        if magic == b"PK\x06\x07":
            file.seek(min(end64, locator_at))
            record = file.read(_END64.size)
            if len(record) != _END64.size or not record.startswith(b"PK\x06\x06"):
                raise BadZip("its Zip64 end record is damaged")
            *_, count, size, start = _END64.unpack(record)
            end = end64
    shift = end - size - start  # of archives with something in front of them
    if shift < 0:
        raise BadZip("its directory lies outside of the file")
    return count, size, start + shift, shift


def _parse(directory: bytes, count: int, shift: int, file_length: int) -> ZipIndex:
    at = np.array(_header_positions(directory, count), dtype=np.int64)
    data = np.frombuffer(directory, dtype=np.uint8)
    windows = sliding_window_view(data, _HEADER.itemsize) if len(at) else data.reshape(0, _HEADER.itemsize)
    headers = windows[at].view(_HEADER)[:, 0]
    if not (headers["magic"] == b"PK\x01\x02").all():
        raise BadZip("its directory is damaged")
    size, packed_size, offset = columns = tuple(
        headers[name].astype(np.int64) for name in ("size", "packed_size", "offset")
    )
    for member in np.flatnonzero((size == _ALL_ONES) | (packed_size == _ALL_ONES) | (offset == _ALL_ONES)):
        _fill_from_zip64(directory, int(at[member]), columns, int(member))
    offset += shift
    if not ((offset >= 0) & (packed_size >= 0) & (size >= 0) & (offset + packed_size <= file_length)).all():
        raise BadZip("a member lies outside of the file")
    names_at = at + _HEADER.itemsize
    names = _names(directory, names_at, names_at + headers["name_size"], headers["flags"])
    ends = at + (_HEADER.itemsize - 1) + headers["name_size"]
    files = data[ends] != ord("/")
    return ZipIndex(
        list(compress(names, files)), offset[files], packed_size[files], size[files], headers["crc"][files],
        headers["method"][files], (headers["flags"][files] & _ENCRYPTED_FLAG) != 0,
    )  # fmt: skip


def _header_positions(directory: bytes, count: int) -> list[int]:
    """Where the members' headers begin: each tells how long it is."""
    positions, at, end = [], 0, len(directory)
    lengths_at = _LENGTHS.unpack_from
    try:
        while at < end:
            positions.append(at)
            name, extra, comment = lengths_at(directory, at + _LENGTHS_AT)
            at += _HEADER.itemsize + name + extra + comment
    except struct.error:
        raise BadZip("its directory is cut short") from None
    if at != end or (len(positions) - count) % 0x10000:
        raise BadZip("its directory is damaged")
    return positions


def _fill_from_zip64(directory: bytes, at: int, columns: tuple[np.ndarray, ...], member: int) -> None:
    """Put in the 64-bit values of a member, which has those that do not fit, in the order of `columns`."""
    name, extra, _ = _LENGTHS.unpack_from(directory, at + _LENGTHS_AT)
    begin = at + _HEADER.itemsize + name
    field, where = directory[begin : begin + extra], 0
    while where + 4 <= len(field):
        kind, nbytes = struct.unpack_from("<2H", field, where)
        if kind == 1:
            values = field[where + 4 : where + 4 + nbytes]
            wanting = [column for column in columns if column[member] == _ALL_ONES]
            if len(values) < 8 * len(wanting):
                break
            for column, (value,) in zip(wanting, struct.iter_unpack("<q", values[: 8 * len(wanting)]), strict=True):
                column[member] = value
            return
        where += 4 + nbytes
    raise BadZip("a Zip64 field is damaged")


def _names(directory: bytes, begins: np.ndarray, ends: np.ndarray, flags: np.ndarray) -> list[str]:
    text = directory.decode("latin-1")  # a character a byte, right for names in ASCII
    names = [text[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
    if all(map(str.isascii, names)):
        return names
    try:
        return [
            name.encode("latin-1").decode("utf-8" if flag & _UTF8_FLAG else "cp437")
            for name, flag in zip(names, flags.tolist(), strict=True)
        ]
    except UnicodeDecodeError:
        raise BadZip("a name in it is not in UTF-8, as it says") from None
