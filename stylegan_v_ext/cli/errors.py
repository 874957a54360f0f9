"""What is wrong with the user's input or machine ends a command with one line and exit code 2."""

import functools
import signal
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from stylegan_v_ext.cli.entry import LONGEST_MESSAGE, printable_errors
from stylegan_v_ext.interrupts import EndedBySignal
from stylegan_v_ext.text import printable, sentence

_P = ParamSpec("_P")
_R = TypeVar("_R")


class UserError(click.ClickException):
    """One printable line for the user, exit code 2.

    Args:
        message: Object of any type; its text is made printable.
    """

    exit_code = 2

    def __init__(self, message: object) -> None:
        super().__init__(printable(message, LONGEST_MESSAGE))


def report_user_errors(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make a command that ends in one line, not in a traceback, if the user's input or machine is at fault.

    Args:
        command: A function that click makes a command of.

    Returns:
        The function to use in its place.
    """

    @functools.wraps(command)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            with printable_errors():
                return command(*args, **kwargs)
        except ValueError as error:
            raise UserError(sentence(error)) from None
        except KeyboardInterrupt:  # from a library that has a handler of its own
            raise EndedBySignal(signal.SIGINT) from None
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise UserError(f"{where}{error.strerror or error}; name another path or free it") from None
        except (RuntimeError, MemoryError) as error:
            from stylegan_v_ext.device import is_out_of_memory

            if not isinstance(error, MemoryError) and not is_out_of_memory(error):
                raise
            raise UserError("out of memory; use a smaller --batch-gpu, --cbase or --cmax, or another device") from None

    return wrapper
