"""What commands around a library call share: messages and bars in a terminal, requests from options."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import click

from stylegan_v_ext.cli.asking import files_to_replace, say_written
from stylegan_v_ext.cli.common import progress_bar
from stylegan_v_ext.listener import Advance, Listener
from stylegan_v_ext.text import say

_Request = TypeVar("_Request")


class Terminal(Listener):
    """Prints what long work says, draws bars, and asks before files are replaced.

    Args:
        ask: Whether to ask before files are replaced, if there is somebody to ask.
    """

    def __init__(self, *, ask: bool = True) -> None:
        self.ask = ask
        self.replaced: set[Path] = set()

    def say(self, message: str) -> None:
        """Print a line on stdout."""
        say(message)

    def note(self, message: str) -> None:
        """Print a line on stderr."""
        say(message, err=True)

    @contextlib.contextmanager
    def progress(self, label: str, total: int) -> Iterator[Advance]:
        """Draw a bar while the work inside goes on."""
        with progress_bar(total, label) as bar:

            def advance(steps: int, total: int | None = None) -> None:
                bar.length = total or bar.length
                bar.update(steps)

            yield advance

    def will_write(self, paths: Iterable[Path], *, inputs: Iterable[str | None] = ()) -> None:
        """Ask whether files that exist may be replaced; refuse to replace inputs."""
        self.replaced |= files_to_replace(paths, ask=self.ask, inputs=inputs)

    def written(self, path: Path) -> None:
        """Name a file that was written, and say whether it replaced another one."""
        say_written(path, self.replaced)


def request_of(kind: Callable[..., _Request], options: Mapping[str, object]) -> _Request:
    """Make a request of options that have the names of its fields; options that were not given keep its defaults.

    Args:
        kind: Class of the request.
        options: Values by the names of the fields; None, and () for an option that may be given again, is left out.
    """
    return kind(**{name: value for name, value in options.items() if value is not None and value != ()})


@contextlib.contextmanager
def usage_errors() -> Iterator[None]:
    """Turn a `RequestError` inside into click's error about the options, which names the help as well."""
    from stylegan_v_ext.generate.request import RequestError

    try:
        yield
    except RequestError as error:
        raise click.UsageError(str(error)) from None
