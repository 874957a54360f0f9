"""Kernels against references on a few small images, before a device's results are trusted."""

from collections.abc import Callable

import torch

from torch_utils.ops import bias_act, filtered_lrelu, upfirdn2d

TOLERANCE = 1e-4


def problem(device: torch.device) -> str | None:
    """The op whose kernel is wrong on this device, in words, or `None`. Raises `KernelUnavailable`."""
    for name, check in CHECKS.items():
        error = check(device)
        if not error < TOLERANCE:
            return f"the kernel of {name} is off by {error:.3g} on {device}, more than {TOLERANCE:g}"
    return None


def _images(device: torch.device) -> torch.Tensor:
    return torch.linspace(-3, 4, 2 * 4 * 10 * 12, device=device).sin().reshape(2, 4, 10, 12)


def _error(ours: torch.Tensor, reference: torch.Tensor) -> float:
    """Largest difference, relative to the largest value."""
    return float((ours - reference).abs().max() / reference.abs().max())


def _bias_act(device: torch.device) -> float:
    x, b = _images(device), torch.linspace(-1, 1, 4, device=device)
    ours = bias_act._kernel(x, b, None, None, None, "lrelu", 0.2, 1.5, 1.2)
    return _error(ours, bias_act.bias_act(x.double(), b, act="lrelu", gain=1.5, clamp=1.2, impl="ref"))


def _upfirdn2d(device: torch.device) -> float:
    x, f = _images(device), torch.arange(1.0, 17.0, device=device).reshape(4, 4)
    ours = upfirdn2d._kernel(x, f, [2, 2], [1, 1], [2, 1, 2, 1], False, 0.5)
    return _error(ours, upfirdn2d.upfirdn2d(x.double(), f, up=2, padding=[2, 1, 2, 1], gain=0.5, impl="ref"))


def _filtered_lrelu(device: torch.device) -> float:
    x, b, f = _images(device), torch.linspace(-1, 1, 4, device=device), torch.arange(1.0, 7.0, device=device)
    ours, _ = filtered_lrelu._kernel(x, f, f, b, 2, 2, [4, 5, 4, 5], 4.0, 1.5, 0.2, 200.0, False)
    reference = filtered_lrelu.filtered_lrelu(
        x.double(), f, f, b, up=2, down=2, padding=[4, 5, 4, 5], gain=1.5, slope=0.2, clamp=200.0, impl="ref"
    )
    return _error(ours, reference)


CHECKS: dict[str, Callable[[torch.device], float]] = {
    "bias_act": _bias_act,
    "upfirdn2d": _upfirdn2d,
    "filtered_lrelu": _filtered_lrelu,
}
