"""Bias, activation, gain and clamp in one call: y = clamp(gain * act(x + b)).

`lrelu`, `relu` and `linear` are piecewise linear, so their derivative is a mask that the output
already shows. They run as one pass that keeps only the output for the backward pass; the others are
composed of PyTorch functions.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F

import dnnlib

_SQRT2 = math.sqrt(2)


def _activation(func: Any, gain: float = 1.0, alpha: float = 0.0) -> dnnlib.EasyDict:
    return dnnlib.EasyDict(func=func, def_alpha=alpha, def_gain=gain)


activation_funcs = {
    "linear": _activation(lambda x, **_: x),
    "relu": _activation(lambda x, **_: F.relu(x), gain=_SQRT2),
    "lrelu": _activation(lambda x, alpha, **_: F.leaky_relu(x, alpha), gain=_SQRT2, alpha=0.2),
    "tanh": _activation(lambda x, **_: torch.tanh(x)),
    "sigmoid": _activation(lambda x, **_: torch.sigmoid(x)),
    "elu": _activation(lambda x, **_: F.elu(x)),
    "selu": _activation(lambda x, **_: F.selu(x)),
    "softplus": _activation(lambda x, **_: F.softplus(x)),
    "swish": _activation(lambda x, **_: x * torch.sigmoid(x), gain=_SQRT2),
}
_SLOPES = {"linear": 1.0, "relu": 0.0}  # of the negative half; lrelu's is its alpha


def bias_act(
    x: torch.Tensor,
    b: torch.Tensor | None = None,
    dim: int = 1,
    act: str = "linear",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
    impl: str = "cuda",
) -> torch.Tensor:
    """clamp(gain * act(x + b)), differentiable any number of times.

    x: any shape. b: `[x.shape[dim]]` or `None` (no bias). act: a key of `activation_funcs`.
    alpha, gain: `None` takes the activation's own default. clamp: largest absolute value, `None` or
    negative for no bound. impl: "ref" forces the composed form; anything else picks the fastest.
    """
    if act not in activation_funcs:
        raise ValueError(f"activation {act!r} is not one of {', '.join(activation_funcs)}")
    spec = activation_funcs[act]
    alpha = float(spec.def_alpha if alpha is None else alpha)
    gain = float(spec.def_gain if gain is None else gain)
    clamp = None if clamp is None or clamp < 0 else float(clamp)
    if b is not None:
        if b.ndim != 1 or b.shape[0] != x.shape[dim]:
            raise ValueError(f"bias of shape {list(b.shape)} does not fit dimension {dim} of {list(x.shape)}")
        b = b.to(x.dtype).reshape([-1 if axis == dim % x.ndim else 1 for axis in range(x.ndim)])

    slope = alpha if act == "lrelu" else _SLOPES.get(act)
    # The output tells the sign of the input only where the negative slope keeps it.
    if impl != "ref" and slope is not None and slope >= 0 and gain > 0:
        return _PiecewiseLinear.apply(x, b, slope, gain, clamp)
    return _composed(x, b, spec.func, alpha, gain, clamp)


def _composed(x, b, func, alpha, gain, clamp):  # noqa: ANN001, ANN202
    y = func(x if b is None else x + b, alpha=alpha)
    y = y * gain if gain != 1 else y
    return y if clamp is None else y.clamp(-clamp, clamp)


class _PiecewiseLinear(torch.autograd.Function):
    """y = clamp(gain * max(x + b, slope * (x + b))), saving y alone."""

    @staticmethod
    def forward(ctx, x, b, slope, gain, clamp):  # noqa: ANN001, ANN205
        y = x * gain if b is None else torch.add(x, b)
        if b is not None and gain != 1:
            y.mul_(gain)
        if slope != 1:
            y = F.leaky_relu_(y, slope)
        if clamp is not None:
            y.clamp_(-clamp, clamp)
        ctx.save_for_backward(y)
        ctx.settings = slope, gain, clamp
        ctx.bias_shape = None if b is None else b.shape
        return y

    @staticmethod
    def backward(ctx, dy):  # noqa: ANN001, ANN205
        (y,) = ctx.saved_tensors
        dx = _MaskedScale.apply(dy, y, *ctx.settings)
        db = dx.sum_to_size(ctx.bias_shape) if ctx.needs_input_grad[1] else None
        return dx, db, None, None, None


class _MaskedScale(torch.autograd.Function):
    """dy times the slope of the activation where its output was y. Linear in dy, so its own adjoint."""

    @staticmethod
    def forward(ctx, dy, y, slope, gain, clamp):  # noqa: ANN001, ANN205
        ctx.save_for_backward(y)
        ctx.settings = slope, gain, clamp
        dx = dy * gain if slope == 1 else torch.ops.aten.leaky_relu_backward(dy, y, slope, True)
        if slope != 1 and gain != 1:
            dx.mul_(gain)
        return dx if clamp is None else dx.mul_(y.abs() < clamp)

    @staticmethod
    def backward(ctx, ddx):  # noqa: ANN001, ANN205
        (y,) = ctx.saved_tensors
        return _MaskedScale.apply(ddx, y, *ctx.settings), None, None, None, None
