"""What one window of memory floors says: does it climb, how evenly, and what shape has it.

A window is a short list of floors in KiB, the oldest first, at equal distances in time; a floor
is the least RSS within its stretch of time, so that what comes and goes is not seen. Rates are
KiB a floor. Nothing here remembers anything or knows what a floor is in seconds: see `growth`.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul, sub
from typing import NamedTuple

RISE_KIB = 512  # a rise that matters: more than an idle interpreter wanders,
RISE_SHARE = 0.002  # and more than the noise of a huge one
JUMP = 1 / 3  # a step that makes up more of a rise than this is a jump, not growth;
YOUNG_JUMP = 1 / 2  # where there are fewer than
FEW = 8  # floors each step weighs more
WOBBLES = 1 / 2  # what falls back by more than this share of its rise comes and goes
JUMPS = 2  # the largest steps of a longer past are not counted as its pace
SHAPE_KIB = 1024  # a change of shape that a sparkline shows:
SHAPE_SHARE = 0.04  # its cells are at least that high
STEP = 0.1  # share of a rise that makes a stair,
REST = 0.03  # and below which there is a rest between two
STOPPED = 1 / 4  # with less than this share of its pace in the last quarter a climb has ended
KEEPS = 3 / 4  # growth that keeps less than this share of its pace is bending over


class Climb(NamedTuple):
    """An even climb up to the newest floor.

    `start` is the floor at which it begins, `rate` KiB a floor, `spread` how many equal steps
    would be as uneven as its steps are: a jump is 1, a line of 16 floors 15.
    """

    start: int
    floors: int
    rate: float
    spread: float

    @property
    def rise_kib(self) -> float:
        """By how much it rose, noise left out."""
        return self.rate * (self.floors - 1)


def climb_of(window: Sequence[int], least: int) -> Climb | None:
    """The climb with which a window ends, if it has `least` floors and does not bend over."""
    newest, count = window[-1], len(window)
    rise = newest - min(window)
    if rise < RISE_KIB or rise < RISE_SHARE * newest or count < least:
        return None
    deepest = deepest_fall(window)
    if deepest > WOBBLES * rise:
        return None
    start = 0
    while True:
        floors = window[start:] if start else window
        count = len(floors)
        rise = newest - floors[0]
        if count < least or rise < RISE_KIB or deepest > WOBBLES * rise:
            return None
        curve = _never_falling(floors)
        steps = list(map(sub, curve[1:], curve))
        whole = curve[-1] - curve[0]
        largest = max(steps)
        after = steps.index(largest) + 1
        if largest <= (JUMP if count >= FEW else YOUNG_JUMP) * whole:
            if not _bends_over(curve):
                break
            if after > count // 4:
                return None
        # What came after a jump, or after a steep beginning, may still climb evenly.
        start += after
    rate = rate_of(floors)
    if rate <= 0 or _has_stopped(curve):
        return None
    return Climb(start, count, rate, whole * whole / sum(map(mul, steps, steps)))


def _never_falling(floors: Sequence[int]) -> list[int]:
    """The nearest curve that never falls, doubled: it leaves out the noise and keeps the jumps.

    It lies midway between what was reached before and what the floor never falls below later.
    Plain loops are quicker here than itertools.accumulate.
    """
    curve, top = [], floors[0]
    for kib in floors:
        if kib > top:
            top = kib
        curve.append(top)
    low = floors[-1]
    for i in range(len(floors) - 1, -1, -1):
        if floors[i] < low:
            low = floors[i]
        curve[i] += low
    return curve


def _bends_over(curve: Sequence[int]) -> bool:
    """Whether the second half climbs slower than the first, as a warm-up does."""
    half, end = len(curve) // 2, len(curve) - 1
    first, second = curve[half] - curve[0], curve[end] - curve[half]
    return second * half < KEEPS * first * (end - half)


def _has_stopped(curve: Sequence[int]) -> bool:
    """Whether the last quarter hardly climbs."""
    end = len(curve) - 1
    quarter = max(1, len(curve) // 4)
    last = curve[end] - curve[end - quarter]
    return last * end < STOPPED * (curve[end] - curve[0]) * quarter


def deepest_fall(window: Sequence[int]) -> int:
    """By how much the floor fell at most, in KiB."""
    top, deepest = window[0], 0
    for kib in window:
        if kib > top:
            top = kib
        elif top - kib > deepest:
            deepest = top - kib
    return deepest


def falls(window: Sequence[int], least_kib: float) -> int:
    """How often the floor fell by `least_kib` or more from what it had climbed to."""
    top, number = window[0], 0
    for kib in window:
        if kib > top:
            top = kib
        elif top - kib >= least_kib > 0:
            top, number = kib, number + 1
    return number


def rate_of(floors: Sequence[int]) -> float:
    """KiB a floor between the means of the first and the last third, as ends alone are noisy."""
    count = len(floors)
    third = max(1, count // 3)
    return (sum(floors[-third:]) - sum(floors[:third])) / (third * max(1, count - third))


def pace(window: Sequence[int]) -> float:
    """KiB a floor at which a window of 4 or more climbs, its largest jumps left out."""
    steps: list[int] = sorted(map(sub, window[1:], window))
    return sum(steps[:-JUMPS]) / (len(steps) - JUMPS)


def slopes_of(floors: Sequence[int]) -> list[float]:
    """The slopes of all pairs at least two thirds apart, KiB a floor, the least first.

    Theil and Sen take all pairs; near ones say little but noise.
    """
    count = len(floors)
    slopes: list[float] = []
    for apart in range(max(1, 2 * count // 3), count):
        slopes += [(b - a) / apart for a, b in zip(floors, floors[apart:], strict=False)]
    slopes.sort()
    return slopes


def shape_of(window: Sequence[int], from_birth: bool) -> str:
    """The word for a window that does not climb evenly; `from_birth` if the series began in it."""
    if from_birth:  # how a life began says nothing about now
        window = window[len(window) // 4 :]
    most = max(window)
    matters = max(SHAPE_KIB, SHAPE_SHARE * most)
    if most - min(window) < matters:
        return "steady"
    fell, rose = deepest_fall(window), deepest_fall([-kib for kib in window])
    if fell >= matters:
        if window[-1] <= window[0] - fell / 2 and rose < fell / 2:
            return "shrinking"
        return "sawtooth" if rose >= matters else "steady"
    steps = list(map(sub, window[1:], window))
    jumps = [i for i, step in enumerate(steps) if step >= STEP * rose]
    if not jumps:
        return "warm-up"
    rests = sum(step < REST * rose for step in steps[: jumps[-1]])
    return "steps" if rests >= max(1, len(jumps) - 1) else "warm-up"
