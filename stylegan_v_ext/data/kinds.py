"""What kind of file something is: by the ending of its name, or by its first bytes.

The process that decodes videos imports this module; it needs the standard library alone.
"""

import contextlib
import os
import struct
from pathlib import Path

METADATA_NAME = "dataset.json"
_PICTURE_ENDINGS = ".jpg .jpeg .jpe .jfif .png .webp .bmp .tif .tiff .avif .ppm .pgm .pbm .pnm"
_VIDEO_ENDINGS = (
    ".mp4 .mov .webm .gif .avi .mkv .m4v .qt .3gp .3g2 .divx .wmv .asf .mpg .mpeg .mpe .m1v .m2v .vob .ts .mts .m2ts "
    ".m2t .flv .f4v .ogv .ogg .ogm .mxf .dv .y4m .ivf .apng"
)
PICTURE_SUFFIXES = tuple(_PICTURE_ENDINGS.split())
VIDEO_SUFFIXES = tuple(_VIDEO_ENDINGS.split())
ANIMATION_SUFFIXES = (".webp", ".avif", ".heic", ".heif", ".heics", ".avifs", ".png")  # most may be stills, too
ARRAY_SUFFIXES = (".npy", ".npz")
HEAD = 4096  # bytes at the beginning of a file that tell its kind
SEQUENCES = {b"avis", b"msf1", b"hevc", b"hevx"}  # brands of AVIF and HEIC files that hold sequences
Y4M = b"YUV4MPEG2 "
_PNG = b"\x89PNG\r\n\x1a\n"
_STILLS = {b"avif", b"heic", b"heix", b"mif1"}  # brands of files that may hold only stills
_LFS = b"version https://git-lfs"
_MATROSKA = b"\x1aE\xdf\xa3"
_VIDEO_STARTS = ((4, b"ftyp"), (0, _MATROSKA), (8, b"AVI "), (0, b"GIF8"))  # (place in the file, mark)
_ARCHIVES = {
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"\x1f\x8b": "gzip (.tar.gz)",
    b"BZh": "bzip2 (.tar.bz2)",
    b"\xfd7zXZ\x00": "xz (.tar.xz)",
    b"\x28\xb5\x2f\xfd": "zstd (.tar.zst)",
}
_TAR_MARK, _TAR_MARK_AT = b"ustar", 257
_NO_PICTURES = (  # (what a file is, place of its mark in the file, mark)
    ("HEIC", 4, b"ftyphei"),
    ("HEIC", 4, b"ftypmif1"),
    ("a video", 4, b"ftyp"),
    ("a video", 0, _MATROSKA),
    ("a GIF", 0, b"GIF8"),
    ("a Photoshop file", 0, b"8BPS"),
    ("JPEG 2000", 4, b"jP  "),
    ("JPEG XL", 0, b"\xff\x0a"),
    ("JPEG XL", 4, b"JXL "),
    ("OpenEXR", 0, b"v/1\x01"),
    ("a web page or SVG", 0, b"<"),
    ("PDF", 0, b"%PDF"),
    ("PostScript", 0, b"%!PS"),
    ("a zip", 0, b"PK\x03\x04"),
    ("a pointer of Git LFS", 0, _LFS),
)


def is_picture(name: str) -> bool:
    """Check whether a file is a picture, by the ending of its name."""
    return name.endswith(PICTURE_SUFFIXES) or name.lower().endswith(PICTURE_SUFFIXES)


def is_zip(head: bytes) -> bool:
    """Check whether a file is a zip, by its first bytes."""
    return head[:4] in (b"PK\3\4", b"PK\5\6")


def starts_like_video(head: bytes) -> bool:
    """Check whether a file is a video of a common kind, by its first bytes."""
    return any(head.startswith(mark, place) for place, mark in _VIDEO_STARTS)


def kind_of_archive(path: Path) -> str:
    """Name the kind of an archive that is no zip, by its first bytes; "" for all other files."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        head = file.read(_TAR_MARK_AT + len(_TAR_MARK))
        if head[_TAR_MARK_AT:] == _TAR_MARK:
            return "tar"
        return next((kind for mark, kind in _ARCHIVES.items() if head.startswith(mark)), "")
    return ""


def instead_of_picture(head: bytes) -> str:
    """Say what a file is that should be a picture, such as "a GIF"; "" if its first bytes do not tell."""
    return next((kind for kind, place, mark in _NO_PICTURES if head.startswith(mark, place)), "")


def is_animation(source: bytes | str | Path) -> bool:
    """Check whether a file of WebP, AVIF, HEIC or PNG holds several frames; such files may be stills or animations.

    Args:
        source: A path, or the first `HEAD` bytes of the file. A file that cannot be read is no animation.
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
    if head[:8] == _PNG:
        chunks = head.partition(b"IDAT")[0]
        return b"acTL" in chunks
    return head[4:8] == b"ftyp" and not _is_still(head)


def brands(head: bytes) -> set[bytes]:
    """Return the brands that a file of the MPEG-4 family states at its beginning; empty for other files."""
    if head[4:8] != b"ftyp" or len(head) < 16:
        return set()
    size = min(struct.unpack_from(">I", head)[0], len(head))
    return {head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))}


def _is_still(head: bytes) -> bool:
    """Check whether a file of the MPEG-4 family holds only still pictures."""
    return bool(brands(head) & _STILLS) and not brands(head) & SEQUENCES


def other_kind(head: bytes) -> str:
    """Say what a file is instead of a video.

    Args:
        head: The first `HEAD` bytes of the file.

    Returns:
        A clause such as "it is a text, not a video"; empty if the file may be a video.
    """
    start = head[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<script")):
        return "it is a web page, not a video"
    if head[:3] == b"\xff\xd8\xff" or head[:2] == b"BM" and head[6:10] == bytes(4) or head[:4] in (b"II*\0", b"MM\0*"):
        return "it is a still picture, not a video"
    still = (head[:8] == _PNG or head[8:12] == b"WEBP") and not is_animation(head)
    if still or _is_still(head):
        return "it is a still picture, not a video"
    if head[:4] in (b"PK\3\4", b"PK\5\6", b"Rar!", b"7z\xbc\xaf") or head[:2] == b"\x1f\x8b":
        return "it is an archive, not a video"
    if head[:5] == b"%PDF-":
        return "it is a PDF, not a video"
    if head.startswith(_LFS):
        return "it is a pointer of Git LFS; `git lfs pull` fetches the video itself"
    if not head.strip(b"\0"):
        return "it holds only zeros"
    if _is_text(head):
        return "it is a text, not a video"
    return ""


def _is_text(head: bytes) -> bool:
    """Check whether the first bytes of a file are readable text in UTF-8."""
    if head.startswith(Y4M):  # its head is text, and its pixels may look like text
        return False
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return False
        text = head[: error.start].decode()
    return bool(text) and all(c.isprintable() or c in "\t\r\n\f\x1b" for c in text)
