"""What may be done to a video before it is rendered, as one list of ingredients."""

from dataclasses import dataclass, field

import torch

from stylegan_v_ext.generate import tracks
from stylegan_v_ext.generate.sampler import Source, VideoSampler
from stylegan_v_ext.generate.tracks import Content, Schedule, Video


@dataclass(frozen=True)
class StyleMix:
    """Content rows of another source.

    Attributes:
        weight: 0 for none of it, 1 for all.
    """

    source: Source
    rows: slice
    weight: Schedule


@dataclass(frozen=True)
class Recipe:
    """Ingredients; the defaults leave a video as it is.

    Attributes:
        truncation: Psi by frame.
        mix: Other styles for some layers.
        push, strength: A direction in w, `[w_dim]` or `[num_ws, w_dim]`, and how far along it by frame.
        amplitude: Of motion, 1 for as it is.
        nudge: Added to every motion vector, `[w_dim]`.
        loop: Frames of training data after which the motion comes back to its start, `None` for never.
    """

    truncation: Schedule | None = None
    mix: StyleMix | None = None
    push: torch.Tensor | None = None
    strength: Schedule = field(default_factory=lambda: tracks.constant(1))
    amplitude: float = 1.0
    nudge: torch.Tensor | None = None
    loop: float | None = None

    def video(self, sampler: VideoSampler, content: Content, motion: Source) -> Video:
        """Content and the motion of a source, prepared."""
        if self.mix is not None:
            other = tracks.still(sampler.content(self.mix.source))
            content = tracks.mixed(content, other, self.mix.rows, self.mix.weight)
        if self.truncation is not None:
            content = tracks.truncated(content, sampler.generator.mapping.w_avg, self.truncation)
        if self.push is not None:
            content = tracks.moved(content, self.push, self.strength)
        moving = sampler.motion(motion, self.loop)
        if self.amplitude != 1:
            distance = sampler.generator.mapping.motion.distance
            with torch.inference_mode():
                centre = tracks.mean_motion(sampler.motion(motion), distance)
            moving = tracks.amplified(moving, self.amplitude, centre)
        if self.nudge is not None:
            moving = tracks.shifted(moving, self.nudge.to(sampler.device, torch.float32))
        return Video(content, moving)
