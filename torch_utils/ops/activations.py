"""The activations of the StyleGAN family in plain PyTorch: y = clamp(gain * act(x + b)).

`lrelu`, `relu` and `linear` are piecewise linear: the output already shows where the derivative changes. They run as
one pass that keeps only the output for the backward pass. The other activations are composed of PyTorch functions.
"""

import math
from collections.abc import Callable
from typing import TypeGuard

import torch
import torch.nn.functional as F

import dnnlib
from torch_utils.ops.autograd import Context

__all__ = ["SLOPES", "activation_funcs", "composed", "masked_scale", "output_tells", "piecewise_linear", "slope_of"]

_SQRT2 = math.sqrt(2)


def _activation(func: Callable[..., torch.Tensor], gain: float = 1.0, alpha: float = 0.0) -> dnnlib.EasyDict:
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
"""The activations by name: function `func`, default slope `def_alpha`, default gain `def_gain`."""

SLOPES = {"linear": 1.0, "relu": 0.0}
"""Slope of the negative half; the slope of `lrelu` is its `alpha`."""


def slope_of(act: str, alpha: float | None = None) -> float | None:
    """Return the slope of an activation's negative half.

    Args:
        act: A key of `activation_funcs`.
        alpha: Slope of `lrelu`; None is its default.

    Returns:
        The slope; None if the activation is curved.
    """
    if act == "lrelu":
        return float(activation_funcs[act].def_alpha) if alpha is None else alpha
    return SLOPES.get(act)


def output_tells(slope: float | None, gain: float) -> TypeGuard[float]:
    """Return whether the output shows the derivative: piecewise linear, and the negative half stays negative.

    Args:
        slope: Slope of the negative half; None for a curved activation.
        gain: Factor after the activation.

    Returns:
        Whether the backward pass needs nothing but the output.
    """
    return slope is not None and slope >= 0 and gain > 0


def composed(
    x: torch.Tensor,
    b: torch.Tensor | None,
    func: Callable[..., torch.Tensor],
    alpha: float,
    gain: float,
    clamp: float | None,
) -> torch.Tensor:
    """Compute clamp(gain * func(x + b)) by PyTorch functions.

    Args:
        x: Any shape.
        b: Bias that broadcasts to x; None is no bias.
        func: Function of x and `alpha`.
        alpha: Parameter of the function.
        gain: Factor after the activation.
        clamp: Largest absolute value; None is no bound.

    Returns:
        The result, in the shape of x.
    """
    y = func(x if b is None else x + b, alpha=alpha)
    y = y * gain if gain != 1 else y
    return y if clamp is None else y.clamp(-clamp, clamp)


def piecewise_linear(
    x: torch.Tensor, b: torch.Tensor | None, slope: float, gain: float, clamp: float | None
) -> torch.Tensor:
    """Compute y = clamp(gain * max(x + b, slope * (x + b))) and keep only y for the backward pass.

    Args:
        x: Any shape.
        b: Bias that broadcasts to x; None is no bias.
        slope: Slope of the negative half, at least 0.
        gain: Factor after the activation, above 0.
        clamp: Largest absolute value; None is no bound.

    Returns:
        The result, in the shape of x; differentiable any number of times.
    """
    return _PiecewiseLinear.apply(x, b, slope, gain, clamp)


def masked_scale(dy: torch.Tensor, y: torch.Tensor, slope: float, clamp: float | None) -> torch.Tensor:
    """Compute the gradient of a piecewise linear activation's input, for a gain of 1.

    Args:
        dy: Gradient of the output.
        y: The output.
        slope: Slope of the negative half.
        clamp: Largest absolute value; None is no bound.

    Returns:
        The gradient of the input; differentiable in dy.
    """
    return dy if slope == 1 and clamp is None else _MaskedScale.apply(dy, y, slope, 1.0, clamp)


def _value(x: torch.Tensor, b: torch.Tensor | None, slope: float, gain: float, clamp: float | None) -> torch.Tensor:
    """Compute the value of `piecewise_linear`.

    It works in place, but not under the compiler: PyTorch 2.11's compiler makes the gradient of such an output zero.
    """
    if torch.compiler.is_compiling():
        return composed(x, b, activation_funcs["lrelu"].func, slope, gain, clamp)
    if b is not None:
        y = torch.add(x, b)
        y = y if slope == 1 else F.leaky_relu_(y, slope)
    else:
        y = x.clone() if slope == 1 else F.leaky_relu(x, slope)
    if gain != 1:
        y.mul_(gain)
    return y if clamp is None else y.clamp_(-clamp, clamp)


class _PiecewiseLinear(torch.autograd.Function):
    """`piecewise_linear` with its derivative."""

    @staticmethod
    def forward(
        ctx: Context, x: torch.Tensor, b: torch.Tensor | None, slope: float, gain: float, clamp: float | None
    ) -> torch.Tensor:
        y = _value(x, b, slope, gain, clamp)
        ctx.save_for_backward(y)
        ctx.settings = None if b is None else b.shape, (slope, gain, clamp)
        return y

    @staticmethod
    def backward(ctx: Context, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (y,), (dy,) = ctx.saved_tensors, gradients
        bias_shape, settings = ctx.settings
        dx = _MaskedScale.apply(dy, y, *settings)
        db = dx.sum_to_size(bias_shape) if ctx.needs_input_grad[1] else None
        return dx, db, None, None, None


class _MaskedScale(torch.autograd.Function):
    """Multiply dy by the activation's derivative, which its output y shows. It is linear in dy and its own adjoint."""

    @staticmethod
    def forward(
        ctx: Context, dy: torch.Tensor, y: torch.Tensor, slope: float, gain: float, clamp: float | None
    ) -> torch.Tensor:
        ctx.save_for_backward(y)
        ctx.settings = slope, gain, clamp
        dx = dy * gain if slope == 1 else torch.ops.aten.leaky_relu_backward(dy, y, slope, True)
        factors: list[float | torch.Tensor] = [gain] if slope != 1 and gain != 1 else []
        factors += [] if clamp is None else [y.abs() < clamp]
        for factor in factors:  # in place, but not under the compiler, as in `_value`
            dx = dx * factor if torch.compiler.is_compiling() else dx.mul_(factor)
        return dx

    @staticmethod
    def backward(ctx: Context, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (y,), (ddx,) = ctx.saved_tensors, gradients
        return _MaskedScale.apply(ddx, y, *ctx.settings), None, None, None, None
