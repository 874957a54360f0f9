"""Names of files: their natural order, and which are hidden."""

import re
import unicodedata


def natural_key(name: str) -> list:
    """Sort key under which `2.jpg` comes before `10.jpg`; a number may have any length, its digits are 0 to 9."""
    parts = re.split(r"([0-9]+)", name)
    return [_number_key(part) if index % 2 else part.lower() for index, part in enumerate(parts)]


def _number_key(digits: str) -> tuple[int, str]:
    """Sort key of a number that Python may refuse to convert, since it refuses more than 4300 digits."""
    digits = digits.lstrip("0")
    return len(digits), digits


def is_hidden(name: str) -> bool:
    """Whether a file, or a folder it lies in, is one that file managers hide or leave behind."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def normal_form(text: str) -> str:
    """The form (NFC) in which equal names are equal texts, whichever system wrote them."""
    return unicodedata.normalize("NFC", text)
