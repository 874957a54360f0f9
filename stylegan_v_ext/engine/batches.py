"""The stream of training items, each a function of the seed and its position: a run can go on at any of them."""

import signal
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch

from torch_utils import misc


class _PositionedItems(torch.utils.data.Dataset):
    """Items by (position, index); what is random about them follows from the seed and the position."""

    def __init__(self, dataset: Any, seed: int):
        self.dataset, self.seed = dataset, seed

    def __getitem__(self, key: tuple[int, int]) -> Any:
        position, index = key
        before = np.random.get_state()
        np.random.seed([self.seed, position % 2**32, position >> 32])
        try:
            return self.dataset[index]
        finally:
            np.random.set_state(before)


class _Positions(torch.utils.data.Sampler):
    """(position, index) from a position on, in the order of `misc.InfiniteSampler`.

    Of every `batch_size` positions those of some rounds of `batch_gpu` each.
    """

    def __init__(self, dataset: Any, seed: int, start: int, batch_size: int, batch_gpu: int, rounds: range):
        self.dataset, self.seed, self.start = dataset, seed, start
        self.batch_size, self.batch_gpu, self.rounds = batch_size, batch_gpu, rounds

    def __iter__(self) -> Iterator[tuple[int, int]]:
        indices = misc.InfiniteSampler(self.dataset, seed=self.seed)
        for position, index in islice(enumerate(indices), self.start, None):
            if position % self.batch_size // self.batch_gpu in self.rounds:
                yield position, index


def load_batches(
    dataset: Any,
    batch_size: int,
    batch_gpu: int,
    rounds: range,
    seed: int,
    start: int,
    device: torch.device,
    loader_kwargs: dict[str, Any],
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """This process's share of endless batches: (strips uint8 on the device, labels on the CPU).

    A batch of `batch_size` items is `batch_size / batch_gpu` rounds, of which these are this process's.
    start: items of the stream that were used before, by all. Neither it nor the number of processes or
    workers changes which item a round of a step has, or what is random about it. One share is on its way
    ahead of use.
    """
    loader = torch.utils.data.DataLoader(
        _PositionedItems(dataset, seed),
        sampler=_Positions(dataset, seed, start, batch_size, batch_gpu, rounds),
        batch_size=batch_gpu * len(rounds),
        pin_memory=device.type == "cuda",
        generator=torch.Generator().manual_seed(seed),
        worker_init_fn=ignore_interrupts,
        **loader_kwargs,
    )
    ahead = None
    for strips, labels in loader:
        here = strips.to(device, non_blocking=True), labels
        if ahead is not None:
            yield ahead
        ahead = here


def ignore_interrupts(worker: int) -> None:
    """Signals reach all processes of a terminal or a job; the workers have to live through the last step."""
    for name in ("SIGINT", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
