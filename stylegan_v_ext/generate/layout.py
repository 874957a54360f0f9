"""Several pictures in one: grids with padding and labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont


@dataclass(frozen=True)
class Layout:
    """Cells of one size, row by row.

    Attributes:
        columns: Number of columns.
        rows: Number of rows; None for as many as the pictures need.
        padding: Pixels between cells and around them.
        labels: A text above every cell, cut off if it is wider than the cell; None for no texts.
        label_height: Pixels above a cell for its text.
    """

    columns: int
    rows: int | None = None
    padding: int = 0
    labels: Sequence[str] | None = None
    label_height: int = 14

    def compose(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return one picture of several; cells without a picture are black.

        Args:
            images: Pictures uint8 `[H, W, C]` of one size.
        """
        height, width, channels = images[0].shape
        rows = -(-len(images) // self.columns) if self.rows is None else self.rows
        top = self.label_height if self.labels else 0
        pitch = top + height + self.padding, width + self.padding
        size = [rows * pitch[0] + self.padding, self.columns * pitch[1] + self.padding, channels]
        canvas = np.zeros(size, dtype=images[0].dtype)
        for number, image in enumerate(images):
            row, column = divmod(number, self.columns)
            y, x = self.padding + row * pitch[0], self.padding + column * pitch[1]
            if self.labels and number < len(self.labels):
                canvas[y : y + top, x : x + width] = _text(self.labels[number], width, top)[:, :, None]
            canvas[y + top : y + top + height, x : x + width] = image
        return canvas


def tile(images: Sequence[np.ndarray], columns: int, rows: int | None = None) -> np.ndarray:
    """Return one picture of several, edge to edge.

    Args:
        images: Pictures `[H, W, C]` of one size.
        columns: Number of columns.
        rows: Number of rows; None for as many as the pictures need.
    """
    return Layout(columns, rows).compose(images)


def resized(image: np.ndarray, size: int) -> np.ndarray:
    """Return a picture `[H, W, 3]` as `[size, size, 3]`; the same picture if it has that size."""
    if image.shape[:2] == (size, size):
        return image
    return np.asarray(PIL.Image.fromarray(image).resize((size, size), PIL.Image.Resampling.LANCZOS))


def _text(text: str, width: int, height: int) -> np.ndarray:
    """Draw a line of text, grey `[height, width]`."""
    image = PIL.Image.new("L", (width, height))
    font = PIL.ImageFont.load_default(height * 0.72)
    PIL.ImageDraw.Draw(image).text((1, height / 2), text, fill=235, font=font, anchor="lm")
    return np.asarray(image)
