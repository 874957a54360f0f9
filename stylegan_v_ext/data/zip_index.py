"""The directory of a zip file as columns: where each member lies, how long it is, what it is called.

Python's `zipfile` makes an object of thirty attributes for each member, which takes seconds and much memory for
the hundreds of thousands of frames of a data set, in every process that reads it. Here they are columns of
arrays; those of large archives are kept in a file that all processes map, so that they are in memory once.
Layout of zip files: PKWARE's APPNOTE 6.3.10, sections 4.3.12 to 4.3.16, 4.5.3 (Zip64), 4.6.9 (Unicode path).

Names are as an unpacker would write them: `./` and doubled slashes are removed, backslashes separate folders, and the
last member of a name counts.
"""

import contextlib
import hashlib
import mmap
import os
import re
import stat
import struct
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import dnnlib
from stylegan_v_ext.files import atomic_path

STORED, DEFLATED = 0, 8
KEPT_FROM = 50_000  # members; directories of fewer are read anew each time
_END, _END_MARK = struct.Struct("<4s4H2IH"), b"PK\x05\x06"
_END64_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")
# A member in the directory, before its name.
_HEADER = np.dtype(
    {
        "names": [
            "magic",
            "made_by",
            "flags",
            "method",
            "crc",
            "packed_size",
            "size",
            "name_size",
            "extra_size",
            "attributes",
            "offset",
        ],
        "formats": ["S4", "<u2", "<u2", "<u2", "<u4", "<u4", "<u4", "<u2", "<u2", "<u4", "<u4"],
        "offsets": [0, 4, 8, 10, 16, 20, 24, 28, 30, 38, 42],
        "itemsize": 46,
    }
)
_LENGTHS = struct.Struct("<3H")  # of name, extra field and comment
_LENGTHS_AT = 28
_ALL_ONES = 0xFFFFFFFF  # the value is in the Zip64 extra field
_UTF8_FLAG, _ENCRYPTED_FLAG = 1 << 11, 1
_UNIX, _FOLDER_ATTRIBUTE = 3, 0x10
_UNICODE_PATH = 0x7075
_AT_ONCE = 1 << 16  # members
_UNUSUAL = (b"\\", b"//", b"./", b".\n", b":", b"\n/", b"\n\n")  # what names that need a closer look contain
_DOUBTFUL_BACKSLASH = re.compile(rb"[\x80-\xff]\\")  # may be half a character of Japanese or Chinese code pages
_LEADS_OUT = re.compile(r"^[/\\]|^[a-zA-Z]:|(^|[/\\])\.\.($|[/\\])")


class BadZip(ValueError):
    """Not a zip file, or a damaged or unsafe one; the message says what is wrong with it."""


class _NotUnicode(ValueError):
    """Names without the flag of UTF-8 are in another encoding."""


class Names(Sequence[str]):
    """Names one behind the other in UTF-8.

    Args:
        text: Uint8.
        ends: Int64, where each ends.
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
        """Names that lie one behind the other."""
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
    """Members that are files, in the order of the directory.

    Attributes:
        offset: Of their headers in the file, in bytes.
    """

    names: Names
    offset: np.ndarray  # int64
    packed_size: np.ndarray  # int64
    size: np.ndarray  # int64
    crc: np.ndarray  # uint32
    method: np.ndarray  # uint16
    encrypted: np.ndarray  # uint8
    mapped: Path | None = None  # the file that the columns lie in

    def __reduce__(self) -> Any:
        if self.mapped is not None:
            return _map_index, (self.mapped,)
        return ZipIndex, tuple(getattr(self, name) for name in self.__dataclass_fields__)


def open_zip_index(path: Path) -> ZipIndex:
    """The index of a zip file, that of a large one kept and shared. Raises `BadZip`, and `OSError`."""
    kept = None
    with contextlib.suppress(ValueError):  # no cache folder
        kept = _kept_path(path)
    if kept is not None:
        with contextlib.suppress(OSError, ValueError):
            return _map_index(kept)
    index = read_zip_index(path)
    if len(index.names) < KEPT_FROM or kept is None:
        return index
    with contextlib.suppress(OSError):  # no room: it stays in memory
        _write_index(index, kept)
        for other in kept.parent.glob(f"{kept.name.partition('-')[0]}-*.index"):
            if other != kept:
                other.unlink(missing_ok=True)  # of the same file, as it was before
        return _map_index(kept)
    return index


def _kept_path(path: Path) -> Path:
    """Where the index of a zip file is kept, another place whenever the file changes."""
    status = path.stat()
    state = f"{status.st_mtime_ns} {status.st_size} {status.st_ino}"
    parts = [hashlib.sha256(text.encode()).hexdigest()[:20] for text in (str(path.resolve()), state)]
    return Path(dnnlib.make_cache_dir_path("zip-index", f"{'-'.join(parts)}.index"))


_MAGIC = b"SGVZIP03"
_COLUMNS = {
    "ends": np.int64,
    "offset": np.int64,
    "packed_size": np.int64,
    "size": np.int64,
    "crc": np.uint32,
    "method": np.uint16,
    "encrypted": np.uint8,
}
_FILE_HEADER = struct.Struct("<8s2Q")  # magic, members, bytes of names


def _write_index(index: ZipIndex, path: Path) -> None:
    names = index.names
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(_FILE_HEADER.pack(_MAGIC, len(names), names._text.nbytes))
        for name in _COLUMNS:
            column = names._ends if name == "ends" else getattr(index, name)
            file.write(np.ascontiguousarray(column, dtype=_COLUMNS[name]).data)
        file.write(np.ascontiguousarray(names._text).data)


def _map_index(path: Path) -> ZipIndex:
    """An index that was kept. Raises `OSError` where there is none, `ValueError` where it is not whole."""
    with open(path, "rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if len(data) < _FILE_HEADER.size:
        raise ValueError("too short")
    magic, count, num_bytes = _FILE_HEADER.unpack_from(data)
    at, columns = _FILE_HEADER.size, {}
    if magic != _MAGIC or at + num_bytes + count * sum(np.dtype(t).itemsize for t in _COLUMNS.values()) != len(data):
        raise ValueError("not whole")
    for name, dtype in _COLUMNS.items():
        columns[name] = np.frombuffer(data, dtype, count, at)
        at += columns[name].nbytes
    names = Names(np.frombuffer(data, np.uint8, num_bytes, at), columns.pop("ends"))
    return ZipIndex(names, **columns, mapped=path)


def read_zip_index(path: Path) -> ZipIndex:
    """The index of a zip file, in memory. Raises `BadZip`, and `OSError` if it cannot be read."""
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
    shift = end - size - start  # of archives with something in front of them
    if shift < 0:
        raise BadZip("its directory lies outside of the file")
    return count, size, start + shift, shift


def _end_record_at(tail: bytes) -> int:
    """Place of the end record; -1 if the file lacks it. Its comment may hold bytes that look like another record."""
    places = [found.start() for found in re.finditer(re.escape(_END_MARK), tail)]
    whole = [place for place in places if place + _END.size <= len(tail)]
    exact = [place for place in whole if place + _END.size + _END.unpack_from(tail, place)[-1] == len(tail)]
    return exact[0] if exact else whole[-1] if whole else -1


def _parse(directory: bytes, count: int, shift: int, file_length: int) -> ZipIndex:
    """Some members at a time: what is made on the way does not grow with their number."""
    at = _header_positions(directory, count)
    try:
        parts = _parse_parts(directory, at, shift, "utf-8")
    except _NotUnicode:
        parts = _parse_parts(directory, at, shift, "cp437")
    names = b"".join(part.pop("names") for part in parts)
    columns: dict[str, Any] = {
        name: np.concatenate([part.pop(name) for part in parts] or [np.empty(0, np.int64)])
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
    """The index with the last of all members of one name, as unpacking them in turn leaves it."""
    _, kind, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    keep = np.ones(len(hashes), dtype=bool)
    seen = set()
    for member in np.flatnonzero(counts[kind] > 1)[::-1].tolist():
        name = index.names[member]
        keep[member] = name not in seen
        seen.add(name)
    names = [name.encode() for name, kept in zip(index.names, keep.tolist(), strict=True) if kept]
    ends = np.cumsum([len(name) for name in names], dtype=np.int64)
    columns = {name: getattr(index, name)[keep] for name in _COLUMNS if name != "ends"}
    return ZipIndex(Names(np.frombuffer(b"".join(names), np.uint8), ends), **columns)


def _parse_parts(directory: bytes, at: np.ndarray, shift: int, encoding: str) -> list[dict[str, Any]]:
    starts = range(0, len(at), _AT_ONCE)
    return [_parse_some(directory, at[start : start + _AT_ONCE], shift, encoding) for start in starts]


def _parse_some(directory: bytes, at: np.ndarray, shift: int, encoding: str) -> dict[str, Any]:
    """Columns of the members with headers at these places, without those that are folders."""
    data = np.frombuffer(directory, dtype=np.uint8)
    headers = sliding_window_view(data, _HEADER.itemsize)[at].view(_HEADER)[:, 0]
    if not (headers["magic"] == b"PK\x01\x02").all():
        raise BadZip("its directory is damaged")
    ends = at + (_HEADER.itemsize - 1) + headers["name_size"]
    marked = (headers["attributes"] & _FOLDER_ATTRIBUTE).astype(bool) & (headers["size"] == 0)
    files = (data[ends] != ord("/")) & ~marked
    headers, at = headers[files], at[files]
    names = _names(directory, at, headers, encoding)
    if not all(names):  # folders that end in a backslash or a dot
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
    return {
        "names": b"".join(names),
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
    """Where the members' headers begin: each tells how long it is."""
    positions, at, end = array("q"), 0, len(directory)
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
    return np.frombuffer(positions, dtype=np.int64) if positions else np.empty(0, dtype=np.int64)


def _extra_fields(directory: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """(Kind, content) of the extra fields of the member with its header at this place."""
    name, extra, _ = _LENGTHS.unpack_from(directory, at + _LENGTHS_AT)
    begin = at + _HEADER.itemsize + name
    field, where = directory[begin : begin + extra], 0
    while where + 4 <= len(field):
        kind, nbytes = struct.unpack_from("<2H", field, where)
        yield kind, field[where + 4 : where + 4 + nbytes]
        where += 4 + nbytes


def _fill_from_zip64(directory: bytes, at: int, columns: tuple[np.ndarray, ...], member: int) -> None:
    """Put in the 64-bit values of a member, which has those that do not fit, in the order of `columns`."""
    for kind, values in _extra_fields(directory, at):
        if kind == 1:
            wanting = [column for column in columns if column[member] == _ALL_ONES]
            if len(values) < 8 * len(wanting):
                break
            for column, (value,) in zip(wanting, struct.iter_unpack("<q", values[: 8 * len(wanting)]), strict=True):
                column[member] = value
            return
    raise BadZip("a Zip64 field is damaged")


def _names(directory: bytes, at: np.ndarray, headers: np.ndarray, encoding: str) -> list[bytes]:
    """Names in UTF-8, with plain slashes between folders; empty for a folder.

    Args:
        encoding: Of the names that do not say that they are in UTF-8.

    Raises:
        BadZip: For a name that would lead out of the folder that it is unpacked in, `_NotUnicode` if such names are not
            in the encoding.
    """
    begins = at + _HEADER.itemsize
    ends = begins + headers["name_size"]
    names = [directory[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
    together = b"\n".join([b"", *names, b""])
    is_plain = together.isascii() and not any(mark in together for mark in _UNUSUAL)
    has_second = _may_have_second_names(directory, at, headers)
    flags, places = (headers["flags"] & _UTF8_FLAG).astype(bool).tolist(), at.tolist()
    for member in np.flatnonzero(has_second).tolist() if is_plain else range(len(names)):
        place = places[member] if has_second[member] else None
        names[member] = _member_name(names[member], encoding, flags[member], directory, place)
    return names


def _may_have_second_names(directory: bytes, at: np.ndarray, headers: np.ndarray) -> np.ndarray:
    """Whether the extra fields of each member, bool, hold the bytes that a Unicode path begins with."""
    result = np.zeros(len(at), dtype=bool)
    if not headers["extra_size"].any():
        return result
    begins = at + _HEADER.itemsize + headers["name_size"]
    ends = begins + headers["extra_size"]
    data = np.frombuffer(directory, dtype=np.uint8)[at[0] : ends[-1]]
    first, second = _UNICODE_PATH.to_bytes(2, "little")
    marks = np.flatnonzero((data[:-1] == first) & (data[1:] == second)) + at[0]
    member = np.searchsorted(at, marks, side="right") - 1
    result[member[(marks >= begins[member]) & (marks < ends[member])]] = True
    return result


def _member_name(raw: bytes, encoding: str, is_flagged: bool, directory: bytes, at: int | None) -> bytes:
    """The name of a member as `_names` gives it.

    Args:
        raw: As it is stored.
        encoding: Of names without the flag of UTF-8.
        at: Place of its header if it may have a second name, else None.
    """
    encoding = "utf-8" if is_flagged else encoding
    second = None if at is None or is_flagged else _second_name(raw, directory, at)
    try:
        text = raw.decode(encoding) if second is None else second
    except UnicodeDecodeError:
        if not is_flagged:
            raise _NotUnicode from None
        raise BadZip("a name in it is not in UTF-8, as it says") from None
    if _LEADS_OUT.search(text):
        raise BadZip(f"its member {text!r} leads out of it")
    if encoding != "utf-8" and second is None and _DOUBTFUL_BACKSLASH.search(raw):
        raise BadZip(f"the name of its member {text!r} is in an unknown encoding; zip it again with names in UTF-8")
    text = text.replace("\\", "/")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if text.endswith(("/", "/.")) or (text == "."):
        return b""
    if not parts:
        raise BadZip("it has a member without a name")
    return "/".join(parts).encode()


def _second_name(raw: bytes, directory: bytes, at: int) -> str | None:
    """The UTF-8 name that Info-ZIP and others store beside a name in a code page; None if it is missing or stale."""
    for kind, content in _extra_fields(directory, at):
        if kind == _UNICODE_PATH and len(content) > 5 and content[0] == 1:
            if int.from_bytes(content[1:5], "little") != zlib.crc32(raw):
                return None
            try:
                return content[5:].decode("utf-8")
            except UnicodeDecodeError:
                raise BadZip("a Unicode path field is damaged") from None
    return None
