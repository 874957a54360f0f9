"""Checks that compare a CUDA kernel with its reference on a few small images.

Every op with a kernel registers its check when its module is imported. So a kernel is checked before it is used.
"""

from collections.abc import Callable

import torch

__all__ = ["CHECKS", "TOLERANCE", "problem", "register", "relative_error", "sample_images"]

Check = Callable[[torch.device], float]
"""A function that runs a kernel on a device and returns its error relative to the reference."""

TOLERANCE = 1e-4
CHECKS: dict[str, Check] = {}
"""The registered checks by the names of their ops."""


def register(name: str) -> Callable[[Check], Check]:
    """Return a decorator that registers a check.

    Args:
        name: Name of the op.

    Returns:
        The decorator, which returns the check unchanged.
    """

    def decorate(check: Check) -> Check:
        CHECKS[name] = check
        return check

    return decorate


def problem(device: torch.device) -> str | None:
    """Run all checks that are registered so far.

    Args:
        device: The device to run on.

    Returns:
        A sentence that names the first op whose kernel is wrong on this device; None if all kernels are right.

    Raises:
        torch_utils.custom_ops.KernelUnavailable: If a kernel cannot be compiled, loaded or launched.
    """
    for name, check in CHECKS.items():
        error = check(device)
        if not error < TOLERANCE:  # a NaN is a wrong result, too
            return f"the kernel of {name} is off by {error:.3g} on {device}, more than {TOLERANCE:g}"
    return None


def sample_images(device: torch.device) -> torch.Tensor:
    """Return the images that checks use, float32 `[2, 4, 10, 12]`."""
    return torch.linspace(-3, 4, 2 * 4 * 10 * 12, device=device).sin().reshape(2, 4, 10, 12)


def relative_error(ours: torch.Tensor, reference: torch.Tensor) -> float:
    """Return the largest difference between two tensors of one shape, divided by the reference's largest value."""
    return float((ours - reference).abs().max() / reference.abs().max())
