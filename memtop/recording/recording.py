"""A recording that is read: the state at any time, and what happened when.

Times are seconds since the epoch, sizes KiB. It may be asked while somebody still writes to the
file; `refresh` looks for more. What cannot be read raises Damaged and leaves the rest usable.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from memtop.model.history import BUCKET_S
from memtop.model.state import State
from memtop.model.trends import Trend
from memtop.probe.sample import Identity
from memtop.recording.courses import Courses, Thing, courses_of, values_at
from memtop.recording.cursor import Stretch, Stretches
from memtop.recording.line import line, value_at
from memtop.recording.opening import Damaged
from memtop.recording.reading import Run, Segment, Shelf
from memtop.recording.states import States

MOST_BACK = 50  # samples that are looked at to find one that is whole
LAST_MS = 253_402_214_400_000  # the last day of the year 9999
MOST_PASSED_S = 3600.0  # between two samples of one run; clocks of two runs have nothing in common


class Event(NamedTuple):
    """Something that happened: `kind` is `mark`, `action`, `oom` or `leak-like`."""

    number: int
    at: float
    kind: str
    text: str
    detail: Any


class Result(NamedTuple):
    """The answer of a command: `kind` is its name, `json` what it prints with --json."""

    number: int
    at: float
    kind: str
    identity: Identity | None
    json: Any


class Said(NamedTuple):
    """A trend that was said of a process or group (`object`), at a sample."""

    tick: int
    object: int
    trend: Trend


class Moment(NamedTuple):
    """How much all processes had together at one sample, and how many they were."""

    tick: int
    at: float
    rss_kib: int
    processes: int


class Process(NamedTuple):
    """A process of the recording by its number there, and as it was last called."""

    number: int
    identity: Identity
    started_at: float | None
    first_tick: int
    ended_at: float | None
    name: str | None
    command: str | None
    role: str | None
    group: str | None
    title: str | None = None


class Recording:
    """Reads the recording at `path`; MemtopError says why that is not possible.

    `damage` says what is missing, if anything; several threads may ask.
    """

    def __init__(self, path: str) -> None:
        self._shelf = Shelf(path)
        self._states = States(self._shelf)
        self._stretches = Stretches(self._shelf)
        self._lock = threading.RLock()
        self._moments: list[Moment] = []  # as they were asked for last
        self._step_back()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; more calls are harmless."""
        self._shelf.close()

    def refresh(self) -> bool:
        """Look for what was written since; True if there are more samples."""
        with self._lock:
            return self._shelf.refresh()

    # -- what there is ---------------------------------------------------------------------

    @property
    def path(self) -> str:
        """The file."""
        return self._shelf.path

    @property
    def damage(self) -> str | None:
        """What of the file could not be read when it was opened, in a sentence."""
        return self._shelf.damage

    @property
    def first_tick(self) -> int:
        """The number of the first sample."""
        return self._shelf.first_tick

    @property
    def last_tick(self) -> int:
        """The number of the last one; less than `first_tick` if there is none."""
        return self._shelf.last_tick

    @property
    def runs(self) -> list[Run]:
        """Who recorded when, with which settings."""
        return self._shelf.runs

    @property
    def segments(self) -> list[Segment]:
        """The samples at which all is said: about one in five minutes."""
        return self._shelf.segments

    def run_of(self, tick: int) -> Run:
        """The run that a sample belongs to."""
        return self._shelf.run_of(tick)

    def tick_at(self, at: float) -> int:
        """The last sample that was taken at a time or before; the first one if there is none."""
        return self._shelf.tick_at(at)

    def time_of(self, tick: int) -> float:
        """When a sample was taken."""
        return next(iter(self._shelf.ticks(tick, tick))).at

    def state(self, tick: int) -> State:
        """The state that was shown after a sample; its rows have their histories up to then."""
        with self._lock:
            return self._states.at(min(max(tick, self.first_tick), self.last_tick))

    def state_at(self, at: float) -> State:
        """The same for a time."""
        return self.state(self.tick_at(at))

    # -- what happened ---------------------------------------------------------------------

    def events(self) -> list[Event]:
        """Marks, actions, OOM kills and processes that became leak-like, in order of time."""
        rows = self._shelf.readable("events")
        made = [
            Event(row[0], _when(row[1]), row[2], _text(row[3]), row[4] and json.loads(row[4]))
            for row in rows
        ]
        return sorted(made, key=lambda one: (one.at, one.number))

    def results(self) -> list[Result]:
        """What other commands have added, in order of time."""
        made: list[Result] = []
        for row in self._shelf.readable("results"):
            identity = None if row[3] is None else Identity(row[4], row[3])
            made.append(Result(row[0], _when(row[1]), row[2], identity, json.loads(row[5])))
        return sorted(made, key=lambda one: (one.at, one.number))

    def trends(self) -> Iterator[Said]:
        """Every trend that was said, in order of the samples."""
        for row in self._shelf.readable("trends"):
            since_s = None if row[4] is None else row[4] / 1000
            yield Said(row[1], row[2], Trend(row[3], since_s, *row[5:10]))

    def processes(self) -> list[Process]:
        """All processes that were ever seen, in the order in which they were."""
        ended = {row[1]: row[3] / 1000 for row in self._shelf.readable("ends")}
        facts = {row[2]: row for row in self._shelf.readable("facts")}
        made: list[Process] = []
        for row in self._shelf.readable("processes"):
            fact = facts.get(row[0])
            words = (fact[5], fact[6], fact[15], fact[17], fact[18]) if fact else (None,) * 5
            identity, name = Identity(row[2], row[1]), _text(words[0])
            made.append(
                Process(
                    row[0],
                    identity,
                    row[4],
                    row[5],
                    ended.get(row[0]),
                    name,
                    *map(_text, words[1:]),
                )
            )
        return made

    def identity_of(self, number: int) -> Identity:
        """The process that has a number in the file."""
        with self._lock:
            return self._states.identity_of(number)

    def number_of(self, identity: Identity) -> int | None:
        """The number of a process of the state that was asked for last."""
        with self._lock:
            return self._states.number_of(identity)

    def moments(self) -> list[Moment]:
        """The sum of all processes at every sample.

        Where five minutes cannot be read, it stays as it was before; `damage` says so then. Times
        only rise: where the clock of the machine was put back, they go on by what has passed.
        """
        shelf, made = self._shelf, list[Moment]()
        if self._moments and self._moments[-1].tick == self.last_tick:
            return list(self._moments)
        lost: list[range] = []
        clock_s = 0.0
        for index, segment in enumerate(shelf.segments):
            last = shelf.last_of(index)
            try:
                ticks = list(shelf.ticks(segment.tick, last))
            except Damaged as error:
                shelf.damage = shelf.damage or error.message
                begin = lost.pop().start if lost and lost[-1].stop == len(made) else len(made)
                lost.append(range(begin, len(made) + last + 1 - segment.tick))
                before = made[-1] if made else Moment(0, 0.0, 0, 0)
                made += [before._replace(tick=one) for one in range(segment.tick, last + 1)]
                continue
            for one in ticks:
                at, passed_s, clock_s = one.at, one.clock_s - clock_s, one.clock_s
                if made and at <= made[-1].at:
                    interval_s = shelf.run_of(one.tick).interval_s
                    at = made[-1].at + (passed_s if 0 < passed_s < MOST_PASSED_S else interval_s)
                made.append(Moment(one.tick, at, one.rss_kib, one.processes))
        self._moments = _bridged(made, lost, [one.at for one in shelf.segments])
        return list(self._moments)

    def highest(self) -> Moment | None:
        """The sample at which all processes together had most."""
        return max(self.moments(), key=lambda one: one.rss_kib, default=None)

    def largest_rise(self, over_s: float = 60.0) -> tuple[Moment, Moment] | None:
        """The two samples at most `over_s` apart between which the sum rose most, if it did."""
        best: tuple[Moment, Moment] | None = None
        lows: list[Moment] = []  # rising, the least one first
        begin = 0
        for now in self.moments():
            while len(lows) > begin and lows[-1].rss_kib >= now.rss_kib:
                lows.pop()
            lows.append(now)
            begin = min(begin, len(lows) - 1)
            while now.at - lows[begin].at > over_s:
                begin += 1
            low = lows[begin]
            if best is None or now.rss_kib - low.rss_kib > best[1].rss_kib - best[0].rss_kib:
                best = (low, now)
        return best if best and best[1].rss_kib > best[0].rss_kib else None

    def memory(
        self, number: int, first: int | None = None, last: int | None = None
    ) -> list[tuple[int, int]]:
        """RSS of one process or group from a sample on: (sample, KiB), each holds until the next.

        What is damaged is left out.
        """
        first = self.first_tick if first is None else max(first, self.first_tick)
        last = self.last_tick if last is None else min(last, self.last_tick)
        made: list[tuple[int, int]] = []
        shelf = self._shelf
        for index in range(shelf.segment_at(first), shelf.segment_at(last) + 1):
            try:
                with self._lock:
                    points = self._stretches.get(index).points.get(number, ())
            except Damaged:
                continue
            for tick, kib in points:
                if tick <= last and (not made or made[-1][1] != kib):
                    if tick <= first:
                        made = [(first, kib)]
                    else:
                        made.append((tick, kib))
        return made

    def line(self, number: int, begin_at: float, end_at: float) -> list[tuple[float, int]]:
        """RSS of one process or group between two times, to be drawn: (time, KiB) in order.

        Cheap also over a day; then it is as fine as 15 s.
        """
        return line(self._shelf, self._stretches, number, begin_at, end_at)

    def value_at(self, number: int, tick: int) -> int | None:
        """RSS of one process or group at a sample, in KiB; None if it had none or cannot be read.

        Of one that ended within the five minutes before, it is still what it had then.
        """
        return value_at(self._shelf, self._stretches, number, tick)

    def stretch(self, index: int) -> Stretch:
        """The memory of all over one segment, sample by sample; Damaged if it cannot be read."""
        with self._lock:
            return self._stretches.get(index)

    def courses(self, moments: Sequence[Moment] | None = None) -> Courses:
        """The memory of all processes and groups from the first to the last sample.

        `moments`: what the method of that name has given.
        """
        times = [one.at for one in moments or self.moments()]
        with self._lock:
            return courses_of(self._shelf, self._stretches, times)

    def values(self, tick: int) -> dict[int, int]:
        """RSS in KiB of all processes and groups at one sample, by their numbers."""
        with self._lock:
            return values_at(self._shelf, self._stretches, tick)

    def things(self) -> list[Thing]:
        """Groups, cgroups and limits of the recording, with the words that were said last."""
        words: dict[int, dict[str, Any]] = {}
        for row in self._shelf.readable("words"):
            words[row[2]] = json.loads(row[3])
        return [
            Thing(row[0], row[1], row[2], words.get(row[0], {}))
            for row in self._shelf.readable("objects")
        ]

    def gaps(self) -> list[tuple[float, float]]:
        """When nothing was sampled, between two samples: from, to."""
        spans = {(first, last) for _, first, last in self._shelf.gaps}
        return [(first * BUCKET_S, (last + 1) * BUCKET_S) for first, last in sorted(spans)]

    def fine(self) -> list[tuple[float, int, int]]:
        """What was sampled five times a second before an OOM kill or a leak: (when, number, KiB).

        Each value holds until the next one of the same process.
        """
        found = {(row[1] / 1000, row[2], row[3]) for row in self._shelf.readable("fine")}
        return sorted(found)

    def _step_back(self) -> None:
        """Go back to the last sample that is whole: a copy may have been made amid the writing."""
        shelf, end = self._shelf, self._shelf.last_tick
        for tick in range(end, max(shelf.first_tick, end - MOST_BACK) - 1, -1):
            shelf.last_tick = tick
            try:
                self._states.at(tick)
            except Damaged:
                continue
            if tick < end:
                lost = f"its last {end - tick} samples are not whole and were left out"
                shelf.damage = shelf.damage or f"{shelf.path}: {lost}"
            return
        shelf.last_tick = end  # it is not the end that is damaged


def _bridged(made: list[Moment], lost: list[range], begins: Sequence[float]) -> list[Moment]:
    """With times for those that were lost, evenly up to what follows; empty if nothing is known."""
    if sum(map(len, lost)) == len(made):
        return []
    for places in lost:
        at = begins[0] if places.start == 0 else made[places.start - 1].at
        end = made[places.stop] if places.stop < len(made) else made[places.start]
        step_s = max(0.0, end.at - at) / (len(places) + 1)
        for count, place in enumerate(places, 1):
            sums = end if places.start == 0 else made[place]
            made[place] = sums._replace(tick=made[place].tick, at=at + count * step_s)
    return made


def _when(at_ms: int) -> float:
    """The time of what somebody has added, within those that can be written as a date."""
    return min(max(at_ms, 0), LAST_MS) / 1000


def _text(value: Any) -> Any:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
