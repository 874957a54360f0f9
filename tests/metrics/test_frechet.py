"""Frechet distance against closed forms and high precision."""

import mpmath
import numpy as np
import pytest

from stylegan_v_ext.metrics.frechet import frechet_distance, mean_and_covariance


def rotation(size, seed=0):
    return np.linalg.qr(np.random.RandomState(seed).randn(size, size))[0]


@pytest.mark.parametrize("size", [30, 400, 2048])
@pytest.mark.parametrize("kind", ["full", "rank-deficient", "nearly singular"])
def test_commuting_gaussians_have_a_closed_form(size, kind):
    rng = np.random.RandomState(1)
    a, b, mean = rng.rand(size) + 0.1, rng.rand(size) + 0.1, rng.randn(size) * 0.1
    if kind == "rank-deficient":
        a[size // 3 :] = 0
        b[size // 2 :] = 0
    elif kind == "nearly singular":
        a[size // 3 :] *= 1e-10
        b[size // 2 :] *= 1e-9
    basis = rotation(size)
    distance = frechet_distance(mean, (basis * a) @ basis.T, np.zeros(size), (basis * b) @ basis.T)
    assert distance == pytest.approx(mean @ mean + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), rel=1e-6)


@pytest.mark.parametrize("exponents", [(0, 1), (-4, 1), (-9, 1)])
def test_gaussians_that_do_not_commute_match_arithmetic_of_50_digits(exponents):
    size = 12
    rng = np.random.RandomState(2)
    covariances = []
    for seed in (3, 4):
        basis = rotation(size, seed)
        covariances.append((basis * 10 ** rng.uniform(*exponents, size)) @ basis.T)
    a, b = ((covariance + covariance.T) / 2 for covariance in covariances)
    mean_a, mean_b = rng.randn(2, size)
    with mpmath.workdps(50):
        values, vectors = mpmath.eigsy(mpmath.matrix(a.tolist()))
        root = vectors * mpmath.diag([mpmath.sqrt(value) for value in values]) * vectors.T
        product = root * mpmath.matrix(b.tolist()) * root
        product = (product + product.T) / 2
        trace_root = sum(mpmath.sqrt(abs(value)) for value in mpmath.eigsy(product, eigvals_only=True))
        squares = sum((mpmath.mpf(x) - mpmath.mpf(y)) ** 2 for x, y in zip(mean_a, mean_b, strict=True))
        expected = squares + sum(map(mpmath.mpf, np.diag(a))) + sum(map(mpmath.mpf, np.diag(b))) - 2 * trace_root
    assert frechet_distance(mean_a, a, mean_b, b) == pytest.approx(float(expected), rel=1e-6)


def test_equal_gaussians_are_at_no_distance_even_where_singular():
    features = np.random.RandomState(0).randn(5, 40)
    mean, covariance = mean_and_covariance(features)
    assert frechet_distance(mean, covariance, mean, covariance) == pytest.approx(0, abs=1e-12 * np.trace(covariance))
    assert frechet_distance(mean, covariance, mean + 1, covariance) == pytest.approx(40, rel=1e-9)


def test_moments_are_those_of_numpy():
    features = np.random.RandomState(1).randn(50, 4).astype(np.float32)
    mean, covariance = mean_and_covariance(features)
    assert mean.dtype == np.float64
    assert np.allclose(mean, features.mean(0)) and np.allclose(covariance, np.cov(features.T, bias=True))
