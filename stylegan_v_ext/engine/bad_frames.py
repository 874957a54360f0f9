"""Frames that cannot be read while a run goes on: stop, or take another clip and say so."""

import numpy as np
import torch

from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.text import say

Item = tuple[np.ndarray, np.ndarray]
"""A strip and its label, as the data set gives them."""

_MOST_TRIES = 20  # clips that are tried in place of a clip that cannot be read
_MOST_BAD = 100  # different problems; more problems mean that the data are damaged


def read_or_replace(dataset: SparseVideoDataset, index: int) -> tuple[Item, list[str]]:
    """Read an item, or another item in its place if it cannot be read.

    Args:
        dataset: Training set.
        index: Number of the item. Others are chosen by NumPy's random generator.

    Returns:
        The item, and the problems of the items whose place it takes.

    Raises:
        DataError: If many items in a row cannot be read.
    """
    problems: list[str] = []
    for _ in range(_MOST_TRIES):
        try:
            return dataset[index], problems
        except DataError as error:
            problems.append(str(error))
            index = np.random.randint(len(dataset))
    raise DataError(f"{_MOST_TRIES} clips in a row cannot be read; the last: {problems[-1]}")


def collate(items: list[tuple[Item, list[str]]]) -> tuple[list[torch.Tensor], list[str]]:
    """Make a batch of items; return [strips, labels] and all problems."""
    return torch.utils.data.default_collate([item for item, _ in items]), [text for _, bad in items for text in bad]


class BadFrames:
    """Counts problems, names each problem once, and stops a run if there are too many."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, problems: list[str]) -> None:
        """Count the problems of a batch.

        Args:
            problems: A line for each problem.

        Raises:
            DataError: If there are too many different problems.
        """
        for problem in problems:
            if problem not in self.counts:
                say(f"Left out, another clip in its place: {problem}")
            self.counts[problem] = self.counts.get(problem, 0) + 1
        if len(self.counts) > _MOST_BAD:
            raise DataError(f"more than {_MOST_BAD} frames cannot be read; the last: {problems[-1]}")
