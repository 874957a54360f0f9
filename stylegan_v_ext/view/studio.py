"""What the page shows, as a function of its controls. This module knows nothing of the page."""

import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch

from stylegan_v_ext.checkpoints.network import NetworkData
from stylegan_v_ext.editing.layer_range import fine_layers
from stylegan_v_ext.editing.layer_swap import ImageSource, blend_networks
from stylegan_v_ext.editing.requests import NEUTRAL
from stylegan_v_ext.editing.style_space import shifted_styles
from stylegan_v_ext.editing.text_directions import Relevance
from stylegan_v_ext.editing.text_image import TextImageEncoder
from stylegan_v_ext.generate import tracks
from stylegan_v_ext.generate.recipe import Recipe, StyleMix
from stylegan_v_ext.generate.sampler import VideoName, VideoSampler, frame_times
from stylegan_v_ext.generate.writers import write_video
from stylegan_v_ext.networks.generator import VideoGenerator

_SWAPS_KEPT = 8


@dataclass(frozen=True)
class Controls:
    """The position of the knobs.

    Attributes:
        content_seed: Seed of the content.
        motion_seed: Seed of the motion.
        truncation: Psi; 1 for no truncation.
        amplitude: Factor of all movements.
        split: Resolution from which layers are exchanged, 0 for no layers: they come from the image model if there is
            one, else they get the styles of `other_seed`.
        other_seed: Content seed of those styles.
        class_index: Class of a conditional network; None for a network without classes.
        prompt: Text to edit by; "" for no edit.
        neutral: Text that the edit goes away from.
        strength: How far the edit goes, in standard deviations of the most relevant channel.
        disentangle: Share of the largest relevance that a channel needs, 0 to 1.
    """

    content_seed: int = 0
    motion_seed: int = 0
    truncation: float = 1.0
    amplitude: float = 1.0
    split: int = 0
    other_seed: int = 1
    class_index: int | None = None
    prompt: str = ""
    neutral: str = NEUTRAL
    strength: float = 5.0
    disentangle: float = 0.3


class Studio:
    """Frames and files for controls.

    Args:
        network: The video generator.
        device: Where frames are made.
        image: An image model whose layers can be swapped in; None for styles of another seed.
        encoder: CLIP, for edits by text; None for no edits by text.
        relevance: What the channels of the network change for CLIP; None for no edits by text.
        title: What the page says that it shows.
    """

    def __init__(
        self,
        network: NetworkData,
        device: torch.device,
        image: NetworkData | None = None,
        encoder: TextImageEncoder | None = None,
        relevance: Relevance | None = None,
        title: str = "",
    ) -> None:
        self.network, self.image, self.device, self.title = network, image, device, title
        self.encoder, self.relevance = encoder, relevance
        self.plain = VideoSampler(_build(network), device)
        self._swapped = functools.lru_cache(maxsize=_SWAPS_KEPT)(self._swap)
        self._centre = functools.lru_cache(maxsize=64)(self._mean_motion)

    @property
    def resolution(self) -> int:
        """Side of the frames in pixels."""
        return self.plain.generator.img_resolution

    @property
    def splits(self) -> list[int]:
        """Positions of the slider: 0, then resolutions from the finest layers alone to all of them."""
        return [0, *reversed(self.plain.generator.synthesis.block_resolutions)]

    def first_controls(self) -> Controls:
        """Return the position of the knobs at first."""
        return Controls(class_index=0 if self.plain.generator.num_classes else None)

    def frame(self, controls: Controls, moment: float) -> np.ndarray:
        """Return the frame uint8 `[H, W, C]` at a time, in frames of the training data."""
        return next(self.frames(controls, [moment]))

    def frames(self, controls: Controls, times: list[float]) -> Iterator[np.ndarray]:
        """Yield frames uint8 `[H, W, C]`.

        Args:
            controls: The position of the knobs.
            times: Time of each frame, in frames of the training data.

        Raises:
            ValueError: If the controls do not fit the network.
        """
        sampler, scene = self._scene(controls)
        offsets = self._offsets(controls)
        if offsets is None:
            yield from sampler.render(scene, times)
            return
        with shifted_styles(sampler.generator, offsets):
            yield from sampler.render(scene, times)

    def export(
        self, controls: Controls, folder: Path, format: str, seconds: float, fps: float, start: float, speed: float
    ) -> Path:
        """Write a video into a folder, under a name that is free.

        Args:
            controls: The position of the knobs.
            folder: Where the file goes.
            format: Ending of the file, an element of `outputs.VIDEO_FORMATS`.
            seconds: Length.
            fps: Frames a second.
            start: Time of the first frame, in frames of the training data.
            speed: Time from frame to frame, in frames of the training data.

        Returns:
            The file.
        """
        count = max(round(seconds * fps), 1)
        stem = f"seed{controls.content_seed:04d}-motion{controls.motion_seed:04d}-{time.strftime('%H%M%S')}"
        path = folder / f"{stem}.{format}"
        number = 1
        while path.exists():
            path, number = folder / f"{stem}-{number}.{format}", number + 1
        write_video(path, self.frames(controls, list(frame_times(count, start, speed))), fps)
        return path

    def _scene(self, controls: Controls) -> tuple[VideoSampler, tracks.Scene]:
        name = VideoName(controls.content_seed, controls.motion_seed, controls.class_index)
        sampler, mix = self.plain, None
        if controls.split and self.image is not None:
            sampler = self._swapped(controls.split)
        elif controls.split:
            generator = sampler.generator
            rows = tracks.rows_of(controls.split, generator.img_resolution, generator.num_ws)
            mix = StyleMix(VideoName(controls.other_seed, None, controls.class_index), rows, tracks.constant(1))
        truncation = None if controls.truncation == 1 else tracks.constant(controls.truncation)
        scene = Recipe(truncation=truncation, mix=mix).scene(sampler, tracks.still(sampler.content(name)), name)
        if controls.amplitude != 1:
            centre = self._centre(controls.motion_seed, controls.class_index)
            scene = tracks.Scene(scene.content, tracks.amplified(scene.motion, controls.amplitude, centre))
        return sampler, scene

    @torch.inference_mode()
    def _mean_motion(self, motion_seed: int, class_index: int | None) -> torch.Tensor:
        motion = self.plain.motion(VideoName(0, motion_seed, class_index))
        network = self.plain.generator.mapping.motion
        assert network is not None, "an image model has no motion"
        return tracks.mean_motion(motion, network.distance)

    def _swap(self, split: int) -> VideoSampler:
        assert self.image is not None, "layers of an image model without one"
        source = ImageSource("the image model", self.image, fine_layers(split, self.resolution))
        return VideoSampler(_build(blend_networks(self.network, [source]).network), self.device)

    def _offsets(self, controls: Controls) -> torch.Tensor | None:
        if not controls.prompt.strip() or self.encoder is None or self.relevance is None:
            return None
        text = self.encoder.direction(controls.prompt.strip(), controls.neutral.strip() or NEUTRAL)
        return self.relevance.offsets(text.cpu(), controls.strength, controls.disentangle).to(self.device)


def _build(network: NetworkData) -> VideoGenerator:
    return cast(VideoGenerator, network.build())
