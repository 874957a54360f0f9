"""Names of files: their natural order, their normal form, and which are hidden.

A number is a run of digits of any script. `1.5` and `1,5` are decimal numbers, `1.2.10` counts in three places. If the
names of a folder show that `1.5` counts in two places (`1.9`, `1.10`), it does; if they show that `1_05` or `1p05` are
decimal (`1_05`, `1_1`), they are. Exponents, as `5e-05`, are read. A minus sign counts only if other names lack it, as
in `t-1`, `t0`, `t1`.
"""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_RUN = re.compile(r"([0-9]+(?:[.,][0-9]+)*(?:[eE][+-][0-9]{2,3}(?![0-9a-zA-Z]))?)")
_ENDING = re.compile(r"\.[a-zA-Z][0-9a-zA-Z]{0,4}$")
_POINT = re.compile("[.,]")
_POINTS_OF_SOME = ("_", "p", "-")  # that stand for a decimal point in some names
_DOUBTFUL = re.compile(r"[0-9][.,_pP][0-9]|-[0-9]|[^\x00-\x7f]")  # runs that other names help to read
_PART_OF_NUMBER = re.compile(r"[0-9](?:[.,_pP-]|[eE][+-])$")  # in front of the rest of its digits
_MINUS = "\N{MINUS SIGN}"
_FEW_DIGITS = 18
_COMPLEMENT = str.maketrans("0123456789", "9876543210")
_AFTER_DIGITS = "~"
_DIGITS = unicodedata.ucd_3_2_0  # the same in all Python versions
_HIDDEN_NAMES = (
    "__macosx|thumbs.db|ehthumbs.db|ehthumbs_vista.db|desktop.ini|picasa.ini|@eadir|@tmp|#recycle|#snapshot|~snapshot|"
    "@recycle|@recently-snapshot|$recycle.bin|recycler|system volume information|lost+found|"
    "network trash folder|temporary items|icon\r"
)
_HIDDEN = frozenset(_HIDDEN_NAMES.split("|"))

Part = tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class _Reading:
    """How the runs of digits in names are meant, by the number of a run in its name.

    Attributes:
        counters: Runs whose points part numbers that count.
        decimals: Runs that are what stands behind a decimal point.
        signed: Lower-case texts before a run whose last character is a minus sign.
    """

    counters: frozenset[int] = frozenset()
    decimals: frozenset[int] = frozenset()
    signed: dict[int, frozenset[str]] = field(default_factory=dict)


def natural_order(names: Sequence[str]) -> list[int]:
    """The numbers of names in natural order: folder by folder, `2.jpg` before `10.jpg`, `t0.05` before `t0.1`."""
    numbers = _numbers_alone(names)
    if numbers is not None:
        return sorted(range(len(names)), key=lambda index: (numbers[index], names[index]))
    reading = _reading(names) if _DOUBTFUL.search("\n".join(names)) else _Reading()
    return sorted(range(len(names)), key=lambda index: _key(names[index], reading))


def natural_sorted(names: Iterable[str]) -> list[str]:
    """Names in natural order."""
    names = list(names)
    return [names[index] for index in natural_order(names)]


def normal_form(text: str) -> str:
    """The form in which names are compared: composed characters (NFC), whichever system wrote them."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def is_hidden(name: str) -> bool:
    """Whether a file, or a folder it lies in, is one that file managers, NAS and cameras hide or leave behind."""
    return any(part.startswith(".") or part.lower() in _HIDDEN for part in name.split("/"))


def _numbers_alone(names: Sequence[str]) -> list[int] | None:
    """The numbers in names that differ in one whole number and nothing else; None for other names. The short way."""
    prefix = os.path.commonprefix(names).rstrip("0123456789")
    ending = os.path.splitext(names[0])[1] if names else ""
    if ending[1:2].isdecimal() or _PART_OF_NUMBER.search(prefix):
        return None
    if not all(name.endswith(ending) for name in names):
        return None
    start, end = len(prefix), -len(ending) or None
    digits = [name[start:end] for name in names]
    together = "".join(digits)
    if not (together.isascii() and together.isdecimal() and all(digits)) or max(map(len, digits)) > _FEW_DIGITS:
        return None
    return list(map(int, digits))


def _key(name: str, reading: _Reading) -> tuple:
    """Folders, the name, its ending, each as texts and numbers in turn; then the name itself, so that all differ."""
    fields, run = [], 0
    for pieces in _split(name):
        key: list[str | Part] = []
        for text, digits in zip(pieces[::2], pieces[1::2], strict=False):
            before = text.lower()
            is_negative = before in reading.signed.get(run, ())
            is_decimal = run in reading.decimals and before in _POINTS_OF_SOME
            number = ((0, digits.rstrip("0")),) if is_decimal else _number(digits, run in reading.counters)
            key += [before[:-1], _negative(number)] if is_negative else [before, number]
            run += 1
        fields.append([*key, pieces[-1].lower()] if pieces[-1] else key)
    return fields, name


def _split(name: str) -> list[list[str]]:
    """(Text, run of digits, text, ..., text) of each folder, the name, and its ending."""
    if not name.isascii():
        name = "".join(str(_DIGITS.decimal(c)) if _DIGITS.category(c) == "Nd" else c for c in normal_form(name))
        name = name.replace(_MINUS, "-")
    *folders, base = name.split("/")
    ending = _ENDING.search(base)
    stem = base[: ending.start()] if ending else base
    return [_RUN.split(part) for part in (*folders, stem, ending.group() if ending else "")]


def _reading(names: Sequence[str]) -> _Reading:
    """What names of one folder tell of each other."""
    runs, texts = defaultdict(set), defaultdict(set)
    for name in names:
        pairs = (pair for pieces in _split(name) for pair in zip(pieces[::2], pieces[1::2], strict=False))
        for number, (text, digits) in enumerate(pairs):
            runs[number].add(digits)
            texts[number].add(text.lower())
    signed = {
        number: frozenset(text for text in found if text.endswith("-") and text[:-1] in found)
        for number, found in texts.items()
    }
    return _Reading(
        frozenset(number for number, found in runs.items() if _count(found)),
        frozenset(number for number, found in runs.items() if number and _are_decimals(found, texts[number])),
        signed,
    )


def _count(runs: set[str]) -> bool:
    """Whether points in runs part numbers that count, rather than decimals: `1.2.10`, or `1.9` beside `1.10`."""
    groups = [group for group in map(_POINT.split, runs) if len(group) > 1 and group[-1].isdecimal()]
    if any(len(group) > 2 for group in groups):
        return True
    decimals = [group[1] for group in groups]
    return len(set(map(len, decimals))) > 1 and any(len(digits) > 1 and digits.endswith("0") for digits in decimals)


def _are_decimals(runs: set[str], texts: set[str]) -> bool:
    """Whether runs behind one character are decimals: `05` beside the shorter `1`, which padded numbers are not."""
    padded = [len(run) for run in runs if len(run) > 1 and run.startswith("0")]
    return not texts.isdisjoint(_POINTS_OF_SOME) and bool(padded) and min(map(len, runs)) < max(padded)


def _number(run: str, counts: bool) -> Part:
    """Sort key of a run of digits, in which all numbers may have any length; Python converts 4300 digits at most."""
    mantissa, _, exponent = run.lower().partition("e")
    groups = _POINT.split(mantissa)
    if counts or len(groups) > 2:
        return tuple(_integer(group) for group in re.split("[^0-9]+", run))
    whole, decimals = groups[0], groups[1] if len(groups) == 2 else ""
    if exponent:
        digits, point = whole + decimals, len(whole) + int(exponent)
        digits = "0" * -point + digits + "0" * (point - len(digits))
        whole, decimals = digits[: max(point, 0)], digits[max(point, 0) :]
    decimals = decimals.rstrip("0")
    return (_integer(whole), (0, decimals)) if decimals else (_integer(whole),)


def _integer(digits: str) -> tuple[int, str]:
    digits = digits.lstrip("0")
    return len(digits), digits


def _negative(number: Part) -> Part:
    """The key of a number below zero: below all others, and in the opposite order."""
    return tuple((-1 - length, digits.translate(_COMPLEMENT) + _AFTER_DIGITS) for length, digits in number) + ((1, ""),)
