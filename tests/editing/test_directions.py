"""Directions found without labels."""

import numpy as np
import pytest
import torch

from stylegan_v_ext.editing.directions import METHODS, find_directions
from stylegan_v_ext.editing.style_space import style_layers
from stylegan_v_ext.generate.directions import load_direction, load_directions
from stylegan_v_ext.generate.sampler import VideoName, VideoSampler


@pytest.fixture
def sampler(make_generator):
    return VideoSampler(make_generator().requires_grad_(False), torch.device("cpu"))


@pytest.mark.parametrize("method", ["pca", "sefa"])
def test_directions_of_content_are_orthogonal_and_as_long_as_w_spreads(sampler, method):
    found = find_directions(sampler, method, 5)
    units = torch.nn.functional.normalize(found.vectors, dim=1)
    assert found.kind == "content" and torch.allclose(units @ units.mT, torch.eye(5), atol=1e-4)
    z = torch.randn(4096, 32)
    spread = (sampler.generator.mapping(z)[:, 0] @ units.mT).std(0)
    assert torch.allclose(found.vectors.norm(dim=1), spread, rtol=0.1)
    assert found.shares == sorted(found.shares, reverse=True) and sum(found.shares) < 1


def test_pca_leaves_least_variance(sampler):
    units = torch.nn.functional.normalize(find_directions(sampler, "pca", 4).vectors, dim=1)
    w = sampler.generator.mapping(torch.randn(4096, 32))[:, 0]
    w = w - w.mean(0)
    random = torch.linalg.qr(torch.randn(32, 4)).Q
    assert (w @ units.mT).square().sum() > (w @ random).square().sum()


def test_sefa_changes_styles_most(sampler):
    """Among unit steps in w, the first direction moves the (normalised) styles most."""
    weights = []
    for layer in style_layers(sampler.generator):
        block, name = layer.name.split(".")
        weight = getattr(getattr(sampler.generator.synthesis, block), name).affine.weight
        weights.append(torch.nn.functional.normalize(weight[: layer.stop - layer.start], dim=1))
    weights = torch.cat(weights)
    first = torch.nn.functional.normalize(find_directions(sampler, "sefa", 1).vectors[0], dim=0)
    moved = (weights @ first).norm()
    for _ in range(50):
        assert (weights @ torch.nn.functional.normalize(torch.randn(32), dim=0)).norm() <= moved + 1e-5


def test_directions_of_motion_move_the_picture_more_than_chance(trained):
    """Steps of one standard deviation along the first direction, and along random ones."""
    sampler = VideoSampler(trained, torch.device("cpu"))
    found = find_directions(sampler, "motion", 3)
    names = [VideoName(seed) for seed in range(6)]
    moments = torch.linspace(0, 500, 64, dtype=torch.float64)
    samples = torch.cat([sampler.motion(name)(moments) for name in names]).float()

    def change(offset):
        total = 0.0
        for name in names:
            content, v = sampler.content(name), sampler.motion(name)(moments[:4]).float()
            with torch.no_grad():
                total += float(
                    (sampler.synthesize(content, v + offset) - sampler.synthesize(content, v)).square().mean()
                )
        return total

    units = torch.nn.functional.normalize(torch.randn(10, trained.w_dim), dim=1)
    chance = [change(unit * (samples @ unit).std()) for unit in units]
    assert found.kind == "motion" and change(found.vectors[0]) > 2 * np.median(chance)


@pytest.mark.parametrize("method", METHODS)
def test_directions_survive_their_file(sampler, method, tmp_path):
    found = find_directions(sampler, method, 3)
    found.save(tmp_path / "d.npz")
    again = load_directions(tmp_path / "d.npz")
    assert torch.equal(again.vectors, found.vectors) and again.kind == found.kind and again.shares == found.shares
    kind, vector = load_direction(f"{tmp_path / 'd.npz'}:2", sampler.generator)
    assert kind == found.kind and torch.equal(vector, found.vectors[2])


def test_bad_directions_are_named(sampler, make_generator, tmp_path):
    find_directions(sampler, "pca", 2).save(tmp_path / "d.npz")
    (tmp_path / "text.npz").write_text("x")
    for name, message in (
        ("d.npz", "is not FILE:NUMBER"), (f"{tmp_path}/d.npz:2", "holds 0 to 1"), ("none.npz:0", "does not exist"),
        (f"{tmp_path}/text.npz:0", "holds no directions"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            load_direction(name, sampler.generator)
    with pytest.raises(ValueError, match="for w of 32 values, this network has 16"):
        load_direction(f"{tmp_path}/d.npz:0", make_generator(w_dim=16))
    with pytest.raises(ValueError, match="33 directions; the network has 1 to 32"):
        find_directions(sampler, "pca", 33)
    with pytest.raises(ValueError, match="not one of sefa"):
        find_directions(sampler, "x", 1)
