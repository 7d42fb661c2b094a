"""The memory of one process or group over any time of a recording, fine enough to be drawn.

A short time is read sample by sample, a longer one from the ranges of 15 s that the file keeps of
every five minutes. Sizes in KiB, times in seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable

from memtop.model.history import BUCKET_S
from memtop.recording.codec import Span, unpack_spans
from memtop.recording.cursor import Stretches
from memtop.recording.opening import Damaged
from memtop.recording.reading import Shelf
from memtop.recording.schema import BUCKETS, KEY_BITS

FINE_SEGMENTS = 4  # of five minutes: so many are read sample by sample
Point = tuple[float, int]


def line(
    shelf: Shelf, stretches: Stretches, number: int, begin_at: float, end_at: float
) -> list[Point]:
    """Points (time, KiB) from `begin_at` to `end_at`, in order; a range is two at one time.

    A value holds until the next point. What is damaged is left out.
    """
    first = max(0, shelf.segment_at(shelf.tick_at(begin_at)))
    last = shelf.segment_at(shelf.tick_at(end_at))
    indices = range(first, last + 1)
    if len(indices) <= FINE_SEGMENTS:
        made = _fine(shelf, stretches, number, indices)
    else:
        made = _coarse(shelf, stretches, number, indices)
    return _within(made, begin_at, end_at)


def value_at(shelf: Shelf, stretches: Stretches, number: int, tick: int) -> int | None:
    """What it had at a sample, in KiB; None if it had nothing then, or that cannot be read."""
    index = shelf.segment_at(tick)
    try:
        points = stretches.get(index).points.get(number, ())
    except Damaged:
        return None
    before = [kib for at, kib in points if at <= tick]
    return before[-1] if before else None


def _fine(shelf: Shelf, stretches: Stretches, number: int, indices: Iterable[int]) -> list[Point]:
    made: list[Point] = []
    for index in indices:
        begin, end = shelf.segments[index].tick, shelf.last_of(index)
        try:
            points = stretches.get(index).points.get(number, ())
            times = dict(
                shelf.query("SELECT tick, at_ms FROM ticks WHERE tick BETWEEN ? AND ?", begin, end)
            )
        except Damaged:
            continue
        for place, (tick, kib) in enumerate(points):
            made.append((times.get(tick, 0) / 1000, kib))
            until = points[place + 1][0] - 1 if place + 1 < len(points) else end
            if until > tick:
                made.append((times.get(until, 0) / 1000, kib))
    return [one for one in made if one[0] > 0]


def _coarse(shelf: Shelf, stretches: Stretches, number: int, indices: range) -> list[Point]:
    """Out of the ranges; where there are none nothing changed since the segment before."""
    made: list[Point] = []
    low, high = (shelf.segments[one].number for one in (indices[0], indices[-1]))
    kept: dict[int, bytes] = {}
    try:
        keys = [segment << KEY_BITS | number for segment in range(low, high + 1)]
        for chunk in (keys[at : at + 500] for at in range(0, len(keys), 500)):
            marks = ",".join("?" * len(chunk))
            rows = shelf.rows("spans", f"key IN ({marks})", *chunk)
            kept.update((row[0] >> KEY_BITS, row[1]) for row in rows)
    except Damaged:
        pass
    for index in indices:
        segment = shelf.segments[index]
        is_last = index + 1 >= len(shelf.segments)
        if segment.number in kept and not is_last:
            try:
                spans: list[Span] = unpack_spans(kept[segment.number], BUCKETS)
            except ValueError:
                continue
            made += _points_of(spans, segment.number, segment.at, segment.bucket)
        elif shelf.is_complete(segment.number):
            try:
                kib = shelf.rss_at_start(index).get(number)
            except Damaged:
                continue
            if kib is not None:
                made.append((segment.at, kib))
                end_at = shelf.segments[index + 1].at if not is_last else segment.at
                made.append((end_at, kib))
        else:  # the ranges of the last one of a run are not written yet
            made += _fine(shelf, stretches, number, (index,))
    return made


def _points_of(spans: list[Span], number: int, at: float, bucket: int) -> list[Point]:
    # Buckets go with a clock that never jumps, and may be off after the wall clock was set.
    shift = (at - bucket * BUCKET_S) // BUCKET_S * BUCKET_S
    made: list[Point] = []
    for place, span in enumerate(spans):
        moment = (number * BUCKETS + place) * BUCKET_S + shift
        if span is None or moment + BUCKET_S <= at:
            continue
        low, high = span
        rises = not made or made[-1][1] <= low
        made += [(moment, low)] if low == high else [(moment, low if rises else high)]
        if low != high:
            made.append((moment + BUCKET_S / 2, high if rises else low))
    return made


def _within(points: list[Point], begin_at: float, end_at: float) -> list[Point]:
    """Those within a time, and what held when it began."""
    made = [one for one in points if begin_at <= one[0] <= end_at]
    before = [kib for at, kib in points if at < begin_at]
    if before and (not made or made[0][0] > begin_at):
        made.insert(0, (begin_at, before[-1]))
    return made
