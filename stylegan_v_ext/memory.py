"""Keeping the memory that tensors on a CPU have used.

PyTorch frees a tensor to the C library, and glibc gives large blocks back to the system at once. The tensor of the next
layer then needs new pages, and the system has to clear each of them: this takes up to a fifth of the time of networks
on large images.
"""

import contextlib
import ctypes
import platform
import threading
from collections.abc import Iterator

__all__ = ["keep_freed_memory"]

# From glibc's malloc.h and Linux' mman.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_MADV_HUGEPAGE = 14
_DEFAULTS = {_MMAP_MAX: 65536, _TRIM_THRESHOLD: 2**17, _TOP_PAD: 2**17}  # from glibc's malloc.c
_HUGE_PAGE = 2**21
_AHEAD = 2**31 - _HUGE_PAGE  # reserved addresses, without memory until they are used; mallopt takes an int

_lock = threading.Lock()
_blocks = 0  # number of blocks that keep memory now


@contextlib.contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Make glibc use freed memory again, in huge pages, instead of giving it back to the system.

    Inside the block the process never becomes smaller. At the end of the outermost block glibc has
    its default settings again, and all free memory goes back to the system. Nothing happens on systems without glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    """Count a block; the first one changes the settings."""
    global _blocks
    with _lock:
        _blocks += 1
        if _blocks == 1:
            _keep(ctypes.CDLL(None))


def _leave() -> None:
    """Count a block that ends; the last one restores the settings."""
    global _blocks
    with _lock:
        _blocks -= 1
        if _blocks == 0:
            libc = ctypes.CDLL(None)
            for name, value in _DEFAULTS.items():
                libc.mallopt(name, value)
            libc.malloc_trim(0)  # free blocks between used ones keep their addresses, without memory


def _keep(libc: ctypes.CDLL) -> None:
    """Take all memory from the heap, let the heap grow in large steps, and have it in huge pages."""
    libc.mallopt(_MMAP_MAX, 0)
    libc.mallopt(_TRIM_THRESHOLD, -1)
    libc.mallopt(_TOP_PAD, _AHEAD)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.free(libc.malloc(_HUGE_PAGE * 64))
    libc.mallopt(_TOP_PAD, _HUGE_PAGE)
    with contextlib.suppress(OSError, ValueError):  # of systems without /proc
        for start, end in _heaps():
            start = -(-start // _HUGE_PAGE) * _HUGE_PAGE
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(max(end - start, 0)), _MADV_HUGEPAGE)


def _heaps() -> list[tuple[int, int]]:
    """Return the heaps, each by its first address and the address after its last."""
    with open("/proc/self/maps", encoding="utf-8") as file:
        lines = [line.split() for line in file]
    ranges = [line[0].split("-") for line in lines if line[-1] == "[heap]"]
    return [(int(start, 16), int(end, 16)) for start, end in ranges]
