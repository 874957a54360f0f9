"""Where the videos that metrics compare come from: a data set, a folder of video files, a generator.

All give frames by number, uint8 `[T, H, W, 3]`; pictures without colour are repeated to three channels.
"""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stylegan_v_ext.data.archive import FolderArchive, ZipArchive
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
from stylegan_v_ext.strip import unpack_strip

_FRAMES_AT_ONCE = 16  # that a generator makes
_TINY = 16  # pixels of frames that are only counted
_READER = b"2"  # changes with what the reader of video files makes of a file, so that kept statistics are not taken


@dataclass(frozen=True, eq=False)
class Pick:
    """Frames of one video that are read together.

    Attributes:
        video: Its number.
        frames: Numbers, or times, `[T]`, ascending.
    """

    video: int
    frames: np.ndarray


class VideoSource:
    """Videos to compare.

    Attributes:
        resolution: Side of the square frames. mirrored: how many of them are mirror images.
    """

    name: str
    resolution: int
    mirrored = 0
    readers = 1  # threads that may read at the same time
    notes: tuple[str, ...] = ()

    @property
    def lengths(self) -> list[int]:
        """Frames of every video."""
        raise NotImplementedError

    @property
    def fingerprint(self) -> str:
        """Changes whenever the content does."""
        raise NotImplementedError

    def video_name(self, video: int) -> str:
        """For messages and lists."""
        raise NotImplementedError

    def classes(self) -> list[int] | None:
        """Class of every video; `None` where it is not known of all."""
        return None

    def read(self, picks: Sequence[Pick]) -> list[np.ndarray]:
        """Frames uint8 `[T, H, W, 3]` of each pick. Raises `DataError` naming what cannot be read."""
        raise NotImplementedError


class DatasetVideos(VideoSource):
    """A zip, a folder of frame folders, or shards.

    Args:
        mirror: A mirror image of every video counts as one more.
        exclude: Video folders to leave out. max_size,.
        random_seed: A random choice of videos, as for training.
        found: The folders that are videos, and what is said of them; None takes all, as training does.

    Raises:
        DataError: .
    """

    readers = 2

    def __init__(
        self,
        path: str,
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
            raise DataError(f"{path} holds no videos but those that were left out of training; name others")
        if max_size is not None and max_size < len(videos):
            chosen = np.sort(np.random.RandomState(random_seed).permutation(len(videos))[:max_size])
            videos = [videos[number] for number in chosen]
        self._videos = videos
        self.mirrored = len(videos) if mirror else 0
        self.resolution = 0  # until the first frame tells
        self.resolution = self._open(int(videos[0].frames[0])).shape[0]
        self._pool = ThreadPoolExecutor(default_workers())

    @property
    def lengths(self) -> list[int]:
        return [len(video) for video in self._videos] * (2 if self.mirrored else 1)

    def _video(self, number: int) -> tuple[Video, bool]:
        return self._videos[number % len(self._videos)], number >= len(self._videos)

    def video_name(self, video: int) -> str:
        entry, flip = self._video(video)
        return (entry.folder or Path(self.name).stem) + (" mirrored" if flip else "")

    @cached_property
    def fingerprint(self) -> str:
        return archive_fingerprint(self._archive)

    def classes(self) -> list[int] | None:
        labels = read_metadata(self._archive, self._all).labels
        if not all(video.folder in labels for video in self._videos):
            return None
        return [labels[video.folder] for video in self._videos] * (2 if self.mirrored else 1)

    def read(self, picks: Sequence[Pick]) -> list[np.ndarray]:
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


def archive_fingerprint(archive: Any) -> str:
    """SHA-256 over the names, sizes and checksums (of folders: modification times) of all files of an archive."""
    digest = hashlib.sha256()
    for part in getattr(archive, "shards", None) or [archive]:
        if isinstance(part, ZipArchive):
            digest.update(part.content_table())
        elif isinstance(part, FolderArchive):
            for name in part.names:
                status = (part.path / name).stat()
                digest.update(json.dumps([name, status.st_size, status.st_mtime_ns]).encode())
    return digest.hexdigest()


class VideoFiles(VideoSource):
    """Videos of all kinds, cut to the middle square and scaled as `data convert` does.

    Args:
        path: Of a folder or zip, which holds them at any depth, or of a video file.
        resolution: Width and height of the frames in pixels.
        mirror: A mirror image of every video counts as one more.
        found: What is at the path; None looks there. Every video is decoded once to count its frames. Those that cannot
            be read are named in `notes` and left out.

    Raises:
        DataError: If no video is left, `DecoderMissing` if PyAV is not installed.
    """

    def __init__(self, path: str, resolution: int, mirror: bool = False, found: Found | None = None) -> None:
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
        self._reader: tuple[Source, int, Any] | None = None
        self._arrays = OpenArrays()

    @property
    def lengths(self) -> list[int]:
        return self._counts * (2 if self.mirrored else 1)

    def video_name(self, video: int) -> str:
        flip = " mirrored" if video >= len(self._videos) else ""
        return self._videos[video % len(self._videos)].name + flip

    @cached_property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(_READER)
        in_archive = any(item.local_path is None for item in self._videos)
        whole = archive_fingerprint(self._videos[0].archive) if in_archive else ""
        for item in self._videos:
            state: list[Any] = [whole, item.name]
            if item.local_path is not None:
                status = item.local_path.stat()
                state = [str(item.local_path.absolute()), item.name, status.st_size, status.st_mtime_ns]
            digest.update(json.dumps(state).encode())
        return digest.hexdigest()

    def read(self, picks: Sequence[Pick]) -> list[np.ndarray]:
        return [self._read(pick) for pick in picks]

    def _read(self, pick: Pick) -> np.ndarray:
        item, flip = self._videos[pick.video % len(self._videos)], pick.video >= len(self._videos)
        frames = []
        for number in pick.frames:
            frame = self._frame(item, int(number))
            frames.append(frame[:, ::-1] if flip else frame)
        return np.stack(frames)

    def _frame(self, item: Source, number: int) -> np.ndarray:
        """A frame; the decoder of the last one goes on where that serves."""
        if self._reader is None or self._reader[0] is not item or self._reader[1] > number:
            self._end_reader()
            geometry = Geometry((self.resolution, self.resolution))
            self._reader = (item, 0, iter(SourceReader(item, geometry, arrays=self._arrays)))
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
        """End the decoder that is still running, and close the file of NumPy that is still open."""
        self._end_reader()
        self._arrays.close()


def _by_file(sources: Sequence[Source]) -> list[list[Source]]:
    """Sources that lie in a row in one file of NumPy, together; each of the others alone."""
    parts: list[list[Source]] = []
    for item in sources:
        last = parts[-1][-1] if parts else None
        if item.array is not None and last is not None and last.array is not None and item.member == last.member:
            parts[-1].append(item)
        else:
            parts.append([item])
    return parts


def _counted(sources: Sequence[Source]) -> list[SourceReader]:
    """The readers of sources of one file after their last good frames; `damage` says why there are none."""
    with OpenArrays() as arrays:
        readers = [SourceReader(item, Geometry((_TINY, _TINY)), arrays=arrays) for item in sources]
        for reader in readers:
            try:
                for _ in reader:
                    pass
            except DataError as error:
                reader.damage = str(error)
    return readers


class GeneratedVideos(VideoSource):
    """What a generator makes: video i is the one of seed i, the same that `gen_video.py --seeds=i` writes.

    Its class, and the time of a single frame, are those of a random video of `like`, by seed. Frames of
    an image model have no time. Raises `ValueError` for a conditional model where `like` has no classes.
    """

    def __init__(self, generator: Any, device: torch.device, like: VideoSource, name: str = "network") -> None:
        self.name, self.resolution = name, generator.img_resolution
        self._generator, self._device = generator.eval().to(device), device
        self._ends = np.cumsum(like.lengths)
        self._classes = like.classes() if generator.num_classes else None
        if generator.num_classes and self._classes is None:
            raise ValueError(f"{like.name} has videos without a class, which the model needs; name another --data")
        highest = max(self._classes or [0])
        if generator.num_classes and highest >= generator.num_classes:
            raise ValueError(f"{like.name} has class {highest}, the model {generator.num_classes} classes from 0")

    def frame_pick(self, seed: int) -> Pick:
        """Video `seed` at a random time that the data have."""
        video, random = self._model_video(seed)
        length = self._ends[video] - (self._ends[video - 1] if video else 0)
        return Pick(seed, np.array([random.uniform(0, length - 1)]))

    def _model_video(self, seed: int) -> tuple[int, np.random.RandomState]:
        """A video of the data, long ones more often, and a generator for what else is random."""
        random = np.random.RandomState([seed, 1])  # its latent has RandomState(seed)
        return int(np.searchsorted(self._ends, random.randint(self._ends[-1]), side="right")), random

    def video_name(self, video: int) -> str:
        return f"seed {video}"

    def read(self, picks: Sequence[Pick]) -> list[np.ndarray]:
        if all(len(pick.frames) == 1 for pick in picks):
            return [frame[None] for frame in self._frames(picks)]
        return [self._clip(pick) for pick in picks]

    @torch.inference_mode()
    def _frames(self, picks: Sequence[Pick]) -> np.ndarray:
        """A frame of each of several videos, `[N, H, W, 3]`."""
        z, classes = (torch.cat(parts) for parts in zip(*(self._latent(pick.video) for pick in picks), strict=True))
        times = torch.from_numpy(np.stack([pick.frames for pick in picks]))
        t = {"t": times} if self._generator.num_frames > 1 else {}
        strip = self._generator.synthesis(self._generator.mapping(z, classes, **t), noise_mode="const")
        return _pixels(unpack_strip(strip)[:, 0])

    @torch.inference_mode()
    def _clip(self, pick: Pick) -> np.ndarray:
        G = self._generator
        times = torch.from_numpy(np.asarray(pick.frames, dtype=np.float64))
        ws = G.mapping(*self._latent(pick.video), t=times[None])
        content, motion = ws[:, : G.num_ws], ws[:, G.num_ws :]
        parts = [
            _pixels(unpack_strip(G.synthesis(torch.cat([content, rows], dim=1), noise_mode="const"))[0])
            for rows in motion.split(_FRAMES_AT_ONCE, dim=1)
        ]
        return np.concatenate(parts)

    def _latent(self, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(latent [1, z_dim], class part [1, K]) of a seed."""
        z = torch.from_numpy(np.random.RandomState(seed).randn(1, self._generator.z_dim))
        classes = torch.zeros([1, self._generator.num_classes])
        if self._classes is not None:
            classes[0, self._classes[self._model_video(seed)[0]]] = 1
        return z.to(self._device, torch.float32), classes.to(self._device)


def _pixels(frames: torch.Tensor) -> np.ndarray:
    """Frames `[N, C, H, W]` in -1 ... 1 -> uint8 `[N, H, W, 3]`."""
    pixels = (frames * 127.5 + 128).clamp(0, 255).to(torch.uint8)
    return pixels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).cpu().numpy()


def open_source(path: str, resolution: int | None = None, mirror: bool = False) -> VideoSource:
    """The videos at a path, as `open_sources` opens them; video files get frames of 256 px if no side is given."""
    return open_sources([path], resolution or 256, [mirror])[0]


def open_sources(paths: Sequence[str], resolution: int, mirrors: Sequence[bool]) -> list[VideoSource]:
    """Videos to compare: data sets as they are, and video files at the size of the first data set.

    Args:
        paths: Of data sets, or of folders or zips of video files, or of both, which count as video files.
        resolution: Width and height that video files get if no path is a data set, in pixels.
        mirrors: For each path, whether a mirror image of every video counts as one more.

    Raises:
        DataError: If there is no video at a path.
    """
    found = [find_sources(path) for path in paths]
    sets = {
        number: DatasetVideos(path, mirrors[number], found=here)
        for number, (path, here) in enumerate(zip(paths, found, strict=True))
        if all(item.is_folder for item in here.sources)
    }
    side = next((videos.resolution for videos in sets.values()), resolution)
    return [
        sets.get(number) or VideoFiles(path, side, mirrors[number], found[number]) for number, path in enumerate(paths)
    ]
