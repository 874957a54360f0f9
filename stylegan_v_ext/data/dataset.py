"""The training set: each item is a few frames of a video, with the class of the video and the times of the frames."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

import dnnlib
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.findings import count
from stylegan_v_ext.data.fingerprint import fingerprint
from stylegan_v_ext.data.metadata import Metadata, class_sizes, read_metadata
from stylegan_v_ext.data.opening import convert_command, open_dataset
from stylegan_v_ext.data.pictures import decode_frame, side_of_frames
from stylegan_v_ext.timestamps import TimestampSampler

_OTHER_CLASSES = "start a new run from the model (train --data=... --resume=SNAPSHOT.pkl)"


class SparseVideoDataset(torch.utils.data.Dataset):
    """Clips of F frames as strips, each with a label that holds its class and the times of its frames.

    Item i is `(uint8 [3, F * H, W], float32 [K + F])`: F newly sampled frames of video i, one below the other, and a
    label of a one-hot class and F times in frames. Only these frames are read. All arguments are plain JSON.

    Args:
        path: A zip, a folder, shards or an address.
        resolution: Side H of the frames in pixels that the data must have; None takes it from the data.
        use_labels: Whether to read classes from `dataset.json`.
        num_classes: Number of classes K; None takes it from the data if `use_labels`, and is 0 otherwise.
        xflip: Whether to append a mirrored copy of every video.
        max_size: Number of videos to keep, chosen at random; None keeps all.
        random_seed: Seed of this choice.
        num_frames: Number of frames F of a clip; see `TimestampSampler`.
        max_num_frames: Number of frames at the beginning of a video that are used; see `TimestampSampler`.
        max_dist: Largest distance between the first and the last frame of a clip, in frames; see `TimestampSampler`.
        sampling: How frames are chosen, "random" or "uniform"; see `TimestampSampler`.
        spans: Distances between the first and the last frame to choose from; None means all powers of two.
        exclude: Folders of videos to leave out.

    Attributes:
        path: Path of the data set, as it was given.
        name: Name of the data set.
        num_frames: Number of frames F of a clip.
        sampler: Chooses the times of the frames.
        resolution: Side H of the frames in pixels.
        num_classes: Number of classes K; 0 without classes.
        class_sizes: (name or number of a class, number of its videos); empty without classes.
        fps: Frames a second; None if they are not recorded.
        motion_distance: Recommended number of frames between motion anchors; None if it is not recorded.

    Raises:
        DataError: If the data set cannot be opened, or cannot be trained on with these arguments.
    """

    def __init__(
        self,
        path: str,
        *,
        resolution: int | None = None,
        use_labels: bool = False,
        num_classes: int | None = None,
        xflip: bool = False,
        max_size: int | None = None,
        random_seed: int = 0,
        num_frames: int = 3,
        max_num_frames: int = 1024,
        max_dist: int = 32,
        sampling: str = "random",
        spans: Sequence[int] | None = None,
        exclude: Sequence[str] = (),
    ) -> None:
        self.path = path
        self.name = Path(path).stem
        self.num_frames = num_frames
        self.sampler = TimestampSampler(num_frames, max_num_frames, max_dist, sampling, spans)
        self._archive, videos = open_dataset(path)
        excluded = set(exclude)
        self._videos = [video for video in videos if video.folder not in excluded]
        if not self._videos:
            raise DataError(f"all videos of {path} are left out; use a data set with sound videos")
        short = next((video for video in self._videos if len(video) < num_frames), None)
        if short is not None:
            raise DataError(
                f"{path}: {short} has {count(len(short), 'frame')}, a clip needs {num_frames}; take it out, or train "
                "with --skip-bad"
            )
        metadata = read_metadata(self._archive, videos)
        self.fps, self.motion_distance = metadata.fps, metadata.motion_distance
        first = self._videos[0].frames[0]
        self.resolution = side_of_frames(self._archive.read(first), self._archive.names[first])
        if resolution is not None and resolution != self.resolution:
            command = convert_command(path, resolution)
            raise DataError(f"{path} has resolution {self.resolution}, not {resolution}; {command} converts it")
        self.num_classes = self._count_classes(metadata, num_classes, use_labels=use_labels)
        self._classes = [metadata.labels.get(video.folder, 0) for video in self._videos]
        listed = {**metadata.labels, **metadata.as_listed}
        # The fingerprint uses the classes as listed, so that old runs recognise their data.
        self._listed = [listed.get(video.folder, 0) for video in self._videos]
        self.class_sizes = class_sizes(metadata, self._videos) if self.num_classes else []

        order = np.arange(len(self._videos))
        if max_size is not None and max_size < len(order):
            order = np.sort(np.random.RandomState(random_seed).permutation(order)[:max_size])
        self._items = [(int(video), False) for video in order]
        if xflip:
            self._items += [(video, True) for video, _ in self._items]

    def _count_classes(self, metadata: Metadata, num_classes: int | None, *, use_labels: bool) -> int:
        """Return the number of classes K. Raises `DataError` if classes are used and a video has no class below K."""
        wanted = num_classes if num_classes is not None else (None if use_labels else 0)
        if wanted == 0:
            return 0
        if not (metadata.labels or metadata.unusable):
            ways = "train without --cond" if num_classes is None else _OTHER_CLASSES
            raise DataError(f"{self.path} has no labels; add them to its dataset.json, or {ways}")
        without = next((video for video in self._videos if video.folder not in metadata.labels), None)
        if without is not None:
            cure = "mend dataset.json, or train with --skip-bad or without --cond"
            raise DataError(f"{self.path}: {without} {metadata.reason(without).text}; {cure}")
        if wanted is not None and metadata.num_classes > wanted:
            raise DataError(
                f"{self.path} has {metadata.num_classes} classes, more than the {wanted} of the model; give data of at "
                f"most {wanted} classes, or {_OTHER_CLASSES}"
            )
        return metadata.num_classes if wanted is None else wanted

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        video, flip = self._items[index]
        frames = self._videos[video].frames
        t = self.sampler(len(frames))
        strip = np.concatenate([self._frame(frames[int(time)]) for time in t])
        if flip:
            strip = strip[:, ::-1]
        return np.ascontiguousarray(strip.transpose(2, 0, 1)), self._label(video, t)

    def _frame(self, member: int) -> np.ndarray:
        return decode_frame(self._archive.read(member), self._archive.names[member], self.resolution)

    def _label(self, video: int, t: np.ndarray) -> np.ndarray:
        return np.concatenate([self._one_hot(video), t]).astype(np.float32)

    def _one_hot(self, video: int) -> np.ndarray:
        row = np.zeros(self.num_classes, dtype=np.float32)
        if self.num_classes:
            row[self._classes[video]] = 1
        return row

    def get_label(self, index: int) -> np.ndarray:
        """Return the label of an item with new random times.

        Args:
            index: Number of the item.

        Returns:
            One-hot class and times with a random fraction of a frame, float32 `[K + F]`.
        """
        video, _ = self._items[index]
        return self._label(video, self.sampler(len(self._videos[video]), fractional=True))

    def get_details(self, index: int) -> dnnlib.EasyDict:
        """Describe an item.

        Args:
            index: Number of the item.

        Returns:
            `raw_idx` (number of the video), `xflip` (whether it is mirrored), `raw_label` (one-hot class), `folder` and
            `num_frames` of the video.
        """
        video, flip = self._items[index]
        return dnnlib.EasyDict(
            raw_idx=video,
            xflip=flip,
            raw_label=self._one_hot(video),
            folder=self._videos[video].folder,
            num_frames=len(self._videos[video]),
        )

    def fingerprint(self) -> dict[str, str]:
        """Return the fingerprint of the data, which does not depend on their place; see `data.fingerprint`."""
        hints = {"resolution": self.resolution, "fps": self.fps, "motion_distance": self.motion_distance}
        return fingerprint(self._archive, self._videos, self._listed, hints)

    def read_video(self, index: int, start: int = 0, num_frames: int | None = None, stride: int = 1) -> np.ndarray:
        """Read consecutive frames of a video.

        Args:
            index: Number of the item.
            start: Number of the first frame.
            num_frames: Number of consecutive frames; None reads to the end.
            stride: Distance between two frames that are read, in frames.

        Returns:
            Pixels, uint8 `[T, 3, H, W]`.
        """
        video, flip = self._items[index]
        members = self._videos[video].frames[start : None if num_frames is None else start + num_frames : stride]
        frames = np.stack([self._frame(member) for member in members]).transpose(0, 3, 1, 2)
        return frames[..., ::-1] if flip else frames

    @property
    def num_channels(self) -> int:
        """Number of colour channels."""
        return 3

    @property
    def image_shape(self) -> list[int]:
        """Shape of an item's strip: `[3, F * H, W]`."""
        return [3, self.num_frames * self.resolution, self.resolution]

    @property
    def label_dim(self) -> int:
        """Length of a label: K + F."""
        return self.num_classes + self.num_frames

    @property
    def label_shape(self) -> list[int]:
        """Shape of a label: `[K + F]`."""
        return [self.label_dim]

    @property
    def has_labels(self) -> bool:
        """Whether the data have classes."""
        return self.num_classes > 0

    @property
    def has_onehot_labels(self) -> bool:
        """Whether labels hold a one-hot class."""
        return self.has_labels
