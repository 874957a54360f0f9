"""Mapping networks: latents and classes to styles (StyleGAN, section 2)."""

import torch

from stylegan_v_ext.networks.layers import FullyConnectedLayer, normalize_2nd_moment
from torch_utils import persistence


@persistence.persistent_class
class MappingNetwork(torch.nn.Module):
    """Fully-connected layers over a normalised latent and a normalised embedding of a condition.

    Args:
        z_dim: Size of the latent, 0 for none.
        c_dim: Size of the condition, 0 for none.
    """

    def __init__(self, z_dim: int, c_dim: int, w_dim: int, num_layers: int = 2, lr_multiplier: float = 0.01) -> None:
        super().__init__()
        if not 1 <= num_layers <= 64:
            raise ValueError(f"a mapping network of {num_layers} layers; use 1 to 64")
        self.z_dim, self.c_dim, self.w_dim, self.num_layers = z_dim, c_dim, w_dim, num_layers
        if c_dim > 0:
            self.embed = FullyConnectedLayer(c_dim, w_dim)
        features = [z_dim + (w_dim if c_dim > 0 else 0)] + [w_dim] * num_layers
        for i in range(num_layers):
            layer = FullyConnectedLayer(features[i], features[i + 1], activation="lrelu", lr_multiplier=lr_multiplier)
            setattr(self, f"fc{i}", layer)

    def map(self, z: torch.Tensor | None, c: torch.Tensor | None) -> torch.Tensor:
        """W `[N, w_dim]` from z `[N, z_dim]` and c `[N, c_dim]`; `None` where its size is 0."""
        parts = []
        if self.z_dim > 0:
            parts.append(normalize_2nd_moment(z.to(torch.float32)))
        if self.c_dim > 0:
            parts.append(normalize_2nd_moment(self.embed(c.to(torch.float32))))
        x = torch.cat(parts, dim=1)
        for i in range(self.num_layers):
            x = getattr(self, f"fc{i}")(x)
        return x

    def forward(self, z: torch.Tensor | None, c: torch.Tensor | None) -> torch.Tensor:
        return self.map(z, c)


@persistence.persistent_class
class ContentMappingNetwork(MappingNetwork):
    """Styles of images: the rows that a synthesis network reads, all equal but for truncation.

    Args:
        c_dim: Number of classes.
        num_ws: Rows of the result.
        w_avg_beta: Decay of the running average of w.
    """

    w_avg: torch.Tensor

    def __init__(
        self,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        num_ws: int,
        num_layers: int = 2,
        lr_multiplier: float = 0.01,
        w_avg_beta: float = 0.995,
    ) -> None:
        super().__init__(z_dim, c_dim, w_dim, num_layers, lr_multiplier)
        self.num_ws, self.w_avg_beta = num_ws, w_avg_beta
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(  # type: ignore[override]
        self,
        z: torch.Tensor,
        c: torch.Tensor | None = None,
        truncation_psi: float = 1,
        truncation_cutoff: int | None = None,
        update_emas: bool | None = None,
        skip_w_avg_update: bool = False,
    ) -> torch.Tensor:
        """Ws `[N, num_ws, w_dim]` from z `[N, z_dim]` and classes c `[N, c_dim]` (`None`: the zero vector).

        Args:
            truncation_psi, truncation_cutoff: Pull the first rows towards `w_avg`.
            update_emas: Whether to move `w_avg`; `None` is in training, unless `skip_w_avg_update`.
        """
        w = self.map(z, z.new_zeros([z.shape[0], self.c_dim]) if c is None else c)
        update = (self.training and not skip_w_avg_update) if update_emas is None else update_emas
        if update:
            with torch.no_grad():
                self.w_avg.lerp_(w.detach().mean(0), 1 - self.w_avg_beta)
        ws = w[:, None].expand(-1, self.num_ws, -1)
        if truncation_psi != 1:
            cut = self.num_ws if truncation_cutoff is None else truncation_cutoff
            ws = torch.cat([self.w_avg.lerp(ws[:, :cut], truncation_psi), ws[:, cut:]], dim=1)
        return ws
