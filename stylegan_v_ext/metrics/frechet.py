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

    The last trace is taken from the eigenvalues of the symmetric S_a^(1/2) S_b S_a^(1/2), which stays
    real and exact where the covariances are singular.
    """
    values, vectors = np.linalg.eigh(cov_a)
    root_a = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    product = np.linalg.eigvalsh(root_a @ cov_b @ root_a)
    trace_root = np.sqrt(np.clip(product, 0, None)).sum()
    difference = mean_a - mean_b
    return float(max(difference @ difference + np.trace(cov_a) + np.trace(cov_b) - 2 * trace_root, 0.0))
