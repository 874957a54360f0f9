"""A pickle machine that makes data and nothing else.

Pickles are programs: Python's own unpickler imports what they name and calls it. This machine interprets the same
instructions (protocols 0 to 5), but names stay names: a call is looked up in a table of known layouts, whose entries
only put values together, and a name outside the table ends the reading. No class of the file is imported, no attribute
is set on anything that outlives the reading, sizes are checked before memory is taken, and one budget pays for every
step, element and byte. `opcodes` holds the instructions.
"""

import codecs
import struct
import warnings
from collections.abc import Callable
from typing import Any

from stylegan_v_ext.checkpoints.budget import Budget
from stylegan_v_ext.checkpoints.errors import CheckpointError
from stylegan_v_ext.checkpoints.opcodes import HANDLERS, STOP
from stylegan_v_ext.checkpoints.values import MAX_INT_BYTES, Constructor, Global, Instance, brief

_SET_STEPS = 4  # an empty set takes as much memory as four small values
_CALL_STEPS = 16  # what a call costs beside its instruction
_MAX_LINE = 4096
_MAX_NAME = 512  # characters of the name of a class or function
_INLINE_BYTES = 1024  # longer byte strings stay views of the file
_KEYS = (str, bytes, int, float, type(None))  # no tuples: hashing a tuple hashes everything in it


class Machine:
    """Reads one pickle. Its public methods are what the instructions of `opcodes` are made of.

    Args:
        data: Bytes that hold the pickle.
        budget: Pays for the reading; all machines that read one file share it.
        find: Returns the constructor of a name, or None for a name that may be mentioned but not called; raises
            `CheckpointError` for all other names.
        persistent: Returns the value of a persistent id; None refuses such ids.
        position: Where the pickle begins in `data`.

    Attributes:
        position: The next byte to read; after `load`, the first byte behind the pickle.
        stack: Values that wait for an instruction, last on top.
        marks: Heights of the stack that instructions have marked.
        memo: Values that the pickle refers to again, by number.
    """

    def __init__(
        self,
        data: memoryview,
        budget: Budget,
        find: Callable[[Global], Constructor | None],
        persistent: Callable[[object], object] | None = None,
        position: int = 0,
    ) -> None:
        self.data, self.budget, self.position = data, budget, position
        self._find, self._persistent = find, persistent
        self._constructors: dict[Global, Constructor | None] = {}
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def load(self) -> object:
        """Read the pickle.

        Returns:
            Its value: plain Python, and what the constructors make.

        Raises:
            CheckpointError: If the pickle is damaged, too large, or calls what is not in the table.
        """
        try:
            return self._run()
        except (AttributeError, LookupError, ArithmeticError, TypeError, ValueError, struct.error) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(
                f"not a network snapshot, or damaged at byte {self.position}; fetch it again"
            ) from None

    def _run(self) -> object:
        handlers, budget = HANDLERS, self.budget
        while True:
            budget.spend_steps(1)
            code = self.data[self.position]
            self.position += 1
            if code == STOP:
                return self.stack.pop()
            handlers[code](self)

    # Reading from the file.

    def take(self, size: int) -> memoryview:
        """Read `size` bytes."""
        if size < 0 or size > len(self.data) - self.position:
            raise CheckpointError(
                f"cut short or damaged ({size} bytes announced at byte {self.position}); fetch it again"
            )
        start = self.position
        self.position += size
        return self.data[start : self.position]

    def number(self, layout: str) -> int:
        """Read a number of a layout of `struct`."""
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self) -> bytes:
        """Read a line, without its end."""
        window = bytes(self.data[self.position : self.position + _MAX_LINE])
        end = window.index(b"\n")
        self.position += end + 1
        return window[:end]

    def name(self) -> str:
        """Read a line of text."""
        return self.line().decode("utf-8")

    # Steps shared by several instructions.

    def push(self, value: object) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def since_mark(self) -> list[Any]:
        """Take all values above the last mark from the stack, and the mark."""
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def push_global(self, module: object, name: object) -> None:
        """Push the name of a class or function, if the file may mention it."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise CheckpointError("a name in the file is not text")
        if len(module) + len(name) > _MAX_NAME:
            raise CheckpointError(f"a name of more than {_MAX_NAME} characters: {brief(module)}, {brief(name)}")
        found = Global(module, name)
        if found not in self._constructors:
            self._constructors[found] = self._find(found)
        self.push(found)

    def call(self, target: object, args: object) -> None:
        """Push the value of a call, if the table of layouts has its constructor."""
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
        self.push(constructor(args))

    def build(self) -> None:
        """Give the object below the top the state that is on top."""
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Instance):
            target.state = state
        elif not isinstance(target, dict):  # networks need no attributes of dictionaries
            raise CheckpointError(f"the file sets the state of a {type(target).__name__}, which holds no state")

    def set_items(self, items: list[Any]) -> None:
        """Put pairs, keys and values in turn, into the dictionary on top."""
        target = self.stack[-1]
        if isinstance(target, Instance):  # a dictionary class of another package, whose items are not needed
            return
        if not isinstance(target, dict) or len(items) % 2:
            raise CheckpointError(f"the file sets items of a {type(target).__name__}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if isinstance(key, Global):  # a class; Lightning once used classes as keys of its callbacks
                key = ".".join(key)
            self._pay_key(key, target)
            target[key] = value

    def extend(self, items: list[Any]) -> None:
        """Add items to the list or set on top."""
        target = self.stack[-1]
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

    def _pay_key(self, key: object, target: dict[Any, Any] | set[Any]) -> None:
        if not isinstance(key, _KEYS):
            raise CheckpointError(f"a {type(key).__name__} as key of a dictionary or member of a set")
        self.budget.spend_key(key, len(target))

    def push_empty_set(self) -> None:
        """Push a set without members."""
        self.budget.spend_steps(_SET_STEPS)
        self.push(set())

    def push_frozen_set(self) -> None:
        """Push a frozen set of the values above the last mark."""
        self.budget.spend_steps(_SET_STEPS)
        items: set[Any] = set()
        self._add(self.since_mark(), items)
        self.push(frozenset(items))

    def push_persistent(self, pid: object) -> None:
        """Push the value of a persistent id."""
        if self._persistent is None:
            raise CheckpointError("the file refers to objects outside itself")
        self.push(self._persistent(pid))

    def push_bytes(self, size: int) -> None:
        """Push the next `size` bytes."""
        view = self.take(size)
        self.push(bytes(view) if size <= _INLINE_BYTES else view)

    def push_text(self, size: int, encoding: str = "utf-8") -> None:
        """Push a text of `size` bytes."""
        view = self.take(size)
        self.budget.spend_bytes(size)
        self.push(str(view, encoding, "surrogatepass" if encoding == "utf-8" else "strict"))

    def push_integer(self, size: int) -> None:
        """Push an integer of `size` bytes."""
        if size > MAX_INT_BYTES:
            raise CheckpointError(f"an integer of {size} bytes")
        self.push(int.from_bytes(self.take(size), "little", signed=True))

    def push_text_integer(self) -> None:
        """Push an integer, or a truth value, that is written as a line of digits."""
        line = self.line().rstrip(b"L")
        if len(line) > 3 * MAX_INT_BYTES:
            raise CheckpointError(f"an integer of {len(line)} digits")
        self.push(line == b"01" if line in (b"00", b"01") else int(line))

    def push_quoted_text(self) -> None:
        """Push a text that is written in quotes, with escapes."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # unknown escapes stay in the text
            text, _ = codecs.escape_decode(self.line()[1:-1])  # type: ignore[attr-defined]
        self.push(text.decode("latin-1"))
