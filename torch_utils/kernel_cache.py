"""The disk cache of compiled kernels.

A file holds a checksum and then the code, so that a damaged file is noticed. One process at a time compiles a kernel.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dnnlib
from dnnlib.files import atomic_path

__all__ = ["cache_dir", "lock", "read", "write"]

_CHECKSUM_NBYTES = 32


def cache_dir() -> Path:
    """Return the folder of the compiled kernels."""
    return Path(dnnlib.make_cache_dir_path("kernels"))


def read(path: Path) -> bytes | None:
    """Read a kernel.

    Args:
        path: Its file.

    Returns:
        The code; None if the file is missing or damaged.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return None
    checksum, code = content[:_CHECKSUM_NBYTES], content[_CHECKSUM_NBYTES:]
    return code if hashlib.sha256(code).digest() == checksum and code else None


def write(path: Path, code: bytes) -> None:
    """Write a kernel. If the folder cannot be written, the next process compiles the kernel again.

    Args:
        path: Its file.
        code: The code.
    """
    with suppress(OSError), atomic_path(path) as temporary:
        temporary.write_bytes(hashlib.sha256(code).digest() + code)


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Let one process compile a kernel while the others wait.

    The system drops the lock when its process ends, even if the process is killed.

    Args:
        path: The kernel's file.

    Yields:
        Nothing.
    """
    try:
        import fcntl

        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.with_suffix(".lock").open("w")
    except (ImportError, OSError):
        yield
        return
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
