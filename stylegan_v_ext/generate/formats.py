"""Which formats, codecs and rates go together in files of videos."""

import math
from pathlib import Path

from stylegan_v_ext.outputs import CODECS, VIDEO_FORMATS, format_of

IMAGE_FORMATS = ("png", "jpg")
DEFAULT_FRAMES = 128
DEFAULT_QUALITY = 90
_MILLISECONDS = ("webm", "mkv", "webp")  # formats that count time in milliseconds: faster frames would coincide
FASTEST = 1_000_000.0  # frames a second that ffmpeg takes
SLOWEST = 0.001
FASTEST_GIF = 50  # frames a second; players show a frame of a hundredth of a second for longer than that


def check_format(path: str | Path, codec: str | None = None, fps: float = 25.0) -> str:
    """Return the format that a name asks for.

    Args:
        path: Name of a video file.
        codec: Codec that goes into it; None for the first of the format.
        fps: Frames a second.

    Returns:
        An element of `outputs.VIDEO_FORMATS`.

    Raises:
        ValueError: If the ending is of no format, or if the codec or the rate does not go into the format.
    """
    format = format_of(path, VIDEO_FORMATS)
    if format is None:
        raise ValueError(f"{path} has the ending of no format; use .{', .'.join(VIDEO_FORMATS)}")
    fitting = CODECS.get(format, ())
    if codec is not None and codec not in fitting:
        remedy = f"use {' or '.join(fitting)}" if fitting else "leave the codec out"
        raise ValueError(f"codec {codec} does not go into .{format}; {remedy}")
    fastest = 1000.0 if format in _MILLISECONDS else FASTEST
    if not SLOWEST <= fps <= fastest or not math.isfinite(fps):
        raise ValueError(f"{fps:g} frames a second do not go into .{format}; use {SLOWEST:g} to {fastest:.0f}")
    return format
