"""Pictures and videos of what a run has learned so far."""

from pathlib import Path

import numpy as np
import torch

from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.generate.formats import FASTEST, SLOWEST
from stylegan_v_ext.generate.layout import Layout, tile
from stylegan_v_ext.generate.sampler import VideoName, VideoSampler, frame_times
from stylegan_v_ext.generate.writers import write_png, write_video
from stylegan_v_ext.networks.generator import VideoGenerator

_STEP = 4  # frames between the pictures of a row
_VIDEO_FRAMES = 64
_DEFAULT_FPS = 25.0


class SampleSheets:
    """Writes `reals.png`, `fakes*.png` (a video a row, time to the right) and `fakes*.mp4` into a run folder.

    The MP4 shows the same contents twice: on the left every video with its own motion, on the right all videos with the
    same motion. Seeds are 0, 1, ..., so that sheets of all times and runs can be compared.

    Args:
        run_dir: Run folder.
        dataset: Training set.
        seed: Seed of the choice of real videos.
    """

    def __init__(self, run_dir: str | Path, dataset: SparseVideoDataset, seed: int = 0) -> None:
        self.run_dir, self.dataset = Path(run_dir), dataset
        self.rows = self.columns = int(np.clip(1024 // dataset.resolution, 4, 8))
        self.items = np.random.RandomState(seed).permutation(len(dataset))[: self.rows]
        self.names = [VideoName(row, class_index=self._class_of_row(row)) for row in range(self.rows)]
        self.fps = min(max(dataset.fps or _DEFAULT_FPS, SLOWEST), FASTEST)  # what a data set says may be anything

    def _class_of_row(self, row: int) -> int | None:
        """Return the class of the real video in a row, so that sheets of reals and fakes can be compared."""
        if not self.dataset.has_labels:
            return None
        item = self.items[row % len(self.items)]
        return int(self.dataset.get_details(int(item)).raw_label.argmax())

    def save_reals(self) -> None:
        """Write rows of real frames, `_STEP` frames apart if the videos are long enough."""
        images = []
        for item in self.items:
            video = self.dataset.read_video(int(item), num_frames=self.columns * _STEP)
            picked = np.linspace(0, len(video) - 1, self.columns).round().astype(int)
            images += [frame.transpose(1, 2, 0) for frame in video[picked]]
        write_png(self.run_dir / "reals.png", tile(images, self.columns))

    def save_fakes(self, generator: VideoGenerator, device: torch.device, name: str) -> None:
        """Write `{name}.png`, and for video generators `{name}.mp4`.

        Args:
            generator: Generator in evaluation mode.
            device: Device of the generator.
            name: Name of the files without ending.
        """
        sampler = VideoSampler(generator, device)
        if self.dataset.num_frames == 1:
            seeds = range(self.rows * self.columns)
            images = [
                sampler.image(VideoName(seed, class_index=self._class_of_row(seed // self.columns))) for seed in seeds
            ]
            write_png(self.run_dir / f"{name}.png", tile(images, self.columns))
            return
        times = list(frame_times(self.columns, speed=_STEP))
        images = [frame for video in self.names for frame in sampler.frames(video, times)]
        write_png(self.run_dir / f"{name}.png", tile(images, self.columns))
        own = self.names[:4]
        shared = [VideoName(video.content_seed, own[0].content_seed, video.class_index) for video in own]
        cells = [sampler.scene(name) for name in (*own[:2], *shared[:2], *own[2:], *shared[2:])]
        frames = sampler.grid(cells, Layout(4, 2), frame_times(_VIDEO_FRAMES))
        write_video(self.run_dir / f"{name}.mp4", frames, self.fps)
