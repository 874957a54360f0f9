"""Upsample, filter and downsample images: put zeros between pixels, apply a FIR filter, keep every n-th pixel.

The op is linear. Its adjoint is the same op with the factors exchanged, the filter turned round and other padding.
So one function serves every order of differentiation. On CUDA our own kernel computes it (upfirdn2d.cu), elsewhere
PyTorch's depthwise convolution does.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from torch_utils import custom_ops, self_check
from torch_utils.ops import upfirdn2d_kernel
from torch_utils.ops.autograd import Context
from torch_utils.ops.fir import Padding, Pair, Scaling, Sides, filter_size, parse_padding, parse_scaling, setup_filter

__all__ = ["downsample2d", "filter2d", "setup_filter", "upfirdn2d", "upsample2d"]


def upfirdn2d(
    x: torch.Tensor,
    f: torch.Tensor | None,
    up: Scaling = 1,
    down: Scaling = 1,
    padding: Padding = 0,
    flip_filter: bool = False,
    gain: float = 1,
    impl: str = "cuda",
) -> torch.Tensor:
    """Upsample by `up`, pad, filter with `f`, keep every `down`-th pixel.

    Args:
        x: Images `[N, C, H, W]`.
        f: Filter from `setup_filter`; None is the identity.
        up: Upsampling factor, or `[x, y]`.
        down: Downsampling factor, or `[x, y]`.
        padding: Upsampled pixels on all sides, `[x, y]` or `[x0, x1, y0, y1]`; negative numbers crop.
        flip_filter: False computes a convolution, True a correlation.
        gain: Factor of the result.
        impl: "ref" always uses PyTorch's convolution; any other value takes the kernel where there is one.

    Returns:
        Images `[N, C, H', W']` with `H' = (H * up_y + y0 + y1 - taps_y) // down_y + 1`, and `W'` alike.

    Raises:
        ValueError: If the images do not have 4 dimensions or are smaller than the filter, or if a factor or the
            padding is not one of the forms above.
    """
    if x.ndim != 4:
        raise ValueError(f"images have the shape [N, C, H, W], not {list(x.shape)}")
    up, down, padding = parse_scaling(up), parse_scaling(down), parse_padding(padding)
    f = torch.ones([1, 1], dtype=torch.float32, device=x.device) if f is None else f
    fw, fh = filter_size(f)
    for axis, size, taps, pad in (
        ("width", x.shape[3] * up[0], fw, padding[:2]),
        ("height", x.shape[2] * up[1], fh, padding[2:]),
    ):
        if size + sum(pad) < taps:
            raise ValueError(f"{axis} {size} with padding {list(pad)} is smaller than the filter's {taps} taps")
    return _Upfirdn.apply(x, f, up, down, padding, flip_filter, float(gain), impl)


class _Upfirdn(torch.autograd.Function):
    """The op with its derivative, which is the op again."""

    @staticmethod
    def forward(
        ctx: Context,
        x: torch.Tensor,
        f: torch.Tensor,
        up: Pair,
        down: Pair,
        padding: Sides,
        flip_filter: bool,
        gain: float,
        impl: str,
    ) -> torch.Tensor:
        ctx.save_for_backward(f)
        ctx.settings = (x.shape[3], x.shape[2]), up, down, padding, flip_filter, gain, impl
        run = reference if impl == "ref" else _run
        return run(x, f, up, down, padding, flip_filter, gain)

    @staticmethod
    def backward(ctx: Context, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (f,), (dy,) = ctx.saved_tensors, gradients
        return adjoint(dy, f, *ctx.settings), None, None, None, None, None, None, None


def adjoint(
    dy: torch.Tensor,
    f: torch.Tensor,
    input_size: Pair,
    up: Pair,
    down: Pair,
    padding: Sides,
    flip_filter: bool,
    gain: float,
    impl: str = "cuda",
) -> torch.Tensor:
    """Compute the gradient of the input from the gradient of the output.

    Args:
        dy: Gradient of the output, `[N, C, H', W']`.
        f: The filter.
        input_size: (width, height) of the input.
        up: As in the forward pass, (x, y).
        down: As in the forward pass, (x, y).
        padding: As in the forward pass, (x before, x after, y before, y after).
        flip_filter: As in the forward pass.
        gain: As in the forward pass.
        impl: As in the forward pass.

    Returns:
        The gradient of the input, `[N, C, H, W]`.
    """
    output_size, taps = (dy.shape[3], dy.shape[2]), filter_size(f)
    adjoint_padding: list[int] = []
    for axis in range(2):
        # Output i reads the upsampled pixels from i*down - before on, `taps` of them. So the first output that
        # reads pixel j*up is (j*up + before - taps + 1) / down, and there the adjoint starts.
        before = taps[axis] - 1 - padding[2 * axis]
        reach = input_size[axis] * up[axis] - up[axis] + taps[axis]
        adjoint_padding += [before, reach - output_size[axis] * down[axis] - before]
    return _Upfirdn.apply(dy, f, down, up, tuple(adjoint_padding), not flip_filter, gain, impl)


def _run(
    x: torch.Tensor, f: torch.Tensor, up: Pair, down: Pair, padding: Sides, flip_filter: bool, gain: float
) -> torch.Tensor:
    if not custom_ops.wanted(x):
        return reference(x, f, up, down, padding, flip_filter, gain)
    f = f.to(device=x.device, dtype=torch.float32)
    op = torch.ops.stylegan_v_ext.upfirdn2d
    if f.ndim == 2:
        return op(x, f, up, down, padding, flip_filter, gain)
    x = op(x, f[None, :], [up[0], 1], [down[0], 1], [*padding[:2], 0, 0], flip_filter, gain**0.5)
    return op(x, f[:, None], [1, up[1]], [1, down[1]], [0, 0, *padding[2:]], flip_filter, gain**0.5)


custom_ops.library.define(
    "upfirdn2d(Tensor x, Tensor f, int[] up, int[] down, int[] padding, bool flip_filter, float gain) -> Tensor"
)


@torch.library.impl(custom_ops.library, "upfirdn2d", "CUDA")
def _kernel(
    x: torch.Tensor, f: torch.Tensor, up: list[int], down: list[int], padding: list[int], flip_filter: bool, gain: float
) -> torch.Tensor:
    return upfirdn2d_kernel.run(x, f.contiguous(), up, down, padding, flip_filter, gain)


@torch.library.register_fake("stylegan_v_ext::upfirdn2d")
def _shape_alone(
    x: torch.Tensor, f: torch.Tensor, up: list[int], down: list[int], padding: list[int], flip_filter: bool, gain: float
) -> torch.Tensor:
    return upfirdn2d_kernel.empty_like_layout(x, upfirdn2d_kernel.output_size(x, f, up, down, padding))


@self_check.register("upfirdn2d")
def _check(device: torch.device) -> float:
    x, f = self_check.sample_images(device), torch.arange(1.0, 17.0, device=device).reshape(4, 4)
    ours = _kernel(x, f, [2, 2], [1, 1], [2, 1, 2, 1], False, 0.5)
    expected = upfirdn2d(x.double(), f, up=2, padding=[2, 1, 2, 1], gain=0.5, impl="ref")
    return self_check.relative_error(ours, expected)


def reference(
    x: torch.Tensor,
    f: torch.Tensor,
    up: Pair,
    down: Pair,
    padding: Sides,
    flip_filter: bool,
    gain: float,
    last: Callable[..., torch.Tensor] = F.conv2d,
) -> torch.Tensor:
    """Compute the op by PyTorch's depthwise convolution.

    Args:
        x: Images `[N, C, H, W]`.
        f: Filter `[taps]` or `[taps_y, taps_x]`.
        up: Upsampling factors (x, y).
        down: Downsampling factors (x, y).
        padding: Upsampled pixels (x before, x after, y before, y after).
        flip_filter: False computes a convolution, True a correlation.
        gain: Factor of the result.
        last: Function that computes the last convolution, with the arguments of `torch.nn.functional.conv2d`.

    Returns:
        Images `[N, C, H', W']`, as `upfirdn2d`.
    """
    channels = x.shape[1]
    # On a CPU, depthwise convolutions are many times faster if the channels are innermost in memory.
    if x.device.type == "cpu" and channels > 1:
        x = x.contiguous(memory_format=torch.channels_last)
    # The convolution itself can pad both sides equally, which costs no copy.
    symmetric = up == (1, 1) and padding[0] == padding[1] >= 0 and padding[2] == padding[3] >= 0
    pad_x, pad_y = (padding[0], padding[2]) if symmetric else (0, 0)
    x = x if symmetric else _upsample_and_pad(x, up, padding)
    f = f if flip_filter else f.flip(tuple(range(f.ndim)))
    f = (f.to(torch.promote_types(f.dtype, x.dtype)) * gain ** (f.ndim / 2)).to(x.dtype)
    kernels = [f] if f.ndim == 2 else [f[None, :], f[:, None]]
    strides = [(down[1], down[0])] if f.ndim == 2 else [(1, down[0]), (down[1], 1)]
    pads = [(pad_y, pad_x)] if f.ndim == 2 else [(0, pad_x), (pad_y, 0)]
    for kernel, stride, pad in zip(kernels, strides, pads, strict=True):
        convolve = last if kernel is kernels[-1] else F.conv2d
        x = convolve(x, kernel.expand(channels, 1, *kernel.shape), stride=stride, padding=pad, groups=channels)
    return x


def _upsample_and_pad(x: torch.Tensor, up: Pair, padding: Sides) -> torch.Tensor:
    """Put zeros between pixels, then pad or crop."""
    if up == (1, 1):
        return F.pad(x, padding)
    (before_x, after_x, before_y, after_y), (up_x, up_y) = padding, up
    n, c, h, w = x.shape
    grow = [max(p, 0) for p in padding]
    memory_format = torch.channels_last if x.is_contiguous(memory_format=torch.channels_last) else None
    size = (n, c, h * up_y + grow[2] + grow[3], w * up_x + grow[0] + grow[1])
    wide = torch.empty(size, dtype=x.dtype, device=x.device, memory_format=memory_format or torch.contiguous_format)
    wide.zero_()
    inside = wide[:, :, grow[2] : grow[2] + h * up_y, grow[0] : grow[0] + w * up_x]
    inside[:, :, ::up_y, ::up_x] = x
    crop = [max(-p, 0) for p in (before_x, after_x, before_y, after_y)]
    return wide[:, :, crop[2] : size[2] - crop[3], crop[0] : size[3] - crop[1]]


def filter2d(
    x: torch.Tensor,
    f: torch.Tensor | None,
    padding: Padding = 0,
    flip_filter: bool = False,
    gain: float = 1,
    impl: str = "cuda",
) -> torch.Tensor:
    """Filter images and keep their size.

    Args:
        x: Images `[N, C, H, W]`.
        f: Filter from `setup_filter`; None is the identity.
        padding: Pixels to add to the padding that this size needs.
        flip_filter: False computes a convolution, True a correlation.
        gain: Factor of the result.
        impl: As in `upfirdn2d`.

    Returns:
        Images `[N, C, H, W]`.
    """
    fw, fh = filter_size(f)
    around = (fw // 2, (fw - 1) // 2, fh // 2, (fh - 1) // 2)
    return upfirdn2d(x, f, padding=_added(around, padding), flip_filter=flip_filter, gain=gain, impl=impl)


def upsample2d(
    x: torch.Tensor,
    f: torch.Tensor | None,
    up: Scaling = 2,
    padding: Padding = 0,
    flip_filter: bool = False,
    gain: float = 1,
    impl: str = "cuda",
) -> torch.Tensor:
    """Enlarge images; `f` is the interpolation filter. The brightness stays the same.

    Args:
        x: Images `[N, C, H, W]`.
        f: Filter from `setup_filter`; None is the identity.
        up: Factor, or `[x, y]`.
        padding: Pixels to add to the padding that this size needs.
        flip_filter: False computes a convolution, True a correlation.
        gain: Factor of the result.
        impl: As in `upfirdn2d`.

    Returns:
        Images `[N, C, H * up, W * up]`.
    """
    (up_x, up_y), (fw, fh) = parse_scaling(up), filter_size(f)
    around = ((fw + up_x - 1) // 2, (fw - up_x) // 2, (fh + up_y - 1) // 2, (fh - up_y) // 2)
    gain *= up_x * up_y
    return upfirdn2d(x, f, up=up, padding=_added(around, padding), flip_filter=flip_filter, gain=gain, impl=impl)


def downsample2d(
    x: torch.Tensor,
    f: torch.Tensor | None,
    down: Scaling = 2,
    padding: Padding = 0,
    flip_filter: bool = False,
    gain: float = 1,
    impl: str = "cuda",
) -> torch.Tensor:
    """Shrink images; `f` is the low-pass filter.

    Args:
        x: Images `[N, C, H, W]`.
        f: Filter from `setup_filter`; None is the identity.
        down: Factor, or `[x, y]`.
        padding: Pixels to add to the padding that this size needs.
        flip_filter: False computes a convolution, True a correlation.
        gain: Factor of the result.
        impl: As in `upfirdn2d`.

    Returns:
        Images `[N, C, H // down, W // down]`.
    """
    (down_x, down_y), (fw, fh) = parse_scaling(down), filter_size(f)
    around = ((fw - down_x + 1) // 2, (fw - down_x) // 2, (fh - down_y + 1) // 2, (fh - down_y) // 2)
    return upfirdn2d(x, f, down=down, padding=_added(around, padding), flip_filter=flip_filter, gain=gain, impl=impl)


def _added(around: tuple[int, ...], padding: Padding) -> list[int]:
    return [a + p for a, p in zip(around, parse_padding(padding), strict=True)]
