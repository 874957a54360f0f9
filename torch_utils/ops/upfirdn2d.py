"""Upsample, filter and downsample images: zeros between pixels, a FIR filter, then every n-th pixel.

The op is linear and its adjoint is the same op with the factors exchanged, the filter turned round
and other padding, so one pair of forward passes serves every order of differentiation.
On CUDA a kernel of our own computes it (upfirdn2d.cu), elsewhere PyTorch's depthwise convolution.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from torch_utils import custom_ops
from torch_utils.ops import upfirdn2d_kernel


def setup_filter(
    f: Any,
    device: Any = None,
    normalize: bool = True,
    flip_filter: bool = False,
    gain: float = 1,
    separable: bool | None = None,
) -> torch.Tensor:
    """Filter tensor for the functions here, from 1 or 2 dimensions of taps (`None`: identity).

    Taps in one dimension give a separable filter `[taps]`, or its outer product `[taps, taps]` where
    they are fewer than 8 or `separable` is False. `normalize` makes the sum 1; gain is that of the
    image, so each axis of a separable filter takes its root.

    Args:
        device: `None` is that of `f`, or PyTorch's default.
    """
    taps = torch.as_tensor(1.0 if f is None else f, dtype=torch.float32)
    device = taps.device if device is None else device
    if taps.ndim > 2 or taps.numel() == 0:
        raise ValueError(f"a filter has 1 or 2 dimensions and at least one tap, not shape {list(taps.shape)}")
    taps = taps.reshape(1) if taps.ndim == 0 else taps
    if separable is None:
        separable = taps.ndim == 1 and taps.numel() >= 8
    if separable and taps.ndim == 2:
        raise ValueError("a two-dimensional filter cannot be made separable; give its one-dimensional taps")
    if taps.ndim == 1 and not separable:
        taps = torch.outer(taps, taps)
    if normalize:
        taps = taps / taps.sum()
    if flip_filter:
        taps = taps.flip(tuple(range(taps.ndim)))
    return (taps * gain ** (taps.ndim / 2)).to(device)


def upfirdn2d(
    x: torch.Tensor,
    f: torch.Tensor | None,
    up: Any = 1,
    down: Any = 1,
    padding: Any = 0,
    flip_filter: bool = False,
    gain: float = 1,
    impl: str = "cuda",
) -> torch.Tensor:
    """Upsample by `up`, pad, filter with `f`, keep every `down`-th pixel.

    Args:
        x: `[N, C, H, W]`.
        f: From `setup_filter`; `None` is the identity.
        up, down: Int or `[x, y]`.
        padding: Int, `[x, y]` or `[x0, x1, y0, y1]` in upsampled pixels, negative to crop.
        flip_filter: False is a convolution, True a correlation.
        gain: Factor of the result.
        impl: "ref" keeps to PyTorch's convolution.
    """
    if x.ndim != 4:
        raise ValueError(f"images have the shape [N, C, H, W], not {list(x.shape)}")
    up, down, padding = _parse_scaling(up), _parse_scaling(down), _parse_padding(padding)
    f = torch.ones([1, 1], dtype=torch.float32, device=x.device) if f is None else f
    fw, fh = _get_filter_size(f)
    for axis, size, taps, pad in (
        ("width", x.shape[3] * up[0], fw, padding[:2]),
        ("height", x.shape[2] * up[1], fh, padding[2:]),
    ):
        if size + sum(pad) < taps:
            raise ValueError(f"{axis} {size} with padding {list(pad)} is smaller than the filter's {taps} taps")
    return _Upfirdn.apply(x, f, up, down, padding, flip_filter, float(gain), impl)


class _Upfirdn(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, f, up, down, padding, flip_filter, gain, impl):  # noqa: ANN001, ANN205
        ctx.save_for_backward(f)
        ctx.settings = up, down, padding, flip_filter, gain, impl
        ctx.input_size = x.shape[3], x.shape[2]
        run = reference if impl == "ref" else _run
        return run(x, f, up, down, padding, flip_filter, gain)

    @staticmethod
    def backward(ctx, dy):  # noqa: ANN001, ANN205
        (f,) = ctx.saved_tensors
        return adjoint(dy, f, ctx.input_size, *ctx.settings), None, None, None, None, None, None, None


def adjoint(dy, f, input_size, up, down, padding, flip_filter, gain, impl="cuda"):  # noqa: ANN001, ANN201
    """Gradient of the input, whose (width, height) is `input_size`, from that of the output."""
    output_size, filter_size = (dy.shape[3], dy.shape[2]), _get_filter_size(f)
    adjoint_padding: list[int] = []
    for axis in range(2):
        # Output i reads upsampled pixels i*down - before ... + taps - 1, so pixel j*up is read by
        # outputs from (j*up + before - taps + 1) / down on: that is where the adjoint starts.
        before = filter_size[axis] - 1 - padding[2 * axis]
        reach = input_size[axis] * up[axis] - up[axis] + filter_size[axis]
        adjoint_padding += [before, reach - output_size[axis] * down[axis] - before]
    return _Upfirdn.apply(dy, f, down, up, tuple(adjoint_padding), not flip_filter, gain, impl)


def _run(x, f, up, down, padding, flip_filter, gain):  # noqa: ANN001, ANN202
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
def _kernel(x, f, up, down, padding, flip_filter, gain):  # noqa: ANN001, ANN202
    return upfirdn2d_kernel.run(x, f.contiguous(), up, down, padding, flip_filter, gain)


@torch.library.register_fake("stylegan_v_ext::upfirdn2d")
def _shape_alone(x, f, up, down, padding, flip_filter, gain):  # noqa: ANN001, ANN202
    return upfirdn2d_kernel.empty_like_layout(x, upfirdn2d_kernel.output_size(x, f, up, down, padding))


def reference(x, f, up, down, padding, flip_filter, gain, last=F.conv2d):  # noqa: ANN001, ANN201
    """By PyTorch's depthwise convolution;

    Args:
        last: What computes the last one.
    """
    channels = x.shape[1]
    # Depthwise convolutions on a CPU are many times faster with the channels innermost.
    if x.device.type == "cpu" and channels > 1:
        x = x.contiguous(memory_format=torch.channels_last)
    # Equal padding on both sides is the convolution's own business and costs no copy.
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


def _upsample_and_pad(x, up, padding):  # noqa: ANN001, ANN202
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


def filter2d(x, f, padding=0, flip_filter=False, gain=1, impl="cuda"):  # noqa: ANN001, ANN201
    """Filter images, keeping their size; `padding` comes on top."""
    fw, fh = _get_filter_size(f)
    around = (fw // 2, (fw - 1) // 2, fh // 2, (fh - 1) // 2)
    return upfirdn2d(x, f, padding=_added(around, padding), flip_filter=flip_filter, gain=gain, impl=impl)


def upsample2d(x, f, up=2, padding=0, flip_filter=False, gain=1, impl="cuda"):  # noqa: ANN001, ANN201
    """Enlarge images by `up` with `f` as interpolation filter; brightness stays. `padding` comes on top."""
    (up_x, up_y), (fw, fh) = _parse_scaling(up), _get_filter_size(f)
    around = ((fw + up_x - 1) // 2, (fw - up_x) // 2, (fh + up_y - 1) // 2, (fh - up_y) // 2)
    gain *= up_x * up_y
    return upfirdn2d(x, f, up=up, padding=_added(around, padding), flip_filter=flip_filter, gain=gain, impl=impl)


def downsample2d(x, f, down=2, padding=0, flip_filter=False, gain=1, impl="cuda"):  # noqa: ANN001, ANN201
    """Shrink images by `down` with `f` as low-pass filter. `padding` comes on top."""
    (down_x, down_y), (fw, fh) = _parse_scaling(down), _get_filter_size(f)
    around = ((fw - down_x + 1) // 2, (fw - down_x) // 2, (fh - down_y + 1) // 2, (fh - down_y) // 2)
    return upfirdn2d(x, f, down=down, padding=_added(around, padding), flip_filter=flip_filter, gain=gain, impl=impl)


def _added(around: tuple[int, ...], padding: Any) -> list[int]:
    return [a + p for a, p in zip(around, _parse_padding(padding), strict=True)]


def _parse_scaling(scaling: Any) -> tuple[int, int]:
    """(x, y) factors from an int or a pair."""
    pair = [scaling, scaling] if isinstance(scaling, (int, np.integer)) else list(scaling)
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(f"a scaling factor is an int >= 1 or a pair of them, not {scaling!r}")
    return int(pair[0]), int(pair[1])


def _parse_padding(padding: Any) -> tuple[int, int, int, int]:
    """(x before, x after, y before, y after) from an int, a pair or four."""
    four = [padding] * 4 if isinstance(padding, (int, np.integer)) else list(padding)
    if len(four) == 2:
        four = [four[0], four[0], four[1], four[1]]
    if len(four) != 4:
        raise ValueError(f"padding is an int, a pair or four ints, not {padding!r}")
    return int(four[0]), int(four[1]), int(four[2]), int(four[3])


def _get_filter_size(f: torch.Tensor | None) -> tuple[int, int]:
    """(width, height) in taps."""
    return (1, 1) if f is None else (int(f.shape[-1]), int(f.shape[0]))
