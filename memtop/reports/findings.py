"""Why memory grew: what was diagnosed while it was recorded, else what the recording itself tells.

The rules are asked about those who grew most, at the last sample at which they lived, with all of
the time that was recorded and with every look that is in it. Nothing is looked into. Where nobody
did, and the rules know no more than how memory moved, no cause is claimed: it is said that nobody
looked, and what would. Times in seconds since the epoch.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from memtop.diagnosis.diagnosis import diagnose
from memtop.diagnosis.evidence import Evidence
from memtop.diagnosis.finding import Finding, Lack
from memtop.errors import MemtopError
from memtop.evidence.evidence import Around, evidence_of, evidence_of_group, evidence_of_limit
from memtop.evidence.watch import watch_over
from memtop.model.state import State
from memtop.probe.sample import Identity
from memtop.recording.courses import UNKNOWN, Courses
from memtop.recording.recording import Recording
from memtop.render.finding import MOVES, Verdict
from memtop.reports.inside import Inside, Told
from memtop.reports.limits import Room
from memtop.reports.subject import Subject
from memtop.reports.words import change, span, who

MOST_ASKED = 3  # processes about which the rules are asked
MOST_CROWDS = 2
LEAST_KIB = 4096  # of a rise after whose cause somebody asks
NEEDS_IT = re.compile(r"\b(?:memtop (?:anatomy|census|trim|gc|snapshot|diagnose)|kill|[a-zA-Z] \()")
THE_NEXT = (
    "It has ended. Let memtop record FILE run until the next one grows, and then memtop diagnose "
    "PID --record FILE while it lives"
)


class Conclusion(NamedTuple):
    """A verdict, when it was reached, and whether somebody asked for it while it was recorded."""

    at: float
    identity: Identity | None
    verdict: Verdict
    was_asked: bool


def conclusions_of(
    recording: Recording,
    path: str,
    courses: Courses,
    told: Told,
    subjects: Sequence[Subject],
    states: Sequence[State],
    rooms: Sequence[Room],
) -> list[Conclusion]:
    """The last diagnosis of each process that has one, and without any what the rules say now.

    `path` is what the recording is called in a command.
    `states`: the first one, that of the highest sum, and the last one.
    """
    asked = {identity: (at, verdict) for at, identity, verdict in told.verdicts}
    ended = {one.identity for one in subjects if one.ended_at is not None}
    made = [
        Conclusion(at, whose, _afterwards(verdict, ended), True)
        for whose, (at, verdict) in asked.items()
    ]
    if made:
        return sorted(made, key=lambda one: -one.at)
    return list(_reached(recording, path, courses, told, subjects, states, rooms))


def _afterwards(verdict: Verdict, ended: Collection[Identity | None]) -> Verdict:
    """Without the steps and commands that need somebody who has ended since."""
    gone = {one.pid for one in ended if one is not None}
    return verdict._replace(
        findings=tuple(without_living(one) if one.pid in gone else one for one in verdict.findings)
    )


def without_living(finding: Finding) -> Finding:
    """A finding about a process that has ended: nobody can look into it or do anything to it."""
    step = finding.next_step
    return replace(
        finding,
        missing=tuple(lack._replace(key=None, command=None) for lack in finding.missing),
        next_step=THE_NEXT if NEEDS_IT.search(step) else step,
    )


def _reached(
    recording: Recording,
    path: str,
    courses: Courses,
    told: Told,
    subjects: Sequence[Subject],
    states: Sequence[State],
    rooms: Sequence[Room],
) -> Iterator[Conclusion]:
    inside = {one.identity: one for one in told.inside}
    first = states[0]
    chosen = [one for one in subjects if one.kind == "process" and one.moved][:MOST_ASKED]
    for one in chosen:
        state = _last_alive(recording, one, states[-1])
        if state is None or one.identity is None or one.identity not in state.rows:
            continue
        seen = inside.get(one.identity, Inside(one.identity, one.name))
        evidence = _evidence(state, one, seen, told, courses, first)
        made = _concluded(evidence, state, one.identity)
        if made.verdict.looks == 0 and made.verdict.first.cause in MOVES:
            if one.grows or one.highest_kib - one.first_kib >= LEAST_KIB:
                yield made._replace(verdict=_unseen(made.verdict, one, path))
        elif one.ended_at is not None:
            yield made._replace(verdict=_afterwards(made.verdict, {one.identity}))
        else:
            yield made
    # Groups and limits at the moment that tells most: the end, else the highest sum.
    crowds = [one for one in subjects if one.members and one.members.finding == "many-processes"]
    crowds.sort(key=lambda one: one.first_kib - one.highest_kib)
    for group in crowds[:MOST_CROWDS]:
        state = _telling(states, group)
        if state is not None and group.group is not None:
            band = state.groups[group.group]
            around = Around(before=first, tree=(band.parent,))
            yield _concluded(_at_home(evidence_of_group(state, band, around=around)), state, None)
    for room in rooms:
        capacity = room.limit.capacity
        state = next((each for each in states if each.taken_at == room.at), states[-1])
        if capacity is None or not capacity.warns:
            continue
        try:
            evidence = evidence_of_limit(state, room.limit, around=Around(before=first))
        except KeyError:
            continue
        yield _concluded(_at_home(evidence), state, None)


def _unseen(verdict: Verdict, one: Subject, path: str) -> Verdict:
    """That nobody looked inside, and what would."""
    rise = change(max(one.change_kib, one.highest_kib - one.first_kib))
    command = f"memtop diagnose {one.pid} --record {shlex.quote(path)}"
    inside = Lack("what its memory is made of", "nobody looked inside", command=command)
    unknown = Finding(
        cause="unknown",
        headline=f"not known: nobody looked inside {who(one)}, which took {rise}",
        confidence=0.0,
        pid=one.pid,
        role=one.role,
        supporting=(f"{change(one.last_kib - one.first_kib)} in {span(one.seconds)}.",),
        missing=(inside,),
        next_step=f"`{command}` tells what it is made of, while it lives",
    )
    if one.ended_at is not None:
        unknown = replace(without_living(unknown), next_step=THE_NEXT)
    return verdict._replace(findings=(unknown,))


def _evidence(
    state: State, one: Subject, seen: Inside, told: Told, courses: Courses, first: State
) -> Evidence:
    assert one.identity is not None
    row = state.rows[one.identity]
    before = first if first.taken_at < state.taken_at else None
    evidence = evidence_of(
        state,
        one.identity,
        anatomies=(seen.first, seen.last),
        objects=(seen.first_objects, seen.last_objects),
        results=[each for each in told.acted if each.identity == one.identity],
        around=Around(before=before, tree=(one.identity,)),
    )
    course = courses.by_number[one.number]
    known = [pair for pair in zip(course.lows, course.highs, strict=True) if pair[0] != UNKNOWN]
    watch = watch_over(
        state,
        row,
        [low for low, _ in known],
        [high for _, high in known],
        courses.step_s,
        before=before,
        from_recording=True,
    )
    return _at_home(replace(evidence, watch=watch))


def _at_home(evidence: Evidence) -> Evidence:
    """Without what is that of the machine on which the report is made."""
    return replace(evidence, subject=replace(evidence.subject, cpus=None))


def _concluded(evidence: Evidence, state: State, identity: Identity | None) -> Conclusion:
    watched_s = evidence.watch.seconds if evidence.watch is not None else state.watched_s
    first, last = evidence.first, evidence.last
    looks = (first is not None) + (last is not None)
    between_s = last.taken_at - first.taken_at if first is not None and last is not None else 0.0
    findings: tuple[Finding, ...] = diagnose(evidence)
    verdict = Verdict(findings, state.taken_at, watched_s, looks, between_s)
    return Conclusion(state.taken_at, identity, verdict, False)


def _last_alive(recording: Recording, one: Subject, last: State) -> State | None:
    """The state at the last sample at which it lived."""
    if one.ended_at is None:
        return last
    try:
        tick = recording.tick_at(one.ended_at)
        for back in range(min(3, tick - recording.first_tick) + 1):
            state = recording.state(tick - back)
            row = state.rows.get(one.identity) if one.identity is not None else None
            if row is not None and row.ended_at is None:
                return state
    except MemtopError:
        pass
    return None


def _telling(states: Sequence[State], group: Subject) -> State | None:
    """The last of the states in which something was found about a group."""
    for state in reversed(states):
        band = state.groups.get(group.group or "")
        if band is not None and band.finding == "many-processes":
            return state
    return None
