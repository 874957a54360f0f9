"""Bias, activation, gain and clamp in one call: y = clamp(gain * act(x + b)).

On CUDA each activation is one pass of our own kernel, forward, backward and double backward. `scaled_bias_act` also
computes the steps around the activation of a modulated layer. On other devices `activations` computes the result.
"""

import math

import torch

from torch_utils import custom_ops, self_check
from torch_utils.ops import bias_act_cuda, bias_act_kernel
from torch_utils.ops.activations import SLOPES, activation_funcs, composed, output_tells, piecewise_linear, slope_of
from torch_utils.ops.autograd import Context

__all__ = ["activation_funcs", "bias_act", "gain_before", "scaled_bias_act"]


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
    """Compute clamp(gain * act(x + b)), differentiable any number of times.

    Args:
        x: Any shape.
        b: Bias `[x.shape[dim]]`; None is no bias.
        dim: Dimension of x that the bias belongs to.
        act: A key of `activation_funcs`.
        alpha: Slope of `lrelu`; None is its default.
        gain: Factor after the activation; None is the activation's default.
        clamp: Largest absolute value; None or a negative number is no bound.
        impl: "ref" forces the composed form; any other value takes the fastest form.

    Returns:
        The result, in the shape and type of x.

    Raises:
        ValueError: If the activation is unknown or the bias does not fit.
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
        return bias_act_cuda.fused(flat, b, act, alpha, gain, clamp).reshape(x.shape)
    if b is not None:
        b = b.to(x.dtype).reshape([-1 if axis == dim % x.ndim else 1 for axis in range(x.ndim)])

    slope = slope_of(act, alpha)
    if b is None and slope == gain == 1 and clamp is None:
        return x
    if impl != "ref" and output_tells(slope, gain):
        return piecewise_linear(x, b, slope, gain, clamp)
    return composed(x, b, spec.func, alpha, gain, clamp)


def _as_images(x: torch.Tensor, dim: int) -> torch.Tensor:
    """Return a view `[N, C, H, 1]` whose C is the biased dimension."""
    dim %= x.ndim
    return x.reshape(math.prod(x.shape[:dim]), x.shape[dim], math.prod(x.shape[dim + 1 :]), 1)


def gain_before(act: str, gain: float, device: torch.device) -> tuple[float, float]:
    """Move the gain in front of a piecewise linear activation, for which gain * act(x) = act(gain * x).

    On a CPU a factor of weights and biases costs nothing, but a factor of an image is a pass over it, and another
    pass in the backward pass.

    Args:
        act: A key of `activation_funcs`.
        gain: Factor after the activation.
        device: Device of the image.

    Returns:
        (factor before the activation, factor after it).
    """
    moves = device.type == "cpu" and gain > 0 and (act in SLOPES or act == "lrelu")
    return (gain, 1.0) if moves else (1.0, gain)


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
    """Compute clamp(gain * act(x * scale + noise + b)) * after, the end of a modulated convolution.

    It is one pass on CUDA if the channels are innermost in memory, and composed of PyTorch functions otherwise.

    Args:
        x: `[N*F, C, H, W]`, the F frames of a clip next to each other.
        scale: Factors before the activation, `[N, C]`, one row a clip. If the noise needs a gradient, no factor may
            be 0.
        b: Bias `[C]`; None is no bias.
        noise: `[1 or N, H, W]`; None is no noise.
        after: Factors after the activation, `[N, C]`, one row a clip; None is no such factor.
        act: A key of `activation_funcs`.
        gain: Factor after the activation; None is the activation's default.
        clamp: Largest absolute value before `after`; None or a negative number is no bound.

    Returns:
        The result, `[N*F, C, H, W]`; differentiable any number of times.
    """
    spec = activation_funcs[act]
    gain = float(spec.def_gain if gain is None else gain)
    settings = act, float(spec.def_alpha), gain, None if clamp is None or clamp < 0 else float(clamp)
    if custom_ops.wanted(x) and bias_act_kernel.can_sum(x):
        return _Scaled.apply(x, scale, b, noise, after, *settings)
    return _scaled_composed(x, scale, b, noise, after, *settings)


def _scaled_composed(
    x: torch.Tensor,
    scale: torch.Tensor,
    b: torch.Tensor | None,
    noise: torch.Tensor | None,
    after: torch.Tensor | None,
    act: str,
    alpha: float,
    gain: float,
    clamp: float | None,
) -> torch.Tensor:
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
    """`scaled_bias_act` by one kernel forward and one backward; higher orders differentiate the composed form."""

    @staticmethod
    def forward(
        ctx: Context,
        x: torch.Tensor,
        scale: torch.Tensor,
        b: torch.Tensor | None,
        noise: torch.Tensor | None,
        after: torch.Tensor | None,
        act: str,
        alpha: float,
        gain: float,
        clamp: float | None,
    ) -> torch.Tensor:
        ctx.save_for_backward(x, scale, b, noise, after)
        ctx.settings = act, alpha, gain, clamp
        wide = [None if t is None else t.to(bias_act_kernel.accumulation_dtype(x)) for t in (b, scale, noise, after)]
        return torch.ops.stylegan_v_ext.bias_act(x, *wide, *ctx.settings)

    @staticmethod
    def backward(ctx: Context, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (dy,) = gradients
        tensors = ctx.saved_tensors
        x, scale, b, noise, after = tensors
        if torch.is_grad_enabled():
            wanted = [t for t, needed in zip(tensors, ctx.needs_input_grad, strict=False) if needed]
            y = _scaled_composed(*tensors, *ctx.settings)
            found = iter(torch.autograd.grad(y, wanted, dy, create_graph=True))
            return *(next(found) if needed else None for needed in ctx.needs_input_grad[:5]), None, None, None, None
        wide = (None if t is None else t.to(bias_act_kernel.accumulation_dtype(x)) for t in (scale, noise, after))
        wide_scale, wide_noise, wide_after = wide
        dx, sums = bias_act_cuda.gradient_with_sums(dy, x, b, wide_scale, wide_noise, wide_after, *ctx.settings)
        by_clip = sums.unflatten(0, (scale.shape[0], -1)).sum(1)
        db = None if b is None else by_clip[:, 0].sum(0).to(b.dtype)
        dafter = None if after is None else by_clip[:, 2].to(after.dtype)
        dnoise = _sum_over_channels(dx, scale, noise) if ctx.needs_input_grad[3] else None
        return dx, by_clip[:, 1].to(scale.dtype), db, dnoise, dafter, None, None, None, None


def _sum_over_channels(dx: torch.Tensor, scale: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Compute the gradient of the noise, the sum over c of dx[c] / scale[c], as a matrix product that reads dx once."""
    frames = dx.shape[0] // scale.shape[0]
    weights = scale.reciprocal().repeat_interleave(frames, dim=0)[:, :, None].to(dx.dtype)
    by_frame = (dx.permute(0, 2, 3, 1).flatten(1, 2) @ weights).to(noise.dtype)
    by_clip = by_frame.reshape(-1, frames, *dx.shape[2:]).sum(1)
    return by_clip.sum(0, keepdim=True) if len(noise) == 1 else by_clip


@self_check.register("bias_act")
def _check(device: torch.device) -> float:
    x, b = self_check.sample_images(device), torch.linspace(-1, 1, 4, device=device)
    ours = bias_act_cuda._kernel(x, b, None, None, None, "lrelu", 0.2, 1.5, 1.2)
    return self_check.relative_error(ours, bias_act(x.double(), b, act="lrelu", gain=1.5, clamp=1.2, impl="ref"))
