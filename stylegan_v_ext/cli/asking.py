"""Questions to the user, most of them about files that are to be replaced."""

import sys
from collections.abc import Container, Iterable
from pathlib import Path

import click

from stylegan_v_ext.cli.entry import LONGEST_MESSAGE
from stylegan_v_ext.cli.errors import UserError
from stylegan_v_ext.listener import refuse_inputs
from stylegan_v_ext.text import printable, say

_MOST_NAMED = 5  # files in a question
_OTHER_OUTPUT = "name another --output, or delete what is there"


def user_agrees(question: str, remedy: str) -> bool:
    """Ask a question and return whether the user answers yes; only "y" and "yes" mean yes.

    Args:
        question: The question, without the choice of answers.
        remedy: What to do if nobody answers, for the error.

    Returns:
        Whether the answer is yes.

    Raises:
        UserError: If nobody answers.
    """
    try:
        return click.confirm(printable(question, LONGEST_MESSAGE), default=False, err=True)
    except click.Abort:
        click.echo(err=True)
        raise UserError(f"no answer, so nothing was written; {remedy}") from None


def files_to_replace(paths: Iterable[Path], *, ask: bool = True, inputs: Iterable[str | None] = ()) -> set[Path]:
    """Return the paths that exist, which the caller is about to replace.

    Args:
        paths: All files that the caller will write.
        ask: Whether to ask the user, if there is a terminal.
        inputs: Files that the caller reads, or anything else that the user named as an input; None is passed over.

    Returns:
        The files that exist.

    Raises:
        UserError: If the user does not agree.
        ValueError: If one of the inputs would be replaced.
    """
    existing = sorted({path for path in paths if path.exists()})
    refuse_inputs(existing, inputs)
    if existing and ask and sys.stdin is not None and sys.stdin.isatty():
        more = f" and {len(existing) - _MOST_NAMED} more" if len(existing) > _MOST_NAMED else ""
        names = ", ".join(map(str, existing[:_MOST_NAMED]))
        if not user_agrees(f"{names}{more} exist{'s' if len(existing) == 1 else ''} already. Replace?", _OTHER_OUTPUT):
            raise UserError(f"nothing was written; {_OTHER_OUTPUT}")
    return set(existing)


def say_written(path: Path, replaced: Container[Path]) -> None:
    """Print the name of a file that was written, and say whether it took the place of another file.

    Args:
        path: The file.
        replaced: Files that were there before.
    """
    say(f"{path} (replaced the file that was there)" if path in replaced else path)
