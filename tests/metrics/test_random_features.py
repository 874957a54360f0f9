"""Extractors of fixed random filters."""

import numpy as np
import pytest
import torch

from stylegan_v_ext.metrics.random_features import RandomClipFeatures, random_frame_distance, random_frame_features


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


def test_clip_features_see_the_order_of_frames():
    clips = torch.randint(256, [2, 3, 16, 8, 8], dtype=torch.uint8)
    network = RandomClipFeatures()
    features = network(clips)
    assert torch.equal(features, RandomClipFeatures()(clips)) and features.shape == (2, 256)
    assert torch.allclose(features[1:], network(clips[1:]), atol=1e-5)  # whatever else is in the batch
    assert not torch.allclose(features, network(clips.flip(2)), atol=1e-3)
