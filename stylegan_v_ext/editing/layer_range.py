"""Which layers of a synthesis network are meant: by resolution, with a hard or a gradual step at both ends."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class LayerRange:
    """Which layers come from an image model.

    Attributes:
        low: Smallest resolution of the layers, a power of two from 4 on.
        high: Largest resolution of the layers.
        blend_width: Width of the logistic step at both ends, in positions; 0 for a hard step.
    """

    low: int
    high: int
    blend_width: float = 0.0

    def __post_init__(self) -> None:
        for resolution in (self.low, self.high):
            if resolution < 4 or resolution & (resolution - 1):
                raise ValueError(f"resolution {resolution} is not a power of two from 4 on; use 4, 8, 16, 32, ...")
        if self.low > self.high:
            raise ValueError(f"layers from {self.low} to {self.high} are none; give the smaller resolution first")
        if not math.isfinite(self.blend_width) or self.blend_width < 0:
            raise ValueError(
                f"blend width {self.blend_width} is below 0 or no number; 1 is a soft change, 0 a hard one"
            )

    def weight(self, position: int, last: int) -> float:
        """Return the share y of the image model at a position.

        An end of the range at an end of the network is no step.

        Args:
            position: Position of a layer, from 0.
            last: Position of the finest layer.
        """
        start, stop = layer_position(self.low, 0), layer_position(2 * self.high, 0)
        y = 1.0
        if start > 0:
            y *= self._step(position - start)
        if stop <= last:
            y *= 1 - self._step(position - stop)
        return y

    def _step(self, x: int) -> float:
        if self.blend_width == 0:
            return float(x >= 0)
        return 1 / (1 + math.exp(min(-x / self.blend_width, 700)))


def fine_layers(split: int, resolution: int, blend_width: float = 0.0) -> LayerRange:
    """Return the layers from a resolution to the finest one.

    Args:
        split: Smallest resolution of the layers.
        resolution: Resolution of the video model.
        blend_width: Width of the logistic step, in positions; 0 for a hard step.
    """
    return LayerRange(split, max(resolution, split), blend_width)


def coarse_layers(split: int, blend_width: float = 0.0) -> LayerRange:
    """Return the layers below a resolution.

    Args:
        split: Smallest resolution that is not among the layers.
        blend_width: Width of the logistic step, in positions; 0 for a hard step.

    Raises:
        ValueError: If there are no layers below it.
    """
    if split <= 4:
        raise ValueError(f"no layers are coarser than {split}; use a split from 8 on")
    return LayerRange(4, split // 2, blend_width)


def layer_position(resolution: int, level: int) -> int:
    """Return the position of a layer among all layers, from 0.

    Args:
        resolution: Resolution of its block.
        level: 0 for its first convolution or its constant, 1 for its second convolution and its ToRGB.
    """
    return 2 * (int(math.log2(resolution)) - 2) + level
