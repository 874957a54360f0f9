"""Times of frames: the rate that they have, and which frames a resampled video shows."""

import itertools
import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Generic, NamedTuple, TypeVar

from stylegan_v_ext.data.limits import LONGEST_HOLD
from stylegan_v_ext.data.video import Problem

FASTEST = 1_000_000  # frames a second
SOME_COPIES = 10_000  # frames that resampling may make in any case
MOST_COPIES = 1000  # frames that it may make of each frame, on average, if this is more than `SOME_COPIES`
OF_ONE_FRAME = 1, 1000  # frames a second that a file may state for its only frame; other values are rates of clocks
UNEQUAL = "its frames come at unequal times; --fps makes them equal"
UNKNOWN = "its frame rate is unknown"
_COMMON = [n * 1000 / 1001 for n in (24, 30, 48, 60, 120)]
_COMMON += [5.0, 10.0, 12.0, 15.0, 20.0, 24.0, 25.0, 30.0, 48.0, 50.0, 60.0, 90.0, 100.0, 120.0, 240.0]
_SLACK = 0.2  # share of the mean interval by which an interval between equal frames may differ from the mean
_ROUNDING = 0.3  # ticks by which a time that is rounded to whole ticks deviates, root mean square
_OFF_THE_MIDDLE = 1e-6  # frames by which rounding may move a time off the exact middle between two frames
_T = TypeVar("_T")


class Timed(NamedTuple, Generic[_T]):
    """A frame and the time at which it is shown.

    Attributes:
        frame: The frame, in any form.
        time: Time in ticks of the file's clock since the first frame; never less than the time of the frame before.
        duration: How long the frame is shown, in ticks; 0 if unknown.
        pixel_aspect: Width of a pixel divided by its height; None if unknown.
    """

    frame: _T
    time: int
    duration: int
    pixel_aspect: Fraction | None = None


class Clock:
    """Measures the rate of frames from their times.

    Args:
        tick: Seconds between two ticks of the file's clock.
        stated: Rates in the head of the file, in frames a second, the most trustworthy rate first; None entries are
            ignored. All may be wrong.
        trusted: Whether the file itself holds these rates, so that they count if there is only one frame. Otherwise
            FFmpeg may have guessed them.

    Attributes:
        tick: Seconds between two ticks.
        count: Number of frames so far.
    """

    def __init__(self, tick: Fraction, stated: Iterable[Fraction | None] = (), *, trusted: bool = False) -> None:
        self.tick, self._trusted = tick, trusted
        self._stated = [rate for rate in stated if rate and 1 / LONGEST_HOLD <= rate < FASTEST]
        self.count = 0
        self._origin: int | None = None
        self._last = 0
        self._shortest, self._longest = math.inf, 0
        self._sum, self._sum_of_squares, self._sum_of_products = 0, 0, 0
        self._misses = [(0.0, 0.0)] * len(self._stated)  # least and greatest error of each stated rate, in ticks

    def time(self, ticks: int | None) -> int:
        """Take the next frame, and return its time in ticks since the first frame.

        Args:
            ticks: Time of the frame in the file; None if the file does not state it. If the time goes back, a new part
                of the file begins; it continues one interval after the last frame.
        """
        if not self.count:
            self._origin = ticks
        now = None if ticks is None or self._origin is None else ticks - self._origin
        if self.count and (now is None or now < self._last):
            now = self._last + self._step()
            self._origin = None if ticks is None else ticks - now
        now = now or 0
        if self.count:
            self._shortest = min(self._shortest, now - self._last)
            self._longest = max(self._longest, now - self._last)
        self._sum += now
        self._sum_of_squares += now * now
        self._sum_of_products += now * self.count
        for number, rate in enumerate(self._stated):
            miss = now - float(self.count / (rate * self.tick))
            self._misses[number] = min(self._misses[number][0], miss), max(self._misses[number][1], miss)
        self._last = now
        self.count += 1
        return now

    def _step(self) -> int:
        """Return the number of ticks between two frames; at 25 frames a second if it is unknown."""
        if self.count > 1 and self._last:
            return max(round(self._last / (self.count - 1)), 1)
        rate = self._stated[0] if self._stated else 25
        return max(round(1 / (rate * self.tick)), 1)

    @property
    def unequal(self) -> bool:
        """Whether the times between frames differ."""
        if self.count < 3 or not self._last:
            return False
        mean = self._last / (self.count - 1)
        slack = max(1.0, _SLACK * mean) + 1e-6
        return self._longest - mean > slack or mean - self._shortest > slack

    @property
    def rate(self) -> float | None:
        """Frames a second; None if they are unknown."""
        if self.count < 2 or not self._last:
            return self._rate_of_one_frame()
        interval, deviation = self._line()
        if deviation > 0.25 * interval:  # there is no steady rate at all
            interval = self._last / (self.count - 1)
            error = 0.0
        else:
            error = 2 * math.sqrt(12) * max(deviation, _ROUNDING) / (self.count**1.5 * interval)
        measured = 1 / (interval * float(self.tick))
        common = [min(_COMMON, key=lambda rate: abs(rate - measured))] if error else []
        plain = [rate for rate in self._stated if rate.denominator in (1, 1001)]  # other rates may be measurements
        slack = (error + 1e-6) * measured
        candidates = [*map(float, plain), *common, *map(float, self._stated)]
        near = [rate for rate in candidates if abs(rate - measured) <= slack]
        fitting = [float(rate) for rate in plain if self._fits(rate)]
        rate = [*fitting, *near, measured][0]
        return rate if 1 / LONGEST_HOLD <= rate < FASTEST else None

    def _rate_of_one_frame(self) -> float | None:
        """Return the stated rate if the file itself holds it and all stated rates agree; otherwise None."""
        least, most = min(self._stated, default=0), max(self._stated, default=0)
        agreed = OF_ONE_FRAME[0] <= least and most <= min(1.01 * least, OF_ONE_FRAME[1])
        return float(self._stated[0]) if self._trusted and agreed else None

    def _fits(self, rate: Fraction) -> bool:
        """Check whether a stated rate explains all times, rounded to ticks."""
        least, most = self._misses[self._stated.index(rate)]
        return most - least <= 1 + 1e-6

    def _line(self) -> tuple[float, float]:
        """Fit a straight line through all times; return (ticks between frames, root mean square deviation in ticks)."""
        n = self.count
        numbers = n * (n - 1) // 2
        squares = (n - 1) * n * (2 * n - 1) // 6
        across = n * self._sum_of_products - numbers * self._sum
        along = n * squares - numbers * numbers
        rest = (n * self._sum_of_squares - self._sum * self._sum) * along - across * across
        return across / along, math.sqrt(max(rest / along, 0.0)) / n


def resampled(frames: Iterable[Timed[_T]], clock: Clock, fps: Fraction) -> Iterator[tuple[Timed[_T], int]]:
    """Choose the frames of a video at another rate.

    Each input frame first appears in the output frame that is nearest to its time.

    Args:
        frames: Frames with their times, in ascending order.
        clock: The clock that measured these times.
        fps: Frames a second that come out.

    Yields:
        (frame, number of output frames that show it); the number may be 0.

    Raises:
        Problem: If a frame lasts too long, or if few frames become very many: a file of some bytes may last for days.
    """

    def place(time: int) -> int:
        return math.floor(time * clock.tick * fps + Fraction(1, 2))

    for count, (item, following) in enumerate(_with_next(frames), 1):
        end = following.time if following is not None else item.time + _last_duration(item, clock)
        begins, ends = float(item.time * clock.tick), float(end * clock.tick)
        if ends - begins > LONGEST_HOLD:
            yield item, 1
            raise Problem(f"its time jumps from {begins:.6g} to {ends:.6g} seconds")
        if place(end) > max(SOME_COPIES, MOST_COPIES * count):
            yield item, 1
            lasts = f"first {count} frames last" if count > 1 else "first frame lasts"
            many = f"{place(end)} frames at --fps={float(fps):g}"
            raise Problem(f"its {lasts} {ends:.6g} seconds, {many}; lower --fps")
        yield item, _num_shown(place(item.time), place(end), is_last=following is None)


def evenly_resampled(frames: Iterable[_T], rate: float, fps: float) -> Iterator[tuple[_T, int]]:
    """Choose frames as `resampled` does, for frames at equal times.

    Args:
        frames: Frames without times.
        rate: Frames a second that come in.
        fps: Frames a second that come out.

    Yields:
        (frame, number of output frames that show it); the number may be 0.
    """

    def place(number: int) -> int:
        return math.floor(number / rate * fps + 0.5 + _OFF_THE_MIDDLE)

    for number, (frame, following) in enumerate(_with_next(frames)):
        yield frame, _num_shown(place(number), place(number + 1), is_last=following is None)


def _with_next(items: Iterable[_T]) -> Iterator[tuple[_T, _T | None]]:
    """Yield (item, next item); the next item is None for the last item."""
    waiting: _T | None = None
    for item in itertools.chain(items, [None]):
        if waiting is not None:
            yield waiting, item
        waiting = item


def _num_shown(begin: int, end: int, *, is_last: bool) -> int:
    """Return how many output frames show an input frame; a video has at least one frame.

    Args:
        begin: Number of the output frame in which the input frame first appears.
        end: Number of the output frame in which the next input frame appears.
        is_last: Whether there is no next input frame.
    """
    return max(end - begin, int(is_last and begin == 0))


def _last_duration(item: Timed, clock: Clock) -> int:
    """Return the number of ticks that the last frame is shown; few files state it."""
    if 0 < item.duration * clock.tick <= LONGEST_HOLD:
        return item.duration
    rate = clock.rate
    return round(1 / (Fraction(rate) * clock.tick)) if rate else 0
