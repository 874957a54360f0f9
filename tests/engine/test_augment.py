"""Augmentation of strips: consistent in time, neutral on average, differentiable twice."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradgradcheck

from stylegan_v_ext.config.augmentations import AUGMENTATIONS
from stylegan_v_ext.engine.augment import AugmentPipe
from stylegan_v_ext.engine.augment_filters import filter_each
from stylegan_v_ext.engine.augment_geometry import copy_pixels, sample_mirrored
from stylegan_v_ext.strip import pack_strip, unpack_strip


def pipe(name):
    return AugmentPipe(**AUGMENTATIONS[name])


def still_clips(n=6, frames=3, size=16):
    """Clips whose frames are all the same smooth picture."""
    picture = torch.nn.functional.interpolate(torch.randn(n, 3, 4, 4), size=size, mode="bicubic")
    return pack_strip(picture[:, None].expand(-1, frames, -1, -1, -1))


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_all_frames_of_a_clip_get_the_same_transform(name):
    frames = unpack_strip(pipe(name)(still_clips(), 1.0))
    assert torch.allclose(frames[:, 0], frames[:, 1], atol=1e-5)
    assert torch.allclose(frames[:, 0], frames[:, 2], atol=1e-5)


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_different_clips_get_different_transforms(name):
    strip = still_clips(1).expand(8, -1, -1, -1)
    out = pipe(name)(strip, 1.0)
    assert len({tuple(row.flatten()[:200].tolist()) for row in out}) > 1


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_probability_zero_changes_nothing(name):
    strip = still_clips()
    assert torch.equal(pipe(name)(strip, 0.0), strip)


def test_probability_comes_from_the_buffer_unless_given():
    augment = pipe("color")
    strip = still_clips()
    augment.p.zero_()
    assert torch.equal(augment(strip), strip)
    augment.p.fill_(1)
    assert not torch.equal(augment(strip), strip)


def test_clips_are_hit_with_the_given_probability():
    strip = still_clips(1, size=8).expand(2000, -1, -1, -1)
    untouched = (AugmentPipe(brightness=1)(strip, 0.3) == strip).flatten(1).all(1)
    assert float(untouched.float().mean()) == pytest.approx(0.7, abs=0.04)


def test_an_identity_warp_returns_the_picture():
    augment, strip = pipe("geom"), still_clips(2, 1, 32)
    out = augment._resample(strip, torch.eye(3).expand(2, 3, 3))
    assert (out - strip).abs().mean() < 0.01 * strip.abs().mean()


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ([[-1.0, 0, 0], [0, 1, 0], [0, 0, 1]], lambda x: x.flip(3)),
        ([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]], lambda x: x.flip(2).transpose(2, 3)),
        ([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], lambda x: x.flip(3).transpose(2, 3)),
    ],
)
def test_blits_are_pixel_copies(matrix, expected):
    strip = torch.randn(2, 3, 32, 32)
    assert torch.allclose(copy_pixels(strip, torch.tensor(matrix).expand(2, 3, 3)), expected(strip), atol=1e-4)


def test_positions_outside_are_mirrored_as_pytorch_mirrors_them():
    picture, grid = torch.randn(3, 2, 12, 8), torch.rand(3, 20, 20, 2) * 14 - 7
    expected = F.grid_sample(picture, grid, padding_mode="reflection", align_corners=False)
    assert torch.allclose(sample_mirrored(picture, grid), expected, atol=1e-4)


def test_shifts_move_the_picture_and_mirror_at_the_border():
    augment, strip = pipe("geom"), still_clips(1, 1, 32)
    matrix = torch.eye(3)
    matrix[0, 2] = 4
    out = augment._resample(strip, matrix[None])
    assert (out[..., 2:20] - strip[..., 6:24]).abs().max() < 0.02 * strip.abs().max()
    assert (out[..., 28] - strip[..., 31]).abs().max() < 0.3 * strip.abs().max()
    flat = torch.full([1, 3, 32, 32], 0.7)
    assert torch.allclose(augment._resample(flat, matrix[None]), flat, atol=1e-5)


def test_colour_transforms_keep_grey_axis_relations():
    grey = torch.full([64, 3, 16, 16], 0.25)
    turned = AugmentPipe(hue=1, saturation=1)(grey, 1.0)
    assert torch.allclose(turned, grey, atol=1e-5)
    flipped = AugmentPipe(lumaflip=1)(grey, 1.0)[:, 0, 0, 0]
    assert {round(float(value), 4) for value in flipped} == {0.25, -0.25}
    saturated = AugmentPipe(saturation=1)(torch.rand(8, 3, 16, 16), 1.0)
    assert saturated.shape == (8, 3, 16, 16)


def test_octave_bands_add_up_to_the_identity_and_split_frequencies():
    bands = pipe("filter").bands
    total = bands.sum(0)
    middle = len(total) // 2
    assert total[middle] == pytest.approx(1) and total.abs().sum() == pytest.approx(1, abs=1e-5)
    response = torch.fft.rfft(bands, n=512).abs()
    assert response[0, 0] == pytest.approx(1, abs=1e-5) and response[3, -1] == pytest.approx(1, abs=1e-5)
    assert response[0, 200] < 0.05 and response[3, 20] < 0.05


def test_filtering_keeps_flat_areas_up_to_the_low_band():
    x = torch.ones(2, 3, 16, 16)
    gains = torch.tensor([[1.0, 5, 0.2, 3], [1.0, 1, 1, 1]])
    out = filter_each(x, gains @ pipe("filter").bands)
    assert torch.allclose(out, x, atol=1e-4)
    noise = torch.randn(2, 3, 16, 16)
    assert torch.allclose(filter_each(noise, gains @ pipe("filter").bands)[1], noise[1], atol=1e-4)


@pytest.mark.parametrize("name", ["bgc", "bgcfnc"])
def test_second_derivative_through_the_whole_pipe(name):
    augment = pipe(name).double()
    strip = torch.randn(2, 3, 16, 8, dtype=torch.float64, requires_grad=True)

    def fn(strip):
        torch.manual_seed(0)
        return augment(strip, 1.0).square()[:, :, ::5, ::3]

    assert gradgradcheck(fn, strip, atol=1e-4)


def test_augmentation_is_seeded():
    strip = still_clips()
    outs = []
    for _ in range(2):
        torch.manual_seed(4)
        outs.append(pipe("bgc")(strip, 0.6))
    assert torch.equal(*outs)
