"""Every frame of a video data set as an image, for metrics that do not use time."""

from typing import Any

import numpy as np

import dnnlib
from stylegan_v_ext.data.dataset import SparseVideoDataset


class FrameDataset(SparseVideoDataset):
    """All frames of all videos of a `SparseVideoDataset`.

    Item i is `(uint8 [3, H, W], float32 [K + 1])`: a frame with its class and its time. `get_label` gives the class of
    the video of item i and a random time, so that a generator makes one frame for each label.

    Args:
        path: A zip, a folder, shards or an address.
        num_frames: Number of frames that a video must have at least.
        arguments: All other arguments of `SparseVideoDataset`; `max_size` counts videos.
    """

    def __init__(self, path: str, *, num_frames: int = 1, **arguments: Any) -> None:  # noqa: ANN401
        super().__init__(path, num_frames=num_frames, **arguments)
        self.num_frames = 1
        lengths = [len(self._videos[video]) for video, _ in self._items]
        self._starts = np.concatenate([[0], np.cumsum(lengths)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def _locate(self, index: int) -> tuple[int, int]:
        """Return (item of the video data set, number of the frame in its video) of a frame."""
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
        """Return a label with the class of a frame and a random time within its video.

        Args:
            index: Number of the frame.

        Returns:
            One-hot class and time in frames, float32 `[K + 1]`.
        """
        item, _ = self._locate(index)
        video, _ = self._items[item]
        length = min(len(self._videos[video]), self.sampler.max_num_frames)
        return self._label(video, np.array([np.random.uniform(0, length - 1)]))

    def get_details(self, index: int) -> dnnlib.EasyDict:
        """Describe the item that holds a frame; see `SparseVideoDataset.get_details`."""
        return super().get_details(self._locate(index)[0])
