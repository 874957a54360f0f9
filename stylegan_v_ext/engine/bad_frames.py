"""Frames that cannot be read while a run goes on: stop, or take another clip and say so."""

from typing import Any

import numpy as np
import torch

from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.text import say

_MOST_TRIES = 20  # of other clips in place of one
_MOST_BAD = 100  # frames by name; more are no accident


def read_or_replace(dataset: Any, index: int) -> tuple[Any, list[str]]:
    """(item, what was wrong with those it stands for): item `index`, or another one at random by NumPy's generator.

    Raises `DataError` where many in a row cannot be read.
    """
    problems: list[str] = []
    for _ in range(_MOST_TRIES):
        try:
            return dataset[index], problems
        except DataError as error:
            problems.append(str(error))
            index = np.random.randint(len(dataset))
    raise DataError(f"{_MOST_TRIES} clips in a row cannot be read; the last: {problems[-1]}")


def collate(items: list[tuple[Any, list[str]]]) -> tuple[Any, list[str]]:
    """A batch of items, and all that was wrong."""
    return torch.utils.data.default_collate([item for item, _ in items]), [text for _, bad in items for text in bad]


class BadFrames:
    """What was wrong so far, each once; names the first ones, and stops a run at too many."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, problems: list[str]) -> None:
        """Count what a batch met. Raises `DataError` at too many."""
        for problem in problems:
            if problem not in self.counts:
                say(f"Left out, another clip in its place: {problem}")
            self.counts[problem] = self.counts.get(problem, 0) + 1
        if len(self.counts) > _MOST_BAD:
            raise DataError(f"more than {_MOST_BAD} frames cannot be read; the last: {problems[-1]}")
