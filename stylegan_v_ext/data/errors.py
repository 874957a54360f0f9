"""The error of everything that is wrong with data."""

from stylegan_v_ext.text import printable, sentence


class DataError(ValueError):
    """Something about the user's data: the message names the file, what is wrong and what to do, in printable text."""

    def __init__(self, message: object) -> None:
        super().__init__(printable(sentence(message)))
