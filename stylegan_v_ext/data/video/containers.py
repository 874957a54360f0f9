"""What the first bytes of a file tell without a decoder: its kind, and whether it is an animation."""

import os
import struct
from pathlib import Path

HEAD = 4096  # bytes that tell the kind of a file
SEQUENCES = {b"avis", b"msf1", b"hevc", b"hevx"}  # brands of AVIF and HEIC files that hold sequences
Y4M = b"YUV4MPEG2 "


def is_animation(source: bytes | str | Path) -> bool:
    """Whether a picture holds several frames: WebP, AVIF, HEIC and PNG may, under endings that stills have, too.

    Args:
        source: A path, or the bytes of the file; its first 4096 serve. A file that cannot be read is no animation.
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
    """A clause that says what a file is instead of a video; empty if it may be one.

    Args:
        head: The first bytes.
    """
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
    if head.startswith(Y4M):  # a head of text, and pixels that may look like some
        return False
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return False
        text = head[: error.start].decode()
    return bool(text) and all(c.isprintable() or c in "\t\r\n\f\x1b" for c in text)
