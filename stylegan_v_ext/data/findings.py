"""Sentences about many files: what many files have in common is stated once, with the names of the first few."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from stylegan_v_ext.text import printable

MOST_EACH = 10  # faults of a kind that get a sentence each
_FEW = 3  # the same, for faults that all things have
_PLURALS = {"is": "are", "has": "have"}
_MOST_KINDS = 5  # endings that are shown


class Notes:
    """Collects clauses about sources; each clause is stated once for all its sources."""

    def __init__(self) -> None:
        self._groups: dict[str, list[tuple[str, str]]] = {}

    def add(self, name: str, clause: str, sentence: str | None = None) -> None:
        """Note something about a source.

        Args:
            name: Name of the source.
            clause: What is noted, in words that fit every source, such as "it has too few frames".
            sentence: What is stated if this is the only source with the clause; None puts the name before the clause.
        """
        self._groups.setdefault(clause, []).append((name, sentence or f"{name}: {clause}"))

    def sentences(self) -> list[str]:
        """Return one printable sentence for each clause, in the order of the first notes."""
        return [
            printable(
                group[0][1]
                if len(group) == 1
                else f"each of {len(group)} videos ({shortened([name for name, _ in group])}): {clause}"
            )
            for clause, group in self._groups.items()
        ]


def grouped(findings: Sequence[tuple[str, str]], noun: str, total: int | None = None) -> list[str]:
    """Return sentences about things that have faults: few faults of a kind get a sentence each, many share a sentence.

    Args:
        findings: (name, predicate), such as ("v0/1.png", "is 16x8, expected 16x16"). Predicates that differ only in
            numbers are of the same kind.
        noun: What the things are, in the singular, such as "frame".
        total: Number of all such things, with and without faults; None if unknown.
    """
    kinds: dict[str, list[tuple[str, str]]] = {}
    for name, predicate in findings:
        kinds.setdefault(re.sub("[0-9]+", "0", predicate), []).append((name, predicate))
    sentences = []
    for kind in kinds.values():
        if len(kind) <= (_FEW if len(kind) == total else MOST_EACH):
            sentences += [f"{name} {predicate}" for name, predicate in kind]
        else:
            sentences.append(_shared(kind, noun, total))
    return sentences


def _shared(kind: list[tuple[str, str]], noun: str, total: int | None) -> str:
    """Return the sentence that many faults of a kind share."""
    name, predicate = kind[0]
    whole = total is not None and len(kind) == total
    if any(other != predicate for _, other in kind):
        more = f"all other {noun}s have" if whole else f"{len(kind) - 1:,} more {noun}s have"
        return f"{name} {predicate}; {more} a fault of this kind ({shortened([name for name, _ in kind[1:]])})"
    verb, _, rest = predicate.partition(" ")
    part = f"all {total:,}" if whole else f"{len(kind):,}" + (f" of {total:,}" if total is not None else "")
    return f"{part} {noun}s {_PLURALS.get(verb, verb)} {rest} ({shortened([name for name, _ in kind])})"


def shortened(names: Sequence[str], most: int = 3) -> str:
    """Return the first `most` names as printable text, and the number of the other names."""
    rest = len(names) - most
    return ", ".join(printable(name, 200) for name in names[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def spelled(items: Sequence[str]) -> str:
    """Join texts: `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def count(number: int, what: str) -> str:
    """Return a number with its noun, which is given in the singular: `1 frame`, `2 frames`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def kinds_of(names: Sequence[str]) -> str:
    """Count files by their endings, the most frequent ending first: `3 .txt, 1 .7z`."""
    endings = Counter(PurePosixPath(name).suffix.lower() or "without an ending" for name in names)
    parts = [f"{number} {printable(ending, 20)}" for ending, number in endings.most_common(_MOST_KINDS)]
    return ", ".join(parts) + (", ..." if len(endings) > _MOST_KINDS else "")
