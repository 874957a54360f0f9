"""The training set: a few frames of a video an item, with their class and timestamps."""

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
    """Clips of F frames as strips, each with a label of its class and timestamps.

    Item i is `(uint8 [3, F*H, W], float32 [K + F])` of freshly sampled frames of video i; only these
    are read. The arguments are plain JSON.

    Args:
        path: Zip, folder or shards.
        resolution: H that the data has to have, `None` takes it from the data.
        use_labels: Read classes from `dataset.json`.
        num_classes: K, overriding `use_labels`.
        xflip: Append a mirrored copy of every video.
        max_size: Keep that many random videos, chosen by `random_seed`.
        num_frames, max_num_frames, max_dist, sampling, spans: Of `TimestampSampler`.
        exclude: Video folders to leave out.

    Raises:
        DataError: Naming what is wrong.
    """

    def __init__(
        self,
        path: str,
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
            raise DataError(f"{path} holds no videos but those that are left out; take sound ones")
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
            raise DataError(f"{path} has resolution {self.resolution}, not {resolution}; {command} makes it so")
        self.num_classes = self._count_classes(metadata, use_labels, num_classes)
        self._classes = [metadata.labels.get(video.folder, 0) for video in self._videos]
        listed = {**metadata.labels, **metadata.as_listed}
        self._listed = [listed.get(video.folder, 0) for video in self._videos]  # so that old runs know their data
        self.class_sizes = class_sizes(metadata, self._videos) if self.num_classes else []

        order = np.arange(len(self._videos))
        if max_size is not None and max_size < len(order):
            order = np.sort(np.random.RandomState(random_seed).permutation(order)[:max_size])
        self._items = [(int(video), False) for video in order]
        if xflip:
            self._items += [(video, True) for video, _ in self._items]

    def _count_classes(self, metadata: Metadata, use_labels: bool, num_classes: int | None) -> int:
        """The number of classes K. Raises `DataError` if classes are asked for and a video has no class below K."""
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
        """Class of item `index` and new random timestamps, with a fractional offset: `[K + F]` float32."""
        video, _ = self._items[index]
        return self._label(video, self.sampler(len(self._videos[video]), fractional=True))

    def get_details(self, index: int) -> dnnlib.EasyDict:
        """`raw_idx` (video number), `xflip`, `raw_label` (class part), `folder` and `num_frames` of an item."""
        video, flip = self._items[index]
        return dnnlib.EasyDict(
            raw_idx=video,
            xflip=flip,
            raw_label=self._one_hot(video),
            folder=self._videos[video].folder,
            num_frames=len(self._videos[video]),
        )

    def fingerprint(self) -> dict[str, str]:
        """What tells these data from others, wherever they lie (`stylegan_v_ext.data.fingerprint`)."""
        hints = {"resolution": self.resolution, "fps": self.fps, "motion_distance": self.motion_distance}
        return fingerprint(self._archive, self._videos, self._listed, hints)

    def read_video(self, index: int, start: int = 0, num_frames: int | None = None, stride: int = 1) -> np.ndarray:
        """Every stride-th of `num_frames` consecutive frames of item `index`, uint8 `[T, 3, H, W]`."""
        video, flip = self._items[index]
        members = self._videos[video].frames[start : None if num_frames is None else start + num_frames : stride]
        frames = np.stack([self._frame(member) for member in members]).transpose(0, 3, 1, 2)
        return frames[..., ::-1] if flip else frames

    @property
    def num_channels(self) -> int:
        return 3

    @property
    def image_shape(self) -> list[int]:
        return [3, self.num_frames * self.resolution, self.resolution]

    @property
    def label_dim(self) -> int:
        return self.num_classes + self.num_frames

    @property
    def label_shape(self) -> list[int]:
        return [self.label_dim]

    @property
    def has_labels(self) -> bool:
        return self.num_classes > 0

    @property
    def has_onehot_labels(self) -> bool:
        return self.has_labels
