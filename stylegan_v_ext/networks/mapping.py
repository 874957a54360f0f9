"""Mapping networks: latents and classes to styles (StyleGAN, section 2)."""

import torch

from stylegan_v_ext.networks.layers import FullyConnectedLayer, normalize_2nd_moment
from stylegan_v_ext.networks.truncation import truncate
from torch_utils import persistence

__all__ = ["ContentMappingNetwork", "MappingNetwork"]


@persistence.persistent_class
class MappingNetwork(torch.nn.Module):
    """Fully-connected layers over a normalised latent and a normalised embedding of a condition.

    Args:
        z_dim: Size of the latent; 0 makes a network without latent.
        c_dim: Size of the condition; 0 makes a network without condition.
        w_dim: Size of the result and of all layers.
        num_layers: Number of layers, 1 to 64.
        lr_multiplier: Learning rate relative to other networks.

    Raises:
        ValueError: If the number of layers is out of range.
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
        """Map latents and conditions to w.

        Args:
            z: Latents `[N, z_dim]`; not used, and may be None, if `z_dim` is 0.
            c: Conditions `[N, c_dim]`; not used, and may be None, if `c_dim` is 0.

        Returns:
            w `[N, w_dim]`, float32.
        """
        parts = []
        if self.z_dim > 0:
            assert z is not None, "this network has a latent"
            parts.append(normalize_2nd_moment(z.to(torch.float32)))
        if self.c_dim > 0:
            assert c is not None, "this network has a condition"
            parts.append(normalize_2nd_moment(self.embed(c.to(torch.float32))))
        x = torch.cat(parts, dim=1)
        for i in range(self.num_layers):
            x = getattr(self, f"fc{i}")(x)
        return x

    def forward(self, z: torch.Tensor | None, c: torch.Tensor | None) -> torch.Tensor:
        """Map latents and conditions to w, as `map`."""
        return self.map(z, c)


@persistence.persistent_class
class ContentMappingNetwork(MappingNetwork):
    """Styles of images: the rows that a synthesis network reads, all equal except for truncation.

    Args:
        z_dim: Size of the latent.
        c_dim: Number of classes; 0 makes a network without classes.
        w_dim: Size of a style.
        num_ws: Number of rows of the result.
        num_layers: Number of layers, 1 to 64.
        lr_multiplier: Learning rate relative to other networks.
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
        """Map latents and classes to styles.

        Args:
            z: Latents `[N, z_dim]`.
            c: Classes `[N, c_dim]`; None is the zero vector.
            truncation_psi: How far to keep styles from `w_avg`; 1 changes nothing.
            truncation_cutoff: Number of rows to truncate; None truncates all rows.
            update_emas: Whether to move `w_avg`; None moves it in training unless `skip_w_avg_update`.
            skip_w_avg_update: Whether None for `update_emas` leaves `w_avg` alone in training as well.

        Returns:
            Styles `[N, num_ws, w_dim]`.
        """
        w = self.map(z, z.new_zeros([z.shape[0], self.c_dim]) if c is None else c)
        update = (self.training and not skip_w_avg_update) if update_emas is None else update_emas
        if update:
            with torch.no_grad():
                self.w_avg.lerp_(w.detach().mean(0), 1 - self.w_avg_beta)
        ws = w[:, None].expand(-1, self.num_ws, -1)
        return truncate(ws, self.w_avg, truncation_psi, truncation_cutoff)
