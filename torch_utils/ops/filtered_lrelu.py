"""Leaky ReLU at a higher sampling rate, free of aliasing (StyleGAN3, section 3.2).

On CUDA one kernel of our own does all steps and keeps two bits a pixel for the backward pass (filtered_lrelu.cu).
Elsewhere, and for filters that are not separable, other ops compute the steps one after another.
"""

import math
from collections.abc import Sequence

import torch

from torch_utils import custom_ops, self_check
from torch_utils.ops import filtered_lrelu_kernel
from torch_utils.ops.autograd import Context
from torch_utils.ops.bias_act import bias_act
from torch_utils.ops.fir import Padding, parse_padding
from torch_utils.ops.upfirdn2d import upfirdn2d

__all__ = ["filtered_lrelu"]


def filtered_lrelu(
    x: torch.Tensor,
    fu: torch.Tensor | None = None,
    fd: torch.Tensor | None = None,
    b: torch.Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: Padding = 0,
    gain: float = math.sqrt(2),
    slope: float = 0.2,
    clamp: float | None = None,
    flip_filter: bool = False,
    impl: str = "cuda",
) -> torch.Tensor:
    """Add a bias, upsample with `fu`, apply leaky ReLU, gain and clamp, downsample with `fd`.

    Args:
        x: Images `[N, C, H, W]`.
        fu: Filter of the upsampling; None is the identity.
        fd: Filter of the downsampling; None is the identity.
        b: Bias `[C]`; None is no bias.
        up: Upsampling factor.
        down: Downsampling factor.
        padding: Padding in upsampled pixels, as in `upfirdn2d`.
        gain: Factor after the leaky ReLU.
        slope: Slope of the negative half.
        clamp: Largest absolute value after the activation; None is no bound.
        flip_filter: False computes convolutions, True correlations.
        impl: "ref" always composes the result of PyTorch functions.

    Returns:
        Images `[N, C, H', W']`; differentiable any number of times.
    """
    sides = parse_padding(padding)
    if impl != "ref" and custom_ops.wanted(x):
        fu, fd = (torch.ones([1], device=x.device) if f is None else f for f in (fu, fd))
        if filtered_lrelu_kernel.supports(x, fu, fd, up, down) and slope >= 0 and gain > 0:
            fu, fd = (f.to(device=x.device, dtype=torch.float32) for f in (fu, fd))
            return _Fused.apply(x, fu, fd, b, up, down, sides, float(up**2), gain, slope, clamp, flip_filter)
    x = bias_act(x, b, impl=impl)
    x = upfirdn2d(x, fu, up=up, padding=sides, gain=up**2, flip_filter=flip_filter, impl=impl)
    x = bias_act(x, act="lrelu", alpha=slope, gain=gain, clamp=clamp, impl=impl)
    return upfirdn2d(x, fd, down=down, flip_filter=flip_filter, impl=impl)


class _Fused(torch.autograd.Function):
    """The op by one kernel, which also writes the signs of the large image."""

    @staticmethod
    def forward(
        ctx: Context,
        x: torch.Tensor,
        fu: torch.Tensor,
        fd: torch.Tensor,
        b: torch.Tensor | None,
        up: int,
        down: int,
        padding: Sequence[int],
        up_gain: float,
        gain: float,
        slope: float,
        clamp: float | None,
        flip: bool,
    ) -> torch.Tensor:
        y, signs = torch.ops.stylegan_v_ext.filtered_lrelu(
            x, fu, fd, b, up, down, padding, up_gain, gain, slope, clamp, flip
        )
        ctx.save_for_backward(fu, fd, signs)
        sizes = (x.shape[3], x.shape[2]), (y.shape[3], y.shape[2])
        bias_dtype = None if b is None else b.dtype
        ctx.settings = up, down, padding, up_gain, gain, slope, flip, sizes, bias_dtype
        return y

    @staticmethod
    def backward(ctx: Context, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (fu, fd, signs), (dy,) = ctx.saved_tensors, gradients
        up, down, padding, up_gain, gain, slope, flip, (in_size, out_size), bias_dtype = ctx.settings
        sign_at: list[int] = []
        adjoint: list[int] = []
        for axis in range(2):
            # The adjoint spreads dy over the large image with fd. It reads the large image from pixel `start` on,
            # counted from the first sign: the first pixel that the first input pixel contributed to.
            size, out = in_size[axis], out_size[axis]
            start = padding[2 * axis] - (len(fu) - 1)
            before = len(fd) - 1 - start
            reach = size * up - up + len(fu)
            adjoint += [before, reach - out * down - before + len(fd) - 1]
            sign_at.append(start)
        width = (out_size[0] - 1) * down + len(fd)
        dx = _Masked.apply(dy, fd, fu, signs, down, up, adjoint, up_gain, gain, slope, not flip, sign_at, width)
        db = dx.sum([0, 2, 3], dtype=bias_dtype) if ctx.needs_input_grad[3] else None
        return dx, None, None, db, *[None] * 8


class _Masked(torch.autograd.Function):
    """Upsample, multiply by the slopes that the signs tell, downsample: linear in x, with an adjoint of this form."""

    @staticmethod
    def forward(
        ctx: Context,
        x: torch.Tensor,
        fu: torch.Tensor,
        fd: torch.Tensor,
        signs: torch.Tensor,
        up: int,
        down: int,
        padding: Sequence[int],
        up_gain: float,
        gain: float,
        slope: float,
        flip: bool,
        sign_at: Sequence[int],
        width: int,
    ) -> torch.Tensor:
        ctx.save_for_backward(fu, fd, signs)
        y = torch.ops.stylegan_v_ext.filtered_lrelu_masked(
            x, fu, fd, signs, up, down, padding, up_gain, gain, slope, flip, sign_at, width
        )
        sizes = (x.shape[3], x.shape[2]), (y.shape[3], y.shape[2])
        ctx.settings = up, down, padding, up_gain, gain, slope, flip, sign_at, width, sizes
        return y

    @staticmethod
    def backward(ctx: Context, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (fu, fd, signs), (dy,) = ctx.saved_tensors, gradients
        up, down, padding, up_gain, gain, slope, flip, sign_at, width, (in_size, out_size) = ctx.settings
        moved: list[int] = []
        adjoint: list[int] = []
        for axis in range(2):
            size, out = in_size[axis], out_size[axis]
            start = padding[2 * axis] - (len(fu) - 1)
            before = len(fd) - 1 - start
            adjoint += [before, size * up - up + len(fu) - out * down - before + len(fd) - 1]
            moved.append(sign_at[axis] + start)
        dx = _Masked.apply(dy, fd, fu, signs, down, up, adjoint, up_gain, gain, slope, not flip, moved, width)
        return dx, *[None] * 12


custom_ops.library.define(
    "filtered_lrelu(Tensor x, Tensor fu, Tensor fd, Tensor? b, int up, int down, int[] padding,"
    " float up_gain, float gain, float slope, float? clamp, bool flip) -> (Tensor, Tensor)"
)
custom_ops.library.define(
    "filtered_lrelu_masked(Tensor x, Tensor fu, Tensor fd, Tensor signs, int up, int down, int[] padding,"
    " float up_gain, float gain, float slope, bool flip, int[] sign_at, int sign_width) -> Tensor"
)


@torch.library.impl(custom_ops.library, "filtered_lrelu", "CUDA")
def _kernel(
    x: torch.Tensor,
    fu: torch.Tensor,
    fd: torch.Tensor,
    b: torch.Tensor | None,
    up: int,
    down: int,
    padding: Sequence[int],
    up_gain: float,
    gain: float,
    slope: float,
    clamp: float | None,
    flip: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    y, signs = _shapes(x, fu, fd, b, up, down, padding)
    width = (y.shape[3] - 1) * down + len(fd)
    filtered_lrelu_kernel.run(
        x,
        y,
        fu,
        fd,
        b,
        signs,
        up,
        down,
        padding,
        up_gain,
        gain,
        slope,
        clamp,
        flip,
        filtered_lrelu_kernel.WRITE_SIGNS,
        (0, 0),
        width,
    )
    return y, signs


@torch.library.impl(custom_ops.library, "filtered_lrelu_masked", "CUDA")
def _masked_kernel(
    x: torch.Tensor,
    fu: torch.Tensor,
    fd: torch.Tensor,
    signs: torch.Tensor,
    up: int,
    down: int,
    padding: Sequence[int],
    up_gain: float,
    gain: float,
    slope: float,
    flip: bool,
    sign_at: Sequence[int],
    width: int,
) -> torch.Tensor:
    y = _masked_shape(x, fu, fd, signs, up, down, padding)
    filtered_lrelu_kernel.run(
        x,
        y,
        fu,
        fd,
        None,
        signs,
        up,
        down,
        padding,
        up_gain,
        gain,
        slope,
        None,
        flip,
        filtered_lrelu_kernel.READ_SIGNS,
        sign_at,
        width,
    )
    return y


@torch.library.register_fake("stylegan_v_ext::filtered_lrelu")
def _shapes(
    x: torch.Tensor,
    fu: torch.Tensor,
    fd: torch.Tensor,
    b: torch.Tensor | None,
    up: int,
    down: int,
    padding: Sequence[int],
    *others: object,
) -> tuple[torch.Tensor, torch.Tensor]:
    y = _masked_shape(x, fu, fd, None, up, down, padding)
    signs = x.new_empty(filtered_lrelu_kernel.sign_shape(y.shape, down, len(fd)), dtype=torch.uint8)
    return y, signs


@torch.library.register_fake("stylegan_v_ext::filtered_lrelu_masked")
def _masked_shape(
    x: torch.Tensor,
    fu: torch.Tensor,
    fd: torch.Tensor,
    signs: torch.Tensor | None,
    up: int,
    down: int,
    padding: Sequence[int],
    *others: object,
) -> torch.Tensor:
    width, height = (
        filtered_lrelu_kernel.output_size(size, up, down, len(fu), len(fd), pad)
        for size, pad in ((x.shape[3], padding[:2]), (x.shape[2], padding[2:]))
    )
    return x.new_empty([*x.shape[:2], height, width])


@self_check.register("filtered_lrelu")
def _check(device: torch.device) -> float:
    x, f = self_check.sample_images(device), torch.arange(1.0, 7.0, device=device)
    b = torch.linspace(-1, 1, 4, device=device)
    ours, _ = _kernel(x, f, f, b, 2, 2, [4, 5, 4, 5], 4.0, 1.5, 0.2, 200.0, False)
    expected = filtered_lrelu(
        x.double(), f, f, b, up=2, down=2, padding=[4, 5, 4, 5], gain=1.5, slope=0.2, clamp=200.0, impl="ref"
    )
    return self_check.relative_error(ours, expected)
