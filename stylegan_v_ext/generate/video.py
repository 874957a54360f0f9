"""A video as an object: its frames are made while they are read, so that its length costs no memory."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from stylegan_v_ext.arguments import path_of
from stylegan_v_ext.execution import execution
from stylegan_v_ext.generate.formats import DEFAULT_QUALITY, IMAGE_FORMATS
from stylegan_v_ext.generate.writers import write_video
from stylegan_v_ext.listener import ignore


class Video:
    """A video of a network.

    Iterating makes the frames, uint8 `[H, W, C]`, C = 3 for colour and 1 for grey, one after another. Iterating again
    makes the same frames again.

    Args:
        make_frames: Function that begins to make the frames.
        num_frames: How many frames `make_frames` makes.
        fps: Frames a second of files that the video is written to.
    """

    def __init__(self, make_frames: Callable[[], Iterator[np.ndarray]], num_frames: int, fps: float = 25.0) -> None:
        self._make_frames, self._num_frames, self.fps = make_frames, num_frames, fps

    def __len__(self) -> int:
        return self._num_frames

    def __iter__(self) -> Iterator[np.ndarray]:
        frames = self._make_frames()
        while True:
            with execution(tf32=False):  # else convolutions on a GPU round, and a CPU makes other frames
                frame = next(frames, None)
            if frame is None:
                return
            yield frame

    def write(
        self,
        path: str | Path,
        *,
        codec: str | None = None,
        quality: int = DEFAULT_QUALITY,
        progress: Callable[[int], None] = ignore,
    ) -> Path:
        """Make the frames and write them to a file, which appears under its name when it is complete.

        Args:
            path: Its ending says the format: .mp4, .mov, .mkv, .webm, .gif, .webp, .npy (uint8 `[T, H, W, 3]`), or .png
                and .jpg for a folder of frames, which is named without the ending.
            codec: "h264", "h265" or "vp9"; None for the first codec that fits the format.
            quality: 1 to 100, for formats that lose some.
            progress: Called with 1 after each frame.

        Returns:
            The file, or the folder of frames.

        Raises:
            ValueError: If the ending is of no format, if the codec, the quality or the rate does not go into the
                format, or if the folder of frames exists already.
            FfmpegError: If ffmpeg is missing or fails.
            OSError: If the file cannot be written.
        """
        path = path_of("path", path)
        write_video(path, self._counted(progress), self.fps, codec, quality)
        return path.with_suffix("") if is_folder_of_frames(path) else path

    def _counted(self, progress: Callable[[int], None]) -> Iterator[np.ndarray]:
        for frame in self:
            yield frame
            progress(1)


def is_folder_of_frames(path: Path) -> bool:
    """Return whether a name stands for a folder of pictures, such as `seed0003.png`, and not for one file."""
    return path.suffix.lower().removeprefix(".") in IMAGE_FORMATS
