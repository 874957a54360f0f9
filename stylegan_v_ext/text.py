"""Text of strangers in a form that is safe to show."""

import re
import sys
from typing import Any

_LONGEST_LINE = 8000  # a path has at most 4096 characters, and a line may name two


def printable(text: Any, longest: int = 1000) -> str:
    """A text from a file as one line for a terminal.

    Args:
        text: Anything; control characters, line ends and unpaired surrogates become `?`.
        longest: Characters to keep, at least 0; `...` stands for the rest.
    """
    line = "".join(c if c.isprintable() else "?" for c in str(text)[: longest + 1])
    return line if len(line) <= longest else line[:longest] + "..."


def say(*lines: Any, err: bool = False) -> None:
    """Print lines for the user; whatever a line holds, it is one line of printable characters.

    lines: anything. A text of several lines has to be split by its author, who knows which line ends are names' own.
    err: print to stderr, for what is no result.
    Characters that the terminal's encoding lacks are spelled out, such as `\\u65e5`.
    """
    stream = sys.stderr if err else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    for line in lines:
        shown = printable(line, _LONGEST_LINE)
        print(shown.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def sentence(error: Any) -> str:
    """The message of an error. PyTorch gives an error that crossed from a data worker a traceback; it is cut off."""
    message = str(error)
    if message.startswith("Caught ") and "\nOriginal Traceback" in message:
        message = re.split(r"^[\w.]*Error: ", message, flags=re.MULTILINE)[-1].strip()
    return message if message.strip() else "unknown error"
