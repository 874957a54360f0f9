"""Videos of any length and start, chunk by chunk: memory and time a frame do not depend on either."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, tee
from typing import Any

import numpy as np
import torch

from stylegan_v_ext.generate import tracks
from stylegan_v_ext.generate.latents import VideoLatents
from stylegan_v_ext.generate.layout import Layout
from stylegan_v_ext.generate.tracks import Motion, Video
from stylegan_v_ext.networks.anchor_noise import NoiseSource, seeded_noise, seeds_from_latents
from stylegan_v_ext.networks.generator import VideoGenerator
from stylegan_v_ext.strip import unpack_strip

CHUNK_FRAMES = 16
_QUEUEING_DEVICES = ("cuda", "mps")  # they take work and go on by themselves
_MOTION_FRAMES = 256  # motion vectors are small, and neighbours share most of the work


@dataclass(frozen=True)
class VideoName:
    """What a video is a function of: seeds of content and motion (`None`: the content's own), and class."""

    content_seed: int
    motion_seed: int | None = None
    class_index: int | None = None


Source = VideoName | VideoLatents
"""Where content or motion comes from: seeds, or latents that were found."""


def frame_times(num_frames: int, start: float = 0, speed: float = 1) -> Iterator[float]:
    """Times start, start + speed, ... in frames of the training data."""
    return (start + speed * frame for frame in range(num_frames))


class VideoSampler:
    """Makes frames of videos with a generator in eval mode.

    Args:
        truncation_psi: Of contents that seeds name; 1 for the full variety, towards 0 for the average video.
    """

    def __init__(self, generator: VideoGenerator, device: torch.device, truncation_psi: float = 1) -> None:
        self.generator = generator.eval().to(device)
        self.device, self.truncation_psi = device, truncation_psi

    @torch.inference_mode()
    def content(self, source: Source) -> torch.Tensor:
        """Content rows `[1, num_ws, w_dim]`."""
        if isinstance(source, VideoLatents):
            return source.w.to(self.device)
        classes = self.classes(source.class_index)
        return self.generator.mapping(self._latent(source), classes, truncation_psi=self.truncation_psi)

    def noise(self, source: Source) -> NoiseSource:
        """The noise that a motion comes from."""
        if isinstance(source, VideoLatents):
            return source.noise()
        return seeded_noise([self.motion_seed(source)], self.generator.mapping.motion.z_dim)

    def motion_seed(self, name: VideoName) -> int:
        """The seed of its motion, named or its content's own."""
        return seeds_from_latents(self._latent(name))[0] if name.motion_seed is None else name.motion_seed

    def motion(self, source: Source, loop: float | None = None) -> Motion:
        """How a source moves.

        Args:
            loop: Make it come back after that many frames.
        """
        network, classes = self.generator.mapping.motion, self.classes(source.class_index)
        assert network is not None, "an image model has no motion"
        if loop is not None:
            return tracks.looped_motion(network, classes, self.noise(source), loop)
        return tracks.network_motion(network, classes, self.noise(source))

    def video(self, source: Source) -> Video:
        """The video of a source, as it is."""
        return Video(tracks.still(self.content(source)), self.motion(source))

    def render(self, video: Video, times: Iterable[float], chunk_frames: int = CHUNK_FRAMES) -> Iterator[np.ndarray]:
        """Frames uint8 `[H, W, C]` of a video at these times.

        A GPU works on the next chunk while this one is copied and its frames are used.
        """
        chunks = (_fetch(_pixels(strip)) for strip in self.strips(video, times, chunk_frames))
        for chunk in one_ahead(chunks) if self.device.type in _QUEUEING_DEVICES else chunks:
            yield from chunk()

    @torch.inference_mode()
    def _motion_vectors(self, video: Video, block: list[float]) -> torch.Tensor:
        return video.motion(torch.tensor(block, dtype=torch.float64))

    def strips(self, video: Video, times: Iterable[float], chunk_frames: int = CHUNK_FRAMES) -> Iterator[torch.Tensor]:
        """Frames `[F, C, H, W]` in -1 ... 1 of a video at these times, some at a time."""
        times = iter(times)
        number = 0
        while block := list(islice(times, _MOTION_FRAMES)):
            for vectors in self._motion_vectors(video, block).split(chunk_frames):
                with torch.inference_mode():
                    content = video.content(torch.arange(number, number + len(vectors), dtype=torch.float64))
                    frames = self.synthesize(content.to(self.device), vectors.to(self.device, torch.float32))
                yield frames
                number += len(vectors)

    def synthesize(self, content: torch.Tensor, motion: torch.Tensor) -> torch.Tensor:
        """Frames `[F, C, H, W]` from content rows `[1 or F, num_ws, w_dim]` and motion vectors `[F, w_dim]`."""
        motion = motion[None] if len(content) == 1 else motion[:, None]
        strip = self.generator.synthesis(torch.cat([content, motion], dim=1), noise_mode="const")
        return unpack_strip(strip).flatten(0, 1)

    def frames(self, name: Source, times: Iterable[float], chunk_frames: int = CHUNK_FRAMES) -> Iterator[np.ndarray]:
        """Frames uint8 `[H, W, C]` of a source at these times."""
        return self.render(self.video(name), times, chunk_frames)

    def grid(self, videos: Sequence[Video], layout: Layout, times: Iterable[float]) -> Iterator[np.ndarray]:
        """Frames of several videos in one picture."""
        streams = [self.render(video, copy) for video, copy in zip(videos, tee(times, len(videos)), strict=True)]
        for cells in zip(*streams, strict=True):
            yield layout.compose(cells)

    @torch.inference_mode()
    def image(self, name: VideoName) -> np.ndarray:
        """The single picture `[H, W, 3]` of an image generator."""
        content = self.generator.mapping(
            self._latent(name), self.classes(name.class_index), truncation_psi=self.truncation_psi
        )
        return to_uint8(self.generator.synthesis(content, noise_mode="const"))[0]

    def _latent(self, name: VideoName) -> torch.Tensor:
        z = np.random.RandomState(name.content_seed).randn(1, self.generator.z_dim)
        return torch.from_numpy(z).to(self.device, torch.float32)

    def classes(self, class_index: int | None) -> torch.Tensor:
        """Class part `[1, K]`."""
        num_classes = self.generator.num_classes
        classes = torch.zeros([1, num_classes], device=self.device)
        if num_classes and class_index is not None:
            classes[0, class_index] = 1
        return classes


def to_uint8(frames: torch.Tensor) -> np.ndarray:
    """Frames `[F, C, H, W]` in -1 ... 1 -> uint8 `[F, H, W, C]`."""
    return _pixels(frames).cpu().numpy()


def _fetch(pixels: torch.Tensor) -> Callable[[], np.ndarray]:
    """Begin to copy from a GPU; calling the result waits for this copy, not for work that was begun after it."""
    if pixels.device.type != "cuda":
        return lambda: pixels.cpu().numpy()
    copied, done = pixels.to("cpu", non_blocking=True), torch.cuda.Event()
    done.record(torch.cuda.current_stream(pixels.device))

    def wait() -> np.ndarray:
        done.synchronize()
        return copied.numpy()

    return wait


def _pixels(frames: torch.Tensor) -> torch.Tensor:
    return (frames * 127.5 + 128).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def one_ahead(items: Iterable[Any]) -> Iterator[Any]:
    """Items in their order, each handed out when the next one has been begun."""
    ahead = deque[Any]()
    for item in items:
        ahead.append(item)
        if len(ahead) > 1:
            yield ahead.popleft()
    yield from ahead
