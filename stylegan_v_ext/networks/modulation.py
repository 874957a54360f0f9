"""Convolutions whose weights are modulated per clip (StyleGAN2, section 2.2, equations 1-3).

    w'_ijk = s_i w_ijk,    w''_ijk = w'_ijk / sqrt(sum_ik w'_ijk^2 + eps)

Scaling the weight's input channels equals scaling the input's channels, and demodulation equals
scaling the output's, which is done in one pass with bias and activation. That leaves one ordinary
convolution for all frames of all clips, instead of one group a frame. A single clip, and clips of
large images on a CPU, fold both scales into weights of their own and save the passes.
"""

import torch

from torch_utils.ops import bias_act
from torch_utils.ops.conv2d_resample import conv2d_resample

try:
    from torch_utils.ops.bias_act import gain_before, joined_bias_act, scaled_bias_act
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

    def joined_bias_act(parts, b=None, act="linear", gain=1, clamp=None):  # type: ignore[misc]  # noqa: ANN001, ANN201
        """clamp(gain * act(x + b)), x all parts put together."""
        x = parts[0] if len(parts) == 1 else torch.cat(parts)
        return bias_act.bias_act(x, b, act=act, gain=gain, clamp=clamp)


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

    x: `[N*F, C_in, H, W]`, the frames of a clip next to each other. weight: `[C_out, C_in, k, k]`.
    styles: `[N, C_in]`, one row a clip. bias: `[C_out]`. noise: `[1 or N, H*up, W*up]`.
    Returns `[N*F, C_out, H*up, W*up]`.
    """
    num_clips = styles.shape[0]
    if x.shape[0] % num_clips:
        raise ValueError(f"{x.shape[0]} frames do not divide among {num_clips} clips")
    weight, styles = weight.float(), styles.float()
    if x.dtype in (torch.float16, torch.bfloat16):
        # Demodulation cancels both factors; they keep the products inside the range of 16 bits.
        weight = weight / weight.square().mean([1, 2, 3], keepdim=True).sqrt()
        styles = styles / styles.abs().amax(1, keepdim=True)
    demodulation = (styles.square() @ weight.square().sum([2, 3]).t() + _EPS).rsqrt()
    before, gain = gain_before(act, gain, x.device)
    if before != 1:
        demodulation = demodulation * before
        bias = None if bias is None else bias * before
        noise = None if noise is None else noise * before

    frames = x.shape[0] // num_clips
    if num_clips == 1 or _gains_by_folding(x, frames, up):
        weights = weight * styles[:, None, :, None, None] * demodulation[:, :, None, None, None]
        clips = zip(x.chunk(num_clips), weights, strict=True)
        parts = [_convolve(clip, weight, resample_filter, up, padding) for clip, weight in clips]
        if noise is not None:
            parts = [part + row.to(x.dtype) for part, row in zip(parts, noise.expand(num_clips, -1, -1), strict=True)]
        return joined_bias_act(parts, bias, act=act, gain=gain, clamp=clamp)
    x = _convolve(scaled_bias_act(x, styles), weight, resample_filter, up, padding)
    return scaled_bias_act(x, demodulation, bias, noise, act=act, gain=gain, clamp=clamp)


def _gains_by_folding(x: torch.Tensor, frames: int, up: int) -> bool:
    """Whether a convolution for each clip beats passes over large images, as benchmarks/modulation.py measures."""
    return x.device.type == "cpu" and frames > 1 and x.shape[2] * x.shape[3] * up**2 >= _LARGE_IMAGE


def _convolve(
    x: torch.Tensor, weight: torch.Tensor, resample_filter: torch.Tensor | None, up: int, padding: int
) -> torch.Tensor:
    # Pickles of the StyleGAN2 family hold the weights of upsampling layers turned round.
    return conv2d_resample(x, weight.to(x.dtype), resample_filter, up=up, padding=padding, flip_weight=up == 1)


def modulated_pointwise(x: torch.Tensor, weight: torch.Tensor, styles: torch.Tensor) -> torch.Tensor:
    """Modulated 1x1 convolution without demodulation: one small matrix a clip.

    x: `[N*F, C_in, H, W]`. weight: `[C_out, C_in, 1, 1]`. styles: `[N, C_in]`. Returns `[N*F, C_out, H, W]`.
    """
    frames, _, height, width = x.shape
    matrices = weight.flatten(1) * styles[:, None, :]
    matrices = matrices.repeat_interleave(frames // styles.shape[0], dim=0).to(x.dtype)
    if x.is_contiguous(memory_format=torch.channels_last):
        y = x.permute(0, 2, 3, 1).flatten(1, 2) @ matrices.mT
        return y.unflatten(1, (height, width)).permute(0, 3, 1, 2)
    return (matrices @ x.flatten(2)).unflatten(2, (height, width))
