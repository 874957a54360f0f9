"""a * b + c with broadcasting."""

import torch

__all__ = ["fma"]


def fma(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    """Compute a * b + c in one pass, differentiable any number of times.

    Args:
        a: First factor.
        b: Second factor; its shape broadcasts with the shape of `a`.
        c: Summand; its shape broadcasts with the shapes of `a` and `b`.

    Returns:
        The sum, in the broadcast shape.
    """
    return torch.addcmul(c, a, b)
