"""The edge of every command: signals that clean up, a screen that may fail, exit codes.

Entry points are a `Command` or a `Group` of this module; what they call needs to know nothing of it.
"""

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from dnnlib.util import Outlet
from stylegan_v_ext.cli.switches import spelled_out
from stylegan_v_ext.interrupts import EndedBySignal, StoppedBySignal, ending
from stylegan_v_ext.text import printable

LONGEST_MESSAGE = 4000  # characters
_inside = False


class _Entry:
    """What `Command` and `Group` add to click's classes."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        with edge():
            return super().main(*args, **kwargs)  # type: ignore[misc]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        parameters = self.get_params(ctx)  # type: ignore[attr-defined]
        rest = super().parse_args(ctx, list(spelled_out(parameters, args)))  # type: ignore[misc]
        for parameter in parameters:  # comparisons with a bound let NaN pass
            value = ctx.params.get(parameter.name)
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, float) and not math.isfinite(number):
                    raise click.BadParameter(f"{number} is not a finite number", ctx, parameter)
        return rest

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with printable_errors():
            return super().make_context(*args, **kwargs)  # type: ignore[misc]

    def invoke(self, ctx: click.Context) -> Any:
        with printable_errors():
            return super().invoke(ctx)  # type: ignore[misc]


class Command(_Entry, click.Command):
    """A command that may be an entry point."""


class Group(_Entry, click.Group):
    """A group of commands that may be an entry point."""

    command_class = Command
    group_class = type


@contextmanager
def printable_errors() -> Iterator[None]:
    """Whatever click complains about inside, names of files included, is one printable line."""
    try:
        yield
    except click.ClickException as error:
        vars(error)["message"] = printable(error.message, LONGEST_MESSAGE)  # click declares it final
        raise


@contextmanager
def edge() -> Iterator[None]:
    """Run a command inside. A command that calls another one stays the only one with an edge.

    Raises `SystemExit` with 128 + the number of a signal that ended the work.
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
    # The threads of gloo may abort a process that ends the usual way, or hold it.
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
    raise SystemExit(code)


def _open_standard_files() -> None:
    """Open descriptors 0 to 2 if they are closed: files of ours must not get numbers that all children share."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


@contextmanager
def _lasting_screen() -> Iterator[None]:
    """Inside, `sys.stdout` and `sys.stderr` never raise: each says on the other that it cannot be written."""
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


def _let_go(stream: Any) -> None:
    """Send what a stream still holds to nowhere: Python would make an exit code of it."""
    if stream is None or stream not in (sys.__stdout__, sys.__stderr__):
        return
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
