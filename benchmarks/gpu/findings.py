"""What a part has found so far, on disk after every line, so that an end at any time loses nothing."""

import contextlib
import json
import math
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stylegan_v_ext.files import atomic_path

NAME = "findings.json"


class Findings:
    """Figures, tables, notes, problems and pictures of a part, in `findings.json` of its folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.content: dict[str, Any] = {
            "summary": "", "figures": {}, "tables": [], "notes": [], "problems": [], "pictures": [],
        }  # fmt: skip
        self._save()

    def summary(self, text: str) -> None:
        """The part's verdict in a few words."""
        self.content["summary"] = text
        self._save()

    def figure(self, name: str, value: Any) -> None:
        """A number, or something else that JSON holds, by name."""
        self.content["figures"][name] = plain(value)
        self._save()

    def row(self, title: str, header: list[str], cells: list[Any]) -> None:
        """A row of the table of that title, which begins with its first row."""
        tables = self.content["tables"]
        table = next((table for table in tables if table["title"] == title), None)
        if table is None:
            table = {"title": title, "header": header, "rows": []}
            tables.append(table)
        table["rows"].append([str(cell) for cell in cells])
        print(f"{title}: " + " | ".join(str(cell) for cell in cells), flush=True)
        self._save()

    def table(self, title: str, header: list[str], rows: list[list[Any]]) -> None:
        """Replace the table with this title, or begin it."""
        tables = self.content["tables"]
        tables[:] = [table for table in tables if table["title"] != title]
        tables.append({"title": title, "header": header, "rows": [[str(cell) for cell in row] for row in rows]})
        self._save()

    def note(self, text: str) -> None:
        """A sentence that the reader of the tables needs."""
        print(f"note: {text}", flush=True)
        self.content["notes"].append(text)
        self._save()

    def problem(self, text: str) -> None:
        """Something that is wrong; the part's verdict becomes "failed"."""
        print(f"problem: {text}", flush=True)
        self.content["problems"].append(text)
        self._save()

    def picture(self, path: Path, name: str) -> None:
        """Keep a PNG file."""
        shutil.copyfile(path, self.folder / name)
        self.content["pictures"].append(name)
        self._save()

    @contextlib.contextmanager
    def attempt(self, what: str, needed: bool = True) -> Iterator[None]:
        """Go on after an error in the block, with its traceback in the log.

        Args:
            what: What is tried, for the sentence about the error.
            needed: Count the error as a problem of the part; otherwise it is a note.
        """
        started = time.perf_counter()
        try:
            yield
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the next lines of the part are worth as much
            traceback.print_exc()
            sys.stderr.flush()
            tell = self.problem if needed else self.note
            tell(f"{what}: {_in_a_line(error)} (after {time.perf_counter() - started:.0f} s)")

    def _save(self) -> None:
        with atomic_path(self.folder / NAME) as temporary:
            temporary.write_text(json.dumps(self.content, indent=1, allow_nan=False), encoding="utf-8")


def _in_a_line(error: BaseException) -> str:
    """What went wrong, without the arguments of commands, which are in the log."""
    if isinstance(error, subprocess.CalledProcessError):
        return f"exit code {error.returncode}; the log tells why"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"no end after {error.timeout:.0f} s"
    message = str(error).strip()
    return f"{type(error).__name__}: {message.splitlines()[0][:300]}" if message else type(error).__name__


def plain(value: Any) -> Any:
    """The value as JSON takes it: numbers that are not finite become text."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def read(folder: Path) -> dict[str, Any] | None:
    """The findings in a folder; None if there are none."""
    try:
        return json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
