"""Frechet distance between Gaussians that are fitted to features (FID, arXiv 1706.08500, equation 6)."""

import numpy as np


def mean_and_covariance(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance of features, in float64.

    Args:
        features: Features `[N, D]`.

    Returns:
        Mean `[D]`, and covariance `[D, D]` divided by N.
    """
    features = np.asarray(features, dtype=np.float64)
    mean = features.mean(0)
    centred = features - mean
    return mean, centred.T @ centred / len(features)


def frechet_distance(mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray) -> float:
    """Return |m_a - m_b|^2 + tr(S_a) + tr(S_b) - 2 tr((S_a S_b)^(1/2)).

    The last trace is computed as the sum of the singular values of S_a^(1/2) S_b^(1/2), with symmetric roots. The
    result is then real and exact even if the covariances are singular.

    Args:
        mean_a: Mean m_a `[D]`.
        cov_a: Covariance S_a `[D, D]`.
        mean_b: Mean m_b `[D]`.
        cov_b: Covariance S_b `[D, D]`.

    Returns:
        The squared distance, at least 0.
    """
    trace_root = np.linalg.svd(_symmetric_root(cov_a) @ _symmetric_root(cov_b), compute_uv=False).sum()
    difference = mean_a - mean_b
    return float(max(difference @ difference + np.trace(cov_a) + np.trace(cov_b) - 2 * trace_root, 0.0))


def _symmetric_root(covariance: np.ndarray) -> np.ndarray:
    """Return the symmetric root of a positive semidefinite matrix; eigenvalues at rounding level count as 0."""
    values, vectors = np.linalg.eigh(covariance)
    noise = values[-1] * len(values) * np.finfo(np.float64).eps
    return (vectors * np.sqrt(np.where(values > noise, values, 0))) @ vectors.T
