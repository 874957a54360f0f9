"""Files that are either complete or absent, and folders that only one process at a time may use."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from dnnlib.files import append_line, atomic_path, remove_leftovers

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["append_line", "atomic_path", "locked", "remove_leftovers", "save_tensors"]


_held: set[int] = set()  # descriptors of the folders that this process has locked


def _let_go() -> None:
    """Release, in a forked child, the locks of its parent; it would hold them even after the parent was killed."""
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


@contextlib.contextmanager
def locked(folder: str | Path, *, wait: bool = True) -> Iterator[None]:
    """Lock a folder during a block: no other process can be in such a block for the same folder at the same time.

    The system releases the lock when the process ends, even if it is killed. Forked children do not hold the lock. If
    the system cannot lock folders (Windows, some network file systems), the block runs without a lock.

    Args:
        folder: An existing folder.
        wait: Whether to wait until another process leaves its block.

    Raises:
        BlockingIOError: If `wait` is False and another process holds the folder.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    _held.add(handle)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise
        except OSError:
            pass
        yield
    finally:
        if handle in _held:  # otherwise this is a forked child
            _held.discard(handle)
            os.close(handle)


def save_tensors(content: object, path: str | Path) -> None:
    """Write a file by `torch.save`; if that fails, the earlier file stays as it was.

    Args:
        content: Anything that `torch.save` takes.
        path: The file.

    Raises:
        OSError: If the system cannot write the file, for example because there is no room.
    """
    import torch

    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # PyTorch's form of an error of the system
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise
