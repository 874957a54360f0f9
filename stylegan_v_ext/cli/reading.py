"""What commands that read a checkpoint share: two options, the notes about what was read, a check of the output."""

from collections.abc import Sequence
from pathlib import Path

import click

from stylegan_v_ext.cli.errors import UserError
from stylegan_v_ext.cli.switches import Switch
from stylegan_v_ext.text import say

_MOST_NOTES = 100  # a file may hold any number of them

trust_option = click.option(
    "--trust-pickle", cls=Switch, help="Unpickle as Python does, which RUNS the code in the file"
)
nan_option = click.option(
    "--allow-nan", cls=Switch, help="Use networks with NaN or infinite weights, which otherwise end in an error"
)


def say_notes(notes: Sequence[str]) -> None:
    """Print on stderr what had to be decided to read a network.

    Args:
        notes: The `notes` of a `NetworkData`; the first 100 are printed.
    """
    for note in notes[:_MOST_NOTES]:
        say_note(note)


def say_note(note: str) -> None:
    """Print a sentence about a decision on stderr."""
    say(f"Note: {note}", err=True)


def refuse_existing(*paths: Path) -> None:
    """Raise `UserError` for the first path that exists."""
    for path in paths:
        if path.exists():
            raise UserError(f"{path} exists already; name another file or delete it first")
