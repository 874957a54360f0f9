"""What follows a convolution in the convolution's own pass: bias and piecewise linear activation, on CPUs.

oneDNN, which computes PyTorch's convolutions on CPUs, can add a bias and apply a leaky ReLU while it
writes its result, and so spares two passes over memory. PyTorch has operators for that, without
derivatives, for its compiler. Here they get them: the output shows where the activation bent, as in
`bias_act`, and what is left is linear.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from torch_utils.ops import bias_act, conv2d_gradfix, upfirdn2d


@functools.cache
def _types() -> tuple[torch.dtype, ...]:
    """Types that the operator computes in, by its result for small whole numbers: it is not a public one."""
    return tuple(dtype for dtype in (torch.float32, torch.bfloat16) if _computes(dtype))


def _computes(dtype: torch.dtype) -> bool:
    x = torch.arange(-12.0, 12, device="cpu").reshape(1, 2, 3, 4)
    w = torch.arange(18, device="cpu").remainder(5).sub(2.0).reshape(2, 1, 3, 3)
    b = torch.arange(-4.0, 2, 5, device="cpu")
    y = torch.convolution(x, w, b, [1, 2], [1, 0], [1, 1], False, [0, 0], 2)
    try:
        ours = _convolution(x.to(dtype), w.to(dtype), b.to(dtype), [1, 0], [1, 2], 2, ("leaky_relu", [0.5]))
    except Exception:  # this PyTorch or this CPU does not have it, or has it in another form
        return False
    return torch.equal(ours.float(), torch.where(y < 0, y / 2, y))


def _convolution(x, w, b, padding, stride, groups, activation):  # noqa: ANN001, ANN202
    return torch.ops.mkldnn._convolution_pointwise(x, w, b, padding, stride, [1, 1], groups, *activation, "")


class Ending(NamedTuple):
    """clamp(gain * act(y + b)) of a convolution's result y.

    Attributes:
        b: `[C_out]`.
        in_parts: Y is one of several parts that `join` puts together, and the activation's derivative is taken there,
            so that only the whole has to be kept.
    """

    b: torch.Tensor | None = None
    act: str = "linear"
    gain: float = 1.0
    clamp: float | None = None
    in_parts: bool = False

    @property
    def slope(self) -> float:
        """Of the activation's negative half, where it fuses."""
        slope = bias_act.slope_of(self.act)
        assert slope is not None
        return slope

    def of(self, y: torch.Tensor) -> torch.Tensor:
        """The same in a pass of its own."""
        return bias_act.bias_act(y, self.b, act=self.act, gain=self.gain, clamp=self.clamp)

    def fuses(self, x: torch.Tensor) -> bool:
        """Whether it can be had in the same pass as a convolution of x."""
        if torch.compiler.is_compiling() or conv2d_gradfix.is_autocast(x):
            return False
        there = x.device.type == "cpu" and torch.backends.mkldnn.enabled and x.dtype in _types()
        simple = self.gain == 1 and bias_act.slope_of(self.act) is not None
        return bool(there and simple and (self.b is not None or self.act != "linear" or self.clamp is not None))

    def run(self, x: torch.Tensor, w: torch.Tensor, stride: Any, padding: Any, groups: int) -> torch.Tensor:
        """Convolution and ending in one pass, where it fuses."""
        activation = ("none", []) if self.slope == 1 else ("leaky_relu", [self.slope])
        y = _convolution(x, w, self.b, padding, stride, groups, activation)
        return y if self.clamp is None else y.clamp_(-self.clamp, self.clamp)

    def unbend(self, dy: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Gradient before the activation, from the one after it."""
        return bias_act.masked_scale(dy, y, self.slope, self.clamp)

    def join(self, x: torch.Tensor, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """Parts along the first dimension, results of convolutions of parts of x, in one."""
        return _Joined.apply(self, *parts) if self.fuses(x) and self.in_parts else torch.cat(list(parts))


def conv2d(
    x: torch.Tensor, w: torch.Tensor, ending: Ending, stride: Any = 1, padding: Any = 0, groups: int = 1
) -> torch.Tensor:
    """`torch.nn.functional.conv2d`, then the ending."""
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
    """`upfirdn2d` without enlarging, then the ending."""
    if not ending.fuses(x):
        y = upfirdn2d.upfirdn2d(x, f, down=down, padding=list(padding), flip_filter=flip_filter, gain=gain)
        return ending.of(y)
    f = torch.ones([1, 1]) if f is None else f
    return _Filter.apply(x, f, ending.b, ending, (down, down), tuple(padding), flip_filter, float(gain))


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b, ending, geometry):  # noqa: ANN001, ANN205
        y = ending._replace(b=b).run(x, w, geometry.stride, geometry.padding, geometry.groups)
        ctx.save_for_backward(x, w, None if ending.in_parts else y)
        ctx.ending, ctx.geometry = ending._replace(b=None), geometry
        return y

    @staticmethod
    def backward(ctx, dy):  # noqa: ANN001, ANN205
        x, w, y = ctx.saved_tensors
        dy = dy if y is None else ctx.ending.unbend(dy, y)
        return *conv2d_gradfix.gradients(dy, x, w, ctx.geometry, ctx.needs_input_grad[:3]), None, None


class _Filter(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, f, b, ending, down, padding, flip_filter, gain):  # noqa: ANN001, ANN205
        def last(x, w, stride, padding, groups):  # noqa: ANN001, ANN202
            return ending._replace(b=b).run(x, w.contiguous(), stride, padding, groups)

        y = upfirdn2d.reference(x, f, (1, 1), down, padding, flip_filter, gain, last)
        ctx.save_for_backward(f, None if ending.in_parts else y)
        ctx.settings = (x.shape[3], x.shape[2]), (1, 1), down, padding, flip_filter, gain
        ctx.ending = ending._replace(b=None)
        return y

    @staticmethod
    def backward(ctx, dy):  # noqa: ANN001, ANN205
        f, y = ctx.saved_tensors
        dy = dy if y is None else ctx.ending.unbend(dy, y)
        dx = upfirdn2d.adjoint(dy, f, *ctx.settings) if ctx.needs_input_grad[0] else None
        wants_db = ctx.needs_input_grad[2] and not conv2d_gradfix.weight_gradients_disabled
        return dx, None, dy.sum([0, 2, 3]) if wants_db else None, None, None, None, None, None


class _Joined(torch.autograd.Function):
    @staticmethod
    def forward(ctx, ending, *parts):  # noqa: ANN001, ANN002, ANN205
        y = torch.cat(parts)
        ctx.save_for_backward(y)
        ctx.ending, ctx.sizes = ending._replace(b=None), [len(part) for part in parts]
        return y

    @staticmethod
    def backward(ctx, dy):  # noqa: ANN001, ANN205
        (y,) = ctx.saved_tensors
        return None, *ctx.ending.unbend(dy, y).split(ctx.sizes)
