"""Reading the frames of any source, in the form of a data set: video files, animations, clips of NumPy, pictures."""

import contextlib
import itertools
import math
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import PIL.Image

from stylegan_v_ext.data.archive import Archive
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.ffmpeg import FfmpegError, VideoReader
from stylegan_v_ext.data.findings import Notes, count, shortened
from stylegan_v_ext.data.geometry import Geometry
from stylegan_v_ext.data.limits import LONGEST_HOLD, MOST_FRAMES
from stylegan_v_ext.data.pictures import read_picture
from stylegan_v_ext.data.sources import Found, Source, find_sources
from stylegan_v_ext.data.sources.arrays import ArrayFile
from stylegan_v_ext.data.video.timing import evenly_resampled
from stylegan_v_ext.text import printable

_T = TypeVar("_T")


class OpenArrays:
    """Keeps the file of NumPy open that was read last; a context manager, for one thread.

    If many videos of a file are read in order, the file is copied out of its zip once, and each array is unpacked once.
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._place: tuple[Archive, int] | None = None
        self._file: ArrayFile | None = None

    def frames(self, source: Source) -> Iterator[np.ndarray]:
        """Return an iterator over the frames of a video in an array, uint8 `[H, W, C]`.

        Args:
            source: A source that has an array.

        Raises:
            DataError: If the frames cannot be read.
        """
        assert source.array is not None and source.member is not None
        place = (source.archive, source.member)
        if self._file is None or place != self._place:
            self.close()
            path = self._stack.enter_context(source.archive.local_file(source.member))
            self._file, self._place = self._stack.enter_context(ArrayFile(Path(path))), place
        return self._file.frames(source.array, source.number)

    def close(self) -> None:
        """Close the file, and remove its copy if there is one."""
        self._file = None
        self._stack.close()

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> "OpenArrays":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class SourceReader:
    """Iterates over the frames of a source, uint8 `[side, side, 3]`.

    Args:
        source: The source.
        geometry: Form of the frames.
        fps: Rate to resample to, in frames a second; None gives every frame once.
        most: Number of frames after which to stop; None gives all frames.
        arrays: Keeps files of NumPy open for the next source; None opens them for this source only.

    Attributes:
        num_read: Number of frames so far.
        expected: Number of frames that there will be, as far as is known; None if unknown.
        fps: Rate of the frames, in frames a second; None if unknown. Final after the last frame.
        damage: Why the rest of a file is not used; empty for a sound file. Known after the last frame.
        notes: Clauses about the source. Complete after the last frame.

    Raises:
        DataError: During iteration, if the source cannot be read.
    """

    def __init__(
        self,
        source: Source,
        geometry: Geometry,
        fps: float | None = None,
        most: int | None = None,
        arrays: OpenArrays | None = None,
    ) -> None:
        self.source, self.geometry, self.resampled_fps, self.most = source, geometry, fps, most
        self._arrays = arrays
        self.fps = fps
        self.num_read = 0
        self.expected: float | None = None
        self.damage = ""
        self.notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[np.ndarray]:
        frames = self._frames()
        try:
            for frame in frames:
                self.num_read += 1
                yield frame
                if self.num_read == self.most:
                    break
        finally:
            frames.close()
        if not self.num_read:
            raise DataError(f"{self.source.name} holds no frames")
        if self.num_read == 1 and self.most != 1 and not self.damage:
            self.notes += ("it has one frame",)

    def share_done(self) -> float:
        """Return the share of the source that has been read, 0 to 1."""
        return min(self.num_read / min(self.expected or math.inf, self.most or math.inf), 1.0)

    def _frames(self) -> Generator[np.ndarray, None, None]:
        if self.source.video is not None:
            return self._of_pictures(self.source.video.frames)
        if self.source.array is not None:
            return self._of_array()
        return self._of_video_file()

    def _of_video_file(self) -> Generator[np.ndarray, None, None]:
        with self.source.archive.local_file(self.source.member or 0) as path:
            reader = VideoReader(str(path), self.geometry, self.resampled_fps)
            try:
                for frame in reader:
                    self.fps = reader.fps
                    self.expected = reader.duration * reader.fps if reader.duration and reader.fps else None
                    yield frame
            except FfmpegError as error:
                raise DataError(str(error).replace(printable(path), printable(self.source.name))) from None
            finally:
                self.damage, self.notes = reader.damage, reader.notes

    def _of_pictures(self, frames: np.ndarray) -> Generator[np.ndarray, None, None]:
        archive = self.source.archive
        frame, last = None, -1
        for index in self._even(frames.tolist(), len(frames)):
            if index != last or frame is None:
                picture = read_picture(archive.read(index), archive.names[index], self.geometry.background)
                frame, last = np.asarray(self.geometry.apply(picture)), index
            yield frame

    def _of_array(self) -> Generator[np.ndarray, None, None]:
        assert self.source.array is not None
        with contextlib.nullcontext(self._arrays) if self._arrays is not None else OpenArrays() as arrays:
            try:
                for pixels in self._even(arrays.frames(self.source), self.source.array.num_frames):
                    yield np.asarray(self.geometry.apply(_rgb(pixels, self.geometry.background)))
            except DataError as error:
                raise DataError(f"{self.source.name}: {error}") from None

    def _even(self, frames: Iterable[_T], number: int) -> Iterator[_T]:
        """Resample `number` frames without times from the recorded rate."""
        recorded, wanted = self.source.recorded.fps, self.resampled_fps
        self.fps = wanted or recorded
        self.expected = number
        if wanted is None or wanted == recorded:
            return iter(frames)
        if recorded is None:
            raise DataError(_no_rate(self.source.name))
        self.expected = number * wanted / recorded
        if recorded * LONGEST_HOLD < 1 or self.expected > MOST_FRAMES:
            raise DataError(f"{self.source.name} has {recorded:g} frames a second by its dataset.json; correct that")
        shown = evenly_resampled(frames, recorded, wanted)
        return itertools.chain.from_iterable(itertools.repeat(frame, times) for frame, times in shown)


def _rgb(pixels: np.ndarray, background: tuple[int, int, int]) -> PIL.Image.Image:
    """Make an RGB picture of pixels uint8 `[H, W, C]`, C = 1, 3 or 4, on a background."""
    if pixels.shape[2] == 1:
        return PIL.Image.fromarray(np.ascontiguousarray(pixels[:, :, 0])).convert("RGB")
    if pixels.shape[2] == 3:
        return PIL.Image.fromarray(np.ascontiguousarray(pixels))
    picture = PIL.Image.fromarray(np.ascontiguousarray(pixels))
    ground = PIL.Image.new("RGBA", picture.size, (*background, 255))
    return PIL.Image.alpha_composite(ground, picture).convert("RGB")


def _no_rate(name: str, *, is_alone: bool = False, why: str = "") -> str:
    """Return a sentence that says why frames without times cannot be resampled.

    Args:
        name: Name of the source.
        is_alone: Whether the user named this one file, so that no `dataset.json` beside it is read.
        why: What is wrong with the `dataset.json`; "" if nothing is known to be wrong.
    """
    record = 'a dataset.json with {"fps": 25}, or the true rate,'
    if why:
        remedy = why
    elif is_alone:
        remedy = f"put it and {record} into a folder, and name the folder"
    else:
        remedy = f"put {record} into the folder or zip that you name"
    return f"--fps: {name} has no frame rate; {remedy}, or leave --fps out"


def check_rates(found: Found, fps: float | None) -> None:
    """Check that all sources can be resampled.

    Args:
        found: The sources.
        fps: Rate to resample to, in frames a second; None if nothing is resampled.

    Raises:
        DataError: If `fps` is given, and the rate of pictures or arrays is not recorded.
    """
    unknown = [
        item
        for item in found.sources
        if fps is not None and (item.is_folder or item.array is not None) and item.recorded.fps is None
    ]
    if unknown:
        several = f"each of {len(unknown)} folders or arrays ({shortened([item.name for item in unknown])})"
        name = unknown[0].name if len(unknown) == 1 else several
        raise DataError(_no_rate(name, is_alone=unknown[0].is_alone, why="; ".join(found.problems[:1])))


@dataclass(frozen=True)
class Clip:
    """The frames of one video.

    Attributes:
        frames: Pixels, uint8 `[T, side, side, 3]`.
        fps: Frames a second; None if unknown.
        notes: Sentences about the source.
    """

    frames: np.ndarray
    fps: float | None
    notes: list[str]


def read_clip(path: str, geometry: Geometry, fps: float | None = None, most: int | None = None) -> Clip:
    """Read all frames of the one video at a path.

    Args:
        path: Any path that `find_sources` takes.
        geometry: Form of the frames.
        fps: Rate to resample to, in frames a second; None gives every frame once.
        most: Number of frames after which to stop; None gives all frames.

    Raises:
        DataError: If there is no video or more than one, or if the video cannot be read.
    """
    found = find_sources(path)
    if len(found.sources) > 1:
        raise DataError(
            f"{path} holds {len(found.sources)} videos ({shortened([item.name for item in found.sources])}); name "
            "one of them"
        )
    check_rates(found, fps)
    reader = SourceReader(found.sources[0], geometry, fps, most)
    frames = np.stack(list(reader))
    notes = Notes()
    add_notes(notes, reader)
    return Clip(frames, reader.fps, [*found.notes, *notes.sentences()])


def add_notes(notes: Notes, reader: SourceReader, used: int | None = None) -> None:
    """Note what a reader has found out about its source.

    Args:
        notes: Where the notes are added.
        reader: The reader, after its last frame.
        used: Number of its frames that are used; None for all.
    """
    name = reader.source.name
    used = reader.num_read if used is None else used
    if reader.damage and used:
        clause = f"before the damage {'is' if used == 1 else 'are'} used ({reader.damage})"
        alone = f"{name} is damaged; the {count(used, 'frame')} {clause}"
        notes.add(name, f"it is damaged; the frames before the damage are used ({reader.damage})", alone)
    elif reader.damage and reader.num_read:
        notes.add(name, f"it is damaged ({reader.damage})", f"{name} is damaged ({reader.damage})")
    for clause in reader.notes:
        notes.add(name, clause)
