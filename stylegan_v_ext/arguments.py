"""Checks of what a program passes to the public functions.

Each error is a `ValueError` in one sentence with the name of the argument, its value, and the values that can be used.
"""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

from stylegan_v_ext.config.fields import Setting, check_bounds
from stylegan_v_ext.config.kinds import Kind, check_kind, kind_of, normalised
from stylegan_v_ext.text import printable

Bounds = tuple[float | None, float | None]
"""Smallest and largest value of an argument; None for no bound."""

MOST_SEEDS = 2**32
"""Seeds of contents are below this number."""


def whole(name: str, value: object, *, low: float | None = None, high: float | None = None) -> int:
    """Return a whole number; integers of NumPy are whole numbers, too.

    Args:
        name: Name of the argument.
        value: Object of any type.
        low: Smallest value; None for no bound.
        high: Largest value; None for no bound.

    Raises:
        ValueError: If the value is of another type or out of bounds.
    """
    return int(_checked(name, value, Kind(base=int), (low, high)))  # type: ignore[call-overload]


def number(name: str, value: object, *, low: float | None = None, high: float | None = None) -> float:
    """Return a finite number; whole numbers and numbers of NumPy are numbers, too.

    Args:
        name: Name of the argument.
        value: Object of any type.
        low: Smallest value; None for no bound.
        high: Largest value; None for no bound.

    Raises:
        ValueError: If the value is of another type, NaN, infinite or out of bounds.
    """
    return float(_checked(name, value, Kind(base=float), (low, high)))  # type: ignore[arg-type]


def path_of(name: str, value: object) -> Path:
    """Return a path with the home folder in place of `~`.

    Args:
        name: Name of the argument.
        value: Object of any type.

    Raises:
        ValueError: If the value is neither a text nor a path, or if it is empty.
    """
    if not isinstance(value, str | os.PathLike) or not isinstance(text := os.fspath(value), str):
        raise ValueError(f"{name}={value!r} cannot be used, expected a path")
    if not text or "\0" in text:
        raise ValueError(f"{name}={text!r} is no path; name a file or a folder")
    return Path(text).expanduser()


def check_type(name: str, value: object, wanted: type) -> None:
    """Raise `ValueError` unless an argument is an object of a class.

    Args:
        name: Name of the argument.
        value: Object of any type.
        wanted: The class.
    """
    if not isinstance(value, wanted):
        raise ValueError(f"{name}={printable(repr(value), 100)} cannot be used, expected {wanted.__name__}(...)")


def check_fields(request: object, bounds: Mapping[str, Bounds], choices: Mapping[str, tuple[str, ...]]) -> None:
    """Check the types and the values of a dataclass.

    Numbers of NumPy, and lists in place of tuples, become what the annotations say.

    Args:
        request: A dataclass, perhaps a frozen one.
        bounds: Bounds of fields by their names.
        choices: All values that fields may have, by the names of the fields.

    Raises:
        ValueError: If the value of a field is of another type or out of bounds.
    """
    for field in dataclasses.fields(request):  # type: ignore[arg-type]
        name, limits = field.name, bounds.get(field.name, (None, None))
        value = _checked(name, getattr(request, name), kind_of(field.type), limits, choices.get(name, ()))
        object.__setattr__(request, name, value)


def _checked(name: str, value: object, kind: Kind, bounds: Bounds, choices: tuple[str, ...] = ()) -> object:
    value = normalised(value, kind)
    check_kind(name, value, kind)
    check_bounds(name, value, Setting(help="", low=bounds[0], high=bounds[1], choices=choices))
    return value
