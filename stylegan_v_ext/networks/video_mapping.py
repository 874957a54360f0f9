"""The mapping network of videos: content styles, then a motion vector for every timestamp (StyleGAN-V, section 3)."""

from collections.abc import Sequence
from typing import Any

import torch

from stylegan_v_ext.networks.anchor_noise import (
    NoiseSource,
    fresh_noise,
    given_noise,
    seeded_noise,
    seeds_from_latents,
)
from stylegan_v_ext.networks.mapping import ContentMappingNetwork
from stylegan_v_ext.networks.motion import MotionNetwork
from stylegan_v_ext.strip import sanitise_label, split_label
from torch_utils import persistence

__all__ = ["VideoMappingNetwork"]


@persistence.persistent_class
class VideoMappingNetwork(ContentMappingNetwork):
    """Content styles and motion vectors of videos.

    Args:
        z_dim: Size of a latent.
        c_dim: Size of a label: K classes + num_frames timestamps.
        w_dim: Size of a style and of a motion vector.
        num_ws: Number of content rows of the result.
        num_frames: Number F of timestamps in a label; 1 makes an image model without motion.
        max_num_frames: Timestamps in labels are clamped below it.
        num_layers: Number of layers, 1 to 64.
        lr_multiplier: Learning rate relative to other networks.
        w_avg_beta: Decay of the running average of w.
        motion_kwargs: Arguments of `MotionNetwork`.
    """

    def __init__(
        self,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        num_ws: int,
        num_frames: int,
        max_num_frames: int = 1024,
        num_layers: int = 2,
        lr_multiplier: float = 0.01,
        w_avg_beta: float = 0.995,
        motion_kwargs: dict[str, Any] | None = None,
    ) -> None:
        num_classes = c_dim - num_frames
        super().__init__(z_dim, num_classes, w_dim, num_ws, num_layers, lr_multiplier, w_avg_beta)
        self.num_frames, self.max_num_frames, self.num_classes = num_frames, max_num_frames, num_classes
        self.motion = MotionNetwork(w_dim, num_classes, **(motion_kwargs or {})) if num_frames > 1 else None

    def forward(  # type: ignore[override]
        self,
        z: torch.Tensor,
        c: torch.Tensor | None = None,
        truncation_psi: float = 1,
        truncation_cutoff: int | None = None,
        update_emas: bool | None = None,
        skip_w_avg_update: bool = False,
        t: torch.Tensor | None = None,
        motion_seeds: Sequence[int] | None = None,
        motion_z: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Map latents and labels to styles and motion vectors.

        Args:
            z: Latents `[N, z_dim]`.
            c: Labels `[N, K + F]`, or classes `[N, K]` with the timestamps in `t`; None is the zero class vector.
            truncation_psi: How far to keep content rows from `w_avg`; 1 changes nothing.
            truncation_cutoff: Number of content rows to truncate; None truncates all content rows.
            update_emas: Whether to move `w_avg`; None moves it in training unless `skip_w_avg_update`.
            skip_w_avg_update: Whether None for `update_emas` leaves `w_avg` alone in training as well.
            t: Timestamps in frames, `[N, F]`, any real numbers; None takes them from `c`.
            motion_seeds: N numbers that name the motions; None draws new noise in training, and otherwise derives the
                numbers from z.
            motion_z: Noise of the anchors, `[N, K, motion_z_dim]`, in place of motion seeds; None has no effect.

        Returns:
            ws `[N, num_ws + F, w_dim]`: content rows, then a motion vector for every timestamp. Without timestamps
            there are only content rows.

        Raises:
            ValueError: If the labels have another width.
        """
        classes, t = self._split(z, c, t)
        ws = super().forward(z, classes, truncation_psi, truncation_cutoff, update_emas, skip_w_avg_update)
        if self.motion is None or t is None:
            return ws
        v = self.motion(t, classes, self._noise(self.motion.z_dim, z, motion_seeds, motion_z))
        return torch.cat([ws, v.to(ws.dtype)], dim=1)

    def motion_rows(self, t: torch.Tensor, classes: torch.Tensor, motion_seeds: Sequence[int]) -> torch.Tensor:
        """Compute the motion rows of `ws` alone.

        Args:
            t: Timestamps in frames, `[N, F]`.
            classes: Classes `[N, K]`.
            motion_seeds: N numbers that name the motions.

        Returns:
            Motion vectors `[N, F, w_dim]`.
        """
        assert self.motion is not None, "an image model has no motion"
        return self.motion(t, classes, seeded_noise([int(seed) for seed in motion_seeds], self.motion.z_dim))

    def _split(
        self, z: torch.Tensor, c: torch.Tensor | None, t: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the class part on the device of z, and the timestamps on their own device, for any form of label."""
        if c is None:
            c = z.new_zeros([z.shape[0], self.num_classes])
        width = c.shape[1]
        if width < self.num_classes or (width > self.num_classes and t is not None):
            raise ValueError(
                f"label of width {width}, expected {self.num_classes} classes"
                + (" with timestamps apart, in t" if t is not None else " and then timestamps")
            )
        if width > self.num_classes:
            c = sanitise_label(c, self.num_classes, self.max_num_frames)
            c, t = split_label(c, self.num_classes)
        return torch.nan_to_num(c.to(z.device, non_blocking=True), posinf=0.0, neginf=0.0), t

    def _noise(
        self, noise_dim: int, z: torch.Tensor, motion_seeds: Sequence[int] | None, motion_z: torch.Tensor | None
    ) -> NoiseSource:
        if motion_z is not None:
            return given_noise(motion_z)
        if motion_seeds is None and self.training:
            return fresh_noise(noise_dim, z.device)
        seeds = seeds_from_latents(z) if motion_seeds is None else motion_seeds
        return seeded_noise([int(seed) for seed in seeds], noise_dim)
