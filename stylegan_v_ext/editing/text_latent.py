"""Text-guided editing by descent: w moves until the frames of a video fit a text (StyleCLIP, section 4).

One w moves for several moments of the video at once, while its motion stays, so that the edit is the same in every
frame and nothing flickers. A step lowers, with the names of `TextEditOptions`,

    cos(frames, neutral) - cos(frames, prompt) + w_reg |w - w0|^2
        + identity pixel_loss(coarse frames, coarse frames of w0) + locality |frames - frames of w0|

Here w0 is the content before the edit; the first term is left out if there is no neutral text.
"""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from stylegan_v_ext.editing.perceptual import pixel_loss
from stylegan_v_ext.editing.text_image import TextImageEncoder
from stylegan_v_ext.generate.latents import VideoLatents
from stylegan_v_ext.generate.sampler import Source, VideoSampler


@dataclass(frozen=True)
class TextEditOptions:
    """How a video is edited by descent.

    Attributes:
        num_steps: Steps of Adam.
        lr: Learning rate of Adam.
        num_frames: Moments of the video that a step looks at.
        w_reg: Weight of the squared distance that w has moved.
        identity: Weight of the difference of the frames at coarse scales; it keeps what is seen recognisable.
        locality: Weight of the mean absolute change of pixels; it keeps changes to few pixels.
        seed: Seed of the moments.
    """

    num_steps: int = 100
    lr: float = 0.05
    num_frames: int = 4
    w_reg: float = 0.02
    identity: float = 0.1
    locality: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("num_steps", "num_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} is below 1")


class TextEditor:
    """Moves the content of one video towards a prompt, and away from a neutral text if a text is given.

    Args:
        sampler: Sampler of the network.
        source: The video.
        times: Moments `[T]` that the edit has to be right in, in frames of the training data.
        encoder: CLIP.
        prompt: What the video is to look like.
        neutral: What it looks like now; None for no text.
        options: How to go about it.
    """

    def __init__(
        self,
        sampler: VideoSampler,
        source: Source,
        times: np.ndarray,
        encoder: TextImageEncoder,
        prompt: str,
        neutral: str | None,
        options: TextEditOptions,
    ) -> None:
        self.sampler, self.source, self.encoder, self.options = sampler, source, encoder, options
        self.times = torch.from_numpy(np.asarray(times, np.float64))
        self.prompt, self.neutral = prompt, neutral
        self.texts = encoder.texts([prompt] if neutral is None else [prompt, neutral])
        self.before = sampler.content(source).clone()
        with torch.no_grad():
            self.motion = sampler.motion(source)(self.times).float().clone()
        self.w = self.before.clone().requires_grad_()
        self.optimizer = torch.optim.Adam([self.w], lr=options.lr, betas=(0.9, 0.99))
        self.random = torch.Generator().manual_seed(options.seed)
        self.history: list[float] = []

    @property
    def num_steps_in_all(self) -> int:
        """Number of steps from the beginning to the end."""
        return self.options.num_steps

    @property
    def done(self) -> bool:
        """Whether all steps are done."""
        return len(self.history) >= self.options.num_steps

    def step(self) -> float:
        """Do one step of descent; return the loss before it."""
        at = torch.randperm(len(self.times), generator=self.random)[: self.options.num_frames]
        motion = self.motion[at]
        with torch.no_grad():
            old = self.sampler.synthesize(self.before, motion)
        new = self.sampler.synthesize(self.w, motion)
        options = self.options
        loss = -self._fit(new) + options.w_reg * (self.w - self.before).square().mean()
        loss = loss + options.identity * pixel_loss(_coarse(new), _coarse(old))
        loss = loss + options.locality * (new - old).abs().mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.history.append(float(loss.detach()))
        return self.history[-1]

    def _fit(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the mean cosine to the prompt, minus the mean cosine to the neutral text."""
        cosines = self.encoder.images(frames) @ self.texts.mT
        return (cosines[:, 0] if self.neutral is None else cosines[:, 0] - cosines[:, 1]).mean()

    @torch.no_grad()
    def similarities(self) -> tuple[float, float]:
        """Return the mean cosine of the frames to the prompt before and after the edit, over all moments."""
        found = []
        for content in (self.before, self.w):
            frames = [self.sampler.synthesize(content, part) for part in self.motion.split(16)]
            cosines = torch.cat([self.encoder.images(part) for part in frames]) @ self.texts[0]
            found.append(float(cosines.mean()))
        return found[0], found[1]

    def latents(self) -> VideoLatents:
        """Return the edited video; its motion is the motion of the source."""
        settings = {**vars(self.options), "prompt": self.prompt, "neutral": self.neutral}
        w = self.w.detach().cpu().clone()
        if isinstance(self.source, VideoLatents):
            return VideoLatents(
                w,
                self.source.motion,
                self.source.first_anchor,
                self.source.motion_seed,
                self.times.numpy(),
                self.source.class_index,
                {**self.source.settings, **settings},
            )
        network = self.sampler.generator.mapping.motion
        assert network is not None, "an image model has no motion"
        no_noise = torch.zeros(0, network.z_dim, dtype=torch.float64)
        seed = self.sampler.motion_seed(self.source)
        return VideoLatents(w, no_noise, 0, seed, self.times.numpy(), self.source.class_index, settings)

    def state_dict(self) -> dict[str, Any]:
        """Return all that going on needs, as tensors and plain values."""
        return dict(
            w=self.w.detach(),
            optimizer=self.optimizer.state_dict(),
            history=self.history,
            random=self.random.get_state(),
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        with torch.no_grad():
            self.w.copy_(state["w"])
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.history = list(state["history"])
        self.random.set_state(state["random"])


def _coarse(frames: torch.Tensor) -> torch.Tensor:
    """Return frames of 16 px."""
    return torch.nn.functional.avg_pool2d(frames, max(frames.shape[-1] // 16, 1))
