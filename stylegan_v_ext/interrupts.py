"""Signals that do no harm: Ctrl-C, the end of a job, preemption, a terminal that closes."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")


class Stopped(threading.Event):
    """Set by the first signal.

    Attributes:
        number: Of that signal, `None` before.
    """

    number: int | None = None


class StoppedBySignal(Exception):
    """A signal ended the work, after all of it was saved.

    Args:
        number: Of the signal.
        result: The last file.
    """

    def __init__(self, number: int, result: Any = None) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number, self.result = number, result

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as shells have it: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + self.number


class EndedBySignal(BaseException):
    """A signal ends the work at once; what is being written is removed on the way.

    It is no `Exception` and no `KeyboardInterrupt`: libraries catch these two.

    Args:
        number: Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number, self.exit_code = number, 128 + number


@contextmanager
def interruptible(promise: str = "Finishing this step and saving") -> Iterator[Stopped]:
    """An event that the first SIGINT, SIGTERM, SIGHUP or SIGUSR1 sets; a second Ctrl-C interrupts at once.

    Args:
        promise: What is done before the end, for the message. Threads other than the main one have no signals.
    """
    stopped = Stopped()
    again = signal.getsignal(signal.SIGINT)
    if again == signal.SIG_IGN:  # as shells start jobs in the background
        again = signal.default_int_handler

    def stop(number: int, frame: Any) -> None:
        if stopped.number is None:
            stopped.number = number
        stopped.set()
        signal.signal(signal.SIGINT, again)
        write_to_terminal(f"\n{promise}; press Ctrl-C again to stop at once.\n")

    with _handled_by(stop):
        yield stopped


@contextmanager
def ending() -> Iterator[None]:
    """Inside the block the same signals raise `EndedBySignal`, so that blocks that clean up do so.

    The first SIGTERM, SIGHUP or SIGUSR1 counts; another Ctrl-C interrupts the cleaning as well.
    """

    def end(number: int, frame: Any) -> None:
        for other in _numbers():
            if other != signal.SIGINT:
                signal.signal(other, signal.SIG_IGN)
        raise EndedBySignal(number)

    with _handled_by(end):
        yield


def write_to_terminal(text: str) -> None:
    """Write to the terminal from inside a signal handler, in which `print` may not be entered again."""
    with contextlib.suppress(OSError):
        os.write(2, text.encode())


def _numbers() -> list[int]:
    return [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]


@contextmanager
def _handled_by(handler: Any) -> Iterator[None]:
    """The signals go to a handler inside the block. SIGHUP stays ignored if it was: so `nohup` starts programs."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {}
    hangup = getattr(signal, "SIGHUP", None)
    for number in _numbers():
        if number != hangup or signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, signal.SIG_DFL if former is None else former)  # None: set outside of Python
