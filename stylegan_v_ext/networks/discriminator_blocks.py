"""The layers of StyleGAN2's discriminator (StyleGAN2, section 4), which a condition can modulate."""

import math

import torch

from stylegan_v_ext.networks.layers import FullyConnectedLayer
from stylegan_v_ext.networks.modulation import conv2d_resample_bias_act, gain_before, modulated_conv2d
from stylegan_v_ext.networks.precision import memory_format_for, working_dtype
from torch_utils import persistence
from torch_utils.ops import bias_act, upfirdn2d

__all__ = ["Conv2dLayer", "DiscriminatorBlock", "DiscriminatorEpilogue", "MinibatchStdLayer"]


@persistence.persistent_class
class Conv2dLayer(torch.nn.Module):
    """Convolution with optional downsampling, activation and modulation by a condition.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the result.
        kernel_size: Width and height of the weight.
        bias: False makes a layer without bias.
        activation: A key of `bias_act.activation_funcs`.
        down: Downsampling factor.
        conv_clamp: Largest absolute output; None is no bound.
        condition_dim: Size of a condition that modulates and demodulates the weight; None makes a plain convolution.
            The bias of the condition's affine map starts at 1.
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
        """Compute the layer.

        Args:
            x: Features `[N*F, in_channels, h, w]`.
            condition: `[N, condition_dim]`; not used, and may be None, if the layer is a plain convolution.
            gain: Factor of the result and of its bound.

        Returns:
            Features `[N*F, out_channels, h / down, w / down]`.
        """
        clamp = None if self.conv_clamp is None else self.conv_clamp * gain
        gain *= self.act_gain
        if self.affine is not None:
            assert condition is not None, "this layer is modulated"
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
    """Freeze a module for good: training loops call `requires_grad_(True)`, which does not change buffers."""
    for child in module.modules():
        for name, parameter in list(child.named_parameters(recurse=False)):
            delattr(child, name)
            child.register_buffer(name, parameter.detach().clone())


@persistence.persistent_class
class DiscriminatorBlock(torch.nn.Module):
    """Residual block that halves the resolution.

    Layers are counted from the image on: fromrgb, conv0, conv1, skip in each block. Layers with a number below
    `freeze_layers` do not train.

    Args:
        in_channels: Channels of the input; not used by the first block.
        tmp_channels: Channels at the resolution of the input.
        out_channels: Channels of the result.
        img_channels: Channels of the image for the first block, which reads the image; 0 for the other blocks.
        condition_dim: Size of the condition that modulates conv0; None leaves conv0 plain.
        use_fp16: Whether the block computes in float16 on CUDA.
        conv_clamp: Largest absolute output of a layer; None is no bound.
        first_layer: Number of the block's first layer.
        freeze_layers: Number of layers that do not train.
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
        """Compute the block.

        Args:
            x: Features `[N*F, in_channels, h, w]`, or images `[N*F, img_channels, h, w]` in the first block.
            condition: `[N, condition_dim]`; not used, and may be None, if conv0 is plain.
            force_fp32: Whether to compute in float32 on any device.

        Returns:
            Features `[N*F, out_channels, h / 2, w / 2]`.
        """
        x = x.to(working_dtype(x.device, self.use_fp16, force_fp32))
        x = x.contiguous(memory_format=memory_format_for(x))
        if self.has_rgb:
            x = self.fromrgb(x)
        y = self.skip(x, gain=math.sqrt(0.5))
        x = self.conv0(x, condition)
        return y + self.conv1(x, gain=math.sqrt(0.5))


@persistence.persistent_class
class MinibatchStdLayer(torch.nn.Module):
    """Append the standard deviation within groups of clips as extra channels (Progressive GAN, section 3).

    Args:
        group_size: Largest number of clips in a group; None makes one group of all clips. The group shrinks until it
            divides the batch.
        num_channels: Number of channels to append.
    """

    def __init__(self, group_size: int | None, num_channels: int = 1) -> None:
        super().__init__()
        self.group_size, self.num_channels = group_size, num_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the layer.

        Args:
            x: Features `[N, C, h, w]`.

        Returns:
            Features `[N, C + num_channels, h, w]`.
        """
        n, c, h, w = x.shape
        wanted = n if self.group_size is None else min(self.group_size, n)
        group = next(size for size in range(wanted, 0, -1) if n % size == 0)
        grouped = x.reshape(group, n // group, self.num_channels, c // self.num_channels, h, w)
        spread = (grouped.var(0, unbiased=False) + 1e-8).sqrt().mean([2, 3, 4])
        return torch.cat([x, spread.repeat(group, 1)[:, :, None, None].expand(-1, -1, h, w)], dim=1)


@persistence.persistent_class
class DiscriminatorEpilogue(torch.nn.Module):
    """From 4x4 features to a logit, or to `cmap_dim` features that are projected on the condition.

    Args:
        in_channels: Channels of the features.
        channels: Channels of the layers.
        cmap_dim: Size of the condition; 0 makes a network without condition.
        conv_clamp: Largest absolute output of the convolution; None is no bound.
        mbstd_group_size: Group of `MinibatchStdLayer`; None makes one group of all clips.
        mbstd_num_channels: Channels of `MinibatchStdLayer`; 0 leaves it out.
    """

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
        """Compute logits: the output itself, or <output, condition> / sqrt(cmap_dim).

        Args:
            x: Features `[N, in_channels, 4, 4]`.
            condition: `[N, cmap_dim]`; None in a network without condition.

        Returns:
            Logits `[N, 1]`.
        """
        x = x.to(torch.float32)
        if self.mbstd is not None:
            x = self.mbstd(x)
        x = self.out(self.fc(self.conv(x).flatten(1)))
        if condition is not None:
            x = (x * condition).sum(1, keepdim=True) / math.sqrt(self.cmap_dim)
        return x
