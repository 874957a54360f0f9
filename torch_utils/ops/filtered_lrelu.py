"""Leaky ReLU at a higher sampling rate, free of aliasing (StyleGAN3, section 3.1).

On CUDA one kernel of our own does it all and keeps two bits a pixel for the backward pass
(filtered_lrelu.cu); elsewhere, and for filters that are not separable, the steps follow one another.
"""

import math
from typing import Any

import torch

from torch_utils import custom_ops
from torch_utils.ops import filtered_lrelu_kernel
from torch_utils.ops.bias_act import bias_act
from torch_utils.ops.upfirdn2d import _parse_padding, upfirdn2d


def filtered_lrelu(
    x: torch.Tensor,
    fu: torch.Tensor | None = None,
    fd: torch.Tensor | None = None,
    b: torch.Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: Any = 0,
    gain: float = math.sqrt(2),
    slope: float = 0.2,
    clamp: float | None = None,
    flip_filter: bool = False,
    impl: str = "cuda",
) -> torch.Tensor:
    """Bias, upsample with `fu`, leaky ReLU, gain and clamp, downsample with `fd`.

    Args:
        x: `[N, C, H, W]`.
        b: `[C]`.
        up, down: Whole factors.
        padding: In upsampled pixels, as in `upfirdn2d`.
        clamp: Largest absolute value after the activation.
        impl: "ref" composes it of PyTorch functions.
    """
    padding = _parse_padding(padding)
    if impl != "ref" and custom_ops.wanted(x):
        fu, fd = (torch.ones([1], device=x.device) if f is None else f for f in (fu, fd))
        if filtered_lrelu_kernel.supports(x, fu, fd, up, down) and slope >= 0 and gain > 0:
            fu, fd = (f.to(device=x.device, dtype=torch.float32) for f in (fu, fd))
            return _Fused.apply(x, fu, fd, b, up, down, padding, float(up**2), gain, slope, clamp, flip_filter)
    x = bias_act(x, b, impl=impl)
    x = upfirdn2d(x, fu, up=up, padding=padding, gain=up**2, flip_filter=flip_filter, impl=impl)
    x = bias_act(x, act="lrelu", alpha=slope, gain=gain, clamp=clamp, impl=impl)
    return upfirdn2d(x, fd, down=down, flip_filter=flip_filter, impl=impl)


class _Fused(torch.autograd.Function):
    """The op by one kernel, which also writes the signs of the large image."""

    @staticmethod
    def forward(ctx, x, fu, fd, b, up, down, padding, up_gain, gain, slope, clamp, flip):  # noqa: ANN001, ANN205
        y, signs = torch.ops.stylegan_v_ext.filtered_lrelu(
            x, fu, fd, b, up, down, padding, up_gain, gain, slope, clamp, flip
        )
        ctx.save_for_backward(fu, fd, signs)
        ctx.settings = up, down, padding, up_gain, gain, slope, flip
        ctx.sizes = (x.shape[3], x.shape[2]), (y.shape[3], y.shape[2])
        ctx.bias_dtype = None if b is None else b.dtype
        return y

    @staticmethod
    def backward(ctx, dy):  # noqa: ANN001, ANN205
        fu, fd, signs = ctx.saved_tensors
        up, down, padding, up_gain, gain, slope, flip = ctx.settings
        sign_at, adjoint = (0, 0), []
        for axis in range(2):
            # The adjoint spreads dy over the large image with fd, and reads that from the pixel on
            # which its input's first neighbour fell: `start`, counted from the first sign.
            size, out = ctx.sizes[0][axis], ctx.sizes[1][axis]
            start = padding[2 * axis] - (len(fu) - 1)
            before = len(fd) - 1 - start
            reach = size * up - up + len(fu)
            adjoint += [before, reach - out * down - before + len(fd) - 1]
            sign_at = (start, sign_at[1]) if axis == 0 else (sign_at[0], start)
        width = (ctx.sizes[1][0] - 1) * down + len(fd)
        dx = _Masked.apply(dy, fd, fu, signs, down, up, adjoint, up_gain, gain, slope, not flip, sign_at, width)
        db = dx.sum([0, 2, 3], dtype=ctx.bias_dtype) if ctx.needs_input_grad[3] else None
        return dx, None, None, db, *[None] * 8


class _Masked(torch.autograd.Function):
    """Upsample, multiply by the slopes that the signs tell, downsample: linear in x, and its adjoint is alike."""

    @staticmethod
    def forward(ctx, x, fu, fd, signs, up, down, padding, up_gain, gain, slope, flip, sign_at, width):  # noqa: ANN001, ANN205
        ctx.save_for_backward(fu, fd, signs)
        y = torch.ops.stylegan_v_ext.filtered_lrelu_masked(
            x, fu, fd, signs, up, down, padding, up_gain, gain, slope, flip, sign_at, width
        )
        ctx.settings = up, down, padding, up_gain, gain, slope, flip, sign_at, width
        ctx.sizes = (x.shape[3], x.shape[2]), (y.shape[3], y.shape[2])
        return y

    @staticmethod
    def backward(ctx, dy):  # noqa: ANN001, ANN205
        fu, fd, signs = ctx.saved_tensors
        up, down, padding, up_gain, gain, slope, flip, sign_at, width = ctx.settings
        moved, adjoint = [], []
        for axis in range(2):
            size, out = ctx.sizes[0][axis], ctx.sizes[1][axis]
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
def _kernel(x, fu, fd, b, up, down, padding, up_gain, gain, slope, clamp, flip):  # noqa: ANN001, ANN202
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
def _masked_kernel(x, fu, fd, signs, up, down, padding, up_gain, gain, slope, flip, sign_at, width):  # noqa: ANN001, ANN202
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
def _shapes(x, fu, fd, b, up, down, padding, *others):  # noqa: ANN001, ANN002, ANN202
    y = _masked_shape(x, fu, fd, None, up, down, padding)
    signs = x.new_empty(filtered_lrelu_kernel.sign_shape(y.shape, down, len(fd)), dtype=torch.uint8)
    return y, signs


@torch.library.register_fake("stylegan_v_ext::filtered_lrelu_masked")
def _masked_shape(x, fu, fd, signs, up, down, padding, *others):  # noqa: ANN001, ANN002, ANN202
    width, height = (
        filtered_lrelu_kernel.output_size(size, up, down, len(fu), len(fd), pad)
        for size, pad in ((x.shape[3], padding[:2]), (x.shape[2], padding[2:]))
    )
    return x.new_empty([*x.shape[:2], height, width])
