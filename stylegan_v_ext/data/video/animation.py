"""Animated WebP and AVIF, read by Pillow: FFmpeg's libraries cannot read WebP, and lose the transparency of AVIF."""

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO

from stylegan_v_ext.data.kinds import brands, is_animation
from stylegan_v_ext.data.limits import MOST_PIXELS
from stylegan_v_ext.data.video import Problem
from stylegan_v_ext.data.video.shape import check_size
from stylegan_v_ext.data.video.structure import missing_end
from stylegan_v_ext.data.video.timing import Clock, Timed

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_TICK = Fraction(1, 1000)  # seconds
_NO_DELAY = 100  # ticks for which a frame without a duration is shown, as in browsers and in FFmpeg for GIF


def is_for_pillow(head: bytes) -> bool:
    """Check whether a file is an animation that Pillow must read.

    Args:
        head: Its first `HEAD` bytes.
    """
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP" and is_animation(head)
    return b"avis" in brands(head) and importlib.util.find_spec("PIL._avif") is not None


def import_pillow() -> None:
    """Import everything that reading needs, before the process gives up the right to open files."""
    for module in ("numpy", "PIL.AvifImagePlugin", "PIL.WebPImagePlugin"):
        importlib.import_module(module)
    import PIL.Image

    PIL.Image.preinit()


class AnimationReading:
    """The frames of an animation; it has the same attributes as `reading.Reading`.

    Args:
        file: The file, open for reading.
        tick_over: Called before each frame is decoded, for the limit of time.

    Raises:
        Problem: If the file cannot be read.
    """

    duration: float | None = None

    def __init__(self, file: BinaryIO, tick_over: Callable[[], None]) -> None:
        import PIL.Image

        self._tick_over = tick_over
        self._missing_end = missing_end(file)
        file.seek(0)
        PIL.Image.MAX_IMAGE_PIXELS = MOST_PIXELS
        try:
            self._image = PIL.Image.open(file, formats=["WEBP", "AVIF"])
        except (OSError, SyntaxError, ValueError):
            raise Problem(self._missing_end or "it is damaged") from None
        check_size(*self._image.size)
        self.clock = Clock(_TICK)
        self.problem: Exception | None = None
        self.notes: list[str] = []

    def frames(self) -> Iterator["Timed[VideoFrame]"]:
        """Yield the frames with their times. If the file is damaged, `problem` is set after the last sound frame."""
        import av
        import numpy as np

        time = 0
        try:
            for number in range(getattr(self._image, "n_frames", 1)):
                self._tick_over()
                self._image.seek(number)
                pixels = np.asarray(self._image.convert("RGBA"))  # this also reads the duration
                frame = av.VideoFrame.from_ndarray(pixels, format="rgba")
                frame.time_base, frame.pts = _TICK, time
                duration = int(self._image.info.get("duration", 0)) or _NO_DELAY
                yield Timed(frame, self.clock.time(time), duration)
                time += duration
            if self._missing_end:
                self.problem = Problem(self._missing_end)
        except (OSError, EOFError, SyntaxError, ValueError, MemoryError) as error:
            self.problem = error if isinstance(error, MemoryError) else Problem(self._missing_end or "it is damaged")
