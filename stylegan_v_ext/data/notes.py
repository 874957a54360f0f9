"""Sentences for the user about many files: each thing is said once, with the names of the first few."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from stylegan_v_ext.text import printable

_MOST_NAMES = 3
_MOST_KINDS = 5


class Notes:
    """Clauses about sources, each of which is said once for all the sources that it is true of."""

    def __init__(self) -> None:
        self._groups: dict[str, list[tuple[str, str]]] = {}

    def add(self, name: str, clause: str, sentence: str | None = None) -> None:
        """Note something about a source.

        name: of the source.
        clause: what is said of all sources that it is true of, such as "it has too few frames".
        sentence: what is said if it is true of this source alone; None puts the name before the clause.
        """
        self._groups.setdefault(clause, []).append((name, sentence or f"{name}: {clause}"))

    def sentences(self) -> list[str]:
        """One sentence a clause, in the order in which they came, printable."""
        return [
            printable(
                group[0][1]
                if len(group) == 1
                else f"each of {len(group)} videos ({first_of([name for name, _ in group])}): {clause}"
            )
            for clause, group in self._groups.items()
        ]


def first_of(names: Sequence[str], most: int = _MOST_NAMES) -> str:
    """The first few of many names, printable, with commas between them."""
    return ", ".join(printable(name, 200) for name in names[:most]) + (", ..." if len(names) > most else "")


def number_of(things: Sequence[object], what: str) -> str:
    """How many things there are: `1 file`, `2 files`."""
    return f"{len(things)} {what}" if len(things) == 1 else f"{len(things)} {what}s"


def kinds_of(names: Sequence[str]) -> str:
    """How many files there are of each ending, the most frequent first: `3 .txt, 1 .7z`."""
    endings = Counter(PurePosixPath(name).suffix.lower() or "without an ending" for name in names)
    parts = [f"{number} {printable(ending, 20)}" for ending, number in endings.most_common(_MOST_KINDS)]
    return ", ".join(parts) + (", ..." if len(endings) > _MOST_KINDS else "")
