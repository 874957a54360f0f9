"""Image generators whose labels are classes alone, as stock scripts expect them."""

from typing import Any

import torch

from stylegan_v_ext.networks.mapping import ContentMappingNetwork
from stylegan_v_ext.networks.synthesis import SynthesisNetwork
from torch_utils import persistence


@persistence.persistent_class
class ImageGenerator(torch.nn.Module):
    """StyleGAN2's generator.

    Args:
        c_dim: Number of classes. Arguments not named here are `SynthesisNetwork`'s.
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
        **synthesis_kwargs: Any,
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
        **synthesis_kwargs: Any,
    ) -> torch.Tensor:
        """Images `[N, img_channels, H, W]` in -1 ... 1 from z `[N, z_dim]` and classes c `[N, c_dim]`."""
        ws = self.mapping(z, c, truncation_psi, truncation_cutoff, update_emas)
        return self.synthesis(ws, update_emas=update_emas, **synthesis_kwargs)
