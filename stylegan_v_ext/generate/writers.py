"""From a stream of frames to a file: H.264, H.265, VP9, GIF, animated WebP, folders of images, NumPy arrays."""

import contextlib
import math
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from stylegan_v_ext.data.ffmpeg import FfmpegError, read_log, start_ffmpeg, telling_line
from stylegan_v_ext.files import atomic_path
from stylegan_v_ext.outputs import CODECS, VIDEO_FORMATS, format_of

IMAGE_FORMATS = ("png", "jpg")
DEFAULT_QUALITY = 90
_MILLISECONDS = ("webm", "mkv", "webp")  # formats that count time in them, so that faster frames would coincide
FASTEST = 1_000_000.0  # frames a second that ffmpeg takes
SLOWEST = 0.001
FASTEST_GIF = 50  # frames a second; the format counts hundredths of a second, and players slow down single ones


def write_video(
    path: str | Path, frames: Iterable[np.ndarray], fps: float, codec: str | None = None, quality: int = DEFAULT_QUALITY
) -> int:
    """Write frames uint8 `[H, W, 1, 3 or 4]` as they come; returns how many there were.

    The ending of path says the format: .mp4, .mov, .mkv, .webm, .gif, .webp or .npy (uint8 `[T, H, W, 3]`); a
    folder of frames is asked for as `folder.png` or `folder.jpg` and named without the ending.
    Grey frames become RGB, alpha is left out, and odd sides grow by a pixel if a codec wants even ones. Videos are
    BT.709, and say so in the stream and in the container.

    The result appears under its name when it is complete.

    Args:
        fps: Frames a second.
        codec: One of `outputs.CODECS` of the format; None for the first of them.
        quality: 1 to 100, for all formats that lose some.

    Raises:
        ValueError: For an unknown format, a codec or a rate that does not go into it, `FfmpegError` if ffmpeg is
            missing or fails, `OSError` if nothing can be written.
    """
    path = Path(path)
    format = check_format(path, codec, fps)
    rgb = _rgb(frames)
    if format in IMAGE_FORMATS:
        return _write_folder(path.with_suffix(""), rgb, format, quality)
    with atomic_path(path) as temporary:
        if format == "npy":
            count = _write_array(temporary, rgb)
        else:
            count = _encode(path, temporary, rgb, fps, _encoder(format, codec, quality, fps))
        if not count:
            raise ValueError(f"no frames for {path}")
    return count


def check_format(path: str | Path, codec: str | None = None, fps: float = 25.0) -> str:
    """The format that a name asks for.

    Raises `ValueError` if the name asks for another one, or if the codec or the rate does not go into the format.
    """
    format = format_of(path, VIDEO_FORMATS)
    if format is None:
        raise ValueError(f"{path} has the ending of no format; use .{', .'.join(VIDEO_FORMATS)}")
    fitting = CODECS.get(format, ())
    if codec is not None and codec not in fitting:
        remedy = f"use {' or '.join(fitting)}" if fitting else "leave the codec out"
        raise ValueError(f"codec {codec} does not go into .{format}; {remedy}")
    fastest = 1000.0 if format in _MILLISECONDS else FASTEST
    if not SLOWEST <= fps <= fastest or not math.isfinite(fps):
        raise ValueError(f"{fps:g} frames a second do not go into .{format}; use {SLOWEST:g} to {fastest:.0f}")
    return format


def _rgb(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for frame in frames:
        yield frame.repeat(3, axis=2) if frame.shape[2] == 1 else frame[:, :, :3]


def _encoder(format: str, codec: str | None, quality: int, fps: float) -> list[str]:
    """Ffmpeg's arguments for the output."""
    if format == "gif":  # a palette for each frame, so that no more than one is held
        rate = f"fps={FASTEST_GIF}," if fps > FASTEST_GIF else ""
        palette = f"{rate}split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1"
        return ["-filter_complex", palette, "-loop", "0", "-f", "gif"]
    if format == "webp":  # whose lossy form is BT.601 by definition
        coding = ["-lossless", "1", "-pix_fmt", "bgra"]
        if quality != 100:
            coding = ["-quality", str(quality), "-vf", _as_yuv("bt601"), "-pix_fmt", "yuv420p"]
        return ["-c:v", "libwebp_anim", *coding, "-loop", "0", "-f", "webp"]
    codec = codec or CODECS[format][0]
    crf = max(51 * (1 - quality / 100) ** 0.477, 1)  # 17 at 90, 26 at 75
    settings = {
        "h264": ["-c:v", "libx264", "-crf", f"{crf:.0f}", "-preset", "medium"],
        "h265": [
            "-c:v",
            "libx265",
            "-crf",
            f"{crf:.0f}",
            "-preset",
            "medium",
            "-tag:v",
            "hvc1",
            "-x265-params",
            "log-level=error",
        ],
        "vp9": ["-c:v", "libvpx-vp9", "-crf", f"{crf * 63 / 51:.0f}", "-b:v", "0", "-row-mt", "1"],
    }[codec]
    tags = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
    tagged = f"{_as_yuv('bt709')},setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
    container = {
        "mp4": ["-movflags", "+faststart", "-f", "mp4"],
        "mov": ["-movflags", "+faststart", "-f", "mov"],
        "mkv": ["-f", "matroska"],
        "webm": ["-f", "webm"],
    }[format]
    return ["-vf", tagged, *settings, "-pix_fmt", "yuv420p", *tags, *container]


def _as_yuv(matrix: str) -> str:
    """Ffmpeg's filter from RGB to 4:2:0, by the coefficients of a standard and without its coarse short cuts."""
    exact = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
    return f"scale=out_color_matrix={matrix}:out_range=tv:{exact},format=yuv420p"


def _encode(path: Path, temporary: Path, frames: Iterable[np.ndarray], fps: float, encoder: list[str]) -> int:
    """Pipe frames through ffmpeg into a temporary file; path is for messages."""
    even = "yuv420p" in encoder
    with tempfile.TemporaryFile() as log:
        process: subprocess.Popen | None = None
        count, failed = 0, False
        try:
            for frame in frames:
                frame = _even(frame) if even else frame
                if process is None:
                    process = start_ffmpeg(
                        [
                            "-y",
                            "-f",
                            "rawvideo",
                            "-pix_fmt",
                            "rgb24",
                            "-s",
                            f"{frame.shape[1]}x{frame.shape[0]}",
                            "-r",
                            str(fps),
                            "-i",
                            "pipe:0",
                            *encoder,
                            f"file:{temporary}",
                        ],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.DEVNULL,
                        stderr=log,
                    )
                process.stdin.write(np.ascontiguousarray(frame).data)
                count += 1
            if process is not None:
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


def _even(frame: np.ndarray) -> np.ndarray:
    """A frame of even sides; an odd one repeats its last row or column."""
    height, width = frame.shape[0] % 2, frame.shape[1] % 2
    return np.pad(frame, [(0, height), (0, width), (0, 0)], mode="edge") if height or width else frame


def _end(process: subprocess.Popen) -> None:
    """Make sure that a process and our end of its pipe are gone."""
    process.kill()
    process.wait()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def _write_array(path: Path, frames: Iterable[np.ndarray]) -> int:
    """NumPy file uint8 `[T, H, W, 3]`; the header, written first and last, has room for any T."""
    count = 0
    with open(path, "wb") as file:
        shape: tuple[int, ...] = ()
        for frame in frames:
            shape = frame.shape
            if count == 0:
                _write_header(file, (0, *shape))
            file.write(np.ascontiguousarray(frame).data)
            count += 1
        file.seek(0)
        _write_header(file, (count, *shape))
    return count


def _write_header(file, shape: tuple[int, ...]) -> None:  # noqa: ANN001
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _write_folder(folder: Path, frames: Iterable[np.ndarray], format: str, quality: int) -> int:
    """Frames as 000000.png, 000001.png, ...; the folder appears when it is complete."""
    if folder.exists():
        raise ValueError(f"{folder} exists already; name another folder or delete it first")
    count = 0
    with atomic_path(folder, folder=True) as temporary:
        for frame in frames:
            options: dict[str, Any] = {"quality": quality} if format == "jpg" else {"compress_level": 4}
            PIL.Image.fromarray(np.ascontiguousarray(frame)).save(temporary / f"{count:06d}.{format}", **options)
            count += 1
        if not count:
            raise ValueError(f"no frames for {folder}")
    return count


def write_png(path: str | Path, image: np.ndarray) -> None:
    """Image uint8 `[H, W, 3]` as a PNG file."""
    with atomic_path(path) as temporary:
        PIL.Image.fromarray(image).save(temporary, format="PNG")
