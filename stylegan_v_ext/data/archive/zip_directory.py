"""The directory of a zip file, read into a `ZipIndex`.

Layout of zip files: PKWARE's APPNOTE 6.3.10, sections 4.3.12 to 4.3.16, and 4.5.3 (Zip64).
"""

import os
import re
import stat
import struct
from array import array
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from stylegan_v_ext.data.archive.zip_index import COLUMNS, BadZip, Names, ZipIndex
from stylegan_v_ext.data.archive.zip_names import HEADER, LENGTHS, LENGTHS_AT, NotUnicode, extra_fields, member_names

_END, _END_MARK = struct.Struct("<4s4H2IH"), b"PK\x05\x06"
_END64_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")
_ALL_ONES = 0xFFFFFFFF  # the value is in the Zip64 extra field
_ENCRYPTED_FLAG = 1
_UNIX, _FOLDER_ATTRIBUTE = 3, 0x10
_AT_ONCE = 1 << 16  # members that are read together


def read_zip_index(path: Path) -> ZipIndex:
    """Read the index of a zip file into memory.

    Args:
        path: The zip file.

    Raises:
        BadZip: If the file is no zip, or if it is damaged or unsafe.
        OSError: If the file cannot be read.
    """
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


def _find_directory(file: BinaryIO, tail: bytes, tail_at: int) -> tuple[int, int, int, int]:
    """Find the directory by the end of the file.

    Args:
        file: The zip file.
        tail: Its last bytes, which hold the end record.
        tail_at: Place of `tail` in the file.

    Returns:
        Number of members; length of the directory in bytes; its place in the file; number of bytes that must be added
        to the offsets in it, because something stands in front of the zip.
    """
    at = _end_record_at(tail)
    if at < 0:
        file.seek(0)
        head = file.read(2)
        reason = "its end is missing, it is cut off" if head == b"PK" else "it is no zip" if head else "it is empty"
        raise BadZip(reason)
    _, part, first_part, _, count, size, start, _ = _END.unpack_from(tail, at)
    if 0 < max(part, first_part) < 0xFFFF:
        raise BadZip("it is one part of a split archive; join the parts: zip -s 0 LAST.zip --out WHOLE.zip")
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
            end = min(end64, locator_at)
    shift = end - size - start  # not 0 if something stands in front of the zip
    if shift < 0:
        raise BadZip("its directory lies outside of the file")
    return count, size, start + shift, shift


def _end_record_at(tail: bytes) -> int:
    """Find the end record; -1 if the file lacks it. Its comment may hold bytes that look like another record."""
    places = [found.start() for found in re.finditer(re.escape(_END_MARK), tail)]
    whole = [place for place in places if place + _END.size <= len(tail)]
    exact = [place for place in whole if place + _END.size + _END.unpack_from(tail, place)[-1] == len(tail)]
    return exact[0] if exact else whole[-1] if whole else -1


def _parse(directory: bytes, count: int, shift: int, file_length: int) -> ZipIndex:
    """Make the index from a directory, for a part of the members at a time, which keeps intermediate data small."""
    at = _header_positions(directory, count)
    try:
        parts = _parse_parts(directory, at, shift, "utf-8")
    except NotUnicode:
        parts = _parse_parts(directory, at, shift, "cp437")
    names = b"".join(text for text, _ in parts)
    columns: dict[str, Any] = {
        name: np.concatenate([part.pop(name) for _, part in parts] or [np.empty(0, np.int64)])
        for name in ("name_size", "name_hash", "offset", "packed_size", "size", "crc", "method", "encrypted")
    }
    offset, packed_size = columns["offset"], columns["packed_size"]
    if not ((offset >= 0) & (packed_size >= 0) & (columns["size"] >= 0) & (offset + packed_size <= file_length)).all():
        raise BadZip("a member lies outside of the file")
    ends = np.cumsum(columns.pop("name_size"), dtype=np.int64)
    hashes = columns.pop("name_hash")
    index = ZipIndex(Names(np.frombuffer(names, np.uint8), ends), **columns)
    ordered = np.sort(hashes)
    return _without_earlier(index, hashes) if (ordered[1:] == ordered[:-1]).any() else index


def _without_earlier(index: ZipIndex, hashes: np.ndarray) -> ZipIndex:
    """Keep only the last of all members of one name, because unpacking all members in turn would leave that one.

    Args:
        index: The index with all members.
        hashes: A number for each name, int64; equal names have equal numbers.
    """
    _, kind, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    keep = np.ones(len(hashes), dtype=bool)
    seen = set()
    for member in np.flatnonzero(counts[kind] > 1)[::-1].tolist():
        name = index.names[member]
        keep[member] = name not in seen
        seen.add(name)
    names = [name.encode() for name, kept in zip(index.names, keep.tolist(), strict=True) if kept]
    ends = np.cumsum([len(name) for name in names], dtype=np.int64)
    columns: dict[str, Any] = {name: getattr(index, name)[keep] for name in COLUMNS if name != "ends"}
    return ZipIndex(Names(np.frombuffer(b"".join(names), np.uint8), ends), **columns)


_Part = tuple[bytes, dict[str, np.ndarray]]  # (names one behind the other, columns)


def _parse_parts(directory: bytes, at: np.ndarray, shift: int, encoding: str) -> list[_Part]:
    starts = range(0, len(at), _AT_ONCE)
    return [_parse_some(directory, at[start : start + _AT_ONCE], shift, encoding) for start in starts]


def _parse_some(directory: bytes, at: np.ndarray, shift: int, encoding: str) -> _Part:
    """Read a part of the members.

    Args:
        directory: The whole directory.
        at: Places of the headers of these members in the directory, int64.
        shift: Number of bytes to add to each offset.
        encoding: Encoding of names that do not say that they are in UTF-8.

    Returns:
        Names and columns of the members that are files; folders are left out.
    """
    data = np.frombuffer(directory, dtype=np.uint8)
    headers = sliding_window_view(data, HEADER.itemsize)[at].view(HEADER)[:, 0]
    if not (headers["magic"] == b"PK\x01\x02").all():
        raise BadZip("its directory is damaged")
    ends = at + (HEADER.itemsize - 1) + headers["name_size"]
    marked = (headers["attributes"] & _FOLDER_ATTRIBUTE).astype(bool) & (headers["size"] == 0)
    files = (data[ends] != ord("/")) & ~marked
    headers, at = headers[files], at[files]
    names = member_names(directory, at, headers, encoding)
    if not all(names):  # folders whose name ends in a backslash or a dot
        files = np.array([bool(name) for name in names])
        headers, at, names = headers[files], at[files], [name for name in names if name]
    size, packed_size, offset = wide = tuple(
        headers[name].astype(np.int64) for name in ("size", "packed_size", "offset")
    )
    for member in np.flatnonzero((size == _ALL_ONES) | (packed_size == _ALL_ONES) | (offset == _ALL_ONES)):
        _fill_from_zip64(directory, int(at[member]), wide, int(member))
    mode = headers["attributes"] >> 16
    links = (headers["made_by"] >> 8 == _UNIX) & (mode & 0o170000 == stat.S_IFLNK)
    if links.any():
        raise BadZip(f"its member {names[int(links.argmax())].decode()!r} is a link")
    return b"".join(names), {
        "name_size": np.array([len(name) for name in names], dtype=np.int64),
        "name_hash": np.fromiter(map(hash, names), np.int64, len(names)),
        "offset": offset + shift,
        "packed_size": packed_size,
        "size": size,
        "crc": headers["crc"],
        "method": headers["method"],
        "encrypted": (headers["flags"] & _ENCRYPTED_FLAG).astype(np.uint8),
    }


def _header_positions(directory: bytes, count: int) -> np.ndarray:
    """Find the places of all headers, int64; each header tells its own length."""
    positions, at, end = array("q"), 0, len(directory)
    lengths_at = LENGTHS.unpack_from
    try:
        while at < end:
            positions.append(at)
            name, extra, comment = lengths_at(directory, at + LENGTHS_AT)
            at += HEADER.itemsize + name + extra + comment
    except struct.error:
        raise BadZip("its directory is cut short") from None
    if at != end or (len(positions) - count) % 0x10000:
        raise BadZip("its directory is damaged")
    return np.frombuffer(positions, dtype=np.int64) if positions else np.empty(0, dtype=np.int64)


def _fill_from_zip64(directory: bytes, at: int, columns: tuple[np.ndarray, ...], member: int) -> None:
    """Write the 64-bit values of a member into the columns.

    Args:
        directory: The whole directory.
        at: Place of the member's header.
        columns: Size, packed size and offset; the Zip64 field holds the values that need 64 bits, in this order.
        member: Place of the member in the columns.
    """
    for kind, values in extra_fields(directory, at):
        if kind == 1:
            wanting = [column for column in columns if column[member] == _ALL_ONES]
            if len(values) < 8 * len(wanting):
                break
            for column, (value,) in zip(wanting, struct.iter_unpack("<q", values[: 8 * len(wanting)]), strict=True):
                column[member] = value
            return
    raise BadZip("a Zip64 field is damaged")
