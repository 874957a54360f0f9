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
    """(position, index) from a position on, in the order of `misc.InfiniteSampler`."""

    def __init__(self, dataset: Any, seed: int, start: int):
        self.dataset, self.seed, self.start = dataset, seed, start

    def __iter__(self) -> Iterator[tuple[int, int]]:
        indices = misc.InfiniteSampler(self.dataset, seed=self.seed)
        yield from islice(enumerate(indices), self.start, None)


def load_batches(
    dataset: Any, batch_size: int, seed: int, start: int, device: torch.device, loader_kwargs: dict[str, Any]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless batches (strips uint8 on the device, labels on the CPU); one is on its way ahead of use.

    start: items of the stream that were used before. Neither it nor the number of workers changes
    what follows.
    """
    loader = torch.utils.data.DataLoader(
        _PositionedItems(dataset, seed),
        sampler=_Positions(dataset, seed, start),
        batch_size=batch_size,
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
