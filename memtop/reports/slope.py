"""How fast a floor rises over a time, with its spread, and whether it still does at the end.

Floors are the least values of equal stretches of time, so that what comes and goes drops out; the
slope is the median of those between floors far apart (Theil and Sen). Its spread comes from how
far floors are off that line, and from whether they come back to it (noise) or not (steps): it holds
the true slope nine times of ten. Nothing is claimed that is finer than the data. Sizes in KiB,
times in seconds, rates in KiB a second.
"""

from __future__ import annotations

import math
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
WIDE = 2.2  # times what floors are off: few floors know little of it
OWN_WAY = 0.4  # added to the share of what floors are off that stays, as few show less of it
FAR = 6  # of the floors are one long step
APART = 2 / 3  # of the time: pairs that are nearer say little but noise
QUARTER = 1 / 4
FELL = 0.5  # of a rise: so much has come back before
# A plateau: what soak tests let pass, 200 KB an hour,
GATE_KIB_S = 200 / 1.024 / 3600
# or what is less than an idle process wanders: less cannot be told in a short time.
NOISE_KIB = RISE_KIB
BAND_KIB = 64  # a smaller change may not have been written
SPREAD_SHARE = 0.02  # of the size; where a slope is less sure than that, it is not known


class Slope(NamedTuple):
    """KiB a second: the median, and between what it lies; over how long, from how many floors."""

    kib_s: float
    low: float
    high: float
    seconds: float
    floors: int

    @property
    def spread(self) -> float:
        """By how much it may be more or less."""
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
    middle = median(slopes)
    spread = (WIDE * _off(floors, middle) + BAND_KIB) / seconds
    return Slope(middle, middle - spread, middle + spread, seconds, len(floors))


def _off(floors: Sequence[tuple[float, int]], kib_s: float) -> float:
    """By how much (KiB) the last floor may be off where a line leads to from the first one.

    What comes back to the line is as far off after long as after one floor; steps that come by
    chance add up. Which of them it is, the growth of the differences with the distance tells.
    """
    most = len(floors) - 1
    far = max(2, most // FAR)
    near_off, far_off = _differences(floors, kib_s, 1), _differences(floors, kib_s, far)
    adds_up = 1.0
    if near_off > 0 and far_off > 0:
        adds_up = min(1.0, max(0.0, math.log(far_off / near_off) / math.log(far) + OWN_WAY))
    return math.sqrt(max(near_off * most**adds_up, far_off * (most / far) ** adds_up))


def _differences(floors: Sequence[tuple[float, int]], kib_s: float, apart: int) -> float:
    """The mean square of by how much floors so far apart differ besides the slope."""
    off = [
        (after - before - kib_s * (later - at)) ** 2
        for (at, before), (later, after) in zip(floors, floors[apart:], strict=False)
    ]
    return sum(off) / len(off)


def final_of(series: Series) -> Final:
    """How the last quarter of the time was."""
    times, lows = series
    if not lows:
        return Final("short")
    begin = bisect_left(times, times[-1] - QUARTER * (times[-1] - times[0]))
    last = (times[begin:], lows[begin:])
    if len(lows) - begin < LEAST_FINAL_FLOORS:
        return Final("short")
    final = _final(last, COARSER[0])
    for most in COARSER[1:]:  # longer floors are below what comes and goes more slowly
        if final.word != "unsure" or (coarser := _final(last, most)).word == "short":
            break
        final = coarser
    return final


def comes_back(series: Series) -> bool:
    """Whether the rise of the last quarter is one of those after which it has fallen before."""
    floors = floors_of(series)
    quarter = len(floors) - max(1, round(QUARTER * len(floors)))
    before, last = floors[:quarter], floors[quarter:]
    if not before or not last:
        return False
    top, deepest = before[0][1], 0
    for _, kib in before:
        top = max(top, kib)
        deepest = max(deepest, top - kib)
    return deepest > FELL * (last[-1][1] - min(kib for _, kib in last))


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
    below = max(slope.high, noise)
    if below * seconds > max(2 * NOISE_KIB, SPREAD_SHARE * size):
        return Final("unsure", slope)
    return Final("plateau", slope, below)
