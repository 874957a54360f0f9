"""Clips in files of NumPy: which arrays are videos, and their frames.

Only numbers are read from a file, never pickled objects. Frames are read one by one, so that a file of any length needs
little memory.
"""

import contextlib
import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.limits import MOST_FRAMES, MOST_PIXELS

_CHANNELS = (1, 3, 4)
_CHUNK = 1 << 20  # numbers that are checked together
_WANTED = "expected uint8 [T, H, W, C] or [N, T, H, W, C] with 1, 3 or 4 channels C"


@dataclass(frozen=True)
class ClipArray:
    """An array that holds one video, or several videos of equal length.

    Attributes:
        member: Name of the array in an .npz file; None in an .npy file.
        dtype: Type of its numbers.
        shape: Shape of a video: (T, H, W, C), or (T, C, H, W) if `channels_first`.
        count: Number of videos; None for an array of four dimensions, which is one video.
        channels_first: Whether the channels come before height and width.
        signed: Whether the numbers reach from -1 to 1, not from 0 to 1.
        start: Place of the first number in the file of the array, in bytes.
    """

    member: str | None
    dtype: np.dtype
    shape: tuple[int, ...]
    count: int | None
    channels_first: bool
    signed: bool
    start: int

    @property
    def num_frames(self) -> int:
        """Number of frames of each video."""
        return self.shape[0]


class ArrayFile:
    """An open file of NumPy; a context manager, for one thread.

    The array that was read last stays open, so that a packed array is unpacked once for all its videos in order.

    Args:
        path: An .npy or .npz file.

    Raises:
        DataError: If the file cannot be read; the message is a clause.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _faults():
            self._zip = None if path.suffix.lower() == ".npy" else zipfile.ZipFile(path)
        self._array: IO[bytes] | None = None
        self._member: str | None = None

    @property
    def members(self) -> list[str | None]:
        """Names of the arrays; an .npy file has one array, whose name is None."""
        if self._zip is None:
            return [None]
        return [name for name in self._zip.namelist() if name.endswith(".npy")]

    def opened(self, member: str | None) -> IO[bytes]:
        """Open an array, unless it is open already; then its position stays.

        Args:
            member: Name of the array; None in an .npy file.

        Raises:
            DataError: If the array cannot be opened; the message is a clause.
        """
        if self._array is None or member != self._member:
            self._end_array()
            with _faults():
                self._array = open(self._path, "rb") if self._zip is None else self._zip.open(member or "")  # noqa: SIM115
            self._member = member
        return self._array

    def frames(self, array: ClipArray, number: int = 0) -> Iterator[np.ndarray]:
        """Yield the frames of a video, uint8 `[H, W, C]`.

        Args:
            array: An array of this file.
            number: Number of the video in the array, from 0.

        Raises:
            DataError: If the file is cut off; the message is a clause.
        """
        size = math.prod(array.shape[1:])
        for place in range(number * array.num_frames, (number + 1) * array.num_frames):
            file = self.opened(array.member)
            with _faults():
                file.seek(array.start + place * size * array.dtype.itemsize)
            frame = _numbers(file, array.dtype, size).reshape(array.shape[1:])
            pixels = frame if frame.dtype == np.uint8 else _pixels(frame, signed=array.signed)
            yield pixels.transpose(1, 2, 0) if array.channels_first else pixels

    def _end_array(self) -> None:
        if self._array is not None:
            self._array.close()
        self._array = None

    def close(self) -> None:
        """Close the file."""
        self._end_array()
        if self._zip is not None:
            self._zip.close()

    def __enter__(self) -> "ArrayFile":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def clip_arrays(path: Path) -> tuple[list[ClipArray], list[str]]:
    """Find the arrays of a file that are videos.

    Args:
        path: An .npy or .npz file.

    Returns:
        (the arrays, a clause about every array that is no video).

    Raises:
        DataError: If no array is a video; the message is a clause.
    """
    arrays, faults = [], []
    with ArrayFile(path) as file:
        for member in file.members:
            try:
                arrays.append(_described(file.opened(member), member))
            except DataError as error:
                if member is None:
                    raise
                faults.append(f"its array {member.removesuffix('.npy')} is left out, since {error}")
    if not arrays:
        raise DataError("; ".join(faults[:3]) or "it holds no arrays")
    return arrays, faults


def _described(file: IO[bytes], member: str | None) -> ClipArray:
    """Read the head of an array. Raises `DataError` with a clause if the array is no video."""
    shape, fortran, dtype = _header(file)
    start = file.tell()
    if dtype.hasobject or dtype.names is not None:
        raise DataError(f"it holds Python objects or records, not numbers; {_WANTED}")
    if dtype != np.uint8 and dtype.kind != "f":
        raise DataError(f"it holds {dtype} {list(shape)}; {_WANTED}, or float from 0 to 1, or from -1 to 1")
    count, video, first = _layout(shape)
    if fortran:
        raise DataError("its numbers lie in Fortran's order; save numpy.ascontiguousarray(array)")
    signed = dtype.kind == "f" and _reaches_below_zero(file, dtype, math.prod(shape))
    return ClipArray(member, dtype, video, count, first, signed, start)


def _layout(shape: tuple[int, ...]) -> tuple[int | None, tuple[int, ...], bool]:
    """Return (number of videos or None, shape of a video, whether channels come first). Raises `DataError`."""
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
    """Check whether floating-point numbers reach from -1 to 1, not from 0 to 1. Raises `DataError` for other ranges."""
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


def _pixels(frame: np.ndarray, *, signed: bool) -> np.ndarray:
    """Convert floating-point numbers to uint8."""
    scaled = (frame.astype(np.float64) + 1) * 127.5 if signed else frame.astype(np.float64) * 255
    return np.rint(scaled).astype(np.uint8)


def _numbers(file: IO[bytes], dtype: np.dtype, size: int) -> np.ndarray:
    """Read the next `size` numbers. Raises `DataError` if the file is cut off."""
    with _faults():
        data = file.read(size * dtype.itemsize)
    if len(data) < size * dtype.itemsize:
        raise DataError("it is cut off")
    return np.frombuffer(data, dtype)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read (shape, whether in Fortran's order, dtype); the file is then at the first number."""
    with _faults():
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(file)
        if version == (2, 0):
            return np.lib.format.read_array_header_2_0(file)
    raise DataError(f"it has version {version[0]}.{version[1]} of the format, which is not read; {_WANTED}")


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    """Turn the errors that damaged files cause into `DataError` with a clause."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except OSError as error:
        raise DataError(f"it cannot be read ({error.strerror or error})") from None
    except Exception:  # readers of headers and of zips raise errors of many kinds
        raise DataError("it is damaged, or no file of numpy.save") from None
