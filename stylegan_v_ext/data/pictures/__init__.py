"""Pictures: from the bytes of an image file to RGB pixels.

`reading.py` reads any picture, `jpeg.py` reads JPEG frames at full speed, `colour.py` converts colour profiles.
"""

from stylegan_v_ext.data.pictures.reading import (
    NotAFrame,
    decode_frame,
    image_faults,
    open_image,
    read_picture,
    read_pixels,
    side_of_frames,
)

__all__ = [
    "NotAFrame",
    "decode_frame",
    "image_faults",
    "open_image",
    "read_picture",
    "read_pixels",
    "side_of_frames",
]
