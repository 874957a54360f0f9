"""Times of frames: the rate that they show, and which frames a resampled video holds."""

import itertools
import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from stylegan_v_ext.data.limits import LONGEST_HOLD
from stylegan_v_ext.data.video import Problem

FASTEST = 1_000_000  # frames a second
MOST_COPIES = 1000  # of a frame that `fps` may make, on average, once there are
SOME_COPIES = 10_000  # frames
OF_ONE_FRAME = 1, 1000  # frames a second that a file may state for its only frame; other values are those of clocks
UNEQUAL = "its frames come at unequal times; --fps makes them equal"
UNKNOWN = "its frame rate is unknown"
_COMMON = [n * 1000 / 1001 for n in (24, 30, 48, 60, 120)]
_COMMON += [5.0, 10.0, 12.0, 15.0, 20.0, 24.0, 25.0, 30.0, 48.0, 50.0, 60.0, 90.0, 100.0, 120.0, 240.0]
_SLACK = 0.2  # by which an interval between equal frames may differ from the mean, as a share of it
_ROUNDING = 0.3  # deviation of a time that is rounded to whole ticks, in ticks


class Timed(NamedTuple):
    """A frame and when it is shown.

    Attributes:
        frame: Any object.
        time: In ticks of the file's clock since the first frame; never less than that of the frame before.
        duration: In ticks; 0 if unknown.
        pixel_aspect: Width of a pixel by its height; None if unknown.
    """

    frame: Any
    time: int
    duration: int
    pixel_aspect: Fraction | None = None


class Clock:
    """Measures the rate of frames from their times.

    Args:
        tick: Seconds between two ticks of the file's clock.
        stated: Rates in the head of the file, in frames a second, the most trustworthy one first; all may be wrong.
        trusted: The file itself holds these rates, so they count if no two times tell the rate. Otherwise FFmpeg may
            have guessed them.
    """

    def __init__(self, tick: Fraction, stated: Iterable[Fraction | None] = (), trusted: bool = False) -> None:
        self.tick, self._trusted = tick, trusted
        self._stated = [rate for rate in stated if rate and 1 / LONGEST_HOLD <= rate < FASTEST]
        self.count = 0
        self._origin: int | None = None
        self._last = 0
        self._shortest, self._longest = math.inf, 0
        self._sum, self._sum_of_squares, self._sum_of_products = 0, 0, 0
        self._misses = [(0.0, 0.0)] * len(self._stated)  # least and most by which times miss each stated rate, in ticks

    def time(self, ticks: int | None) -> int:
        """Time of the next frame in ticks since the first one.

        Args:
            ticks: What the file says; None if it says nothing. If the time goes back, a new part begins; it continues
                one interval after the last frame.
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
        """Ticks between two frames, as far as is known."""
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
        """Frames a second; None if nothing tells."""
        if self.count < 2 or not self._last:
            return self._rate_of_one_frame()
        interval, deviation = self._line()
        if deviation > 0.25 * interval:  # no steady rate at all
            interval = self._last / (self.count - 1)
            error = 0.0
        else:
            error = 2 * math.sqrt(12) * max(deviation, _ROUNDING) / (self.count**1.5 * interval)
        measured = 1 / (interval * float(self.tick))
        common = [min(_COMMON, key=lambda rate: abs(rate - measured))] if error else []
        plain = [rate for rate in self._stated if rate.denominator in (1, 1001)]  # the others may be measured, too
        slack = (error + 1e-6) * measured
        candidates = [*map(float, plain), *common, *map(float, self._stated)]
        near = [rate for rate in candidates if abs(rate - measured) <= slack]
        fitting = [float(rate) for rate in plain if self._fits(rate)]
        rate = [*fitting, *near, measured][0]
        return rate if 1 / LONGEST_HOLD <= rate < FASTEST else None

    def _rate_of_one_frame(self) -> float | None:
        """The stated rate if the file itself holds it, and all stated rates agree."""
        least, most = min(self._stated, default=0), max(self._stated, default=0)
        agreed = OF_ONE_FRAME[0] <= least and most <= min(1.01 * least, OF_ONE_FRAME[1])
        return float(self._stated[0]) if self._trusted and agreed else None

    def _fits(self, rate: Fraction) -> bool:
        """Whether all times are those of a stated rate, rounded to ticks."""
        least, most = self._misses[self._stated.index(rate)]
        return most - least <= 1 + 1e-6

    def _line(self) -> tuple[float, float]:
        """(ticks between frames, root mean square deviation in ticks) of the straight line through all times."""
        n = self.count
        numbers = n * (n - 1) // 2
        squares = (n - 1) * n * (2 * n - 1) // 6
        across = n * self._sum_of_products - numbers * self._sum
        along = n * squares - numbers * numbers
        rest = (n * self._sum_of_squares - self._sum * self._sum) * along - across * across
        return across / along, math.sqrt(max(rest / along, 0.0)) / n


def resampled(frames: Iterable[Timed], clock: Clock, fps: Fraction) -> Iterator[tuple[Timed, int]]:
    """(frame, how many times it is shown) at `fps` frames a second; the number may be 0.

    Each input frame appears first in the output frame nearest to its time. Raises `Problem` if a frame lasts too long,
    or if few frames become very many: a file of some bytes may last for days.
    """

    def place(time: int) -> int:
        return math.floor(time * clock.tick * fps + Fraction(1, 2))

    waiting: Timed | None = None
    for count, item in enumerate(itertools.chain(frames, [None])):
        if waiting is not None:
            end = item.time if item is not None else waiting.time + _last_duration(waiting, clock)
            begins, ends = float(waiting.time * clock.tick), float(end * clock.tick)
            if ends - begins > LONGEST_HOLD:
                yield waiting, 1
                raise Problem(f"its time jumps from {begins:.6g} to {ends:.6g} seconds")
            if place(end) > max(SOME_COPIES, MOST_COPIES * count):
                yield waiting, 1
                lasts = f"first {count} frames last" if count > 1 else "first frame lasts"
                many = f"{place(end)} frames at --fps={float(fps):g}"
                raise Problem(f"its {lasts} {ends:.6g} seconds, {many}; lower --fps")
            shown = place(end) - place(waiting.time)
            yield waiting, max(shown, int(item is None and not place(waiting.time)))
        waiting = item


def _last_duration(item: Timed, clock: Clock) -> int:
    """Ticks that the last frame is shown, which few files tell."""
    if 0 < item.duration * clock.tick <= LONGEST_HOLD:
        return item.duration
    rate = clock.rate
    return round(1 / (Fraction(rate) * clock.tick)) if rate else 0
