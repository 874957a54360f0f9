"""Starting ffmpeg, which writes videos, and reading video files a frame at a time."""

import importlib.util
import json
import math
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from stylegan_v_ext.data.geometry import Geometry
from stylegan_v_ext.documents import parse_json
from stylegan_v_ext.text import printable

VIDEO_SUFFIXES = (".mp4", ".mov", ".webm", ".gif", ".avi", ".mkv", ".m4v")
MOST_BYTES = 4 * 2**30  # of memory that decoding one video may take
MOST_SECONDS = 120.0  # of processor time for one frame
_DECODER = Path(__file__).with_name("decoder.py")
_LENGTH = struct.Struct("<I")
_LONGEST_RECORD = 100_000  # bytes
_LONGEST_REASON = 300  # characters
_LONGEST_LOG = 1_000_000  # bytes of messages that are looked at, from the end


class FfmpegError(ValueError):
    """ffmpeg is missing or could not read or write a file; the message says which and why, in printable text."""

    def __init__(self, message: object):
        super().__init__(printable(message))


class DecoderMissing(ValueError):
    """The library that decodes videos is not installed."""


def start_ffmpeg(arguments: list[str], **pipes: Any) -> subprocess.Popen:
    """Start ffmpeg. Raises `FfmpegError` where there is none."""
    import imageio_ffmpeg

    try:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostats", *arguments]
        # Its own session: a Ctrl-C is ours to handle, not ffmpeg's.
        return subprocess.Popen(command, start_new_session=True, **pipes)
    except (RuntimeError, OSError):
        raise FfmpegError(
            "ffmpeg was not found; install it with `pip install imageio-ffmpeg` or set IMAGEIO_FFMPEG_EXE to its path"
        ) from None


class VideoReader:
    """Iterates over the frames of a video file, uint8 `[height, width, 3]`, after a filter chain.

    path: the file; it is the only one that is opened, whatever it refers to.
    geometry: form of the frames; None keeps the size that the video has.
    fps: rate to resample the video to, in frames a second; None keeps its frames as they are.

    A process of its own decodes the file, within limits of memory and time. After the first frame the attributes
    `fps` (of the frames that come out) and `duration` (seconds) hold what the file says, None if it says nothing.
    After the last frame `damage` says why the rest of the file is not used; it is empty for a sound file. Raises
    `FfmpegError` if no frame can be read, `DecoderMissing` if PyAV is not installed.
    """

    def __init__(self, path: str, geometry: Geometry | None = None, fps: float | None = None):
        self.path, self.geometry = path, geometry
        self.resampled_fps = fps
        self.size: tuple[int, int] | None = (geometry.side, geometry.side) if geometry else None
        self.fps: float | None = None
        self.duration: float | None = None
        self.damage = ""

    def __iter__(self) -> Iterator[np.ndarray]:
        count = 0
        with tempfile.TemporaryFile() as log:
            process = self._start(log)
            try:
                for record in self._records(process.stdout):
                    if isinstance(record, np.ndarray):
                        count += 1
                        yield record
                    elif "end" in record:
                        self.damage = str(record["end"])
                        break
                    else:
                        self.fps, self.duration = _number(record.get("fps")), _number(record.get("duration"))
                        self.size = self.size or _size(record.get("size"))
                else:
                    self.damage = _cause(process.wait(), log)
            finally:
                process.kill()
                process.wait()
                process.stdout.close()
        if count == 0:
            raise FfmpegError(f"{self.path} holds no readable video ({self.damage or 'it has no frames'})")

    def _start(self, log: IO[bytes]) -> subprocess.Popen:
        if importlib.util.find_spec("av") is None:
            raise DecoderMissing("PyAV, which decodes videos, was not found; install it with `pip install av`")
        settings = {
            "path": os.path.abspath(self.path), "fps": self.resampled_fps, "filters": _filters(self.geometry),
            "most_bytes": MOST_BYTES, "most_seconds": MOST_SECONDS,
        }  # fmt: skip
        return subprocess.Popen(
            [sys.executable, "-P", str(_DECODER), json.dumps(settings)], start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip

    def _records(self, pipe: Any) -> Iterator[np.ndarray | dict]:
        """What the decoder writes, until it ends or writes something else."""
        while kind := pipe.read(1):
            width, height = self.size or (0, 0)
            length = 3 * width * height
            if kind != b"f":
                length = min(_LENGTH.unpack(pipe.read(4).ljust(4, b"\0"))[0], _LONGEST_RECORD)
            data = pipe.read(length)
            if len(data) != length:
                return
            if kind == b"f":
                yield np.frombuffer(data, dtype=np.uint8).reshape(height, width, 3)
                continue
            try:
                record = parse_json(data)
            except ValueError:
                return
            if not isinstance(record, dict):
                return
            yield record


def _size(value: object) -> tuple[int, int] | None:
    return (value[0], value[1]) if isinstance(value, list) and len(value) == 2 else None


def _filters(geometry: Geometry | None) -> str:
    if geometry is None:
        return "null"
    width, height = geometry.size
    shape = {
        "center-crop": f"crop=w='min(iw,ih)':h='min(iw,ih)',scale={width}:{width}:flags=lanczos",
        "center-crop-wide": (
            f"crop=w='min(iw,ih*{width}/{height})':h='min(ih,iw*{height}/{width})',"
            f"scale={width}:{height}:flags=lanczos,pad={width}:{width}:0:(oh-ih)/2"
        ),
        "fit": (
            f"scale={width}:{width}:force_original_aspect_ratio=decrease:flags=lanczos,"
            f"pad={width}:{width}:(ow-iw)/2:(oh-ih)/2"
        ),
    }[geometry.transform]
    return f"{shape},setsar=1"


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and 0 < value < math.inf else None


def _cause(code: int, log: IO[bytes]) -> str:
    """Why a decoder ended before it said so. code: its exit code, minus the signal's number if a signal ended it."""
    if code >= 0:
        return f"the decoder failed: {telling_line(read_log(log))}"
    if code == -getattr(signal, "SIGPROF", 0):
        return f"a frame takes more than {MOST_SECONDS:g} seconds of processor time"
    return f"the decoder failed with signal {-code}"


def read_log(log: IO[bytes]) -> str:
    """The end of what a process has written to its log so far; the file position, which it shares, stays."""
    size = os.fstat(log.fileno()).st_size
    start = max(size - _LONGEST_LOG, 0)
    return os.pread(log.fileno(), size - start, start).decode("utf-8", "replace")


def telling_line(messages: str) -> str:
    """The line of ffmpeg's messages that says what went wrong; the messages may quote texts of files."""
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"(?i)error|invalid|not found|no such|denied|read-only", line)]
    return printable((telling or lines or ["ffmpeg gave no reason"])[-1], _LONGEST_REASON)
