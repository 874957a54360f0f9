"""Noise at the anchors of a video."""

import numpy as np
import pytest
import torch

from stylegan_v_ext.networks import anchor_noise as noise


def test_seeded_noise_is_normal_and_a_function_of_seed_and_anchor():
    eps = noise.seeded_noise([1, 2], 512)(torch.arange(100).expand(2, -1))
    assert abs(float(eps.mean())) < 0.01 and abs(float(eps.std()) - 1) < 0.01
    assert abs(float((eps**4).mean()) - 3) < 0.1
    assert abs(float(torch.corrcoef(eps[0])[0, 1:].mean())) < 0.02
    again = noise.seeded_noise([2], 512)(torch.tensor([[50, 3]]))
    assert torch.equal(again[0, 0], eps[1, 50]) and torch.equal(again[0, 1], eps[1, 3])
    assert not torch.equal(eps[0], eps[1])


def test_seeded_noise_stays_the_same_from_release_to_release():
    eps = noise.seeded_noise([7], 4)(torch.tensor([[0, 123456789]]))
    expected = [
        [-0.14712793, -1.09110103, 0.50211215, 0.73758702],
        [-0.82960642, -0.60051513, -0.03682731, -1.15333148],
    ]
    assert np.allclose(eps[0].numpy(), expected, atol=1e-7)


def test_motion_seed_from_z_ignores_precision_and_batch():
    z = torch.randn(3, 16)
    seeds = noise.seeds_from_latents(z)
    assert len(set(seeds)) == 3
    assert noise.seeds_from_latents(z[1:2].double()) == seeds[1:2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: noise.given_noise(torch.zeros(1, 5, 2))(torch.tensor([[3, 5]])), "give more rows"),
        (lambda: noise.seeded_noise([1], 4)(torch.zeros(2, 3, dtype=torch.long)), "give one each"),
    ],
)
def test_noise_that_is_not_there_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
