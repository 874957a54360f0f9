"""JSON files of a run folder, which may come from strangers and hold anything."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MOST_BYTES = 2**26
_LONGEST_LINE = 2**20


def read_json(path: Path) -> Any:
    """The document in a file.

    path: a regular file of at most 64 MiB, in UTF-8.
    Raises `ValueError` with the reason, without the file's name.
    """
    try:
        return json.loads(_read(path).decode("utf-8"))
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
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            yield entry


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():  # reading a pipe might never end
            raise ValueError("there is no such file")
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(error.strerror or type(error).__name__) from None
    if len(data) > _MOST_BYTES:
        raise ValueError(f"it has more than {_MOST_BYTES >> 20} MiB")
    return data
