"""Pivotal tuning: the generator learns details of one clip that no latent gives (arXiv 2106.05744).

The latents of the projection stay, and the synthesis network changes. Latents near them keep their meaning, so that
edits work as before.
"""

import copy
from typing import Any

import numpy as np
import torch

from stylegan_v_ext.editing.perceptual import FrameLoss
from stylegan_v_ext.generate.latents import VideoLatents
from stylegan_v_ext.networks.generator import VideoGenerator
from stylegan_v_ext.strip import unpack_strip


class Tuner:
    """Fits a copy of a generator to a clip whose latents were found.

    Args:
        generator: A video generator, which stays as it is.
        target: The clip, frames uint8 `[T, H, W, C]`.
        latents: Latents of the clip, of `Projector`, with the times of the frames.
        loss: How far frames are from the clip.
        num_steps: Steps of descent.
        chunk_frames: Frames of the clip that a step looks at, which bounds memory.
        lr: Learning rate of the synthesis network.
        seed: Seed of all that is random.
    """

    def __init__(
        self,
        generator: VideoGenerator,
        target: np.ndarray,
        latents: VideoLatents,
        loss: FrameLoss,
        num_steps: int,
        chunk_frames: int = 8,
        lr: float = 1e-3,
        seed: int = 0,
    ) -> None:
        self.generator = copy.deepcopy(generator).eval().requires_grad_(requires_grad=False)
        self.generator.synthesis.requires_grad_(requires_grad=True)
        device = self.generator.mapping.w_avg.device
        self.target, self.loss = torch.from_numpy(target), loss
        self.num_steps, self.chunk_frames = num_steps, chunk_frames
        self.content = latents.w.to(device)
        classes = torch.zeros([1, generator.num_classes], device=device)
        if latents.class_index is not None:
            classes[0, latents.class_index] = 1
        network, times = self.generator.mapping.motion, torch.from_numpy(latents.times)[None]
        assert network is not None, "an image model has no motion"
        self.motion = network(times, classes, latents.noise())[0].detach()
        self.optimizer = torch.optim.Adam(self.generator.synthesis.parameters(), lr=lr, betas=(0.9, 0.99))
        self.random = torch.Generator().manual_seed(seed)
        self.history: list[float] = []

    @property
    def num_steps_in_all(self) -> int:
        """Number of steps from the beginning to the end."""
        return self.num_steps

    @property
    def done(self) -> bool:
        """Whether all steps are done."""
        return len(self.history) >= self.num_steps

    def step(self) -> float:
        """Do one step of descent; return the loss before it."""
        at = torch.randperm(len(self.target), generator=self.random)[: self.chunk_frames]
        ws = torch.cat([self.content, self.motion[at][None]], dim=1)
        frames = unpack_strip(self.generator.synthesis(ws, noise_mode="const"))[0]
        target = self.target[at].to(frames.device).permute(0, 3, 1, 2).float() / 127.5 - 1
        loss = self.loss(frames, target)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.history.append(float(loss.detach()))
        return self.history[-1]

    def result(self) -> VideoGenerator:
        """Return the generator, tuned so far."""
        return copy.deepcopy(self.generator).requires_grad_(requires_grad=False)

    def state_dict(self) -> dict[str, Any]:
        """Return all that going on needs, as tensors and plain values."""
        return dict(
            synthesis=self.generator.synthesis.state_dict(),
            optimizer=self.optimizer.state_dict(),
            history=self.history,
            random=self.random.get_state(),
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.generator.synthesis.load_state_dict(state["synthesis"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = list(state["history"])
        self.random.set_state(state["random"])
