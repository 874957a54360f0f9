"""The videos of a generator as a source for metrics."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from stylegan_v_ext.metrics.video_source import Pick, VideoSource
from stylegan_v_ext.strip import unpack_strip

if TYPE_CHECKING:
    from stylegan_v_ext.networks.generator import VideoGenerator

_FRAMES_AT_ONCE = 16  # frames that a generator makes in one call


class GeneratedVideos(VideoSource):
    """Videos of a generator: video i has seed i, and is the video that `gen_video.py --seeds=i` writes.

    A random video of `like`, chosen by the seed, gives the class of a video and the time of a single frame.
    Frames of an image model have no time.

    Args:
        generator: The network. It is moved to the device and put into eval mode.
        device: Where it computes.
        like: Videos whose lengths and classes the generated videos have.
        name: Name of the source in the protocol.

    Raises:
        ValueError: If the model has classes and a video of `like` has no class, or a class that the model lacks.
    """

    def __init__(
        self, generator: "VideoGenerator", device: torch.device, like: VideoSource, name: str = "network"
    ) -> None:
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
        """Return the pick of one frame of video `seed`, at a random time that the data have."""
        video, random = self._model_video(seed)
        length = self._ends[video] - (self._ends[video - 1] if video else 0)
        return Pick(seed, np.array([random.uniform(0, length - 1)]))

    def _model_video(self, seed: int) -> tuple[int, np.random.RandomState]:
        """Choose a video of the data, long videos more often; return it with a generator for later choices."""
        random = np.random.RandomState([seed, 1])  # its latent has RandomState(seed)
        return int(np.searchsorted(self._ends, random.randint(self._ends[-1]), side="right")), random

    def video_name(self, video: int) -> str:
        """Return the seed of a video in words."""
        return f"seed {video}"

    def read(self, picks: Sequence[Pick]) -> list[np.ndarray]:
        """Generate frames, see `VideoSource.read`; picks of one frame each are generated in one batch."""
        if all(len(pick.frames) == 1 for pick in picks):
            return [frame[None] for frame in self._frames(picks)]
        return [self._clip(pick) for pick in picks]

    @torch.inference_mode()
    def _frames(self, picks: Sequence[Pick]) -> np.ndarray:
        """Generate one frame for each pick, `[N, H, W, 3]`."""
        z, classes = (torch.cat(parts) for parts in zip(*(self._latent(pick.video) for pick in picks), strict=True))
        times = torch.from_numpy(np.stack([pick.frames for pick in picks]))
        t = {"t": times} if self._generator.num_frames > 1 else {}
        strip = self._generator.synthesis(self._generator.mapping(z, classes, **t), noise_mode="const")
        return _pixels(unpack_strip(strip)[:, 0])

    @torch.inference_mode()
    def _clip(self, pick: Pick) -> np.ndarray:
        """Generate the frames of one video, `[T, H, W, 3]`."""
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
        """Return the latent `[1, z_dim]` and the class part of the label `[1, K]` of a seed."""
        z = torch.from_numpy(np.random.RandomState(seed).randn(1, self._generator.z_dim))
        classes = torch.zeros([1, self._generator.num_classes])
        if self._classes is not None:
            classes[0, self._classes[self._model_video(seed)[0]]] = 1
        return z.to(self._device, torch.float32), classes.to(self._device)


def _pixels(frames: torch.Tensor) -> np.ndarray:
    """Convert frames `[N, C, H, W]` in -1 ... 1 to uint8 `[N, H, W, 3]`."""
    pixels = (frames * 127.5 + 128).clamp(0, 255).to(torch.uint8)
    return pixels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).cpu().numpy()
