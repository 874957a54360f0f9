"""Synthesis network: StyleGAN2's skip generator with motion at its 4x4 input (StyleGAN-V, section 3)."""

import math
from typing import Any

import torch

from stylegan_v_ext.networks.layers import FullyConnectedLayer
from stylegan_v_ext.networks.modulation import modulated_conv2d, modulated_pointwise
from stylegan_v_ext.networks.precision import memory_format_for, working_dtype
from stylegan_v_ext.strip import pack_strip
from torch_utils import persistence
from torch_utils.ops import bias_act, upfirdn2d

__all__ = ["NOISE_MODES", "SynthesisBlock", "SynthesisLayer", "SynthesisNetwork", "ToRGBLayer", "check_resolution"]

NOISE_MODES = ("random", "const", "none")
_BLUR = [1, 3, 3, 1]


@persistence.persistent_class
class SynthesisLayer(torch.nn.Module):
    """Modulated 3x3 convolution, optional upsampling and noise, leaky ReLU.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the result.
        w_dim: Size of a style.
        resolution: Width and height of the result.
        up: Upsampling factor.
        use_noise: Whether the layer has StyleGAN's noise input, one number for each pixel.
        conv_clamp: Largest absolute output; None is no bound.
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
        """Compute the layer. All frames of a clip have the same noise.

        Args:
            x: Features `[N*F, in_channels, h, w]`.
            w: Styles `[N, w_dim]`.
            noise_mode: "random" draws noise for each clip, "const" takes the stored noise, "none" leaves noise out.
            gain: Factor of the result and of its bound.

        Returns:
            Features `[N*F, out_channels, h * up, w * up]`.
        """
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
    """Modulated 1x1 convolution to image channels, without demodulation.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of an image.
        w_dim: Size of a style.
        conv_clamp: Largest absolute output; None is no bound.
    """

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, conv_clamp: float | None = None) -> None:
        super().__init__()
        self.conv_clamp = conv_clamp
        self.weight_gain = 1 / math.sqrt(in_channels)
        self.affine = FullyConnectedLayer(w_dim, in_channels, bias_init=1)
        self.weight = torch.nn.Parameter(torch.randn(out_channels, in_channels, 1, 1))
        self.bias = torch.nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """Compute the layer.

        Args:
            x: Features `[N*F, in_channels, h, w]`.
            w: Styles `[N, w_dim]`.

        Returns:
            Images `[N*F, out_channels, h, w]`.
        """
        styles = self.affine(w) * self.weight_gain
        x = modulated_pointwise(x, self.weight, styles)
        return bias_act.bias_act(x, self.bias.to(x.dtype), clamp=self.conv_clamp)


@persistence.persistent_class
class SynthesisBlock(torch.nn.Module):
    """One resolution: convolutions, and a ToRGB layer whose image is added to the enlarged image of the block before.

    Args:
        in_channels: Channels of the input; 0 for the 4x4 block, which starts from a learned constant with `motion_dim`
            channels of motion beside it.
        out_channels: Channels of the features.
        w_dim: Size of a style.
        resolution: Width and height of the result.
        img_channels: Channels of the image.
        motion_dim: Size of a motion vector; 0 for all blocks but the 4x4 block.
        frozen_dim: Number of channels of the constant that hold the motion of one moment.
        use_fp16: Whether the block computes in float16 on CUDA.
        use_noise: Whether the layers have a noise input.
        conv_clamp: Largest absolute output of a layer; None is no bound.
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
        """Compute the block.

        Args:
            x: Features `[N*F, in_channels, h, w]`; None in the 4x4 block.
            img: Image of the blocks before, `[N*F, img_channels, h, w]`; None in the 4x4 block.
            ws: Styles `[N, num_conv + 1, w_dim]`.
            motion: Motion vectors `[N*F, motion_dim]`; only the 4x4 block uses them.
            noise_mode: As in `SynthesisLayer.forward`.
            force_fp32: Whether to compute in float32 on any device.

        Returns:
            Features `[N*F, out_channels, resolution, resolution]`, and the image so far, float32.
        """
        # The 4x4 block computes in float32, because the motion of neighbouring moments is almost equal.
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
        """Put the motion beside the constant: `[N*F, C + motion_dim, 4, 4]`."""
        frames, size = motion.shape[0], self.const.shape[1:]
        const = self.const.expand(frames, -1, -1, -1)
        return torch.cat([const, motion[:, :, None, None].to(const.dtype).expand(-1, -1, *size)], dim=1)


@persistence.persistent_class
class SynthesisNetwork(torch.nn.Module):
    """Images from the content rows and the motion rows of `ws`.

    Args:
        w_dim: Size of a style.
        img_resolution: Width and height of an image, a power of two from 8 on.
        img_channels: Channels of an image.
        motion_dim: Size of a motion vector; 0 makes a network without motion.
        channel_base: Channels of a block times its resolution.
        channel_max: Largest number of channels.
        num_fp16_res: Number of the highest resolutions that compute in float16 on CUDA.
        conv_clamp: Largest absolute output of a layer; None is no bound.
        use_noise: Whether the layers have a noise input.
        frozen_dim: Number of motion channels that became part of the constant, in an image generator that was taken out
            of a video generator.

    Raises:
        ValueError: If the resolution is not a power of two from 8 on.
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
        """Make the frames of clips.

        Args:
            ws: Content rows, then a motion row for each frame: `[N, num_ws + F, w_dim]`. Without motion rows there is
                one frame, with v = 0.
            noise_mode: "random", "const" or "none", as in `SynthesisLayer.forward`.
            force_fp32: Whether to compute in float32 on any device.
            update_emas: Accepted for stock callers; nothing here keeps averages.

        Returns:
            Strips `[N, img_channels, F*H, W]`, -1 (black) to 1 (white).

        Raises:
            ValueError: If the noise mode is unknown.
        """
        if noise_mode not in NOISE_MODES:
            raise ValueError(f"noise_mode {noise_mode!r} is not one of {', '.join(NOISE_MODES)}")
        ws = ws.to(torch.float32)
        content, motion = ws[:, : self.num_ws], ws[:, self.num_ws :, : self.motion_dim]
        if motion.shape[1] == 0:
            motion = ws.new_zeros([ws.shape[0], 1, self.motion_dim])
        num_clips, frames = motion.shape[:2]
        motion = motion.flatten(0, 1)
        x: torch.Tensor | None = None
        img: torch.Tensor | None = None
        row = 0
        for res in self.block_resolutions:
            block = getattr(self, f"b{res}")
            block_ws = content[:, row : row + block.num_conv + 1]
            x, img = block(x, img, block_ws, motion, noise_mode=noise_mode, force_fp32=force_fp32)
            row += block.num_conv
        assert img is not None, "there is at least one block"
        return pack_strip(img.unflatten(0, (num_clips, frames)))


def check_resolution(resolution: int, smallest: int = 8) -> int:
    """Return log2 of a resolution.

    Args:
        resolution: Width and height of an image.
        smallest: Smallest resolution that is accepted.

    Returns:
        The exponent.

    Raises:
        ValueError: If the resolution is below `smallest` or not a power of two.
    """
    if resolution < smallest or resolution & (resolution - 1):
        raise ValueError(f"resolution {resolution} is not a power of two from {smallest} on; use 64, 128, 256, ...")
    return resolution.bit_length() - 1
