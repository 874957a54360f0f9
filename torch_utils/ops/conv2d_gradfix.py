"""2-D convolutions, differentiable any number of times, under the stock names.

The gradients of a convolution are convolutions too, and so are theirs. PyTorch writes the second
derivative with images in the place of weights, which is slow, and in bfloat16 on CPUs can end the
process. Here all orders use the three forms that its libraries are made for: convolution, and gradients of
input and of weight (`torch.ops.aten.convolution_backward`).
"""

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

enabled = False  # set by stock training loops; nothing depends on it
weight_gradients_disabled = False


@contextlib.contextmanager
def no_weight_gradients(disable: bool = True) -> Iterator[None]:
    """Leave gradients of weights and biases out of backward passes in the block, such as the first one of R1."""
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
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> torch.Tensor:
    """As `torch.nn.functional.conv2d`, with paddings in numbers."""
    return convolution(input, weight, bias, geometry(stride, padding, dilation, groups=groups))


def conv_transpose2d(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> torch.Tensor:
    """As `torch.nn.functional.conv_transpose2d`."""
    return convolution(input, weight, bias, geometry(stride, padding, dilation, True, output_padding, groups))


class Geometry(NamedTuple):
    """Arguments of `torch.convolution` after input, weight and bias; pairs are (height, width)."""

    stride: list[int]
    padding: list[int]
    dilation: list[int]
    transposed: bool
    output_padding: list[int]
    groups: int


def geometry(
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    transposed: bool = False,
    output_padding: Any = 0,
    groups: int = 1,
) -> Geometry:
    """From numbers or pairs."""
    return Geometry(_pair(stride), _pair(padding), _pair(dilation), transposed, _pair(output_padding), groups)


def _pair(size: Any) -> list[int]:
    return [int(value) for value in size] if hasattr(size, "__len__") else [int(size)] * 2


def convolution(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None, geometry: Geometry) -> torch.Tensor:
    """`torch.convolution`: PyTorch's own under autocast and for its compiler, which knows first derivatives alone."""
    if torch.compiler.is_compiling() or is_autocast(x):
        return torch.convolution(x, w, b, *geometry)
    return _Convolution.apply(x, w, b, geometry)


def is_autocast(x: torch.Tensor) -> bool:
    """Whether autocast may change the type of x."""
    return x.device.type in ("cpu", "cuda") and torch.is_autocast_enabled(x.device.type)


def gradients(dy: torch.Tensor, x: torch.Tensor, w: torch.Tensor, geometry: Geometry, wanted: Any) -> tuple:
    """Gradients of x, w and b, those that are wanted, from that of the output."""
    if weight_gradients_disabled:
        wanted = wanted[0], False, False
    if not any(wanted):
        return None, None, None
    compute = _Gradients.apply if torch.is_grad_enabled() else _gradients
    return compute(dy, x, w, geometry, tuple(wanted))


def _gradients(dy, x, w, geometry, wanted):  # noqa: ANN001, ANN202
    biases = [dy.shape[1]] if wanted[2] else None
    return torch.ops.aten.convolution_backward(dy, x, w, biases, *geometry, wanted)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b, geometry):  # noqa: ANN001, ANN205
        ctx.save_for_backward(x, w)
        ctx.geometry = geometry
        return torch.convolution(x, w, b, *geometry)

    @staticmethod
    def backward(ctx, dy):  # noqa: ANN001, ANN205
        x, w = ctx.saved_tensors
        return *gradients(dy, x, w, ctx.geometry, ctx.needs_input_grad[:3]), None


class _Gradients(torch.autograd.Function):
    """(dx, dw, db) of a convolution, each linear in dy and in the other operand; `None` where not wanted."""

    @staticmethod
    def forward(ctx, dy, x, w, geometry, wanted):  # noqa: ANN001, ANN205
        ctx.save_for_backward(dy, x, w)
        ctx.geometry = geometry
        ctx.set_materialize_grads(False)
        return _gradients(dy, x, w, geometry, wanted)

    @staticmethod
    def backward(ctx, ddx, ddw, ddb):  # noqa: ANN001, ANN205
        dy, x, w = ctx.saved_tensors
        wants_dy, wants_x, wants_w = ctx.needs_input_grad[:3]
        g_dy = g_x = g_w = None
        if wants_dy:
            terms = [
                None if ddx is None else convolution(ddx, w, None, ctx.geometry),
                None if ddw is None else convolution(x, ddw, None, ctx.geometry),
                None if ddb is None else ddb[:, None, None].expand_as(dy),
            ]
            g_dy = _total(terms)
        if wants_x and ddw is not None:
            g_x = gradients(dy, x, ddw, ctx.geometry, (True, False, False))[0]
        if wants_w and ddx is not None:
            g_w = gradients(dy, ddx, w, ctx.geometry, (False, True, False))[1]
        return g_dy, g_x, g_w, None, None


def _total(terms: list[torch.Tensor | None]) -> torch.Tensor | None:
    present = [term for term in terms if term is not None]
    return sum(present[1:], present[0]) if present else None
