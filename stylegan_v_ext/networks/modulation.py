"""Convolutions whose weights are modulated per clip (StyleGAN2, section 2.2, equations 1-3).

    w'_ijk = s_i w_ijk,    w''_ijk = w'_ijk / sqrt(sum_ik w'_ijk^2 + eps)

Modulating the weight equals scaling the channels of the input by s, and demodulating it equals scaling the channels of
the output. The second scale is applied in one pass with bias and activation. So one ordinary convolution serves all
frames of all clips, instead of one group for each frame. For a single clip, and for clips of large images on a CPU,
both scales are multiplied into a weight for each clip, which saves the passes over the images.
"""

from collections.abc import Sequence
from typing import Any

import torch

from torch_utils.ops import bias_act
from torch_utils.ops.conv2d_resample import conv2d_resample

try:
    from torch_utils.ops.bias_act import gain_before, scaled_bias_act
    from torch_utils.ops.conv2d_resample import conv2d_resample_bias_act
except ImportError:  # the ops are those of a stock checkout

    def gain_before(act: str, gain: float, device: torch.device) -> tuple[float, float]:
        """Leave the gain after the activation: return (1, gain)."""
        return 1, gain

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
        """Compute clamp(gain * act(x * scale + noise + b)) * after, with `scale` and `after` `[N, C]` for N clips."""
        frames = x.shape[0] // scale.shape[0]
        x = x * scale.repeat_interleave(frames, dim=0)[:, :, None, None].to(x.dtype)
        if noise is not None:
            x = x + (noise if len(noise) == 1 else noise.repeat_interleave(frames, 0))[:, None].to(x.dtype)
        x = bias_act.bias_act(x, None if b is None else b.to(x.dtype), act=act, gain=gain, clamp=clamp)
        return x if after is None else x * after.repeat_interleave(frames, dim=0)[:, :, None, None].to(x.dtype)

    def conv2d_resample_bias_act(
        x: torch.Tensor,
        w: torch.Tensor,
        f: torch.Tensor | None = None,
        b: torch.Tensor | None = None,
        up: int = 1,
        down: int = 1,
        padding: int | Sequence[int] = 0,
        flip_weight: bool = True,
        act: str = "linear",
        gain: float = 1.0,
        clamp: float | None = None,
    ) -> torch.Tensor:
        """Compute bias_act of conv2d_resample; w is one weight, or one for each clip."""
        settings: dict[str, Any] = dict(up=up, down=down, padding=padding, flip_weight=flip_weight)
        clips = w[None] if w.ndim == 4 else w
        parts = [conv2d_resample(x, w, f, **settings) for x, w in zip(x.chunk(len(clips)), clips, strict=True)]
        return bias_act.bias_act(torch.cat(parts), b, act=act, gain=gain, clamp=clamp)


__all__ = ["modulated_conv2d", "modulated_pointwise"]

_EPS = 1e-8
_LARGE_IMAGE = 64 * 64


def modulated_conv2d(
    x: torch.Tensor,
    weight: torch.Tensor,
    styles: torch.Tensor,
    up: int = 1,
    padding: int = 0,
    resample_filter: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    noise: torch.Tensor | None = None,
    act: str = "linear",
    gain: float = 1,
    clamp: float | None = None,
) -> torch.Tensor:
    """Compute clamp(gain * act(modulated and demodulated convolution + noise + bias)) of N clips of F frames.

    Args:
        x: Features `[N*F, C_in, H, W]`, the frames of a clip next to each other.
        weight: `[C_out, C_in, k, k]`.
        styles: `[N, C_in]`, one row a clip.
        up: Upsampling factor.
        padding: Padding in pixels of the enlarged features.
        resample_filter: Filter of the upsampling; None is the identity.
        bias: `[C_out]`; None is no bias.
        noise: `[1 or N, H*up, W*up]`; None is no noise.
        act: A key of `bias_act.activation_funcs`.
        gain: Factor after the activation.
        clamp: Largest absolute value; None is no bound.

    Returns:
        Features `[N*F, C_out, H*up, W*up]`.

    Raises:
        ValueError: If the frames do not divide among the clips.
    """
    num_clips = styles.shape[0]
    if x.shape[0] % num_clips:
        raise ValueError(f"{x.shape[0]} frames do not divide among {num_clips} clips")
    weight, styles = weight.float(), styles.float()
    if x.dtype == torch.float16:
        # Demodulation cancels both factors. They keep the products inside the range of float16.
        weight = weight / weight.square().mean([1, 2, 3], keepdim=True).sqrt()
        styles = styles / styles.abs().amax(1, keepdim=True)
    demodulation = (styles.square() @ weight.square().sum([2, 3]).t() + _EPS).rsqrt()
    before, gain = gain_before(act, gain, x.device)
    if before != 1:
        demodulation = demodulation * before
        bias = None if bias is None else bias * before
        noise = None if noise is None else noise * before

    # Pickles of the StyleGAN2 family store the weights of upsampling layers turned round.
    convolution: dict[str, Any] = dict(f=resample_filter, up=up, padding=padding, flip_weight=up == 1)
    if num_clips > 1 and not _gains_by_folding(x, x.shape[0] // num_clips, up):
        x = conv2d_resample(scaled_bias_act(x, styles), weight.to(x.dtype), **convolution)
        return scaled_bias_act(x, demodulation, bias, noise, act=act, gain=gain, clamp=clamp)
    weights = (weight * styles[:, None, :, None, None] * demodulation[:, :, None, None, None]).to(x.dtype)
    activation: dict[str, Any] = dict(b=None if bias is None else bias.to(x.dtype), act=act, gain=gain, clamp=clamp)
    if noise is None:
        return conv2d_resample_bias_act(x, weights, **convolution, **activation)
    x = conv2d_resample_bias_act(x, weights, **convolution).unflatten(0, (num_clips, -1))
    return bias_act.bias_act((x + noise.to(x.dtype)[:, None, None]).flatten(0, 1), **activation)


def _gains_by_folding(x: torch.Tensor, frames: int, up: int) -> bool:
    """Return whether a weight for each clip is faster than passes over large images (benchmarks/modulation.py)."""
    return x.device.type == "cpu" and frames > 1 and x.shape[2] * x.shape[3] * up**2 >= _LARGE_IMAGE


def modulated_pointwise(x: torch.Tensor, weight: torch.Tensor, styles: torch.Tensor) -> torch.Tensor:
    """Compute a modulated 1x1 convolution without demodulation, as a product with one small matrix for each clip.

    Args:
        x: Features `[N*F, C_in, H, W]`, the frames of a clip next to each other.
        weight: `[C_out, C_in, 1, 1]`.
        styles: `[N, C_in]`, one row a clip.

    Returns:
        Features `[N*F, C_out, H, W]`.
    """
    frames, _, height, width = x.shape
    matrices = weight.flatten(1) * styles[:, None, :]
    matrices = matrices.repeat_interleave(frames // styles.shape[0], dim=0).to(x.dtype)
    if x.is_contiguous(memory_format=torch.channels_last):
        y = x.permute(0, 2, 3, 1).flatten(1, 2) @ matrices.mT
        return y.unflatten(1, (height, width)).permute(0, 3, 1, 2)
    return (matrices @ x.flatten(2)).unflatten(2, (height, width))
