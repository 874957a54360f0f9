"""Start the processes that decode videos: a server forks them, or a new interpreter is started for each file."""

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
from typing import IO, Any, BinaryIO, Protocol

from stylegan_v_ext.data.video.protocol import JOB, STATUS

DECODER = Path(__file__).with_name("decoder.py")
_PIPE = 2**20  # bytes
CAN_FORK = sys.platform == "linux"  # on macOS a fork is not safe once FFmpeg's libraries are loaded


class Decoding(Protocol):
    """A process that decodes one file; `records` is what it writes."""

    records: BinaryIO

    def wait(self) -> int:
        """The exit status, minus the number of the signal that ended the process."""
        ...

    def stop(self) -> None:
        """Kill the process if it still runs, and close what belongs to it."""
        ...


class NotStarted(OSError):
    """No process can decode, whatever the file; the text says why."""


def start_decoding(file: BinaryIO, settings: dict[str, Any]) -> Decoding:
    """Decode an open file in a process of its own. Raises `NotStarted`, and `OSError` if the system has no room."""
    text = json.dumps(settings)
    return _Forked(file, text) if CAN_FORK else _Spawned(file, text)


class _Spawned:
    """A process that imports everything for its one file."""

    def __init__(self, file: BinaryIO, settings: str) -> None:
        self._process = subprocess.Popen(
            [*_command(), settings],
            start_new_session=True,
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )
        assert self._process.stdout is not None
        self.records: Any = self._process.stdout

    def wait(self) -> int:
        return self._process.wait()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self.records.close()


class _Forked:
    """A process that the server of this process forks."""

    def __init__(self, file: BinaryIO, settings: str) -> None:
        self._control, control = socket.socketpair()
        reading, writing = _wide_pipe()
        self.records: Any = os.fdopen(reading, "rb")
        try:
            descriptors = [file.fileno(), writing, control.fileno()]
            try:
                _Server.current().start(settings.encode(), descriptors)
            except OSError:  # the server was killed; a new server reports its own error
                _Server.current().start(settings.encode(), descriptors)
        except BaseException:
            self.stop()
            raise
        finally:
            os.close(writing)
            control.close()

    def wait(self) -> int:
        data = self._control.recv(STATUS.size)
        return STATUS.unpack(data)[0] if len(data) == STATUS.size else 1

    def stop(self) -> None:
        self._control.close()  # which makes the server kill the process
        self.records.close()


def _wide_pipe() -> tuple[int, int]:
    """(reading end, writing end) of a pipe that holds several frames, so that both sides seldom wait."""
    reading, writing = os.pipe()
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # the system allows less
            import fcntl

            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE)
    return reading, writing


class _Server:
    """The server: one for each process that reads videos. It ends with that process."""

    _lock = threading.Lock()
    _running: "_Server | None" = None

    def __init__(self) -> None:
        self.program = DECODER
        self._line, end = socket.socketpair()
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115, it lives as long as the server
        # Its own session: a Ctrl-C is ours to handle, not its.
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
        """The server that runs, or a new one."""
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
        """Start a process. Raises `NotStarted` if the server does not answer."""
        with self._lock, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self._line, [JOB.pack(len(settings))], descriptors)
            self._line.sendall(settings)
            if self._line.recv(1):
                return
        self._process.wait()
        raise NotStarted(self._last_words())

    def _last_words(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        lines = os.pread(self._log.fileno(), 4096, max(size - 4096, 0)).decode("utf-8", "replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it gave no reason")

    def _close(self) -> None:
        self._line.close()
        self._log.close()
        self._process.wait()

    @classmethod
    def end(cls) -> None:
        """End the server, and with it all processes that decode."""
        with cls._lock:
            if cls._running is not None:
                cls._running._close()
                cls._running = None

    @classmethod
    def forget(cls) -> None:
        """After a fork, in the child: leave the server to the parent."""
        cls._lock = threading.Lock()
        if cls._running is not None:
            cls._running._line.close()
            cls._running._log.close()
            cls._running._process.returncode = 0  # not a child of this process
            cls._running = None


atexit.register(_Server.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Server.forget)


def _command() -> list[str]:
    return [sys.executable, "-P", str(DECODER)]


def _environment() -> dict[str, str]:
    return os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
