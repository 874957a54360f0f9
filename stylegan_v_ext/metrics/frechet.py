"""Frechet distance between Gaussians fitted to features (FID, arXiv 1706.08500, equation 6)."""

import numpy as np


def mean_and_covariance(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean `[D]` and covariance `[D, D]` of features `[N, D]`, in float64, divided by N."""
    features = np.asarray(features, dtype=np.float64)
    mean = features.mean(0)
    centred = features - mean
    return mean, centred.T @ centred / len(features)


def frechet_distance(mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray) -> float:
    """|m_a - m_b|^2 + tr(S_a) + tr(S_b) - 2 tr((S_a S_b)^(1/2)).

    The last trace is the sum of the singular values of S_a^(1/2) S_b^(1/2), both roots symmetric. That
    stays real, and loses no digits to a root of rounding errors, where the covariances are singular.
    """
    trace_root = np.linalg.svd(_symmetric_root(cov_a) @ _symmetric_root(cov_b), compute_uv=False).sum()
    difference = mean_a - mean_b
    return float(max(difference @ difference + np.trace(cov_a) + np.trace(cov_b) - 2 * trace_root, 0.0))


def _symmetric_root(covariance: np.ndarray) -> np.ndarray:
    """Square root of a positive semidefinite matrix; eigenvalues that rounding alone accounts for are zeros."""
    values, vectors = np.linalg.eigh(covariance)
    noise = values[-1] * len(values) * np.finfo(np.float64).eps
    return (vectors * np.sqrt(np.where(values > noise, values, 0))) @ vectors.T
