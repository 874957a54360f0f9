"""The interface of the videos that metrics compare: frames of numbered videos, uint8 `[T, H, W, 3]`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Pick:
    """Frames of one video that are read together.

    Attributes:
        video: Number of the video, from 0; the seed of a generated video.
        frames: Frame numbers of a recorded video, or times in frames of a generated video, `[T]`, ascending.
    """

    video: int
    frames: np.ndarray


class VideoSource:
    """Videos to compare. Pictures without colour are repeated to three channels.

    Attributes:
        name: Name for messages and protocols, usually the path.
        resolution: Side of the square frames, in pixels.
        mirrored: How many of the videos are mirror images of others.
        readers: How many threads may read at the same time.
        notes: Sentences about videos and files that are left out.
    """

    name: str
    resolution: int
    mirrored = 0
    readers = 1
    notes: tuple[str, ...] = ()

    @property
    def lengths(self) -> list[int]:
        """Number of frames of every video."""
        raise NotImplementedError

    @property
    def fingerprint(self) -> str:
        """A hash that changes whenever the content does."""
        raise NotImplementedError

    def video_name(self, video: int) -> str:
        """Return the name of a video for messages and lists."""
        raise NotImplementedError

    def classes(self) -> list[int] | None:
        """Return the class of every video; None unless all videos have one."""
        return None

    def read(self, picks: Sequence[Pick]) -> list[np.ndarray]:
        """Read frames.

        Args:
            picks: Which frames of which videos.

        Returns:
            Frames uint8 `[T, H, W, 3]` of each pick.

        Raises:
            DataError: If a video cannot be read; the message names it.
        """
        raise NotImplementedError
