"""The history of one object out of a recording, read when it is looked at.

It answers like the history of a living process does, for the moment at which it was made. Ranges of
past segments are kept in the file; where one is missing, nothing changed in it. Values in KiB.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from memtop.model.history import TICKS, History
from memtop.recording.codec import Span, unpack_spans
from memtop.recording.cursor import Stretch, Stretches
from memtop.recording.opening import Damaged
from memtop.recording.reading import Shelf
from memtop.recording.schema import BUCKETS, KEY_BITS


@dataclass(slots=True)
class Moment:
    """One sample of a recording: what a history at that time needs."""

    shelf: Shelf
    stretches: Stretches
    tick: int
    bucket: int
    index: int
    stretch: Stretch
    ranges: dict[tuple[int, int], list[Span]] = field(default_factory=dict)


class Recalled(History):
    """The history of object `number` at a moment; `kib` is its value then."""

    __slots__ = ("_moment", "_number")

    def __init__(self, moment: Moment, number: int, kib: int, first_tick: int) -> None:
        super().__init__(first_tick, moment.bucket, kib)
        self._moment, self._number = moment, number

    @property
    def number(self) -> int:
        """The number of the process or group in the file."""
        return self._number

    @property
    def changed_tick(self) -> int:
        """The sample of the last change; at least the one with which the segment begins."""
        points = self._moment.stretch.points.get(self._number, [])
        before = [tick for tick, _ in points if tick <= self._moment.tick]
        return before[-1] if before else self.first_tick - 1

    def add(self, tick: int, bucket: int, kib: int, before_bucket: int) -> None:
        """A recording does not change."""
        raise TypeError("a recorded history cannot be added to")

    def minimum(self, first: int, last: int) -> int:
        """The smallest value of these samples, as far as they are there."""
        return min(self.ticks(first, last), default=self.kib)

    def ticks(self, first: int, last: int) -> list[int]:
        """The values at the samples from `first` to `last`, the oldest first."""
        moment = self._moment
        shelf = moment.shelf
        last = min(last, moment.tick)
        first = max(first, self.first_tick, last - TICKS + 1, shelf.first_tick)
        made: list[int] = []
        for index in range(shelf.segment_at(first), moment.index + 1):
            begin = max(first, shelf.segments[index].tick)
            end = min(last, shelf.last_of(index))
            try:
                points = self._points(index)
            except Damaged:
                points = []
            made += _values(points, begin, end, made[-1] if made else None)
        missing = last - first + 1 - len(made)
        return [made[0] if made else self.kib] * missing + made

    def spans(self, first: int, last: int) -> list[Span]:
        """Smallest and largest value of each bucket from `first` to `last`; None if not known."""
        made: list[Span] = []
        segments = range(first // BUCKETS, last // BUCKETS + 1)
        for segment, spans in zip(segments, self._segments(segments), strict=True):
            base = segment * BUCKETS
            made += spans[max(0, first - base) : last - base + 1]
        return made

    def long_spans(self, first: int, last: int) -> list[Span]:
        """The same for buckets of five minutes, which are the segments."""
        made: list[Span] = []
        for spans in self._segments(range(first, last + 1)):
            known = [span for span in spans if span]
            low = min((low for low, _ in known), default=0)
            high = max((high for _, high in known), default=0)
            made.append((low, high) if known else None)
        return made

    def _segments(self, segments: range) -> list[list[Span]]:
        """The ranges of each bucket of some segments."""
        made: list[list[Span] | None] = [self._segment(segment) for segment in segments]
        rested: int | None = None
        is_known = False
        for place in range(len(made) - 1, -1, -1):  # the newest first
            if made[place] is not None:
                is_known = False
                continue
            if not is_known:  # it rested as long as there are no ranges
                rested, is_known = self._at_start(segments[place]), True
            made[place] = self._resting(segments[place], rested)
        return [spans or [None] * BUCKETS for spans in made]

    def _segment(self, segment: int) -> list[Span] | None:
        """The ranges of a segment; None if there are none because nothing changed."""
        moment, number = self._moment, self._number
        key = (number, segment)
        if key in moment.ranges:
            return moment.ranges[key]
        now = moment.bucket // BUCKETS
        if segment > now:
            return [(self.kib, self.kib)] * BUCKETS
        try:
            row = None
            if segment < now:
                row = moment.shelf.row("spans", segment << KEY_BITS | number)
            if row is not None:
                spans = unpack_spans(row[1], BUCKETS)
            elif segment < now and moment.shelf.is_complete(segment):
                return None
            else:
                spans = self._from_points(segment)
        except (Damaged, ValueError):
            spans = [None] * BUCKETS
        moment.ranges[key] = spans
        return spans

    def _from_points(self, segment: int) -> list[Span]:
        """The ranges of a segment out of its samples."""
        moment = self._moment
        lows: dict[int, int] = {}
        highs: dict[int, int] = {}
        for index in moment.shelf.indices_of(segment):
            if index > moment.index:
                break
            stretch = moment.stretch
            if index != moment.index:
                stretch = moment.stretches.get(index)
            points = self._points(index)
            if not points:
                continue
            end = min(moment.tick, stretch.first_tick + len(stretch.buckets) - 1)
            first = points[0][0]
            values = _values(points, first, end, None)
            buckets = stretch.buckets[first - stretch.first_tick :]
            for bucket, kib in zip(buckets, values, strict=False):
                if kib < lows.get(bucket, kib + 1):
                    lows[bucket] = kib
                if kib > highs.get(bucket, -1):
                    highs[bucket] = kib
        spans: list[Span] = []
        for bucket in range(segment * BUCKETS, (segment + 1) * BUCKETS):
            if bucket in lows:
                spans.append((lows[bucket], highs[bucket]))
            else:  # nothing was sampled: it holds; the future is what it is now
                spans.append((spans[-1][1], spans[-1][1]) if spans and spans[-1] else None)
        return spans

    def _points(self, index: int) -> list[tuple[int, int]]:
        moment = self._moment
        stretch = moment.stretch if index == moment.index else moment.stretches.get(index)
        return stretch.points.get(self._number, [])

    def _at_start(self, segment: int) -> int | None:
        """What it was when a segment began."""
        shelf = self._moment.shelf
        for index in shelf.indices_of(segment):
            kib = shelf.rss_at_start(index).get(self._number)
            if kib is not None:
                return kib
        return None

    def _resting(self, segment: int, kib: int | None) -> list[Span]:
        if kib is None or not self._moment.shelf.indices_of(segment):
            return [None] * BUCKETS
        return [(kib, kib)] * BUCKETS


def _values(points: list[tuple[int, int]], first: int, last: int, before: int | None) -> list[int]:
    """The value at each sample from `first` to `last`; none before it is known."""
    place = bisect_right(points, first, key=lambda point: point[0])
    value = points[place - 1][1] if place else before
    made: list[int] = []
    at = first
    for tick, kib in points[place:]:
        if tick > last:
            break
        if value is not None:
            made += [value] * (tick - at)
        value, at = kib, tick
    if value is not None and at <= last:
        made += [value] * (last - at + 1)
    return made
