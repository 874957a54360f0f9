"""What long work tells its caller: messages, progress, names of files.

Functions that work for long take a `Listener`. `SILENT`, their default, does nothing. The command line has a listener
that prints messages and draws progress bars.
"""

import contextlib
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class Advance(Protocol):
    """A function that work calls after each step."""

    def __call__(self, steps: int, total: int | None = None) -> None:
        """Hear how far the work is.

        Args:
            steps: Number of steps since the last call.
            total: Number of all steps; None if it is as before.
        """


def ignore(steps: int, total: int | None = None) -> None:
    """Do nothing: an `Advance` for callers that show no progress."""


class Listener:
    """Hears what long work says, and does nothing with it. Subclasses override what they want to hear."""

    def say(self, message: str) -> None:
        """Hear a line about a result.

        Args:
            message: One line. It may hold text from files, so that printing it needs `text.say`.
        """

    def note(self, message: str) -> None:
        """Hear a line that is not about a result: a remark about the input, or what happens now.

        Args:
            message: One line, as for `say`.
        """

    def progress(self, label: str, total: int) -> AbstractContextManager[Advance]:
        """Return a context in which work of several steps is done.

        Args:
            label: Name of the work.
            total: Number of steps; an estimate if the work says a better number later.

        Returns:
            A context manager, whose value is called after each step.
        """
        return contextlib.nullcontext(ignore)

    def will_write(self, paths: Iterable[Path], *, inputs: Iterable[str | None] = ()) -> None:
        """Hear which files will be written, before any work is done.

        Args:
            paths: All files that will be written.
            inputs: Files that are read, or anything else that was named as an input; None is left out.

        Raises:
            ValueError: If a file that is read would be replaced.
        """
        refuse_inputs(paths, inputs)

    def written(self, path: Path) -> None:
        """Hear that a file was written.

        Args:
            path: The file, or a folder of frames.
        """


SILENT = Listener()
"""A listener that does nothing."""


def refuse_inputs(paths: Iterable[Path], inputs: Iterable[str | None]) -> None:
    """Raise `ValueError` if writing would replace a file that is read.

    Args:
        paths: Files that will be written. A link is replaced itself, which leaves its target as it is.
        inputs: Files that are read, or anything else that was named as an input; None is left out.
    """
    read = [Path(name) for name in inputs if name and os.path.exists(name)]
    for path in paths:
        if path.exists() and not path.is_symlink() and any(map(path.samefile, read)):
            raise ValueError(f"{path} is read here, and would be replaced; name another --output")
