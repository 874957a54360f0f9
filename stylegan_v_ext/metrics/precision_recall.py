"""Precision and recall of generated samples (arXiv 1904.06991): two manifolds of balls around features."""

import torch

NEIGHBOURS = 3
_CHUNK = 4096  # rows and columns of the distances that are held at a time


def precision_recall(real: torch.Tensor, fake: torch.Tensor, neighbours: int = NEIGHBOURS) -> tuple[float, float]:
    """(share of fakes within the real manifold, share of reals within the fake one), from features `[N, D]`.

    A manifold is the union of balls around features that reach to their k-th nearest neighbour. Distances
    are computed in chunks: memory is linear in N. Raises `ValueError` for sides of k features or fewer.
    """
    if min(len(real), len(fake)) <= neighbours:
        raise ValueError(
            f"precision and recall take more than {neighbours} frames of either side, there are {len(real)} and "
            f"{len(fake)}"
        )
    real, fake = real.float(), fake.float()
    return _share_within(fake, real, neighbours), _share_within(real, fake, neighbours)


def _share_within(samples: torch.Tensor, manifold: torch.Tensor, neighbours: int) -> float:
    squared_radii = torch.cat([_kth_distance(rows, manifold, neighbours) for rows in manifold.split(_CHUNK)])
    inside = 0
    for rows in samples.split(_CHUNK):
        found = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
        for columns, radii in zip(manifold.split(_CHUNK), squared_radii.split(_CHUNK), strict=True):
            found |= (_squared_distances(rows, columns) <= radii).any(1)
        inside += int(found.sum())
    return inside / len(samples)


def _kth_distance(rows: torch.Tensor, manifold: torch.Tensor, neighbours: int) -> torch.Tensor:
    """Squared distance of each row to its k-th nearest feature but itself, which is the nearest."""
    nearest = rows.new_empty([len(rows), 0], dtype=torch.float64)
    for columns in manifold.split(_CHUNK):
        distances = torch.cat([nearest, _squared_distances(rows, columns)], dim=1)
        nearest = distances.topk(min(neighbours + 1, distances.shape[1]), dim=1, largest=False).values
    return nearest[:, neighbours]


def _squared_distances(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    return torch.cdist(rows.double(), columns.double()).square()
