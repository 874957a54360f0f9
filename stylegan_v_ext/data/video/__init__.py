"""From the bytes of a video file to upright RGB frames; the sandboxed process of `decoder.py` runs all of it."""


class Problem(Exception):
    """The file, or what follows in it, cannot be used; the text says why."""
