"""Bias, activation, gain and clamp in one call: y = clamp(gain * act(x + b)).

`lrelu`, `relu` and `linear` are piecewise linear, so their derivative is a mask that the output
already shows. They run as one pass that keeps only the output for the backward pass; the others are
composed of PyTorch functions. On CUDA all of them are one pass each, forward, backward and double
backward, by a kernel of our own (bias_act.cu), which also takes in what goes before and after in a
modulated layer: `scaled_bias_act`.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F

import dnnlib
from torch_utils import custom_ops
from torch_utils.ops import bias_act_kernel

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

    Args:
        x: Any shape.
        b: `[x.shape[dim]]` or `None` (no bias).
        act: A key of `activation_funcs`.
        alpha, gain: `None` takes the activation's own default.
        clamp: Largest absolute value, `None` or negative for no bound.
        impl: "ref" forces the composed form; anything else picks the fastest.
    """
    if act not in activation_funcs:
        raise ValueError(f"activation {act!r} is not one of {', '.join(activation_funcs)}")
    spec = activation_funcs[act]
    alpha = float(spec.def_alpha if alpha is None else alpha)
    gain = float(spec.def_gain if gain is None else gain)
    clamp = None if clamp is None or clamp < 0 else float(clamp)
    if b is not None and (b.ndim != 1 or b.shape[0] != x.shape[dim]):
        raise ValueError(f"bias of shape {list(b.shape)} does not fit dimension {dim} of {list(x.shape)}")
    if impl != "ref" and custom_ops.wanted(x):
        flat = x if x.ndim == 4 and dim == 1 else _as_images(x, dim)
        return _Fused.apply(flat, b, act, alpha, gain, clamp).reshape(x.shape)
    if b is not None:
        b = b.to(x.dtype).reshape([-1 if axis == dim % x.ndim else 1 for axis in range(x.ndim)])

    slope = alpha if act == "lrelu" else _SLOPES.get(act)
    if b is None and slope == gain == 1 and clamp is None:
        return x
    if impl != "ref" and _output_tells(slope, gain):
        return _PiecewiseLinear.apply(x, b, slope, gain, clamp)
    return _composed(x, b, spec.func, alpha, gain, clamp)


def gain_before(act: str, gain: float, device: torch.device) -> tuple[float, float]:
    """(gain of what comes before, gain that is left): gain * act(x) = act(gain * x) where act is piecewise linear.

    On a CPU a factor of weights and biases is free, one of an image is a pass over it, and one in the backward pass.
    """
    moves = device.type == "cpu" and gain > 0 and (act in _SLOPES or act == "lrelu")
    return (gain, 1.0) if moves else (1.0, gain)


def slope_of(act: str) -> float | None:
    """Slope of an activation's negative half; `None` where it is curved."""
    return float(activation_funcs[act].def_alpha) if act == "lrelu" else _SLOPES.get(act)


def _output_tells(slope: float | None, gain: float) -> bool:
    """Whether y shows the derivative: piecewise linear, and the negative half stays negative."""
    return slope is not None and slope >= 0 and gain > 0


def _as_images(x: torch.Tensor, dim: int) -> torch.Tensor:
    """`[N, C, H, 1]` with the biased dimension as C."""
    dim %= x.ndim
    return x.reshape(math.prod(x.shape[:dim]), x.shape[dim], math.prod(x.shape[dim + 1 :]), 1)


def _composed(x, b, func, alpha, gain, clamp):  # noqa: ANN001, ANN202
    y = func(x if b is None else x + b, alpha=alpha)
    y = y * gain if gain != 1 else y
    return y if clamp is None else y.clamp(-clamp, clamp)


def _piecewise_linear(x, b, slope, gain, clamp):  # noqa: ANN001, ANN202
    """The value alone. In place outside the compiler: PyTorch 2.11's makes the gradient of such an output zero."""
    if torch.compiler.is_compiling():
        return _composed(x, b, activation_funcs["lrelu"].func, slope, gain, clamp)
    if b is not None:
        y = torch.add(x, b)
        y = y if slope == 1 else F.leaky_relu_(y, slope)
    else:
        y = x.clone() if slope == 1 else F.leaky_relu(x, slope)
    if gain != 1:
        y.mul_(gain)
    return y if clamp is None else y.clamp_(-clamp, clamp)


class _PiecewiseLinear(torch.autograd.Function):
    """y = clamp(gain * max(x + b, slope * (x + b))), saving y alone."""

    @staticmethod
    def forward(ctx, x, b, slope, gain, clamp):  # noqa: ANN001, ANN205
        y = _piecewise_linear(x, b, slope, gain, clamp)
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


def masked_scale(dy: torch.Tensor, y: torch.Tensor, slope: float, clamp: float | None) -> torch.Tensor:
    """Gradient of a piecewise linear activation's input where its output was y; differentiable in dy."""
    return dy if slope == 1 and clamp is None else _MaskedScale.apply(dy, y, slope, 1.0, clamp)


class _MaskedScale(torch.autograd.Function):
    """dy times the slope of the activation where its output was y. Linear in dy, so its own adjoint."""

    @staticmethod
    def forward(ctx, dy, y, slope, gain, clamp):  # noqa: ANN001, ANN205
        ctx.save_for_backward(y)
        ctx.settings = slope, gain, clamp
        dx = dy * gain if slope == 1 else torch.ops.aten.leaky_relu_backward(dy, y, slope, True)
        factors = [gain] if slope != 1 and gain != 1 else []
        factors += [] if clamp is None else [y.abs() < clamp]
        for factor in factors:  # in place outside the compiler, as in `_piecewise_linear`
            dx = dx * factor if torch.compiler.is_compiling() else dx.mul_(factor)
        return dx

    @staticmethod
    def backward(ctx, ddx):  # noqa: ANN001, ANN205
        (y,) = ctx.saved_tensors
        return _MaskedScale.apply(ddx, y, *ctx.settings), None, None, None, None


class _Fused(torch.autograd.Function):
    """The same by kernels, x `[N, C, H, W]`. Piecewise linear activations keep y, the others x."""

    @staticmethod
    def forward(ctx, x, b, act, alpha, gain, clamp):  # noqa: ANN001, ANN205
        x = bias_act_kernel.dense(x)
        bias = None if b is None else b.to(bias_act_kernel.accumulation_dtype(x))
        y = torch.ops.stylegan_v_ext.bias_act(x, bias, None, None, None, act, alpha, gain, clamp)
        slope = alpha if act == "lrelu" else _SLOPES.get(act)
        from_output = _output_tells(slope, gain)
        ctx.save_for_backward(y if from_output else x, None if from_output else b)
        ctx.settings = act, alpha, gain, clamp, from_output
        ctx.bias_dtype = None if b is None else b.dtype
        return y

    @staticmethod
    def backward(ctx, dy):  # noqa: ANN001, ANN205
        x, b = ctx.saved_tensors
        if ctx.needs_input_grad[1] and not torch.is_grad_enabled() and bias_act_kernel.can_sum(x):
            dx, sums = _gradient_with_sums(dy, x, b, None, None, None, *ctx.settings)
            return dx, sums[:, 0].sum(0).to(ctx.bias_dtype), None, None, None, None
        dx = _FusedGradient.apply(dy, x, b, *ctx.settings)
        db = dx.sum([0, 2, 3], dtype=ctx.bias_dtype) if ctx.needs_input_grad[1] else None
        return dx, db, None, None, None, None


def scaled_bias_act(
    x: torch.Tensor,
    scale: torch.Tensor,
    b: torch.Tensor | None = None,
    noise: torch.Tensor | None = None,
    after: torch.Tensor | None = None,
    act: str = "linear",
    gain: float | None = None,
    clamp: float | None = None,
) -> torch.Tensor:
    """clamp(gain * act(x * scale + noise + b)) * after: what a modulated convolution ends with, in one pass.

    Args:
        x: `[N*F, C, H, W]`, the frames of a clip next to each other.
        scale, after: `[N, C]`, a row a clip.
        noise: `[1 or N, H, W]`; where it wants a gradient, no scale may be 0. One pass on CUDA with the channels
            innermost; composed elsewhere.
    """
    spec = activation_funcs[act]
    gain = float(spec.def_gain if gain is None else gain)
    settings = act, float(spec.def_alpha), gain, None if clamp is None or clamp < 0 else float(clamp)
    if custom_ops.wanted(x) and bias_act_kernel.can_sum(x):
        return _Scaled.apply(x, scale, b, noise, after, *settings)
    return _scaled_composed(x, scale, b, noise, after, *settings)


def _scaled_composed(x, scale, b, noise, after, act, alpha, gain, clamp):  # noqa: ANN001, ANN202
    frames = x.shape[0] // scale.shape[0]
    rows = _per_frame(scale, frames).to(x.dtype)
    if b is not None and noise is None:
        x, b = torch.addcmul(b.to(x.dtype)[:, None, None], x, rows), None
    else:
        x = x * rows
    if noise is not None:
        x = x + (noise if len(noise) == 1 else noise.repeat_interleave(frames, 0))[:, None].to(x.dtype)
    if b is not None or (act, gain, clamp) != ("linear", 1.0, None):
        x = bias_act(x, b, act=act, alpha=alpha, gain=gain, clamp=clamp)
    return x if after is None else x * _per_frame(after, frames).to(x.dtype)


def _per_frame(rows: torch.Tensor, frames: int) -> torch.Tensor:
    return rows.repeat_interleave(frames, dim=0)[:, :, None, None]


class _Scaled(torch.autograd.Function):
    """`scaled_bias_act` by one kernel forward and one backward; further orders come from the composed form."""

    @staticmethod
    def forward(ctx, x, scale, b, noise, after, *settings):  # noqa: ANN001, ANN002, ANN205
        ctx.save_for_backward(x, scale, b, noise, after)
        ctx.settings = settings
        wide = [None if t is None else t.to(bias_act_kernel.accumulation_dtype(x)) for t in (b, scale, noise, after)]
        return torch.ops.stylegan_v_ext.bias_act(x, *wide, *settings)

    @staticmethod
    def backward(ctx, dy):  # noqa: ANN001, ANN205
        tensors = ctx.saved_tensors
        x, scale, b, noise, after = tensors
        if torch.is_grad_enabled():
            wanted = [t for t, needed in zip(tensors, ctx.needs_input_grad, strict=False) if needed]
            y = _scaled_composed(*tensors, *ctx.settings)
            found = iter(torch.autograd.grad(y, wanted, dy, create_graph=True))
            return *(next(found) if needed else None for needed in ctx.needs_input_grad[:5]), None, None, None, None
        wide = [None if t is None else t.to(bias_act_kernel.accumulation_dtype(x)) for t in (scale, noise, after)]
        dx, sums = _gradient_with_sums(dy, x, b, *wide, *ctx.settings)
        by_clip = sums.unflatten(0, (scale.shape[0], -1)).sum(1)
        db = None if b is None else by_clip[:, 0].sum(0).to(b.dtype)
        dafter = None if after is None else by_clip[:, 2].to(after.dtype)
        dnoise = _sum_over_channels(dx, scale, noise) if ctx.needs_input_grad[3] else None
        return dx, by_clip[:, 1].to(scale.dtype), db, dnoise, dafter, None, None, None, None


def _sum_over_channels(dx: torch.Tensor, scale: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Gradient of the noise, `sum over c of dx[c] / scale[c]`, as a matrix product that reads dx once."""
    frames = dx.shape[0] // scale.shape[0]
    weights = scale.reciprocal().repeat_interleave(frames, dim=0)[:, :, None].to(dx.dtype)
    by_frame = (dx.permute(0, 2, 3, 1).flatten(1, 2) @ weights).to(noise.dtype)
    by_clip = by_frame.reshape(-1, frames, *dx.shape[2:]).sum(1)
    return by_clip.sum(0, keepdim=True) if len(noise) == 1 else by_clip


class _FusedGradient(torch.autograd.Function):
    """dy * act'(x + b) * gain where the clamp does not hold: linear in dy, curved in x."""

    @staticmethod
    def forward(ctx, dy, x, b, act, alpha, gain, clamp, from_output):  # noqa: ANN001, ANN205
        ctx.save_for_backward(dy, x, b)
        ctx.settings = act, alpha, gain, clamp, from_output
        bias = None if b is None else b.to(bias_act_kernel.accumulation_dtype(x))
        return torch.ops.stylegan_v_ext.bias_act_grad(
            dy, x, bias, None, None, None, act, alpha, gain, clamp, from_output
        )

    @staticmethod
    def backward(ctx, second):  # noqa: ANN001, ANN205
        dy, x, b = ctx.saved_tensors
        ddy = _FusedGradient.apply(second, x, b, *ctx.settings) if ctx.needs_input_grad[0] else None
        dx = db = None
        piecewise = ctx.settings[0] in (*_SLOPES, "lrelu")
        if not piecewise and (ctx.needs_input_grad[1] or ctx.needs_input_grad[2]):
            dx = _curved(dy, second, x, b, *ctx.settings[:-1])
            db = dx.sum([0, 2, 3], dtype=b.dtype) if ctx.needs_input_grad[2] else None
        return ddy, dx, db, None, None, None, None, None


def _gradient_with_sums(dy, x, b, scale, noise, after, act, alpha, gain, clamp, from_output=False):  # noqa: ANN001, ANN202
    """Gradient of x, and `[N, 3, C]`: the gradients of bias, scale and after in each image."""
    bias = None if b is None else b.to(bias_act_kernel.accumulation_dtype(x))
    dx, sums = torch.ops.stylegan_v_ext.bias_act_grad_sums(
        dy, x, bias, scale, noise, after, act, alpha, gain, clamp, from_output
    )
    return dx, sums.sum(1)


def _curved(dy, second, x, b, act, alpha, gain, clamp):  # noqa: ANN001, ANN202
    """Dy * second * act''(x + b) * gain; composed of PyTorch functions where derivatives of it are wanted."""
    if not torch.is_grad_enabled():
        bias = None if b is None else b.to(bias_act_kernel.accumulation_dtype(x))
        return torch.ops.stylegan_v_ext.bias_act_curve(dy, second, x, bias, act, alpha, gain, clamp)
    z = x if b is None else x + b.to(x.dtype)[:, None, None]
    y = bias_act(z, act=act, alpha=alpha, gain=gain, clamp=clamp, impl="ref")
    (slope,) = torch.autograd.grad(y, z, torch.ones_like(y), create_graph=True)
    (curve,) = torch.autograd.grad(slope, z, torch.ones_like(y), create_graph=True)
    return dy * second * curve


custom_ops.library.define(
    "bias_act(Tensor x, Tensor? bias, Tensor? scale, Tensor? noise, Tensor? after,"
    " str act, float alpha, float gain, float? clamp) -> Tensor"
)
custom_ops.library.define(
    "bias_act_grad(Tensor dy, Tensor x, Tensor? bias, Tensor? scale, Tensor? noise, Tensor? after,"
    " str act, float alpha, float gain, float? clamp, bool from_output) -> Tensor"
)
custom_ops.library.define(
    "bias_act_grad_sums(Tensor dy, Tensor x, Tensor? bias, Tensor? scale, Tensor? noise, Tensor? after,"
    " str act, float alpha, float gain, float? clamp, bool from_output) -> (Tensor, Tensor)"
)
custom_ops.library.define(
    "bias_act_curve(Tensor dy, Tensor second, Tensor x, Tensor? bias,"
    " str act, float alpha, float gain, float? clamp) -> Tensor"
)


@torch.library.impl(custom_ops.library, "bias_act", "CUDA")
def _kernel(x, bias, scale, noise, after, act, alpha, gain, clamp):  # noqa: ANN001, ANN202
    return bias_act_kernel.run(0, x, act, alpha, gain, clamp, bias=bias, scale=scale, noise=noise, after=after)


@torch.library.impl(custom_ops.library, "bias_act_grad", "CUDA")
def _gradient_kernel(dy, x, bias, scale, noise, after, act, alpha, gain, clamp, from_output):  # noqa: ANN001, ANN202
    return bias_act_kernel.run(
        1, x, act, alpha, gain, clamp, dy=dy, bias=bias, scale=scale, noise=noise, after=after, from_output=from_output
    )


@torch.library.impl(custom_ops.library, "bias_act_grad_sums", "CUDA")
def _summing_kernel(dy, x, bias, scale, noise, after, act, alpha, gain, clamp, from_output):  # noqa: ANN001, ANN202
    sums = bias_act_kernel.empty_sums(x)
    dx = bias_act_kernel.run(
        1,
        x,
        act,
        alpha,
        gain,
        clamp,
        dy=dy,
        bias=bias,
        scale=scale,
        noise=noise,
        after=after,
        from_output=from_output,
        sums=sums,
    )
    return dx, sums


@torch.library.impl(custom_ops.library, "bias_act_curve", "CUDA")
def _curve_kernel(dy, second, x, bias, act, alpha, gain, clamp):  # noqa: ANN001, ANN202
    return bias_act_kernel.run(2, x, act, alpha, gain, clamp, dy=dy, second=second, bias=bias)


@torch.library.register_fake("stylegan_v_ext::bias_act")
def _shape_of_first(x, *others):  # noqa: ANN001, ANN002, ANN202
    return _empty(x)


@torch.library.register_fake("stylegan_v_ext::bias_act_grad")
def _shape_of_second(dy, x, *others):  # noqa: ANN001, ANN002, ANN202
    return _empty(x)


@torch.library.register_fake("stylegan_v_ext::bias_act_grad_sums")
def _shapes_with_sums(dy, x, *others):  # noqa: ANN001, ANN002, ANN202
    return _empty(x), bias_act_kernel.empty_sums(x)


@torch.library.register_fake("stylegan_v_ext::bias_act_curve")
def _shape_of_third(dy, second, x, *others):  # noqa: ANN001, ANN002, ANN202
    return _empty(x)


def _empty(x: torch.Tensor) -> torch.Tensor:
    layout = torch.channels_last if bias_act_kernel.is_channels_last(x) else torch.contiguous_format
    return torch.empty_like(x, memory_format=layout)
