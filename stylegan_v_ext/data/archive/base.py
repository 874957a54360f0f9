"""The interface of all archives: files that are read by their number."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np


class Archive:
    """Files that are read by their number.

    Attributes:
        path: What the archive was opened from.
        names: Relative name of every file, with `/` between folders; a file's number is its place in this list.
        links_left: Names of the links that are not followed, because they lead to folders or to nothing.
    """

    path: Path
    names: Sequence[str]
    links_left: Sequence[str] = ()

    def read(self, index: int) -> bytes:
        """Return the content of file `names[index]`.

        Args:
            index: Number of the file.

        Raises:
            DataError: If the whole file cannot be read, or if it is damaged.
        """
        raise NotImplementedError

    def head(self, index: int, size: int) -> bytes:
        """Return the first bytes of file `names[index]`, without checking them.

        Args:
            index: Number of the file.
            size: How many bytes to return; a shorter file gives fewer. Meant for far fewer bytes than the file has.

        Raises:
            DataError: If the file cannot be read.
        """
        return self.read(index)[:size]

    def local_file(self, index: int) -> contextlib.AbstractContextManager[Path]:
        """Give a path of file `names[index]` in the file system; nobody may write to that path.

        A file in a zip is copied, and its checksum is compared. The copy keeps the ending of the name, and is removed
        when the block ends.

        Args:
            index: Number of the file.

        Returns:
            A context manager that gives the path.

        Raises:
            DataError: When the block begins, if the file is damaged or too large, or if there is no room for the copy.
        """
        raise NotImplementedError

    def sizes(self) -> np.ndarray:
        """Return the length of every file in bytes, int64, in the order of `names`."""
        raise NotImplementedError

    def checksums(self) -> np.ndarray | None:
        """Return the CRC-32 of every file, uint32, in the order of `names`.

        None if the archive does not store checksums, so that all files would have to be read.
        """
        return None
