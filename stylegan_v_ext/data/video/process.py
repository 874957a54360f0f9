"""Starting the processes that decode videos: a server forks them, or each file gets a new interpreter."""

import atexit
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, BinaryIO, Protocol, cast

from stylegan_v_ext.data.video.protocol import JOB, STATUS, Settings

DECODER = Path(__file__).with_name("decoder.py")
_PIPE = 2**20  # size of a pipe in bytes
CAN_FORK = sys.platform == "linux"  # on macOS a fork is not safe once FFmpeg's libraries are loaded


class Decoding(Protocol):
    """A process that decodes one file.

    Attributes:
        records: The pipe from which the records of the process are read.
    """

    records: BinaryIO

    def wait(self) -> int:
        """Wait for the end of the process; return its exit status, or minus the number of the signal that ended it."""
        ...

    def stop(self) -> None:
        """Kill the process if it still runs, and close its pipe."""
        ...


class NotStarted(OSError):
    """No file can be decoded, because the process does not start; the message says why."""


def start_decoding(file: BinaryIO, settings: Settings) -> Decoding:
    """Start a process that decodes a file.

    Args:
        file: The file, open for reading, at its beginning.
        settings: How to decode.

    Raises:
        NotStarted: If the program of the process cannot run.
        OSError: If the system cannot start another process.
    """
    text = json.dumps(settings)
    return _Forked(file, text) if CAN_FORK else _Spawned(file, text)


class _Spawned:
    """A process that imports all modules, and decodes one file."""

    def __init__(self, file: BinaryIO, settings: str) -> None:
        self._process = subprocess.Popen(
            [*_command(), settings],
            start_new_session=True,
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )
        self.records = cast(BinaryIO, self._process.stdout)

    def wait(self) -> int:
        """Return the exit status."""
        return self._process.wait()

    def stop(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait()
        self.records.close()


class _Forked:
    """A process that the server forks."""

    def __init__(self, file: BinaryIO, settings: str) -> None:
        self._control, control = socket.socketpair()
        reading, writing = _wide_pipe()
        self.records: BinaryIO = os.fdopen(reading, "rb")
        try:
            descriptors = [file.fileno(), writing, control.fileno()]
            try:
                _Server.current().start(settings.encode(), descriptors)
            except OSError:  # the server was killed; a new server reports its own errors
                _Server.current().start(settings.encode(), descriptors)
        except BaseException:
            self.stop()
            raise
        finally:
            os.close(writing)
            control.close()

    def wait(self) -> int:
        """Return the exit status."""
        data = self._control.recv(STATUS.size)
        return STATUS.unpack(data)[0] if len(data) == STATUS.size else 1

    def stop(self) -> None:
        """Kill the process."""
        self._control.close()  # then the server kills the process
        self.records.close()


def _wide_pipe() -> tuple[int, int]:
    """Return (reading end, writing end) of a pipe that holds several frames, so that both sides seldom wait."""
    reading, writing = os.pipe()
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # the system does not allow this size
            import fcntl

            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE)
    return reading, writing


class _Server:
    """The server: each process that reads videos has one, which ends with it."""

    _lock = threading.Lock()
    _running: "_Server | None" = None

    def __init__(self) -> None:
        self.program = DECODER
        self._line, end = socket.socketpair()
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115, it lives as long as the server
        # In a session of its own, so that Ctrl-C reaches this process alone.
        self._process = subprocess.Popen(
            [*_command(), "--serve"],
            start_new_session=True,
            stdin=end.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            env=_environment(),
        )
        end.close()

    @classmethod
    def current(cls) -> "_Server":
        """Return the server that runs, or start a new server."""
        with cls._lock:
            if cls._running is not None and (
                cls._running.program != DECODER or cls._running._process.poll() is not None
            ):
                cls._running._close()
                cls._running = None
            if cls._running is None:
                cls._running = cls()
            return cls._running

    def start(self, settings: bytes, descriptors: list[int]) -> None:
        """Let the server start a process. Raises `NotStarted` if the server does not answer."""
        with self._lock, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self._line, [JOB.pack(len(settings))], descriptors)
            self._line.sendall(settings)
            if self._line.recv(1):
                return
        self._process.wait()
        raise NotStarted(self._last_words())

    def _last_words(self) -> str:
        """Return the last line that the server has printed."""
        size = os.fstat(self._log.fileno()).st_size
        lines = os.pread(self._log.fileno(), 4096, max(size - 4096, 0)).decode("utf-8", "replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it gave no reason")

    def _close(self) -> None:
        self._line.close()
        self._log.close()
        self._process.wait()

    @classmethod
    def end(cls) -> None:
        """End the server and all processes that it forked."""
        with cls._lock:
            if cls._running is not None:
                cls._running._close()
                cls._running = None

    @classmethod
    def forget(cls) -> None:
        """Leave the server to the parent process; called in the child after a fork."""
        cls._lock = threading.Lock()
        if cls._running is not None:
            cls._running._line.close()
            cls._running._log.close()
            cls._running._process.returncode = 0  # it is no child of this process
            cls._running = None


atexit.register(_Server.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Server.forget)


def _command() -> list[str]:
    return [sys.executable, "-P", str(DECODER)]


def _environment() -> dict[str, str]:
    return os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
