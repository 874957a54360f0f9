"""One place for what is known about a setting: its default, a sentence, a unit, bounds, and when it may change.

Every field of the configuration is made by `setting`. The options of `train.py` and their help, the check of values,
the check of what may change when a run goes on, and the table of options in the documentation all read the same metadata.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from typing import Any

GROUPS = ("Model", "Data", "Optimiser", "Regularisation", "Run", "Machine")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Metadata of one field.

    Attributes:
        help: A sentence about the field, without its default.
        unit: Unit of the value, such as "kimg"; "" for a value without a unit.
        low: Smallest value; None for no bound.
        high: Largest value; None for no bound.
        open_low: Whether `low` itself is outside of the bounds.
        choices: All values that are allowed; () if the bounds decide.
        group: Heading in `--help`, an element of `GROUPS`; "" for a field that no option sets directly.
        default_text: What the default is, if it depends on other settings; "" shows the default itself.
        may_change: Whether a run may go on with another value.
        rare: Whether `--help-all` alone shows the option.
        option: Name of the option without dashes; "" for the name of the field with "-" for "_".
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
    may_change: bool = False
    rare: bool = False
    option: str = ""
    metavar: str = ""


def setting(help: str, *, default: Any = MISSING, factory: Any = MISSING, **facts: Any) -> Any:  # noqa: A002
    """Make a dataclass field with metadata.

    Args:
        help: A sentence about the field.
        default: Its default; without one the field is required.
        factory: Function without arguments that makes the default, for lists and dictionaries.
        facts: Other fields of `Setting`.
    """
    metadata = {"setting": Setting(help=help, **facts)}
    if factory is not MISSING:
        return dataclasses.field(default_factory=factory, metadata=metadata)
    if default is MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def setting_of(field: dataclasses.Field) -> Setting:
    """Return the metadata of a field that `setting` made."""
    return field.metadata["setting"]


def option_name(field: dataclasses.Field) -> str:
    """Return the option that sets a field, such as "--batch-gpu"."""
    return "--" + (setting_of(field).option or field.name.replace("_", "-"))


def check_bounds(name: str, value: Any, facts: Setting) -> None:
    """Raise `ValueError`, with the value, the bound and the remedy, for a value outside of the bounds.

    Args:
        name: What the message calls the field, such as "--batch" or "batch_size".
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
    if not math.isfinite(value):
        raise ValueError(f"{name}={value} is not a finite number")
    if low is not None and (value < low or (facts.open_low and value == low)):
        raise ValueError(
            f"{name}={value} is too small; use {'more than ' if facts.open_low else ''}{low:g} "
            f"{'' if facts.open_low else 'or more'}".rstrip()
        )
    if high is not None and value > high:
        raise ValueError(f"{name}={value} is too large; use {high:g} or less")
