"""The two ways of modulating convolutions for clips: scaled activations, and weights folded for each clip."""

import pytest
import torch

from stylegan_v_ext.networks import modulation
from torch_utils.ops.upfirdn2d import setup_filter

WAYS = {"scaled": float("inf"), "folded": 0}


def run(way, monkeypatch, tensors, up=1, noise=None, clamp=None):
    monkeypatch.setattr(modulation, "_LARGE_IMAGE", WAYS[way])
    x, weight, styles, bias = tensors
    return modulation.modulated_conv2d(
        x, weight, styles, up=up, padding=1, resample_filter=setup_filter([1, 3, 3, 1]) if up > 1 else None,
        bias=bias, noise=noise, act="lrelu", gain=1.3, clamp=clamp,
    )  # fmt: skip


def tensors(dtype=torch.float32, clips=2, frames=3, size=6):
    shapes = [clips * frames, 4, size, size], [5, 4, 3, 3], [clips, 4], [5]
    return [torch.randn(shape, dtype=dtype).add_(0.5).requires_grad_() for shape in shapes]


@pytest.mark.parametrize("up", [1, 2])
@pytest.mark.parametrize("noise_rows", [None, 1, 2])
def test_both_ways_give_the_same_images_gradients_and_second_gradients(monkeypatch, up, noise_rows):
    leaves = tensors()
    noise = None if noise_rows is None else torch.randn(noise_rows, 6 * up, 6 * up)
    results = []
    for way in WAYS:
        y = run(way, monkeypatch, leaves, up, noise, clamp=2.0)
        weights = torch.linspace(-1, 1, y.numel()).reshape(y.shape)
        first = torch.autograd.grad((y * weights).sum(), leaves, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), leaves)
        results.append([y, *first, *second])
    for scaled, folded in zip(*results, strict=True):
        assert (scaled - folded).abs().max() <= 1e-4 * scaled.abs().max()


def test_large_images_of_several_frames_are_folded_on_a_cpu():
    small, large = torch.zeros(6, 1, 8, 8), torch.zeros(6, 1, 64, 64)
    assert not modulation._gains_by_folding(small, frames=3, up=1)
    assert modulation._gains_by_folding(large, frames=3, up=1)
    assert modulation._gains_by_folding(torch.zeros(6, 1, 32, 32), frames=3, up=2)
    assert not modulation._gains_by_folding(large, frames=1, up=1)
    assert not modulation._gains_by_folding(large.to("meta"), frames=3, up=1)
