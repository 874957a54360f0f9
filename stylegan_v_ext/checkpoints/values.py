"""Objects of a pickle as data: names that are never imported, instances of classes that are never made."""

from collections.abc import Callable
from typing import Any, NamedTuple

from stylegan_v_ext.text import printable

MAX_INT_BYTES = 64


class Global(NamedTuple):
    """A class or function that a pickle refers to by name; it is never imported."""

    module: str
    name: str


class Instance:
    """An object as data.

    Attributes:
        module: Name of the module of its class.
        name: Name of its class.
        args: Arguments of its constructor.
        state: The state that `__setstate__` or `__dict__` would get.
    """

    __slots__ = ("args", "module", "name", "state")

    def __init__(self, module: str, name: str, args: tuple[Any, ...] = ()) -> None:
        self.module, self.name, self.args = module, name, args
        self.state: object = {}


Constructor = Callable[[tuple[Any, ...]], object]
"""Makes the value of a call from its arguments."""


def brief(value: object) -> str:
    """Return any value from a file as a short text for a message.

    A container is described by its kind and length alone: values that it shares would be written again and again.
    """
    if value is None or isinstance(value, (bool, float)):
        return str(value)
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 8 * MAX_INT_BYTES else f"an integer of {value.bit_length()} bits"
    if isinstance(value, str):
        return repr(printable(value, 80))
    kind = type(value).__name__
    return f"a {kind} of {len(value)}" if isinstance(value, (bytes, list, tuple, dict, set, frozenset)) else f"a {kind}"
