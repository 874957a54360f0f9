"""Types of settings: what their annotations allow, and what a person calls them."""

import numbers
import os
import types
import typing
from collections.abc import Sequence
from typing import NamedTuple

NAMES = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}
"""What messages call the types of JSON, in the order in which they list them."""


class Kind(NamedTuple):
    """Type of the values of a setting.

    Attributes:
        base: bool, int, float, str, tuple, Sequence or dict.
        element: Type of the elements of a tuple or a sequence; None for other types.
        length: Number of elements of a tuple; None for any number.
        optional: Whether None is a value.
    """

    base: type
    element: type | None = None
    length: int | None = None
    optional: bool = False

    @property
    def json_types(self) -> set[type]:
        """Types of the value in a JSON document."""
        base = list if self.base is tuple else self.base
        return {base, type(None)} if self.optional else {base}


def kind_of(annotation: object) -> Kind:
    """Return the type that an annotation such as `int | None` or `tuple[str, ...]` means."""
    if isinstance(annotation, types.UnionType):
        (base,) = (one for one in typing.get_args(annotation) if one is not type(None))
        kind = kind_of(base)
        return Kind(base=kind.base, element=kind.element, length=kind.length, optional=True)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        return Kind(base=tuple, element=arguments[0], length=None if arguments[-1] is ... else len(arguments))
    if origin is Sequence:
        return Kind(base=Sequence, element=arguments[0])
    found = origin or annotation
    if not isinstance(found, type):
        raise TypeError(f"{annotation} is no type of a setting")
    return Kind(base=found)


def normalised(value: object, kind: Kind) -> object:
    """Return the value that a setting keeps for a value that a user gave.

    Args:
        value: Object of any type. A path becomes a text, a list a tuple, 0 or 1 false or true, and a number of NumPy
            a number of Python.
        kind: Type of the setting.
    """
    if isinstance(value, os.PathLike) and kind.base is str:
        return os.fspath(value)
    if kind.element and isinstance(value, list | tuple):
        elements = [normalised(element, kind_of(kind.element)) for element in value]
        return elements if kind.base is Sequence and isinstance(value, list) else tuple(elements)
    if isinstance(value, numbers.Integral) and type(value) is not bool and kind.base in (int, float):
        return int(value)
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Rational) and kind.base is float:
        return float(value)
    return bool(value) if kind.base is bool and type(value) is int and value in (0, 1) else value


def check_kind(name: str, value: object, kind: Kind) -> None:
    """Raise `ValueError` for a value of another type; whole numbers are numbers, too.

    Args:
        name: What the message calls the setting, such as "--batch".
        value: Object of any type.
        kind: Type of the setting.
    """
    if value is None and kind.optional:
        return
    if kind.element and isinstance(value, kind.base) and not isinstance(value, str | bytes):
        for element in value:  # type: ignore[attr-defined]
            check_kind(name, element, kind_of(kind.element))
        return
    is_number = kind.base is float and isinstance(value, int) and not isinstance(value, bool)
    is_truth = isinstance(value, bool) and kind.base is not bool
    if kind.element or not (is_number or (isinstance(value, kind.base) and not is_truth)):
        expected = "a list" if kind.element else NAMES.get(kind.base, kind.base.__name__)
        raise ValueError(f"{name}={value!r} cannot be used, expected {expected}")
