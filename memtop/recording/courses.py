"""The memory of every process and group over a whole recording, read at once for a report.

A short recording is told sample by sample; a long one in buckets of 15 s, from the ranges that are
kept in the file, because nobody needs a day more finely. What is damaged or was not watched is
UNKNOWN. Values in KiB, times in seconds since the epoch.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from memtop.model.history import BUCKET_S
from memtop.recording.codec import Span, unpack_spans
from memtop.recording.cursor import Points, Stretch, Stretches
from memtop.recording.opening import Damaged
from memtop.recording.reading import Shelf
from memtop.recording.schema import BUCKETS, KEY_BITS, OBJECTS

UNKNOWN = -1
MOST_SAMPLES = 4000  # of a recording that is told sample by sample
MOST_BUCKETS = 86_400 * 366 // int(BUCKET_S)  # of one that is told in buckets


class Course(NamedTuple):
    """The least and the largest value of each step of one object, from step `first` on."""

    first: int
    lows: array[int]
    highs: array[int]


class Courses(NamedTuple):
    """Those of all objects, by their numbers; `times[step]` is when a step begins."""

    times: Sequence[float]
    step_s: float
    by_number: Mapping[int, Course]


class Thing(NamedTuple):
    """A group (or another object that is no process) by its number: `name` is its id."""

    number: int
    kind: str
    name: str
    words: Mapping[str, object]


def courses_of(shelf: Shelf, stretches: Stretches, times: Sequence[float]) -> Courses:
    """All courses; `times` are those of the samples."""
    ends = {row[1]: row for row in shelf.readable("ends")}
    if len(times) <= MOST_SAMPLES or not _is_even(shelf):
        first = shelf.first_tick
        last_steps = {number: row[2] - first - 1 for number, row in ends.items()}
        made = _by_sample(shelf, stretches)
        moments = times
        step_s = shelf.runs[-1].interval_s
    else:
        begin = shelf.segments[0].bucket
        end = stretches.get(len(shelf.segments) - 1).buckets[-1]
        last_steps = {
            number: int(row[3] / 1000 // BUCKET_S) - begin for number, row in ends.items()
        }
        made = _by_bucket(shelf, stretches, begin, end)
        moments = [bucket * BUCKET_S for bucket in range(begin, end + 1)]
        step_s = float(BUCKET_S)
    return Courses(moments, step_s, {n: _cut(c, last_steps.get(n)) for n, c in made.items()})


def values_at(shelf: Shelf, stretches: Stretches, tick: int) -> dict[int, int]:
    """What every object had at a sample; nothing if that is damaged."""
    points = _points(stretches, shelf.segment_at(tick))
    found: dict[int, int] = {}
    for number, pairs in points.items():
        place = bisect_right(pairs, tick, key=lambda pair: pair[0])
        if place:
            found[number] = pairs[place - 1][1]
    return found


def _points(stretches: Stretches, index: int) -> Points:
    try:
        return stretches.get(index).points
    except Damaged:
        return {}


def _is_even(shelf: Shelf) -> bool:
    """Whether the clock of the machine was never put back between two runs, nor far ahead."""
    buckets = [one.bucket for one in shelf.segments]
    return buckets == sorted(buckets) and buckets[-1] - buckets[0] <= MOST_BUCKETS


def _cut(course: Course, last: int | None) -> Course:
    """Without what was written of a process when it had ended."""
    if last is None or course.first + len(course.lows) - 1 <= last:
        return course
    length = max(1, last - course.first + 1)
    lows = course.lows[:length]
    return Course(
        course.first, lows, lows if course.highs is course.lows else course.highs[:length]
    )


# -- sample by sample ----------------------------------------------------------------------


def _by_sample(shelf: Shelf, stretches: Stretches) -> dict[int, Course]:
    made: dict[int, Course] = {}
    base = shelf.first_tick
    for index in range(len(shelf.segments)):
        end = shelf.last_of(index) - base + 1
        for number, points in _points(stretches, index).items():
            steps = [tick - base for tick, _ in points] + [end]
            course = made.get(number)
            if course is None:
                values = array("q")
                course = made[number] = Course(steps[0], values, values)
            values = course.lows
            missing = steps[0] - course.first - len(values)
            if missing > 0:
                values.extend([UNKNOWN] * missing)
            for (_, kib), step, after in zip(points, steps, steps[1:], strict=False):
                if after - step == 1:
                    values.append(kib)
                else:
                    values.extend([kib] * (after - step))
    return made


# -- in buckets ----------------------------------------------------------------------------


def _by_bucket(shelf: Shelf, stretches: Stretches, begin: int, end: int) -> dict[int, Course]:
    kept: dict[int, list[tuple[int, bytes]]] = {}
    for row in shelf.readable("spans"):
        kept.setdefault(row[0] >> KEY_BITS, []).append((row[0] & OBJECTS, row[1]))
    made: dict[int, Course] = {}
    for segment in sorted({one.number for one in shelf.segments}):
        if shelf.is_complete(segment):
            found = _unpacked(kept.pop(segment, ()))
            for index in shelf.indices_of(segment):
                try:
                    resting = shelf.rss_at_start(index)
                except (Damaged, ValueError):
                    continue
                for number, kib in resting.items():
                    found.setdefault(number, [(kib, kib)] * BUCKETS)
        else:
            found = _ranges(shelf, stretches, segment)
        first = segment * BUCKETS
        for number, spans in found.items():
            _append(made, number, first, spans, begin, end)
    return made


def _unpacked(rows: Iterable[tuple[int, bytes]]) -> dict[int, list[Span]]:
    made: dict[int, list[Span]] = {}
    for number, packed in rows:
        try:
            made[number] = unpack_spans(packed, BUCKETS)
        except ValueError:
            continue
    return made


def _ranges(shelf: Shelf, stretches: Stretches, segment: int) -> dict[int, list[Span]]:
    """The ranges of a segment for which none are kept, out of its samples."""
    found: dict[int, list[Span]] = {}
    for index in shelf.indices_of(segment):
        try:
            stretch = stretches.get(index)
        except Damaged:
            continue
        for number, points in stretch.points.items():
            spans = found.setdefault(number, [None] * BUCKETS)
            _widen(spans, points, stretch, segment * BUCKETS)
    return found


def _widen(
    spans: list[Span], points: list[tuple[int, int]], stretch: Stretch, first_bucket: int
) -> None:
    ends = [tick for tick, _ in points[1:]] + [stretch.first_tick + len(stretch.buckets)]
    for (tick, kib), end in zip(points, ends, strict=True):
        buckets = stretch.buckets[tick - stretch.first_tick : end - stretch.first_tick]
        if not buckets:
            continue
        for place in range(buckets[0] - first_bucket, buckets[-1] - first_bucket + 1):
            if 0 <= place < BUCKETS:
                low, high = spans[place] or (kib, kib)
                spans[place] = (min(low, kib), max(high, kib))


def _append(
    made: dict[int, Course], number: int, first: int, spans: list[Span], begin: int, end: int
) -> None:
    """Add the known ranges among `spans`, the first of which is that of bucket `first`."""
    course = made.get(number)
    step = first - begin
    is_whole = None not in spans and first + len(spans) - 1 <= end
    if course is not None and is_whole and step == course.first + len(course.lows):  # nearly always
        course.lows.extend([low for low, _ in spans])  # type: ignore[misc]
        course.highs.extend([high for _, high in spans])  # type: ignore[misc]
        return
    for place, span in enumerate(spans, step):
        if span is None or not 0 <= place <= end - begin:
            continue
        if course is None:
            course = made[number] = Course(place, array("q"), array("q"))
        missing = place - course.first - len(course.lows)
        if missing < 0:
            continue  # the clock was put back
        if missing:
            course.lows.extend([UNKNOWN] * missing)
            course.highs.extend([UNKNOWN] * missing)
        course.lows.append(span[0])
        course.highs.append(span[1])
