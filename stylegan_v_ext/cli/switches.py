"""Boolean options: `--mirror`, `--mirror=1`, `--mirror=false`, `--mirror true` and `--mirror 0` all work."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import click

from stylegan_v_ext.cli.grouping import Option

_TRUE = ("1", "true", "yes", "on", "t", "y")
_FALSE = ("0", "false", "no", "off", "f", "n")


class YesNo(click.ParamType):
    """A boolean value in any usual spelling."""

    name = "bool"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        """Return the boolean that a word means; a boolean stays as it is."""
        if isinstance(value, bool):
            return value
        word = str(value).strip().lower()
        if word not in _TRUE + _FALSE:
            self.fail(f"{value!r} is neither true nor false; use 1 or 0, or the option alone for 1", param, ctx)
        return word in _TRUE


class Switch(Option):
    """A boolean option of a command of `entry`, which hands its words to `spelled_out` first.

    Its default is False. A default of None tells that the user did not choose.
    """

    def __init__(self, param_decls: Sequence[str] | None = None, **settings: object) -> None:
        shown = {"default": False, "show_default": bool(settings.get("default")), "metavar": "[0|1]"}
        super().__init__(param_decls, **{**shown, **settings, "type": YesNo()})  # type: ignore[arg-type]

    @property
    def full_name(self) -> str:
        """The spelling that takes a value after "="."""
        return next(name for name in self.opts if name.startswith("--"))


def spelled_out(parameters: Sequence[click.Parameter], words: Iterable[str]) -> Iterator[str]:
    """Yield the words of a command line, with "=1" after a switch that has no value.

    If the word after a switch is a boolean, it is the value of the switch, unless the command has arguments, to which
    the word may belong.

    Args:
        parameters: All parameters of the command.
        words: The command line, without the name of the command.

    Yields:
        The words for click to parse.
    """
    options = [parameter for parameter in parameters if isinstance(parameter, click.Option)]
    switches = {name: option for option in options if isinstance(option, Switch) for name in option.opts}
    with_value = {
        name for option in options if not isinstance(option, Switch) and not option.is_flag for name in option.opts
    }
    has_arguments = len(options) < len(parameters)
    rest = deque(words)
    while rest:
        word = rest.popleft()
        if word in switches:
            takes_next = bool(rest) and not has_arguments and rest[0].lower() in _TRUE + _FALSE
            yield f"{switches[word].full_name}={rest.popleft() if takes_next else 1}"
            continue
        yield word
        if word == "--":
            yield from rest
            return
        if word in with_value and rest:
            yield rest.popleft()
