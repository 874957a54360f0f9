"""Writing H.264 video files from a stream of frames."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from stylegan_v_ext.data.ffmpeg import FfmpegError, read_log, start_ffmpeg, telling_line
from stylegan_v_ext.files import atomic_path


def write_mp4(path: str | Path, frames: Iterable[np.ndarray], fps: float, crf: int = 17) -> int:
    """Encode frames uint8 `[H, W, 3]` (even sizes) as they come; returns how many there were.

    The file appears under its name when it is complete. fps: frames a second of playback. crf:
    quality, lower is better. Raises `FfmpegError` where ffmpeg is missing or fails, `OSError` where
    the path cannot be written.
    """
    with atomic_path(path) as temporary, tempfile.TemporaryFile() as log:
        process: subprocess.Popen | None = None
        count = 0
        try:
            for frame in frames:
                if process is None:
                    process = _start_encoder(temporary, frame.shape[1], frame.shape[0], fps, crf, log)
                process.stdin.write(np.ascontiguousarray(frame).data)
                count += 1
            if process is None:
                raise ValueError(f"no frames for {path}")
            process.stdin.close()
            failed = process.wait() != 0
        except BrokenPipeError:
            failed = True  # ffmpeg gave up; its log says why
        finally:
            if process is not None:
                _end(process)
        if failed:
            raise FfmpegError(f"{path} could not be encoded ({telling_line(read_log(log))})")
    return count


def _end(process: subprocess.Popen) -> None:
    """Make sure that a process and our end of its pipe are gone."""
    process.kill()
    process.wait()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def _start_encoder(path: Path, width: int, height: int, fps: float, crf: int, log) -> subprocess.Popen:  # noqa: ANN001
    return start_ffmpeg(
        ["-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "-",
         "-c:v", "libx264", "-crf", str(crf), "-preset", "medium", "-pix_fmt", "yuv420p",
         "-movflags", "+faststart", "-f", "mp4", str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log,
    )  # fmt: skip
