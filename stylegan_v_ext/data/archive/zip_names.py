"""Names of the members of a zip file, as an unpacker would write them.

`./` and doubled slashes are removed, and backslashes separate folders. Names that lead out of the folder in which the
file is unpacked are refused. Layout: PKWARE's APPNOTE 6.3.10, section 4.6.9 (Unicode path).
"""

import re
import struct
import zlib
from collections.abc import Iterator

import numpy as np

from stylegan_v_ext.data.archive.zip_index import BadZip

# The header of a member in the directory; its name follows.
HEADER = np.dtype(
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
LENGTHS = struct.Struct("<3H")  # lengths of name, extra field and comment
LENGTHS_AT = 28  # place of the lengths in a header
_UTF8_FLAG = 1 << 11
_UNICODE_PATH = 0x7075  # kind of the extra field that holds a second name, in UTF-8
_UNUSUAL = (b"\\", b"//", b"./", b".\n", b":", b"\n/", b"\n\n")  # names with these need a closer look
_DOUBTFUL_BACKSLASH = re.compile(rb"[\x80-\xff]\\")  # may be half a character of Japanese or Chinese code pages
_LEADS_OUT = re.compile(r"^[/\\]|^[a-zA-Z]:|(^|[/\\])\.\.($|[/\\])")


class NotUnicode(ValueError):
    """Names without the flag of UTF-8 are not in the expected encoding."""


def extra_fields(directory: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Yield (kind, content) of each extra field of the member whose header is at this place of the directory."""
    name, extra, _ = LENGTHS.unpack_from(directory, at + LENGTHS_AT)
    begin = at + HEADER.itemsize + name
    field, where = directory[begin : begin + extra], 0
    while where + 4 <= len(field):
        kind, nbytes = struct.unpack_from("<2H", field, where)
        yield kind, field[where + 4 : where + 4 + nbytes]
        where += 4 + nbytes


def member_names(directory: bytes, at: np.ndarray, headers: np.ndarray, encoding: str) -> list[bytes]:
    """Read the names of members.

    Args:
        directory: The whole directory.
        at: Places of the members' headers in the directory, int64.
        headers: These headers, of type `HEADER`.
        encoding: Encoding of names that do not say that they are in UTF-8.

    Returns:
        Names in UTF-8 with plain slashes between folders; empty for a folder.

    Raises:
        BadZip: If a name would lead out of the folder in which the zip is unpacked.
        NotUnicode: If a name that does not say that it is in UTF-8 is not in `encoding`.
    """
    begins = at + HEADER.itemsize
    ends = begins + headers["name_size"]
    names = [directory[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
    together = b"\n".join([b"", *names, b""])
    is_plain = together.isascii() and not any(mark in together for mark in _UNUSUAL)
    has_second = _may_have_second_names(directory, at, headers)
    flags, places = (headers["flags"] & _UTF8_FLAG).astype(bool).tolist(), at.tolist()
    for member in np.flatnonzero(has_second).tolist() if is_plain else range(len(names)):
        place = places[member] if has_second[member] else None
        names[member] = _member_name(names[member], encoding, is_flagged=flags[member], directory=directory, at=place)
    return names


def _may_have_second_names(directory: bytes, at: np.ndarray, headers: np.ndarray) -> np.ndarray:
    """Check for each member whether its extra fields hold the bytes with which a second name begins; bool."""
    result = np.zeros(len(at), dtype=bool)
    if not headers["extra_size"].any():
        return result
    begins = at + HEADER.itemsize + headers["name_size"]
    ends = begins + headers["extra_size"]
    data = np.frombuffer(directory, dtype=np.uint8)[at[0] : ends[-1]]
    first, second = _UNICODE_PATH.to_bytes(2, "little")
    marks = np.flatnonzero((data[:-1] == first) & (data[1:] == second)) + at[0]
    member = np.searchsorted(at, marks, side="right") - 1
    result[member[(marks >= begins[member]) & (marks < ends[member])]] = True
    return result


def _member_name(raw: bytes, encoding: str, *, is_flagged: bool, directory: bytes, at: int | None) -> bytes:
    """Read the name of one member; see `member_names`.

    Args:
        raw: The name as it is stored.
        encoding: Encoding of names without the flag of UTF-8.
        is_flagged: Whether the member has the flag of UTF-8.
        directory: The whole directory.
        at: Place of the member's header if it may have a second name; None if it has no second name.
    """
    encoding = "utf-8" if is_flagged else encoding
    second = None if at is None or is_flagged else _second_name(raw, directory, at)
    try:
        text = raw.decode(encoding) if second is None else second
    except UnicodeDecodeError:
        if not is_flagged:
            raise NotUnicode from None
        raise BadZip("a name in it is marked as UTF-8, but is not in UTF-8") from None
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
    """Read the UTF-8 name that Info-ZIP and others add to a name in a code page; None if it is missing or outdated."""
    for kind, content in extra_fields(directory, at):
        if kind == _UNICODE_PATH and len(content) > 5 and content[0] == 1:
            if int.from_bytes(content[1:5], "little") != zlib.crc32(raw):
                return None
            try:
                return content[5:].decode("utf-8")
            except UnicodeDecodeError:
                raise BadZip("a Unicode path field is damaged") from None
    return None
