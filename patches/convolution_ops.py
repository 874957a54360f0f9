"""Convolutions: the stock ops call operators that PyTorch no longer has."""

import torch

from patches.patch import Patch

PATCH = Patch(
    name="convolution_ops",
    symptom="RuntimeError: No such operator aten::cudnn_convolution_backward_weight",
    versions="PyTorch 1.11 and later; gradients of R1 are slow if there is a warning instead",
    reason="convolutions are differentiable any number of times by themselves now",
    needed=lambda: not hasattr(torch.ops.aten, "cudnn_convolution_backward_weight"),
    replaced_by="torch_utils.ops.conv2d_gradfix",
)
