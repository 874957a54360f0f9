"""Recorded videos that metrics compare: a data set, or video files of any kind."""

import hashlib
import json
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np

from stylegan_v_ext.data.archive import Archive, FolderArchive, ShardedArchive, ZipArchive
from stylegan_v_ext.data.convert import default_workers
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.findings import Notes
from stylegan_v_ext.data.geometry import Geometry
from stylegan_v_ext.data.metadata import read_metadata
from stylegan_v_ext.data.opening import convert_command, open_dataset
from stylegan_v_ext.data.pictures import read_pixels
from stylegan_v_ext.data.source_reader import OpenArrays, SourceReader, add_notes
from stylegan_v_ext.data.sources import Found, Source, find_sources
from stylegan_v_ext.data.videos import Video
from stylegan_v_ext.metrics.video_source import Pick, VideoSource

_TINY = 16  # pixels of frames that are only counted
_READER = b"2"  # new number for a reader that decodes files to other pixels: kept statistics are then not used


class DatasetVideos(VideoSource):
    """Videos of a data set: a zip, a folder of frame folders, or shards.

    Args:
        path: Where the data set is.
        mirror: Whether the mirror image of every video counts as one more video.
        exclude: Names of video folders to leave out.
        max_size: Take at most that many videos, chosen at random as training chooses them; None takes all.
        random_seed: Seed of that choice.
        found: The folders that are videos, and notes about the rest; None takes all folders, as training does.

    Raises:
        DataError: If there is no data set, if no video is left, or if the first frame is not square.
    """

    readers = 2

    def __init__(
        self,
        path: str,
        *,
        mirror: bool = False,
        exclude: Sequence[str] = (),
        max_size: int | None = None,
        random_seed: int = 0,
        found: Found | None = None,
    ) -> None:
        self.name, self.notes = str(path), tuple(found.notes) if found else ()
        if found:
            self._archive = found.sources[0].archive
            self._all = [item.video for item in found.sources if item.video is not None]
        else:
            self._archive, self._all = open_dataset(path)
        videos = self._all
        excluded = set(exclude)
        videos = [video for video in videos if video.folder not in excluded]
        if not videos:
            raise DataError(f"{path} holds only videos that were left out of training; name other data")
        if max_size is not None and max_size < len(videos):
            chosen = np.sort(np.random.RandomState(random_seed).permutation(len(videos))[:max_size])
            videos = [videos[number] for number in chosen]
        self._videos = videos
        self.mirrored = len(videos) if mirror else 0
        self.resolution = 0  # unknown until the first frame is read
        self.resolution = self._open(int(videos[0].frames[0])).shape[0]
        self._pool = ThreadPoolExecutor(default_workers())

    @property
    def lengths(self) -> list[int]:
        """Number of frames of every video, mirror images last."""
        return [len(video) for video in self._videos] * (2 if self.mirrored else 1)

    def _video(self, number: int) -> tuple[Video, bool]:
        """Return a video, and whether its mirror image is meant."""
        return self._videos[number % len(self._videos)], number >= len(self._videos)

    def video_name(self, video: int) -> str:
        """Return the folder of a video."""
        entry, flip = self._video(video)
        return (entry.folder or Path(self.name).stem) + (" mirrored" if flip else "")

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the names and checksums of all files."""
        return archive_fingerprint(self._archive)

    def classes(self) -> list[int] | None:
        """Return the class of every video; None unless all videos have one."""
        labels = read_metadata(self._archive, self._all).labels
        if not all(video.folder in labels for video in self._videos):
            return None
        return [labels[video.folder] for video in self._videos] * (2 if self.mirrored else 1)

    def read(self, picks: Sequence[Pick]) -> list[np.ndarray]:
        """Read frames, see `VideoSource.read`."""
        return list(self._pool.map(self._read, picks))

    def _read(self, pick: Pick) -> np.ndarray:
        video, flip = self._video(pick.video)
        frames = np.stack([self._open(int(video.frames[number])) for number in pick.frames])
        return frames[:, :, ::-1] if flip else frames

    def _open(self, member: int) -> np.ndarray:
        name = self._archive.names[member]
        data = self._archive.read(member)
        pixels = read_pixels(data, name)
        height, width = pixels.shape[:2]
        if height != width or self.resolution not in (0, width):
            wanted = f"{self.resolution}x{self.resolution} as the first frame" if self.resolution else "a square"
            command = convert_command(self.name, self.resolution or None)
            raise DataError(f"{name} is {width}x{height}, expected {wanted}; {command} gives all frames one size")
        return pixels


def archive_fingerprint(archive: Archive) -> str:
    """Return a SHA-256 over the names, sizes and checksums (in a folder: modification times) of all files."""
    digest = hashlib.sha256()
    for part in archive.shards if isinstance(archive, ShardedArchive) else [archive]:
        if isinstance(part, ZipArchive):
            digest.update(part.content_table())
        elif isinstance(part, FolderArchive):
            for name in part.names:
                status = (part.path / name).stat()
                digest.update(json.dumps([name, status.st_size, status.st_mtime_ns]).encode())
    return digest.hexdigest()


class VideoFiles(VideoSource):
    """Videos of all kinds, cut to the middle square and scaled as `data convert` does.

    Every video is decoded once to count its frames. Videos that cannot be read are named in `notes` and left out.

    Args:
        path: A folder or zip that holds videos at any depth, or one video file.
        resolution: Width and height of the frames, in pixels.
        mirror: Whether the mirror image of every video counts as one more video.
        found: Videos at the path; None looks for them.

    Raises:
        DataError: If no video is left.
        DecoderMissing: If PyAV is not installed.
    """

    def __init__(self, path: str, resolution: int, *, mirror: bool = False, found: Found | None = None) -> None:
        self.name, self.resolution = str(path), resolution
        found = find_sources(path) if found is None else found
        with ThreadPoolExecutor(default_workers()) as pool:
            readers = [reader for part in pool.map(_counted, _by_file(found.sources)) for reader in part]
        self._videos = [reader.source for reader in readers if reader.num_read]
        self._counts = [reader.num_read for reader in readers if reader.num_read]
        if not self._videos:
            raise DataError(f"{path}: none of {len(readers)} videos can be read; {readers[0].damage}")
        notes = Notes()
        for reader in readers:
            if reader.num_read:
                add_notes(notes, reader)
            else:
                name = reader.source.name
                notes.add(name, f"left out: {reader.damage.replace(name, 'it')}", f"left out: {reader.damage}")
        self.notes = (*notes.sentences(), *found.notes)
        self.mirrored = len(self._videos) if mirror else 0
        self._reader: tuple[Source, int, Generator[np.ndarray, None, None]] | None = None
        self._arrays = OpenArrays()

    @property
    def lengths(self) -> list[int]:
        """Number of frames of every video, mirror images last."""
        return self._counts * (2 if self.mirrored else 1)

    def video_name(self, video: int) -> str:
        """Return the name of a video file."""
        flip = " mirrored" if video >= len(self._videos) else ""
        return self._videos[video % len(self._videos)].name + flip

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the names, sizes and dates of all files."""
        digest = hashlib.sha256(_READER)
        in_archive = any(item.local_path is None for item in self._videos)
        whole = archive_fingerprint(self._videos[0].archive) if in_archive else ""
        for item in self._videos:
            state: list[str | int] = [whole, item.name]
            if item.local_path is not None:
                status = item.local_path.stat()
                state = [str(item.local_path.absolute()), item.name, status.st_size, status.st_mtime_ns]
            digest.update(json.dumps(state).encode())
        return digest.hexdigest()

    def read(self, picks: Sequence[Pick]) -> list[np.ndarray]:
        """Decode frames, see `VideoSource.read`."""
        return [self._read(pick) for pick in picks]

    def _read(self, pick: Pick) -> np.ndarray:
        item, flip = self._videos[pick.video % len(self._videos)], pick.video >= len(self._videos)
        frames = []
        for number in pick.frames:
            frame = self._frame(item, int(number))
            frames.append(frame[:, ::-1] if flip else frame)
        return np.stack(frames)

    def _frame(self, item: Source, number: int) -> np.ndarray:
        """Decode a frame. The decoder of the last frame goes on if the new frame lies behind it."""
        if self._reader is None or self._reader[0] is not item or self._reader[1] > number:
            self._end_reader()
            geometry = Geometry((self.resolution, self.resolution))
            frames = iter(SourceReader(item, geometry, arrays=self._arrays))
            self._reader = (item, 0, cast("Generator[np.ndarray, None, None]", frames))
        _, at, frames = self._reader
        for frame in frames:
            at += 1
            if at > number:
                self._reader = (item, at, frames)
                return frame
        count = self._counts[self._videos.index(item)]
        raise DataError(f"{item.name} ends before frame {number}; it had {count} before")

    def _end_reader(self) -> None:
        if self._reader is not None:
            self._reader[2].close()
            self._reader = None

    def close(self) -> None:
        """Stop the decoder and close the NumPy file that is still open."""
        self._end_reader()
        self._arrays.close()


def _by_file(sources: Sequence[Source]) -> list[list[Source]]:
    """Group sources: neighbours in one NumPy file form a group, every other source forms a group alone."""
    parts: list[list[Source]] = []
    for item in sources:
        last = parts[-1][-1] if parts else None
        if item.array is not None and last is not None and last.array is not None and item.member == last.member:
            parts[-1].append(item)
        else:
            parts.append([item])
    return parts


def _counted(sources: Sequence[Source]) -> list[SourceReader]:
    """Read the sources of one file to count their frames; the `damage` of a reader says why it has no frames."""
    with OpenArrays() as arrays:
        readers = [SourceReader(item, Geometry((_TINY, _TINY)), arrays=arrays) for item in sources]
        for reader in readers:
            try:
                for _ in reader:
                    pass
            except DataError as error:
                reader.damage = str(error)
    return readers


def open_sources(paths: Sequence[str], resolution: int, mirrors: Sequence[bool]) -> list[VideoSource]:
    """Open videos to compare: data sets as they are, video files at the size of the first data set.

    Args:
        paths: Paths of data sets, and of folders or zips of video files. A folder with both counts as video files.
        resolution: Width and height that video files get if no path is a data set, in pixels.
        mirrors: For each path, whether a mirror image of every video counts as one more video.

    Returns:
        One source for each path.

    Raises:
        DataError: If there is no video at a path.
    """
    found = [find_sources(path) for path in paths]
    sets = {
        number: DatasetVideos(path, mirror=mirrors[number], found=here)
        for number, (path, here) in enumerate(zip(paths, found, strict=True))
        if all(item.is_folder for item in here.sources)
    }
    side = next((videos.resolution for videos in sets.values()), resolution)
    return [
        sets.get(number) or VideoFiles(path, side, mirror=mirrors[number], found=found[number])
        for number, path in enumerate(paths)
    ]
