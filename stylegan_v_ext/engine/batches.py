"""The stream of training items, each a function of the seed and its position: a run can go on at any of them."""

import contextlib
import math
import os
import shutil
import signal
import threading
from collections.abc import Generator, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch

from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.engine.bad_frames import BadFrames, Item, collate, read_or_replace
from torch_utils import misc

__all__ = ["Batches", "ignore_interrupts", "load_batches"]

Batches = Generator[tuple[torch.Tensor, torch.Tensor], None, None]
"""Strips uint8 `[N, 3, F*H, W]` on the device, and labels float32 `[N, K + F]` on the CPU."""

_SHARED = "/dev/shm"  # where workers leave batches


class _PositionedItems(torch.utils.data.Dataset[tuple[Item, list[str]]]):
    """(item, problems) by (position, index); what is random about them follows from the seed and the position."""

    def __init__(self, dataset: SparseVideoDataset, seed: int, *, skip_bad_frames: bool) -> None:
        self.dataset, self.seed, self.skip_bad_frames = dataset, seed, skip_bad_frames

    def __getitem__(self, key: tuple[int, int]) -> tuple[Item, list[str]]:
        position, index = key
        before = np.random.get_state()
        np.random.seed([self.seed, position % 2**32, position >> 32])
        try:
            return read_or_replace(self.dataset, index) if self.skip_bad_frames else (self.dataset[index], [])
        finally:
            np.random.set_state(before)


class _Positions(torch.utils.data.Sampler[tuple[int, int]]):
    """(position, index) from a position on, in the order of `misc.InfiniteSampler`, for some rounds of each batch."""

    def __init__(
        self, dataset: SparseVideoDataset, seed: int, start: int, batch_size: int, batch_gpu: int, rounds: range
    ) -> None:
        self.dataset, self.seed, self.start = dataset, seed, start
        self.batch_size, self.batch_gpu, self.rounds = batch_size, batch_gpu, rounds

    def __iter__(self) -> Iterator[tuple[int, int]]:
        indices = misc.InfiniteSampler(self.dataset, seed=self.seed)
        for position, index in islice(enumerate(indices), self.start, None):
            if position % self.batch_size // self.batch_gpu in self.rounds:
                yield position, index


def load_batches(
    dataset: SparseVideoDataset,
    *,
    batch_size: int,
    batch_gpu: int,
    rounds: range,
    seed: int,
    start: int,
    device: torch.device,
    num_workers: int,
    prefetch_factor: int | None,
    skip_bad_frames: bool = False,
) -> Batches:
    """Yield this process's share of endless batches; one share is on its way to the device ahead of use.

    A batch is `batch_size / batch_gpu` rounds. Neither the start nor the number of processes or workers changes which
    items a round of a step has, or what is random about them.

    Args:
        dataset: Training set.
        batch_size: Clips of a step, over all processes.
        batch_gpu: Clips of a round.
        rounds: Numbers of this process's rounds.
        seed: Seed of the order and of what the items draw.
        start: Items of the stream that all processes have used before.
        device: Device of the strips.
        num_workers: Processes that read; 0 reads in the main process.
        prefetch_factor: Shares that a worker reads ahead; None without workers.
        skip_bad_frames: Whether other clips, up to a bound, take the place of those that cannot be read.

    Yields:
        Strips uint8 `[N, 3, F*H, W]` on the device, and labels float32 `[N, K + F]` on the CPU.

    Raises:
        DataError: If a clip cannot be read, or if a worker was ended from outside.
    """
    share = batch_gpu * len(rounds)
    if num_workers and not _fits_shared_memory(dataset, share, num_workers, prefetch_factor or 2):
        num_workers, prefetch_factor = 0, None
    loader = torch.utils.data.DataLoader(
        _PositionedItems(dataset, seed, skip_bad_frames=skip_bad_frames),
        collate_fn=collate,
        sampler=_Positions(dataset, seed, start, batch_size, batch_gpu, rounds),
        batch_size=share,
        pin_memory=device.type == "cuda",
        generator=torch.Generator().manual_seed(seed),
        worker_init_fn=ignore_interrupts,
        num_workers=num_workers,
        prefetch_factor=prefetch_factor,
    )
    bad, ahead = BadFrames(), None
    for (strips, labels), problems in _stream(loader):
        bad.add(problems)
        here = strips.to(device, non_blocking=True), labels
        if ahead is not None:
            yield ahead
        ahead = here


def _stream(loader: torch.utils.data.DataLoader[Any]) -> Iterator[Any]:
    """Iterate over a loader, so that the end of a worker is seen when its batch is waited for."""
    if not loader.num_workers or threading.current_thread() is not threading.main_thread():
        return _with_remedy(iter(loader))
    before = signal.getsignal(signal.SIGCHLD)
    stream = iter(loader)
    # PyTorch's own handler raises wherever this process is, in the middle of a step too.
    is_of_pytorch = getattr(before, "__module__", "").startswith("torch.")
    signal.signal(signal.SIGCHLD, signal.SIG_DFL if before is None or is_of_pytorch else before)
    return _with_remedy(stream)


def _with_remedy(stream: Iterator[Any]) -> Iterator[Any]:
    """Yield from a stream; replace the errors of PyTorch about a lost worker by an error that names the remedy."""
    try:
        yield from stream
    except (RuntimeError, ConnectionError, EOFError) as error:  # the last two if a batch was ready
        message = str(error) or type(error).__name__
        if "DataLoader worker" not in message and isinstance(error, RuntimeError):
            raise
        if "Bus error" in message or "shared memory" in message:
            raise DataError(f"a data worker found no room in {_SHARED}; use --workers=0, or enlarge it") from None
        reason = "was ended from outside; if memory ran out, use fewer --workers"
        raise DataError(f"a data worker {reason} ({message.splitlines()[0]})") from None


def _fits_shared_memory(dataset: SparseVideoDataset, share: int, num_workers: int, prefetch_factor: int) -> bool:
    """Return whether the batches on their way from workers fit into shared memory, which containers have little of."""
    if not os.path.isdir(_SHARED):
        return True
    needed = share * math.prod(dataset.image_shape) * (num_workers * prefetch_factor + 2)
    room = shutil.disk_usage(_SHARED).free
    if room > needed:
        return True
    print(
        f"Note: {_SHARED} has {room / 2**20:.0f} MiB left, workers need {needed / 2**20:.0f}; reading without "
        "--workers (docker run --shm-size=8g enlarges it)",
        flush=True,
    )
    return False


def ignore_interrupts(worker: int) -> None:
    """Make a worker of a data loader live through the last step of a run that a signal ends.

    Signals reach all processes of a terminal or a job. A worker leaves the group of processes that torchrun and shells
    send them to; its own process ends it by SIGTERM.

    Args:
        worker: Number of the worker, which PyTorch gives.
    """
    for name in ("SIGINT", "SIGUSR1", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):  # AttributeError: Windows
        os.setpgid(0, 0)
