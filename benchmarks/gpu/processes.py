"""Ending whatever a part has started: a process that stays would hold the GPU's memory for all parts after it."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection

import psutil

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # from Linux' prctl.h
_GRACE_SECONDS = 5  # to wait for a process that was killed; one that hangs in a driver may stay


def adopt_orphans() -> None:
    """Make this process the parent of processes that its children leave behind, on Linux."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Let this process be killed when its parent ends, however that ends, on Linux."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end_tree(process: subprocess.Popen) -> None:
    """Kill a child, its descendants, and what is left of the session that it leads."""
    found = []
    with contextlib.suppress(psutil.Error):
        found = psutil.Process(process.pid).children(recursive=True)
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    for child in found:
        with contextlib.suppress(psutil.Error):
            child.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_SECONDS)


def end_all(but: Collection[subprocess.Popen] = ()) -> None:
    """Kill all descendants of this process.

    Args:
        but: Children that stay, with their own descendants.
    """
    spared = {process.pid for process in but}
    ends = time.monotonic() + _GRACE_SECONDS
    while (left := _descendants(spared)) and time.monotonic() < ends:  # again: they may start others meanwhile
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=1)


def _descendants(spared: Collection[int]) -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children():
        if child.pid not in spared:
            with contextlib.suppress(psutil.Error):
                found += [child, *child.children(recursive=True)]
    return found


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
