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

from stylegan_v_ext import clip
from stylegan_v_ext.data.archive import FolderArchive, ZipArchive, files_below
from stylegan_v_ext.data.convert import default_workers
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.ffmpeg import VIDEO_SUFFIXES, FfmpegError, VideoReader
from stylegan_v_ext.data.geometry import Geometry
from stylegan_v_ext.data.jpeg import decode_jpeg
from stylegan_v_ext.data.metadata import read_metadata
from stylegan_v_ext.data.names import is_hidden, natural_key
from stylegan_v_ext.data.opening import open_dataset
from stylegan_v_ext.data.pictures import image_faults, open_image
from stylegan_v_ext.data.videos import Video

_FRAMES_AT_ONCE = 16  # that a generator makes
_TINY = 16  # pixels of frames that are only counted


@dataclass(frozen=True, eq=False)
class Pick:
    """Frames of one video that are read together. video: its number. frames: numbers, or times, `[T]`, ascending."""

    video: int
    frames: np.ndarray


class VideoSource:
    """Videos to compare. resolution: side of the square frames. mirrored: how many of them are mirror images."""

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

    mirror: a mirror image of every video counts as one more. exclude: video folders to leave out. max_size,
    random_seed: a random choice of videos, as for training. Raises `DataError`.
    """

    readers = 2

    def __init__(
        self, path: str, mirror: bool = False, exclude: Sequence[str] = (), max_size: int | None = None,
        random_seed: int = 0,
    ):  # fmt: skip
        self.name = str(path)
        self._archive, videos = open_dataset(path)
        excluded = set(exclude)
        videos = [video for video in videos if video.folder not in excluded]
        if not videos:
            raise DataError(f"{path} holds no videos but those that were left out of training; name others")
        if max_size is not None and max_size < len(videos):
            chosen = np.sort(np.random.RandomState(random_seed).permutation(len(videos))[:max_size])
            videos = [videos[number] for number in chosen]
        self._videos = videos
        self.mirrored = len(videos) if mirror else 0
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
        labels = read_metadata(self._archive).labels
        if not all(video.folder in labels for video in self._videos):
            return None
        return [labels[video.folder] for video in self._videos] * (2 if self.mirrored else 1)

    def read(self, picks: Sequence[Pick]) -> list[np.ndarray]:
        return list(self._pool.map(self._read, picks))

    def _read(self, pick: Pick) -> np.ndarray:
        video, flip = self._video(pick.video)
        frames = np.stack([self._open(int(video.frames[number])) for number in pick.frames])
        if frames.shape[1] != self.resolution:
            raise DataError(
                f"{self._archive.names[video.frames[0]]} is not of {self.resolution} px, as the first video"
            )
        return frames[:, :, ::-1] if flip else frames

    def _open(self, member: int) -> np.ndarray:
        name = self._archive.names[member]
        data = self._archive.read(member)
        with image_faults(f"{name} is not a readable image; see `stylegan-v data check`"):
            pixels = decode_jpeg(data)
            if pixels is None:
                with open_image(data) as image:
                    pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
        if pixels.shape[0] != pixels.shape[1]:
            raise DataError(f"{name} is {pixels.shape[1]}x{pixels.shape[0]}, expected a square; convert the data")
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
    """A folder of video files, at any depth, or one; cut to the middle square and scaled as `data convert` does.

    Every file is decoded once to count its frames. Those that cannot be read are named in `notes` and left
    out. Raises `DataError` if no video is left, `DecoderMissing` if PyAV is not installed.
    """

    def __init__(self, path: str, resolution: int, mirror: bool = False):
        self.name, self.resolution = str(path), resolution
        found = find_video_files(path)
        with ThreadPoolExecutor(default_workers()) as pool:
            counts = list(pool.map(_count_frames, found))
        self._files = [file for file, count in zip(found, counts, strict=True) if count]
        self._counts = [count for count in counts if count]
        unreadable = [file.name for file, count in zip(found, counts, strict=True) if not count]
        if not self._files:
            raise DataError(f"{path}: none of {len(found)} video files can be read; convert them to mp4")
        if unreadable:
            self.notes = (
                f"{len(unreadable)} of {len(found)} video files in {path} cannot be read: {_some(unreadable)}",
            )
        self.mirrored = len(self._files) if mirror else 0
        self._reader: tuple[Path, int, Any] | None = None

    @property
    def lengths(self) -> list[int]:
        return self._counts * (2 if self.mirrored else 1)

    def video_name(self, video: int) -> str:
        flip = " mirrored" if video >= len(self._files) else ""
        return self._files[video % len(self._files)].name + flip

    @cached_property
    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for file in self._files:
            status = file.stat()
            digest.update(json.dumps([str(file.absolute()), status.st_size, status.st_mtime_ns]).encode())
        return digest.hexdigest()

    def read(self, picks: Sequence[Pick]) -> list[np.ndarray]:
        return [self._read(pick) for pick in picks]

    def _read(self, pick: Pick) -> np.ndarray:
        file, flip = self._files[pick.video % len(self._files)], pick.video >= len(self._files)
        frames = []
        for number in pick.frames:
            frame = self._frame(file, int(number))
            frames.append(frame[:, ::-1] if flip else frame)
        return np.stack(frames)

    def _frame(self, file: Path, number: int) -> np.ndarray:
        """A frame; the decoder of the last one goes on where that serves."""
        if self._reader is None or self._reader[0] != file or self._reader[1] > number:
            self.close()
            self._reader = (file, 0, iter(VideoReader(str(file), Geometry((self.resolution, self.resolution)))))
        _, at, frames = self._reader
        for frame in frames:
            at += 1
            if at > number:
                self._reader = (file, at, frames)
                return frame
        raise DataError(f"{file} ends before frame {number}; it had {self._counts[self._files.index(file)]} before")

    def close(self) -> None:
        """End the decoder that is still running."""
        if self._reader is not None:
            self._reader[2].close()
            self._reader = None


def find_video_files(path: str | Path) -> list[Path]:
    """Video files at a path, in natural order; none where it is something else."""
    path = Path(path)
    if path.is_file():
        return [path] if path.suffix.lower() in VIDEO_SUFFIXES else []
    names = [name for name in files_below(path) if name.lower().endswith(VIDEO_SUFFIXES)] if path.is_dir() else []
    return [path / name for name in sorted(names, key=natural_key) if not is_hidden(name)]


def _count_frames(file: Path) -> int:
    """Frames that can be decoded; 0 where there are none."""
    try:
        return sum(1 for _ in VideoReader(str(file), Geometry((_TINY, _TINY))))
    except FfmpegError:
        return 0


class GeneratedVideos(VideoSource):
    """What a generator makes: video i is the one of seed i, the same that `gen_video.py --seeds=i` writes.

    Its class, and the time of a single frame, are those of a random video of `like`, by seed. Frames of
    an image model have no time. Raises `ValueError` for a conditional model where `like` has no classes.
    """

    def __init__(self, generator: Any, device: torch.device, like: VideoSource, name: str = "network"):
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
        return _pixels(clip.unpack_strip(strip)[:, 0])

    @torch.inference_mode()
    def _clip(self, pick: Pick) -> np.ndarray:
        G = self._generator
        times = torch.from_numpy(np.asarray(pick.frames, dtype=np.float64))
        ws = G.mapping(*self._latent(pick.video), t=times[None])
        content, motion = ws[:, : G.num_ws], ws[:, G.num_ws :]
        parts = [
            _pixels(clip.unpack_strip(G.synthesis(torch.cat([content, rows], dim=1), noise_mode="const"))[0])
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
    """A data set, or a folder of video files scaled to `resolution`. Raises `DataError` where it is neither."""
    return VideoFiles(path, resolution or 256, mirror) if find_video_files(path) else DatasetVideos(path, mirror)


def _some(names: Sequence[str], most: int = 3) -> str:
    """The first few of many names."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
