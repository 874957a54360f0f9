"""A pickle machine that makes data and nothing else.

Pickles are programs: Python's own unpickler imports what they name and calls it. This one interprets
the same instructions (protocols 0 to 5), but names stay names: a call is looked up in a table of
known layouts, whose entries only put values together, and a name outside the table ends the reading.
No class of the file is imported, no attribute is set on anything that outlives the reading, sizes
are checked before memory is taken, and one budget pays for every step, element and byte.
"""

import codecs
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from stylegan_v_ext.text import printable

MAX_STEPS = 1_000_000  # a snapshot of three networks of 1024 pixels takes some 170,000
_MAX_REUSE = 4  # times that the bytes of a file may be used; tied weights need little
_MAX_NESTED = 4  # pickles inside pickles; the bytes of a storage are one
_SET_STEPS = 4  # an empty set takes as much memory as four small values
_CALL_STEPS = 16  # what a call costs beside its instruction
_NESTED_STEPS = 40  # what a pickle inside a pickle costs before its first instruction
_MAX_INT_BYTES = 64
_MAX_LINE = 4096
_MAX_NAME = 512  # characters of the name of a class or function
_INLINE_BYTES = 1024  # longer byte strings stay views of the file
_KEYS = (str, bytes, int, float, type(None))  # tuples as keys are hashed through all they hold


class CheckpointError(ValueError):
    """A file that cannot be read as a checkpoint, or must not be; one line, whatever names are in the file."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class Global(NamedTuple):
    """What a pickle refers to by name: never imported."""

    module: str
    name: str


class Instance:
    """An object as data: class name, constructor arguments and state."""

    __slots__ = ("args", "module", "name", "state")

    def __init__(self, module: str, name: str, args: tuple = ()) -> None:
        self.module, self.name, self.args = module, name, args
        self.state: Any = {}


def brief(value: Any) -> str:
    """A value from a file for a message: short, whatever it is.

    Containers are told by kind and length alone: what they share would be written out again and again.
    """
    if value is None or isinstance(value, (bool, float)):
        return str(value)
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 8 * _MAX_INT_BYTES else f"an integer of {value.bit_length()} bits"
    if isinstance(value, str):
        return repr(printable(value, 80))
    kind = type(value).__name__
    return f"a {kind} of {len(value)}" if isinstance(value, (bytes, list, tuple, dict, set, frozenset)) else f"a {kind}"


class Budget:
    """What reading one file may cost, pickles inside it included.

    A few bytes can stand for very much: values that are named once and used again and again.

    Args:
        file_size: In bytes; texts and arrays may use each byte a few times.
        steps: Instructions, elements and entries that may be looked at.
    """

    def __init__(self, file_size: int, steps: int = MAX_STEPS) -> None:
        self._limit = self.steps = steps
        self.copied_bytes = _MAX_REUSE * file_size + (1 << 20)
        self._nested = 0

    def spend_steps(self, count: int) -> None:
        """Pay for `count` steps. Raises `CheckpointError` if they are spent."""
        self.steps -= count
        if self.steps < 0:
            raise CheckpointError(f"more than {self._limit} steps of reading; networks need far fewer")

    def spend_bytes(self, count: int) -> None:
        """Pay for `count` bytes of the file. Raises `CheckpointError` if they are spent."""
        self.copied_bytes -= count
        if self.copied_bytes < 0:
            raise CheckpointError("the same bytes stand for many values; networks use theirs once")

    def spend_key(self, key: Any, size: int) -> None:
        """Pay for a key in a container that holds `size` keys.

        Numbers can be chosen so that each is compared with all before it; Python's hashes of text cannot.
        """
        self.spend_steps(1 if isinstance(key, (str, bytes)) else 1 + size // 16)

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Pay for a pickle inside a pickle. Raises `CheckpointError` if they are too deep."""
        self.spend_steps(_NESTED_STEPS)
        self._nested += 1
        if self._nested > _MAX_NESTED:
            raise CheckpointError(f"pickles are nested more than {_MAX_NESTED} deep")
        try:
            yield
        finally:
            self._nested -= 1


Constructor = Callable[[tuple], Any]
"""Makes the value of a call from its arguments."""


class Machine:
    """Reads one pickle out of `data`, from `position` on, which ends up behind it.

    Args:
        budget: Shared by all machines that read one file.
        find: The constructor of a name, or `None` for one that may be mentioned but not called; raises
            `CheckpointError` for all others.
        persistent: Value of a persistent id, `None` to refuse them.
    """

    def __init__(
        self,
        data: memoryview,
        budget: Budget,
        find: Callable[[Global], Constructor | None],
        persistent: Callable[[Any], Any] | None = None,
        position: int = 0,
    ) -> None:
        self.data, self.budget, self.position = data, budget, position
        self._find, self._persistent = find, persistent
        self._constructors: dict[Global, Constructor | None] = {}
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def load(self) -> Any:
        """The value of the pickle. Raises `CheckpointError`."""
        try:
            return self._run()
        except (AttributeError, LookupError, ArithmeticError, TypeError, ValueError, struct.error) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(
                f"not a network snapshot, or damaged at byte {self.position}; fetch it again"
            ) from None

    def _run(self) -> Any:
        handlers, budget = _HANDLERS, self.budget
        while True:
            budget.spend_steps(1)
            code = self.data[self.position]
            self.position += 1
            if code == _STOP:
                return self._stack.pop()
            handlers[code](self)

    # Reading from the file.

    def _take(self, size: int) -> memoryview:
        if size < 0 or size > len(self.data) - self.position:
            raise CheckpointError(
                f"cut short or damaged ({size} bytes announced at byte {self.position}); fetch it again"
            )
        start = self.position
        self.position += size
        return self.data[start : self.position]

    def _number(self, layout: str) -> int:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _line(self) -> bytes:
        window = bytes(self.data[self.position : self.position + _MAX_LINE])
        end = window.index(b"\n")
        self.position += end + 1
        return window[:end]

    def _name(self) -> str:
        return self._line().decode("utf-8")

    # Steps shared by several instructions.

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _since_mark(self) -> list[Any]:
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _global(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise CheckpointError("a name in the file is not text")
        if len(module) + len(name) > _MAX_NAME:
            raise CheckpointError(f"a name of more than {_MAX_NAME} characters: {brief(module)}, {brief(name)}")
        found = Global(module, name)
        if found not in self._constructors:
            self._constructors[found] = self._find(found)
        self._push(found)

    def _call(self, target: Any, args: Any) -> None:
        constructor = self._constructors.get(target) if isinstance(target, Global) else None
        if constructor is None:
            what = ".".join(target) if isinstance(target, Global) else type(target).__name__
            raise CheckpointError(f"the file calls {what}, which is code; it was not run")
        if not isinstance(args, tuple):
            raise CheckpointError("a call in the file has no arguments")
        self.budget.spend_steps(_CALL_STEPS)
        for value in args:  # a constructor walks through its arguments
            if isinstance(value, (str, bytes)):
                self.budget.spend_bytes(len(value))
            elif isinstance(value, (list, dict, set, frozenset, tuple)):
                self.budget.spend_steps(len(value))
        self._push(constructor(args))

    def _build(self) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        if isinstance(target, Instance):
            target.state = state
        elif not isinstance(target, dict):  # networks need no attributes of dictionaries
            raise CheckpointError(f"the file sets the state of a {type(target).__name__}, which holds none")

    def _set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, Instance):  # a dictionary of another package, which nobody asks for
            return
        if not isinstance(target, dict) or len(items) % 2:
            raise CheckpointError(f"the file sets items of a {type(target).__name__}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if isinstance(key, Global):  # a class, as Lightning once named its callbacks
                key = ".".join(key)
            self._pay_key(key, target)
            target[key] = value

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif isinstance(target, set):
            self._add(items, target)
        elif not isinstance(target, Instance):
            raise CheckpointError(f"the file adds items to a {type(target).__name__}")

    def _add(self, items: list[Any], target: set[Any]) -> None:
        for item in items:
            self._pay_key(item, target)
            target.add(item)

    def _pay_key(self, key: Any, target: dict[Any, Any] | set[Any]) -> None:
        if not isinstance(key, _KEYS):
            raise CheckpointError(f"a {type(key).__name__} as key of a dictionary or member of a set")
        self.budget.spend_key(key, len(target))

    def _empty_set(self) -> None:
        self.budget.spend_steps(_SET_STEPS)
        self._push(set())

    def _frozen_set(self) -> None:
        self.budget.spend_steps(_SET_STEPS)
        items: set[Any] = set()
        self._add(self._since_mark(), items)
        self._push(frozenset(items))

    def _persistent_value(self, pid: Any) -> None:
        if self._persistent is None:
            raise CheckpointError("the file refers to objects outside itself")
        self._push(self._persistent(pid))

    def _bytes(self, size: int) -> None:
        view = self._take(size)
        self._push(bytes(view) if size <= _INLINE_BYTES else view)

    def _text(self, size: int, encoding: str = "utf-8") -> None:
        view = self._take(size)
        self.budget.spend_bytes(size)
        self._push(str(view, encoding, "surrogatepass" if encoding == "utf-8" else "strict"))

    def _integer(self, size: int) -> None:
        if size > _MAX_INT_BYTES:
            raise CheckpointError(f"an integer of {size} bytes")
        self._push(int.from_bytes(self._take(size), "little", signed=True))

    def _text_integer(self) -> None:
        line = self._line().rstrip(b"L")
        if len(line) > 3 * _MAX_INT_BYTES:
            raise CheckpointError(f"an integer of {len(line)} digits")
        self._push(line == b"01" if line in (b"00", b"01") else int(line))

    def _quoted_text(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # escapes that Python does not know are kept as they are
            text, _ = codecs.escape_decode(self._line()[1:-1])  # type: ignore[attr-defined]
        self._push(text.decode("latin-1"))


def _pop_mark_or_top(m: Machine) -> None:
    if m._marks and m._marks[-1] == len(m._stack):
        m._marks.pop()
    else:
        m._stack.pop()


def _tuple_of(size: int) -> Callable[[Machine], None]:
    def handler(m: Machine) -> None:
        items = tuple(m._stack[-size:])
        if len(items) < size:
            raise IndexError
        m._stack[-size:] = [items]

    return handler


def _memoize_at(index: Callable[[Machine], int]) -> Callable[[Machine], None]:
    def handler(m: Machine) -> None:
        m._memo[index(m)] = m._stack[-1]

    return handler


def _dict_since_mark(m: Machine) -> None:
    items = m._since_mark()
    m._push({})
    m._set_items(items)


def _set_item(m: Machine) -> None:
    value, key = m._stack.pop(), m._stack.pop()
    m._set_items([key, value])


def _append(m: Machine) -> None:
    value = m._stack.pop()
    m._extend([value])


def _call_top(m: Machine) -> None:
    args, target = m._stack.pop(), m._stack.pop()
    m._call(target, args)


def _call_with_keywords(m: Machine) -> None:
    kwargs, args, target = m._stack.pop(), m._stack.pop(), m._stack.pop()
    if kwargs:
        raise CheckpointError("a call in the file has keyword arguments")
    m._call(target, args)


def _call_inst(m: Machine) -> None:
    module, name = m._name(), m._name()
    args = tuple(m._since_mark())
    m._global(module, name)
    m._call(m._stack.pop(), args)


def _call_obj(m: Machine) -> None:
    target, *args = m._since_mark()
    m._call(target, tuple(args))


def _stack_global(m: Machine) -> None:
    name, module = m._stack.pop(), m._stack.pop()
    m._global(module, name)


_STOP = ord(".")
_HANDLERS: Mapping[int, Callable[[Machine], None]] = {
    code[0]: handler
    for code, handler in {
        b"(": lambda m: m._marks.append(len(m._stack)),
        b"0": _pop_mark_or_top,
        b"1": lambda m: m._since_mark() and None,
        b"2": lambda m: m._push(m._stack[-1]),
        # Numbers, text and bytes.
        b"N": lambda m: m._push(None),
        b"\x88": lambda m: m._push(True),
        b"\x89": lambda m: m._push(False),
        b"I": lambda m: m._text_integer(),
        b"L": lambda m: m._text_integer(),
        b"J": lambda m: m._push(m._number("<i")),
        b"K": lambda m: m._push(m._number("<B")),
        b"M": lambda m: m._push(m._number("<H")),
        b"\x8a": lambda m: m._integer(m._number("<B")),
        b"\x8b": lambda m: m._integer(m._number("<i")),
        b"F": lambda m: m._push(float(m._line())),
        b"G": lambda m: m._push(m._number(">d")),
        b"S": lambda m: m._quoted_text(),
        b"T": lambda m: m._text(m._number("<i"), "latin-1"),
        b"U": lambda m: m._text(m._number("<B"), "latin-1"),
        b"V": lambda m: m._push(m._line().decode("raw_unicode_escape")),
        b"X": lambda m: m._text(m._number("<I")),
        b"\x8c": lambda m: m._text(m._number("<B")),
        b"\x8d": lambda m: m._text(m._number("<Q")),
        b"B": lambda m: m._bytes(m._number("<I")),
        b"C": lambda m: m._bytes(m._number("<B")),
        b"\x8e": lambda m: m._bytes(m._number("<Q")),
        b"\x96": lambda m: m._bytes(m._number("<Q")),
        # Containers.
        b"]": lambda m: m._push([]),
        b"l": lambda m: m._push(m._since_mark()),
        b"a": _append,
        b"e": lambda m: m._extend(m._since_mark()),
        b"}": lambda m: m._push({}),
        b"d": _dict_since_mark,
        b"s": _set_item,
        b"u": lambda m: m._set_items(m._since_mark()),
        b")": lambda m: m._push(()),
        b"t": lambda m: m._push(tuple(m._since_mark())),
        b"\x85": _tuple_of(1),
        b"\x86": _tuple_of(2),
        b"\x87": _tuple_of(3),
        b"\x8f": lambda m: m._empty_set(),
        b"\x90": lambda m: m._extend(m._since_mark()),
        b"\x91": lambda m: m._frozen_set(),
        # The memo.
        b"p": _memoize_at(lambda m: int(m._line())),
        b"q": _memoize_at(lambda m: m._number("<B")),
        b"r": _memoize_at(lambda m: m._number("<I")),
        b"\x94": _memoize_at(lambda m: len(m._memo)),
        b"g": lambda m: m._push(m._memo[int(m._line())]),
        b"h": lambda m: m._push(m._memo[m._number("<B")]),
        b"j": lambda m: m._push(m._memo[m._number("<I")]),
        # Names, calls and state.
        b"c": lambda m: m._global(m._name(), m._name()),
        b"\x93": _stack_global,
        b"R": _call_top,
        b"\x81": _call_top,
        b"\x92": _call_with_keywords,
        b"i": _call_inst,
        b"o": _call_obj,
        b"b": lambda m: m._build(),
        b"P": lambda m: m._persistent_value(m._name()),
        b"Q": lambda m: m._persistent_value(m._stack.pop()),
        # Protocol numbers and frames say nothing that is needed.
        b"\x80": lambda m: m._number("<B") and None,
        b"\x95": lambda m: m._number("<Q") and None,
    }.items()
}
