"""How fast a floor rises over a time, with its spread, and whether it still does at the end.

Floors are the least values of equal stretches of time, so that what comes and goes drops out; the
slope is the median of those between floors far apart (Theil and Sen), its spread the least and the
greatest of them, as in `model.growth`. Nothing is claimed that is finer than the data. Sizes in
KiB, times in seconds, rates in KiB a second.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from statistics import median
from typing import Literal, NamedTuple

from memtop.model.window import RISE_KIB, RISE_SHARE

Word = Literal["growing", "plateau", "falling", "unsure", "short"]
Series = tuple[Sequence[float], Sequence[int]]  # when, and the least value from then on

MOST_FLOORS = 32
SAMPLES = 5  # in a floor, where there are enough
LEAST_FLOORS = 4
LEAST_FINAL_FLOORS = 6
COARSER = (MOST_FLOORS, 14, 7)
BEYOND = 1.5  # the greatest of few slopes is at times less than the true one
APART = 2 / 3  # of the time: pairs that are nearer say little but noise
QUARTER = 1 / 4
# A plateau: what soak tests let pass, 200 KB an hour,
GATE_KIB_S = 200 / 1.024 / 3600
# or what is less than an idle process wanders: less cannot be told in a short time.
NOISE_KIB = RISE_KIB
BAND_KIB = 64  # a smaller change may not have been written
SPREAD_SHARE = 0.02  # of the size; where a slope is less sure than that, it is not known


class Slope(NamedTuple):
    """KiB a second: the median, the least and the greatest; over how long, from how many floors."""

    kib_s: float
    low: float
    high: float
    seconds: float
    floors: int

    @property
    def spread(self) -> float:
        """Half of what lies between the least and the greatest."""
        return (self.high - self.low) / 2


class Final(NamedTuple):
    """How it was in the last quarter of a time.

    `below` is the rate that can be excluded, if it is a plateau; `short`: too few samples to tell,
    `unsure`: it moves too much.
    """

    word: Word
    slope: Slope | None = None
    below: float | None = None


def floors_of(series: Series, most: int = MOST_FLOORS) -> list[tuple[float, int]]:
    """The least value of each of at most `most` runs of as many values, and the middle of each.

    What is left over is at the begin, so that the last floor is a whole one.
    """
    times, lows = series
    count = len(lows)
    if not count:
        return []
    a_floor = max(-(-count // most), min(SAMPLES, count // LEAST_FINAL_FLOORS), 1)
    return [
        ((times[at] + times[at + a_floor - 1]) / 2, min(lows[at : at + a_floor]))
        for at in range(count % a_floor, count, a_floor)
    ]


def slope_of(series: Series, least: int = LEAST_FLOORS, most: int = MOST_FLOORS) -> Slope | None:
    """The slope of the floor over all of a series; None if it is too short."""
    floors = floors_of(series, most)
    if len(floors) < least:
        return None
    seconds = floors[-1][0] - floors[0][0]
    slopes = sorted(
        (after - before) / (later - at)
        for place, (at, before) in enumerate(floors)
        for later, after in floors[place + 1 :]
        if later - at >= APART * seconds * 0.999
    )
    coarse = BAND_KIB / seconds  # by how much both ends may be off
    low, high = slopes[0] - coarse, slopes[-1] + coarse
    return Slope(median(slopes), low, high, seconds, len(floors))


def final_of(series: Series) -> Final:
    """How the last quarter of the time was."""
    times, lows = series
    if not lows:
        return Final("short")
    begin = bisect_left(times, times[-1] - QUARTER * (times[-1] - times[0]))
    last = (times[begin:], lows[begin:])
    if len(lows) - begin < LEAST_FINAL_FLOORS:
        return Final("short")
    final = Final("short")
    for most in COARSER:  # longer floors are below what comes and goes more slowly
        final = _final(last, most)
        if final.word != "unsure":
            break
    return final


def _final(last: Series, most: int) -> Final:
    """The same with at most so many floors."""
    times, lows = last
    slope = slope_of(last, LEAST_FINAL_FLOORS, most)
    if slope is None:
        return Final("short")
    size, seconds = lows[-1], times[-1] - times[0]
    noise = max(NOISE_KIB, RISE_SHARE * size) / seconds
    if slope.low > 0 and slope.kib_s > max(GATE_KIB_S, noise):
        return Final("growing", slope)
    if slope.high <= 0 and -slope.kib_s > max(GATE_KIB_S, noise):
        return Final("falling", slope)
    below = max(slope.kib_s + BEYOND * (slope.high - slope.kib_s), noise)
    if below * seconds > max(2 * NOISE_KIB, SPREAD_SHARE * size):
        return Final("unsure", slope)
    return Final("plateau", slope, below)
