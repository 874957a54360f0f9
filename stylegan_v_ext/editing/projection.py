"""Projection: the latents whose video comes closest to a given video.

As for images (StyleGAN2, section 5 and appendix D), w is found by gradient descent on a perceptual loss. A video also
has motion: the noise eps at its anchors is found together with w, from many frames at once, so that the result is a
video of the generator itself. It moves like the clip, has frames between its frames, and goes on after its end.

A step of descent lowers, with the names of `ProjectionOptions`,

    loss(G(w, eps), clip) + change_weight |d clip - d G(w, eps)|^2
        + w_reg |(w - mean) / std|^2 + spread_reg |(w - mean over rows) / std|^2 + motion_reg |eps|^2

Here d is the difference of neighbouring frames, and | |^2 is a mean of squares. The mean and the standard deviation
std of w are taken over random latents.
"""

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from stylegan_v_ext.editing.perceptual import FrameLoss
from stylegan_v_ext.generate.latents import VideoLatents
from stylegan_v_ext.networks.anchor_noise import given_noise, seeded_noise, seeds_from_latents
from stylegan_v_ext.networks.generator import VideoGenerator
from stylegan_v_ext.strip import unpack_strip

SPACES = ("w", "w+")
_SEARCH_FRAMES = 4  # of every candidate
_SEARCH_BATCH = 16  # candidates at once
_STATISTICS = 2048  # latents that mean and spread of w are taken over
_WARM_UP, _COOL_DOWN = 0.05, 0.3  # shares of the steps


@dataclass(frozen=True)
class ProjectionOptions:
    """How a clip is projected.

    Attributes:
        space: "w" for one w for all layers, "w+" for a w for each layer.
        num_candidates: Random videos that are compared with the clip first.
        num_starts: How many of the closest candidates are optimised together, in a race.
        num_race_steps: Steps of the race; the best start goes on.
        num_steps: Steps of descent after the race.
        chunk_frames: Frames of the clip that a step looks at, which bounds memory.
        w_lr: Learning rate of w.
        motion_lr: Learning rate of the motion noise.
        w_reg: Weight of the squared distance of w from its mean, in standard deviations.
        spread_reg: Weight of the squared distance of the rows of w+ from their mean.
        motion_reg: Weight of the squared motion noise.
        change_weight: Weight of errors in the differences between neighbouring frames.
        seed: Seed of all that is random.
    """

    space: str = "w+"
    num_candidates: int = 64
    num_starts: int = 4
    num_race_steps: int = 100
    num_steps: int = 600
    chunk_frames: int = 8
    w_lr: float = 0.05
    motion_lr: float = 0.05
    w_reg: float = 1e-4
    spread_reg: float = 1e-4
    motion_reg: float = 1e-4
    change_weight: float = 3.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.space not in SPACES:
            raise ValueError(f"space {self.space!r} is not one of {', '.join(SPACES)}")
        for name in ("num_candidates", "num_starts", "num_steps", "chunk_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} is below 1")
        if self.num_candidates < self.num_starts:
            raise ValueError(f"{self.num_candidates} candidates for {self.num_starts} starts; use at least as many")


class Projector:
    """Finds the latents of a clip step by step. It can be stopped, and then goes on bit for bit.

    Args:
        generator: A video generator, which stays as it is.
        target: The clip, frames uint8 `[T, H, W, C]` of the generator's size.
        times: Times `[T]` of the frames, ascending, in frames of the training data.
        loss: How far frames are from the clip.
        options: How to go about it.
        class_index: Class of a conditional generator; None for a generator without classes.
    """

    def __init__(
        self,
        generator: VideoGenerator,
        target: np.ndarray,
        times: np.ndarray,
        loss: FrameLoss,
        options: ProjectionOptions,
        class_index: int | None = None,
    ) -> None:
        self.generator = copy.deepcopy(generator).eval().requires_grad_(requires_grad=False)
        self.device = self.generator.mapping.w_avg.device
        self.target, self.times = torch.from_numpy(np.array(target)), torch.from_numpy(np.asarray(times, np.float64))
        self.loss, self.options = loss, options
        self.class_index = class_index
        self.random = torch.Generator().manual_seed(options.seed)
        self.classes = torch.zeros([1, generator.num_classes], device=self.device)
        if class_index is not None:
            self.classes[0, class_index] = 1
        assert self.generator.mapping.motion is not None, "an image model has no motion"
        self.motion = self.generator.mapping.motion
        anchors = (self.times / self.motion.distance).floor().long()
        # An LSTM starts at anchor 0 at all times.
        self.first_anchor = 0 if self.motion.strategy == "lstm" else int(anchors.min())
        self.num_anchors = int(anchors.max()) - self.first_anchor + 2 + self.motion.lookahead
        self.w_mean, self.w_std = self._statistics()
        self.history: list[float] = []
        self.race_losses = torch.zeros(options.num_starts)
        self.racing = options.num_starts > 1 and options.num_race_steps > 0
        self._start(*self._search())

    @property
    def num_steps_in_all(self) -> int:
        """Number of steps from the beginning to the end, the race included."""
        return self.options.num_steps + (self.options.num_race_steps if self.options.num_starts > 1 else 0)

    @property
    def done(self) -> bool:
        """Whether all steps are done."""
        return len(self.history) >= self.num_steps_in_all

    def step(self) -> float:
        """Do one step of descent; return the loss of the best start before it."""
        if self.racing and len(self.history) == self.options.num_race_steps:
            self._finish_race()
        done = len(self.history) if self.racing else len(self.history) - self._refine_from
        total = self.options.num_race_steps if self.racing else self.options.num_steps
        for group, lr in zip(self.optimizer.param_groups, (self.options.w_lr, self.options.motion_lr), strict=True):
            group["lr"] = lr * _pace(done / total, cool_down=not self.racing)
        losses = self._losses(self._some_frames())
        regularised = losses + self._priors()
        self.optimizer.zero_grad(set_to_none=True)
        regularised.sum().backward()
        self.optimizer.step()
        # Frames differ from step to step, so the race is decided by a running mean.
        self.race_losses = self.race_losses.lerp(losses.detach().cpu(), 0.1 if len(self.history) else 1.0)
        self.history.append(float(losses.detach().min()))
        return self.history[-1]

    def latents(self) -> VideoLatents:
        """Return what was found so far."""
        best = int(self.race_losses.argmin())
        rows = self.w.detach()[best : best + 1].expand(-1, self.generator.num_ws, -1).clone()
        settings = {**vars(self.options), "steps_done": len(self.history)}
        return VideoLatents(
            rows.cpu(),
            self.eps.detach()[best].cpu().double(),
            self.first_anchor,
            self.options.seed,
            self.times.numpy(),
            self.class_index,
            settings,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return all that going on needs, as tensors and plain values."""
        return dict(
            w=self.w.detach(),
            eps=self.eps.detach(),
            optimizer=self.optimizer.state_dict(),
            history=self.history,
            racing=self.racing,
            race_losses=self.race_losses,
            random=self.random.get_state(),
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self._start(state["w"].to(self.device), state["eps"].to(self.device))
        self.optimizer.load_state_dict(state["optimizer"])
        self.history, self.racing, self.race_losses = list(state["history"]), state["racing"], state["race_losses"]
        self.random.set_state(state["random"])

    @property
    def _refine_from(self) -> int:
        return self.num_steps_in_all - self.options.num_steps

    @torch.no_grad()
    def _statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation of w in the clip's class, each `[w_dim]`."""
        z = np.random.RandomState(self.options.seed).randn(_STATISTICS, self.generator.z_dim)
        w = self.generator.mapping(self._z(z), self.classes.expand(_STATISTICS, -1))[:, 0]
        return w.mean(0), w.std(0)

    def _z(self, z: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(z).to(self.device, torch.float32)

    @torch.no_grad()
    def _search(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return w `[R, rows, w_dim]` and eps `[R, K, z_dim]` of the R random videos that are closest to the clip."""
        found: list[tuple[float, int, torch.Tensor, torch.Tensor]] = []
        at = torch.linspace(0, len(self.times) - 1, min(_SEARCH_FRAMES, len(self.times))).round().long()
        target = self._target(at)
        anchors = torch.arange(self.num_anchors).expand(_SEARCH_BATCH, -1) + self.first_anchor
        random = np.random.RandomState(self.options.seed)
        for first in range(0, self.options.num_candidates, _SEARCH_BATCH):
            z = self._z(random.randn(_SEARCH_BATCH, self.generator.z_dim))
            w = self.generator.mapping(z, self.classes.expand(_SEARCH_BATCH, -1))[:, :1]
            eps = seeded_noise(seeds_from_latents(z), self.motion.z_dim)(anchors)
            videos = self._frames(w, eps.to(self.device, torch.float32), at)
            for number, frames in enumerate(videos[: self.options.num_candidates - first]):
                found.append((float(self.loss(frames, target)), first + number, w[number, None], eps[number, None]))
        found.sort(key=lambda item: item[:2])
        best = found[: self.options.num_starts if self.racing else 1]
        rows = self.generator.num_ws if self.options.space == "w+" else 1
        w = torch.cat([item[2] for item in best]).expand(-1, rows, -1).clone()
        return w, torch.cat([item[3] for item in best]).to(self.device, torch.float32)

    def _start(self, w: torch.Tensor, eps: torch.Tensor) -> None:
        self.w, self.eps = w.clone().requires_grad_(), eps.clone().requires_grad_()
        groups = [{"params": [self.w]}, {"params": [self.eps]}]
        self.optimizer = torch.optim.Adam(groups, lr=self.options.w_lr, betas=(0.9, 0.99))
        self.race_losses = torch.zeros(len(w))

    def _finish_race(self) -> None:
        best = int(self.race_losses.argmin())
        loss = self.race_losses[best : best + 1]
        self._start(self.w.detach()[best : best + 1], self.eps.detach()[best : best + 1])
        self.racing, self.race_losses = False, loss

    def _some_frames(self) -> torch.Tensor:
        """Draw numbers of frames `[F]`: a random pair of neighbours out of each equal part of the clip."""
        pairs = max(min(self.options.chunk_frames, len(self.times)) // 2, 1)
        edges = torch.linspace(0, len(self.times) - 1, pairs + 1)
        first = (edges[:-1] + torch.rand(pairs, generator=self.random) * edges.diff()).long()
        first = first.clamp(max=max(len(self.times) - 2, 0))
        return torch.stack([first, (first + 1).clamp(max=len(self.times) - 1)], dim=1).flatten()

    def _target(self, at: torch.Tensor) -> torch.Tensor:
        return self.target[at].to(self.device).permute(0, 3, 1, 2).float() / 127.5 - 1

    def _frames(self, w: torch.Tensor, eps: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        """Make frames `[R, F, C, H, W]` of R videos at the times of the clip's frames with numbers `at`."""
        count = len(w)
        noise = given_noise(eps)
        times = self.times[at].expand(count, -1)
        motion = self.motion(times, self.classes.expand(count, -1), lambda anchors: noise(anchors - self.first_anchor))
        content = w.expand(-1, self.generator.num_ws, -1)
        return unpack_strip(self.generator.synthesis(torch.cat([content, motion], dim=1), noise_mode="const"))

    def _losses(self, at: torch.Tensor) -> torch.Tensor:
        target = self._target(at)
        losses = []
        for frames in self._frames(self.w, self.eps, at):
            error = frames - target
            change = (error[1::2] - error[::2]).square().mean()
            losses.append(self.loss(frames, target) + self.options.change_weight * change)
        return torch.stack(losses)

    def _priors(self) -> torch.Tensor:
        """Return how unlikely w and noise are, `[R]`."""
        options = self.options
        far = ((self.w - self.w_mean) / self.w_std).square().mean([1, 2])
        spread = ((self.w - self.w.mean(1, keepdim=True)) / self.w_std).square().mean([1, 2])
        noise = self.eps.square().mean([1, 2])
        return options.w_reg * far + options.spread_reg * spread + options.motion_reg * noise


def _pace(share: float, *, cool_down: bool) -> float:
    """Return the factor of the learning rate: it rises at first and falls at the end (StyleGAN2, appendix D)."""
    up = min(share / _WARM_UP, 1.0)
    down = min((1 - share) / _COOL_DOWN, 1.0) if cool_down else 1.0
    return max(up, 0.05) * (0.5 - 0.5 * math.cos(math.pi * down))
