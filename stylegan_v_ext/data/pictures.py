"""One picture: from the bytes of a file to RGB pixels."""

import contextlib
import io
from collections.abc import Iterator

import numpy as np
import PIL.Image
import PIL.ImageOps

from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.geometry import BLACK
from stylegan_v_ext.data.jpeg import MOST_PIXELS, decode_jpeg

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def is_picture(name: str) -> bool:
    """Whether a file is a picture, by its ending."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def read_picture(data: bytes, name: str, background: tuple[int, int, int] = BLACK) -> PIL.Image.Image:
    """RGB picture of 8 bits, upright. Raises `DataError` naming a picture that cannot be read.

    background: RGB colour, 0 to 255, behind what is transparent.
    """
    with image_faults(f"{name} is not a readable image"):
        image = open_image(data)
    with image_faults(f"{name} is truncated or damaged"), image:
        upright = PIL.ImageOps.exif_transpose(image)
        if not upright.has_transparency_data:
            return upright.convert("RGB")
        picture = upright.convert("RGBA")
        ground = PIL.Image.new("RGBA", picture.size, (*background, 255))
        return PIL.Image.alpha_composite(ground, picture).convert("RGB")


def open_image(data: bytes) -> PIL.Image.Image:
    """An image file of one of the expected formats; PIL's other readers, some of which run programs, stay out.

    Raises whatever PIL raises for a damaged file, which `image_faults` turns into a `DataError`.
    """
    image = PIL.Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP", "BMP"))
    if image.width * image.height > MOST_PIXELS:
        raise PIL.Image.DecompressionBombError(f"{image.width}x{image.height} pixels")
    return image


@contextlib.contextmanager
def image_faults(sentence: str) -> Iterator[None]:
    """Turn every error of an image reader in the block into `DataError(sentence)`, except a lack of memory."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - readers of damaged files raise errors of many kinds
        raise DataError(sentence) from None


def decode_frame(data: bytes, name: str, resolution: int | None = None, header_only: bool = False) -> np.ndarray:
    """RGB frame, uint8 `[H, W, 3]`. Raises `DataError` naming the frame that is not sound.

    resolution: required width and height, `None` for any square. header_only: look at size and mode
    without decoding; the array is then empty.
    """
    pixels = None if header_only else decode_jpeg(data)
    if pixels is not None and pixels.shape[:2] == (resolution or pixels.shape[1],) * 2:
        return pixels
    with image_faults(f"{name} is not a readable image"):
        image = open_image(data)
    width, height = image.size
    wanted = resolution if resolution is not None else width
    if (width, height) != (wanted, wanted):
        expected = f"{wanted}x{wanted}" if resolution is not None else "a square"
        raise DataError(f"{name} is {width}x{height}, expected {expected}")
    if image.mode != "RGB":
        raise DataError(f"{name} has colour mode {image.mode}, expected RGB")
    if header_only:
        return np.empty([height, width, 0], dtype=np.uint8)
    with image_faults(f"{name} is truncated or damaged"):
        return np.asarray(image)
