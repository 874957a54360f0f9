"""Starting ffmpeg, understanding what it says, and reading video files a frame at a time."""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

VIDEO_SUFFIXES = (".mp4", ".mov", ".webm", ".gif", ".avi", ".mkv", ".m4v")


class FfmpegError(ValueError):
    """ffmpeg is missing or could not read or write a file; the message says which and why."""


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

    filters: ffmpeg filters that end in frames of `width` x `height`. After the first frame `fps`
    (of the frames that come out) and `duration` (seconds) are known, `None` where the file does not
    say. Raises `FfmpegError` if no frame can be read; `damaged` says whether it broke off later.
    """

    def __init__(self, path: str, width: int, height: int, filters: str):
        self.path, self.width, self.height = path, width, height
        self.filters = filters
        self.fps: float | None = None
        self.duration: float | None = None
        self.damaged = False

    def __iter__(self) -> Iterator[np.ndarray]:
        size = self.width * self.height * 3
        with tempfile.TemporaryFile() as log:
            process = start_ffmpeg(
                ["-i", f"file:{self.path}", "-an", "-sn", "-dn", "-vf", self.filters,
                 "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
                stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            try:
                count = 0
                while len(data := process.stdout.read(size)) == size:
                    if count == 0:
                        self._parse(read_log(log))
                    count += 1
                    yield np.frombuffer(data, dtype=np.uint8).reshape(self.height, self.width, 3)
                failed = process.wait() != 0
                messages = read_log(log)
                if count == 0:
                    raise FfmpegError(f"{self.path} holds no readable video ({telling_line(messages)})")
                self.damaged = failed or bool(re.search(r"error while decoding|Invalid data|partial file", messages))
            finally:
                process.kill()
                process.wait()
                process.stdout.close()

    def _parse(self, messages: str) -> None:
        # What follows "Output #0" is the stream after the filters.
        fps = re.search(r"Video:.*?([\d.]+) fps", messages.partition("Output #0")[2])
        self.fps = float(fps[1]) if fps else None
        duration = re.search(r"Duration: (\d+):(\d+):([\d.]+)", messages)
        self.duration = int(duration[1]) * 3600 + int(duration[2]) * 60 + float(duration[3]) if duration else None


def read_log(log: IO[bytes]) -> str:
    """What a process has written to its log so far; the file position, which it shares, stays."""
    size = os.fstat(log.fileno()).st_size
    return os.pread(log.fileno(), size, 0).decode("utf-8", "replace")


def telling_line(messages: str) -> str:
    """The line of ffmpeg's messages that says what went wrong."""
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"(?i)error|invalid|not found|no such|denied|read-only", line)]
    return (telling or lines or ["ffmpeg gave no reason"])[-1]
