"""Animated pictures (WebP, APNG, AVIF): their frames, with the time that each is shown."""

import io
from collections.abc import Iterator

import PIL.Image

from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.jpeg import MOST_PIXELS
from stylegan_v_ext.data.pictures import image_faults

ANIMATION_SUFFIXES = (".webp", ".apng", ".avif", ".avifs")
_FORMATS = ("WEBP", "PNG", "AVIF", "GIF")


def is_animation(data: bytes) -> bool:
    """Whether a file of a picture holds several frames."""
    try:
        with image_faults("no picture"), _opened(data) as image:
            return getattr(image, "n_frames", 1) > 1
    except DataError:
        return False


def animation_frames(data: bytes, background: tuple[int, int, int]) -> Iterator[tuple[PIL.Image.Image, float]]:
    """(RGB picture, seconds that it is shown) of every frame. Raises `DataError` with a clause if one is damaged.

    background: RGB colour, 0 to 255, behind what is transparent.
    """
    with image_faults("it is no readable animation"):
        image = _opened(data)
    with image:
        for number in range(getattr(image, "n_frames", 1)):
            with image_faults(f"its frame {number} is damaged"):
                image.seek(number)
                picture = image.convert("RGBA")
                ground = PIL.Image.new("RGBA", picture.size, (*background, 255))
                seconds = float(image.info.get("duration") or 0) / 1000
                frame = PIL.Image.alpha_composite(ground, picture).convert("RGB")
            yield frame, seconds


def _opened(data: bytes) -> PIL.Image.Image:
    PIL.Image.init()
    formats = [name for name in _FORMATS if name in PIL.Image.OPEN]
    image = PIL.Image.open(io.BytesIO(data), formats=formats)
    if image.width * image.height > MOST_PIXELS:
        raise DataError(f"its frames are {image.width}x{image.height}; the most is {MOST_PIXELS} pixels")
    return image
