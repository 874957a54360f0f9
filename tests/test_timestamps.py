"""The timestamps of training clips."""

import numpy as np
import pytest

from stylegan_v_ext.timestamps import TimestampSampler


def draw(sampler, length, count=4000, **kwargs):
    rng = np.random.RandomState(0)
    return np.stack([sampler(length, rng=rng, **kwargs) for _ in range(count)])


def test_timestamps_are_increasing_whole_numbers_inside_the_video():
    t = draw(TimestampSampler(num_frames=4, max_dist=16), 30)
    assert (np.diff(t) >= 1).all() and t.min() == 0 and t.max() == 29
    assert (t == np.round(t)).all()


def test_spans_are_uniform_over_the_powers_of_two_that_fit():
    t = draw(TimestampSampler(num_frames=3, max_dist=32), 200, count=10_000)
    spans, counts = np.unique(t[:, -1] - t[:, 0], return_counts=True)
    assert spans.tolist() == [2, 4, 8, 16, 32]
    assert np.abs(counts / 10_000 - 0.2).max() < 0.02


def test_offsets_and_middle_frames_are_uniform():
    t = draw(TimestampSampler(num_frames=3, max_dist=4, spans=[4]), 9, count=10_000)
    _, offsets = np.unique(t[:, 0], return_counts=True)
    _, middles = np.unique(t[:, 1] - t[:, 0], return_counts=True)
    assert len(offsets) == 5 and np.abs(offsets / 10_000 - 1 / 5).max() < 0.02
    assert len(middles) == 3 and np.abs(middles / 10_000 - 1 / 3).max() < 0.02


def test_fractional_times_keep_whole_distances():
    t = draw(TimestampSampler(num_frames=3), 50, fractional=True)
    assert np.allclose(np.diff(t), np.round(np.diff(t)))
    assert len(np.unique(t[:, 0] % 1)) > 3000
    assert t.min() >= 0 and t.max() <= 49


def test_without_a_fitting_power_the_largest_span_is_taken():
    t = draw(TimestampSampler(num_frames=4), 4, count=10)
    assert (t == np.arange(4)).all()


def test_uniform_sampling_spaces_frames_equally():
    t = draw(TimestampSampler(num_frames=3, strategy="uniform", max_dist=10), 40)
    gaps = np.diff(t)
    assert (gaps[:, 0] == gaps[:, 1]).all()
    assert set(gaps[:, 0]) == {1, 2, 3, 4, 5}


def test_long_videos_are_looked_at_up_to_max_num_frames():
    assert draw(TimestampSampler(num_frames=2, max_num_frames=20), 10_000, count=500).max() <= 19


def test_a_single_frame_is_any_frame_of_the_video_with_equal_chance():
    t = draw(TimestampSampler(num_frames=1), 7, count=10_000)
    frames, counts = np.unique(t, return_counts=True)
    assert t.shape == (10_000, 1) and frames.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert np.abs(counts / 10_000 - 1 / 7).max() < 0.02
    between = draw(TimestampSampler(num_frames=1), 7, count=1000, fractional=True)
    assert between.min() >= 0 and between.max() <= 6 and len(np.unique(between)) == 1000


def test_numpy_global_state_drives_the_draw():
    sampler = TimestampSampler()
    np.random.seed(5)
    first = sampler(100)
    np.random.seed(5)
    assert (sampler(100) == first).all()


@pytest.mark.parametrize(
    ("kwargs", "length", "message"),
    [
        (dict(num_frames=0), 10, "below 1"),
        (dict(num_frames=5, max_dist=3), 10, "has no room"),
        (dict(strategy="sorted"), 10, "is not one of"),
        (dict(num_frames=3), 2, "too short"),
    ],
)
def test_impossible_sampling_is_refused(kwargs, length, message):
    with pytest.raises(ValueError, match=message):
        TimestampSampler(**kwargs)(length)
