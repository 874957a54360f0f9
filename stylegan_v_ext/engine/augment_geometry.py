"""Geometric transforms of pictures by 3x3 matrices, and the sampling of pictures at transformed positions.

A map acts on positions (x, y, 1) in pixels from the centre of a picture.
"""

import torch

from torch_utils.ops import grid_sample_gradfix

__all__ = [
    "centred",
    "copy_pixels",
    "differs_from_identity",
    "rotation",
    "sample_mirrored",
    "sampling_grid",
    "scaling",
    "translation",
]


def scaling(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Make maps that scale by x and y.

    Args:
        x: Factors `[N]`.
        y: Factors `[N]`.

    Returns:
        Maps `[N, 3, 3]`.
    """
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], dim=1))


def rotation(angle: torch.Tensor) -> torch.Tensor:
    """Make maps that rotate.

    Args:
        angle: Angles `[N]`, in radians.

    Returns:
        Maps `[N, 3, 3]`.
    """
    matrix = torch.eye(3).repeat(len(angle), 1, 1)
    matrix[:, 0, 0] = matrix[:, 1, 1] = angle.cos()
    matrix[:, 1, 0] = angle.sin()
    matrix[:, 0, 1] = -angle.sin()
    return matrix


def translation(shift: torch.Tensor) -> torch.Tensor:
    """Make maps that shift.

    Args:
        shift: Shifts `[N, 2]` along x and y, in pixels.

    Returns:
        Maps `[N, 3, 3]`.
    """
    matrix = torch.eye(3).repeat(len(shift), 1, 1)
    matrix[:, :2, 2] = shift
    return matrix


def differs_from_identity(matrix: torch.Tensor) -> torch.Tensor:
    """Return whether each of the maps `[N, 3, 3]` changes a picture, bool `[N]`."""
    return (matrix - torch.eye(3)).abs().amax([1, 2]) > 1e-6


def copy_pixels(x: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
    """Transform pictures by maps that take pixels to pixels.

    Args:
        x: Pictures `[N, C, H, W]`.
        inverse: Inverses of the maps, `[N, 3, 3]`.

    Returns:
        Pictures `[N, C, H, W]`.
    """
    height, width = x.shape[2:]
    grid = sampling_grid(inverse, centred(height, x.device), centred(width, x.device), height, width)
    return sample_mirrored(x, grid)


def centred(count: int, device: torch.device, spacing: float = 1.0) -> torch.Tensor:
    """Return the positions of pixels in a row, counted from their middle.

    Args:
        count: Number of pixels.
        device: Device of the result.
        spacing: Distance between two pixels.

    Returns:
        Positions `[count]`.
    """
    return (torch.arange(count, device=device) + 0.5 - count / 2) * spacing


def sampling_grid(
    inverse: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, height: int, width: int
) -> torch.Tensor:
    """Map positions for `grid_sample`. The sums are written out, because a matrix product may round to TF32.

    Args:
        inverse: Inverses of the maps, `[N, 3, 3]`.
        rows: y positions to look up, in pixels from the centre.
        columns: x positions to look up, in pixels from the centre.
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.

    Returns:
        Grid `[N, len(rows), len(columns), 2]` on the device of `rows`; -1 to 1 is the picture.
    """
    scale = torch.tensor([[2 / width], [2 / height]])
    maps = (inverse[:, :2] * scale).to(rows.device, non_blocking=True)
    by_x, by_y, shift = (column[:, None] for column in maps.unbind(2))  # [N, 1, 2]
    across, down = columns[:, None] * by_x, rows[:, None] * by_y + shift
    return across[:, None] + down[:, :, None]


def sample_mirrored(x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Sample pictures at grid positions; the pictures continue mirrored outside their borders.

    Args:
        x: Pictures `[N, C, H, W]`.
        grid: Positions `[N, h, w, 2]`; -1 to 1 is the picture.

    Returns:
        Samples `[N, C, h, w]`.
    """
    folded = 1 - ((grid + 1) % 4 - 2).abs()  # a zigzag of period 4 through -1 ... 1
    limit = 1 - 1 / torch.tensor([x.shape[3], x.shape[2]])  # the outermost pixels' centres
    limit = limit.to(grid.device, non_blocking=True)
    return grid_sample_gradfix.grid_sample(x, folded.clamp(-limit, limit).to(x.dtype))
