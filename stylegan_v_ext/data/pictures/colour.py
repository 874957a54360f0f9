"""Colours of pictures: from the ICC profile of a file to sRGB, in which all frames are."""

import io
from functools import lru_cache

import PIL.Image
from PIL import ImageCms

_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # mode of Pillow by colour space of a profile
_SAME = 2  # levels of 255; a profile that changes no value by more counts as sRGB
_STEPS = (0, 51, 102, 153, 204, 255)  # levels of the colours that are tried
_KEPT_PROFILES = 32


def to_srgb(image: PIL.Image.Image, profile: bytes | None) -> PIL.Image.Image:
    """Convert a picture to sRGB.

    Args:
        image: A picture of mode "L", "RGB" or "CMYK".
        profile: ICC profile of the picture; None means sRGB, or for CMYK that ink absorbs light in proportion. As in
            viewers, a profile that is damaged or belongs to another kind of colours counts as None.

    Returns:
        A picture of mode "RGB".
    """
    if profile and image.mode == "L" and _transform(profile, "L") is None:
        image = image.convert("RGB")  # the profile may be for RGB
    transform = _transform(profile, image.mode) if profile else None
    return image.convert("RGB") if transform is None else _applied(transform, image)


def is_srgb(profile: bytes | None, mode: str = "RGB") -> bool:
    """Check whether values under an ICC profile mean what they mean in sRGB, within two levels of 255.

    Args:
        profile: The ICC profile; None means sRGB.
        mode: Mode of the picture: "L", "RGB" or "CMYK".
    """
    return not profile or _transform(profile, mode) is None


@lru_cache(maxsize=_KEPT_PROFILES)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Make the conversion from values under a profile to sRGB; None if it is not needed, or not possible."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _MODES.get(source.profile.xcolor_space.strip()) != mode:
            return None
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        return None
    if mode == "CMYK":
        return transform
    samples = _samples(mode)
    before, after = samples.convert("RGB").tobytes(), _applied(transform, samples).tobytes()
    return transform if max(abs(a - b) for a, b in zip(before, after, strict=True)) > _SAME else None


def _applied(transform: ImageCms.ImageCmsTransform, image: PIL.Image.Image) -> PIL.Image.Image:
    result = PIL.Image.new("RGB", image.size)
    transform.apply(image, result)
    return result


def _samples(mode: str) -> PIL.Image.Image:
    """Make a picture of colours from the whole cube of RGB, or of all greys."""
    if mode == "L":
        return PIL.Image.frombytes("L", (256, 1), bytes(range(256)))
    colours = bytes(level for r in _STEPS for g in _STEPS for b in _STEPS for level in (r, g, b))
    return PIL.Image.frombytes("RGB", (len(colours) // 3, 1), colours)
