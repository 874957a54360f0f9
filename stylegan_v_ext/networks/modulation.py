"""Convolutions whose weights are modulated per clip (StyleGAN2, section 2.2, equations 1-3).

    w'_ijk = s_i w_ijk,    w''_ijk = w'_ijk / sqrt(sum_ik w'_ijk^2 + eps)

Scaling the weight's input channels equals scaling the input's channels, and demodulation equals
scaling the output's, which is done in one pass with bias and activation. That leaves one ordinary
convolution for all frames of all clips, instead of one group a frame. A single clip, and clips of
large images on a CPU, fold both scales into weights of their own and save the passes.
"""

from typing import Any

import torch

from torch_utils.ops import bias_act
from torch_utils.ops.conv2d_resample import conv2d_resample

try:
    from torch_utils.ops.bias_act import gain_before, scaled_bias_act
    from torch_utils.ops.conv2d_resample import conv2d_resample_bias_act
except ImportError:  # a stock checkout's own ops

    def gain_before(act, gain, device):  # type: ignore[misc]  # noqa: ANN001, ANN201
        """(gain of what comes before, gain that is left)."""
        return 1, gain

    def scaled_bias_act(x, scale, b=None, noise=None, act="linear", gain=1, clamp=None):  # type: ignore[misc]  # noqa: ANN001, ANN201
        """clamp(gain * act(x * scale + noise + b)), scale `[N, C]` for the frames of N clips."""
        frames = x.shape[0] // scale.shape[0]
        x = x * scale.repeat_interleave(frames, dim=0)[:, :, None, None].to(x.dtype)
        if noise is not None:
            x = x + (noise if len(noise) == 1 else noise.repeat_interleave(frames, 0))[:, None].to(x.dtype)
        return bias_act.bias_act(x, None if b is None else b.to(x.dtype), act=act, gain=gain, clamp=clamp)

    def conv2d_resample_bias_act(x, w, f=None, b=None, up=1, down=1, padding=0, flip_weight=True, **activation):  # type: ignore[misc]  # noqa: ANN001, ANN003, ANN201
        """bias_act of conv2d_resample, w with a weight for each clip or one for all."""
        settings = dict(up=up, down=down, padding=padding, flip_weight=flip_weight)
        clips = w[None] if w.ndim == 4 else w
        parts = [conv2d_resample(x, w, f, **settings) for x, w in zip(x.chunk(len(clips)), clips, strict=True)]
        return bias_act.bias_act(torch.cat(parts), b, **activation)


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
    """clamp(gain * act(modulated and demodulated convolution + noise + bias)) of N clips of F frames.

    Args:
        x: `[N*F, C_in, H, W]`, the frames of a clip next to each other.
        weight: `[C_out, C_in, k, k]`.
        styles: `[N, C_in]`, one row a clip.
        bias: `[C_out]`.
        noise: `[1 or N, H*up, W*up]`.

    Returns:
        `[N*F, C_out, H*up, W*up]`.
    """
    num_clips = styles.shape[0]
    if x.shape[0] % num_clips:
        raise ValueError(f"{x.shape[0]} frames do not divide among {num_clips} clips")
    weight, styles = weight.float(), styles.float()
    if x.dtype == torch.float16:
        # Demodulation cancels both factors; they keep the products inside the range of the type.
        weight = weight / weight.square().mean([1, 2, 3], keepdim=True).sqrt()
        styles = styles / styles.abs().amax(1, keepdim=True)
    demodulation = (styles.square() @ weight.square().sum([2, 3]).t() + _EPS).rsqrt()
    before, gain = gain_before(act, gain, x.device)
    if before != 1:
        demodulation = demodulation * before
        bias = None if bias is None else bias * before
        noise = None if noise is None else noise * before

    # Pickles of the StyleGAN2 family hold the weights of upsampling layers turned round.
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
    """Whether a convolution for each clip beats passes over large images, as benchmarks/modulation.py measures."""
    return x.device.type == "cpu" and frames > 1 and x.shape[2] * x.shape[3] * up**2 >= _LARGE_IMAGE


def modulated_pointwise(x: torch.Tensor, weight: torch.Tensor, styles: torch.Tensor) -> torch.Tensor:
    """Modulated 1x1 convolution without demodulation: one small matrix a clip.

    Args:
        x: `[N*F, C_in, H, W]`.
        weight: `[C_out, C_in, 1, 1]`.
        styles: `[N, C_in]`.

    Returns:
        `[N*F, C_out, H, W]`.
    """
    frames, _, height, width = x.shape
    matrices = weight.flatten(1) * styles[:, None, :]
    matrices = matrices.repeat_interleave(frames // styles.shape[0], dim=0).to(x.dtype)
    if x.is_contiguous(memory_format=torch.channels_last):
        y = x.permute(0, 2, 3, 1).flatten(1, 2) @ matrices.mT
        return y.unflatten(1, (height, width)).permute(0, 3, 1, 2)
    return (matrices @ x.flatten(2)).unflatten(2, (height, width))
