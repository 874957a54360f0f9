"""The error of everything that is wrong with data."""


class DataError(ValueError):
    """Something about the user's data: the message names the file, what is wrong and what to do."""
