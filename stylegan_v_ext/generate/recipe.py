"""Changes to a video before its frames are made: truncation, mixed styles, directions, amplitude, loops."""

from dataclasses import dataclass, field

import torch

from stylegan_v_ext.generate import tracks
from stylegan_v_ext.generate.sampler import Source, VideoSampler
from stylegan_v_ext.generate.tracks import Content, Scene, Schedule


@dataclass(frozen=True)
class StyleMix:
    """Styles of another source for some layers (StyleGAN, section 3.1).

    Attributes:
        source: Where the styles come from.
        rows: Content rows that they replace.
        weight: Their share by frame: 0 leaves the styles as they are, 1 replaces them.
    """

    source: Source
    rows: slice
    weight: Schedule


@dataclass(frozen=True)
class Recipe:
    """Changes to a video; the defaults leave it unchanged.

    Attributes:
        truncation: Psi by frame; None for no truncation.
        mix: Styles of another source for some layers; None for no mixing.
        push: A direction in w, `[w_dim]` or `[num_ws, w_dim]`; None for no direction.
        strength: How far content moves along `push`, by frame.
        amplitude: Factor of all movements; 1 leaves them as they are, 0 is a still.
        nudge: Vector `[w_dim]` that is added to every motion vector; None for no vector.
        loop: Length in frames of the training data after which the motion comes back to its start; None for a motion
            that goes on for ever.
    """

    truncation: Schedule | None = None
    mix: StyleMix | None = None
    push: torch.Tensor | None = None
    strength: Schedule = field(default_factory=lambda: tracks.constant(1))
    amplitude: float = 1.0
    nudge: torch.Tensor | None = None
    loop: float | None = None

    def scene(self, sampler: VideoSampler, content: Content, motion: Source) -> Scene:
        """Prepare a video.

        Args:
            sampler: Sampler of the network that will make the frames.
            content: What is seen.
            motion: Where the motion comes from.

        Returns:
            Content and motion with all changes.
        """
        if self.mix is not None:
            other = tracks.still(sampler.content(self.mix.source))
            content = tracks.mixed(content, other, self.mix.rows, self.mix.weight)
        if self.truncation is not None:
            content = tracks.truncated(content, sampler.generator.mapping.w_avg, self.truncation)
        if self.push is not None:
            content = tracks.moved(content, self.push, self.strength)
        moving = sampler.motion(motion, self.loop)
        if self.amplitude != 1:
            network = sampler.generator.mapping.motion
            assert network is not None, "an image model has no motion"
            with torch.inference_mode():
                centre = tracks.mean_motion(sampler.motion(motion), network.distance)
            moving = tracks.amplified(moving, self.amplitude, centre)
        if self.nudge is not None:
            moving = tracks.shifted(moving, self.nudge.to(sampler.device, torch.float32))
        return Scene(content, moving)
