"""Decoding JPEG frames at full speed in many threads.

Pillow holds Python's global lock while it looks at a file, so that threads wait for each other. simplejpeg decodes to
the same pixels without the lock. Pillow reads a file if simplejpeg is not installed, or if the file is no sound JPEG in
colour.
"""

import struct

import numpy as np

from stylegan_v_ext.data.limits import MOST_PIXELS
from stylegan_v_ext.data.pictures.colour import is_srgb

try:
    import simplejpeg
except ImportError:  # there is no wheel for this platform
    simplejpeg = None

_MARKER = b"\xff\xd8\xff"
_EXIF, _XMP, _ICC = b"Exif\x00\x00", b"http://ns.adobe.com/xap/1.0/\x00", b"ICC_PROFILE\x00"
_APP1, _APP2, _START_OF_SCAN = 0xE1, 0xE2, 0xDA
_ORIENTATION, _ENTRY_NBYTES = 0x0112, 12


def decode_jpeg(data: bytes) -> np.ndarray | None:
    """Decode a JPEG file whose pixels need no change.

    Args:
        data: Content of a file.

    Returns:
        RGB pixels, uint8 `[H, W, 3]`; None unless the file is a sound JPEG in colour that is upright, in sRGB and not
        too large.
    """
    if simplejpeg is None or not data.startswith(_MARKER):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours not in ("YCbCr", "RGB") or height * width > MOST_PIXELS or not _is_plain(data):
            return None
        return simplejpeg.decode_jpeg(data, "RGB")
    except ValueError:
        return None


def _is_plain(data: bytes) -> bool:
    """Check whether the header of a JPEG file says that its pixels are upright and in sRGB."""
    profile, at, end = b"", 2, len(data) - 4
    while at < end and data[at] == 0xFF:
        kind = data[at + 1]
        if kind == _START_OF_SCAN:
            break
        if kind == 0xFF:  # a filling byte
            at += 1
            continue
        next_at = at + 2 + (data[at + 2] << 8 | data[at + 3])
        if kind == _APP1:
            if data.startswith(_EXIF, at + 4):
                if _orientation(data[at + 10 : next_at]) != 1:
                    return False
            elif data.startswith(_XMP, at + 4) and data.find(b"tiff:Orientation", at, next_at) >= 0:
                return False  # Pillow decides
        elif kind == _APP2 and data.startswith(_ICC, at + 4):
            profile += data[at + 18 : next_at]  # if the parts are not in order, Pillow decides
        at = next_at
    return is_srgb(profile)


def _orientation(tiff: bytes) -> int:
    """Return the orientation, 1 (upright) to 8, in the EXIF part of a file; 1 if it is not stated."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return 1
    at = struct.unpack_from(order + "I", tiff, 4)[0]
    if at + 2 > len(tiff):
        return 1
    count = struct.unpack_from(order + "H", tiff, at)[0]
    last = min(at + 2 + count * _ENTRY_NBYTES, len(tiff) - _ENTRY_NBYTES + 1)
    for entry in range(at + 2, last, _ENTRY_NBYTES):
        tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, entry)
        if tag == _ORIENTATION:
            return value if 1 <= value <= 8 else 1
    return 1
