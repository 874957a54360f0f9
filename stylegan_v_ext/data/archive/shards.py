"""Several zip files as one archive."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from stylegan_v_ext.data.archive.base import Archive
from stylegan_v_ext.data.archive.zipped import ZipArchive


class ShardedArchive(Archive):
    """Several zip files as one archive; each name begins with the file name of its shard.

    Args:
        path: What the user named: the folder of the shards, or `name.zip` for `name-00000.zip` and so on.
        shards: The zip files, in order.
    """

    def __init__(self, path: Path, shards: list[ZipArchive]) -> None:
        self.path = path
        self.shards = shards
        self._starts = np.cumsum([0] + [len(shard.names) for shard in self.shards])
        self.names = _ShardedNames(self.shards, self._starts)

    def sizes(self) -> np.ndarray:
        """Return the length of every file in bytes, int64."""
        return np.concatenate([shard.sizes() for shard in self.shards])

    def checksums(self) -> np.ndarray:
        """Return the CRC-32 of every file, uint32."""
        return np.concatenate([shard.checksums() for shard in self.shards])

    def read(self, index: int) -> bytes:
        """Return the content of a file."""
        shard, member = self._locate(index)
        return shard.read(member)

    def head(self, index: int, size: int) -> bytes:
        """Return the first bytes of a file."""
        shard, member = self._locate(index)
        return shard.head(member, size)

    def local_file(self, index: int) -> contextlib.AbstractContextManager[Path]:
        """Give a path of a copy of a file."""
        shard, member = self._locate(index)
        return shard.local_file(member)

    def _locate(self, index: int) -> tuple[ZipArchive, int]:
        """Return (shard of a file, number of the file in this shard)."""
        shard = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self.shards[shard], index - int(self._starts[shard])


class _ShardedNames(Sequence[str]):
    """Names of the members of all shards, each behind the name of its shard."""

    def __init__(self, shards: list[ZipArchive], starts: np.ndarray) -> None:
        self._shards, self._starts = shards, starts

    def __len__(self) -> int:
        return int(self._starts[-1])

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        chosen = range(len(self))[index]
        if isinstance(chosen, int):
            return self._run(chosen, chosen + 1)[0]
        if chosen.step == 1 and len(chosen) and self._shard(chosen.start) == self._shard(chosen.stop - 1):
            return self._run(chosen.start, chosen.stop)
        return [self[number] for number in chosen]

    def _shard(self, index: int) -> int:
        return int(np.searchsorted(self._starts, index, side="right")) - 1

    def _run(self, start: int, stop: int) -> list[str]:
        """Return the names of consecutive members of one shard."""
        shard = self._shard(start)
        archive, first = self._shards[shard], int(self._starts[shard])
        return [f"{archive.path.name}/{name}" for name in archive.names[start - first : stop - first]]

    def __iter__(self) -> Iterator[str]:
        return (f"{shard.path.name}/{name}" for shard in self._shards for name in shard.names)
