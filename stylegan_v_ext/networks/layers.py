"""Layers with an equalised learning rate (Progressive GAN, section 4.1).

A weight is stored as N(0, 1) / lr_multiplier and multiplied by lr_multiplier / sqrt(fan_in) when it is used. So an
optimizer that normalises gradients learns all weights at the same pace.
"""

import math

import torch
import torch.nn.functional as F

from torch_utils import persistence
from torch_utils.ops import bias_act

__all__ = ["Conv1dLayer", "FullyConnectedLayer", "normalize_2nd_moment"]


def normalize_2nd_moment(x: torch.Tensor, eps: float = 1e-8) -> torch.Tensor:
    """Divide x by its root mean square over the last dimension.

    Args:
        x: Any shape.
        eps: Small number that is added to the mean square.

    Returns:
        The result, in the shape of x.
    """
    return x * (x.square().mean(dim=-1, keepdim=True) + eps).rsqrt()


@persistence.persistent_class
class FullyConnectedLayer(torch.nn.Module):
    """act(x W^T + b) with an equalised learning rate.

    Args:
        in_features: Size of x.
        out_features: Size of the result.
        bias: False makes a layer without b.
        activation: A key of `bias_act.activation_funcs`.
        lr_multiplier: Learning rate relative to other layers.
        bias_init: First value of b.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        activation: str = "linear",
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.bias_gain = lr_multiplier
        self.weight = torch.nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = torch.nn.Parameter(torch.full([out_features], float(bias_init))) if bias else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the layer.

        Args:
            x: `[N, in_features]`.

        Returns:
            `[N, out_features]`, in the type of x.
        """
        weight = self.weight.to(x) * self.weight_gain
        bias = None if self.bias is None else self.bias.to(x) * self.bias_gain
        if self.activation == "linear":
            return F.linear(x, weight, bias)
        return bias_act.bias_act(F.linear(x, weight), bias, act=self.activation)


@persistence.persistent_class
class Conv1dLayer(torch.nn.Module):
    """Unpadded 1-D convolution, then leaky ReLU 0.2 without gain.

    There are few positions and many channels. So the layer computes a matrix product over windows, which takes a third
    of the time of a convolution on CPUs.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the result.
        kernel_size: Number k of positions that an output sees.
        lr_multiplier: Learning rate relative to other layers.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, lr_multiplier: float = 1.0) -> None:
        super().__init__()
        self.weight_gain = lr_multiplier / math.sqrt(in_channels * kernel_size)
        self.bias_gain = lr_multiplier
        self.weight = torch.nn.Parameter(torch.randn(out_channels, in_channels, kernel_size) / lr_multiplier)
        self.bias = torch.nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the layer.

        Args:
            x: `[N, in_channels, T]`.

        Returns:
            `[N, out_channels, T - k + 1]`.
        """
        # The gain multiplies x, because x is smaller than the weight, in the backward pass as well.
        windows = (x * self.weight_gain).unfold(2, self.weight.shape[2], 1).transpose(1, 2).flatten(2)
        y = F.linear(windows, self.weight.to(x).flatten(1), self.bias.to(x) * self.bias_gain)
        return F.leaky_relu(y, 0.2).mT
