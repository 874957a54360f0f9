"""How a picture of any shape becomes a square frame: which part of it is used, and at which size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import PIL.Image

TRANSFORMS = ("center-crop", "center-crop-wide", "fit")
BLACK = (0, 0, 0)


@dataclass(frozen=True)
class Plan:
    """How pictures of one size become frames.

    Attributes:
        crop: (left, top, width, height) of the part of the picture that is used, in pixels of the picture.
        scaled: (width, height) to which this part is scaled, in pixels; it lies in the middle of the frame.
    """

    crop: tuple[int, int, int, int]
    scaled: tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """The form of the frames of a data set.

    Attributes:
        size: (width, height) in pixels. The width is the side of the square frames. A smaller height is the height of
            the picture that "center-crop-wide" puts between black bars.
        transform: One of `TRANSFORMS`: "center-crop" cuts out a square, "center-crop-wide" cuts out a wide picture,
            "fit" keeps the whole picture between black bars.
        background: RGB colour, 0 to 255, behind transparent pixels.
    """

    size: tuple[int, int] = (256, 256)
    transform: str = "center-crop"
    background: tuple[int, int, int] = BLACK

    @property
    def side(self) -> int:
        """Width and height of the frames in pixels."""
        return self.size[0]

    def plan(self, width: int, height: int, pixel_aspect: float = 1.0) -> Plan:
        """Plan how an upright picture becomes a frame.

        Args:
            width: Width of the picture in pixels.
            height: Height of the picture in pixels.
            pixel_aspect: Width of a pixel divided by its height.
        """
        shown = width * pixel_aspect
        side, low = self.size
        if self.transform == "fit":
            scale = side / max(shown, height)
            return Plan((0, 0, width, height), (max(round(shown * scale), 1), max(round(height * scale), 1)))
        aspect = 1.0 if self.transform == "center-crop" else side / low
        crop_width = max(min(width, round(height * aspect / pixel_aspect)), 1)
        crop_height = max(min(height, round(shown / aspect)), 1)
        crop = ((width - crop_width) // 2, (height - crop_height) // 2, crop_width, crop_height)
        return Plan(crop, (side, side if self.transform == "center-crop" else low))

    def apply(self, image: PIL.Image.Image) -> PIL.Image.Image:
        """Make a frame of a picture.

        Args:
            image: An upright picture of mode "RGB" with square pixels.

        Returns:
            A square picture of mode "RGB".
        """
        import PIL.Image  # imported here, because the process that decodes videos works without it

        plan = self.plan(*image.size)
        left, top, width, height = plan.crop
        box = (left, top, left + width, top + height)
        picture = image.resize(plan.scaled, PIL.Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
        canvas = PIL.Image.new("RGB", (self.side, self.side))
        canvas.paste(picture, ((self.side - picture.width) // 2, (self.side - picture.height) // 2))
        return canvas
