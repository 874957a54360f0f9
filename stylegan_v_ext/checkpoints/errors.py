"""The error of everything that reads checkpoints."""

from stylegan_v_ext.text import printable


class CheckpointError(ValueError):
    """A file that cannot or must not be read as a checkpoint; the message has one line.

    Args:
        message: The fault and its remedy; characters that a terminal would obey are replaced.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))
