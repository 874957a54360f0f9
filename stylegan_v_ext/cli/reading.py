"""What commands that read a checkpoint share: two options, a note, a check of the output."""

from pathlib import Path

import click

from stylegan_v_ext.cli.errors import UserError
from stylegan_v_ext.cli.switches import Switch
from stylegan_v_ext.text import say

trust_option = click.option(
    "--trust-pickle", cls=Switch, help="Unpickle as Python does, which RUNS the code in the file"
)
nan_option = click.option(
    "--allow-nan", cls=Switch, help="Use networks with NaN or infinite weights, which otherwise end in an error"
)


def say_note(note: str) -> None:
    """Print a note on stderr."""
    say(f"Note: {note}", err=True)


def refuse_existing(*paths: Path) -> None:
    """Raise `UserError` for the first path that exists."""
    for path in paths:
        if path.exists():
            raise UserError(f"{path} exists already; name another file or delete it first")
