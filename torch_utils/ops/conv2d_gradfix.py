"""2-D convolutions, differentiable any number of times, under the stock names.

The gradients of a convolution are convolutions too, and so are the gradients of these gradients. PyTorch writes the
second derivative with images in the place of weights. That is slow, and in bfloat16 on CPUs it can end the process.
Here all orders use the three forms that the libraries are made for: convolution, gradient of the input and gradient of
the weight (`torch.ops.aten.convolution_backward`).
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from torch_utils.ops.autograd import Context

__all__ = ["conv2d", "conv_transpose2d", "enabled", "no_weight_gradients", "weight_gradients_disabled"]

Size = int | Sequence[int]
"""A number for both axes, or (height, width)."""

Gradients = tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]

enabled = False  # stock training loops set this; nothing depends on it
weight_gradients_disabled = False


@contextlib.contextmanager
def no_weight_gradients(disable: bool = True) -> Iterator[None]:
    """Leave the gradients of weights and biases out of backward passes, such as the first backward pass of R1.

    Args:
        disable: False changes nothing.

    Yields:
        Nothing; the gradients are left out inside the block.
    """
    global weight_gradients_disabled
    before = weight_gradients_disabled
    weight_gradients_disabled = before or disable
    try:
        yield
    finally:
        weight_gradients_disabled = before


def conv2d(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> torch.Tensor:
    """Convolve as `torch.nn.functional.conv2d` does.

    Args:
        input: Images `[N, C_in, H, W]`.
        weight: Weight `[C_out, C_in // groups, kh, kw]`.
        bias: Bias `[C_out]`; None is no bias.
        stride: Number, or (height, width).
        padding: Number, or (height, width); no names such as "same".
        dilation: Number, or (height, width).
        groups: Number of groups of channels.

    Returns:
        Images `[N, C_out, H', W']`.
    """
    return convolution(input, weight, bias, geometry(stride, padding, dilation, groups=groups))


def conv_transpose2d(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> torch.Tensor:
    """Convolve as `torch.nn.functional.conv_transpose2d` does.

    Args:
        input: Images `[N, C_in, H, W]`.
        weight: Weight `[C_in, C_out // groups, kh, kw]`.
        bias: Bias `[C_out]`; None is no bias.
        stride: Number, or (height, width).
        padding: Number, or (height, width).
        output_padding: Number, or (height, width).
        groups: Number of groups of channels.
        dilation: Number, or (height, width).

    Returns:
        Images `[N, C_out, H', W']`.
    """
    return convolution(input, weight, bias, geometry(stride, padding, dilation, True, output_padding, groups))


class Geometry(NamedTuple):
    """The arguments of `torch.convolution` after input, weight and bias; pairs are (height, width)."""

    stride: list[int]
    padding: list[int]
    dilation: list[int]
    transposed: bool
    output_padding: list[int]
    groups: int


def geometry(
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    transposed: bool = False,
    output_padding: Size = 0,
    groups: int = 1,
) -> Geometry:
    """Make a `Geometry` from numbers or pairs."""
    return Geometry(_pair(stride), _pair(padding), _pair(dilation), transposed, _pair(output_padding), groups)


def _pair(size: Size) -> list[int]:
    if isinstance(size, (int, np.integer)):
        return [int(size)] * 2
    return [int(value) for value in size]


def convolution(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None, geometry: Geometry) -> torch.Tensor:
    """Compute `torch.convolution`, differentiable any number of times.

    Under autocast and under PyTorch's compiler, which knows first derivatives alone, this is PyTorch's own function.
    """
    if torch.compiler.is_compiling() or is_autocast(x):
        return torch.convolution(x, w, b, *geometry)
    return _Convolution.apply(x, w, b, geometry)


def is_autocast(x: torch.Tensor) -> bool:
    """Return whether autocast may change the type of x."""
    return x.device.type in ("cpu", "cuda") and torch.is_autocast_enabled(x.device.type)


def gradients(
    dy: torch.Tensor, x: torch.Tensor, w: torch.Tensor, geometry: Geometry, wanted: Sequence[bool]
) -> Gradients:
    """Compute the gradients of a convolution from the gradient of its output.

    Args:
        dy: Gradient of the output.
        x: The input.
        w: The weight.
        geometry: Geometry of the convolution.
        wanted: Whether the gradients of x, w and the bias are wanted.

    Returns:
        The gradients of x, w and the bias; None for a gradient that is not wanted.
    """
    if weight_gradients_disabled:
        wanted = (wanted[0], False, False)
    if not any(wanted):
        return None, None, None
    compute = _Gradients.apply if torch.is_grad_enabled() else _gradients
    return compute(dy, x, w, geometry, tuple(wanted))


def _gradients(
    dy: torch.Tensor, x: torch.Tensor, w: torch.Tensor, geometry: Geometry, wanted: Sequence[bool]
) -> Gradients:
    biases = [dy.shape[1]] if wanted[2] else None
    return torch.ops.aten.convolution_backward(dy, x, w, biases, *geometry, wanted)


class _Convolution(torch.autograd.Function):
    """`torch.convolution` with derivatives of any order."""

    @staticmethod
    def forward(
        ctx: Context, x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None, geometry: Geometry
    ) -> torch.Tensor:
        ctx.save_for_backward(x, w)
        ctx.settings = (geometry,)
        return torch.convolution(x, w, b, *geometry)

    @staticmethod
    def backward(ctx: Context, *output_gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (x, w), (dy,), (geometry,) = ctx.saved_tensors, output_gradients, ctx.settings
        return *gradients(dy, x, w, geometry, ctx.needs_input_grad[:3]), None


class _Gradients(torch.autograd.Function):
    """(dx, dw, db) of a convolution. Each is linear in dy and in the other operand, and None if it is not wanted."""

    @staticmethod
    def forward(
        ctx: Context, dy: torch.Tensor, x: torch.Tensor, w: torch.Tensor, geometry: Geometry, wanted: tuple[bool, ...]
    ) -> Gradients:
        ctx.save_for_backward(dy, x, w)
        ctx.settings = (geometry,)
        ctx.set_materialize_grads(False)
        return _gradients(dy, x, w, geometry, wanted)

    @staticmethod
    def backward(ctx: Context, *output_gradients: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        (dy, x, w), (ddx, ddw, ddb), (geometry,) = ctx.saved_tensors, output_gradients, ctx.settings
        wants_dy, wants_x, wants_w = ctx.needs_input_grad[:3]
        g_dy = g_x = g_w = None
        if wants_dy:
            terms = [
                None if ddx is None else convolution(ddx, w, None, geometry),
                None if ddw is None else convolution(x, ddw, None, geometry),
                None if ddb is None else ddb[:, None, None].expand_as(dy),
            ]
            g_dy = _total(terms)
        if wants_x and ddw is not None:
            g_x = gradients(dy, x, ddw, geometry, (True, False, False))[0]
        if wants_w and ddx is not None:
            g_w = gradients(dy, ddx, w, geometry, (False, True, False))[1]
        return g_dy, g_x, g_w, None, None


def _total(terms: list[torch.Tensor | None]) -> torch.Tensor | None:
    present = [term for term in terms if term is not None]
    return sum(present[1:], present[0]) if present else None
