"""One discriminator for sparse clips, conditioned on the time between frames (StyleGAN-V, section 3.4)."""

import math
from typing import Any

import torch

from stylegan_v_ext.networks.layers import FullyConnectedLayer
from stylegan_v_ext.networks.mapping import MappingNetwork
from stylegan_v_ext.networks.modulation import conv2d_resample_bias_act, gain_before, modulated_conv2d
from stylegan_v_ext.networks.precision import memory_format_for, working_dtype
from stylegan_v_ext.networks.synthesis import check_resolution
from stylegan_v_ext.strip import sanitise_label, split_label, unpack_strip
from torch_utils import persistence
from torch_utils.ops import bias_act, upfirdn2d

TIME_CONDITIONINGS = ("modulate", "project")


@persistence.persistent_class
class Conv2dLayer(torch.nn.Module):
    """Convolution with optional downsampling, activation and modulation by a condition.

    Args:
        condition_dim: Size of a vector that modulates and demodulates the weight (bias of its affine map 1), `None` for
            a plain convolution.
        trainable: False keeps all tensors as buffers.
    """

    resample_filter: torch.Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        bias: bool = True,
        activation: str = "linear",
        down: int = 1,
        conv_clamp: float | None = None,
        condition_dim: int | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__()
        self.activation, self.down, self.conv_clamp = activation, down, conv_clamp
        self.padding = kernel_size // 2
        self.weight_gain = 1 / math.sqrt(in_channels * kernel_size**2)
        self.act_gain = bias_act.activation_funcs[activation].def_gain
        self.register_buffer("resample_filter", upfirdn2d.setup_filter([1, 3, 3, 1]))
        self.affine = FullyConnectedLayer(condition_dim, in_channels, bias_init=1) if condition_dim else None
        self.weight = torch.nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = torch.nn.Parameter(torch.zeros(out_channels)) if bias else None
        if not trainable:
            _parameters_to_buffers(self)

    def forward(self, x: torch.Tensor, condition: torch.Tensor | None = None, gain: float = 1) -> torch.Tensor:
        """x: `[N*F, C_in, h, w]`. condition: `[N, condition_dim]`, for modulated layers."""
        clamp = None if self.conv_clamp is None else self.conv_clamp * gain
        gain *= self.act_gain
        if self.affine is not None:
            return modulated_conv2d(
                x,
                self.weight,
                self.affine(condition),
                padding=self.padding,
                bias=self.bias,
                act=self.activation,
                gain=gain,
                clamp=clamp,
            )
        before, gain = gain_before(self.activation, gain, x.device)
        weight = (self.weight * (self.weight_gain * before)).to(x.dtype)
        bias = None if self.bias is None else (self.bias * before if before != 1 else self.bias).to(x.dtype)
        return conv2d_resample_bias_act(
            x,
            weight,
            self.resample_filter,
            bias,
            down=self.down,
            padding=self.padding,
            act=self.activation,
            gain=gain,
            clamp=clamp,
        )


def _parameters_to_buffers(module: torch.nn.Module) -> None:
    """Freeze a module for good: training loops call `requires_grad_(True)`, which buffers do not hear."""
    for child in module.modules():
        for name, parameter in list(child.named_parameters(recurse=False)):
            delattr(child, name)
            child.register_buffer(name, parameter.detach().clone())


@persistence.persistent_class
class DiscriminatorBlock(torch.nn.Module):
    """Residual block that halves the resolution.

    Args:
        img_channels: Above 0 for the first block, which reads the image.
        first_layer, freeze_layers: Layers are counted from the image on (fromrgb, conv0, conv1, skip per block); those
            below `freeze_layers` do not train.
    """

    def __init__(
        self,
        in_channels: int,
        tmp_channels: int,
        out_channels: int,
        img_channels: int = 0,
        condition_dim: int | None = None,
        use_fp16: bool = False,
        conv_clamp: float | None = None,
        first_layer: int = 0,
        freeze_layers: int = 0,
    ) -> None:
        super().__init__()
        self.use_fp16 = use_fp16
        names = (["fromrgb"] if img_channels else []) + ["conv0", "conv1", "skip"]
        self.num_layers = len(names)
        trains = {name: first_layer + i >= freeze_layers for i, name in enumerate(names)}
        if img_channels:
            self.fromrgb = Conv2dLayer(
                img_channels, tmp_channels, 1, activation="lrelu", conv_clamp=conv_clamp, trainable=trains["fromrgb"]
            )
            in_channels = tmp_channels
        self.has_rgb = bool(img_channels)
        self.conv0 = Conv2dLayer(
            in_channels,
            tmp_channels,
            3,
            activation="lrelu",
            conv_clamp=conv_clamp,
            condition_dim=condition_dim,
            trainable=trains["conv0"],
        )
        self.conv1 = Conv2dLayer(
            tmp_channels, out_channels, 3, activation="lrelu", down=2, conv_clamp=conv_clamp, trainable=trains["conv1"]
        )
        self.skip = Conv2dLayer(in_channels, out_channels, 1, bias=False, down=2, trainable=trains["skip"])
        self.register_buffer("resample_filter", upfirdn2d.setup_filter([1, 3, 3, 1]))

    def forward(self, x: torch.Tensor, condition: torch.Tensor | None, force_fp32: bool = False) -> torch.Tensor:
        """x: features `[N*F, C, h, w]`, or the image in the first block. Returns `[N*F, C', h/2, w/2]`."""
        x = x.to(working_dtype(x.device, self.use_fp16, force_fp32))
        x = x.contiguous(memory_format=memory_format_for(x))
        if self.has_rgb:
            x = self.fromrgb(x)
        y = self.skip(x, gain=math.sqrt(0.5))
        x = self.conv0(x, condition)
        return y + self.conv1(x, gain=math.sqrt(0.5))


@persistence.persistent_class
class MinibatchStdLayer(torch.nn.Module):
    """Appends the spread within groups of clips as extra channels (Progressive GAN, section 3)."""

    def __init__(self, group_size: int | None, num_channels: int = 1) -> None:
        super().__init__()
        self.group_size, self.num_channels = group_size, num_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, c, h, w = x.shape
        wanted = n if self.group_size is None else min(self.group_size, n)
        group = next(size for size in range(wanted, 0, -1) if n % size == 0)
        grouped = x.reshape(group, n // group, self.num_channels, c // self.num_channels, h, w)
        spread = (grouped.var(0, unbiased=False) + 1e-8).sqrt().mean([2, 3, 4])
        return torch.cat([x, spread.repeat(group, 1)[:, :, None, None].expand(-1, -1, h, w)], dim=1)


@persistence.persistent_class
class DiscriminatorEpilogue(torch.nn.Module):
    """From 4x4 features to a logit, or to `cmap_dim` features that are projected on the condition."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        cmap_dim: int = 0,
        conv_clamp: float | None = None,
        mbstd_group_size: int | None = 4,
        mbstd_num_channels: int = 1,
    ) -> None:
        super().__init__()
        self.cmap_dim = cmap_dim
        self.mbstd = MinibatchStdLayer(mbstd_group_size, mbstd_num_channels) if mbstd_num_channels > 0 else None
        self.conv = Conv2dLayer(
            in_channels + mbstd_num_channels, channels, 3, activation="lrelu", conv_clamp=conv_clamp
        )
        self.fc = FullyConnectedLayer(channels * 16, channels, activation="lrelu")
        self.out = FullyConnectedLayer(channels, cmap_dim or 1)

    def forward(self, x: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        """Logits `[N, 1]`: the output itself, or <output, condition> / sqrt(cmap_dim)."""
        x = x.to(torch.float32)
        if self.mbstd is not None:
            x = self.mbstd(x)
        x = self.out(self.fc(self.conv(x).flatten(1)))
        if condition is not None:
            x = (x * condition).sum(1, keepdim=True) / math.sqrt(self.cmap_dim)
        return x


@persistence.persistent_class
class TimeEncoding(torch.nn.Module):
    """Features of the distances between frames: a learned table row and sines and cosines.

    Distance delta reads row round(delta) of the table `[max_num_frames, embed_dim]`, and sin, cos of
    pi 2^j delta / 2^m with m = ceil(log2 max_num_frames) and j = 0 ... m - 1.
    """

    freqs: torch.Tensor

    def __init__(self, max_num_frames: int, embed_dim: int = 256) -> None:
        super().__init__()
        num_octaves = max(math.ceil(math.log2(max_num_frames)), 1)
        self.embed = torch.nn.Embedding(max_num_frames, embed_dim)
        self.register_buffer("freqs", math.pi * 2.0 ** (torch.arange(num_octaves) - num_octaves))
        self.out_dim = embed_dim + 2 * num_octaves

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        """T `[N, F]` in frames -> `[N, (F - 1) * out_dim]`."""
        delta = t.diff(dim=1).to(torch.float32)
        row = delta.round().clamp(0, self.embed.num_embeddings - 1).long()
        angle = delta[:, :, None] * self.freqs
        return torch.cat([self.embed(row), angle.sin(), angle.cos()], dim=2).flatten(1)


@persistence.persistent_class
class TimeConditionedDiscriminator(torch.nn.Module):
    """Real or generated, from F frames and the times between them.

    Blocks above `concat_res` see frames one by one; there the frames' features are put side by side
    (at half the channels each), and the rest sees the clip.

    Args:
        c_dim: K classes + num_frames.
        concat_res: At most half of the image.
        time_conditioning: "modulate" has the condition modulate conv0 of every block and project the last features,
            "project" the latter alone.
        cmap_dim: Size of the condition, `None` for the channels at 4x4.
        block_kwargs: `freeze_layers`.
        mapping_kwargs: `num_layers`, `lr_multiplier`.
        epilogue_kwargs: `mbstd_group_size`, `mbstd_num_channels`.
    """

    def __init__(
        self,
        c_dim: int,
        img_resolution: int,
        img_channels: int,
        num_frames: int = 3,
        max_num_frames: int = 1024,
        concat_res: int = 16,
        time_conditioning: str = "modulate",
        channel_base: int = 32768,
        channel_max: int = 512,
        num_fp16_res: int = 4,
        conv_clamp: float | None = 256,
        cmap_dim: int | None = None,
        block_kwargs: dict[str, Any] | None = None,
        mapping_kwargs: dict[str, Any] | None = None,
        epilogue_kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if time_conditioning not in TIME_CONDITIONINGS:
            raise ValueError(f"time_conditioning {time_conditioning!r} is not one of {', '.join(TIME_CONDITIONINGS)}")
        if c_dim < num_frames:
            raise ValueError(f"c_dim {c_dim} has no room for {num_frames} timestamps; it is classes + num_frames")
        log2_res = check_resolution(img_resolution)
        self.c_dim, self.img_resolution, self.img_channels = c_dim, img_resolution, img_channels
        self.num_frames, self.max_num_frames = num_frames, max_num_frames
        self.num_classes = c_dim - num_frames
        self.concat_res = min(concat_res, img_resolution // 2)
        self.block_resolutions = [2**i for i in range(log2_res, 2, -1)]
        channels = {res: min(channel_base // res, channel_max) for res in [*self.block_resolutions, 4]}
        fp16_from = max(2 ** (log2_res + 1 - num_fp16_res), 8)

        self.time = TimeEncoding(max_num_frames) if num_frames > 1 else None
        condition_in = self.num_classes + (self.time.out_dim * (num_frames - 1) if self.time is not None else 0)
        cmap_dim = (channels[4] if cmap_dim is None else cmap_dim) if condition_in else 0
        self.mapping = MappingNetwork(0, condition_in, cmap_dim, **(mapping_kwargs or {})) if condition_in else None

        modulated = num_frames > 1 and time_conditioning == "modulate"
        in_channels, first_layer = 0, 0
        for res in self.block_resolutions:
            out_channels = channels[res // 2]
            joins = num_frames > 1 and res // 2 == self.concat_res
            if joins:
                out_channels //= 2
            block = DiscriminatorBlock(
                in_channels,
                channels[res],
                out_channels,
                img_channels=img_channels if res == img_resolution else 0,
                condition_dim=cmap_dim if modulated else None,
                use_fp16=res >= fp16_from,
                conv_clamp=conv_clamp,
                first_layer=first_layer,
                **(block_kwargs or {}),
            )
            setattr(self, f"b{res}", block)
            first_layer += block.num_layers
            in_channels = out_channels * num_frames if joins else out_channels
        self.b4 = DiscriminatorEpilogue(in_channels, channels[4], cmap_dim, conv_clamp, **(epilogue_kwargs or {}))

    def forward(
        self, img: torch.Tensor, c: torch.Tensor, update_emas: bool = False, force_fp32: bool = False
    ) -> torch.Tensor:
        """Logits `[N, 1]` of strips `[N, img_channels, F*H, W]` with labels `[N, K + F]`.

        Args:
            update_emas: Accepted for stock callers; nothing here keeps averages.
        """
        if img.shape[2] != self.num_frames * img.shape[3]:
            raise ValueError(
                f"a strip of size {img.shape[3]}x{img.shape[2]} does not hold {self.num_frames} square frames"
            )
        condition = self._condition(c.to(img.device, non_blocking=True))
        x = unpack_strip(img).flatten(0, 1)
        for res in self.block_resolutions:
            x = getattr(self, f"b{res}")(x, condition, force_fp32=force_fp32)
            if self.num_frames > 1 and res // 2 == self.concat_res:
                x = x.unflatten(0, (-1, self.num_frames)).flatten(1, 2)
        return self.b4(x, condition)

    def _condition(self, c: torch.Tensor) -> torch.Tensor | None:
        """P `[N, cmap_dim]` from the class part and the distances between frames."""
        if self.mapping is None:
            return None
        c = sanitise_label(c.to(torch.float32), self.num_classes, self.max_num_frames)
        classes, t = split_label(c, self.num_classes)
        return self.mapping(None, classes if self.time is None else torch.cat([classes, self.time(t)], dim=1))
