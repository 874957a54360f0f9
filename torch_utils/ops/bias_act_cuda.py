"""Bias and activation by our CUDA kernel (bias_act.cu): PyTorch operators and their derivatives.

The kernel also computes the steps around the activation of a modulated layer: a scale, a noise, and a second scale
`after`. `bias_act` and `scaled_bias_act` in bias_act.py are the functions to call.
"""

import torch

from torch_utils import custom_ops
from torch_utils.ops import bias_act_kernel
from torch_utils.ops.activations import SLOPES, activation_funcs, composed, output_tells, slope_of
from torch_utils.ops.autograd import Context

__all__ = ["fused", "gradient_with_sums"]


def fused(
    x: torch.Tensor, b: torch.Tensor | None, act: str, alpha: float, gain: float, clamp: float | None
) -> torch.Tensor:
    """Compute clamp(gain * act(x + b)) by one kernel.

    Args:
        x: Images `[N, C, H, W]` on a CUDA device.
        b: Bias `[C]`; None is no bias.
        act: A key of `activation_funcs`.
        alpha: Slope of `lrelu`.
        gain: Factor after the activation.
        clamp: Largest absolute value; None is no bound.

    Returns:
        The result, `[N, C, H, W]`; differentiable any number of times.
    """
    return _Fused.apply(x, b, act, alpha, gain, clamp)


class _Fused(torch.autograd.Function):
    """`fused` with its derivative. Piecewise linear activations keep y for the backward pass, others keep x."""

    @staticmethod
    def forward(
        ctx: Context,
        x: torch.Tensor,
        b: torch.Tensor | None,
        act: str,
        alpha: float,
        gain: float,
        clamp: float | None,
    ) -> torch.Tensor:
        x = bias_act_kernel.dense(x)
        bias = None if b is None else b.to(bias_act_kernel.accumulation_dtype(x))
        y = torch.ops.stylegan_v_ext.bias_act(x, bias, None, None, None, act, alpha, gain, clamp)
        from_output = output_tells(slope_of(act, alpha), gain)
        ctx.save_for_backward(y if from_output else x, None if from_output else b)
        ctx.settings = None if b is None else b.dtype, (act, alpha, gain, clamp, from_output)
        return y

    @staticmethod
    def backward(ctx: Context, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (x, b), (dy,) = ctx.saved_tensors, gradients
        bias_dtype, settings = ctx.settings
        if ctx.needs_input_grad[1] and not torch.is_grad_enabled() and bias_act_kernel.can_sum(x):
            dx, sums = gradient_with_sums(dy, x, b, None, None, None, *settings)
            return dx, sums[:, 0].sum(0).to(bias_dtype), None, None, None, None
        dx = _FusedGradient.apply(dy, x, b, *settings)
        db = dx.sum([0, 2, 3], dtype=bias_dtype) if ctx.needs_input_grad[1] else None
        return dx, db, None, None, None, None


class _FusedGradient(torch.autograd.Function):
    """dy * act'(x + b) * gain, and 0 if the clamp holds: linear in dy, curved in x."""

    @staticmethod
    def forward(
        ctx: Context,
        dy: torch.Tensor,
        x: torch.Tensor,
        b: torch.Tensor | None,
        act: str,
        alpha: float,
        gain: float,
        clamp: float | None,
        from_output: bool,
    ) -> torch.Tensor:
        ctx.save_for_backward(dy, x, b)
        ctx.settings = act, alpha, gain, clamp, from_output
        bias = None if b is None else b.to(bias_act_kernel.accumulation_dtype(x))
        return torch.ops.stylegan_v_ext.bias_act_grad(
            dy, x, bias, None, None, None, act, alpha, gain, clamp, from_output
        )

    @staticmethod
    def backward(ctx: Context, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (dy, x, b), (second,) = ctx.saved_tensors, gradients
        ddy = _FusedGradient.apply(second, x, b, *ctx.settings) if ctx.needs_input_grad[0] else None
        dx = db = None
        piecewise = ctx.settings[0] in (*SLOPES, "lrelu")
        if not piecewise and (ctx.needs_input_grad[1] or ctx.needs_input_grad[2]):
            dx = _curved(dy, second, x, b, *ctx.settings[:-1])
            db = dx.sum([0, 2, 3], dtype=b.dtype) if ctx.needs_input_grad[2] else None
        return ddy, dx, db, None, None, None, None, None


def gradient_with_sums(
    dy: torch.Tensor,
    x: torch.Tensor,
    b: torch.Tensor | None,
    scale: torch.Tensor | None,
    noise: torch.Tensor | None,
    after: torch.Tensor | None,
    act: str,
    alpha: float,
    gain: float,
    clamp: float | None,
    from_output: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the gradients of x, bias, scale and `after` in one pass.

    Args:
        dy: Gradient of the output, `[N, C, H, W]`.
        x: The input, or the output if `from_output`.
        b: Bias `[C]`; None is no bias.
        scale: Factors before the activation, `[clips, C]`; None is no scale.
        noise: Noise `[1 or clips, H, W]`; None is no noise.
        after: Factors after the activation, `[clips, C]`; None is no such factor.
        act: A key of `activation_funcs`.
        alpha: Slope of `lrelu`.
        gain: Factor after the activation.
        clamp: Largest absolute value; None is no bound.
        from_output: Whether `x` is the output.

    Returns:
        The gradient of x, and `[N, 3, C]`: the gradients of bias, scale and `after` in each image.
    """
    bias = None if b is None else b.to(bias_act_kernel.accumulation_dtype(x))
    dx, sums = torch.ops.stylegan_v_ext.bias_act_grad_sums(
        dy, x, bias, scale, noise, after, act, alpha, gain, clamp, from_output
    )
    return dx, sums.sum(1)


def _curved(
    dy: torch.Tensor,
    second: torch.Tensor,
    x: torch.Tensor,
    b: torch.Tensor | None,
    act: str,
    alpha: float,
    gain: float,
    clamp: float | None,
) -> torch.Tensor:
    """Compute dy * second * act''(x + b) * gain; by PyTorch functions if its derivatives are wanted."""
    if not torch.is_grad_enabled():
        bias = None if b is None else b.to(bias_act_kernel.accumulation_dtype(x))
        return torch.ops.stylegan_v_ext.bias_act_curve(dy, second, x, bias, act, alpha, gain, clamp)
    z = x if b is None else x + b.to(x.dtype)[:, None, None]
    y = composed(z, None, activation_funcs[act].func, alpha, gain, clamp)
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
def _kernel(
    x: torch.Tensor,
    bias: torch.Tensor | None,
    scale: torch.Tensor | None,
    noise: torch.Tensor | None,
    after: torch.Tensor | None,
    act: str,
    alpha: float,
    gain: float,
    clamp: float | None,
) -> torch.Tensor:
    return bias_act_kernel.run(0, x, act, alpha, gain, clamp, bias=bias, scale=scale, noise=noise, after=after)


@torch.library.impl(custom_ops.library, "bias_act_grad", "CUDA")
def _gradient_kernel(
    dy: torch.Tensor,
    x: torch.Tensor,
    bias: torch.Tensor | None,
    scale: torch.Tensor | None,
    noise: torch.Tensor | None,
    after: torch.Tensor | None,
    act: str,
    alpha: float,
    gain: float,
    clamp: float | None,
    from_output: bool,
    sums: torch.Tensor | None = None,
) -> torch.Tensor:
    return bias_act_kernel.run(
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


@torch.library.impl(custom_ops.library, "bias_act_grad_sums", "CUDA")
def _summing_kernel(
    dy: torch.Tensor,
    x: torch.Tensor,
    bias: torch.Tensor | None,
    scale: torch.Tensor | None,
    noise: torch.Tensor | None,
    after: torch.Tensor | None,
    act: str,
    alpha: float,
    gain: float,
    clamp: float | None,
    from_output: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    sums = bias_act_kernel.empty_sums(x)
    dx = _gradient_kernel(dy, x, bias, scale, noise, after, act, alpha, gain, clamp, from_output, sums)
    return dx, sums


@torch.library.impl(custom_ops.library, "bias_act_curve", "CUDA")
def _curve_kernel(
    dy: torch.Tensor,
    second: torch.Tensor,
    x: torch.Tensor,
    bias: torch.Tensor | None,
    act: str,
    alpha: float,
    gain: float,
    clamp: float | None,
) -> torch.Tensor:
    return bias_act_kernel.run(2, x, act, alpha, gain, clamp, dy=dy, second=second, bias=bias)


@torch.library.register_fake("stylegan_v_ext::bias_act")
def _shape_of_first(x: torch.Tensor, *others: object) -> torch.Tensor:
    return _empty(x)


@torch.library.register_fake("stylegan_v_ext::bias_act_grad")
def _shape_of_second(dy: torch.Tensor, x: torch.Tensor, *others: object) -> torch.Tensor:
    return _empty(x)


@torch.library.register_fake("stylegan_v_ext::bias_act_grad_sums")
def _shapes_with_sums(dy: torch.Tensor, x: torch.Tensor, *others: object) -> tuple[torch.Tensor, torch.Tensor]:
    return _empty(x), bias_act_kernel.empty_sums(x)


@torch.library.register_fake("stylegan_v_ext::bias_act_curve")
def _shape_of_third(dy: torch.Tensor, second: torch.Tensor, x: torch.Tensor, *others: object) -> torch.Tensor:
    return _empty(x)


def _empty(x: torch.Tensor) -> torch.Tensor:
    layout = torch.channels_last if bias_act_kernel.is_channels_last(x) else torch.contiguous_format
    return torch.empty_like(x, memory_format=layout)
