"""The structure of video files: where their packets, chunks or boxes are broken, and whether their end is missing.

FFmpeg passes over such damage without an error.
"""

import os
import re
import struct
from typing import BinaryIO

from stylegan_v_ext.data.kinds import HEAD, Y4M

_BOXES = {b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"meta", b"uuid", b"sidx", b"mfra", b"ftyp", b"styp"}
_PACKET = 188  # bytes of a packet of MPEG-TS
_BLOCK = 2**14  # packets that are read together
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_CHUNK_NAME = re.compile(rb"[0-9]{2}[0-9A-Za-z_]{2}|ix[0-9]{2}|JUN[KQ]|LIST|RIFF|idx1")  # names of the chunks of AVI
_KLV = b"\x06\x0e\x2b\x34"  # the beginning of each key in MXF
_MOST_Y4M = 2**27  # bytes of a frame of Y4M
_DV_FRAME = b"\x1f\x07\0"  # the beginning of each frame of DV
_DV_LENGTHS = (120_000, 144_000, 240_000, 288_000, 480_000, 576_000)  # bytes of a frame
_DV_BLOCK = 80  # bytes of a block; three bits of the first byte tell its kind
_DV_KIND = bytes(value >> 5 for value in range(256))
# Kinds of the blocks of a sequence, which has 12,000 bytes.
_DV_KINDS = bytes([0, 1, 1, 2, 2, 2] + 9 * ([3] + 15 * [4]))


def broken_place(file: BinaryIO) -> int | None:
    """Find the place from which a file of MPEG-TS, FLV, AVI, MXF, IVF, Y4M or DV is broken or cut off.

    Args:
        file: The file, open for reading; its position moves.

    Returns:
        The place in bytes; None for a sound file, and for other formats.
    """
    head = _at(file, 0, 16)
    size = file.seek(0, os.SEEK_END)
    if head[:3] == b"FLV":
        return _broken_tag(file, size)
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return _broken_chunk(file, size)
    if head[:4] == _KLV:
        return _broken_klv(file, size)
    if head[:10] == Y4M:
        return _cut_y4m_frame(file, size)
    if head[:4] == b"DKIF":
        return _cut_packet(file, size)
    if head[:3] == _DV_FRAME:
        return _broken_dv_frame(file, size)
    packets = _packets(file)
    return _lost_sync(file, size, *packets) if packets else None


def forced_format(file: BinaryIO) -> str | None:
    """Name the format of a file that FFmpeg may take for another format, because it is short.

    Args:
        file: The file, open for reading; its position moves.

    Returns:
        FFmpeg's name of the format; None if FFmpeg recognises the file.
    """
    return "mpegts" if _packets(file) else None


def _packets(file: BinaryIO) -> tuple[int, int] | None:
    """Return (bytes before the sync byte of a packet, bytes from packet to packet) of MPEG-TS; otherwise None."""
    if _at(file, 0, 3) == b"GIF":
        return None
    for sync, stride in ((0, _PACKET), (4, _PACKET + 4)):
        if all(_at(file, sync + number * stride, 1) == b"G" for number in range(3)):
            return sync, stride
    return None


def missing_end(file: BinaryIO) -> str:
    """Check whether the end of a file is missing.

    Args:
        file: The file, open for reading; its position moves.

    Returns:
        A clause that says so; empty if the end is there, or if the format has no mark for it.
    """
    head = _at(file, 0, 16)
    size = file.seek(0, os.SEEK_END)
    lost = False
    if head[4:8] in _BOXES:
        lost = _boxes_end(file) > size
    elif head[:4] == b"RIFF":
        announced = int.from_bytes(head[4:8], "little")
        lost = 0 < announced < 2**32 - 1 and announced + 8 > size + (size & 1) and size < 2**30
    elif head[:4] == b"\x1aE\xdf\xa3":
        lost = _last_element_end(file, size) > size
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
    """Find the end of the last top-level box of a file of the MPEG-4 family."""
    place = 0
    while len(head := _at(file, place, 16)) >= 8 and head[4:8] in _BOXES:
        size = struct.unpack_from(">I", head)[0]
        if size == 1 and len(head) == 16:
            size = struct.unpack_from(">Q", head, 8)[0]
        if size < 8:  # 0 means that the box goes to the end of the file
            break
        place += size
    return place


def _last_element_end(file: BinaryIO, size: int) -> int:
    """Find the end of the last element of a Matroska file; live recordings state no length of their segment."""
    place = 0
    while place < size:
        head = _at(file, place, 12)
        at = 9 - head[0].bit_length()  # place behind the name
        if at > 4 or head[at : at + 1] == b"\0":
            return place  # no element begins here
        length = 9 - head[at].bit_length() if at < len(head) else 8
        if at + length > len(head):
            return size + 1
        number = int.from_bytes(head[at : at + length], "big") & ((1 << 7 * length) - 1)
        place += at + length
        if number == (1 << 7 * length) - 1:
            continue  # without a length: its elements follow
        place += number
        if head[:at] == b"\x18S\x80g":
            return place
    return place


def _lost_sync(file: BinaryIO, size: int, sync: int, stride: int) -> int | None:
    """Find the first packet of MPEG-TS that has no sync byte or is not whole; None if all are sound."""
    place = 0
    while block := _at(file, place, _BLOCK * stride):
        marks = block[sync::stride]
        if marks != b"G" * len(marks):
            wrong = next(number for number, mark in enumerate(marks) if mark != ord("G"))
            rest = block[wrong * stride :]
            return place + wrong * stride if rest.strip(b"\0\xff") else None  # the end may be filled up
        place += len(block)
    return size - size % stride if size % stride else None


def _broken_tag(file: BinaryIO, size: int) -> int | None:
    """Find the first tag of an FLV file that is broken or not whole; None if all are sound."""
    place = int.from_bytes(_at(file, 5, 4), "big") + 4
    while place < size:
        length = 11 + int.from_bytes(_at(file, place + 1, 3), "big")
        after = _at(file, place + length, 4)
        if len(after) < 4 or int.from_bytes(after, "big") not in (length, length - 11, 0):
            return place
        place += length + 4
    return None


def _broken_chunk(file: BinaryIO, size: int) -> int | None:
    """Find the first broken chunk among the frames of an AVI file; None if all are sound."""
    place = 12
    end = 0  # end of the list of frames
    padding = -1  # bytes behind chunks of odd length; -1 if unknown
    while place + 8 <= size:
        name, length, kind = struct.unpack("<4sI4s", _at(file, place, 12).ljust(12))
        if name in (b"RIFF", b"LIST") and kind in (b"AVIX", b"movi", b"rec "):
            end = place + 8 + length if kind == b"movi" and length else end
            place += 12
        elif _CHUNK_NAME.fullmatch(name):
            place += 8 + length
            if length & 1 and padding < 0:  # some programs forget the padding
                padding = int(not _CHUNK_NAME.fullmatch(_at(file, place, 4)))
            place += padding if length & 1 else 0
        else:
            return place if place < end else None
    return None


def _broken_klv(file: BinaryIO, size: int) -> int | None:
    """Find the first broken triplet of key, length and value in an MXF file; None if all are sound."""
    place = 0
    while place < size:
        head = _at(file, place, 25)
        if head[:4] != _KLV or len(head) < 17:
            return place
        count = head[16] & 127 if head[16] & 128 else 0  # bytes of a length that does not fit into one byte
        place += 17 + count + (int.from_bytes(head[17 : 17 + count], "big") if count else head[16])
    return None if place == size else size


def _cut_y4m_frame(file: BinaryIO, size: int) -> int | None:
    """Find the last frame of a Y4M file if it is not whole; None if it is whole, or if it is the only frame."""
    first = _at(file, 0, HEAD).find(b"\nFRAME") + 1
    stride = 5 + _at(file, first + 5, _MOST_Y4M).find(b"FRAME")
    rest = (size - first) % stride
    return size - rest if first and stride > 5 and rest else None


def _cut_packet(file: BinaryIO, size: int) -> int | None:
    """Find the packet of an IVF file that is not whole; None if all packets are whole."""
    place = int.from_bytes(_at(file, 6, 2), "little")
    while place < size:
        after = place + 12 + int.from_bytes(_at(file, place, 4), "little")
        if after > size:
            return place
        place = after
    return None


def _broken_dv_frame(file: BinaryIO, size: int) -> int | None:
    """Find the first frame of a DV file whose blocks are not in order or not complete; None if all are sound."""
    stride = next((length for length in _DV_LENGTHS if _at(file, length, 3) == _DV_FRAME), 0)
    for place in range(0, size, stride or size):
        if stride and _at(file, place, stride)[::_DV_BLOCK].translate(_DV_KIND) != _DV_KINDS * (stride // 12_000):
            return place
    return None


def _page_end(file: BinaryIO, size: int) -> int:
    """Find the end of the last page of an Ogg file, as the head of the page states it."""
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
    """Check whether the last block of a GIF is not whole."""
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
        elif kind == b"\0":  # a filling byte between blocks
            place += 1
        else:
            return False  # the end mark, or something that FFmpeg judges
        if not place:
            return True
    return True


def _after_blocks(file: BinaryIO, place: int) -> int:
    """Return the place after a chain of sub-blocks; 0 if the file ends inside the chain."""
    while length := _at(file, place, 1):
        place += 1 + length[0]
        if not length[0]:
            return place
    return 0
