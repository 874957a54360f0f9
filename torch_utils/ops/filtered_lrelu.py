"""Leaky ReLU at a higher sampling rate, free of aliasing (StyleGAN3, section 3.1)."""

import math
from typing import Any

import torch

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

    x: `[N, C, H, W]`. b: `[C]`. up, down: whole factors. padding: in upsampled pixels, as in
    `upfirdn2d`. clamp: largest absolute value after the activation. impl: accepted for stock callers.
    """
    x = bias_act(x, b)
    x = upfirdn2d(x, fu, up=up, padding=_parse_padding(padding), gain=up**2, flip_filter=flip_filter)
    x = bias_act(x, act="lrelu", alpha=slope, gain=gain, clamp=clamp)
    return upfirdn2d(x, fd, down=down, flip_filter=flip_filter)
