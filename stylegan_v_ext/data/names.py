"""Names of files: their natural order, their normal form, and which names are hidden.

How numbers in names are read:

- A number is a run of digits of any script. Exponents, such as `5e-05`, belong to it.
- `1.5` and `1,5` are decimal numbers, unless other names of the folder show that the two parts count separately, as in
  `1.9`, `1.10`. `1.2.10` has three numbers that count separately.
- `1_05` and `1p05` are decimal numbers only if other names show it, as in `1_05`, `1_1`.
- A minus sign counts only if other names lack it, as in `t-1`, `t0`, `t1`.
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
_POINTS_OF_SOME = ("_", "p", "-")  # what stands for a decimal point in some names
_DOUBTFUL = re.compile(r"[0-9][.,_pP][0-9]|-[0-9]|[^\x00-\x7f]")  # needs other names to be read
_PART_OF_NUMBER = re.compile(r"[0-9](?:[.,_pP-]|[eE][+-])$")  # what stands before the remaining digits of a number
_MINUS = "\N{MINUS SIGN}"
_FEW_DIGITS = 18
_COMPLEMENT = str.maketrans("0123456789", "9876543210")
_AFTER_DIGITS = "~"
_DIGITS = unicodedata.ucd_3_2_0  # this version is the same in all versions of Python
_HIDDEN_NAMES = (
    "__macosx|thumbs.db|ehthumbs.db|ehthumbs_vista.db|desktop.ini|picasa.ini|@eadir|@tmp|#recycle|#snapshot|~snapshot|"
    "@recycle|@recently-snapshot|$recycle.bin|recycler|system volume information|lost+found|"
    "network trash folder|temporary items|icon\r"
)
_HIDDEN = frozenset(_HIDDEN_NAMES.split("|"))

Part = tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class _Reading:
    """How the runs of digits in names are to be read; a run is named by its place among the runs of a name.

    Attributes:
        counters: Runs whose points separate numbers that count.
        decimals: Runs that are the digits behind a decimal point.
        signed: By run, the texts before it, in lower case, whose last character is a minus sign.
    """

    counters: frozenset[int] = frozenset()
    decimals: frozenset[int] = frozenset()
    signed: dict[int, frozenset[str]] = field(default_factory=dict)


def natural_order(names: Sequence[str]) -> list[int]:
    """Sort names folder by folder, `2.jpg` before `10.jpg`, and `t0.05` before `t0.1`.

    Args:
        names: Relative names with `/` between folders, or names of one folder.

    Returns:
        Indices of `names` in natural order.
    """
    numbers = _numbers_alone(names)
    if numbers is not None:
        return sorted(range(len(names)), key=lambda index: (numbers[index], names[index]))
    reading = _reading(names) if _DOUBTFUL.search("\n".join(names)) else _Reading()
    return sorted(range(len(names)), key=lambda index: _key(names[index], reading))


def natural_sorted(names: Iterable[str]) -> list[str]:
    """Return names in natural order; see `natural_order`."""
    names = list(names)
    return [names[index] for index in natural_order(names)]


def normal_form(text: str) -> str:
    """Return the form of a name for comparison: composed characters (NFC), whatever system has written it."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def is_hidden(name: str) -> bool:
    """Check whether a file or a folder above it is hidden, or left behind by a file manager, a NAS or a camera."""
    return any(part.startswith(".") or part.lower() in _HIDDEN for part in name.split("/"))


def _numbers_alone(names: Sequence[str]) -> list[int] | None:
    """Return the numbers in names that differ only in one whole number, the fast way; None for other names."""
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


def _key(name: str, reading: _Reading) -> tuple[list[list[str | Part]], str]:
    """Make the sort key of a name: texts and numbers of each folder, name and ending; then the name, to break ties."""
    fields: list[list[str | Part]] = []
    run = 0
    for pieces in _split(name):
        key: list[str | Part] = []
        for text, digits in zip(pieces[::2], pieces[1::2], strict=False):
            before = text.lower()
            is_negative = before in reading.signed.get(run, ())
            is_decimal = run in reading.decimals and before in _POINTS_OF_SOME
            number = ((0, digits.rstrip("0")),) if is_decimal else _number(digits, counts=run in reading.counters)
            key += [before[:-1], _negative(number)] if is_negative else [before, number]
            run += 1
        fields.append([*key, pieces[-1].lower()] if pieces[-1] else key)
    return fields, name


def _split(name: str) -> list[list[str]]:
    """Split each folder, the name and its ending into [text, run of digits, text, ..., text]."""
    if not name.isascii():
        name = "".join(str(_DIGITS.decimal(c)) if _DIGITS.category(c) == "Nd" else c for c in normal_form(name))
        name = name.replace(_MINUS, "-")
    *folders, base = name.split("/")
    ending = _ENDING.search(base)
    stem = base[: ending.start()] if ending else base
    return [_RUN.split(part) for part in (*folders, stem, ending.group() if ending else "")]


def _reading(names: Sequence[str]) -> _Reading:
    """Find out from the names of a folder how their numbers are to be read."""
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
        frozenset(number for number, found in runs.items() if _are_counters(found)),
        frozenset(number for number, found in runs.items() if number and _are_decimals(found, texts[number])),
        signed,
    )


def _are_counters(runs: set[str]) -> bool:
    """Check whether points in runs separate numbers that count: `1.2.10`, or `1.9` beside `1.10`."""
    groups = [group for group in map(_POINT.split, runs) if len(group) > 1 and group[-1].isdecimal()]
    if any(len(group) > 2 for group in groups):
        return True
    decimals = [group[1] for group in groups]
    return len(set(map(len, decimals))) > 1 and any(len(digits) > 1 and digits.endswith("0") for digits in decimals)


def _are_decimals(runs: set[str], texts: set[str]) -> bool:
    """Check whether runs are digits behind a decimal point: `05` beside `1`, which is not padded to the same length."""
    padded = [len(run) for run in runs if len(run) > 1 and run.startswith("0")]
    return not texts.isdisjoint(_POINTS_OF_SOME) and bool(padded) and min(map(len, runs)) < max(padded)


def _number(run: str, *, counts: bool) -> Part:
    """Make the sort key of a run of digits of any length; if it `counts`, points in it separate numbers.

    Python's `int` converts at most 4300 digits.
    """
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
    """Make the sort key of a whole number."""
    digits = digits.lstrip("0")
    return len(digits), digits


def _negative(number: Part) -> Part:
    """Turn the sort key of a number into the key of its negative: below all others, and in the opposite order."""
    return tuple((-1 - length, digits.translate(_COMPLEMENT) + _AFTER_DIGITS) for length, digits in number) + ((1, ""),)
