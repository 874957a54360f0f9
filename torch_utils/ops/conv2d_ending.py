"""Convolutions on CPUs that add a bias and apply a piecewise linear activation in the same pass.

oneDNN computes PyTorch's convolutions on CPUs. It can add a bias and apply a leaky ReLU while it writes its result,
which saves two passes over memory. PyTorch's compiler has operators for that, but they have no derivatives. This module
adds the derivatives: as in `activations`, the output shows which piece of the activation each value is on; the rest is
linear.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import torch

from torch_utils.ops import bias_act, conv2d_gradfix, upfirdn2d
from torch_utils.ops.activations import masked_scale, slope_of
from torch_utils.ops.autograd import Context
from torch_utils.ops.conv2d_gradfix import Geometry, Size
from torch_utils.ops.fir import Pair, Sides

__all__ = ["Ending", "conv2d", "filter2d"]


@functools.cache
def _types() -> tuple[torch.dtype, ...]:
    """Return the types that oneDNN's operator computes in. It is no public operator, so a small example tests it."""
    return tuple(dtype for dtype in (torch.float32, torch.bfloat16) if _computes(dtype))


def _computes(dtype: torch.dtype) -> bool:
    x = torch.arange(-12.0, 12, device="cpu").reshape(1, 2, 3, 4)
    w = torch.arange(18, device="cpu").remainder(5).sub(2.0).reshape(2, 1, 3, 3)
    b = torch.arange(-4.0, 2, 5, device="cpu")
    y = torch.convolution(x, w, b, [1, 2], [1, 0], [1, 1], False, [0, 0], 2)
    try:
        ours = _convolution(x.to(dtype), w.to(dtype), b.to(dtype), [1, 0], [1, 2], 2, ("leaky_relu", [0.5]))
    except Exception:  # this PyTorch or this CPU does not have the operator, or has it in another form
        return False
    return torch.equal(ours.float(), torch.where(y < 0, y / 2, y))


def _convolution(
    x: torch.Tensor,
    w: torch.Tensor,
    b: torch.Tensor | None,
    padding: Size,
    stride: Size,
    groups: int,
    activation: tuple[str, list[float]],
) -> torch.Tensor:
    return torch.ops.mkldnn._convolution_pointwise(x, w, b, padding, stride, [1, 1], groups, *activation, "")


class Ending(NamedTuple):
    """clamp(gain * act(y + b)) of a convolution's result y.

    Attributes:
        b: Bias `[C_out]`; None is no bias.
        act: A key of `activation_funcs`.
        gain: Factor after the activation.
        clamp: Largest absolute value; None is no bound.
        in_parts: Whether y is one of several parts that `join` puts together. If so, `join` takes the derivative of the
            activation, so that autograd keeps the whole result and not the parts as well.
    """

    b: torch.Tensor | None = None
    act: str = "linear"
    gain: float = 1.0
    clamp: float | None = None
    in_parts: bool = False

    @property
    def slope(self) -> float:
        """Slope of the negative half of a piecewise linear activation."""
        slope = slope_of(self.act)
        assert slope is not None
        return slope

    def of(self, y: torch.Tensor) -> torch.Tensor:
        """Compute the ending in a separate pass."""
        return bias_act.bias_act(y, self.b, act=self.act, gain=self.gain, clamp=self.clamp)

    def fuses(self, x: torch.Tensor) -> bool:
        """Return whether a convolution of x can compute the ending in the same pass."""
        if torch.compiler.is_compiling() or conv2d_gradfix.is_autocast(x):
            return False
        there = x.device.type == "cpu" and torch.backends.mkldnn.enabled and x.dtype in _types()
        simple = self.gain == 1 and slope_of(self.act) is not None
        return bool(there and simple and (self.b is not None or self.act != "linear" or self.clamp is not None))

    def run(self, x: torch.Tensor, w: torch.Tensor, stride: Size, padding: Size, groups: int) -> torch.Tensor:
        """Compute the convolution and the ending in one pass; `fuses` must be true."""
        activation: tuple[str, list[float]] = ("none", []) if self.slope == 1 else ("leaky_relu", [self.slope])
        y = _convolution(x, w, self.b, padding, stride, groups, activation)
        return y if self.clamp is None else y.clamp_(-self.clamp, self.clamp)

    def unbend(self, dy: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Compute the gradient before the activation from the gradient dy after it and the output y."""
        return masked_scale(dy, y, self.slope, self.clamp)

    def join(self, x: torch.Tensor, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """Put the results for parts of x together along the first dimension."""
        return _Joined.apply(self, *parts) if self.fuses(x) and self.in_parts else torch.cat(list(parts))


def conv2d(
    x: torch.Tensor, w: torch.Tensor, ending: Ending, stride: Size = 1, padding: Size = 0, groups: int = 1
) -> torch.Tensor:
    """Compute `torch.nn.functional.conv2d`, then the ending.

    Args:
        x: Images `[N, C_in, H, W]`.
        w: Weight `[C_out, C_in // groups, kh, kw]`.
        ending: The steps after the convolution.
        stride: Number, or (height, width).
        padding: Number, or (height, width).
        groups: Number of groups of channels.

    Returns:
        Images `[N, C_out, H', W']`; differentiable any number of times.
    """
    if not ending.fuses(x):
        return ending.of(conv2d_gradfix.conv2d(x, w, stride=stride, padding=padding, groups=groups))
    geometry = conv2d_gradfix.geometry(stride, padding, groups=groups)
    return _Convolution.apply(x, w, ending.b, ending, geometry)


def filter2d(
    x: torch.Tensor,
    f: torch.Tensor | None,
    ending: Ending,
    padding: Sequence[int] = (0, 0, 0, 0),
    flip_filter: bool = False,
    gain: float = 1,
    down: int = 1,
) -> torch.Tensor:
    """Compute `upfirdn2d` without upsampling, then the ending.

    Args:
        x: Images `[N, C, H, W]`.
        f: Filter from `setup_filter`; None is the identity.
        ending: The steps after the filter.
        padding: Pixels (x before, x after, y before, y after).
        flip_filter: False computes a convolution, True a correlation.
        gain: Factor of the filtered image.
        down: Downsampling factor.

    Returns:
        Images `[N, C, H', W']`; differentiable any number of times.
    """
    if not ending.fuses(x):
        y = upfirdn2d.upfirdn2d(x, f, down=down, padding=list(padding), flip_filter=flip_filter, gain=gain)
        return ending.of(y)
    f = torch.ones([1, 1]) if f is None else f
    return _Filter.apply(x, f, ending.b, ending, (down, down), tuple(padding), flip_filter, float(gain))


class _Convolution(torch.autograd.Function):
    """A convolution with its ending, in one pass."""

    @staticmethod
    def forward(
        ctx: Context, x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None, ending: Ending, geometry: Geometry
    ) -> torch.Tensor:
        y = ending._replace(b=b).run(x, w, geometry.stride, geometry.padding, geometry.groups)
        ctx.save_for_backward(x, w, None if ending.in_parts else y)
        ctx.settings = ending._replace(b=None), geometry
        return y

    @staticmethod
    def backward(ctx: Context, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (x, w, y), (dy,), (ending, geometry) = ctx.saved_tensors, gradients, ctx.settings
        dy = dy if y is None else ending.unbend(dy, y)
        return *conv2d_gradfix.gradients(dy, x, w, geometry, ctx.needs_input_grad[:3]), None, None


class _Filter(torch.autograd.Function):
    """A filter with its ending, whose last convolution does both in one pass."""

    @staticmethod
    def forward(
        ctx: Context,
        x: torch.Tensor,
        f: torch.Tensor,
        b: torch.Tensor | None,
        ending: Ending,
        down: Pair,
        padding: Sides,
        flip_filter: bool,
        gain: float,
    ) -> torch.Tensor:
        def last(x: torch.Tensor, w: torch.Tensor, stride: Size, padding: Size, groups: int) -> torch.Tensor:
            return ending._replace(b=b).run(x, w.contiguous(), stride, padding, groups)

        y = upfirdn2d.reference(x, f, (1, 1), down, padding, flip_filter, gain, last)
        ctx.save_for_backward(f, None if ending.in_parts else y)
        settings = (x.shape[3], x.shape[2]), (1, 1), down, padding, flip_filter, gain
        ctx.settings = ending._replace(b=None), settings
        return y

    @staticmethod
    def backward(ctx: Context, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (f, y), (dy,), (ending, settings) = ctx.saved_tensors, gradients, ctx.settings
        dy = dy if y is None else ending.unbend(dy, y)
        dx = upfirdn2d.adjoint(dy, f, *settings) if ctx.needs_input_grad[0] else None
        wants_db = ctx.needs_input_grad[2] and not conv2d_gradfix.weight_gradients_disabled
        return dx, None, dy.sum([0, 2, 3]) if wants_db else None, None, None, None, None, None


class _Joined(torch.autograd.Function):
    """`Ending.join`, which takes the derivative of the activation of all parts."""

    @staticmethod
    def forward(ctx: Context, ending: Ending, *parts: torch.Tensor) -> torch.Tensor:
        y = torch.cat(parts)
        ctx.save_for_backward(y)
        ctx.settings = ending._replace(b=None), [len(part) for part in parts]
        return y

    @staticmethod
    def backward(ctx: Context, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (y,), (dy,), (ending, sizes) = ctx.saved_tensors, gradients, ctx.settings
        return None, *ending.unbend(dy, y).split(sizes)
