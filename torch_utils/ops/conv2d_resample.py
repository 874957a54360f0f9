"""2-D convolution with FIR-filtered up- or downsampling (StyleGAN2, section 4 and appendix B)."""

from typing import Any

import torch

from torch_utils.ops import conv2d_ending, conv2d_gradfix
from torch_utils.ops.conv2d_ending import Ending
from torch_utils.ops.upfirdn2d import _get_filter_size, _parse_padding, upfirdn2d

_NOTHING = Ending()


def conv2d_resample(
    x: torch.Tensor,
    w: torch.Tensor,
    f: torch.Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: Any = 0,
    groups: int = 1,
    flip_weight: bool = True,
    flip_filter: bool = False,
) -> torch.Tensor:
    """Enlarge by `up`, convolve with `w`, shrink by `down`; `f` is the filter of both resamplings.

    Args:
        x: `[N, C_in, H, W]`.
        w: `[C_out, C_in // groups, kh, kw]`.
        padding: As if the convolution ran at the enlarged size.
        flip_weight: True is a correlation, as PyTorch's `conv2d`.
    """
    return _resample(x, w, f, up, down, padding, groups, flip_weight, flip_filter, _NOTHING)


def conv2d_resample_bias_act(
    x: torch.Tensor,
    w: torch.Tensor,
    f: torch.Tensor | None = None,
    b: torch.Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: Any = 0,
    flip_weight: bool = True,
    act: str = "linear",
    gain: float = 1.0,
    clamp: float | None = None,
) -> torch.Tensor:
    """`bias_act` of `conv2d_resample`, on CPUs in the pass of the last convolution.

    Args:
        gain: 1 where it is to be free.
        w: Also `[N, C_out, C_in, kh, kw]`, a weight for each of N clips, whose frames are next to each other in x.
    """
    clips = w[None] if w.ndim == 4 else w
    ending = Ending(b, act, gain, clamp, in_parts=len(clips) > 1)
    parts = [
        _resample(part, weight, f, up, down, padding, 1, flip_weight, False, ending)
        for part, weight in zip(x.chunk(len(clips)), clips, strict=True)
    ]
    return parts[0] if len(parts) == 1 else ending.join(x, parts)


def _resample(x, w, f, up, down, padding, groups, flip_weight, flip_filter, ending):  # noqa: ANN001, ANN202
    fw, fh = _get_filter_size(f)
    x0, x1, y0, y1 = _parse_padding(padding)
    if up > 1:
        x0, x1, y0, y1 = x0 + (fw + up - 1) // 2, x1 + (fw - up) // 2, y0 + (fh + up - 1) // 2, y1 + (fh - up) // 2
    if down > 1:
        x0, x1 = x0 + (fw - down + 1) // 2, x1 + (fw - down) // 2
        y0, y1 = y0 + (fh - down + 1) // 2, y1 + (fh - down) // 2
    kh, kw = w.shape[2:]

    if (kh, kw) == (1, 1) and up == 1:
        # A pointwise convolution changes places with the filter, and then runs on fewer pixels.
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


def _convolve(x, w, stride=1, padding=(0, 0), groups=1, flip=False, ending=_NOTHING):  # noqa: ANN001, ANN202
    """Convolution with padding `[y, x]` or `[y before, x before, y after, x after]`."""
    w = w.flip([2, 3]) if flip and w.shape[2:] != (1, 1) else w
    before, after = tuple(padding[:2]), tuple(padding[-2:])
    if before != after or min(before) < 0:
        x = upfirdn2d(x, None, padding=[before[1], after[1], before[0], after[0]])
        before = (0, 0)
    return conv2d_ending.conv2d(x, w, ending, stride=stride, padding=before, groups=groups)


def _convolve_up(x, w, up, padding, f, groups, flip_weight, flip_filter, ending):  # noqa: ANN001, ANN202
    """Transposed convolution, then the interpolation filter with what padding is left."""
    kh, kw = w.shape[2:]
    out_channels = w.shape[0]
    if groups == 1:
        w = w.transpose(0, 1)
    else:
        w = w.reshape(groups, out_channels // groups, -1, kh, kw).transpose(1, 2)
        w = w.reshape(-1, out_channels // groups, kh, kw)
    x0, x1, y0, y1 = padding
    # A transposed convolution by itself pads k-1 before and k-up after the enlarged image.
    x0, x1, y0, y1 = x0 - (kw - 1), x1 - (kw - up), y0 - (kh - 1), y1 - (kh - up)
    # What has to be cropped on all sides is never computed.
    crop_x, crop_y = max(min(-x0, -x1), 0), max(min(-y0, -y1), 0)
    w = w.flip([2, 3]) if flip_weight else w  # a transposed convolution turns its weight round
    x = conv2d_gradfix.conv_transpose2d(x, w, stride=up, padding=(crop_y, crop_x), groups=groups)
    pad = [x0 + crop_x, x1 + crop_x, y0 + crop_y, y1 + crop_y]
    return conv2d_ending.filter2d(x, f, ending, pad, flip_filter, up**2)
