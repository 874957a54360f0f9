"""A folder as an archive."""

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from stylegan_v_ext.data.archive.base import Archive
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.names import is_hidden
from stylegan_v_ext.text import printable

_STATS_AT_ONCE = 1000  # files whose size a thread asks for, before it takes other files
_STAT_THREADS = 16
_MOST_LEVELS = 100  # folders inside each other


def files_below(folder: Path, check_link: Callable[[Path], None] | None = None) -> Iterator[str]:
    """Yield the names of all files below a folder; the files of each folder come before its sub-folders.

    Args:
        folder: Where to look. Links to folders are not followed.
        check_link: Called with every link; it raises an error to refuse the link. None accepts all links.

    Yields:
        Names relative to the folder, with `/` between folders.

    Raises:
        DataError: If a folder cannot be listed, or if there are more than 100 levels of folders.
    """
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        if prefix.count("/") > _MOST_LEVELS:
            raise DataError(f"{folder} has more than {_MOST_LEVELS} levels of folders ({printable(prefix, 100)})")
        try:
            with os.scandir(folder / prefix) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            raise DataError(f"{folder}: {printable(prefix, 100)} cannot be listed ({error.strerror})") from None
        folders = []
        for entry in entries:
            if entry.is_symlink() and check_link is not None:
                check_link(Path(entry.path))
            if entry.is_dir(follow_symlinks=False):
                folders.append(f"{prefix}{entry.name}/")
            elif _is_file(entry):
                yield prefix + entry.name
        waiting += reversed(folders)


def _is_file(entry: os.DirEntry) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads to itself
        return False


class FolderArchive(Archive):
    """All files below a folder.

    Args:
        path: The folder.

    Raises:
        DataError: If a link leads out of the folder, or if a folder cannot be listed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._links: list[str] = []
        self.names = list(files_below(path, self._check_link))
        self.links_left = tuple(name for name in self._links if not is_hidden(name))

    def _check_link(self, link: Path) -> None:
        if not Path(os.path.realpath(link)).is_relative_to(os.path.realpath(self.path)):
            raise DataError(
                f"{link} is a link to {os.readlink(link)}, which is not in {self.path}; copy what it links to"
            )
        if not link.is_file():
            self._links.append(link.relative_to(self.path).as_posix())

    def sizes(self) -> np.ndarray:
        """Return the length of every file in bytes, int64."""
        parts = [self.names[start : start + _STATS_AT_ONCE] for start in range(0, len(self.names), _STATS_AT_ONCE)]
        folder = os.fspath(self.path)

        def sizes_of(names: list[str]) -> list[int]:
            return [os.stat(os.path.join(folder, name)).st_size for name in names]

        try:
            with ThreadPoolExecutor(_STAT_THREADS) as pool:  # a network drive needs time for each answer
                return np.array([size for part in pool.map(sizes_of, parts) for size in part], dtype=np.int64)
        except OSError as error:
            raise DataError(f"{error.filename} cannot be read ({error.strerror})") from None

    def read(self, index: int) -> bytes:
        """Return the content of a file."""
        return read_file(self.path / self.names[index])

    def head(self, index: int, size: int) -> bytes:
        """Return the first bytes of a file."""
        return read_head(self.path / self.names[index], size)

    @contextlib.contextmanager
    def local_file(self, index: int) -> Iterator[Path]:
        """Give the path of a file."""
        path = self.path / self.names[index]
        read_head(path, 0)
        yield path


def read_file(path: Path) -> bytes:
    """Return the content of a file. Raises `DataError` if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from None


def read_head(path: Path, size: int) -> bytes:
    """Return the first `size` bytes of a file. Raises `DataError` if it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(size)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from None
