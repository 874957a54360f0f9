"""Decoding JPEG frames at full speed in many threads.

Pillow holds Python's global lock while it looks at a file, so that threads wait for each other; simplejpeg
decodes to the same pixels without it. Where it is not installed, or a file is no sound JPEG in colour, Pillow
has the say.
"""

import numpy as np

try:
    import simplejpeg
except ImportError:  # no wheel for this platform
    simplejpeg = None

MOST_PIXELS = 8192**2  # of a picture, whatever its format; Pillow alone would decode twice as many
_MARKER = b"\xff\xd8\xff"


def decode_jpeg(data: bytes) -> np.ndarray | None:
    """RGB frame uint8 `[H, W, 3]` of a sound JPEG file in colour; `None` for anything else, and for too many pixels."""
    if simplejpeg is None or not data.startswith(_MARKER):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours not in ("YCbCr", "RGB") or height * width > MOST_PIXELS:
            return None
        return simplejpeg.decode_jpeg(data, "RGB")
    except ValueError:
        return None
