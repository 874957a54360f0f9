"""Clips in files of NumPy: which arrays of a file are videos, and their frames, read one at a time.

Only the numbers of a file are read, never pickled objects. A frame at a time is in memory, however long the file is.
"""

import contextlib
import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.limits import MOST_FRAMES, MOST_PIXELS

ARRAY_SUFFIXES = (".npy", ".npz")
_CHANNELS = (1, 3, 4)
_CHUNK = 1 << 20  # numbers that are looked at together
_WANTED = "expected uint8 [T, H, W, C] or [N, T, H, W, C] with 1, 3 or 4 channels C"


@dataclass(frozen=True)
class ClipArray:
    """An array of one video, or of several videos of one length.

    member: its name in an .npz file; None in an .npy file.
    dtype: of its numbers.
    shape: T, then H, W, C or, with `channels_first`, C, H, W.
    count: how many videos; None for an array of four dimensions, which is one video.
    channels_first: whether the channels come before height and width.
    signed: whether the numbers reach from -1 to 1.
    """

    member: str | None
    dtype: np.dtype
    shape: tuple[int, ...]
    count: int | None
    channels_first: bool
    signed: bool

    @property
    def num_frames(self) -> int:
        """Frames of each video."""
        return self.shape[0]

    def frames(self, path: Path, number: int = 0) -> Iterator[np.ndarray]:
        """Frames of a video, uint8 `[H, W, C]`. Raises `DataError` with a clause if the file is cut off.

        path: the file.
        number: of the video, from 0.
        """
        with _opened(path, self.member) as file:
            _header(file)
            size = math.prod(self.shape[1:])
            file.seek(number * self.num_frames * size * self.dtype.itemsize, 1)
            for _ in range(self.num_frames):
                frame = _numbers(file, self.dtype, size).reshape(self.shape[1:])
                pixels = frame if frame.dtype == np.uint8 else _pixels(frame, self.signed)
                yield pixels.transpose(1, 2, 0) if self.channels_first else pixels


def clip_arrays(path: Path) -> tuple[list[ClipArray], list[str]]:
    """The arrays of a file that are videos, and a clause for every array that is not.

    path: an .npy or .npz file.
    Raises `DataError` with a clause if the file has no array that is a video.
    """
    if path.suffix.lower() == ".npy":
        return [_described(path, None)], []
    arrays, faults = [], []
    with _faults(), zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if name.endswith(".npy")]
    for member in members:
        try:
            arrays.append(_described(path, member))
        except DataError as error:
            faults.append(f"its array {member.removesuffix('.npy')} is left out, since {error}")
    if not arrays:
        raise DataError("; ".join(faults[:3]) or "it holds no arrays")
    return arrays, faults


def _described(path: Path, member: str | None) -> ClipArray:
    with _opened(path, member) as file:
        shape, fortran, dtype = _header(file)
        if dtype.hasobject or dtype.names is not None:
            raise DataError(f"it holds Python objects or records, not numbers; {_WANTED}")
        if dtype != np.uint8 and dtype.kind != "f":
            raise DataError(f"it holds {dtype} {list(shape)}; {_WANTED}, or float from 0 to 1, or from -1 to 1")
        count, video, first = _layout(shape)
        if fortran:
            raise DataError("its numbers lie in Fortran's order; save numpy.ascontiguousarray(array)")
        signed = dtype.kind == "f" and _reaches_below_zero(file, dtype, math.prod(shape))
    return ClipArray(member, dtype, video, count, first, signed)


def _layout(shape: tuple[int, ...]) -> tuple[int | None, tuple[int, ...], bool]:
    """(number of videos or None, shape of a video, whether channels come first). Raises `DataError` with a clause."""
    if len(shape) not in (4, 5):
        raise DataError(f"its shape is {list(shape)}; {_WANTED}")
    video = shape[-4:]
    last, first = video[3] in _CHANNELS, video[1] in _CHANNELS and video[0] not in _CHANNELS
    if last == first or (last and video[1] in _CHANNELS):
        raise DataError(f"its shape is {list(shape)}, which may mean several things or no video; {_WANTED}")
    height, width = video[2:] if first else video[1:3]
    if min(shape) < 1:
        raise DataError(f"its shape is {list(shape)}: it holds no frames")
    if height * width > MOST_PIXELS or math.prod(shape[:-3]) > MOST_FRAMES:
        raise DataError(f"its shape is {list(shape)}; the most is {MOST_FRAMES} frames of {MOST_PIXELS} pixels")
    return (shape[0] if len(shape) == 5 else None), video, first


def _reaches_below_zero(file: IO[bytes], dtype: np.dtype, size: int) -> bool:
    """Whether floating-point numbers reach from -1 to 1, not from 0 to 1. Raises `DataError` if neither is true."""
    low, high = math.inf, -math.inf
    for start in range(0, size, _CHUNK):
        part = _numbers(file, dtype, min(_CHUNK, size - start))
        low, high = min(low, float(part.min())), max(high, float(part.max()))
        if low < -1 or high > 1 or np.isnan(part.min()):
            raise DataError(
                f"it holds numbers from {part.min():g} to {part.max():g}; expected uint8 from 0 to 255, or float from "
                "0 to 1, or from -1 to 1"
            )
    return low < 0


def _pixels(frame: np.ndarray, signed: bool) -> np.ndarray:
    scaled = (frame.astype(np.float64) + 1) * 127.5 if signed else frame.astype(np.float64) * 255
    return np.rint(scaled).astype(np.uint8)


def _numbers(file: IO[bytes], dtype: np.dtype, size: int) -> np.ndarray:
    with _faults():
        data = file.read(size * dtype.itemsize)
    if len(data) < size * dtype.itemsize:
        raise DataError("it is cut off")
    return np.frombuffer(data, dtype)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """(shape, whether in Fortran's order, dtype); the file is then at the first number."""
    with _faults():
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(file)
        if version == (2, 0):
            return np.lib.format.read_array_header_2_0(file)
    raise DataError(f"it is of version {version[0]}.{version[1]}, which numbers need not; {_WANTED}")


@contextlib.contextmanager
def _opened(path: Path, member: str | None) -> Iterator[IO[bytes]]:
    """The bytes of an array, from a file or from a member of an .npz file."""
    with contextlib.ExitStack() as stack:
        file: Any
        with _faults():
            if member is None:
                file = stack.enter_context(open(path, "rb"))
            else:
                file = stack.enter_context(stack.enter_context(zipfile.ZipFile(path)).open(member))
        yield file


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    """Turn what damaged files raise into `DataError` with a clause."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except OSError as error:
        raise DataError(f"it cannot be read ({error.strerror or error})") from None
    except Exception:  # noqa: BLE001 - the readers of headers and of zips raise errors of many kinds
        raise DataError("it is damaged, or no file of numpy.save") from None
