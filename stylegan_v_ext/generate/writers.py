"""From a stream of frames to a file: H.264, H.265, VP9, GIF, animated WebP, folders of images, NumPy arrays."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
import PIL.Image

from stylegan_v_ext.arguments import number, whole
from stylegan_v_ext.data.ffmpeg import FfmpegError, read_log, start_ffmpeg, telling_line
from stylegan_v_ext.files import atomic_path
from stylegan_v_ext.generate.formats import DEFAULT_QUALITY, FASTEST_GIF, IMAGE_FORMATS, check_format
from stylegan_v_ext.outputs import CODECS


def write_video(
    path: str | Path, frames: Iterable[np.ndarray], fps: float, codec: str | None = None, quality: int = DEFAULT_QUALITY
) -> int:
    """Write frames as they come. The result appears under its name when it is complete.

    Grey frames become RGB, alpha is left out, and odd sides grow by a pixel if a codec wants even sides. Videos are
    BT.709, and say so in the stream and in the container.

    Args:
        path: Its ending says the format: .mp4, .mov, .mkv, .webm, .gif, .webp or .npy (uint8 `[T, H, W, 3]`). For a
            folder of frames it is `folder.png` or `folder.jpg`; the folder is named without the ending.
        frames: Pictures uint8 `[H, W, C]` of one size, C = 1, 3 or 4.
        fps: Frames a second.
        codec: One of `outputs.CODECS` of the format; None for the first of them.
        quality: 1 to 100, for formats that lose some.

    Returns:
        How many frames there were.

    Raises:
        ValueError: If the ending is of no format, if the codec, the quality or the rate does not go into the format,
            or if there are no frames.
        FfmpegError: If ffmpeg is missing or fails.
        OSError: If the file cannot be written.
    """
    path, quality = Path(path), whole("quality", quality, low=1, high=100)
    if not isinstance(fps, int | float):
        fps = number("fps", fps)
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


def _rgb(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for frame in frames:
        yield frame.repeat(3, axis=2) if frame.shape[2] == 1 else frame[:, :, :3]


def _encoder(format: str, codec: str | None, quality: int, fps: float) -> list[str]:
    """Return ffmpeg's arguments for the output."""
    if format == "gif":  # a palette for each frame, so that no more than one frame is held
        rate = f"fps={FASTEST_GIF}," if fps > FASTEST_GIF else ""
        palette = f"{rate}split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1"
        return ["-filter_complex", palette, "-loop", "0", "-f", "gif"]
    if format == "webp":  # lossy WebP is BT.601 by definition
        coding = ["-lossless", "1", "-pix_fmt", "bgra"]
        if quality != 100:
            coding = ["-quality", str(quality), "-vf", _as_yuv("bt601"), "-pix_fmt", "yuv420p"]
        return ["-c:v", "libwebp_anim", *coding, "-loop", "0", "-f", "webp"]
    codec = codec or CODECS[format][0]
    crf = max(51 * (1 - quality / 100) ** 0.477, 1)  # 17 at 90, 26 at 75
    settings = {
        "h264": f"-c:v libx264 -crf {crf:.0f} -preset medium",
        "h265": f"-c:v libx265 -crf {crf:.0f} -preset medium -tag:v hvc1 -x265-params log-level=error",
        "vp9": f"-c:v libvpx-vp9 -crf {crf * 63 / 51:.0f} -b:v 0 -row-mt 1",
    }[codec].split()
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
    """Return ffmpeg's filter from RGB to 4:2:0, by the coefficients of a standard and without coarse short cuts."""
    exact = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
    return f"scale=out_color_matrix={matrix}:out_range=tv:{exact},format=yuv420p"


def _encode(path: Path, temporary: Path, frames: Iterable[np.ndarray], fps: float, encoder: list[str]) -> int:
    """Pipe frames through ffmpeg into a temporary file; return how many there were. Messages name `path`."""
    even = "yuv420p" in encoder
    with tempfile.TemporaryFile() as log:
        process: subprocess.Popen | None = None
        count, failed = 0, False
        try:
            for frame in frames:
                frame = _even(frame) if even else frame
                if process is None:
                    source = f"-f rawvideo -pix_fmt rgb24 -s {frame.shape[1]}x{frame.shape[0]} -r {fps} -i pipe:0"
                    words = ["-y", *source.split(), *encoder, f"file:{temporary}"]
                    process = start_ffmpeg(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log)
                _pipe_to(process).write(np.ascontiguousarray(frame).data)
                count += 1
            if process is not None:
                _pipe_to(process).close()
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
    """Return a frame of even sides; a frame with odd sides repeats its last row or column."""
    height, width = frame.shape[0] % 2, frame.shape[1] % 2
    return np.pad(frame, [(0, height), (0, width), (0, 0)], mode="edge") if height or width else frame


def _pipe_to(process: subprocess.Popen) -> IO[bytes]:
    assert process.stdin is not None, "the process was started without a pipe"
    return process.stdin


def _end(process: subprocess.Popen) -> None:
    """End a process, and close our end of its pipe."""
    process.kill()
    process.wait()
    with contextlib.suppress(BrokenPipeError):
        _pipe_to(process).close()


def _write_array(path: Path, frames: Iterable[np.ndarray]) -> int:
    """Write a NumPy file uint8 `[T, H, W, 3]`. The header is written first and last, and has room for any T."""
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


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _write_folder(folder: Path, frames: Iterable[np.ndarray], format: str, quality: int) -> int:
    """Write frames as 000000.png, 000001.png, ...; the folder appears when it is complete."""
    if folder.exists():
        raise ValueError(f"{folder} exists already; name another folder or delete it first")
    count = 0
    with atomic_path(folder, folder=True) as temporary:
        for frame in frames:
            image, name = PIL.Image.fromarray(np.ascontiguousarray(frame)), temporary / f"{count:06d}.{format}"
            if format == "jpg":
                image.save(name, quality=quality)
            else:
                image.save(name, compress_level=4)
            count += 1
        if not count:
            raise ValueError(f"no frames for {folder}")
    return count


def write_png(path: str | Path, image: np.ndarray) -> None:
    """Write a picture as a PNG file.

    Args:
        path: Name of the file.
        image: Picture uint8 `[H, W, 3]`.

    Raises:
        OSError: If the file cannot be written.
    """
    with atomic_path(path) as temporary:
        PIL.Image.fromarray(image).save(temporary, format="PNG")
