"""What the page shows, as a function of its controls; knows nothing of the page."""

import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from stylegan_v_ext.checkpoints.network import NetworkData
from stylegan_v_ext.editing.layer_swap import ImageSource, fine_layers, swap_layers
from stylegan_v_ext.editing.style_space import shifted_styles
from stylegan_v_ext.editing.text_directions import Relevance
from stylegan_v_ext.editing.text_image import TextImageEncoder
from stylegan_v_ext.generate import tracks
from stylegan_v_ext.generate.recipe import Recipe, StyleMix
from stylegan_v_ext.generate.sampler import VideoName, VideoSampler, frame_times
from stylegan_v_ext.generate.writers import write_video

_NEUTRAL = "a picture"
_SWAPS_KEPT = 8


@dataclass(frozen=True)
class Controls:
    """Where the knobs stand.

    Attributes:
        split: Resolution from which on the layers are another's, 0 for none: those of the image model where one was
            given, else the styles of other_seed.
        prompt: Text to edit by, empty for none.
    """

    content_seed: int = 0
    motion_seed: int = 0
    truncation: float = 1.0
    amplitude: float = 1.0
    split: int = 0
    other_seed: int = 1
    class_index: int | None = None
    prompt: str = ""
    neutral: str = _NEUTRAL
    strength: float = 5.0
    disentangle: float = 0.3


class Studio:
    """Frames and files for controls.

    Args:
        network: The video generator.
        image: An image model whose layers can be swapped in. encoder,.
        relevance: For edits by text, `None` without.
    """

    def __init__(
        self,
        network: NetworkData,
        device: torch.device,
        image: NetworkData | None = None,
        encoder: TextImageEncoder | None = None,
        relevance: Relevance | None = None,
    ) -> None:
        self.network, self.image, self.device = network, image, device
        self.encoder, self.relevance = encoder, relevance
        self.plain = VideoSampler(network.build(), device)  # type: ignore[arg-type]
        self._swapped = functools.lru_cache(maxsize=_SWAPS_KEPT)(self._swap)
        self._centre = functools.lru_cache(maxsize=64)(self._mean_motion)

    @property
    def resolution(self) -> int:
        return self.plain.generator.img_resolution

    @property
    def splits(self) -> list[int]:
        """Positions of the slider: 0, then resolutions from the finest layers alone to all of them."""
        return [0, *reversed(self.plain.generator.synthesis.block_resolutions)]

    def frame(self, controls: Controls, moment: float) -> np.ndarray:
        """The frame uint8 `[H, W, C]` at a time."""
        return next(self.frames(controls, [moment]))

    def frames(self, controls: Controls, times: list[float]) -> Iterator[np.ndarray]:
        """Frames at these times. Raises `ValueError` for controls that make no sense."""
        sampler, video = self._video(controls)
        offsets = self._offsets(controls)
        if offsets is None:
            yield from sampler.render(video, times)
            return
        with shifted_styles(sampler.generator, offsets):
            yield from sampler.render(video, times)

    def export(
        self, controls: Controls, folder: Path, format: str, seconds: float, fps: float, start: float, speed: float
    ) -> Path:
        """Write a video into a folder under a name that is free; returns its path."""
        count = max(round(seconds * fps), 1)
        stem = f"seed{controls.content_seed:04d}-motion{controls.motion_seed:04d}-{time.strftime('%H%M%S')}"
        path = folder / f"{stem}.{format}"
        number = 1
        while path.exists():
            path, number = folder / f"{stem}-{number}.{format}", number + 1
        write_video(path, self.frames(controls, list(frame_times(count, start, speed))), fps)
        return path

    def _video(self, controls: Controls) -> tuple[VideoSampler, tracks.Video]:
        name = VideoName(controls.content_seed, controls.motion_seed, controls.class_index)
        sampler, mix = self.plain, None
        if controls.split and self.image is not None:
            sampler = self._swapped(controls.split)
        elif controls.split:
            generator = sampler.generator
            rows = tracks.rows_of(controls.split, generator.img_resolution, generator.num_ws)
            mix = StyleMix(VideoName(controls.other_seed, None, controls.class_index), rows, tracks.constant(1))
        truncation = None if controls.truncation == 1 else tracks.constant(controls.truncation)
        video = Recipe(truncation=truncation, mix=mix).video(sampler, tracks.still(sampler.content(name)), name)
        if controls.amplitude != 1:
            centre = self._centre(controls.motion_seed, controls.class_index)
            video = tracks.Video(video.content, tracks.amplified(video.motion, controls.amplitude, centre))
        return sampler, video

    @torch.inference_mode()
    def _mean_motion(self, motion_seed: int, class_index: int | None) -> torch.Tensor:
        motion = self.plain.motion(VideoName(0, motion_seed, class_index))
        return tracks.mean_motion(motion, self.plain.generator.mapping.motion.distance)

    def _swap(self, split: int) -> VideoSampler:
        assert self.image is not None
        source = ImageSource("the image model", self.image, fine_layers(split, self.resolution))
        return VideoSampler(swap_layers(self.network, [source]).network.build(), self.device)  # type: ignore[arg-type]

    def _offsets(self, controls: Controls) -> torch.Tensor | None:
        if not controls.prompt.strip() or self.encoder is None or self.relevance is None:
            return None
        text = self.encoder.direction(controls.prompt.strip(), controls.neutral.strip() or _NEUTRAL)
        return self.relevance.offsets(text.cpu(), controls.strength, controls.disentangle).to(self.device)
