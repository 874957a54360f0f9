"""Animated WebP, which FFmpeg's libraries do not read, and AVIF, whose transparency they leave out, through Pillow."""

import importlib.util
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO

from stylegan_v_ext.data.kinds import brands, is_animation
from stylegan_v_ext.data.limits import MOST_PIXELS
from stylegan_v_ext.data.video import Problem
from stylegan_v_ext.data.video.shape import check_size
from stylegan_v_ext.data.video.structure import missing_end
from stylegan_v_ext.data.video.timing import Clock, Timed

_TICK = Fraction(1, 1000)  # seconds
_NO_DELAY = 100  # ticks that a frame of no duration is shown, as browsers do and FFmpeg does for GIF


def is_for_pillow(head: bytes) -> bool:
    """Whether a file is an animation that Pillow reads;

    Args:
        head: Its first bytes, 4096 serve.
    """
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP" and is_animation(head)
    return b"avis" in brands(head) and importlib.util.find_spec("PIL._avif") is not None


def import_pillow() -> None:
    """Import all that reading needs; a process that may open no more files could not."""
    import numpy as np  # noqa: F401
    import PIL.AvifImagePlugin
    import PIL.WebPImagePlugin

    PIL.Image.preinit()


class AnimationReading:
    """The frames of an animation; see `reading.Reading`."""

    duration = None

    def __init__(self, file: BinaryIO, tick_over: Any) -> None:
        import PIL.Image

        self._tick_over = tick_over
        self._missing_end = missing_end(file)
        file.seek(0)
        PIL.Image.MAX_IMAGE_PIXELS = MOST_PIXELS
        try:
            self._image: Any = PIL.Image.open(file, formats=["WEBP", "AVIF"])
        except (OSError, SyntaxError, ValueError):
            raise Problem(self._missing_end or "it is damaged") from None
        check_size(*self._image.size)
        self.clock = Clock(_TICK)
        self.problem: Exception | None = None
        self.notes: list[str] = []

    def frames(self) -> Iterator[Timed]:
        """Frames with their times. Keeps the reason in `problem` if the rest cannot be used."""
        import av
        import numpy as np

        time = 0
        try:
            for number in range(self._image.n_frames):
                self._tick_over()
                self._image.seek(number)
                pixels = np.asarray(self._image.convert("RGBA"))  # which also finds the duration
                frame = av.VideoFrame.from_ndarray(pixels, format="rgba")
                frame.time_base, frame.pts = _TICK, time
                duration = int(self._image.info.get("duration", 0)) or _NO_DELAY
                yield Timed(frame, self.clock.time(time), duration)
                time += duration
            if self._missing_end:
                self.problem = Problem(self._missing_end)
        except (OSError, EOFError, SyntaxError, ValueError, MemoryError) as error:
            self.problem = error if isinstance(error, MemoryError) else Problem(self._missing_end or "it is damaged")
