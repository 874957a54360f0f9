"""Features of the time between frames, a condition of the discriminator (StyleGAN-V, section 3)."""

import math

import torch

from torch_utils import persistence

__all__ = ["TimeEncoding"]


@persistence.persistent_class
class TimeEncoding(torch.nn.Module):
    """Features of the distances between frames: a row of a learned table, then sines and cosines.

    The features of a distance delta are row round(delta) of the table `[max_num_frames, embed_dim]`, and the sines and
    cosines of pi 2^j delta / 2^m with m = ceil(log2 max_num_frames) and j = 0 ... m - 1.

    Args:
        max_num_frames: Number of rows; longer distances read the last row.
        embed_dim: Size of a row.
    """

    freqs: torch.Tensor

    def __init__(self, max_num_frames: int, embed_dim: int = 256) -> None:
        super().__init__()
        num_octaves = max(math.ceil(math.log2(max_num_frames)), 1)
        self.embed = torch.nn.Embedding(max_num_frames, embed_dim)
        self.register_buffer("freqs", math.pi * 2.0 ** (torch.arange(num_octaves) - num_octaves))
        self.out_dim = embed_dim + 2 * num_octaves

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        """Compute the features of the distances between neighbouring frames.

        Args:
            t: Timestamps in frames, `[N, F]`.

        Returns:
            Features `[N, (F - 1) * out_dim]`.
        """
        delta = t.diff(dim=1).to(torch.float32)
        row = delta.round().clamp(0, self.embed.num_embeddings - 1).long()
        angle = delta[:, :, None] * self.freqs
        return torch.cat([self.embed(row), angle.sin(), angle.cos()], dim=2).flatten(1)
