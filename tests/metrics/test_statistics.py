"""Statistics of features that stream by, and the figures that follow from whole sets of them."""

import numpy as np
import pytest
import torch

from stylegan_v_ext.metrics.frechet import mean_and_covariance
from stylegan_v_ext.metrics.inception_score import inception_score
from stylegan_v_ext.metrics.kernel_distance import kernel_distance
from stylegan_v_ext.metrics.precision_recall import precision_recall
from stylegan_v_ext.metrics.statistics import Features, Moments


def test_moments_of_parts_add_up_in_any_split():
    features = torch.randn(50, 7, dtype=torch.float64) + 5
    expected = mean_and_covariance(features.numpy())
    for sizes in ([50], [8] * 6 + [2], [1] * 50):
        total = Moments()
        for part in features.split(sizes):
            own = Moments()
            for row in part:
                own.add(row[None])
            total.merge(own)
        total.merge(Moments())  # of a process that had nothing to do
        assert total.count == 50
        for found, wanted in zip(total.mean_and_covariance(), expected, strict=True):
            assert np.allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_moments_far_from_zero_keep_their_digits():
    features = torch.randn(1000, 3, dtype=torch.float64) * 1e-3 + 1e6
    moments = Moments()
    moments.add(features)
    expected = np.cov((features - 1e6).numpy().T, bias=True)
    assert np.allclose(moments.mean_and_covariance()[1], expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("kind", [Moments, Features])
def test_statistics_survive_being_kept(kind):
    kept = kind()
    for number in range(4):
        part = torch.randn(3, 5)
        kept.add(part) if kind is Moments else kept.add(number, part)
    again = kind.from_arrays(kept.to_arrays())
    for name, array in kept.to_arrays().items():
        assert np.array_equal(again.to_arrays()[name], array)


def test_features_come_in_the_order_of_their_numbers():
    kept, other = Features(), Features()
    kept.add(2, torch.full([1, 2], 2.0))
    other.add(0, torch.full([2, 2], 0.0))
    other.add(3, torch.full([1, 2], 3.0))
    kept.merge(other)
    assert kept.array()[:, 0].tolist() == [0, 0, 2, 3]


def test_kid_is_the_u_statistic_by_brute_force():
    rng = np.random.RandomState(0)
    x, y = rng.randn(9, 5), rng.randn(9, 5) + 0.3

    def kernel(a, b):
        return (a @ b / 5 + 1) ** 3

    pairs = [(i, j) for i in range(9) for j in range(9)]
    within = sum(kernel(z[i], z[j]) for z in (x, y) for i, j in pairs if i != j) / (9 * 8)
    across = sum(kernel(x[i], y[j]) for i, j in pairs) / 81
    assert kernel_distance(x, y, subsets=3, size=100) == pytest.approx(within - 2 * across, rel=1e-10)


def test_kid_of_subsets_averages_to_nothing_for_equal_distributions():
    rng = np.random.RandomState(0)
    x, y = rng.randn(2, 600, 8)
    assert abs(kernel_distance(x, y, subsets=50, size=100)) < 0.05 < kernel_distance(x, y + 0.5, subsets=50, size=100)
    assert kernel_distance(x, y, 5, 100) == kernel_distance(x, y, 5, 100) != kernel_distance(x, y, 5, 100, seed=1)
    with pytest.raises(ValueError, match="2 or more frames"):
        kernel_distance(x[:1], y)


def test_inception_score_of_constructed_distributions():
    certain = np.tile(np.eye(10), [20, 1])
    assert inception_score(certain) == pytest.approx((10, 0))
    assert inception_score(np.full([200, 10], 0.1)) == pytest.approx((1, 0))
    assert inception_score(np.tile(np.eye(10)[:1], [200, 1])) == pytest.approx((1, 0))  # one class alone
    sorted_by_class = np.repeat(np.eye(10), 20, axis=0)
    assert inception_score(sorted_by_class)[0] == pytest.approx(1)  # each of the parts holds a single class
    shuffled = inception_score(sorted_by_class, shuffle=True)
    assert shuffled == inception_score(sorted_by_class, shuffle=True) and 7 < shuffled[0] < 10
    with pytest.raises(ValueError, match="10 parts takes that many samples, there are 3"):
        inception_score(certain[:3])


def test_inception_score_is_its_formula():
    p = np.random.RandomState(0).dirichlet(np.ones(6), 30)
    divergence = (p * np.log(p / p.mean(0))).sum(1).mean()
    assert inception_score(p, splits=1)[0] == pytest.approx(np.exp(divergence))


def test_precision_and_recall_of_constructed_manifolds():
    rng = torch.Generator().manual_seed(0)
    disc = torch.randn([600, 2], generator=rng)
    assert precision_recall(disc, disc) == (1, 1)
    assert precision_recall(disc, disc + 1000) == (0, 0)
    half = disc[disc[:, 0] > 0]
    precision, recall = precision_recall(disc, half)  # realistic, but half of the variety
    assert precision == 1 and 0.45 < recall < 0.65
    precision, recall = precision_recall(half, disc)
    assert 0.45 < precision < 0.65 and recall == 1


def test_precision_is_the_same_in_chunks_and_by_definition(monkeypatch):
    from stylegan_v_ext.metrics import precision_recall as module

    real, fake = torch.randn(2, 100, 3)
    whole = precision_recall(real, fake)
    monkeypatch.setattr(module, "_CHUNK", 17)
    assert precision_recall(real, fake) == whole
    radii = torch.cdist(real, real).kthvalue(4, dim=1).values  # the nearest is the feature itself
    inside = (torch.cdist(fake, real) <= radii).any(1).double().mean()
    assert whole[0] == pytest.approx(float(inside))
    with pytest.raises(ValueError, match="more than 3 frames"):
        precision_recall(real[:3], fake)
