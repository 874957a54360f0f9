"""The mapping network of videos: content styles, then a motion vector for every time (StyleGAN-V, section 3.1)."""

from collections.abc import Sequence
from typing import Any

import torch

from stylegan_v_ext.networks import noise
from stylegan_v_ext.networks.mapping import ContentMappingNetwork
from stylegan_v_ext.networks.motion import MotionNetwork
from stylegan_v_ext.strip import sanitise_label, split_label
from torch_utils import persistence


@persistence.persistent_class
class VideoMappingNetwork(ContentMappingNetwork):
    """Content styles and motion vectors of videos.

    Args:
        num_frames: F of the label; 1 makes an image model without motion.
        num_ws: Content rows of the result.
        max_num_frames: Timestamps in labels are clamped below it.
        motion_kwargs: Of `MotionNetwork`.
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
        """Ws `[N, num_ws + F, w_dim]`: content rows, then one motion vector for every timestamp.

        Args:
            z: `[N, z_dim]`.
            c: Label `[N, K + F]`, or class part `[N, K]` with the timestamps in t `[N, F]` (frames, any real number),
                or `None` (class vector zero). Without timestamps there are content rows only.
            truncation_psi, truncation_cutoff: Pull the first rows of the content towards `w_avg`.
            motion_seeds: N numbers that name the motions; `None` is fresh noise in training and a function of z
                otherwise.
            motion_z: Noise given row by row instead.
        """
        classes, t = self._split(z, c, t)
        ws = super().forward(z, classes, truncation_psi, truncation_cutoff, update_emas, skip_w_avg_update)
        if self.motion is None or t is None:
            return ws
        v = self.motion(t, classes, self._noise(z, motion_seeds, motion_z))
        return torch.cat([ws, v.to(ws.dtype)], dim=1)

    def motion_rows(self, t: torch.Tensor, classes: torch.Tensor, motion_seeds: Sequence[int]) -> torch.Tensor:
        """The motion rows of `ws` alone, `[N, F, w_dim]`, for times t `[N, F]` of the motions with these seeds."""
        assert self.motion is not None, "an image model has no motion"
        return self.motion(t, classes, noise.seeded_noise([int(seed) for seed in motion_seeds], self.motion.z_dim))

    def _split(
        self, z: torch.Tensor, c: torch.Tensor | None, t: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Class part on z's device and timestamps where they were, from any of the accepted forms."""
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
        self, z: torch.Tensor, motion_seeds: Sequence[int] | None, motion_z: torch.Tensor | None
    ) -> noise.NoiseSource:
        if motion_z is not None:
            return noise.given_noise(motion_z)
        if motion_seeds is None and self.training:
            return noise.fresh_noise(self.motion.z_dim, z.device)
        seeds = noise.seeds_from_latents(z) if motion_seeds is None else motion_seeds
        return noise.seeded_noise([int(seed) for seed in seeds], self.motion.z_dim)
