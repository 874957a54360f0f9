"""2-D convolutions under the stock names.

PyTorch's own convolution is differentiable any number of times and leaves out weight gradients that
`torch.autograd.grad` was not asked for, which is what the stock replacement was written to add. So
these are PyTorch's functions, and `no_weight_gradients` only keeps the stock flag.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F

enabled = False  # set by stock training loops; nothing depends on it
weight_gradients_disabled = False


@contextlib.contextmanager
def no_weight_gradients(disable: bool = True) -> Iterator[None]:
    """Mark a block whose backward pass wants no weight gradients, such as the first pass of R1."""
    global weight_gradients_disabled
    before = weight_gradients_disabled
    weight_gradients_disabled = before or disable
    try:
        yield
    finally:
        weight_gradients_disabled = before


def conv2d(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> torch.Tensor:
    """`torch.nn.functional.conv2d`."""
    return F.conv2d(input, weight, bias, stride, padding, dilation, groups)


def conv_transpose2d(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> torch.Tensor:
    """`torch.nn.functional.conv_transpose2d`."""
    return F.conv_transpose2d(input, weight, bias, stride, padding, output_padding, groups, dilation)
