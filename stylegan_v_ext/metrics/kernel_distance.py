"""Kernel Inception distance (arXiv 1801.01401): an unbiased squared maximum mean discrepancy."""

import numpy as np

SUBSETS, SUBSET_SIZE, SEED = 100, 1000, 0


def kernel_distance(
    real: np.ndarray, fake: np.ndarray, subsets: int = SUBSETS, size: int = SUBSET_SIZE, seed: int = SEED
) -> float:
    """Return the mean of the unbiased estimate of MMD^2 over random subsets, with the kernel (x . y / D + 1)^3.

    Args:
        real: Features `[N, D]` of real frames.
        fake: Features `[M, D]` of generated frames.
        subsets: Number of subsets.
        size: Features of either side in a subset; all features of a side if it has fewer.
        seed: Seed of the choice.

    Returns:
        The distance, which may be slightly below 0.

    Raises:
        ValueError: If a side has fewer than 2 features.
    """
    real, fake = (np.asarray(features, dtype=np.float64) for features in (real, fake))
    size = min(size, len(real), len(fake))
    if size < 2:
        raise ValueError(f"KID takes 2 or more frames of either side, there are {len(real)} and {len(fake)}")
    random = np.random.RandomState(seed)
    total = 0.0
    for _ in range(subsets):
        x, y = (features[random.choice(len(features), size, replace=False)] for features in (fake, real))
        total += _squared_discrepancy(x, y)
    return total / subsets


def _squared_discrepancy(x: np.ndarray, y: np.ndarray) -> float:
    """Return the unbiased estimate of MMD^2 from m features of either side: no feature is compared with itself."""
    m, dim = x.shape
    within = sum(((z @ z.T / dim + 1) ** 3).sum() - ((np.square(z).sum(1) / dim + 1) ** 3).sum() for z in (x, y))
    across = ((x @ y.T / dim + 1) ** 3).sum()
    return float(within / (m * (m - 1)) - 2 * across / m**2)
