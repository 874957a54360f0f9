"""Signals that do no harm: Ctrl-C, the end of a job, preemption, a terminal that closes."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

__all__ = ["EndedBySignal", "Stopped", "StoppedBySignal", "ending", "interruptible", "write_to_terminal"]

_Handler = Callable[[int, FrameType | None], object]
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")


class Stopped(threading.Event):
    """An event that the first signal sets.

    Attributes:
        number: Number of that signal; None before it.
    """

    number: int | None = None


class StoppedBySignal(Exception):
    """A signal ended the work, after everything was saved.

    Args:
        number: Number of the signal.
        result: Path of the last file; None if there is no such file.
    """

    def __init__(self, number: int, result: Path | None = None) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number, self.result = number, result

    @property
    def exit_code(self) -> int:
        """128 plus the number of the signal, as shells have it: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + self.number


class EndedBySignal(BaseException):
    """A signal ends the work at once; files that are half-written are removed on the way.

    This is not an `Exception` and not a `KeyboardInterrupt`, since libraries catch these two.

    Args:
        number: Number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number, self.exit_code = number, 128 + number


@contextmanager
def interruptible(promise: str = "Finishing this step and saving") -> Iterator[Stopped]:
    """Let the first SIGINT, SIGTERM, SIGHUP or SIGUSR1 set an event inside the block.

    A second Ctrl-C interrupts at once. Only the main thread has signals: in other threads nothing sets the event.

    Args:
        promise: What the program does before it ends, for the message.

    Yields:
        The event.
    """
    stopped = Stopped()
    again = signal.getsignal(signal.SIGINT)
    if again == signal.SIG_IGN:  # as shells start jobs in the background
        again = signal.default_int_handler

    def stop(number: int, frame: FrameType | None) -> None:
        if stopped.number is None:
            stopped.number = number
        stopped.set()
        signal.signal(signal.SIGINT, again)
        write_to_terminal(f"\n{promise}; press Ctrl-C again to stop at once.\n")

    with _handled_by(stop):
        yield stopped


@contextmanager
def ending() -> Iterator[None]:
    """Let SIGINT, SIGTERM, SIGHUP and SIGUSR1 raise `EndedBySignal` inside the block, so that open blocks clean up.

    After the first signal SIGTERM, SIGHUP and SIGUSR1 are ignored. Another Ctrl-C interrupts the cleaning, too.
    """

    def end(number: int, frame: FrameType | None) -> None:
        for other in _numbers():
            if other != signal.SIGINT:
                signal.signal(other, signal.SIG_IGN)
        raise EndedBySignal(number)

    with _handled_by(end):
        yield


def write_to_terminal(text: str) -> None:
    """Write to the terminal from inside a signal handler, which must not call `print`: it may have interrupted one.

    Args:
        text: Text with its line ends.
    """
    with contextlib.suppress(OSError):
        os.write(2, text.encode())


def _numbers() -> list[int]:
    return [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]


@contextmanager
def _handled_by(handler: _Handler) -> Iterator[None]:
    """Send the signals to a handler inside the block. SIGHUP stays ignored under `nohup`."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, _Handler | int | None] = {}
    hangup = getattr(signal, "SIGHUP", None)
    for number in _numbers():
        if number != hangup or signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, signal.SIG_DFL if former is None else former)  # None: set outside of Python
