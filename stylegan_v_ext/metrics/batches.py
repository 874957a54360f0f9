"""Batches of clips or frames out of a source, read ahead of the network that looks at them."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch

from stylegan_v_ext.metrics.generated import GeneratedVideos
from stylegan_v_ext.metrics.video_source import Pick, VideoSource


def read_batches(
    source: VideoSource, picks: Sequence[Pick], size: int, *, of_clips: bool
) -> Iterator[tuple[range, torch.Tensor]]:
    """Read picks, some at a time; the next batches are read while the caller works on this one.

    Args:
        source: Where the picks come from.
        picks: All picks of this process.
        size: Picks in a batch.
        of_clips: Whether a sample is a clip; otherwise every frame is a sample.

    Yields:
        The numbers of the picks, and their samples uint8, clips `[N, 3, T, H, W]` or frames `[N, 3, H, W]`.
    """

    def read(numbers: range) -> torch.Tensor:
        pixels = source.read([picks[number] for number in numbers])
        items = pixels if of_clips else [frame for frames in pixels for frame in frames]
        batch = np.empty([len(items), 3, *items[0].shape[:-1]], dtype=np.uint8)
        for item, place in zip(items, batch, strict=True):
            np.copyto(place, np.moveaxis(item, -1, 0))
        return torch.from_numpy(batch)

    parts = [range(start, min(start + size, len(picks))) for start in range(0, len(picks), size)]
    if isinstance(source, GeneratedVideos):  # a generator works on the same device as the caller
        for numbers in parts:
            yield numbers, read(numbers)
        return
    with ThreadPoolExecutor(source.readers) as reader:
        ahead: deque[tuple[range, Future[torch.Tensor]]] = deque()
        for numbers in parts:
            ahead.append((numbers, reader.submit(read, numbers)))
            if len(ahead) > source.readers:
                first, batch = ahead.popleft()
                yield first, batch.result()
        for first, batch in ahead:
            yield first, batch.result()
