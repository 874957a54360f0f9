"""Writing files so that they are either complete or not there, and folders that one process at a time may use."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dnnlib.files import append_line, atomic_path, remove_leftovers

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["append_line", "atomic_path", "locked", "remove_leftovers", "save_tensors"]


_held: set[int] = set()  # descriptors of the folders that this process holds


def _let_go() -> None:
    """Close the locks that a child process got by a fork: it would hold them on after its parent was killed."""
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


@contextlib.contextmanager
def locked(folder: str | Path, wait: bool = True) -> Iterator[None]:
    """Hold a folder: no other process is inside such a block of it at the same time.

    The system lets go of it when the process ends, however it does; children that it forked do not hold it.

    Args:
        wait: For another one to end its block; otherwise raise `BlockingIOError`. Where folders cannot be locked
            (Windows, some network file systems) the block runs all the same.
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
        if handle in _held:  # no forked child
            _held.discard(handle)
            os.close(handle)


def save_tensors(content: Any, path: str | Path) -> None:
    """`torch.save` to a file that is complete or as it was. Raises `OSError` where there is no room."""
    import torch

    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # PyTorch's word for what the system said
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise
