"""How fast a floor rises over a time, with its spread, and whether it still does at the end.

Floors are the least values of equal stretches of time, so that what comes and goes drops out; the
slope is the median of those between floors far apart (Theil and Sen), its spread the least and the
greatest of them, as in `model.growth`. Nothing is claimed that is finer than the data. Sizes in
KiB, times in seconds, rates in KiB a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Literal, NamedTuple

from memtop.model.window import RISE_KIB, RISE_SHARE

Word = Literal["growing", "plateau", "falling", "unsure", "short"]
Point = tuple[float, int, int]  # when, the least value, the greatest one

MOST_FLOORS = 32
SAMPLES = 5  # in a floor, where there are enough
LEAST_FLOORS = 4
LEAST_FINAL_FLOORS = 6
APART = 2 / 3  # of the time: pairs that are nearer say little but noise
QUARTER = 1 / 4
# A plateau: what soak tests let pass, 200 KB an hour,
GATE_KIB_S = 200 / 1.024 / 3600
# or what is less than an idle process wanders: less cannot be told in a short time.
NOISE_KIB = RISE_KIB
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


def floors_of(points: Sequence[Point], most: int = MOST_FLOORS) -> list[tuple[float, int]]:
    """The least value of each of at most `most` stretches of equal length, and its middle."""
    if not points:
        return []
    begin, end = points[0][0], points[-1][0]
    count = min(most, max(len(points) // SAMPLES, min(len(points), LEAST_FINAL_FLOORS)))
    if count < 1 or end <= begin:
        return [(begin, points[0][1])]
    step = (end - begin) / count
    floors: dict[int, int] = {}
    for at, low, _ in points:
        place = min(int((at - begin) / step), count - 1)
        if low < floors.get(place, low + 1):
            floors[place] = low
    return [(begin + (place + 0.5) * step, kib) for place, kib in floors.items()]


def slope_of(points: Sequence[Point], least: int = LEAST_FLOORS) -> Slope | None:
    """The slope of the floor over all of the points; None if they are too few."""
    floors = floors_of(points)
    if len(floors) < least:
        return None
    seconds = floors[-1][0] - floors[0][0]
    slopes = sorted(
        (after - before) / (later - at)
        for place, (at, before) in enumerate(floors)
        for later, after in floors[place + 1 :]
        if later - at >= APART * seconds * 0.999
    )
    return Slope(median(slopes), slopes[0], slopes[-1], seconds, len(floors))


def final_of(points: Sequence[Point]) -> Final:
    """How the last quarter of the time was."""
    if not points:
        return Final("short")
    begin, end = points[0][0], points[-1][0]
    last = [point for point in points if point[0] >= end - QUARTER * (end - begin)]
    slope = slope_of(last, LEAST_FINAL_FLOORS) if len(last) >= LEAST_FINAL_FLOORS else None
    if slope is None:
        return Final("short")
    size = last[-1][1]
    seconds = last[-1][0] - last[0][0]
    noise = max(NOISE_KIB, RISE_SHARE * size) / seconds
    if slope.low > 0 and slope.kib_s > max(GATE_KIB_S, noise):
        return Final("growing", slope)
    if slope.high <= 0 and -slope.kib_s > max(GATE_KIB_S, noise):
        return Final("falling", slope)
    below = max(slope.high, noise)
    if below * seconds > max(2 * NOISE_KIB, SPREAD_SHARE * size):
        return Final("unsure", slope)
    return Final("plateau", slope, below)
