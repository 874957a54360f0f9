"""Bilinear sampling of images at grid positions, differentiable any number of times.

As `torch.nn.functional.grid_sample` with bilinear interpolation, zeros outside and
`align_corners=False`. PyTorch cannot differentiate its own backward pass. Sampling is linear in the
image, though: the derivative of its adjoint is sampling again. Where the grid needs a gradient as
well, the sum over the four neighbours is written out, and PyTorch differentiates that.
"""

import torch
import torch.nn.functional as F

enabled = False  # set by stock training loops; nothing depends on it


def grid_sample(input: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Sample `input` `[N, C, H, W]` at `grid` `[N, h, w, 2]` (x, y in -1 ... 1): `[N, C, h, w]`."""
    if grid.requires_grad:
        return _four_neighbours(input, grid)
    return _Sample.apply(input, grid)


class _Sample(torch.autograd.Function):
    @staticmethod
    def forward(ctx, image, grid):  # noqa: ANN001, ANN205
        ctx.save_for_backward(grid)
        ctx.image_shape = image.shape
        return F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    @staticmethod
    def backward(ctx, dy):  # noqa: ANN001, ANN205
        (grid,) = ctx.saved_tensors
        return _SampleAdjoint.apply(dy, grid, ctx.image_shape), None


class _SampleAdjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx, dy, grid, image_shape):  # noqa: ANN001, ANN205
        ctx.save_for_backward(grid)
        image = dy.new_empty(1).expand(image_shape)  # only its shape is read: the grid's gradient is off
        bilinear, zeros = 0, 0
        dx, _ = torch.ops.aten.grid_sampler_2d_backward(
            dy.contiguous(), image, grid, bilinear, zeros, False, [True, False]
        )
        return dx

    @staticmethod
    def backward(ctx, ddx):  # noqa: ANN001, ANN205
        (grid,) = ctx.saved_tensors
        return _Sample.apply(ddx, grid), None, None


def _four_neighbours(image: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    n, c, height, width = image.shape
    x = ((grid[..., 0] + 1) * width - 1) / 2
    y = ((grid[..., 1] + 1) * height - 1) / 2
    left, top = x.detach().floor(), y.detach().floor()
    flat = image.reshape(n, c, height * width)
    total = image.new_zeros(n, c, *grid.shape[1:3])
    for column, weight_x in ((left, left + 1 - x), (left + 1, x - left)):
        for row, weight_y in ((top, top + 1 - y), (top + 1, y - top)):
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            index = row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long()
            pixels = flat.gather(2, index.reshape(n, 1, -1).expand(n, c, -1)).reshape(total.shape)
            total = total + pixels * (weight_x * weight_y * inside)[:, None]
    return total
