"""The error that everything in `data` raises for faulty data."""

from stylegan_v_ext.text import printable, sentence


class DataError(ValueError):
    """Something is wrong with the user's data.

    Args:
        message: Names the file, the fault and the remedy. It becomes one line of printable text.
    """

    def __init__(self, message: object) -> None:
        super().__init__(printable(sentence(message)))
