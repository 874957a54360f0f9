"""Text of strangers in a form that is safe to show."""

import re
import sys

__all__ = ["printable", "say", "sentence"]

_LONGEST_LINE = 8000  # a path has at most 4096 characters, and a line may name two


def printable(text: object, longest: int = 1000) -> str:
    """Return a text from a file as one line for a terminal.

    Args:
        text: Object of any type; control characters, line ends and unpaired surrogates in its text become `?`.
        longest: Number of characters to keep, at least 0; `...` stands for the rest.
    """
    line = "".join(letter if letter.isprintable() else "?" for letter in str(text)[: longest + 1])
    return line if len(line) <= longest else line[:longest] + "..."


def say(*lines: object, err: bool = False) -> None:
    r"""Print lines for the user; whatever a line holds, it is one line of printable characters.

    Characters that the encoding of the terminal lacks are spelled out, such as `\\u65e5`.

    Args:
        lines: Objects of any type. The caller splits a text of several lines, since only the caller knows which line
            ends belong to names.
        err: Whether to print to stderr, for text that is not a result.
    """
    stream = sys.stderr if err else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    for line in lines:
        shown = printable(line, _LONGEST_LINE)
        print(shown.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def sentence(error: object) -> str:
    """Return the message of an error, without the traceback that PyTorch adds to an error of a data worker.

    Args:
        error: The error, or its message.
    """
    message = str(error)
    if message.startswith("Caught ") and "\nOriginal Traceback" in message:
        message = re.split(r"^[\w.]*Error: ", message, flags=re.MULTILINE)[-1].strip()
    return message if message.strip() else "unknown error"
