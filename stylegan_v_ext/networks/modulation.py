"""Convolutions whose weights are modulated per clip (StyleGAN2, section 2.2, equations 1-3).

    w'_ijk = s_i w_ijk,    w''_ijk = w'_ijk / sqrt(sum_ik w'_ijk^2 + eps)

Scaling the weight's input channels equals scaling the input's channels, and demodulation equals
scaling the output's. That leaves one ordinary convolution for all frames of all clips, instead of
one group a frame. A single clip folds both scales into its weight and saves the passes.
"""

import torch

from torch_utils.ops.conv2d_resample import conv2d_resample

_EPS = 1e-8


def modulated_conv2d(
    x: torch.Tensor,
    weight: torch.Tensor,
    styles: torch.Tensor,
    up: int = 1,
    padding: int = 0,
    resample_filter: torch.Tensor | None = None,
) -> torch.Tensor:
    """Modulated and demodulated convolution of N clips of F frames.

    x: `[N*F, C_in, H, W]`, the frames of a clip next to each other. weight: `[C_out, C_in, k, k]`.
    styles: `[N, C_in]`, one row a clip. Returns `[N*F, C_out, H*up, W*up]`.
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

    if num_clips == 1:
        weight = weight * styles[0, :, None, None] * demodulation[0, :, None, None, None]
        return _convolve(x, weight, resample_filter, up, padding)
    frames = x.shape[0] // num_clips
    x = x * per_frame(styles, frames).to(x.dtype)
    x = _convolve(x, weight, resample_filter, up, padding)
    return x * per_frame(demodulation, frames).to(x.dtype)


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


def per_frame(rows: torch.Tensor, frames: int) -> torch.Tensor:
    """`[N, C]` per clip -> `[N*frames, C, 1, 1]` per frame."""
    return rows.repeat_interleave(frames, dim=0)[:, :, None, None]
