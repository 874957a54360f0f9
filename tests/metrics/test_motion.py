"""Statistics of motion on videos whose figures are known."""

import numpy as np
import pytest
import torch

from stylegan_v_ext.metrics.motion import STATISTICS, compare_motion, motion_statistics

T, SIDE = 32, 16


def statistics(frames):
    """frames: levels [T, SIDE, SIDE] of one grey clip."""
    clip = torch.from_numpy(np.rint(frames)).to(torch.uint8)[None, None].expand(1, 3, -1, -1, -1)
    row = motion_statistics(clip)[0].numpy()
    return dict(zip(STATISTICS, row, strict=False)), row[len(STATISTICS) :]


def texture(seed=0):
    return np.random.RandomState(seed).uniform(60, 200, [SIDE, SIDE])


def test_a_frozen_clip_moves_in_no_way():
    scalars, spectrum = statistics(np.repeat(texture()[None], T, axis=0))
    assert set(scalars.values()) == {0} and np.allclose(spectrum, -20)


def test_steady_change_has_its_speed_and_drift_and_no_flicker():
    ramp = 50 + np.arange(T)[:, None, None] * 4 + np.zeros([SIDE, SIDE])
    scalars, _ = statistics(ramp)
    assert scalars["speed"] == pytest.approx(4, rel=1e-5) and scalars["flicker"] == pytest.approx(0, abs=1e-9)
    assert scalars["drift"] == pytest.approx(4 * 24, rel=1e-5) and scalars["recurrence"] == 0


def test_alternating_frames_flicker_by_four_and_independent_ones_by_three():
    alternating = 100 + 50 * (np.arange(T) % 2)[:, None, None] + np.zeros([SIDE, SIDE])
    scalars, spectrum = statistics(alternating)
    assert scalars["flicker"] == pytest.approx(4, rel=1e-5) and scalars["recurrence"] == 1
    assert spectrum.argmax() == len(spectrum) - 1
    noise = np.random.RandomState(0).uniform(0, 255, [T, SIDE, SIDE])
    scalars, spectrum = statistics(noise)
    assert scalars["flicker"] == pytest.approx(3, rel=0.05)
    assert scalars["speed"] == pytest.approx(255 / 3, rel=0.05)
    assert spectrum[1:-1].std() < 1  # white


@pytest.mark.parametrize("period", [4, 8, 16])
def test_a_loop_comes_back_and_a_wave_has_its_frequency(period):
    phase = 2 * np.pi * np.arange(T) / period
    wave = 128 + 60 * np.sin(phase[:, None, None] + texture() / 10)
    scalars, spectrum = statistics(wave)
    assert scalars["recurrence"] > 0.99
    assert spectrum.argmax() + 1 == T // period


def test_equal_sets_are_at_no_distance_and_a_shift_is_its_size():
    rows = np.random.RandomState(0).rand(20, len(STATISTICS) + 16)
    same = compare_motion(rows, rows[::-1])
    assert same["spectrum_db"] == pytest.approx(0, abs=1e-12) and all(same[name] == 0 for name in STATISTICS)
    shifted = rows.copy()
    shifted[:, 0] += 3
    shifted[:, len(STATISTICS) :] -= 2
    found = compare_motion(rows, shifted)
    assert found["speed"] == pytest.approx(3) and found["spectrum_db"] == pytest.approx(2)
    assert found["speed_fake"] - found["speed_real"] == pytest.approx(3) and found["drift"] == 0


def test_large_frames_are_looked_at_in_small():
    small = torch.randint(256, [2, 3, 8, 32, 32], dtype=torch.uint8)
    large = small.repeat_interleave(4, dim=3).repeat_interleave(4, dim=4)
    assert torch.allclose(motion_statistics(small), motion_statistics(large), atol=1e-4)
