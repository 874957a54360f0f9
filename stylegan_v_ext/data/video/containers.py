"""What the bytes of a file tell without a decoder: its kind, whether it is an animation, whether its end is missing."""

import os
import struct
from pathlib import Path
from typing import BinaryIO

HEAD = 4096  # bytes that tell the kind of a file
_BOXES = {b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"meta", b"uuid", b"sidx", b"mfra", b"ftyp", b"styp"}
SEQUENCES = {b"avis", b"msf1", b"hevc", b"hevx"}  # brands of AVIF and HEIC files that hold sequences
_PACKET = 188  # bytes of MPEG-TS
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_BLOCK = 2**14  # packets that are looked at at a time


def is_animation(source: bytes | str | Path) -> bool:
    """Whether a picture holds several frames: WebP, AVIF, HEIC and PNG may, under endings that stills have, too.

    source: a path, or the bytes of the file; its first 4096 serve. A file that cannot be read is no animation.
    """
    if isinstance(source, bytes):
        head = source[:HEAD]
    else:
        try:
            if not os.path.isfile(source):
                return False
            with open(source, "rb") as file:
                head = file.read(HEAD)
        except OSError:
            return False
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X":
        return bool(head[20:21]) and bool(head[20] & 2)
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        chunks = head.partition(b"IDAT")[0]
        return b"acTL" in chunks
    return head[4:8] == b"ftyp" and not _is_still(head)


def brands(head: bytes) -> set[bytes]:
    """What the head of a file of the MPEG-4 family says that it is; empty for other files."""
    if head[4:8] != b"ftyp" or len(head) < 16:
        return set()
    size = min(struct.unpack_from(">I", head)[0], len(head))
    return {head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))}


def _is_still(head: bytes) -> bool:
    """Whether a file of the MPEG-4 family holds pictures alone."""
    return bool(brands(head) & {b"avif", b"heic", b"heix", b"mif1"}) and not brands(head) & SEQUENCES


def other_kind(head: bytes) -> str:
    """A clause that says what a file is instead of a video; empty if it may be one. head: the first bytes."""
    start = head[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<script")):
        return "it is a web page, not a video"
    if head[:3] == b"\xff\xd8\xff" or head[:2] == b"BM" and head[6:10] == bytes(4) or head[:4] in (b"II*\0", b"MM\0*"):
        return "it is a still picture, not a video"
    still = (head[:8] == b"\x89PNG\r\n\x1a\n" or head[8:12] == b"WEBP") and not is_animation(head)
    if still or _is_still(head):
        return "it is a still picture, not a video"
    if head[:4] in (b"PK\3\4", b"PK\5\6", b"Rar!", b"7z\xbc\xaf") or head[:2] == b"\x1f\x8b":
        return "it is an archive, not a video"
    if head[:5] == b"%PDF-":
        return "it is a PDF, not a video"
    if head.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS; `git lfs pull` fetches the video itself"
    if not head.strip(b"\0"):
        return "it holds zeros alone"
    if _is_text(head):
        return "it is a text, not a video"
    return ""


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return False
        text = head[: error.start].decode()
    return bool(text) and all(c.isprintable() or c in "\t\r\n\f\x1b" for c in text)


def broken_place(file: BinaryIO) -> int | None:
    """Byte from which the structure of MPEG-TS or FLV is broken or missing; None for a sound file and other formats."""
    head = _at(file, 0, 16)
    size = file.seek(0, os.SEEK_END)
    if head[:3] == b"FLV":
        return _broken_tag(file, size)
    for sync, stride in ((0, _PACKET), (4, _PACKET + 4)):
        if all(_at(file, sync + number * stride, 1) == b"G" for number in range(3)):
            return _lost_sync(file, size, sync, stride)
    return None


def missing_end(file: BinaryIO) -> str:
    """A clause that says that the end of a file is missing; empty if it is there, or if nobody can tell."""
    head = _at(file, 0, 16)
    size = file.seek(0, os.SEEK_END)
    lost = False
    if head[4:8] in _BOXES:
        lost = _boxes_end(file) > size
    elif head[:4] == b"RIFF":
        announced = struct.unpack("<I", head[4:8])[0]
        lost = 0 < announced < 2**32 - 1 and announced + 8 > size + (size & 1) and size < 2**30
    elif head[:4] == b"\x1aE\xdf\xa3":
        lost = _segment_end(file) > size
    elif head[:3] == b"GIF":
        lost = _gif_ends_early(file)
    elif head[:4] == b"OggS":
        lost = _page_end(file, size) > size
    elif head == _ASF_HEADER:
        _, found, rest = _at(file, 0, HEAD).partition(_ASF_FILE)
        lost = bool(found) and len(rest) >= 32 and struct.unpack_from("<Q", rest, 24)[0] > size
    return "it is cut off" if lost else ""


def _at(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)


def _boxes_end(file: BinaryIO) -> int:
    """Where the last box at the top of a file of the MPEG-4 family ends."""
    place = 0
    while len(head := _at(file, place, 16)) >= 8 and head[4:8] in _BOXES:
        size = struct.unpack_from(">I", head)[0]
        if size == 1 and len(head) == 16:
            size = struct.unpack_from(">Q", head, 8)[0]
        if size < 8:  # 0: the box goes to the end of the file
            break
        place += size
    return place


def _segment_end(file: BinaryIO) -> int:
    """Where the segment of a Matroska file ends; 0 if the file does not say."""
    place, data = 0, _at(file, 0, HEAD)
    for name in (b"\x1aE\xdf\xa3", b"\x18S\x80g"):
        if data[place : place + 4] != name or place + 5 > len(data) or not data[place + 4]:
            return 0
        length = 9 - data[place + 4].bit_length()
        number = int.from_bytes(data[place + 4 : place + 4 + length], "big") & ((1 << 7 * length) - 1)
        unknown = number == (1 << 7 * length) - 1
        place += 4 + length + (0 if name == b"\x18S\x80g" else number)
        if name == b"\x18S\x80g":
            return 0 if unknown else place + number
    return 0


def _lost_sync(file: BinaryIO, size: int, sync: int, stride: int) -> int | None:
    """Where the first packet of MPEG-TS begins that has no sync byte, or is not whole; None if all are sound."""
    place = 0
    while block := _at(file, place, _BLOCK * stride):
        marks = block[sync::stride]
        if marks != b"G" * len(marks):
            wrong = next(number for number, mark in enumerate(marks) if mark != ord("G"))
            rest = block[wrong * stride :]
            return place + wrong * stride if rest.strip(b"\0\xff") else None  # filling at the end
        place += len(block)
    return size - size % stride if size % stride else None


def _broken_tag(file: BinaryIO, size: int) -> int | None:
    """Where the first tag of an FLV file begins that is broken, or is not whole; None if all are sound."""
    place = int.from_bytes(_at(file, 5, 4), "big") + 4
    while place < size:
        length = 11 + int.from_bytes(_at(file, place + 1, 3), "big")
        after = _at(file, place + length, 4)
        if len(after) < 4 or int.from_bytes(after, "big") not in (length, length - 11, 0):
            return place
        place += length + 4
    return None


def _page_end(file: BinaryIO, size: int) -> int:
    """Where the last page of an Ogg file ends, as its head says."""
    start = max(size - 2**16, 0)
    tail = _at(file, start, 2**16)
    place = tail.rfind(b"OggS")
    segments = tail[place + 27 : place + 27 + tail[place + 26]] if place + 26 < len(tail) else b""
    if place < 0:
        return size
    if place + 26 >= len(tail) or len(segments) < tail[place + 26]:
        return size + 1
    return start + place + 27 + len(segments) + sum(segments)


def _gif_ends_early(file: BinaryIO) -> bool:
    head = _at(file, 0, 13)
    if len(head) < 13:
        return True
    place = 13 + (3 << (head[10] & 7) + 1 if head[10] & 128 else 0)
    while kind := _at(file, place, 1):
        if kind == b"!":
            place = _after_blocks(file, place + 2)
        elif kind == b",":
            flags = (_at(file, place + 9, 1) or b"\0")[0]
            place = _after_blocks(file, place + 11 + (3 << (flags & 7) + 1 if flags & 128 else 0))
        elif kind == b"\0":  # filling between blocks
            place += 1
        else:
            return False  # the end, or something else, which FFmpeg judges
        if not place:
            return True
    return True


def _after_blocks(file: BinaryIO, place: int) -> int:
    """The place after a chain of sub-blocks; 0 if the file ends inside it."""
    while length := _at(file, place, 1):
        place += 1 + length[0]
        if not length[0]:
            return place
    return 0
