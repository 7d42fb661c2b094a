"""What a recording says: one value, computed here, that is written as text, Markdown and JSON.

Only what was measured is in it; what is unknown is None or said with its reason. Sizes in KiB
unless a name says bytes, times in seconds since the epoch.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, NamedTuple

from memtop.errors import MemtopError
from memtop.model.state import State
from memtop.probe.sample import Identity
from memtop.recording.courses import Courses
from memtop.recording.opening import Damaged
from memtop.recording.recording import Event, Moment, Recording
from memtop.reports.findings import Conclusion, conclusions_of
from memtop.reports.inside import Action, Inside, Told, told_of
from memtop.reports.limits import Kill, Room, kills_of, rooms_of, why_no_limit
from memtop.reports.moments import Highest, Stretch, highest_of, stretches_of
from memtop.reports.subject import Subject, order
from memtop.reports.subjects import Known, groups_of, processes_of, said_of

NOTHING_TOLD = Told((), (), (), ())
MOST_MARKED = 60  # processes and groups whose changes from mark to mark are told


class Made(NamedTuple):
    """One time of recording: since when, by which version, where, how."""

    at: float
    memtop: str
    host: str
    interval_s: float
    exact: bool
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is told. `first_at` None: there is no sample.

    `processes` and `groups` are all that were seen, those that grow first; `rest` counts those that
    are steady and their sum at the end. `largest_rise`: between which two moments the sum rose
    most. `damage`: what could not be read. `own`: memtop itself, which is not what is asked about.
    """

    path: str
    first_at: float | None
    last_at: float | None
    samples: int
    runs: tuple[Made, ...]
    processes: tuple[Subject, ...] = ()
    groups: tuple[Subject, ...] = ()
    highest: Highest | None = None
    largest_rise: tuple[Moment, Moment] | None = None
    stretches: tuple[Stretch, ...] = ()
    events: tuple[Event, ...] = ()
    told: Told = NOTHING_TOLD
    conclusions: tuple[Conclusion, ...] = ()
    rooms: tuple[Room, ...] = ()
    why_no_limit: str | None = None
    kills: tuple[Kill, ...] = ()
    gaps: tuple[tuple[float, float], ...] = ()
    damage: str | None = None
    total_kib: int | None = None
    own: frozenset[Identity] = frozenset()

    @property
    def name(self) -> str:
        """The file without its folders."""
        return os.path.basename(self.path)

    @property
    def seconds(self) -> float:
        """From the first sample to the last one."""
        if self.first_at is None or self.last_at is None:
            return 0.0
        return self.last_at - self.first_at

    @property
    def subjects(self) -> list[Subject]:
        """Groups and processes that are worth a line, those that grow first.

        A member of a group is one only if it grows, or if it makes up half of its group's change.
        """
        changes = {one.group: abs(one.change_kib) for one in self.groups}
        everybody = (*self.groups, *self.processes)
        chosen = [one for one in everybody if one.moved and not self._is_own(one)]
        kept = [
            one
            for one in chosen
            if one.kind == "group"
            or one.grows
            or one.group not in changes
            or (one.trend == "leak-like" or one.leak_at is not None)
            or abs(one.change_kib) >= max(changes[one.group] / 2, 1)
        ]
        return sorted(kept, key=order)

    @property
    def steady(self) -> list[Subject]:
        """The processes that lived at the end and have no line."""
        shown = {one.number for one in self.subjects}
        others = [one for one in self.processes if not self._is_own(one)]
        return [one for one in others if one.number not in shown and one.ended_at is None]

    def _is_own(self, one: Subject) -> bool:
        return one.kind == "process" and one.identity in self.own

    @property
    def inside(self) -> tuple[Inside, ...]:
        """What was seen in processes."""
        return self.told.inside

    @property
    def actions(self) -> tuple[Action, ...]:
        """What was done to processes."""
        return self.told.actions


def report_of(recording: Recording, path: str | None = None) -> Report:
    """Compute it; `path` is what the file is called if that is another than where it lies.

    MemtopError if so much is damaged that nothing can be told of who had the memory.
    """
    moments = recording.moments()
    runs = tuple(
        Made(run.at, run.memtop, run.host, run.interval_s, run.exact, run.settings)
        for run in recording.runs
    )
    told = told_of(recording.results(), recording.events())
    called = path or recording.path
    is_empty = recording.last_tick < recording.first_tick
    if not moments and not is_empty:
        raise Damaged(recording.damage or f"{called} is damaged: no sample can be read")
    if is_empty:
        return Report(
            called,
            None,
            None,
            0,
            runs,
            events=tuple(recording.events()),
            told=told,
            conclusions=tuple(Conclusion(*one, True) for one in told.verdicts),
            damage=recording.damage,
        )
    return _full(recording, called, runs, told, moments)


def _full(
    recording: Recording, path: str, runs: tuple[Made, ...], told: Told, moments: list[Moment]
) -> Report:
    events = recording.events()
    courses = recording.courses(moments)
    top = max(moments, key=lambda one: one.rss_kib)
    states, lost = _states(recording, top, events)
    times = {one.tick: one.at for one in moments}
    said = said_of(recording, times)
    known = Known(courses, said, states, courses.times[0], courses.times[-1])
    processes = processes_of(recording, known) if states else []
    groups: list[Subject] = []
    if states:
        identities = _identities(recording)
        groups = groups_of(recording.things(), known, processes, identities)
    by_number = [*groups, *processes]
    own = frozenset(state.own for state in states if state.own is not None)
    others = [one for one in by_number if one.kind == "group" or one.identity not in own]
    rooms = rooms_of(states)
    summit = next((one for one in states if one.tick == top.tick), None)
    marked = sorted(by_number, key=lambda one: one.lowest_kib - one.highest_kib)[:MOST_MARKED]
    numbers: dict[int, list[tuple[int, float]]] = {}
    for one in processes:
        if one.identity is not None:
            numbers.setdefault(one.identity.pid, []).append((one.number, one.first_at))
    return Report(
        path=path,
        first_at=moments[0].at,
        last_at=moments[-1].at,
        samples=len(moments),
        runs=runs,
        processes=tuple(processes),
        groups=tuple(groups),
        highest=highest_of(top, summit, courses, by_number),
        largest_rise=recording.largest_rise(),
        stretches=tuple(stretches_of(recording, events, moments, courses, marked)),
        events=tuple(events),
        told=told,
        conclusions=tuple(_conclusions(recording, path, courses, told, others, states, rooms)),
        rooms=tuple(rooms),
        why_no_limit=why_no_limit(states[-1]) if states else None,
        kills=tuple(kills_of(events, recording.fine(), numbers)),
        gaps=tuple(recording.gaps()),
        damage=recording.damage or lost,
        total_kib=moments[-1].rss_kib,
        own=own,
    )


def _states(
    recording: Recording, top: Moment, events: list[Event]
) -> tuple[list[State], str | None]:
    """The first state, those of OOM kills and of the highest sum, and the last one, by time; and
    why others cannot be read. MemtopError if none can be."""
    ticks = {recording.first_tick, recording.last_tick, top.tick}
    for event in [one for one in events if one.kind == "oom"][:5]:
        ticks.add(max(recording.first_tick, recording.tick_at(event.at) - 1))
    made: list[State] = []
    lost: MemtopError | None = None
    for tick in sorted(ticks):
        try:
            made.append(recording.state(tick))
        except MemtopError as error:
            lost = error
    if lost is not None and not made:
        raise lost
    return made, None if lost is None else lost.message


def _identities(recording: Recording) -> dict[int, Identity]:
    return {one.number: one.identity for one in recording.processes()}


def _conclusions(
    recording: Recording,
    path: str,
    courses: Courses,
    told: Told,
    subjects: list[Subject],
    states: list[State],
    rooms: list[Room],
) -> list[Conclusion]:
    if not states:
        return []
    ordered = sorted(subjects, key=order)
    return conclusions_of(recording, path, courses, told, ordered, states, rooms)
