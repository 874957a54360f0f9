"""Signals that do no harm: Ctrl-C, the end of a job, preemption."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1")


class Stopped(threading.Event):
    """Set by the first signal. number: of that signal, `None` before."""

    number: int | None = None


class StoppedBySignal(Exception):
    """A signal ended the work, after all of it was saved. number: of the signal. result: the last file."""

    def __init__(self, number: int, result: Any):
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number, self.result = number, result

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as shells have it: 130 for Ctrl-C, 143 for SIGTERM, 138 for SIGUSR1 on Linux."""
        return 128 + self.number


@contextmanager
def interruptible() -> Iterator[Stopped]:
    """An event that the first SIGINT, SIGTERM or SIGUSR1 sets; a second Ctrl-C interrupts at once.

    Threads other than the main one have no signals.
    """
    stopped = Stopped()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before: dict[int, Any] = {}
    again = signal.getsignal(signal.SIGINT)
    if again == signal.SIG_IGN:  # as shells start jobs in the background
        again = signal.default_int_handler

    def stop(number: int, frame: Any) -> None:
        stopped.number = number
        stopped.set()
        signal.signal(signal.SIGINT, again)
        print("\nFinishing this step and saving; press Ctrl-C again to stop at once.", flush=True, file=sys.stderr)

    for name in _SIGNALS:
        if hasattr(signal, name):
            number = getattr(signal, name)
            before[number] = signal.signal(number, stop)
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
