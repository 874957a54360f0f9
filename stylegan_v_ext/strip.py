"""The clip contract: how F frames and their timestamps travel through code that knows images and labels.

A *strip* `[N, 3, F*H, W]` holds the frames of a clip below one another; a *label* `[N, K + F]` holds
the class (one-hot of K classes) and then the F timestamps, in frames from the start of the video.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

STRATEGIES = ("random", "uniform")


def pack_strip(frames: torch.Tensor) -> torch.Tensor:
    """Frames `[N, F, C, H, W]` -> strip `[N, C, F*H, W]`, frame f in rows f*H ... (f+1)*H."""
    n, f, c, h, w = frames.shape
    return frames.transpose(1, 2).reshape(n, c, f * h, w)


def unpack_strip(strip: torch.Tensor) -> torch.Tensor:
    """Strip `[N, C, F*H, W]` of square frames -> frames `[N, F, C, H, W]` with H == W.

    Raises `ValueError` if the height is not a multiple of the width.
    """
    n, c, height, width = strip.shape
    if height % width:
        raise ValueError(f"a strip of height {height} does not divide into square frames of width {width}")
    return strip.reshape(n, c, height // width, width, width).transpose(1, 2)


def split_label(c: torch.Tensor, num_classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Label `[N, K + F]` -> (class part `[N, K]`, timestamps `[N, F]`)."""
    return c[:, :num_classes], c[:, num_classes:]


def sanitise_label(c: torch.Tensor, num_classes: int, max_num_frames: int) -> torch.Tensor:
    """Label with NaN and infinities set to 0 and timestamps clamped to `[0, max_num_frames - 1]`.

    Training loops pass uninitialised labels once, when they print a summary of the networks.
    """
    c = torch.nan_to_num(c, nan=0.0, posinf=0.0, neginf=0.0)
    classes, timestamps = split_label(c, num_classes)
    return torch.cat([classes, timestamps.clamp(0, max_num_frames - 1)], dim=1)


@dataclass(frozen=True)
class TimestampSampler:
    """Draws the timestamps of a training clip (StyleGAN-V, section 3.3; sparse sampling).

    Attributes:
        num_frames: F.
        max_num_frames: Longest stretch of a video that is looked at.
        max_dist: Largest distance between first and last frame.
        strategy: "random" puts the first and last frame at the ends of a random span and the others at random in
            between; "uniform" spaces all frames equally.
        spans: Distances to choose from; `None` means all powers of two.
    """

    num_frames: int = 3
    max_num_frames: int = 1024
    max_dist: int = 32
    strategy: str = "random"
    spans: Sequence[int] | None = None

    def __post_init__(self) -> None:
        if self.num_frames < 1:
            raise ValueError(f"num_frames {self.num_frames} is below 1; a clip has at least one frame")
        if self.max_dist < self.num_frames - 1:
            raise ValueError(
                f"max_dist {self.max_dist} has no room for {self.num_frames} frames; use {self.num_frames - 1} or more"
            )
        if self.strategy not in STRATEGIES:
            raise ValueError(f"sampling strategy {self.strategy!r} is not one of {', '.join(STRATEGIES)}")

    def __call__(self, video_length: int, fractional: bool = False, rng: Any = np.random) -> np.ndarray:
        """Increasing timestamps `[F]`, float64, within `[0, min(video_length, max_num_frames) - 1]`.

        Whole numbers, or with `fractional` a real-valued offset plus whole distances.

        Args:
            rng: NumPy's global state or a `RandomState`.

        Raises:
            ValueError: For a video shorter than F frames.
        """
        length = min(video_length, self.max_num_frames)
        if length < self.num_frames:
            raise ValueError(f"a video of {length} frames is too short for a clip of {self.num_frames}")
        distances = self._distances(length, rng)
        room = length - 1 - distances[-1]
        offset = rng.uniform(0, room) if fractional else rng.randint(room + 1)
        return offset + distances.astype(np.float64)

    def _distances(self, length: int, rng: Any) -> np.ndarray:
        """Whole distances `[F]` of the frames from the first one."""
        smallest, largest = self.num_frames - 1, min(length - 1, self.max_dist)
        if self.num_frames == 1:
            return np.zeros(1, dtype=np.int64)
        if self.strategy == "uniform":
            return np.arange(self.num_frames) * (1 + rng.randint(largest // smallest))
        candidates = self.spans if self.spans is not None else [2**i for i in range(largest.bit_length())]
        fitting = [span for span in candidates if smallest <= span <= largest]
        span = fitting[rng.randint(len(fitting))] if fitting else largest
        between = rng.choice(span - 1, self.num_frames - 2, replace=False) + 1 if self.num_frames > 2 else []
        return np.array([0, *sorted(between), span], dtype=np.int64)
