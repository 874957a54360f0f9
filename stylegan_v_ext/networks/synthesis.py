"""Synthesis network: StyleGAN2's skip generator with motion at its 4x4 input (StyleGAN-V, section 3.1)."""

import math
from typing import Any

import torch

from stylegan_v_ext.networks.layers import FullyConnectedLayer
from stylegan_v_ext.networks.modulation import modulated_conv2d, modulated_pointwise
from stylegan_v_ext.networks.precision import memory_format_for, working_dtype
from stylegan_v_ext.strip import pack_strip
from torch_utils import persistence
from torch_utils.ops import bias_act, upfirdn2d

NOISE_MODES = ("random", "const", "none")
_BLUR = [1, 3, 3, 1]


@persistence.persistent_class
class SynthesisLayer(torch.nn.Module):
    """Modulated 3x3 convolution, optional upsampling and noise, leaky ReLU.

    Args:
        use_noise: Keep StyleGAN's per-pixel noise input.
        conv_clamp: Largest absolute output, `None` for no bound.
    """

    resample_filter: torch.Tensor
    noise_const: torch.Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        resolution: int,
        up: int = 1,
        use_noise: bool = False,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.up, self.use_noise, self.conv_clamp, self.resolution = up, use_noise, conv_clamp, resolution
        self.register_buffer("resample_filter", upfirdn2d.setup_filter(_BLUR))
        self.affine = FullyConnectedLayer(w_dim, in_channels, bias_init=1)
        self.weight = torch.nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        if use_noise:
            self.register_buffer("noise_const", torch.randn(resolution, resolution))
            self.noise_strength = torch.nn.Parameter(torch.zeros([]))
        self.bias = torch.nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: torch.Tensor, w: torch.Tensor, noise_mode: str = "random", gain: float = 1) -> torch.Tensor:
        """x: `[N*F, C_in, h, w]`. w: `[N, w_dim]`. Noise, where kept, is the same for all frames of a clip."""
        noise = None
        if self.use_noise and noise_mode != "none":
            noise = self._noise(len(w), noise_mode) * self.noise_strength
        clamp = None if self.conv_clamp is None else self.conv_clamp * gain
        return modulated_conv2d(
            x,
            self.weight,
            self.affine(w),
            up=self.up,
            padding=1,
            resample_filter=self.resample_filter,
            bias=self.bias,
            noise=noise,
            act="lrelu",
            gain=gain * math.sqrt(2),
            clamp=clamp,
        )

    def _noise(self, num_clips: int, noise_mode: str) -> torch.Tensor:
        if noise_mode == "const":
            return self.noise_const[None]
        return torch.randn([num_clips, self.resolution, self.resolution], device=self.noise_const.device)


@persistence.persistent_class
class ToRGBLayer(torch.nn.Module):
    """Modulated 1x1 convolution to image channels, without demodulation."""

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, conv_clamp: float | None = None) -> None:
        super().__init__()
        self.conv_clamp = conv_clamp
        self.weight_gain = 1 / math.sqrt(in_channels)
        self.affine = FullyConnectedLayer(w_dim, in_channels, bias_init=1)
        self.weight = torch.nn.Parameter(torch.randn(out_channels, in_channels, 1, 1))
        self.bias = torch.nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        styles = self.affine(w) * self.weight_gain
        x = modulated_pointwise(x, self.weight, styles)
        return bias_act.bias_act(x, self.bias.to(x.dtype), clamp=self.conv_clamp)


@persistence.persistent_class
class SynthesisBlock(torch.nn.Module):
    """One resolution: convolutions, and a ToRGB layer added to the enlarged image so far.

    Args:
        in_channels: 0 for the 4x4 block, which starts from a learned constant with `motion_dim` channels of motion
            beside it.
        frozen_dim: Channels of the constant that hold the motion of one moment.
    """

    resample_filter: torch.Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        resolution: int,
        img_channels: int,
        motion_dim: int = 0,
        frozen_dim: int = 0,
        use_fp16: bool = False,
        use_noise: bool = False,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.in_channels, self.use_fp16 = in_channels, use_fp16
        self.register_buffer("resample_filter", upfirdn2d.setup_filter(_BLUR))
        layer_kwargs: dict[str, Any] = dict(
            w_dim=w_dim, resolution=resolution, use_noise=use_noise, conv_clamp=conv_clamp
        )
        if in_channels == 0:
            self.const = torch.nn.Parameter(torch.randn(out_channels + frozen_dim, resolution, resolution))
            self.conv1 = SynthesisLayer(out_channels + frozen_dim + motion_dim, out_channels, **layer_kwargs)
        else:
            self.conv0 = SynthesisLayer(in_channels, out_channels, up=2, **layer_kwargs)
            self.conv1 = SynthesisLayer(out_channels, out_channels, **layer_kwargs)
        self.torgb = ToRGBLayer(out_channels, img_channels, w_dim, conv_clamp)
        self.num_conv = 1 if in_channels == 0 else 2

    def forward(
        self,
        x: torch.Tensor | None,
        img: torch.Tensor | None,
        ws: torch.Tensor,
        motion: torch.Tensor,
        noise_mode: str = "random",
        force_fp32: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """x: `[N*F, C, h, w]`. img: `[N*F, 3, h, w]`. ws: `[N, num_conv + 1, w_dim]`. motion: `[N*F, motion_dim]`."""
        # The first block keeps the motion of neighbouring moments apart.
        dtype = working_dtype(ws.device, self.use_fp16, force_fp32=force_fp32 or self.in_channels == 0)
        if x is None:
            x = self._input(motion)
        x = x.to(dtype)
        x = x.contiguous(memory_format=memory_format_for(x))
        if self.in_channels > 0:
            x = self.conv0(x, ws[:, 0], noise_mode)
        x = self.conv1(x, ws[:, self.num_conv - 1], noise_mode)
        rgb = self.torgb(x, ws[:, self.num_conv]).to(torch.float32)
        if img is not None:
            rgb = rgb + upfirdn2d.upsample2d(img, self.resample_filter)
        return x, rgb

    def _input(self, motion: torch.Tensor) -> torch.Tensor:
        """Constant beside broadcast motion: `[N*F, C + motion_dim, 4, 4]`."""
        frames, size = motion.shape[0], self.const.shape[1:]
        const = self.const.expand(frames, -1, -1, -1)
        return torch.cat([const, motion[:, :, None, None].to(const.dtype).expand(-1, -1, *size)], dim=1)


@persistence.persistent_class
class SynthesisNetwork(torch.nn.Module):
    """Images from content rows and motion rows of `ws`.

    Args:
        num_fp16_res: How many of the highest resolutions run in float16 on CUDA.
        frozen_dim: Channels of motion that became part of the constant, in images taken out of a video generator.
    """

    def __init__(
        self,
        w_dim: int,
        img_resolution: int,
        img_channels: int,
        motion_dim: int = 0,
        channel_base: int = 32768,
        channel_max: int = 512,
        num_fp16_res: int = 4,
        conv_clamp: float | None = 256,
        use_noise: bool = False,
        frozen_dim: int = 0,
    ) -> None:
        super().__init__()
        self.w_dim, self.img_resolution, self.img_channels = w_dim, img_resolution, img_channels
        self.motion_dim = motion_dim
        log2_res = check_resolution(img_resolution)
        self.block_resolutions = [2**i for i in range(2, log2_res + 1)]
        channels = {res: min(channel_base // res, channel_max) for res in self.block_resolutions}
        fp16_from = 2 ** (log2_res + 1 - num_fp16_res)
        self.num_ws = 0
        for res in self.block_resolutions:
            block = SynthesisBlock(
                channels[res // 2] if res > 4 else 0,
                channels[res],
                w_dim=w_dim,
                resolution=res,
                img_channels=img_channels,
                motion_dim=motion_dim if res == 4 else 0,
                frozen_dim=frozen_dim if res == 4 else 0,
                use_fp16=res >= max(fp16_from, 8),
                use_noise=use_noise,
                conv_clamp=conv_clamp,
            )
            self.num_ws += block.num_conv
            setattr(self, f"b{res}", block)
        self.num_ws += 1  # every ToRGB shares its row with the next block, except the last

    def forward(
        self, ws: torch.Tensor, noise_mode: str = "random", force_fp32: bool = False, update_emas: bool = False
    ) -> torch.Tensor:
        """Strip `[N, C, F*H, W]` from ws `[N, num_ws + F, w_dim]`; without motion rows one frame with v = 0.

        Args:
            update_emas: Accepted for stock callers; nothing here keeps averages.
        """
        if noise_mode not in NOISE_MODES:
            raise ValueError(f"noise_mode {noise_mode!r} is not one of {', '.join(NOISE_MODES)}")
        ws = ws.to(torch.float32)
        content, motion = ws[:, : self.num_ws], ws[:, self.num_ws :, : self.motion_dim]
        if motion.shape[1] == 0:
            motion = ws.new_zeros([ws.shape[0], 1, self.motion_dim])
        num_clips, frames = motion.shape[:2]
        motion = motion.flatten(0, 1)
        x = img = None
        row = 0
        for res in self.block_resolutions:
            block = getattr(self, f"b{res}")
            block_ws = content[:, row : row + block.num_conv + 1]
            x, img = block(x, img, block_ws, motion, noise_mode=noise_mode, force_fp32=force_fp32)
            row += block.num_conv
        return pack_strip(img.unflatten(0, (num_clips, frames)))


def check_resolution(resolution: int, smallest: int = 8) -> int:
    """log2 of a resolution; `ValueError` unless it is a power of two of at least `smallest`."""
    if resolution < smallest or resolution & (resolution - 1):
        raise ValueError(f"resolution {resolution} is not a power of two from {smallest} on; use 64, 128, 256, ...")
    return resolution.bit_length() - 1
