"""Videos of any length and start, chunk by chunk: memory and time a frame do not depend on either."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, tee

import numpy as np
import PIL.Image
import torch

from stylegan_v_ext import clip
from stylegan_v_ext.networks.generator import VideoGenerator
from stylegan_v_ext.networks.noise import seeds_from_latents

CHUNK_FRAMES = 16
_MOTION_FRAMES = 256  # motion rows are small, and neighbours share most of the work


@dataclass(frozen=True)
class VideoName:
    """What a video is a function of: seeds of content and motion (`None`: the content's own), and class."""

    content_seed: int
    motion_seed: int | None = None
    class_index: int | None = None


def frame_times(num_frames: int, start: float = 0, speed: float = 1) -> Iterator[float]:
    """Times start, start + speed, ... in frames of the training data."""
    return (start + speed * frame for frame in range(num_frames))


class VideoSampler:
    """Makes frames of named videos with a generator in eval mode.

    truncation_psi: 1 for the full variety, towards 0 for the average video.
    """

    def __init__(self, generator: VideoGenerator, device: torch.device, truncation_psi: float = 1):
        self.generator = generator.eval().to(device)
        self.device, self.truncation_psi = device, truncation_psi

    def frames(self, name: VideoName, times: Iterable[float], chunk_frames: int = CHUNK_FRAMES) -> Iterator[np.ndarray]:
        """Frames uint8 `[H, W, 3]` at these times."""
        z, classes = self._latent(name), self._class_part(name.class_index)
        seeds = seeds_from_latents(z) if name.motion_seed is None else [name.motion_seed]
        mapping = self.generator.mapping
        with torch.inference_mode():
            content = mapping(z, classes, truncation_psi=self.truncation_psi)
        times = iter(times)
        while block := list(islice(times, _MOTION_FRAMES)):
            with torch.inference_mode():
                rows = mapping.motion_rows(torch.tensor([block], dtype=torch.float64), classes, seeds)
            for motion in rows.split(chunk_frames, dim=1):
                with torch.inference_mode():
                    strip = self.generator.synthesis(torch.cat([content, motion], dim=1), noise_mode="const")
                    images = to_uint8(clip.unpack_strip(strip)[0])
                yield from images

    @torch.inference_mode()
    def image(self, name: VideoName) -> np.ndarray:
        """The single picture `[H, W, 3]` of an image generator."""
        z, classes = self._latent(name), self._class_part(name.class_index)
        content = self.generator.mapping(z, classes, truncation_psi=self.truncation_psi)
        return to_uint8(self.generator.synthesis(content, noise_mode="const"))[0]

    def _latent(self, name: VideoName) -> torch.Tensor:
        z = np.random.RandomState(name.content_seed).randn(1, self.generator.z_dim)
        return torch.from_numpy(z).to(self.device, torch.float32)

    def grid(self, names: Sequence[VideoName], columns: int, rows: int, times: Iterable[float]) -> Iterator[np.ndarray]:
        """Frames of several videos side by side, uint8 `[rows*H, columns*W, 3]`; missing cells are black."""
        streams = [self.frames(name, copy) for name, copy in zip(names, tee(times, len(names)), strict=True)]
        for cells in zip(*streams, strict=True):
            yield tile(cells, columns, rows)

    def _class_part(self, class_index: int | None) -> torch.Tensor:
        num_classes = self.generator.num_classes
        classes = torch.zeros([1, num_classes], device=self.device)
        if num_classes and class_index is not None:
            classes[0, class_index] = 1
        return classes


def to_uint8(frames: torch.Tensor) -> np.ndarray:
    """Frames `[F, C, H, W]` in -1 ... 1 -> uint8 `[F, H, W, C]`."""
    pixels = (frames * 127.5 + 128).clamp(0, 255).to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).cpu().numpy()


def resized(image: np.ndarray, size: int) -> np.ndarray:
    """An image `[H, W, 3]` at `[size, size, 3]`, itself if it has that size."""
    if image.shape[:2] == (size, size):
        return image
    return np.asarray(PIL.Image.fromarray(image).resize((size, size), PIL.Image.Resampling.LANCZOS))


def tile(images: Sequence[np.ndarray], columns: int, rows: int | None = None) -> np.ndarray:
    """Images `[H, W, 3]` in rows of `columns`; missing cells are black. rows: `None` for as many as it takes."""
    height, width, channels = images[0].shape
    rows = -(-len(images) // columns) if rows is None else rows
    canvas = np.zeros([rows * height, columns * width, channels], dtype=images[0].dtype)
    for number, image in enumerate(images):
        top, left = divmod(number, columns)
        canvas[top * height : (top + 1) * height, left * width : (left + 1) * width] = image
    return canvas
