"""Whether memory rose in a few steps, between which it was level: when each came, how large it is.

Such a rise has no slope: a rate over it would be that of nothing. Pure; sizes in KiB, times in
seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from memtop.reports.slope import Series

MOST_STEPS = 8
LEAST_SHARE = 0.1  # of the whole rise: what is less is no step of it
IN_STEPS = 0.85  # of the rise has come in steps
NOISE_SHARE = 0.02  # of the rise from one value to the next goes on with a step
AT_ONCE = 0.05  # of the time; a step that takes longer is a climb
FEWEST = 12  # values; fewer have no shape
COMES_BACK = 0.5  # of the rise: what falls by more, and rises again, is no stair


class Step(NamedTuple):
    """One of them: from the last value below it to the first one at its top."""

    begin: float
    at: float
    kib: int


def steps_of(series: Series) -> tuple[Step, ...]:
    """The steps up to the highest value, the earliest first; none where the rise is no stair."""
    times, lows = series
    if len(lows) < FEWEST:
        return ()
    top = max(range(len(lows)), key=lows.__getitem__)
    rise = lows[top] - lows[0]
    if rise <= 0 or _deepest_fall(lows[: top + 1]) > COMES_BACK * rise:
        return ()
    found = [one for one in _jumps(times, lows[: top + 1], rise) if one.kib >= LEAST_SHARE * rise]
    at_once = sum(one.at - one.begin for one in found) - len(found) * _usual(times)
    if not 0 < len(found) <= MOST_STEPS or at_once > AT_ONCE * (times[-1] - times[0]):
        return ()
    came = sum(one.kib for one in found)
    return tuple(found) if IN_STEPS * rise <= came <= rise * (2 - IN_STEPS) else ()


def _jumps(times: Sequence[float], lows: Sequence[int], rise: int) -> list[Step]:
    """Each run of values that rise by more than noise, as one."""
    found: list[Step] = []
    begin: int | None = None
    for place, (before, after) in enumerate(pairwise(lows)):
        if after - before > NOISE_SHARE * rise:
            begin = place if begin is None else begin
        elif begin is not None:
            found.append(Step(times[begin], times[place], lows[place] - lows[begin]))
            begin = None
    if begin is not None:
        found.append(Step(times[begin], times[len(lows) - 1], lows[-1] - lows[begin]))
    return found


def _usual(times: Sequence[float]) -> float:
    return (times[-1] - times[0]) / (len(times) - 1)


def _deepest_fall(lows: Sequence[int]) -> int:
    top, deepest = lows[0], 0
    for kib in lows:
        top = max(top, kib)
        deepest = max(deepest, top - kib)
    return deepest
