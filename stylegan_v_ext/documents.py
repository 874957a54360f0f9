"""JSON that may come from strangers and hold anything."""

import contextlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["Json", "check_arrays", "parse_json", "read_json", "read_json_lines"]

Json: TypeAlias = Any
"""Any value that JSON has: the reader of a document checks what is in it before it is used."""

_MOST_BYTES = 2**26
_LONGEST_LINE = 2**20
_MOST_ARRAY_BYTES = 2**30


def read_json(path: Path) -> Json:
    """Read the document in a file.

    Args:
        path: A regular file of at most 64 MiB, in UTF-8.

    Returns:
        The document.

    Raises:
        ValueError: If the file cannot be read or is not JSON; the message is the reason, without the name of the file.
    """
    return parse_json(_read(path))


def parse_json(text: str | bytes) -> Json:
    """Parse the document in a text, or in the bytes of a file.

    Args:
        text: JSON; bytes in UTF-8, UTF-16 or UTF-32.

    Returns:
        The document.

    Raises:
        ValueError: If the text is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(text)  # finds out the encoding, with and without a byte order mark
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read a file that has one object on each line; pass over lines that are torn or hold something else.

    Args:
        path: A regular file of at most 64 MiB.

    Yields:
        The objects.

    Raises:
        ValueError: If the file cannot be read; the message is the reason, without the name of the file.
    """
    for line in _read(path).decode("utf-8", "replace").splitlines():
        if len(line) > _LONGEST_LINE:
            continue
        try:
            entry = parse_json(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def check_arrays(path: Path) -> None:
    """Check that a NumPy file (`.npz`) unpacks to 1 GiB at most. Files of other kinds pass.

    Args:
        path: The file.

    Raises:
        ValueError: If the arrays are larger.
    """
    with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > _MOST_ARRAY_BYTES:
            raise ValueError(f"its arrays have more than {_MOST_ARRAY_BYTES >> 30} GiB")


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():  # reading a pipe might never end
            raise ValueError("it is not a file" if path.exists() else "there is no such file")
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(error.strerror or type(error).__name__) from None
    if len(data) > _MOST_BYTES:
        raise ValueError(f"it has more than {_MOST_BYTES >> 20} MiB")
    return data
