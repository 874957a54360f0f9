"""What the loss calls: a mapping and a synthesis network, a discriminator, an augmentation.

Anything with these methods trains. A class does not have to inherit from a protocol.
"""

from typing import Protocol

import torch

__all__ = ["Augmentation", "Discriminator", "Mapping", "Synthesis"]


class Mapping(Protocol):
    """Makes rows of styles from latents and labels."""

    def __call__(self, z: torch.Tensor, c: torch.Tensor, *, skip_w_avg_update: bool = False) -> torch.Tensor:
        """Return `ws`, `[N, num_ws + F, w_dim]`: rows of content, then one row of motion for each frame.

        Args:
            z: Latents `[N, z_dim]`.
            c: Labels `[N, K + F]`, class and timestamps in frames; `[N, K]` for content alone.
            skip_w_avg_update: Whether the running average of w stays as it is.
        """


class Synthesis(Protocol):
    """Makes clips from rows of styles."""

    def __call__(self, ws: torch.Tensor) -> torch.Tensor:
        """Return strips `[N, 3, F*H, W]` with colours of -1 ... 1.

        Args:
            ws: Rows of a mapping `[N, num_ws + F, w_dim]`.
        """


class Discriminator(Protocol):
    """Scores clips."""

    def __call__(self, strip: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        """Return logits `[N, 1]`, positive for clips that look real.

        Args:
            strip: Strips `[N, 3, F*H, W]` with colours of -1 ... 1.
            c: Labels `[N, K + F]`, class and timestamps in frames.
        """


class Augmentation(Protocol):
    """Transforms clips before a discriminator sees them."""

    def __call__(self, strip: torch.Tensor, p: float) -> torch.Tensor:
        """Return transformed strips, all frames of a clip in the same way.

        Args:
            strip: Strips `[N, 3, F*H, W]` with colours of -1 ... 1.
            p: Probability of each transform, 0 ... 1.
        """
