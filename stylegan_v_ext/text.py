"""Text of strangers in a form that is safe to show."""

from typing import Any


def printable(text: Any, longest: int = 1000) -> str:
    """A text from a file as one line for a terminal.

    text: anything; control characters, line ends and unpaired surrogates become `?`.
    longest: characters to keep, at least 0; `...` stands for the rest.
    """
    line = "".join(c if c.isprintable() else "?" for c in str(text)[: longest + 1])
    return line if len(line) <= longest else line[:longest] + "..."
