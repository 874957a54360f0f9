"""The edge of every command: signals that clean up, a screen that may fail, exit codes.

Entry points are a `Command` or a `Group` of this module; the functions that they call need to know nothing of it.
"""

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

import click

from dnnlib.util import Outlet
from stylegan_v_ext.cli.grouping import help_all_option, is_rare, write_options
from stylegan_v_ext.cli.switches import spelled_out
from stylegan_v_ext.interrupts import EndedBySignal, StoppedBySignal, ending
from stylegan_v_ext.text import printable

if TYPE_CHECKING:
    _Base = click.Command
else:
    _Base = object

LONGEST_MESSAGE = 4000  # characters
_inside = False


class _Entry(_Base):
    """What `Command` and `Group` add to click's classes."""

    _help_all: click.Option | None = None

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (click's signature)
        """Run the command as a program."""
        with edge():
            return super().main(*args, **kwargs)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return all parameters, with `--help-all` if there are rare options."""
        parameters = super().get_params(ctx)
        if not any(map(is_rare, parameters)):
            return parameters
        self._help_all = self._help_all or help_all_option()  # click compares parameters by identity
        return [*parameters, self._help_all]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words of the command line; refuse numbers that are not finite."""
        parameters = self.get_params(ctx)
        rest = super().parse_args(ctx, list(spelled_out(parameters, args)))
        for parameter in parameters:  # comparisons with a bound let NaN pass
            value = ctx.params.get(parameter.name or "")
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, float) and not math.isfinite(number):
                    raise click.BadParameter(f"{number} is not a finite number", ctx, parameter)
        return rest

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: object
    ) -> click.Context:
        """Parse the words of the command line into a context."""
        with printable_errors():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> object:
        """Call the function of the command."""
        with printable_errors():
            return super().invoke(ctx)


class Command(_Entry, click.Command):
    """A command that may be an entry point. Its options stand under the headings of `grouping.Option`."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of the help."""
        write_options(ctx, formatter, self.get_params(ctx))


class Group(_Entry, click.Group):
    """A group of commands that may be an entry point. Its own options stand under headings, too."""

    command_class = Command
    group_class = type

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options and the commands of the help."""
        write_options(ctx, formatter, self.get_params(ctx))
        self.format_commands(ctx, formatter)


@contextmanager
def printable_errors() -> Iterator[None]:
    """Make the message of an error of click inside the block one printable line, names of files included."""
    try:
        yield
    except click.ClickException as error:
        vars(error)["message"] = printable(error.message, LONGEST_MESSAGE)  # click declares it final
        raise


@contextmanager
def edge() -> Iterator[None]:
    """Run a command inside the block. If a command calls another command, only the outer one has an edge.

    Raises:
        SystemExit: With 128 + the number of a signal that ended the work.
    """
    global _inside
    if _inside:
        yield
        return
    _inside = True
    try:
        _open_standard_files()
        with _lasting_screen():
            try:
                with ending():
                    yield
            except (EndedBySignal, StoppedBySignal) as end:
                _exit(end.exit_code)
    finally:
        _inside = False


def _exit(code: int) -> None:
    """End the process; threads of gloo may abort or hold a process of several that ends the usual way."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
    raise SystemExit(code)


def _open_standard_files() -> None:
    """Open descriptors 0 to 2 if they are closed, so that no other file gets a number that all children share."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


@contextmanager
def _lasting_screen() -> Iterator[None]:
    """Make `sys.stdout` and `sys.stderr` never raise: each says on the other stream that it cannot be written."""
    before = sys.stdout, sys.stderr
    out = Outlet(before[0], "Standard output", lambda message: error.write(message))
    error = Outlet(before[1], "Standard error", lambda message: out.write(message))
    sys.stdout, sys.stderr = out, error  # type: ignore[assignment]
    try:
        yield
    finally:
        for outlet in (out, error):
            outlet.flush()
            if outlet.failed:
                _let_go(outlet.stream)
        sys.stdout, sys.stderr = before


def _let_go(stream: IO[str] | None) -> None:
    """Send what a stream still holds to nowhere; otherwise Python would end with an exit code of its own."""
    if stream is None or not any(stream is standard for standard in (sys.__stdout__, sys.__stderr__)):
        return
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
