"""Reading one picture: from the bytes of a file to RGB pixels."""

import contextlib
import io
from collections.abc import Iterator

import numpy as np
import PIL.Image
import PIL.ImageChops

from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.geometry import BLACK
from stylegan_v_ext.data.kinds import instead_of_picture
from stylegan_v_ext.data.limits import MOST_PIXELS
from stylegan_v_ext.data.pictures.colour import is_srgb, to_srgb
from stylegan_v_ext.data.pictures.jpeg import decode_jpeg
from stylegan_v_ext.data.video.tags import CURVES, GAMUTS

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM", "AVIF")
_REMEDY = (
    "make frames of the pictures: stylegan-v data convert SRC DEST --transform=center-crop (--transform=fit adds bars)"
)
_EXIF_ORIENTATION = 0x0112
_TURNS = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
# Marks, anywhere in a PNG, of what may state its orientation.
_PNG_EXIF = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")
_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_SUBFILE = 258, 262, 254
_WHITE_IS_ZERO, _PREVIEW_OR_MASK, _MOST_PAGES = 0, 1 | 4, 100
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_GREY_16 = ("I;16", "I;16B", "I;16L", "I;16N")
_EIGHT_BITS = ("1", "L", "P", "RGB", "RGBX", "YCbCr", "CMYK", *_WITH_ALPHA)


class NotAFrame(DataError):
    """A sound picture must be changed before it can be a frame; `stylegan-v data convert` does that."""


def open_image(data: bytes) -> PIL.Image.Image:
    """Open an image file of one of the expected formats.

    Pillow's readers of other formats, some of which start programs, are not used.

    Args:
        data: Content of the file.

    Returns:
        The image; its pixels are not decoded yet.

    Raises:
        Exception: If the file is damaged, an error of any class; `image_faults` turns it into a `DataError`.
    """
    image = PIL.Image.open(io.BytesIO(data), formats=_FORMATS)
    if image.width * image.height > MOST_PIXELS:
        raise PIL.Image.DecompressionBombError(f"{image.width}x{image.height} pixels")
    return image


@contextlib.contextmanager
def image_faults(sentence: str) -> Iterator[None]:
    """Turn every error of an image reader in a block, except a lack of memory, into a `DataError`.

    Args:
        sentence: The message.

    Raises:
        DataError: If the block fails.
    """
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception:  # readers of damaged files raise errors of many kinds
        raise DataError(sentence) from None


def _not_readable(data: bytes, name: str) -> str:
    """Return the sentence about a file that is no readable picture."""
    if not data:
        return f"{name} is not a readable image (it is empty)"
    kind = instead_of_picture(data)
    return f"{name} is not a readable image" + (f" (it is {kind})" if kind else "")


def read_pixels(data: bytes, name: str) -> np.ndarray:
    """Read a picture as `read_picture` does, at full speed for plain JPEG files.

    Args:
        data: Content of the file.
        name: Name of the file, for messages.

    Returns:
        RGB pixels, uint8 `[H, W, 3]`.

    Raises:
        DataError: As `read_picture`.
    """
    pixels = decode_jpeg(data)
    return np.asarray(read_picture(data, name)) if pixels is None else pixels


def read_picture(data: bytes, name: str, background: tuple[int, int, int] = BLACK) -> PIL.Image.Image:
    """Read a picture as a viewer shows it.

    Args:
        data: Content of a file of any format in `PICTURE_SUFFIXES`; the format is told by the content, not by the name.
        name: Name of the file, for messages.
        background: RGB colour, 0 to 255, behind transparent pixels.

    Returns:
        The picture: upright, in sRGB, mode "RGB", 8 bits.

    Raises:
        DataError: If the file is damaged, holds several pictures, or holds values of an unknown range (32 bits,
            floating point, HDR).
    """
    with image_faults(_not_readable(data, name)):
        image = open_image(data)
        reason = _unreadable(image, data)
    if reason:
        raise DataError(f"{name} {reason}")
    with image_faults(f"{name} is truncated or damaged"):
        image.load()
        colours, alpha = _eight_bits(image, data)
        picture = to_srgb(colours, image.info.get("icc_profile"))
        if alpha is not None:
            picture = PIL.Image.composite(picture, PIL.Image.new("RGB", picture.size, background), alpha)
        turn = _TURNS.get(_orientation(image, data))
        if turn is not None:
            picture = picture.transpose(turn)
    picture.info = {}  # so that no metadata of the file get into another file
    return picture


def decode_frame(data: bytes, name: str, resolution: int | None = None, *, header_only: bool = False) -> np.ndarray:
    """Decode a frame of a training set. Unlike `read_picture`, this never changes a picture.

    Args:
        data: Content of the file.
        name: Name of the file, for messages.
        resolution: Width and height in pixels that the frame must have; None accepts any square.
        header_only: Whether to check size and mode without decoding.

    Returns:
        RGB pixels, uint8 `[H, W, 3]`; `[H, W, 0]` if `header_only`.

    Raises:
        NotAFrame: If the picture is not square, upright, opaque and 8-bit RGB in sRGB.
        DataError: If the file is damaged.
    """
    pixels = None if header_only else decode_jpeg(data)
    if pixels is not None and pixels.shape[:2] == (resolution or pixels.shape[1],) * 2:
        return pixels
    with image_faults(_not_readable(data, name)):
        image = open_image(data)
        change, reason = _unlike_a_frame(image, data, resolution), _unreadable(image, data)
    if change:
        raise NotAFrame(f"{name} {change}")
    if reason:
        raise DataError(f"{name} {reason}")
    if header_only:
        return np.empty([image.height, image.width, 0], dtype=np.uint8)
    with image_faults(f"{name} is truncated or damaged"):
        return np.asarray(image)


def side_of_frames(data: bytes, name: str) -> int:
    """Return the side of the frames of a training set in pixels.

    Args:
        data: Content of the first frame.
        name: Name of its file, for messages.

    Raises:
        DataError: If the picture cannot be a frame; the message says how to make frames of such pictures.
    """
    try:
        return decode_frame(data, name).shape[0]
    except NotAFrame as error:
        raise DataError(f"{error}; {_REMEDY}") from None


def _unlike_a_frame(image: PIL.Image.Image, data: bytes, resolution: int | None) -> str:
    """Say what must change before a picture can be a frame (`data convert` does it); "" if nothing must."""
    width, height = image.size
    wanted = width if resolution is None else resolution
    if (width, height) != (wanted, wanted):
        return f"is {width}x{height}, expected {'a square' if resolution is None else f'{wanted}x{wanted}'}"
    if image.mode != "RGB":
        return f"has colour mode {image.mode}, expected RGB"
    if "transparency" in image.info:
        return "has a transparent colour, expected RGB without transparency"
    if (orientation := _orientation(image, data)) != 1:
        return f"is stored turned or mirrored (EXIF orientation {orientation}), expected an upright picture"
    return "" if is_srgb(image.info.get("icc_profile")) else "has another colour profile, expected sRGB"


def _unreadable(image: PIL.Image.Image, data: bytes) -> str:
    """Say why a sound picture cannot be read as RGB with 8 bits; "" if it can."""
    pages = _count_pages(image)
    if pages != 1:
        what = f"holds {pages} pictures" if pages else "begins with a preview of another picture"
        return f"{what}; a frame is a file of one picture, so split it, or make a video file of it"
    if image.mode == "I" and image.format == "TIFF":
        return "has 32 bits or signed values, whose range is unknown; save it with 8 or 16 bits"
    if image.mode == "F":
        return "has floating-point values, whose range is unknown; save it with 8 or 16 bits"
    if image.mode not in (*_EIGHT_BITS, *_GREY_16, "I"):
        return f"has colour mode {image.mode}, which is not read; save it as RGB"
    primaries, transfer = _coded_colours(image, data)
    if transfer in CURVES:
        return f"is HDR ({CURVES[transfer]}), which is not read; save it as sRGB"
    return f"has {GAMUTS[primaries]} colours, which are not read; save it as sRGB" if primaries in GAMUTS else ""


def _count_pages(image: PIL.Image.Image) -> int:
    """Count the pictures in a file without previews, up to 100; 0 if the first picture is a preview.

    In a camera's JPEG only the first picture counts; the others are previews, depth maps or gain maps.
    """
    if image.format != "TIFF":
        return 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    is_preview = []
    for page in range(_MOST_PAGES):
        try:
            image.seek(page)
        except EOFError:
            break
        is_preview.append(bool(int(image.tag_v2.get(_TIFF_SUBFILE, 0)) & _PREVIEW_OR_MASK))  # type: ignore[attr-defined]
    image.seek(0)
    return 0 if is_preview[0] else is_preview.count(False)


def _coded_colours(image: PIL.Image.Image, data: bytes) -> tuple[int, int]:
    """Return the numbers of (primaries, transfer function) that a file states in place of a profile; 2 is unknown."""
    if image.format == "PNG":
        at = data.find(b"cICP", 0, max(data.find(b"IDAT"), 0))
        return (data[at + 4], data[at + 5]) if at >= 0 else (2, 2)
    at = data.find(b"colrnclx") if image.format == "AVIF" and not image.info.get("icc_profile") else -1
    return (data[at + 9], data[at + 11]) if at >= 0 else (2, 2)


def _orientation(image: PIL.Image.Image, data: bytes) -> int:
    """Return the EXIF orientation of an image, 1 (upright) to 8; damaged EXIF counts as upright."""
    if image.format == "PNG" and not any(mark in data for mark in _PNG_EXIF):
        return 1  # Pillow would decode the whole picture to find it
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # as in `image_faults`
        return 1
    return orientation if orientation in _TURNS else 1


def _eight_bits(image: PIL.Image.Image, data: bytes) -> tuple[PIL.Image.Image, PIL.Image.Image | None]:
    """Split a loaded image into (picture of mode "L", "RGB" or "CMYK"; opacity of mode "L", None if opaque)."""
    key = image.info.get("transparency")
    if image.mode == "LA":
        return image.getchannel("L"), image.getchannel("A")
    if image.mode in _WITH_ALPHA or (image.mode == "P" and key is not None):
        opacity = image.convert("RGBA").getchannel("A")
        # Many programs write BMP files with an unused alpha of 0.
        is_unused = image.format == "BMP" and opacity.getextrema() == (0, 0)
        return image.convert("RGBA").convert("RGB"), None if is_unused else opacity
    if image.mode in (*_GREY_16, "I"):
        values = np.asarray(image).astype(np.int64)
        return _scaled(image, values), None if key is None else _opacity(values != key)
    if image.mode == "CMYK":
        # Pillow inverts all CMYK, which is right only for Adobe's files.
        is_positive = image.format in ("JPEG", "MPO") and "adobe" not in image.info
        return PIL.ImageChops.invert(image) if is_positive else image, None
    if key is None:
        return image if image.mode in ("L", "RGB") else image.convert("L" if image.mode == "1" else "RGB"), None
    values = np.asarray(image.convert("L") if image.mode == "1" else image)
    shown = values != np.array(_eight_bit_key(key, data))
    return image.convert("RGB" if image.mode == "RGB" else "L"), _opacity(shown.any(-1) if shown.ndim == 3 else shown)


def _scaled(image: PIL.Image.Image, values: np.ndarray) -> PIL.Image.Image:
    """Scale grey values of 16 bits, or of the number of bits that a TIFF states, to 8 bits."""
    tags = getattr(image, "tag_v2", {})
    top = 2 ** tags.get(_TIFF_BITS, (16,))[0] - 1
    if tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
        values = top - values
    return PIL.Image.fromarray(((values * 255 + top // 2) // top).clip(0, 255).astype(np.uint8))


def _opacity(shown: np.ndarray) -> PIL.Image.Image:
    """Make an opacity of mode "L" from a mask of the opaque pixels."""
    return PIL.Image.fromarray(np.where(shown, 255, 0).astype(np.uint8))


def _eight_bit_key(key: int | tuple[int, ...], data: bytes) -> list[int]:
    """Return the transparent colour of a PNG, one or three values, in the scale in which Pillow gives its pixels."""
    values, bits = [key] if isinstance(key, int) else list(key), data[24]
    if bits == 16:
        return [value >> 8 for value in values]
    return [value * 255 // (2**bits - 1) if bits in (2, 4) else value for value in values]
