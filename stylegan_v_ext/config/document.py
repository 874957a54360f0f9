"""Check of a JSON document that a stranger may have written, before anything in it is used.

A tree of `Entries` and `Leaf` says what a document may hold. It is made from the fields of the configuration, which
alone state types, ranges and choices.
"""

from collections.abc import Mapping
from dataclasses import Field, dataclass, field

from stylegan_v_ext.classes import shown_value
from stylegan_v_ext.config.fields import setting_of
from stylegan_v_ext.config.kinds import NAMES, kind_of
from stylegan_v_ext.text import printable

_LONGEST_TEXT = 4096
_LONGEST_LIST = 2**20
_MOST_BITS = 1023  # of whole numbers, which have to fit a float
_DEFAULT_LOW, _DEFAULT_HIGH = 0, 2**31


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """What a value may be.

    Attributes:
        types: Types of the value in JSON.
        elements: What the elements of a list may be; None for other values.
        length: Elements of a list; None for any number.
        low: Smallest number.
        high: Largest number.
        choices: All texts that are allowed; () for any text.
    """

    types: set[type]
    elements: "Leaf | None" = None
    length: int | None = None
    low: float = _DEFAULT_LOW
    high: float = _DEFAULT_HIGH
    choices: tuple[str, ...] = ()


@dataclass
class Entries:
    """What an object may hold.

    Attributes:
        keys: Entries by name.
        always: Names of entries that have to be there.
    """

    keys: "dict[str, Leaf | Entries]" = field(default_factory=dict)
    always: set[str] = field(default_factory=set)


def leaf_of(described: Field) -> Leaf:
    """Return what a document may hold for a field of the configuration."""
    facts, kind = setting_of(described), kind_of(described.type)
    low = _DEFAULT_LOW if facts.low is None else facts.low
    high = _DEFAULT_HIGH if facts.high is None else facts.high
    if kind.element is None:
        return Leaf(types=kind.json_types, low=low, high=high, choices=facts.choices)
    elements = Leaf(types={kind.element}, low=low, high=high, choices=facts.choices)
    return Leaf(types=kind.json_types, elements=elements, length=kind.length)


def check_value(value: object, expected: Leaf | Entries, path: str = "") -> None:
    """Raise `ValueError`, naming the entry, unless a value is what is expected.

    Args:
        value: A value that JSON can hold.
        expected: What the value may be.
        path: Names from the top of the document, with dots between them; "" for the document itself.
    """
    where = path or "the document"
    if isinstance(expected, Entries):
        if not isinstance(value, dict):
            raise ValueError(f"{where} is {shown_value(value)}, expected an object")
        _check_entries(value, expected, path)
        return
    _check_type(value, expected, where)
    if isinstance(value, list):
        if len(value) > _LONGEST_LIST or len(value) != (expected.length or len(value)):
            wanted = expected.length or f"{_LONGEST_LIST} at most"
            raise ValueError(f"{where} has {len(value)} elements, expected {wanted}")
        for element in value:
            check_value(element, expected.elements or Leaf(types=set()), path)
    elif isinstance(value, str):
        _check_text(value, expected, where)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        _check_range(value, expected, where)


def _check_range(value: float, expected: Leaf, where: str) -> None:
    fits = not isinstance(value, int) or value.bit_length() <= _MOST_BITS
    if not (fits and expected.low <= value <= expected.high):  # NaN is in no range
        raise ValueError(f"{where} is {shown_value(value)}, which is not in {expected.low} ... {expected.high}")


def _check_type(value: object, expected: Leaf, where: str) -> None:
    seen, types = type(value), expected.types
    as_number = seen is int and float in types
    as_truth = bool in types and seen is int and value in (0, 1)
    if not (seen in types or as_number or as_truth):
        names = " or ".join(NAMES[one] for one in NAMES if one in types)
        raise ValueError(f"{where} is {shown_value(value)}, expected {names}")


def _check_entries(value: Mapping[str, object], expected: Entries, path: str) -> None:
    prefix = f"{path}." if path else ""
    unknown = next((key for key in value if key not in expected.keys), None)
    if unknown is not None:
        raise ValueError(f"{prefix}{printable(unknown, 100)} is an unknown entry")
    missing = min(expected.always - set(value), default=None)
    if missing is not None:
        raise ValueError(f"{prefix}{missing} is missing")
    for key, entry in value.items():
        check_value(entry, expected.keys[key], prefix + key)


def _check_text(value: str, expected: Leaf, where: str) -> None:
    if len(value) > _LONGEST_TEXT or "\0" in value:
        raise ValueError(f"{where} is {shown_value(value)}, which is too long or holds a zero character")
    if expected.choices and value not in expected.choices:
        raise ValueError(f"{where} is {shown_value(value)}, which is not one of {', '.join(expected.choices)}")
