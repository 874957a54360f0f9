"""The timestamps of sparse training clips (StyleGAN-V, section 3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

__all__ = ["STRATEGIES", "TimestampSampler"]

STRATEGIES = ("random", "uniform")

RandomNumbers = np.random.RandomState | ModuleType


@dataclass(frozen=True)
class TimestampSampler:
    """Draw the timestamps of training clips (StyleGAN-V, section 3).

    Attributes:
        num_frames: Number of frames F of a clip.
        max_num_frames: Number of frames at the beginning of a video that are used.
        max_dist: Largest distance between the first and the last frame, in frames.
        strategy: "random" puts the first and the last frame at the ends of a random span and the other frames at random
            between them; "uniform" spaces all frames equally.
        spans: Distances between the first and the last frame to choose from; None means all powers of two.

    Raises:
        ValueError: If an attribute is out of range.
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

    def __call__(self, video_length: int, *, fractional: bool = False, rng: RandomNumbers = np.random) -> np.ndarray:
        """Draw the timestamps of one clip.

        Args:
            video_length: Number of frames of the video.
            fractional: Whether the first timestamp is a real number; the distances are whole numbers in any case.
            rng: Source of random numbers: a `RandomState`, or the module `numpy.random` for NumPy's global state.

        Returns:
            Increasing timestamps `[F]`, float64, within `[0, min(video_length, max_num_frames) - 1]`.

        Raises:
            ValueError: If the video is shorter than F frames.
        """
        length = min(video_length, self.max_num_frames)
        if length < self.num_frames:
            raise ValueError(f"a video of {length} frames is too short for a clip of {self.num_frames}")
        distances = self._distances(length, rng)
        room = length - 1 - distances[-1]
        offset = rng.uniform(0, room) if fractional else rng.randint(room + 1)
        return offset + distances.astype(np.float64)

    def _distances(self, length: int, rng: RandomNumbers) -> np.ndarray:
        """Draw the distances `[F]` of the frames from the first frame, whole numbers."""
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
