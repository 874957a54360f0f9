"""Options of `train`, one for each field of `TrainOptions`: names, types, bounds, defaults and help."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from stylegan_v_ext.cli.grouping import Option
from stylegan_v_ext.cli.pointers import Preset
from stylegan_v_ext.cli.switches import Switch
from stylegan_v_ext.cli.types import FOLDER, PATH, NameList
from stylegan_v_ext.config.fields import GROUPS, Setting, option_name, setting_of
from stylegan_v_ext.config.kinds import kind_of
from stylegan_v_ext.config.options import TrainOptions
from stylegan_v_ext.config.presets import PRESETS

_Command = TypeVar("_Command", bound=Callable[..., object])
_TYPES: dict[str, click.ParamType] = {
    "cfg": Preset(list(PRESETS)),
    "data": PATH,
    "host": PATH,
    "metrics": NameList(),
    "outdir": FOLDER,
    "resume": PATH,
}
"""Types of the options that mean more than a number or a text."""


def training_options(command: _Command) -> _Command:
    """Give a command the options of `TrainOptions`, under the headings of `GROUPS`.

    Args:
        command: A function that click makes a command of.

    Returns:
        The function.
    """
    fields = sorted(dataclasses.fields(TrainOptions), key=lambda field: GROUPS.index(setting_of(field).group))
    for field in reversed(fields):  # click lists the decorator that is applied last first
        command = _option(field)(command)
    return command


def given_options(ctx: click.Context) -> dict[str, Any]:
    """Return the values that the user chose, by the names of `TrainOptions`; the environment counts as a choice.

    Args:
        ctx: Context of a command with `training_options`.
    """
    names = [field.name for field in dataclasses.fields(TrainOptions)]
    sources = {name: ctx.get_parameter_source(name) for name in names}
    return {name: ctx.params[name] for name, source in sources.items() if source is not ParameterSource.DEFAULT}


def _option(field: dataclasses.Field) -> Callable[[_Command], _Command]:
    facts = setting_of(field)
    names = [option_name(field), *(f"--{alias}" for alias in facts.aliases), field.name]
    shown: dict[str, Any] = {"help": _help(facts), "group": facts.group, "rare": facts.rare}
    if kind_of(field.type).base is bool:
        return click.option(*names, cls=Switch, **shown)
    default = None if facts.needed else "none" if field.default == () else field.default
    return click.option(
        *names,
        cls=Option,
        type=_type(field, facts),
        default=default,
        metavar=facts.metavar or None,
        envvar=facts.environment or None,
        **shown,
    )


def _help(facts: Setting) -> str:
    notes = {
        "default: ": facts.default_text,
        "required ": "for a new run" if facts.needed else "",
        "env: ": facts.environment,
    }
    return facts.help + "".join(f"  [{name}{text}]" for name, text in notes.items() if text)


def _type(field: dataclasses.Field, facts: Setting) -> click.ParamType:
    if field.name in _TYPES:
        return _TYPES[field.name]
    if facts.choices and not facts.metavar:
        return click.Choice(facts.choices)
    base = kind_of(field.type).base
    if base is int:
        return click.IntRange(_whole(facts.low), _whole(facts.high))
    if base is float:
        high = None if facts.high is None or facts.high == float("inf") else facts.high
        return click.FloatRange(facts.low, high, min_open=facts.open_low)
    return click.STRING


def _whole(bound: float | None) -> int | None:
    return None if bound is None else int(bound)
