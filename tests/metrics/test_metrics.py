"""Frechet distance and random features."""

import numpy as np
import pytest

from stylegan_v_ext.metrics.frechet import frechet_distance, mean_and_covariance
from stylegan_v_ext.metrics.random_features import random_frame_distance, random_frame_features


def test_commuting_gaussians_have_a_closed_form():
    rng = np.random.RandomState(0)
    basis, _ = np.linalg.qr(rng.randn(30, 30))
    a, b = rng.rand(30), rng.rand(30)
    mean = rng.randn(30)
    distance = frechet_distance(mean, (basis * a) @ basis.T, np.zeros(30), (basis * b) @ basis.T)
    assert distance == pytest.approx(mean @ mean + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), rel=1e-10)


def test_singular_covariances_are_no_trouble():
    features = np.random.RandomState(0).randn(5, 40)
    mean, covariance = mean_and_covariance(features)
    assert frechet_distance(mean, covariance, mean, covariance) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(mean, covariance, mean + 1, covariance) == pytest.approx(40, rel=1e-6)


def test_moments_are_those_of_numpy():
    features = np.random.RandomState(1).randn(50, 4).astype(np.float32)
    mean, covariance = mean_and_covariance(features)
    assert mean.dtype == np.float64
    assert np.allclose(mean, features.mean(0)) and np.allclose(covariance, np.cov(features.T, bias=True))


def batches(noise, seed=0, count=8):
    rng = np.random.RandomState(seed)
    ramp = np.linspace(0, 200, 32)[None, None, :, None]
    for _ in range(count):
        frames = ramp + rng.randn(8, 3, 1, 1) * 20 + rng.randn(8, 3, 32, 32) * noise
        yield np.clip(frames, 0, 255).astype(np.uint8)


def test_random_feature_distance_grows_with_the_difference():
    distances = [random_frame_distance(batches(2), batches(noise, seed=1)) for noise in (2, 10, 40)]
    assert distances[0] < distances[1] < distances[2]
    assert random_frame_distance(batches(2), batches(2)) == pytest.approx(0, abs=1e-6)


def test_random_features_are_the_same_every_time():
    frames = next(batches(5))
    first = random_frame_features(frames)
    np.random.rand(10)
    assert np.array_equal(first, random_frame_features(frames)) and first.shape[0] == 8
