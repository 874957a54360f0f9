"""One place for what is known about a setting: its default, a sentence, a unit, bounds, and when it may change.

Every field of the configuration is made by `setting`. The options of `train.py` and their help, the check of values,
the check of what may change when a run goes on, and the table of options in the documentation read the same metadata.
"""

import dataclasses
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING
from typing import Any, NamedTuple

from stylegan_v_ext.config.kinds import check_kind, kind_of, normalised
from stylegan_v_ext.text import printable

Factory = Callable[[], object]
GROUPS = ("Model", "Data", "Optimiser", "Regularisation", "Run", "Machine")
"""Headings of options, in the order of `--help`."""


class Setting(NamedTuple):
    """Metadata of one field.

    Attributes:
        help: A sentence about the field, without its default and its full stop.
        unit: Unit of the value, such as "kimg"; "" for a value without a unit.
        low: Smallest value; None for no bound.
        high: Largest value; None for no bound. Infinite numbers are allowed if the bound itself is infinite.
        open_low: Whether `low` itself is outside of the bounds.
        choices: All values that are allowed; () if the bounds decide.
        group: Heading in `--help`, an element of `GROUPS`; "" for a field that no option sets directly.
        default_text: What the default is, if it depends on other settings; "" shows the default itself.
        needed: Whether the command line has to give the option for a new run.
        may_change: Whether a run may go on with another value.
        begins: Whether the option acts only when a run begins; a run that goes on ignores it.
        recorded: Whether `training_options.json` keeps the value among the options that the user gave.
        rare: Whether `--help-all` alone shows the option.
        option: Name of the option without dashes; "" for the name of the field with "-" for "_".
        aliases: Other names of the option, without dashes.
        environment: Environment variable that sets the option; "" for no variable.
        metavar: What `--help` shows for the value; "" for a name that follows from the type.
    """

    help: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    open_low: bool = False
    choices: tuple[str, ...] = ()
    group: str = ""
    default_text: str = ""
    needed: bool = False
    may_change: bool = False
    begins: bool = False
    recorded: bool = True
    rare: bool = False
    option: str = ""
    aliases: tuple[str, ...] = ()
    environment: str = ""
    metavar: str = ""


def setting(help: str, *, default: object = MISSING, factory: Factory | None = None, **facts: Any) -> Any:  # noqa: ANN401
    """Make a dataclass field with metadata.

    Args:
        help: A sentence about the field.
        default: Its default; without a default the field is required.
        factory: Function without arguments that makes the default, for dictionaries and other parts; None for
            `default`.
        facts: Other fields of `Setting`.

    Returns:
        The field, which stands for a value of the annotated type.
    """
    metadata = {"setting": Setting(help=help, **facts)}
    if factory is not None:
        return dataclasses.field(default_factory=factory, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def setting_of(field: dataclasses.Field) -> Setting:
    """Return the metadata of a field that `setting` made."""
    return field.metadata["setting"]


def option_name(field: dataclasses.Field) -> str:
    """Return the option that sets a field, such as "--batch-gpu"."""
    return "--" + (setting_of(field).option or field.name.replace("_", "-"))


def check_bounds(name: str, value: object, facts: Setting) -> None:
    """Raise `ValueError`, with the value, the bound and the remedy, for a value outside of the bounds.

    Args:
        name: What the message calls the field, such as "--batch" or "batch.size".
        value: A value or a sequence of values; None passes.
        facts: Metadata of the field.
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        for element in value:
            check_bounds(name, element, facts)
        return
    if value is None:
        return
    if facts.choices and value not in facts.choices:
        raise ValueError(f"{name}={value} is not one of {', '.join(facts.choices)}")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    low, high = facts.low, facts.high
    if value != value or (abs(value) > sys.float_info.max and value != high):
        raise ValueError(f"{name}={printable(value, 50)} is not a finite number")
    if low is not None and (value < low or (facts.open_low and value == low)):
        remedy = f"more than {low:g}" if facts.open_low else f"{low:g} or more"
        raise ValueError(f"{name}={value} is too small; use {remedy}")
    if high is not None and value > high:
        raise ValueError(f"{name}={value} is too large; use {high:.10g} or less")


def checked(field: dataclasses.Field, value: object) -> object:
    """Return the value that an option keeps for a value that a user gave.

    Args:
        field: A field that `setting` made, which is an option.
        value: Object of any type. Paths may be texts or path objects, and lists may stand for tuples.

    Returns:
        The value, of the type of the field.

    Raises:
        ValueError: If the value is of another type or out of bounds; the message names the option and the remedy.
    """
    name, kind = option_name(field), kind_of(field.type)
    value = normalised(value, kind)
    check_kind(name, value, kind)
    check_bounds(name, value, setting_of(field))
    return value


class Checked:
    """Base class of dataclasses whose values are checked when they are made."""

    def __post_init__(self) -> None:
        part = type(self).__name__.removesuffix("Config").lower()
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            name, value = f"{part}.{field.name}", getattr(self, field.name)
            check_kind(name, value, kind_of(field.type))
            check_bounds(name, value, setting_of(field))
