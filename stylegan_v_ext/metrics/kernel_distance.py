"""Kernel Inception distance (arXiv 1801.01401): an unbiased squared maximum mean discrepancy."""

import numpy as np

SUBSETS, SUBSET_SIZE, SEED = 100, 1000, 0


def kernel_distance(
    real: np.ndarray, fake: np.ndarray, subsets: int = SUBSETS, size: int = SUBSET_SIZE, seed: int = SEED
) -> float:
    """Mean over random subsets of `size` features of either side `[N, D]` of the unbiased estimate of MMD^2.

    The kernel is (x . y / D + 1)^3. Where a side has fewer features, a subset is all of it. Raises
    `ValueError` for fewer than 2 features.
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
    """Unbiased estimate of MMD^2 from `m` features each: a feature is not compared with itself."""
    m, dim = x.shape
    within = sum(((z @ z.T / dim + 1) ** 3).sum() - ((np.square(z).sum(1) / dim + 1) ** 3).sum() for z in (x, y))
    across = ((x @ y.T / dim + 1) ** 3).sum()
    return float(within / (m * (m - 1)) - 2 * across / m**2)
