"""Precision and recall of generated samples (arXiv 1904.06991): two manifolds of balls around features."""

import torch

NEIGHBOURS = 3
_CHUNK = 4096  # rows and columns of distances that are in memory at one time


def precision_recall(real: torch.Tensor, fake: torch.Tensor, neighbours: int = NEIGHBOURS) -> tuple[float, float]:
    """Return precision and recall. Memory is linear in the number of features.

    The manifold of a side is the union of balls around its features; each ball reaches to the k-th nearest neighbour.

    Args:
        real: Features `[N, D]` of real frames.
        fake: Features `[M, D]` of generated frames.
        neighbours: k.

    Returns:
        The share of generated features within the real manifold, and of real features within the generated manifold.

    Raises:
        ValueError: If a side has k features or fewer.
    """
    if min(len(real), len(fake)) <= neighbours:
        raise ValueError(
            f"precision and recall take more than {neighbours} frames of either side, there are {len(real)} and "
            f"{len(fake)}"
        )
    real, fake = real.float(), fake.float()
    return _share_within(fake, real, neighbours), _share_within(real, fake, neighbours)


def _share_within(samples: torch.Tensor, manifold: torch.Tensor, neighbours: int) -> float:
    """Return the share of samples that lie within a manifold."""
    squared_radii = torch.cat([_kth_distance(rows, manifold, neighbours) for rows in manifold.split(_CHUNK)])
    inside = 0
    for rows in samples.split(_CHUNK):
        found = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
        for columns, radii in zip(manifold.split(_CHUNK), squared_radii.split(_CHUNK), strict=True):
            found |= (_squared_distances(rows, columns) <= radii).any(1)
        inside += int(found.sum())
    return inside / len(samples)


def _kth_distance(rows: torch.Tensor, manifold: torch.Tensor, neighbours: int) -> torch.Tensor:
    """Return the squared distance of each row to its k-th nearest other feature."""
    # The nearest feature is the row itself.
    nearest = rows.new_empty([len(rows), 0], dtype=torch.float64)
    for columns in manifold.split(_CHUNK):
        distances = torch.cat([nearest, _squared_distances(rows, columns)], dim=1)
        nearest = distances.topk(min(neighbours + 1, distances.shape[1]), dim=1, largest=False).values
    return nearest[:, neighbours]


def _squared_distances(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    return torch.cdist(rows.double(), columns.double()).square()
