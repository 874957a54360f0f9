"""JSON that may come from strangers and hold anything."""

import contextlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MOST_BYTES = 2**26
_LONGEST_LINE = 2**20
_MOST_ARRAY_BYTES = 2**30


def read_json(path: Path) -> Any:
    """The document in a file.

    Args:
        path: A regular file of at most 64 MiB, in UTF-8.

    Raises:
        ValueError: With the reason, without the file's name.
    """
    return parse_json(_read(path))


def parse_json(text: str | bytes) -> Any:
    """The document in a text, or in the bytes of a file. Raises `ValueError` with the reason."""
    try:
        return json.loads(text)  # knows the encodings of JSON, with and without a mark of them
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects in a file that has one a line; passes over lines that are torn or hold something else.

    Raises `ValueError` with the reason, without the file's name.
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
    """Raise `ValueError` for a NumPy file (`.npz`) that unpacks to more than 1 GiB. Files of other kinds pass."""
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
