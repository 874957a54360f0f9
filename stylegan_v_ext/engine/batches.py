"""The stream of training items, each a function of the seed and its position: a run can go on at any of them."""

import contextlib
import math
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch

from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.engine.bad_frames import BadFrames, collate, read_or_replace
from torch_utils import misc

_SHARED = "/dev/shm"  # where workers leave batches


class _PositionedItems(torch.utils.data.Dataset):
    """(item, problems) by (position, index); what is random about them follows from the seed and the position."""

    def __init__(self, dataset: Any, seed: int, skip_bad_frames: bool) -> None:
        self.dataset, self.seed, self.skip_bad_frames = dataset, seed, skip_bad_frames

    def __getitem__(self, key: tuple[int, int]) -> Any:
        position, index = key
        before = np.random.get_state()
        np.random.seed([self.seed, position % 2**32, position >> 32])
        try:
            return read_or_replace(self.dataset, index) if self.skip_bad_frames else (self.dataset[index], [])
        finally:
            np.random.set_state(before)


class _Positions(torch.utils.data.Sampler):
    """(position, index) from a position on, in the order of `misc.InfiniteSampler`.

    Of every `batch_size` positions those of some rounds of `batch_gpu` each.
    """

    def __init__(self, dataset: Any, seed: int, start: int, batch_size: int, batch_gpu: int, rounds: range) -> None:
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
    skip_bad_frames: bool = False,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """This process's share of endless batches: (strips uint8 on the device, labels on the CPU).

    A batch of `batch_size` items is `batch_size / batch_gpu` rounds, of which these are this process's.

    Args:
        start: Items of the stream that were used before, by all. Neither it nor the number of processes or workers
            changes which item a round of a step has, or what is random about it. One share is on its way ahead of use.
        skip_bad_frames: Take other clips for those that cannot be read, up to a bound.

    Raises:
        DataError: For what cannot be read, and where a worker was ended from outside.
    """
    loader_kwargs = _fit_to_shared_memory(loader_kwargs, dataset, batch_gpu * len(rounds))
    loader = torch.utils.data.DataLoader(
        _PositionedItems(dataset, seed, skip_bad_frames),
        collate_fn=collate,
        sampler=_Positions(dataset, seed, start, batch_size, batch_gpu, rounds),
        batch_size=batch_gpu * len(rounds),
        pin_memory=device.type == "cuda",
        generator=torch.Generator().manual_seed(seed),
        worker_init_fn=ignore_interrupts,
        **loader_kwargs,
    )
    bad, ahead = BadFrames(), None
    for (strips, labels), problems in _stream(loader):
        bad.add(problems)
        here = strips.to(device, non_blocking=True), labels
        if ahead is not None:
            yield ahead
        ahead = here


def _stream(loader: torch.utils.data.DataLoader) -> Iterator[Any]:
    """Batches of a loader, in which the end of a worker is seen when its batch is waited for."""
    stream = iter(loader)
    if loader.num_workers and threading.current_thread() is threading.main_thread():
        # PyTorch's handler raises wherever this process is, in the middle of a step too.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return _told(stream)


def _told(stream: Iterator[Any]) -> Iterator[Any]:
    """What a stream yields; its complaint about a lost worker becomes one that says what to do."""
    try:
        yield from stream
    except (RuntimeError, ConnectionError, EOFError) as error:  # the latter two where it held a batch ready
        message = str(error) or type(error).__name__
        if "DataLoader worker" not in message and isinstance(error, RuntimeError):
            raise
        if "Bus error" in message or "shared memory" in message:
            raise DataError(f"a data worker found no room in {_SHARED}; use --workers=0, or enlarge it") from None
        reason = "was ended from outside; where memory ran out, use fewer --workers"
        raise DataError(f"a data worker {reason} ({message.splitlines()[0]})") from None


def _fit_to_shared_memory(loader_kwargs: dict[str, Any], dataset: Any, num_items: int) -> dict[str, Any]:
    """Without workers where the batches on their way from these would not fit into shared memory (containers!)."""
    batch = num_items * math.prod(dataset.image_shape)
    ahead = loader_kwargs.get("num_workers", 0) * loader_kwargs.get("prefetch_factor", 2) + 2
    if not loader_kwargs.get("num_workers") or not os.path.isdir(_SHARED):
        return loader_kwargs
    room = shutil.disk_usage(_SHARED).free
    if room > batch * ahead:
        return loader_kwargs
    print(
        f"Note: {_SHARED} has {room / 2**20:.0f} MiB left, workers need {batch * ahead / 2**20:.0f}; reading without "
        "--workers (docker run --shm-size=8g enlarges it)",
        flush=True,
    )
    return {**loader_kwargs, "num_workers": 0, "prefetch_factor": None}


def ignore_interrupts(worker: int) -> None:
    """Signals reach all processes of a terminal or a job; the workers have to live through the last step.

    Their own process ends them by SIGTERM. They leave the group of processes that torchrun and shells send it to.
    """
    for name in ("SIGINT", "SIGUSR1", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):  # AttributeError: Windows
        os.setpgid(0, 0)
