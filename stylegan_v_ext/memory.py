"""Keeping the memory that tensors on a CPU have used.

PyTorch frees a tensor to the C library, and glibc gives large blocks back to the system at once. The next layer's
tensor then arrives as new pages, each of which the processor stops for and clears: up to a fifth of the time of
networks on large images.
"""

import contextlib
import ctypes
import functools
import platform

# From glibc's malloc.h and Linux' mman.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_MADV_HUGEPAGE = 14
_HUGE_PAGE = 2**21
_AHEAD = 2**31 - _HUGE_PAGE  # addresses that are taken at first, memory only as it is used; mallopt takes an int


@functools.cache
def keep_freed_memory() -> None:
    """Have freed memory used again instead of given back, from now on and in this process, and in huge pages.

    Nothing happens without glibc. The process stays as large as it was at its largest.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
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
    """First address of the heap and the one after its last."""
    with open("/proc/self/maps", encoding="utf-8") as file:
        lines = [line.split() for line in file]
    ranges = [line[0].split("-") for line in lines if line[-1] == "[heap]"]
    return [(int(start, 16), int(end, 16)) for start, end in ranges]
