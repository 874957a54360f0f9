"""Videos of any length and any start, made in chunks: a frame takes the same memory and time anywhere."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, tee
from typing import TypeVar

import numpy as np
import torch

from stylegan_v_ext.arguments import MOST_SEEDS, number, whole
from stylegan_v_ext.execution import execution
from stylegan_v_ext.generate import tracks
from stylegan_v_ext.generate.formats import DEFAULT_FRAMES
from stylegan_v_ext.generate.latents import VideoLatents
from stylegan_v_ext.generate.layout import Layout
from stylegan_v_ext.generate.request import check_times
from stylegan_v_ext.generate.tracks import Motion, Scene
from stylegan_v_ext.generate.video import Video
from stylegan_v_ext.networks.anchor_noise import NoiseSource, seeded_noise, seeds_from_latents
from stylegan_v_ext.networks.generator import VideoGenerator
from stylegan_v_ext.strip import unpack_strip

CHUNK_FRAMES = 16
_QUEUEING_DEVICES = ("cuda", "mps")  # they take work and go on by themselves
_MOTION_FRAMES = 256  # motion vectors are small, and neighbours share most of the work


@dataclass(frozen=True)
class VideoName:
    """Seeds and class, of which a video is a function.

    Attributes:
        content_seed: Seed of the content, 0 to 2**32 - 1.
        motion_seed: Seed of the motion, 0 to 2**64 - 1; None for a motion that follows from the content.
        class_index: Class of a conditional network; None for a network without classes.

    Raises:
        ValueError: If a seed or the class is no whole number, or out of bounds.
    """

    content_seed: int
    motion_seed: int | None = None
    class_index: int | None = None

    def __post_init__(self) -> None:
        whole("seed", self.content_seed, low=0, high=MOST_SEEDS - 1)
        if self.motion_seed is not None:
            whole("motion_seed", self.motion_seed, low=0, high=2**64 - 1)
        if self.class_index is not None:
            whole("class_index", self.class_index, low=0)


Source = VideoName | VideoLatents
"""Where content or motion comes from: seeds, or latents that were found."""

_Item = TypeVar("_Item")


def frame_times(num_frames: int, start: float = 0, speed: float = 1) -> Iterator[float]:
    """Yield the times start, start + speed, ... of frames.

    Args:
        num_frames: How many times.
        start: Time of the first frame, in frames of the training data.
        speed: Time from frame to frame, in frames of the training data.
    """
    return (start + speed * frame for frame in range(num_frames))


def check_class(name: str, num_classes: int, class_index: int | None) -> None:
    """Check that there is a class if a network needs one, and that the network has it.

    Args:
        name: Name of the network, for the message.
        num_classes: Classes of the network; 0 for a network without classes.
        class_index: The class; None for no class.

    Raises:
        ValueError: If a class is missing, or if the network does not have it.
    """
    if num_classes and class_index is None:
        raise ValueError(f"{name} has {num_classes} classes; choose one with --class=0 ... --class={num_classes - 1}")
    if class_index is not None and class_index >= num_classes:
        bound = f"classes 0 to {num_classes - 1}" if num_classes else "no classes; leave --class out"
        raise ValueError(f"--class={class_index}: {name} has {bound}")


class VideoSampler:
    """Makes frames of videos with a generator.

    `stylegan_v_ext.load` makes a sampler of a checkpoint. `video` is all that most programs need; the other methods
    take a video apart into content and motion.

    Args:
        generator: A video generator; the sampler puts it into eval mode, on the device.
        device: Where it computes.
        truncation_psi: Truncation of contents that seeds name (StyleGAN, appendix B): 1 for the full variety, 0 for
            the average content.
    """

    def __init__(self, generator: VideoGenerator, device: torch.device, truncation_psi: float = 1) -> None:
        self.generator = generator.eval().to(device)
        self.device, self.truncation_psi = device, truncation_psi

    def video(
        self,
        seed: int = 0,
        *,
        motion_seed: int | None = None,
        latents: VideoLatents | None = None,
        frames: int = DEFAULT_FRAMES,
        start: float = 0.0,
        speed: float = 1.0,
        class_index: int | None = None,
        truncation: float = 1.0,
        fps: float = 25.0,
    ) -> Video:
        """Return a video by its seeds: the same seeds always give the same video.

        Args:
            seed: Seed of the content, 0 to 2**32 - 1.
            motion_seed: Seed of the motion, 0 to 2**64 - 1; None for a motion that follows from the content.
            latents: A video that was found or edited, in place of the seeds; None for the seeds.
            frames: Length in frames, from 1 on.
            start: Time of the first frame, in frames of the training data, -2**53 to 2**53.
            speed: Time from frame to frame, in frames of the training data: 0.25 is slow motion with new frames in
                between, 2 is double speed.
            class_index: Class of a conditional network; None for a network without classes, and with `latents`.
            truncation: Psi of the truncation (StyleGAN, appendix B): 1 for all the variety, 0.7 for safer pictures.
            fps: Frames a second of files that the video is written to.

        Returns:
            The video. Its frames are made when they are read.

        Raises:
            ValueError: If an argument is out of bounds, if the class is missing or the network does not have it, or if
                the latents are of another network.
        """
        frames, fps = whole("frames", frames, low=1), number("fps", fps)
        check_times(start, speed, frames)
        start, speed = float(start), float(speed)
        truncation = number("truncation", truncation)
        source: Source = VideoName(seed, motion_seed, class_index) if latents is None else latents
        if latents is None:
            check_class("the network", self.generator.num_classes, class_index)
        else:
            if not isinstance(latents, VideoLatents):
                raise ValueError(f"latents={latents!r} cannot be used; give what `project` or `load_latents` returns")
            latents.check(self.generator, "latents")
        with execution(tf32=False):
            scene = self.scene(source)
        if truncation != 1:
            centre, psi = self.generator.mapping.w_avg, tracks.constant(truncation)
            scene = Scene(tracks.truncated(scene.content, centre, psi), scene.motion)
        return Video(lambda: self.render(scene, frame_times(frames, start, speed)), frames, fps)

    @torch.inference_mode()
    def content(self, source: Source) -> torch.Tensor:
        """Return the content rows `[1, num_ws, w_dim]` of a source."""
        if isinstance(source, VideoLatents):
            return source.w.to(self.device)
        classes = self.classes(source.class_index)
        return self.generator.mapping(self._latent(source), classes, truncation_psi=self.truncation_psi)

    def noise(self, source: Source) -> NoiseSource:
        """Return the noise that the motion of a source comes from."""
        if isinstance(source, VideoLatents):
            return source.noise()
        network = self.generator.mapping.motion
        assert network is not None, "an image model has no motion"
        return seeded_noise([self.motion_seed(source)], network.z_dim)

    def motion_seed(self, name: VideoName) -> int:
        """Return the seed of a video's motion: that of the name, or the seed that follows from the content."""
        return seeds_from_latents(self._latent(name))[0] if name.motion_seed is None else name.motion_seed

    def motion(self, source: Source, loop: float | None = None) -> Motion:
        """Return how a source moves.

        Args:
            source: Where the motion comes from.
            loop: Length in frames of the training data after which the motion comes back to its start; None for a
                motion that goes on for ever.
        """
        network, classes = self.generator.mapping.motion, self.classes(source.class_index)
        assert network is not None, "an image model has no motion"
        if loop is not None:
            return tracks.looped_motion(network, classes, self.noise(source), loop)
        return tracks.network_motion(network, classes, self.noise(source))

    def scene(self, source: Source) -> Scene:
        """Return content and motion of a source, unchanged."""
        return Scene(tracks.still(self.content(source)), self.motion(source))

    def render(self, scene: Scene, times: Iterable[float], chunk_frames: int = CHUNK_FRAMES) -> Iterator[np.ndarray]:
        """Yield frames uint8 `[H, W, C]` of a scene.

        A GPU works on the next chunk while a chunk is copied and its frames are used.

        Args:
            scene: Content and motion.
            times: Time of each frame, in frames of the training data.
            chunk_frames: How many frames are made at once.
        """
        chunks = (_fetch(_pixels(strip)) for strip in self.strips(scene, times, chunk_frames))
        for chunk in one_ahead(chunks) if self.device.type in _QUEUEING_DEVICES else chunks:
            yield from chunk()

    @torch.inference_mode()
    def _motion_vectors(self, scene: Scene, block: list[float]) -> torch.Tensor:
        return scene.motion(torch.tensor(block, dtype=torch.float64))

    def strips(self, scene: Scene, times: Iterable[float], chunk_frames: int = CHUNK_FRAMES) -> Iterator[torch.Tensor]:
        """Yield frames `[F, C, H, W]` in -1 ... 1 of a scene, at most `chunk_frames` at once; arguments of `render`."""
        times = iter(times)
        number = 0
        while block := list(islice(times, _MOTION_FRAMES)):
            for vectors in self._motion_vectors(scene, block).split(chunk_frames):
                with torch.inference_mode():
                    content = scene.content(torch.arange(number, number + len(vectors), dtype=torch.float64))
                    frames = self.synthesize(content.to(self.device), vectors.to(self.device, torch.float32))
                yield frames
                number += len(vectors)

    def synthesize(self, content: torch.Tensor, motion: torch.Tensor) -> torch.Tensor:
        """Return frames `[F, C, H, W]` in -1 ... 1.

        Args:
            content: Content rows `[1 or F, num_ws, w_dim]`.
            motion: Motion vectors `[F, w_dim]`.
        """
        motion = motion[None] if len(content) == 1 else motion[:, None]
        strip = self.generator.synthesis(torch.cat([content, motion], dim=1), noise_mode="const")
        return unpack_strip(strip).flatten(0, 1)

    def frames(self, source: Source, times: Iterable[float], chunk_frames: int = CHUNK_FRAMES) -> Iterator[np.ndarray]:
        """Yield frames uint8 `[H, W, C]` of a source; other arguments as for `render`."""
        return self.render(self.scene(source), times, chunk_frames)

    def grid(self, scenes: Sequence[Scene], layout: Layout, times: Iterable[float]) -> Iterator[np.ndarray]:
        """Yield frames uint8 `[H, W, C]` of several scenes side by side.

        Args:
            scenes: One scene for each cell.
            layout: Where the cells are.
            times: Time of each frame, in frames of the training data; the same for all cells.
        """
        streams = [self.render(scene, copy) for scene, copy in zip(scenes, tee(times, len(scenes)), strict=True)]
        for cells in zip(*streams, strict=True):
            yield layout.compose(cells)

    @torch.inference_mode()
    def image(self, name: VideoName) -> np.ndarray:
        """Return the single picture uint8 `[H, W, C]` of an image generator."""
        content = self.generator.mapping(
            self._latent(name), self.classes(name.class_index), truncation_psi=self.truncation_psi
        )
        return to_uint8(self.generator.synthesis(content, noise_mode="const"))[0]

    def _latent(self, name: VideoName) -> torch.Tensor:
        z = np.random.RandomState(name.content_seed).randn(1, self.generator.z_dim)
        return torch.from_numpy(z).to(self.device, torch.float32)

    def classes(self, class_index: int | None) -> torch.Tensor:
        """Return the class part `[1, K]` of a label: one-hot, or zeros for no class."""
        num_classes = self.generator.num_classes
        classes = torch.zeros([1, num_classes], device=self.device)
        if num_classes and class_index is not None:
            classes[0, class_index] = 1
        return classes


def to_uint8(frames: torch.Tensor) -> np.ndarray:
    """Return frames `[F, C, H, W]` in -1 ... 1 as uint8 `[F, H, W, C]`."""
    return _pixels(frames).cpu().numpy()


def _fetch(pixels: torch.Tensor) -> Callable[[], np.ndarray]:
    """Begin to copy from a GPU. Calling the result waits for this copy, but not for work that began after it."""
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


def one_ahead(items: Iterable[_Item]) -> Iterator[_Item]:
    """Yield items in their order, each when the next item has been begun."""
    ahead = deque[_Item]()
    for item in items:
        ahead.append(item)
        if len(ahead) > 1:
            yield ahead.popleft()
    yield from ahead
