"""A log file of everything that a program prints."""

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, TextIO, cast

from .files import open_no_link

__all__ = ["Logger", "Outlet"]


class Outlet:
    """A text stream that never raises. Text that cannot be written is left out, and another place is told so once.

    Args:
        stream: The stream to write to; None, which Python uses for a closed stream, takes everything and shows nothing.
        name: Name of the stream for the message.
        tell: Function that is called once with the message, at the end of the first line that fails.
    """

    def __init__(self, stream: TextIO | None, name: str, tell: Callable[[str], object]) -> None:
        self.stream, self._name, self._tell = stream, name, tell
        self.failed = False
        self._line_ended = False
        self._message = ""  # a message for `tell` that waits for the end of a line

    def write(self, text: str) -> int:
        """Write text; return its length, even if it cannot be written."""
        if not isinstance(text, str):
            raise TypeError(f"text is written here, not {type(text).__name__}")
        self._line_ended = text.endswith(("\n", "\r"))
        if self.stream is not None:
            self._attempt(partial(self._write, self.stream, text))
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        if self.stream is not None:
            self._attempt(self.stream.flush)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        try:
            return self.stream is not None and self.stream.isatty()
        except ValueError:  # the stream is closed
            return False

    def writable(self) -> bool:
        """Return True: an outlet takes any text."""
        return True

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name == "buffer":  # the stream's own buffer would raise the stream's errors
            raise AttributeError(name)
        return getattr(self.stream, name)

    def _write(self, stream: TextIO, text: str) -> None:
        try:
            stream.write(text)
        except UnicodeEncodeError:  # the terminal's encoding lacks a character
            encoding = stream.encoding or "ascii"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))

    def _attempt(self, act: Callable[[], object]) -> None:
        try:
            act()
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            if not self.failed:
                self.failed = True
                reason = getattr(error, "strerror", None) or error
                self._message = f"{self._name} cannot be written ({reason}); the work goes on without it.\n"
        if self._message and self._line_ended:
            message, self._message = self._message, ""
            self._tell(message)


class Logger:
    """Copy everything that is printed to stdout and stderr into a file as well.

    A logger is also a context manager; `close` gives the streams back. If the file or the screen cannot be written, the
    other one says so once.

    Args:
        file_name: The file; None prints to the screen alone.
        file_mode: Mode of `open`; "a" keeps the text of an earlier run.
        should_flush: Whether to flush after every write.
    """

    def __init__(self, file_name: str | None = None, file_mode: str = "w", should_flush: bool = True) -> None:
        self.should_flush = should_flush
        self.stdout, self.stderr = sys.stdout, sys.stderr
        self.file: TextIO | None = None
        if file_name is not None:
            file = open(  # noqa: SIM115
                file_name, file_mode, encoding="utf-8", errors="backslashreplace", opener=open_no_link
            )
            self.file = cast(TextIO, file)  # the type of an open file depends on its mode
        # A command's own outlet would tell about a failure; unwrapped, the failure is told to the log as well.
        screen = self.stdout.stream if isinstance(self.stdout, Outlet) else self.stdout
        self._to_screen = Outlet(screen, "The screen", lambda message: self._to_file.write(message))
        self._to_file = Outlet(self.file, str(file_name), lambda message: self._to_screen.write(message))
        sys.stdout = sys.stderr = self  # type: ignore[assignment]

    def write(self, text: str | bytes) -> None:
        """Write text to the file and to the screen."""
        if isinstance(text, bytes):
            text = text.decode()
        for outlet in self._outlets() if text else ():
            outlet.write(text)
            if self.should_flush:
                outlet.flush()

    def flush(self) -> None:
        """Flush the file and the screen."""
        for outlet in self._outlets():
            outlet.flush()

    def isatty(self) -> bool:
        """Return whether the screen is a terminal."""
        return self._to_screen.isatty()

    def close(self) -> None:
        """Give stdout and stderr back and close the file."""
        self.flush()
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is self:
                setattr(sys, name, getattr(self, name))
        if self.file is not None:
            with suppress(OSError):  # there is no room for the rest, and the screen has said so
                self.file.close()
        self.file = None

    def _outlets(self) -> list[Outlet]:
        self._to_file.stream = self.file
        return [self._to_file, self._to_screen]

    def __enter__(self) -> "Logger":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
