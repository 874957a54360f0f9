"""2-D convolution with FIR-filtered up- or downsampling (StyleGAN2, section 4 and appendix B)."""

from collections.abc import Sequence

import torch

from torch_utils.ops import conv2d_ending, conv2d_gradfix
from torch_utils.ops.conv2d_ending import Ending
from torch_utils.ops.fir import Padding, Sides, filter_size, parse_padding
from torch_utils.ops.upfirdn2d import upfirdn2d

__all__ = ["conv2d_resample", "conv2d_resample_bias_act"]

_NOTHING = Ending()


def conv2d_resample(
    x: torch.Tensor,
    w: torch.Tensor,
    f: torch.Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: Padding = 0,
    groups: int = 1,
    flip_weight: bool = True,
    flip_filter: bool = False,
) -> torch.Tensor:
    """Enlarge images by `up`, convolve them with `w`, shrink them by `down`.

    Args:
        x: Images `[N, C_in, H, W]`.
        w: Weight `[C_out, C_in // groups, kh, kw]`.
        f: Filter of both resamplings; None is the identity.
        up: Upsampling factor.
        down: Downsampling factor.
        padding: Padding in pixels of the enlarged images.
        groups: Number of groups of channels.
        flip_weight: True computes a correlation, as PyTorch's `conv2d`; False a convolution.
        flip_filter: The same for `f`: True computes a correlation, False a convolution.

    Returns:
        Images `[N, C_out, H', W']`.
    """
    return _resample(x, w, f, up, down, padding, groups, flip_weight, flip_filter, _NOTHING)


def conv2d_resample_bias_act(
    x: torch.Tensor,
    w: torch.Tensor,
    f: torch.Tensor | None = None,
    b: torch.Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: Padding = 0,
    flip_weight: bool = True,
    act: str = "linear",
    gain: float = 1.0,
    clamp: float | None = None,
) -> torch.Tensor:
    """Compute `bias_act` of `conv2d_resample`; on CPUs the last convolution does both in one pass.

    Args:
        x: Images `[N*F, C_in, H, W]`, the F frames of a clip next to each other.
        w: Weight `[C_out, C_in, kh, kw]`, or one weight for each of N clips, `[N, C_out, C_in, kh, kw]`.
        f: Filter of both resamplings; None is the identity.
        b: Bias `[C_out]`; None is no bias.
        up: Upsampling factor.
        down: Downsampling factor.
        padding: Padding in pixels of the enlarged images.
        flip_weight: True computes a correlation, as PyTorch's `conv2d`; False a convolution.
        act: A key of `activation_funcs`.
        gain: Factor after the activation. Only with 1 can the last convolution compute the activation.
        clamp: Largest absolute value; None is no bound.

    Returns:
        Images `[N*F, C_out, H', W']`.
    """
    clips = w[None] if w.ndim == 4 else w
    ending = Ending(b, act, gain, clamp, in_parts=len(clips) > 1)
    parts = [
        _resample(part, weight, f, up, down, padding, 1, flip_weight, False, ending)
        for part, weight in zip(x.chunk(len(clips)), clips, strict=True)
    ]
    return parts[0] if len(parts) == 1 else ending.join(x, parts)


def _resample(
    x: torch.Tensor,
    w: torch.Tensor,
    f: torch.Tensor | None,
    up: int,
    down: int,
    padding: Padding,
    groups: int,
    flip_weight: bool,
    flip_filter: bool,
    ending: Ending,
) -> torch.Tensor:
    fw, fh = filter_size(f)
    x0, x1, y0, y1 = parse_padding(padding)
    if up > 1:
        x0, x1, y0, y1 = x0 + (fw + up - 1) // 2, x1 + (fw - up) // 2, y0 + (fh + up - 1) // 2, y1 + (fh - up) // 2
    if down > 1:
        x0, x1 = x0 + (fw - down + 1) // 2, x1 + (fw - down) // 2
        y0, y1 = y0 + (fh - down + 1) // 2, y1 + (fh - down) // 2
    kh, kw = w.shape[2:]

    if (kh, kw) == (1, 1) and up == 1:
        # A pointwise convolution commutes with the filter. After the filter it has fewer pixels to compute.
        x = upfirdn2d(x, f, down=down, padding=[x0, x1, y0, y1], flip_filter=flip_filter) if down > 1 else x
        padding = [0, 0] if down > 1 else [y0, x0, y1, x1]
        return _convolve(x, w, padding=padding, groups=groups, flip=not flip_weight, ending=ending)
    if up > 1 and down > 1:
        x = _convolve_up(x, w, up, (x0, x1, y0, y1), f, groups, flip_weight, flip_filter, _NOTHING)
        return conv2d_ending.filter2d(x, f, ending, flip_filter=flip_filter, down=down)
    if up > 1:
        return _convolve_up(x, w, up, (x0, x1, y0, y1), f, groups, flip_weight, flip_filter, ending)
    if down > 1:
        x = upfirdn2d(x, f, padding=[x0, x1, y0, y1], flip_filter=flip_filter)
        return _convolve(x, w, stride=down, groups=groups, flip=not flip_weight, ending=ending)
    return _convolve(x, w, padding=[y0, x0, y1, x1], groups=groups, flip=not flip_weight, ending=ending)


def _convolve(
    x: torch.Tensor,
    w: torch.Tensor,
    stride: int = 1,
    padding: Sequence[int] = (0, 0),
    groups: int = 1,
    flip: bool = False,
    ending: Ending = _NOTHING,
) -> torch.Tensor:
    """Convolve with padding `[y, x]` or `[y before, x before, y after, x after]`."""
    w = w.flip([2, 3]) if flip and w.shape[2:] != (1, 1) else w
    before, after = tuple(padding[:2]), tuple(padding[-2:])
    if before != after or min(before) < 0:
        x = upfirdn2d(x, None, padding=[before[1], after[1], before[0], after[0]])
        before = (0, 0)
    return conv2d_ending.conv2d(x, w, ending, stride=stride, padding=before, groups=groups)


def _convolve_up(
    x: torch.Tensor,
    w: torch.Tensor,
    up: int,
    padding: Sides,
    f: torch.Tensor | None,
    groups: int,
    flip_weight: bool,
    flip_filter: bool,
    ending: Ending,
) -> torch.Tensor:
    """Compute a transposed convolution, then the interpolation filter with the padding that is left."""
    kh, kw = w.shape[2:]
    out_channels = w.shape[0]
    if groups == 1:
        w = w.transpose(0, 1)
    else:
        w = w.reshape(groups, out_channels // groups, -1, kh, kw).transpose(1, 2)
        w = w.reshape(-1, out_channels // groups, kh, kw)
    x0, x1, y0, y1 = padding
    # A transposed convolution itself pads k-1 pixels before and k-up pixels after the enlarged image.
    x0, x1, y0, y1 = x0 - (kw - 1), x1 - (kw - up), y0 - (kh - 1), y1 - (kh - up)
    # Pixels that have to be cropped on all sides are never computed.
    crop_x, crop_y = max(min(-x0, -x1), 0), max(min(-y0, -y1), 0)
    w = w.flip([2, 3]) if flip_weight else w  # because a transposed convolution turns its weight round
    x = conv2d_gradfix.conv_transpose2d(x, w, stride=up, padding=(crop_y, crop_x), groups=groups)
    pad = [x0 + crop_x, x1 + crop_x, y0 + crop_y, y1 + crop_y]
    return conv2d_ending.filter2d(x, f, ending, pad, flip_filter, up**2)
