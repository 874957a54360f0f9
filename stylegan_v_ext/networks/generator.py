"""The video generator (StyleGAN-V, section 3 and figure 2)."""

from collections.abc import Sequence
from typing import Any

import torch

from stylegan_v_ext.networks.synthesis import SynthesisNetwork
from stylegan_v_ext.networks.video_mapping import VideoMappingNetwork
from torch_utils import persistence

__all__ = ["VideoGenerator"]


@persistence.persistent_class
class VideoGenerator(torch.nn.Module):
    """Strips of frames from a content latent and timestamps.

    Args:
        c_dim: Size of a label: K classes + num_frames timestamps.
        img_resolution: Width and height of a frame, a power of two from 8 on.
        img_channels: Channels of a frame.
        z_dim: Size of a latent.
        w_dim: Size of a style and of a motion vector.
        num_frames: Number F of frames of a training clip; 1 makes StyleGAN2's image generator.
        max_num_frames: Timestamps in labels are clamped below it.
        mapping_kwargs: Arguments of `VideoMappingNetwork`: `num_layers`, `lr_multiplier`, `w_avg_beta`.
        motion_kwargs: Arguments of `MotionNetwork`.
        channel_base: Channels of a block times its resolution.
        channel_max: Largest number of channels.
        num_fp16_res: Number of the highest resolutions that compute in float16 on CUDA.
        conv_clamp: Largest absolute output of a layer; None is no bound.
        use_noise: Whether the layers have StyleGAN's noise input.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        c_dim: int,
        img_resolution: int,
        img_channels: int,
        z_dim: int = 512,
        w_dim: int = 512,
        num_frames: int = 3,
        max_num_frames: int = 1024,
        mapping_kwargs: dict[str, Any] | None = None,
        motion_kwargs: dict[str, Any] | None = None,
        channel_base: int = 32768,
        channel_max: int = 512,
        num_fp16_res: int = 4,
        conv_clamp: float | None = 256,
        use_noise: bool = False,
    ) -> None:
        super().__init__()
        if c_dim < num_frames:
            raise ValueError(f"c_dim {c_dim} has no room for {num_frames} timestamps; it is classes + num_frames")
        self.z_dim, self.c_dim, self.w_dim = z_dim, c_dim, w_dim
        self.img_resolution, self.img_channels = img_resolution, img_channels
        self.num_frames, self.num_classes = num_frames, c_dim - num_frames
        self.synthesis = SynthesisNetwork(
            w_dim,
            img_resolution,
            img_channels,
            motion_dim=w_dim if num_frames > 1 else 0,
            channel_base=channel_base,
            channel_max=channel_max,
            num_fp16_res=num_fp16_res,
            conv_clamp=conv_clamp,
            use_noise=use_noise,
        )
        self.num_ws = self.synthesis.num_ws
        self.mapping = VideoMappingNetwork(
            z_dim,
            c_dim,
            w_dim,
            self.num_ws,
            num_frames,
            max_num_frames,
            motion_kwargs=motion_kwargs,
            **(mapping_kwargs or {}),
        )

    def forward(
        self,
        z: torch.Tensor,
        c: torch.Tensor | None = None,
        truncation_psi: float = 1,
        truncation_cutoff: int | None = None,
        update_emas: bool = False,
        t: torch.Tensor | None = None,
        motion_seeds: Sequence[int] | None = None,
        motion_z: torch.Tensor | None = None,
        **synthesis_kwargs: object,
    ) -> torch.Tensor:
        """Make clips.

        Args:
            z: Latents `[N, z_dim]`.
            c: Labels `[N, K + F]`, or classes `[N, K]` with the timestamps in `t`; None is the zero class vector.
            truncation_psi: How far to keep styles from the average style; 1 changes nothing.
            truncation_cutoff: Number of style rows to truncate; None truncates all rows.
            update_emas: Whether to update running averages.
            t: Timestamps in frames, `[N, F]`, any real numbers; None takes them from `c`.
            motion_seeds: N numbers that name the motions; None draws new motions in training, and otherwise derives the
                numbers from z.
            motion_z: Noise of the anchors, `[N, K, motion_z_dim]`, in place of motion seeds; None has no effect.
            synthesis_kwargs: Arguments of `SynthesisNetwork.forward`: `noise_mode`, `force_fp32`.

        Returns:
            Strips `[N, img_channels, F*H, W]`, -1 (black) to 1 (white). Without timestamps a strip is one frame.
        """
        ws = self.mapping(
            z,
            c,
            truncation_psi=truncation_psi,
            truncation_cutoff=truncation_cutoff,
            update_emas=update_emas,
            t=t,
            motion_seeds=motion_seeds,
            motion_z=motion_z,
        )
        return self.synthesis(ws, update_emas=update_emas, **synthesis_kwargs)
