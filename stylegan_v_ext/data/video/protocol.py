"""Form of the messages between `process.py` and `decoder.py`."""

import struct
from typing import Any, TypedDict


class Settings(TypedDict):
    """What a process that decodes a file is told.

    Attributes:
        geometry: Arguments of `Geometry`; None keeps the size at which the video is shown.
        fps: Rate to resample to, in frames a second; None keeps the frames as they are.
        most_bytes: Limit of memory in bytes.
        most_seconds: Limit of processor time for one frame, in seconds.
        numpy: Whether to import NumPy before anything else.
    """

    geometry: dict[str, Any] | None
    fps: float | None
    most_bytes: int
    most_seconds: float
    numpy: bool


JOB = struct.Struct("<I")  # length in bytes of the settings, which follow; the descriptors of the files come with it
STATUS = struct.Struct("<i")  # exit status of a process; minus the number of the signal if a signal ended it
LENGTH = struct.Struct("<I")  # length in bytes of the text of a record, which follows
