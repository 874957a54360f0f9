"""Rates that times of frames show, and the frames that a resampled video holds."""

from fractions import Fraction

import numpy as np
import pytest

from stylegan_v_ext.data.video import Problem
from stylegan_v_ext.data.video.timing import Clock, Timed, resampled


def clock_of(times, tick=Fraction(1, 1000), stated=()):
    clock = Clock(tick, stated)
    return clock, [clock.time(time) for time in times]


@pytest.mark.parametrize("rate", [24, Fraction(24000, 1001), 25, Fraction(30000, 1001), 30, 50, 60, 120])
@pytest.mark.parametrize("count", [60, 500])
def test_rates_that_are_rounded_to_milliseconds_are_recognised(rate, count):
    clock, _ = clock_of([round(1000 * number / rate) for number in range(count)])
    near_twins = {24: 1e-3, 30: 1e-3, 60: 1e-3}  # 24 and 23.976 differ by as much as rounding may in a short clip
    assert clock.rate == pytest.approx(float(rate), rel=near_twins.get(rate, 1e-3) if count == 60 else 1e-9)
    assert not clock.unequal


def test_a_steady_rate_that_jitters_is_found_and_said_to_be_unequal():
    random = np.random.default_rng(0)
    for rate in (15, 25, 30):
        times = [round(1000 * n / rate + random.uniform(-0.2, 0.2) * 1000 / rate) for n in range(200)]
        clock, _ = clock_of(times)
        assert clock.rate == pytest.approx(rate, rel=1e-3) and clock.unequal


def test_what_varies_has_its_mean_rate():
    times = np.cumsum([0] + [33] * 50 + [100] * 50).tolist()
    clock, _ = clock_of(times, stated=[Fraction(1000)])
    assert clock.unequal and clock.rate == pytest.approx(100 / 6.65, rel=0.06)


def test_a_head_that_is_wrong_is_not_believed_and_one_that_is_right_is_kept():
    times = [40 * number for number in range(24)]
    assert clock_of(times, stated=[Fraction(1000), Fraction(90000)])[0].rate == 25
    odd = Fraction(2997, 100)
    assert clock_of([round(number * 90000 / odd) for number in range(300)], Fraction(1, 90000), [odd])[0].rate == 29.97
    assert clock_of([0, 0, 0], stated=[])[0].rate is None
    assert clock_of([0, 1], Fraction(1, 10**9))[0].rate is None


def test_one_frame_has_the_rate_that_the_file_itself_holds_or_no_rate():
    def rate(*stated, trusted=True):
        clock = Clock(Fraction(1, 90000), [Fraction(value) for value in stated], trusted=trusted)
        clock.time(0)
        return clock.rate

    assert rate(25, 25) == rate(25) == 25 and rate("30000/1001", "2997/100") == pytest.approx(29.97003, abs=1e-5)
    assert rate(1) == 1 and rate(1000) == 1000
    assert rate(25, 25, trusted=False) is rate(25, 30) is rate(90000) is rate("1/5") is rate() is None


def test_times_that_are_missing_or_go_back_continue():
    assert clock_of([None, None, None], stated=[Fraction(25)])[1] == [0, 40, 80]
    clock, times = clock_of([80, 120, 160, 0, 40, None, 120])
    assert times == [0, 40, 80, 120, 160, 200, 240] and clock.rate == 25 and not clock.unequal
    clock, times = clock_of([None, 20, 60, 100], stated=[Fraction(25)])
    assert times == [0, 40, 80, 120] and clock.rate == 25 and not clock.unequal


def test_a_stated_rate_that_fits_all_times_is_kept_though_their_mean_is_another():
    times = [int(number * 1000 / 960 + 0.5) for number in range(20)]
    assert clock_of(times, stated=[Fraction(960)])[0].rate == 960 != clock_of(times)[0].rate
    assert clock_of(times, stated=[Fraction(900)])[0].rate != 900


def shown(times, fps, duration=0, tick=Fraction(1, 1000)):
    clock = Clock(tick)
    frames = (Timed(number, clock.time(time), duration) for number, time in enumerate(times))
    return [item.frame for item, count in resampled(frames, clock, Fraction(fps)) for _ in range(count)]


def test_resampling_takes_frames_by_their_times():
    assert shown([0, 100, 200], 10) == [0, 1, 2]
    assert shown([0, 100, 200], 20) == [0, 0, 1, 1, 2, 2]
    assert shown(range(0, 800, 100), 5) == [0, 2, 4, 6] or shown(range(0, 800, 100), 5) == [1, 3, 5, 7]
    assert shown([0, 1000, 1100], 10, duration=100) == [0] * 10 + [1, 2]
    assert shown([0, 100], 10, duration=500) == [0] + [1] * 5
    assert shown([5000, 5100], 10) == [0, 1], "it begins with the first frame, whenever that is"
    assert shown([0], 10) == [0]
    for fps in (7, 12.5, 24, 60):
        assert shown(range(0, 4000, 40), fps) == pytest.approx(
            [int(number / fps * 25 + 0.5) for number in range(round(4 * fps))], abs=2
        )


def test_a_frame_that_lasts_for_days_is_damage_and_not_a_bomb():
    clock = Clock(Fraction(1))
    frames = (Timed(number, clock.time(time), 10**12) for number, time in enumerate((0, 10**9)))
    found = resampled(frames, clock, Fraction(1000))
    assert next(found)[1] == 1
    with pytest.raises(Problem, match="its time jumps from 0 to 1e\\+09 seconds"):
        next(found)
    clock = Clock(Fraction(1))
    frames = (Timed(number, clock.time(number), 10**12) for number in range(2))
    assert sum(count for _, count in resampled(frames, clock, Fraction(10))) == 20


def test_few_frames_do_not_become_very_many():
    hour = range(0, 3600, 60)
    assert len(shown([time * 1000 for time in hour], 10)) == 600 * 59 + 600
    clock = Clock(Fraction(1))
    found = resampled((Timed(number, clock.time(time), 0) for number, time in enumerate(hour)), clock, Fraction(1000))
    assert next(found)[1] == 1
    with pytest.raises(Problem, match="its first frame lasts 60 seconds, 60000 frames at --fps=1000; lower --fps"):
        next(found)
