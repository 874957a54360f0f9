"""StyleGAN3's alias-free image generator, configurations T and R (StyleGAN3, section 3 and appendix C).

Feature maps are samples of band-limited continuous signals. Every layer has a cutoff f_c, a stopband that ends at f_t
and a sampling rate s. Its filters pass frequencies below f_c and stop frequencies that would alias. The rates grow as a
geometric progression from a low-frequency input to the image.
"""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from stylegan_v_ext.networks.layers import FullyConnectedLayer
from stylegan_v_ext.networks.lowpass import design_lowpass
from stylegan_v_ext.networks.stylegan2 import ImageGenerator
from torch_utils import persistence
from torch_utils.ops.filtered_lrelu import filtered_lrelu

__all__ = ["AliasFreeGenerator", "AliasFreeLayer", "AliasFreeSynthesis", "FourierInput", "modulate"]

_EPS = 1e-8


def modulate(
    x: torch.Tensor, weight: torch.Tensor, styles: torch.Tensor, input_gain: torch.Tensor, demodulate: bool
) -> torch.Tensor:
    """Compute a modulated convolution with full padding.

    One convolution serves all images, because scaling the channels of the features replaces scaling those of a weight.

    Args:
        x: Features `[N, C, h, w]`.
        weight: `[C', C, k, k]`.
        styles: `[N, C]`.
        input_gain: Number that brings the input to unit magnitude, `[]`.
        demodulate: Whether to scale each output channel to unit magnitude.

    Returns:
        Features `[N, C', h + k - 1, w + k - 1]`.
    """
    if demodulate:
        # Weights and styles of unit magnitude keep products in the range of float16. Demodulation cancels both scales.
        weight = weight * weight.square().mean([1, 2, 3], keepdim=True).rsqrt()
        styles = styles * styles.square().mean().rsqrt()
        out_scale = (styles.square() @ weight.square().sum([2, 3]).t() + _EPS).rsqrt() * input_gain
    else:
        out_scale = input_gain.expand(len(styles), len(weight))
    x = x * styles[:, :, None, None].to(x.dtype)
    x = F.conv2d(x, weight.to(x.dtype), padding=weight.shape[-1] - 1)
    return x * out_scale[:, :, None, None].to(x.dtype)


@persistence.persistent_class
class FourierInput(torch.nn.Module):
    """Fourier features in the plane, turned and shifted by a style (section 3.2).

    Users may set the buffer `transform` `[3, 3]` to the inverse of a transform of the image.

    Args:
        w_dim: Size of a style.
        channels: Number of features.
        size: Width and height of the result in pixels.
        sampling_rate: Samples an image.
        bandwidth: Largest frequency, in cycles an image.
    """

    freqs: torch.Tensor
    phases: torch.Tensor
    transform: torch.Tensor

    def __init__(self, w_dim: int, channels: int, size: int, sampling_rate: float, bandwidth: float) -> None:
        super().__init__()
        self.size, self.sampling_rate, self.bandwidth = size, sampling_rate, bandwidth
        # Every frequency has a random direction; the lengths fill the disc of radius `bandwidth` evenly.
        freqs = torch.randn(channels, 2)
        lengths = freqs.norm(dim=1, keepdim=True)
        freqs = bandwidth * freqs / (lengths * (lengths.square() / 4).exp())
        self.weight = torch.nn.Parameter(torch.randn(channels, channels))
        self.affine = FullyConnectedLayer(w_dim, 4)
        with torch.no_grad():  # at first the features are neither turned nor shifted
            self.affine.weight.zero_()
            self.affine.bias = torch.nn.Parameter(torch.tensor([1.0, 0, 0, 0]))
        self.register_buffer("transform", torch.eye(3))
        self.register_buffer("freqs", freqs)
        self.register_buffer("phases", torch.rand(channels) - 0.5)

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        """Compute the features.

        Args:
            w: Styles `[N, w_dim]`.

        Returns:
            Features `[N, channels, size, size]`.
        """
        pose = self.affine(w)
        cos, sin, shift_x, shift_y = (pose / pose[:, :2].norm(dim=1, keepdim=True)).unbind(1)
        zero, one = torch.zeros_like(cos), torch.ones_like(cos)
        turn = torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], dim=1).view(-1, 3, 3)
        shift = torch.stack([one, zero, -shift_x, zero, one, -shift_y, zero, zero, one], dim=1).view(-1, 3, 3)
        pose = turn @ shift @ self.transform

        freqs = self.freqs @ pose[:, :2, :2]  # [N, channels, 2]
        phases = self.phases + (self.freqs @ pose[:, :2, 2:]).squeeze(2)
        # A frequency that a turn or zoom pushes past the band fades out before it would alias.
        headroom = self.sampling_rate / 2 - self.bandwidth
        amplitudes = (1 - (freqs.norm(dim=2) - self.bandwidth) / headroom).clamp(0, 1)

        at = (torch.arange(self.size, device=w.device) + 0.5 - self.size / 2) / self.sampling_rate
        plane = torch.stack(torch.meshgrid(at, at, indexing="xy"), dim=2)  # [size, size, 2], x before y
        angle = plane.flatten(0, 1) @ freqs.mT + phases[:, None]
        waves = (2 * math.pi * angle).sin() * amplitudes[:, None]
        features = waves @ (self.weight / math.sqrt(len(self.weight))).t()
        return features.mT.unflatten(2, (self.size, self.size))


@persistence.persistent_class
class AliasFreeLayer(torch.nn.Module):
    """Modulated convolution, then a leaky ReLU at `lrelu_upsampling` times the sampling rate (section 3.2).

    Cutoffs and the half widths of transition bands are in cycles an image, rates in samples an image. The last layer
    (`is_torgb`) neither demodulates nor has an activation.

    Args:
        w_dim: Size of a style.
        is_torgb: Whether this is the last layer, which makes the image.
        is_critically_sampled: Whether the layer has no headroom; such layers have separable filters.
        use_fp16: Whether the layer computes in float16 on CUDA.
        in_channels: Channels of the input.
        out_channels: Channels of the result.
        in_size: Width and height of the input in pixels.
        out_size: Width and height of the result in pixels.
        in_sampling_rate: Rate of the input.
        out_sampling_rate: Rate of the result.
        in_cutoff: Cutoff of the input.
        out_cutoff: Cutoff of the result.
        in_half_width: Half width of the input's transition band.
        out_half_width: Half width of the result's transition band.
        conv_kernel: Width and height of the weight: 3 in configuration T, 1 in configuration R.
        filter_size: Taps of a filter for each unit of its factor.
        lrelu_upsampling: Oversampling of the leaky ReLU.
        use_radial_filters: Whether the downsampling filter is radially symmetric, as in configuration R.
        conv_clamp: Largest absolute output; None is no bound.
        magnitude_ema_beta: Decay of the running average of the input's magnitude.
    """

    magnitude_ema: torch.Tensor
    up_filter: torch.Tensor | None
    down_filter: torch.Tensor | None

    def __init__(
        self,
        w_dim: int,
        is_torgb: bool,
        is_critically_sampled: bool,
        use_fp16: bool,
        in_channels: int,
        out_channels: int,
        in_size: int,
        out_size: int,
        in_sampling_rate: float,
        out_sampling_rate: float,
        in_cutoff: float,
        out_cutoff: float,
        in_half_width: float,
        out_half_width: float,
        conv_kernel: int = 3,
        filter_size: int = 6,
        lrelu_upsampling: int = 2,
        use_radial_filters: bool = False,
        conv_clamp: float | None = 256,
        magnitude_ema_beta: float = 0.999,
    ) -> None:
        super().__init__()
        self.is_torgb, self.use_fp16, self.conv_clamp = is_torgb, use_fp16, conv_clamp
        self.magnitude_ema_beta = magnitude_ema_beta
        kernel = 1 if is_torgb else conv_kernel
        self.affine = FullyConnectedLayer(w_dim, in_channels, bias_init=1)
        self.weight = torch.nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.bias = torch.nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("magnitude_ema", torch.ones([]))

        inner_rate = max(in_sampling_rate, out_sampling_rate) * (1 if is_torgb else lrelu_upsampling)
        self.up, self.down = round(inner_rate / in_sampling_rate), round(inner_rate / out_sampling_rate)
        up_taps = filter_size * self.up if self.up > 1 and not is_torgb else 1
        down_taps = filter_size * self.down if self.down > 1 and not is_torgb else 1
        radial = use_radial_filters and not is_critically_sampled
        self.register_buffer("up_filter", design_lowpass(up_taps, in_cutoff, 2 * in_half_width, inner_rate))
        self.register_buffer(
            "down_filter", design_lowpass(down_taps, out_cutoff, 2 * out_half_width, inner_rate, radial)
        )

        # The pixels that the output needs at the inner rate, less those that the convolution leaves; an odd pixel goes
        # before the image.
        padding = (out_size - 1) * self.down + 1 - (in_size + kernel - 1) * self.up + up_taps + down_taps - 2
        before = (padding + self.up) // 2
        self.padding = [before, padding - before] * 2

    def forward(
        self, x: torch.Tensor, w: torch.Tensor, force_fp32: bool = False, update_emas: bool = False
    ) -> torch.Tensor:
        """Compute the layer.

        Args:
            x: Features `[N, in_channels, in_size, in_size]`.
            w: Styles `[N, w_dim]`.
            force_fp32: Whether to compute in float32 on any device.
            update_emas: Whether to update the running average of the input's magnitude.

        Returns:
            Features `[N, out_channels, out_size, out_size]`.
        """
        if update_emas:
            with torch.no_grad():
                self.magnitude_ema.lerp_(x.detach().float().square().mean(), 1 - self.magnitude_ema_beta)
        styles = self.affine(w)
        if self.is_torgb:
            styles = styles / math.sqrt(self.weight[0].numel())
        half = self.use_fp16 and not force_fp32 and x.device.type == "cuda"
        x = modulate(
            x.to(torch.float16 if half else torch.float32),
            self.weight,
            styles,
            self.magnitude_ema.rsqrt(),
            demodulate=not self.is_torgb,
        )
        return filtered_lrelu(
            x,
            fu=self.up_filter,
            fd=self.down_filter,
            b=self.bias.to(x.dtype),
            up=self.up,
            down=self.down,
            padding=self.padding,
            gain=1 if self.is_torgb else math.sqrt(2),
            slope=1 if self.is_torgb else 0.2,
            clamp=self.conv_clamp,
        )


@persistence.persistent_class
class AliasFreeSynthesis(torch.nn.Module):
    """Layers from the Fourier input to the image (section 3.2).

    Args:
        w_dim: Size of a style.
        img_resolution: Width and height of an image.
        img_channels: Channels of an image.
        channel_base: Channels of a layer times twice its cutoff.
        channel_max: Largest number of channels.
        num_layers: Number of layers without the last one, which makes the image.
        num_critical: Number of layers at the end without headroom.
        first_cutoff: f_c of the first layer, in cycles an image.
        first_stopband: f_t of the first layer, in cycles an image.
        last_stopband_rel: f_t over f_c in the last layer.
        margin_size: Pixels around the image, so that the borders of the features do not reach it.
        output_scale: Factor of the image.
        num_fp16_res: Number of the highest resolutions that compute in float16 on CUDA.
        layer_kwargs: Further arguments of `AliasFreeLayer`.

    Raises:
        ValueError: If the number of layers is out of range.
    """

    def __init__(
        self,
        w_dim: int,
        img_resolution: int,
        img_channels: int,
        channel_base: int = 32768,
        channel_max: int = 512,
        num_layers: int = 14,
        num_critical: int = 2,
        first_cutoff: float = 2,
        first_stopband: float = 2**2.1,
        last_stopband_rel: float = 2**0.3,
        margin_size: int = 10,
        output_scale: float = 0.25,
        num_fp16_res: int = 4,
        **layer_kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__()
        if not num_critical < num_layers <= 256:
            raise ValueError(f"num_layers {num_layers} is not above num_critical {num_critical} and at most 256")
        self.num_ws, self.output_scale = num_layers + 2, output_scale
        progress = np.minimum(np.arange(num_layers + 1) / (num_layers - num_critical), 1)
        cutoffs = first_cutoff * (img_resolution / 2 / first_cutoff) ** progress
        stopbands = first_stopband * (img_resolution / 2 * last_stopband_rel / first_stopband) ** progress
        rates = 2 ** np.ceil(np.log2(np.minimum(2 * stopbands, img_resolution)))
        half_widths = np.maximum(stopbands, rates / 2) - cutoffs
        sizes = rates + 2 * margin_size
        sizes[-2:] = img_resolution
        channels = np.rint(np.minimum(channel_base / 2 / cutoffs, channel_max)).astype(int)
        channels[-1] = img_channels

        self.input = FourierInput(w_dim, int(channels[0]), int(sizes[0]), float(rates[0]), float(cutoffs[0]))
        self.layer_names = []
        for i in range(num_layers + 1):
            before = max(i - 1, 0)
            layer = AliasFreeLayer(
                w_dim,
                is_torgb=i == num_layers,
                is_critically_sampled=i >= num_layers - num_critical,
                use_fp16=bool(rates[i] * 2**num_fp16_res > img_resolution),
                in_channels=int(channels[before]),
                out_channels=int(channels[i]),
                in_size=int(sizes[before]),
                out_size=int(sizes[i]),
                in_sampling_rate=int(rates[before]),
                out_sampling_rate=int(rates[i]),
                in_cutoff=float(cutoffs[before]),
                out_cutoff=float(cutoffs[i]),
                in_half_width=float(half_widths[before]),
                out_half_width=float(half_widths[i]),
                **layer_kwargs,
            )
            name = f"L{i}_{int(sizes[i])}_{int(channels[i])}"
            setattr(self, name, layer)
            self.layer_names.append(name)

    def forward(
        self, ws: torch.Tensor, noise_mode: str = "none", force_fp32: bool = False, update_emas: bool = False
    ) -> torch.Tensor:
        """Make images.

        Args:
            ws: Styles `[N, num_ws, w_dim]`.
            noise_mode: Accepted for stock callers; there is no noise.
            force_fp32: Whether to compute in float32 on any device.
            update_emas: Whether to update running averages.

        Returns:
            Images `[N, img_channels, H, W]`, -1 (black) to 1 (white).
        """
        rows = ws.to(torch.float32).unbind(1)
        x = self.input(rows[0])
        for name, w in zip(self.layer_names, rows[1:], strict=True):
            x = getattr(self, name)(x, w, force_fp32=force_fp32, update_emas=update_emas)
        return x.to(torch.float32) * self.output_scale


@persistence.persistent_class
class AliasFreeGenerator(ImageGenerator):
    """StyleGAN3's image generator. The arguments are those of `ImageGenerator` and `AliasFreeSynthesis`."""

    _synthesis_class = AliasFreeSynthesis
