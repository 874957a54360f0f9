"""The instructions of pickles (protocols 0 to 5), each as a function of the machine that runs it."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from stylegan_v_ext.checkpoints.errors import CheckpointError

if TYPE_CHECKING:
    from stylegan_v_ext.checkpoints.machine import Machine

Handler = Callable[["Machine"], object]
"""Runs one instruction; what it returns is not used."""


def _pop_mark_or_top(m: "Machine") -> None:
    if m.marks and m.marks[-1] == len(m.stack):
        m.marks.pop()
    else:
        m.stack.pop()


def _tuple_of(size: int) -> Handler:
    """Make the instruction that puts the top `size` values into a tuple."""

    def handler(m: "Machine") -> None:
        items = tuple(m.stack[-size:])
        if len(items) < size:
            raise IndexError
        m.stack[-size:] = [items]

    return handler


def _memoize_at(index: Callable[["Machine"], int]) -> Handler:
    """Make the instruction that remembers the top of the stack under a number."""

    def handler(m: "Machine") -> None:
        m.memo[index(m)] = m.stack[-1]

    return handler


def _dict_since_mark(m: "Machine") -> None:
    items = m.since_mark()
    m.push({})
    m.set_items(items)


def _set_item(m: "Machine") -> None:
    value, key = m.stack.pop(), m.stack.pop()
    m.set_items([key, value])


def _append(m: "Machine") -> None:
    value = m.stack.pop()
    m.extend([value])


def _call_top(m: "Machine") -> None:
    args, target = m.stack.pop(), m.stack.pop()
    m.call(target, args)


def _call_with_keywords(m: "Machine") -> None:
    kwargs, args, target = m.stack.pop(), m.stack.pop(), m.stack.pop()
    if kwargs:
        raise CheckpointError("a call in the file has keyword arguments")
    m.call(target, args)


def _call_inst(m: "Machine") -> None:
    module, name = m.name(), m.name()
    args = tuple(m.since_mark())
    m.push_global(module, name)
    m.call(m.stack.pop(), args)


def _call_obj(m: "Machine") -> None:
    target, *args = m.since_mark()
    m.call(target, tuple(args))


def _stack_global(m: "Machine") -> None:
    name, module = m.stack.pop(), m.stack.pop()
    m.push_global(module, name)


STOP = ord(".")
HANDLERS: Mapping[int, Handler] = {
    code[0]: handler
    for code, handler in {
        b"(": lambda m: m.marks.append(len(m.stack)),
        b"0": _pop_mark_or_top,
        b"1": lambda m: m.since_mark() and None,
        b"2": lambda m: m.push(m.stack[-1]),
        # Numbers, text and bytes.
        b"N": lambda m: m.push(None),
        b"\x88": lambda m: m.push(value=True),
        b"\x89": lambda m: m.push(value=False),
        b"I": lambda m: m.push_text_integer(),
        b"L": lambda m: m.push_text_integer(),
        b"J": lambda m: m.push(m.number("<i")),
        b"K": lambda m: m.push(m.number("<B")),
        b"M": lambda m: m.push(m.number("<H")),
        b"\x8a": lambda m: m.push_integer(m.number("<B")),
        b"\x8b": lambda m: m.push_integer(m.number("<i")),
        b"F": lambda m: m.push(float(m.line())),
        b"G": lambda m: m.push(m.number(">d")),
        b"S": lambda m: m.push_quoted_text(),
        b"T": lambda m: m.push_text(m.number("<i"), "latin-1"),
        b"U": lambda m: m.push_text(m.number("<B"), "latin-1"),
        b"V": lambda m: m.push(m.line().decode("raw_unicode_escape")),
        b"X": lambda m: m.push_text(m.number("<I")),
        b"\x8c": lambda m: m.push_text(m.number("<B")),
        b"\x8d": lambda m: m.push_text(m.number("<Q")),
        b"B": lambda m: m.push_bytes(m.number("<I")),
        b"C": lambda m: m.push_bytes(m.number("<B")),
        b"\x8e": lambda m: m.push_bytes(m.number("<Q")),
        b"\x96": lambda m: m.push_bytes(m.number("<Q")),
        # Containers.
        b"]": lambda m: m.push([]),
        b"l": lambda m: m.push(m.since_mark()),
        b"a": _append,
        b"e": lambda m: m.extend(m.since_mark()),
        b"}": lambda m: m.push({}),
        b"d": _dict_since_mark,
        b"s": _set_item,
        b"u": lambda m: m.set_items(m.since_mark()),
        b")": lambda m: m.push(()),
        b"t": lambda m: m.push(tuple(m.since_mark())),
        b"\x85": _tuple_of(1),
        b"\x86": _tuple_of(2),
        b"\x87": _tuple_of(3),
        b"\x8f": lambda m: m.push_empty_set(),
        b"\x90": lambda m: m.extend(m.since_mark()),
        b"\x91": lambda m: m.push_frozen_set(),
        # The memo.
        b"p": _memoize_at(lambda m: int(m.line())),
        b"q": _memoize_at(lambda m: m.number("<B")),
        b"r": _memoize_at(lambda m: m.number("<I")),
        b"\x94": _memoize_at(lambda m: len(m.memo)),
        b"g": lambda m: m.push(m.memo[int(m.line())]),
        b"h": lambda m: m.push(m.memo[m.number("<B")]),
        b"j": lambda m: m.push(m.memo[m.number("<I")]),
        # Names, calls and state.
        b"c": lambda m: m.push_global(m.name(), m.name()),
        b"\x93": _stack_global,
        b"R": _call_top,
        b"\x81": _call_top,
        b"\x92": _call_with_keywords,
        b"i": _call_inst,
        b"o": _call_obj,
        b"b": lambda m: m.build(),
        b"P": lambda m: m.push_persistent(m.name()),
        b"Q": lambda m: m.push_persistent(m.stack.pop()),
        # Protocol numbers and frames are not needed.
        b"\x80": lambda m: m.number("<B") and None,
        b"\x95": lambda m: m.number("<Q") and None,
    }.items()
}
