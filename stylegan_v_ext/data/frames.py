"""Every frame of a video data set as an image, for metrics that know nothing of time."""

from typing import Any

import numpy as np

from stylegan_v_ext.data.dataset import SparseVideoDataset


class FrameDataset(SparseVideoDataset):
    """All frames of all videos of a `SparseVideoDataset`, which takes the same arguments.

    Item i is `(uint8 [3, H, W], float32 [K + 1])`: a frame with its class and time. Labels from
    `get_label` have the class of item i's video and a random time, so that a generator makes one frame
    for each. max_size: of the videos.
    """

    def __init__(self, path: str, num_frames: int = 1, **kwargs: Any) -> None:
        super().__init__(path, num_frames=num_frames, **kwargs)
        self.num_frames = 1
        lengths = [len(self._videos[video]) for video, _ in self._items]
        self._starts = np.concatenate([[0], np.cumsum(lengths)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def _locate(self, index: int) -> tuple[int, int]:
        """(item of the video data set, frame number) of a frame."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        index %= len(self)
        item = int(np.searchsorted(self._starts, index, side="right")) - 1
        return item, index - int(self._starts[item])

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        item, frame = self._locate(index)
        video, _ = self._items[item]
        return self.read_video(item, frame, 1)[0].copy(), self._label(video, np.array([frame]))

    def get_label(self, index: int) -> np.ndarray:
        """Class of frame `index` and a random time within its video: `[K + 1]` float32."""
        item, _ = self._locate(index)
        video, _ = self._items[item]
        length = min(len(self._videos[video]), self.sampler.max_num_frames)
        return self._label(video, np.array([np.random.uniform(0, length - 1)]))

    def get_details(self, index: int) -> Any:
        return super().get_details(self._locate(index)[0])
