"""Makes the subjects of a report: every process and group of a recording, those that grow first.

What rested all the time is told by its value alone, so that thousands of them take no time. Sizes
in KiB, times in seconds since the epoch.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from memtop.model.state import State
from memtop.model.trends import GROWING, Trend
from memtop.model.window import RISE_KIB
from memtop.probe.sample import Identity
from memtop.recording.courses import UNKNOWN, Course, Courses, Thing
from memtop.recording.recording import Process, Recording
from memtop.reports.slope import (
    NOISE_KIB,
    Final,
    Series,
    Slope,
    comes_back,
    final_of,
    floors_of,
    slope_of,
)
from memtop.reports.stairs import Step, steps_of
from memtop.reports.subject import MATTERS_KIB, Members, Subject, order

WARM_SHARE, WARM_S = 1 / 4, 120.0  # how a life began says nothing about now
STARTS_FOR_S = 5.0  # what a program loads is no step
FINDINGS_THAT_TELL = ("one-grows", "many-grow", "many-processes")
NONE_GROWS = ("many-processes", "steady")


class Said(NamedTuple):
    """What was said of one: the last trend, since when, and when it was first leak-like."""

    trend: Trend
    at: float
    leak_at: float | None


class Known(NamedTuple):
    """What subjects are made of; `states` are those at the moments that tell most, the end last."""

    courses: Courses
    said: Mapping[int, Said]
    states: Sequence[State]
    begin_at: float
    last_at: float


def said_of(recording: Recording, times: Mapping[int, float]) -> dict[int, Said]:
    """The trends of all, by their numbers; `times` are those of the samples."""
    made: dict[int, Said] = {}
    for one in recording.trends():
        at = times.get(one.tick)
        if at is None:
            continue
        before = made.get(one.object)
        leak_at = before.leak_at if before is not None else None
        if leak_at is None and one.trend.word == "leak-like":
            leak_at = at
        since = at if before is None or before.trend.word != one.trend.word else before.at
        made[one.object] = Said(one.trend, since, leak_at)
    return made


def processes_of(recording: Recording, known: Known) -> list[Subject]:
    """All processes, those that grow or have grown most first."""
    living = known.states[-1].rows
    made = []
    for process in recording.processes():
        course = known.courses.by_number.get(process.number)
        if course is None or not course.lows:
            continue
        row = living.get(process.identity)
        one = _subject(known, process.number, course, is_born=_is_born(process, known))
        made.append(
            replace(
                one,
                identity=process.identity,
                group=process.group,
                name=_name(process),
                command=process.command,
                role=process.role,
                started_at=process.started_at,
                ended_at=process.ended_at,
                swap_kib=row.swap_kib if row is not None else None,
                framework=row.framework if row is not None else None,
            )
        )
    return sorted(made, key=order)


def groups_of(
    things: Sequence[Thing],
    known: Known,
    processes: Sequence[Subject],
    identities: Mapping[int, Identity],
) -> list[Subject]:
    """All groups that ever had a member, those that grow or have grown most first."""
    members: dict[str, list[Subject]] = {}
    for one in processes:
        if one.group is not None:
            members.setdefault(one.group, []).append(one)
    made = []
    for thing in things:
        course = known.courses.by_number.get(thing.number)
        inside = members.get(thing.name)
        if thing.kind != "group" or course is None or not inside:
            continue
        subject = _subject(known, thing.number, course, is_born=False)
        words = thing.words
        parent = words.get("parent")
        made.append(
            replace(
                subject,
                kind="group",
                identity=identities.get(parent) if isinstance(parent, int) else None,
                group=thing.name,
                name=str(words.get("label") or thing.name),
                role=_text(words.get("role")),
                framework=_text(words.get("framework")),
                members=_members(thing.name, inside, known),
            )
        )
    return sorted(made, key=order)


def series_of(courses: Courses, course: Course, since: float | None = None) -> Series:
    """When each known value of a course was, and the least values."""
    lows: Sequence[int] = course.lows
    times: Sequence[float] = courses.times[course.first : course.first + len(lows)]
    if UNKNOWN in lows:
        known = [(at, low) for at, low in zip(times, lows, strict=True) if low != UNKNOWN]
        times, lows = [at for at, _ in known], [low for _, low in known]
    begin = 0 if since is None else bisect_left(times, since)
    return (times[begin:], lows[begin:]) if begin else (times, lows)


def value_at(courses: Courses, number: int, step: int) -> int | None:
    """The least value of a step; None if it is not known then."""
    course = courses.by_number.get(number)
    if course is None or not 0 <= step - course.first < len(course.lows):
        return None
    low = course.lows[step - course.first]
    return None if low == UNKNOWN else low


def _subject(known: Known, number: int, course: Course, *, is_born: bool) -> Subject:
    """What its course and its trends tell; who it is comes later."""
    courses = known.courses
    times, first, lows, highs = courses.times, course.first, course.lows, course.highs
    first_at, last_at = times[first], times[first + len(lows) - 1]
    lowest = min(lows)
    if lowest == UNKNOWN:
        lowest = min(low for low in lows if low != UNKNOWN)
    highest = max(highs)
    said = known.said.get(number)
    seconds = last_at - first_at
    trend = said.trend.word if said is not None else "new"
    slope, change = None, lows[-1] - lows[0]
    steps: tuple[Step, ...] = ()
    final = Final("plateau", None, NOISE_KIB / (seconds / 4)) if seconds > 0 else Final("short")
    if highest - lowest >= RISE_KIB:
        warm_s = min(WARM_S, WARM_SHARE * seconds) if is_born else 0.0
        series = series_of(courses, course, first_at + warm_s)
        slope, final = slope_of(series), final_of(series)
        floors = floors_of(series)
        change = floors[-1][1] - floors[0][1]
        if trend == "leak-like" and final.word != "growing":
            final = _since(known, said) or final
        if trend not in GROWING:
            if final.word == "growing" and comes_back(series):
                final = Final("unsure", slope)
            if highest - lowest >= MATTERS_KIB:
                begun_at = first_at + min(warm_s, STARTS_FOR_S)
                steps = steps_of(series_of(courses, course, begun_at))
    return Subject(
        kind="process",
        number=number,
        identity=None,
        group=None,
        name="",
        command=None,
        role=None,
        framework=None,
        started_at=None,
        ended_at=None,
        first_at=first_at,
        last_at=last_at,
        first_kib=_first(lows),
        last_kib=_first(reversed(lows)),
        lowest_kib=lowest,
        highest_kib=highest,
        highest_at=times[first + highs.index(highest)],
        change_kib=change,
        slope=None if steps else slope,
        final=final,
        trend=trend,
        said_since=said.at if said is not None else None,
        leak_at=said.leak_at if said is not None else None,
        steps=steps,
    )


def _since(known: Known, said: Said | None) -> Final | None:
    """What was said last of growth that is younger than the last quarter; None if no slope was."""
    now, trend = known.states[-1], said.trend if said is not None else Trend("new")
    if trend.since_s is None or not trend.slope_bytes_s or not trend.low_bytes_s:
        return None
    slope, low, high = (
        one / 1024
        for one in (
            trend.slope_bytes_s,
            trend.low_bytes_s,
            trend.high_bytes_s or trend.slope_bytes_s,
        )
    )
    return Final("growing", Slope(slope, low, high, now.clock_s - trend.since_s, 0))


def _first(values: Iterable[int]) -> int:
    return next(kib for kib in values if kib != UNKNOWN)


def _is_born(process: Process, known: Known) -> bool:
    """Whether it began while it was watched, or so shortly before that it was still coming up."""
    started = process.started_at
    return started is not None and started >= known.begin_at - 5.0


def _members(name: str, inside: Sequence[Subject], known: Known) -> Members:
    begin, end = known.begin_at, known.last_at
    there = [one for one in inside if one.first_at <= begin]
    left = [one for one in inside if one.ended_at is None and one.last_at >= end]
    stayed = [one for one in there if one.ended_at is None]
    born = [one for one in inside if one.first_at > begin]
    dead = [one for one in inside if one.ended_at is not None]
    findings = [state.groups[name] for state in known.states if name in state.groups]
    telling = [one.finding for one in reversed(findings) if one.finding in FINDINGS_THAT_TELL]
    finding, growing = telling[0] if telling else "steady", sum(one.grows for one in left)
    if growing and finding in NONE_GROWS:  # what was said before, or is not said yet
        finding = "one-grows" if growing == 1 else "many-grow"
    return Members(
        begin=len(there),
        end=len(left),
        most=_most_at_once(inside),
        births=len(born),
        deaths=len(dead),
        born_kib=sum(one.last_kib for one in born if one.ended_at is None),
        died_kib=-sum(one.first_kib for one in there if one.ended_at is not None),
        grown_kib=sum(one.last_kib - one.first_kib for one in stayed),
        finding=finding,
        growing=growing,
    )


def _most_at_once(inside: Sequence[Subject]) -> int:
    moves = sorted(
        [(one.first_at, 1) for one in inside]
        + [(one.last_at, -1) for one in inside if one.ended_at is not None]
    )
    most = now = 0
    for _, step in moves:
        now += step
        most = max(most, now)
    return most


def _name(process: Process) -> str:
    """Its title, or else its command without the folder of its program."""
    if process.title:
        return process.title
    command = process.command or process.name or ""
    first, blank, rest = command.partition(" ")
    if first.startswith("/") and not first.endswith("/"):
        command = first.rsplit("/", 1)[1] + blank + rest
    return command if command.strip() else "(no name)"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
