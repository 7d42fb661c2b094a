"""How RSS moved while it was watched, from the history that the tracker keeps.

Pure. The last 300 samples are known one by one, two hours in steps of 15 s, and a day in steps of
5 minutes: the finest is taken that reaches back far enough. Histories are in KiB, what is made of
them in bytes; times in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from statistics import median

from memtop.diagnosis.evidence import Watch
from memtop.model.history import BUCKET_S, BUCKETS, LONG_EVERY, TICKS
from memtop.model.state import Row, State

OVER_S = 600.0  # what a sparkline shows
END_S = 5.0  # a floor is the least of so long,
END_SHARE = 1 / 5  # of a short time of this share
SWING_SHARE, SWING_KIB = 0.1, 512  # less than this is no rise and no fall
STEP_SHARE = 0.05  # of the whole rise: more of it came at that moment


def watch_of(
    state: State,
    row: Row,
    before: State | None = None,
    over_s: float | None = None,
    *,
    is_recorded: bool = False,
) -> Watch | None:
    """What was watched of a process; None before a second sample.

    `before` is an earlier state, which tells how its files and shared memory have changed since;
    `over_s`: no more than this long, because it was another program before, or because a recording
    reaches that far back (`is_recorded`); None is as long as a screen shows.
    """
    if row.history is None or row.rss_kib is None:
        return None
    series = _series(state, row, over_s)
    return watch_over(state, row, *series, before=before, from_recording=is_recorded)


def watch_over(
    state: State,
    row: Row,
    lows: Sequence[int],
    highs: Sequence[int],
    step_s: float,
    *,
    before: State | None = None,
    from_recording: bool = False,
) -> Watch | None:
    """The same of the least and the largest value, in KiB, of each step of `step_s` up to now."""
    if row.history is None or len(lows) < 2:
        return None
    seconds = step_s * (len(lows) - 1)
    first, last = _ends(lows, step_s)
    floor, peak = min(lows), max(highs)
    _, before_last = _ends(lows[: len(lows) - len(lows) // 4], step_s)
    rises, falls = swings(lows, highs, max(SWING_KIB, SWING_SHARE * (peak - floor)))
    still_s, pause_s = _pauses(lows, step_s) if last - first > SWING_KIB else (None, None)
    trend = row.trend
    return Watch(
        since_at=state.taken_at - seconds,
        seconds=seconds,
        rss_bytes=row.history.kib * 1024,
        change_bytes=(last - first) * 1024,
        rate_bytes_s=row.rate_bytes_s,
        trend=trend.word,
        since_s=None if trend.since_s is None else max(0.0, state.clock_s - trend.since_s),
        sure=trend.sure,
        slope_bytes_s=trend.slope_bytes_s,
        low_bytes_s=trend.low_bytes_s,
        high_bytes_s=trend.high_bytes_s,
        change_s=_change_s(lows, step_s),
        peak_bytes=peak * 1024,
        floor_bytes=floor * 1024,
        rises=rises,
        falls=falls,
        largest_step_bytes=_largest_step_kib(lows) * 1024,
        largest_fall_bytes=_deepest_fall_kib(highs, lows) * 1024,
        floor_rise_bytes=_floor_rise_kib(lows) * 1024,
        recent_share=(last - before_last) / (last - first) if last - first > SWING_KIB else None,
        shared_change_bytes=_shared_change(row, before),
        quarters=_quarters(lows) if last - first > SWING_KIB else (),
        still_s=still_s,
        pause_s=pause_s,
        from_recording=from_recording,
    )


def change_kib(state: State, row: Row, over_s: float | None = None) -> int:
    """By how much it has changed, as far as it was watched; 0 if that is not known.

    That of its floor, or less: where RSS goes up and down, what is usual must have risen as well.
    """
    lows, _, step_s = _series(state, row, over_s)
    if len(lows) < 2:
        return 0
    first, last = _ends(lows, step_s)
    third = max(1, len(lows) // 3)
    usual = (median(lows[-third:]) - median(lows[:third])) * len(lows) / (len(lows) - third)
    return min(last - first, round(usual), key=abs) if usual * (last - first) > 0 else 0


def usual_kib(state: State, row: Row) -> float:
    """How large it was most of the time that it was watched; 0 if that is not known."""
    lows, _, _ = _series(state, row)
    return median(lows) if lows else 0.0


def swings(lows: Sequence[float], highs: Sequence[float], least: float) -> tuple[int, int]:
    """How often a series went up, and down, by more than `least` from where it turned."""
    rises = falls = 0
    low = high = lows[0]
    way = 0
    for lower, upper in zip(lows, highs, strict=True):
        if upper - low > least and way <= 0:
            rises, way, high = rises + 1, 1, upper
        if high - lower > least and way >= 0:
            falls, way, low = falls + 1, -1, lower
        low = min(low, lower) if way <= 0 else low
        high = max(high, upper) if way >= 0 else high
    return rises, falls


def _quarters(lows: Sequence[int]) -> tuple[float, ...]:
    """How much of the rise from begin to end lies in each quarter; none of a few values."""
    if len(lows) < 16:
        return ()
    ends = [place * (len(lows) - 1) // 4 for place in range(5)]
    heights = [median(lows[max(0, end - 1) : end + 2]) for end in ends]
    whole = heights[-1] - heights[0]
    return tuple((b - a) / whole for a, b in pairwise(heights)) if whole > 0 else ()


def _pauses(lows: Sequence[int], step_s: float) -> tuple[float, float]:
    """For how long it has not risen by a share of the whole, and the longest such time before."""
    least = STEP_SHARE * (max(lows) - lows[0])
    level, since, longest = lows[0], 0, 0
    for place, low in enumerate(lows):
        if low - level >= least > 0:
            longest, since, level = max(longest, place - since), place, low
    return (len(lows) - 1 - since) * step_s, longest * step_s


def _largest_step_kib(lows: Sequence[int]) -> int:
    """The largest rise from one value to the next."""
    return max((after - before for before, after in pairwise(lows)), default=0)


def _deepest_fall_kib(highs: Sequence[int], lows: Sequence[int]) -> int:
    """From any value to a later one."""
    return max(high - low for high, low in zip(accumulate(highs, max), lows, strict=True))


def _floor_rise_kib(lows: Sequence[int]) -> int:
    """The least value of the second half less that of the first."""
    middle = len(lows) // 2
    return min(lows[middle:]) - min(lows[:middle])


def _ends(lows: Sequence[int], step_s: float) -> tuple[int, int]:
    """The floor at the begin and at the end."""
    seconds = step_s * (len(lows) - 1)
    steps = max(1, round(min(END_S, seconds * END_SHARE) / step_s))
    return min(lows[:steps]), min(lows[-steps:])


def _change_s(lows: Sequence[int], step_s: float) -> float:
    """How far apart the floors at both ends are: each is that of a while."""
    seconds = step_s * (len(lows) - 1)
    steps = max(1, round(min(END_S, seconds * END_SHARE) / step_s))
    return step_s * (len(lows) - steps)


def _series(
    state: State, row: Row, over_s: float | None = None
) -> tuple[list[int], list[int], float]:
    """The least and the largest values of the steps that were watched, and how long a step is."""
    history = row.history
    if history is None:
        return [], [], state.interval_s
    ended_s = 0.0 if row.ended_at is None else max(0.0, state.taken_at - row.ended_at)
    over_s = min(OVER_S if over_s is None else over_s, state.watched_s)
    last = state.tick - round(ended_s / state.interval_s)
    first = max(history.first_tick, state.tick - round(over_s / state.interval_s))
    if state.tick - first < TICKS:
        ticks = history.ticks(first, last)
        return ticks, ticks, state.interval_s
    last = state.bucket - round(ended_s / BUCKET_S)
    first = state.bucket - round(over_s / BUCKET_S)
    if last - first < BUCKETS:
        spans, step_s = history.spans(first, last), float(BUCKET_S)
    else:
        long_s = float(BUCKET_S * LONG_EVERY)
        spans, step_s = history.long_spans(first // LONG_EVERY, last // LONG_EVERY), long_s
    known = [span for span in spans if span is not None]
    return [low for low, _ in known], [high for _, high in known], step_s


def _shared_change(row: Row, before: State | None) -> int | None:
    old = before.rows.get(row.identity) if before is not None else None
    if old is None or old.shared_kib is None or row.shared_kib is None:
        return None
    return (row.shared_kib - old.shared_kib) * 1024
