"""Bilinear sampling of images at grid positions, differentiable any number of times.

The function equals `torch.nn.functional.grid_sample` with bilinear interpolation, zeros outside and
`align_corners=False`. PyTorch cannot differentiate its own backward pass. Sampling is linear in the image, though, so
the derivative of its adjoint is sampling again. If the grid needs a gradient as well, the sum over the four neighbours
is written out, and PyTorch differentiates this sum.
"""

import torch
import torch.nn.functional as F

from torch_utils.ops.autograd import Context

__all__ = ["enabled", "grid_sample"]

enabled = False  # stock training loops set this; nothing depends on it


def grid_sample(input: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Sample images at grid positions.

    Args:
        input: Images `[N, C, H, W]`.
        grid: Positions `[N, h, w, 2]`: x from -1 (left border) to 1 (right border), y from -1 (top) to 1 (bottom).

    Returns:
        Sampled images `[N, C, h, w]`.
    """
    if grid.requires_grad:
        return _four_neighbours(input, grid)
    return _Sample.apply(input, grid)


class _Sample(torch.autograd.Function):
    """Sampling with its derivative in the image."""

    @staticmethod
    def forward(ctx: Context, image: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(grid)
        ctx.settings = (image.shape,)
        return F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    @staticmethod
    def backward(ctx: Context, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (grid,), (dy,) = ctx.saved_tensors, gradients
        return _SampleAdjoint.apply(dy, grid, *ctx.settings), None


class _SampleAdjoint(torch.autograd.Function):
    """The adjoint of sampling: spread dy over the pixels of an image."""

    @staticmethod
    def forward(ctx: Context, dy: torch.Tensor, grid: torch.Tensor, image_shape: torch.Size) -> torch.Tensor:
        ctx.save_for_backward(grid)
        # The operator reads only the shape of the image, because the gradient of the grid is off.
        image = dy.new_empty(1).expand(image_shape)
        bilinear, zeros = 0, 0
        dx, _ = torch.ops.aten.grid_sampler_2d_backward(
            dy.contiguous(), image, grid, bilinear, zeros, False, [True, False]
        )
        return dx

    @staticmethod
    def backward(ctx: Context, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (grid,), (ddx,) = ctx.saved_tensors, gradients
        return _Sample.apply(ddx, grid), None, None


def _four_neighbours(image: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Compute `grid_sample` as a weighted sum of the four pixels around each position."""
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
