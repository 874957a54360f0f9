"""Augmentation: the backward pass of grid_sample has another signature and no derivative."""

from patches.patch import Patch

PATCH = Patch(
    name="grid_sample_ops",
    symptom="RuntimeError: aten::grid_sampler_2d_backward() is missing value for argument 'output_mask'; "
    "or: derivative for aten::grid_sampler_2d_backward is not implemented",
    versions="PyTorch 1.11 and later",
    reason="R1 differentiates through the augmentation twice; our op is differentiable any number of times",
    needed=lambda: True,
    replaced_by="torch_utils.ops.grid_sample_gradfix",
)
