"""StyleGAN2's image generator. Its labels are classes without timestamps, as stock scripts expect them."""

from typing import Any

import torch

from stylegan_v_ext.networks.mapping import ContentMappingNetwork
from stylegan_v_ext.networks.synthesis import SynthesisNetwork
from torch_utils import persistence

__all__ = ["ImageGenerator"]


@persistence.persistent_class
class ImageGenerator(torch.nn.Module):
    """StyleGAN2's generator.

    Args:
        z_dim: Size of a latent.
        c_dim: Number of classes; 0 makes a generator without classes.
        w_dim: Size of a style.
        img_resolution: Width and height of an image.
        img_channels: Channels of an image.
        mapping_kwargs: Arguments of `ContentMappingNetwork`: `num_layers`, `lr_multiplier`, `w_avg_beta`.
        synthesis_kwargs: Further arguments of `SynthesisNetwork`.
    """

    _synthesis_class: Any = SynthesisNetwork

    def __init__(
        self,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        img_resolution: int,
        img_channels: int,
        mapping_kwargs: dict[str, Any] | None = None,
        **synthesis_kwargs: object,
    ) -> None:
        super().__init__()
        self.z_dim, self.c_dim, self.w_dim = z_dim, c_dim, w_dim
        self.img_resolution, self.img_channels = img_resolution, img_channels
        self.synthesis = self._synthesis_class(w_dim, img_resolution, img_channels, **synthesis_kwargs)
        self.num_ws = self.synthesis.num_ws
        self.mapping = ContentMappingNetwork(z_dim, c_dim, w_dim, self.num_ws, **(mapping_kwargs or {}))

    def forward(
        self,
        z: torch.Tensor,
        c: torch.Tensor | None = None,
        truncation_psi: float = 1,
        truncation_cutoff: int | None = None,
        update_emas: bool = False,
        **synthesis_kwargs: object,
    ) -> torch.Tensor:
        """Make images.

        Args:
            z: Latents `[N, z_dim]`.
            c: Classes `[N, c_dim]`; None is the zero vector.
            truncation_psi: How far to keep styles from the average style; 1 changes nothing.
            truncation_cutoff: Number of style rows to truncate; None truncates all rows.
            update_emas: Whether to update running averages.
            synthesis_kwargs: Arguments of the synthesis network: `noise_mode`, `force_fp32`.

        Returns:
            Images `[N, img_channels, H, W]`, -1 (black) to 1 (white).
        """
        ws = self.mapping(z, c, truncation_psi, truncation_cutoff, update_emas)
        return self.synthesis(ws, update_emas=update_emas, **synthesis_kwargs)
