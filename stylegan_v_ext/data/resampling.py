"""Frames at equal times, from frames that appear at any times."""

import math
from collections.abc import Iterable, Iterator
from typing import TypeVar

from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.limits import LONGEST_HOLD, MOST_FRAMES

_SLACK = 1e-6  # of a frame: tolerance for times that rounding moves off the exact middle
_T = TypeVar("_T")


def resampled(frames: Iterable[tuple[_T, float]], end: float, fps: float) -> Iterator[_T]:
    """Frames by FFmpeg's rule: output frame k is the last frame that begins before (k + 0.5) / fps; at least one frame.

    Args:
        frames: (frame, time in seconds at which it appears), ascending.
        end: Time in seconds at which the last frame ends.
        fps: Frames a second that come out.

    Raises:
        DataError: With a clause if a frame would be repeated for more than an hour.
    """
    held: _T | None = None
    begin, count = 0.0, 0

    def until(time: float) -> int:
        if time - begin > LONGEST_HOLD:
            raise DataError(f"its time jumps from {begin:.6g} to {time:.6g} seconds")
        if time * fps > MOST_FRAMES:
            raise DataError(f"it becomes more than {MOST_FRAMES} frames")
        return math.floor(time * fps + 0.5 + _SLACK)

    for frame, start in frames:
        last = until(start)
        while held is not None and count < last:
            yield held
            count += 1
        held, begin = frame, start
    last = max(until(end), 1)
    while held is not None and count < last:
        yield held
        count += 1
