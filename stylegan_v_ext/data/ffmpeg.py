"""Reading video files frame by frame, and starting the program ffmpeg, which writes videos."""

import contextlib
import dataclasses
import importlib.util
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Generator, Iterator
from typing import IO, BinaryIO

import numpy as np

from stylegan_v_ext.data.geometry import Geometry
from stylegan_v_ext.data.limits import MOST_FRAMES, MOST_PIXELS
from stylegan_v_ext.data.video.process import NotStarted, start_decoding
from stylegan_v_ext.data.video.protocol import LENGTH, Settings
from stylegan_v_ext.documents import parse_json
from stylegan_v_ext.text import printable

MOST_BYTES = 4 * 2**30  # bytes of memory that decoding one video may take
MOST_SECONDS = 120.0  # seconds of processor time that decoding one frame may take
_LONGEST_RECORD = 100_000  # bytes of an object that the decoder sends
_LONGEST_REASON = 300  # characters
_LONGEST_LOG = 1_000_000  # bytes at the end of a log that are read


class FfmpegError(ValueError):
    """A video cannot be read or written; the message is printable text that names the file and the reason."""

    def __init__(self, message: object) -> None:
        super().__init__(printable(message))


class _Untrusted(Exception):
    """The process that decodes has sent what the decoder never sends: a file may have taken it over."""


class DecoderMissing(ValueError):
    """PyAV, the library that decodes videos, is not installed or does not start."""


_Stream = int | IO[bytes] | None


def start_ffmpeg(
    arguments: list[str],
    *,
    stdin: _Stream = None,
    stdout: _Stream = None,
    stderr: _Stream = None,
    text: bool = False,
) -> subprocess.Popen:
    """Start the program ffmpeg.

    Args:
        arguments: Its command line, without the program's name.
        stdin: As for `subprocess.Popen`.
        stdout: As for `subprocess.Popen`.
        stderr: As for `subprocess.Popen`.
        text: Whether pipes carry text instead of bytes.

    Raises:
        FfmpegError: If the program is not found.
    """
    import imageio_ffmpeg

    try:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostats", *arguments]
        # In a session of its own, so that Ctrl-C reaches this process alone.
        return subprocess.Popen(command, start_new_session=True, stdin=stdin, stdout=stdout, stderr=stderr, text=text)
    except (RuntimeError, OSError):
        raise FfmpegError(
            "ffmpeg was not found; install it with `pip install imageio-ffmpeg` or set IMAGEIO_FFMPEG_EXE to its path"
        ) from None


class VideoReader:
    """Iterates over the frames of a video file: uint8 `[H, W, 3]`, upright RGB with square pixels.

    A process of its own decodes the file, within limits of memory and time.

    Args:
        path: The file. No other file is opened, even if it names one.
        geometry: Form of the frames; None keeps the size at which the video is shown.
        fps: Rate to resample the video to, in frames a second; None gives each of its frames once, at any times.

    Attributes:
        size: (width, height) of the frames in pixels; None if unknown.
        fps: Rate of the frames that come out, in frames a second; None if unknown. Preliminary until the last frame.
        duration: Length of the video in seconds; None if unknown. Preliminary until the last frame.
        notes: Clauses about everything that is unusual in the file, and what was done about it. Complete after the
            last frame.
        damage: Why the rest of the file is not used; empty for a sound file. Known after the last frame.

    Raises:
        FfmpegError: During iteration, if no frame can be read.
        DecoderMissing: During iteration, if PyAV is not installed or does not start.
    """

    def __init__(self, path: str, geometry: Geometry | None = None, fps: float | None = None) -> None:
        self.path, self.geometry = path, geometry
        self.resampled_fps = fps
        self.size: tuple[int, int] | None = (geometry.side, geometry.side) if geometry else None
        self.fps: float | None = None
        self.duration: float | None = None
        self.damage = ""
        self.notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[np.ndarray]:
        if importlib.util.find_spec("av") is None:
            raise DecoderMissing("PyAV, which decodes videos, was not found; install it with `pip install av`")
        count = 0
        for numpy in (False, True):
            again = False
            with contextlib.closing(self._frames_of_a_process(numpy=numpy)) as frames:
                for number, frame in enumerate(frames):
                    again = frame is None
                    if frame is not None and number >= count:
                        count += 1
                        yield frame
            if not again:
                break
        if count == 0:
            raise FfmpegError(f"{self.path} holds no readable video ({self.damage or 'it has no frames'})")

    def _frames_of_a_process(self, *, numpy: bool) -> Generator[np.ndarray | None, None, None]:
        """Yield the frames; a None at the end asks for a second process, one that imports NumPy first."""
        settings: Settings = {
            "geometry": dataclasses.asdict(self.geometry) if self.geometry else None,
            "fps": self.resampled_fps,
            "most_bytes": MOST_BYTES,
            "most_seconds": MOST_SECONDS,
            "numpy": numpy,
        }
        try:
            with _open_file(self.path) as file:
                process = start_decoding(file, settings)
        except NotStarted as error:
            raise DecoderMissing(
                f"the process that decodes videos cannot start ({printable(error, _LONGEST_REASON)}); install PyAV "
                "again with `pip install --force-reinstall av`"
            ) from None
        except OSError as error:
            raise FfmpegError(f"{self.path} holds no readable video ({error.strerror or error})") from None
        try:
            count = 0
            for record in self._records(process.records):
                if isinstance(record, np.ndarray):
                    count += 1
                    if count > MOST_FRAMES:
                        raise _Untrusted
                    yield record
                elif record == {"again": True} and not numpy:
                    yield None
                    return
                elif record.keys() == {"end"}:
                    self.damage = printable(_text(record["end"]), _LONGEST_REASON)
                    return
                else:
                    self._learn(record)
            self.damage = _cause(process.wait())
        except _Untrusted:
            self.damage = "the decoder failed"
        finally:
            process.stop()

    def _learn(self, facts: dict[str, object]) -> None:
        """Keep facts. Raises `_Untrusted` if the decoder never sends such facts, or if they change the size."""
        notes = facts.get("notes")
        if facts.keys() != {"fps", "duration", "size", "notes"} or not isinstance(notes, list):
            raise _Untrusted
        if self.size is None:
            self.size = _size(facts["size"])
        if facts["size"] != list(self.size):
            raise _Untrusted
        self.fps, self.duration = _number(facts["fps"]), _number(facts["duration"])
        self.notes = tuple(printable(_text(note), _LONGEST_REASON) for note in notes)

    def _records(self, pipe: BinaryIO) -> Iterator[np.ndarray | dict[str, object]]:
        """Read frames and objects until the decoder ends. Raises `_Untrusted` for anything else."""
        while kind := pipe.read(1):
            if kind == b"f" and self.size is not None:
                width, height = self.size
                length = 3 * width * height
            elif kind == b"j":
                head = pipe.read(LENGTH.size)
                if len(head) < LENGTH.size:
                    return
                (length,) = LENGTH.unpack(head)
                if length > _LONGEST_RECORD:
                    raise _Untrusted
            else:
                raise _Untrusted
            data = pipe.read(length)
            if len(data) < length:
                return
            yield np.frombuffer(data, dtype=np.uint8).reshape(height, width, 3) if kind == b"f" else _record(data)


def _open_file(path: str) -> BinaryIO:
    """Open a file without blocking. Raises `OSError` if it does not exist, or if it is a folder, a pipe or a device."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        os.close(descriptor)
        raise OSError("it is a folder" if is_folder else "it is not a file")
    return open(descriptor, "rb", buffering=0)


def _record(data: bytes) -> dict[str, object]:
    """Read an object. Raises `_Untrusted` if the bytes hold something else."""
    try:
        record = parse_json(data)
    except ValueError:
        raise _Untrusted from None
    if not isinstance(record, dict):
        raise _Untrusted
    return record


def _size(value: object) -> tuple[int, int]:
    """Check the (width, height) of a record. Raises `_Untrusted` if no frame has this size."""
    if not isinstance(value, list) or [type(side) for side in value] != [int, int]:
        raise _Untrusted
    width, height = value
    if min(width, height) < 1 or width * height > MOST_PIXELS:
        raise _Untrusted
    return width, height


def _number(value: object) -> float | None:
    """Check a positive number of a record, or None. Raises `_Untrusted` for anything else."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= sys.float_info.max:
        raise _Untrusted
    return float(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Untrusted
    return value


def _cause(code: int) -> str:
    """Return a clause that says why the decoder ended without an "end" record.

    Args:
        code: Its exit status; minus the number of the signal if a signal ended it.
    """
    if code == -getattr(signal, "SIGPROF", 0):
        return f"a frame takes more than {MOST_SECONDS:g} seconds of processor time"
    return f"the decoder failed with signal {-code}" if code < 0 else f"the decoder failed with status {code}"


def read_log(log: IO[bytes]) -> str:
    """Return the end of a log that a process still writes; the position in the file, which both share, stays."""
    size = os.fstat(log.fileno()).st_size
    start = max(size - _LONGEST_LOG, 0)
    return os.pread(log.fileno(), size - start, start).decode("utf-8", "replace")


def telling_line(messages: str) -> str:
    """Return the line of ffmpeg's messages that says what went wrong, as printable text."""
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"(?i)error|invalid|not found|no such|denied|read-only", line)]
    return printable((telling or lines or ["ffmpeg gave no reason"])[-1], _LONGEST_REASON)
