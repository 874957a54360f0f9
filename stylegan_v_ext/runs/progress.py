"""Progress of long work: the caller hands in a function that opens a bar."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Bar(Protocol):
    """A progress bar of a piece of work."""

    def update(self, steps: int, /) -> None:
        """Show that some more steps are done.

        Args:
            steps: Number of steps since the last call.
        """


class Progress(Protocol):
    """Opens a bar for a piece of work."""

    def __call__(self, length: int, label: str) -> AbstractContextManager[Bar]:
        """Return a context manager that shows a bar.

        Args:
            length: Number of steps of the work.
            label: A few words about the work.
        """


class _Silence:
    """A bar that shows nothing."""

    def update(self, steps: int, /) -> None:
        """Do nothing."""


@contextmanager
def no_progress(length: int, label: str) -> Iterator[Bar]:
    """Show nothing, for callers without a screen."""
    yield _Silence()
