"""Videos: from the bytes of a video file to upright RGB frames, in a process of its own with few rights.

`process.py` starts that process, and `decoder.py` is its program. The program judges the file (`structure.py`), reads
it (`reading.py`, or `animation.py` for animated pictures), measures the times of its frames (`timing.py`), deinterlaces
them (`deinterlacing.py`) and brings them into their final form (`shape.py`, `colours.py`).
"""


class Problem(Exception):
    """The file, or the rest of it, cannot be used; the message is a clause that says why."""
