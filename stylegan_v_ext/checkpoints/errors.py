"""The error of everything that reads checkpoints."""

from stylegan_v_ext.text import printable


class CheckpointError(ValueError):
    """A file that cannot be read as a checkpoint, or must not be read; one line, whatever names the file holds.

    Args:
        message: What is wrong and what helps; characters that a terminal would obey are replaced.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))
