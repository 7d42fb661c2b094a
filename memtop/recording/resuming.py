"""Going on with a recording: a tracker learns what the one before it knew.

The samples of the file are fed again, as many as a few seconds allow, the newest ones; then a live
source goes on. Only a recording of this boot and interval can be gone on with, since processes are
known by their start since boot. RSS may be off by the dead band; what is read again soon (CPU,
rights) is not.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from memtop.model.state import Row, State
from memtop.model.timeline import Timeline
from memtop.model.tracker import Tracker
from memtop.model.trends import Growth
from memtop.probe.sample import (
    Activity,
    Facts,
    Host,
    Identity,
    Memory,
    Sample,
    Started,
    Usage,
    Wanted,
)
from memtop.probe.source import Source
from memtop.recording.opening import Damaged
from memtop.recording.recording import Recording

MOST_S = 86_400.0  # a detector looks no further back
FEED_S, GROW_S = 2.0, 3.0  # of CPU, for feeding the tracker and the detectors
POINT_S = 4e-6  # CPU of a change of one process
TRIAL_TICKS = 50  # that tell how dear the others will be


class Past(NamedTuple):
    """What a file knows: the numbers of those who lived at its end, and since when it was read."""

    known: Mapping[Identity, int]
    living: frozenset[Identity]
    since: float | None


NOTHING = Past({}, frozenset(), None)


def resume(
    path: str, tracker: Tracker, boot_id: str | None, interval_s: float, clock_s: float
) -> Past:
    """Let a new tracker know what a recording knows; NOTHING if that is of another boot.

    With another interval the processes are known again, but not how they grew. `clock_s` is the
    clock of the samples to come.
    """
    with Recording(path) as recording:
        last = _last_of(recording, boot_id)
        if last is None or last.clock_s > clock_s:
            return NOTHING
        numbers = _numbers(recording, last)
        if abs(recording.runs[-1].interval_s - interval_s) > 1e-6:
            return Past(numbers, frozenset(), None)
        living = {one for one, row in last.rows.items() if row.ended_at is None}
        first = _first_to_feed(recording, interval_s)
        feed(recording, tracker, first)
        since_index = _grow(recording, tracker, first, last, numbers)
        return Past(numbers, frozenset(living), recording.segments[since_index].at)


def recognise(path: str, boot_id: str | None) -> Past:
    """The numbers of those who lived at the end of a recording, if that is of this boot."""
    with Recording(path) as recording:
        last = _last_of(recording, boot_id)
        if last is None:
            return NOTHING
        return Past(_numbers(recording, last), frozenset(), None)


def _last_of(recording: Recording, boot_id: str | None) -> State | None:
    """The last state of a recording of this boot; None if there is none."""
    if recording.last_tick < recording.first_tick:
        return None
    if boot_id is None or recording.runs[-1].boot_id != boot_id:
        return None
    return recording.state(recording.last_tick)


def _numbers(recording: Recording, state: State) -> dict[Identity, int]:
    known = {one: recording.number_of(one) for one in state.rows}
    return {one: number for one, number in known.items() if number is not None}


def _first_to_feed(recording: Recording, interval_s: float) -> int:
    """The sample to begin with: as many segments of this run as can be fed in time."""
    begin_tick = max(recording.segments[-1].tick, recording.last_tick - TRIAL_TICKS)
    begin = time.process_time()
    count = feed(recording, Tracker(interval_s), begin_tick)
    most = int(FEED_S * count / max(time.process_time() - begin, 1e-6))
    first = recording.segments[-1].tick
    for segment in reversed(recording.segments):
        if segment.run != recording.segments[-1].run or recording.last_tick - segment.tick > most:
            break
        first = segment.tick
    return first


def _grow(
    recording: Recording,
    tracker: Tracker,
    fed: int,
    last: State,
    known: Mapping[Identity, int],
) -> int:
    """Give the tracker detectors that have seen as much as there is time for.

    `fed` is the sample with which the tracker began. Returns the segment that they began with.
    """
    run = recording.runs[-1]
    time_line = Timeline(run.interval_s)
    every, step_s = time_line.every, time_line.moment_s
    numbers = {number: one for one, number in known.items()}
    growths: dict[int, Growth] = {}
    latest: dict[int, int] = {}
    begin = time.process_time()
    first = index = len(recording.segments) - 1
    # Backwards to find where to begin, as far as time and file go; then forwards.
    points = 0
    while index >= 0:
        segment = recording.segments[index]
        is_of_boot = recording.run_of(segment.tick).boot_id == run.boot_id
        if not is_of_boot or last.taken_at - segment.at > MOST_S:
            break
        try:
            changes_of = recording.stretch(index).points
        except Damaged:
            break
        points += sum(len(changes_of.get(number, ())) for number in numbers)
        first, index = index, index - 1
        if time.process_time() - begin + points * POINT_S > GROW_S:
            break
    for index in range(first, len(recording.segments)):
        stretch = recording.stretch(index)
        for number, changes in stretch.points.items():
            identity = numbers.get(number)
            if identity is None:
                continue
            growth = growths.get(number)
            for tick, kib in changes:
                if latest.get(number) == kib:
                    continue
                latest[number] = kib
                clock_s = stretch.clocks[tick - stretch.first_tick]
                moment = (tick - fed) // every
                if growth is None:
                    growth = growths[number] = Growth(identity.pid, moment, clock_s, kib * 1024)
                else:
                    growth.feed(moment, clock_s, kib * 1024, step_s)
    for number, growth in growths.items():
        identity = numbers[number]
        row = last.rows[identity]
        if row.trend.word == "leak-like" and growth.is_unconfirmed:
            growth.confirm(last.clock_s, latest[number] * 1024)
        tracker.take_growth(identity, growth)
    return first


def feed(recording: Recording, tracker: Tracker, first: int) -> int:
    """Feed all samples from `first` on; how many. What is damaged is left out."""
    count = 0
    for state, sample in samples(recording, first):
        # What was called leak-like had been read exactly then.
        exact = tracker.ask(Wanted()).exact
        confirmed = [
            Usage(one, exact_rss_kib=row.rss_kib)
            for one, row in state.rows.items()
            if one.pid in exact and row.trend.word == "leak-like"
        ]
        if confirmed:
            sample = sample._replace(usage=(*sample.usage, *confirmed))
        tracker.feed(sample)
        count += 1
    return count


def samples(recording: Recording, first: int) -> Iterator[tuple[State, Sample]]:
    """The states of a recording from a sample on, and the samples that would have made them."""
    before: Mapping[Identity, Row] = {}
    for tick in range(first, recording.last_tick + 1):
        try:
            state = recording.state(tick)
        except Damaged:
            continue
        yield state, _sample(before, state)
        before = state.rows


def _sample(before: Mapping[Identity, Row], state: State) -> Sample:
    """What is new in a state."""
    ended = [
        one
        for one, row in before.items()
        if row.ended_at is None and (one not in state.rows or state.rows[one].ended_at is not None)
    ]
    started: list[Started] = []
    memory: list[Memory] = []
    activity: list[Activity] = []
    facts: list[Facts] = []
    usage: list[Usage] = []
    for one, row in state.rows.items():
        if row.ended_at is not None:
            continue
        old = before.get(one)
        if old is None or old.ended_at is not None:
            old = None
            started.append(Started(one, row.ppid, row.name, row.started_at))
        elif old.version == row.version:
            continue
        kib = row.history.kib if row.history is not None else None
        old_kib = old.history.kib if old and old.history is not None else None
        if kib is not None and (kib, row.shared_kib) != (old_kib, old and old.shared_kib):
            memory.append(Memory(one.pid, kib, row.shared_kib or 0))
        acts = Activity(one.pid, row.ppid, row.name, row.state, row.threads or 1, row.cpu_percent)
        activity.append(acts)
        if old is None or row[3:16] != old[3:16]:
            fact = Facts(
                one,
                row.command,
                row.uid,
                row.user,
                row.exe,
                row.cgroup,
                row.pod,
                row.rights,
                row.address_space_bytes,
            )
            facts.append(fact)
        used = (row.swap_kib, row.peak_kib, row.pss_kib)
        if old is None or used != (old.swap_kib, old.peak_kib, old.pss_kib):
            usage.append(Usage(one, *used, row.write_bytes_s, row.written_bytes_s))
    cgroups = {limit.cgroup.path: limit.cgroup for limit in state.limits.values()}
    cgroups |= {limit.bound.path: limit.bound for limit in state.limits.values() if limit.bound}
    return Sample(
        taken_at=state.taken_at,
        clock_s=state.clock_s,
        host=Host(state.host.name, state.host.total_kib, state.host.used_kib),
        ended=tuple(ended),
        started=tuple(started),
        memory=tuple(memory),
        activity=tuple(activity),
        facts=tuple(facts),
        usage=tuple(usage),
        cgroups=tuple(cgroups.values()),
    )


class GoingOn:
    """A source whose first sample goes on with processes that a tracker knows already."""

    def __init__(self, source: Source, living: frozenset[Identity]) -> None:
        self.own, self.live = source.own, source.live
        self._source = source
        self._living = living

    def sample(self, wanted: Wanted) -> Sample:
        """The next sample; in the first, who was known has not started, and who is gone ended."""
        sample = self._source.sample(wanted)
        living, self._living = self._living, frozenset()
        if not living:
            return sample
        here = {one.identity for one in sample.started}
        return sample._replace(
            started=tuple(one for one in sample.started if one.identity not in living),
            ended=(*(one for one in living if one not in here), *sample.ended),
        )

    def settle(self, timeout_s: float) -> None:
        """As the source does."""
        self._source.settle(timeout_s)

    def close(self) -> None:
        """As the source does."""
        self._source.close()
