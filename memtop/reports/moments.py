"""The moments that tell most: when all together had most, and what changed from mark to mark.

A mark names what begins. Scripts set it just before or just after they begin, so a rise that came
at most NEAR_S before a mark is the mark's. Actions are marks, too, and OOM kills where there are no
others. Sizes in KiB, times in seconds since the epoch.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from memtop.model.marks import between
from memtop.model.state import State
from memtop.recording.courses import Courses
from memtop.recording.recording import Event, Moment, Recording
from memtop.reports.subject import Subject
from memtop.reports.subjects import value_at

MOST_HOLDERS = 3
HOLDS = 0.9  # of what it had at the highest: since then it is that large
NEAR_S = 2.0
LEAST_KIB = 512
MOST_CHANGES = 6


class Holder(NamedTuple):
    """Who had how much: so many processes of that average; since when it was about that."""

    name: str
    pid: int | None
    group: str | None
    processes: int
    kib: int
    since_at: float | None
    largest_kib: int = 0

    @property
    def average_kib(self) -> float:
        """Of one of them."""
        return self.kib / max(1, self.processes)


class Highest(NamedTuple):
    """When all processes together had most, and who had most of it."""

    at: float
    rss_kib: int
    processes: int
    holders: tuple[Holder, ...]


class Change(NamedTuple):
    """How one process or group changed in a stretch: in sum, up to its highest, and down again."""

    subject: Subject
    before_kib: int | None
    after_kib: int | None
    change_kib: int | None
    rose_kib: int
    fell_kib: int


class Stretch(NamedTuple):
    """From a mark to the next one; before the first mark `text` is empty.

    `change_kib` is that of all processes together; `changes` those that are worth a word.
    """

    begin: float
    end: float
    text: str
    change_kib: int | None
    changes: tuple[Change, ...]


def highest_of(
    top: Moment, state: State | None, courses: Courses, subjects: Sequence[Subject]
) -> Highest | None:
    """The highest sum; `state` is the one at that moment."""
    if state is None:
        return None
    step = max(0, bisect_right(courses.times, top.at + 0.002) - 1)
    by_group = {one.group: one for one in subjects if one.kind == "group"}
    by_identity = {one.identity: one for one in subjects if one.kind == "process"}
    holders = [
        Holder(
            by_group[group.id].name if group.id in by_group else group.label,
            None,
            group.id,
            len(group.members),
            group.rss_kib,
            _since(courses, by_group.get(group.id), step),
            group.largest_kib,
        )
        for group in state.groups.values()
        if group.members
    ]
    for row in state.living():
        if row.group is None or row.group not in state.groups:
            one = by_identity.get(row.identity)
            name = one.name if one is not None else row.name
            since = _since(courses, one, step)
            holders.append(Holder(name, row.pid, None, 1, row.rss_kib or 0, since))
    holders.sort(key=lambda one: -one.kib)
    return Highest(top.at, top.rss_kib, top.processes, tuple(holders[:MOST_HOLDERS]))


def _since(courses: Courses, subject: Subject | None, step: int) -> float | None:
    """Since when it had about what it had at a step."""
    if subject is None or (value := value_at(courses, subject.number, step)) is None:
        return None
    at = step
    while (before := value_at(courses, subject.number, at - 1)) and before >= HOLDS * value:
        at -= 1
    return courses.times[at]


# -- from mark to mark ---------------------------------------------------------------------


class Values:
    """The memory of one or all at any time, sample by sample near marks."""

    def __init__(
        self, recording: Recording, moments: Sequence[Moment], marks: Sequence[Event]
    ) -> None:
        self._recording = recording
        self._moments = moments
        self._times = [one.at for one in moments]
        self._known: dict[int, Mapping[int, int]] = {}
        self._marks = sorted(one.at for one in marks)
        self._set = {one.at for one in marks if one.kind == "mark"}  # by people and scripts

    def at(self, number: int | None, at: float) -> int | None:
        """The least value of a number (None: of all together) at a time or just before it.

        A rise just before is left to what comes; a fall belongs to what was.
        """
        last = bisect_right(self._times, at + 0.002) - 1
        if last < 0:
            return None
        first = last
        if at in self._set:
            place = bisect_left(self._marks, at)
            begin = max(at - NEAR_S, self._marks[place - 1] if place else 0.0)
            first = min(last, max(0, bisect_right(self._times, begin) - 1))
        values = [self._value(number, place) for place in range(first, last + 1)]
        known = [value for value in values if value is not None]
        return min(known) if values[-1] is not None and known else None

    def end(self, number: int | None) -> int | None:
        """The value at the end."""
        return self._value(number, len(self._moments) - 1)

    def _value(self, number: int | None, place: int) -> int | None:
        moment = self._moments[place]
        if number is None:
            return moment.rss_kib
        if moment.tick not in self._known:
            self._known[moment.tick] = self._recording.values(moment.tick)
        return self._known[moment.tick].get(number)


def stretches_of(
    recording: Recording,
    events: Sequence[Event],
    moments: Sequence[Moment],
    courses: Courses,
    subjects: Sequence[Subject],
) -> list[Stretch]:
    """What changed from mark to mark, of all and of each; nothing without marks."""
    chosen = [one for one in events if one.kind in ("mark", "action")]
    chosen = chosen or [one for one in events if one.kind == "oom"]
    if not chosen or not moments:
        return []
    marks = [(one.at, one.text) for one in chosen]
    values = Values(recording, moments, chosen)
    first_at, last_at = moments[0].at, moments[-1].at

    def changes(number: int | None) -> list[tuple[float, float, str, int | None]]:
        def value(at: float) -> int | None:
            return values.end(number) if at >= last_at else values.at(number, at)

        made = between(marks, first_at, last_at, value)
        return [(one.begin, one.end, one.text, one.change_kib) for one in made]

    of_all = changes(None)
    found: list[list[Change]] = [[] for _ in of_all]
    for subject in subjects:
        if subject.highest_kib - subject.lowest_kib < LEAST_KIB:
            continue
        for place, (begin, end, _, _) in enumerate(of_all):
            before = values.at(subject.number, begin)
            is_last = end >= last_at
            after = values.end(subject.number) if is_last else values.at(subject.number, end)
            if one := _change(courses, subject, (begin, end), before, after):
                found[place].append(one)
    return [
        Stretch(begin, end, text, change, _worth(found[place]))
        for place, (begin, end, text, change) in enumerate(of_all)
    ]


def _change(
    courses: Courses,
    subject: Subject,
    time: tuple[float, float],
    before: int | None,
    after: int | None,
) -> Change | None:
    """What became of one in a stretch; None if nothing did."""
    begin, end = time
    first = bisect_left(courses.times, begin)
    last = bisect_right(courses.times, end - courses.step_s)
    inside = [
        value
        for step in range(first, last)
        if (value := value_at(courses, subject.number, step)) is not None
    ]
    if before is None and after is None and not inside:
        return None
    low, final = before or 0, after or 0
    # A value that is not there twice in a row is not what a level took.
    kept = [min(pair) for pair in pairwise(inside)] or inside
    top = max([*kept, low, final])
    rose, fell = top - low, top - final
    if max(rose, fell) < LEAST_KIB:
        return None
    return Change(subject, before, after, final - low, rose, fell)


def _worth(changes: list[Change]) -> tuple[Change, ...]:
    """Those that changed most; members of a group only if they make up most of its change."""
    groups = {
        one.subject.group: max(one.rose_kib, one.fell_kib)
        for one in changes
        if one.subject.kind == "group"
    }

    def tells(one: Change) -> bool:
        if one.subject.kind == "group" or one.subject.group not in groups:
            return True
        return max(one.rose_kib, one.fell_kib) >= groups[one.subject.group] / 2

    chosen = [one for one in changes if tells(one)]
    return tuple(sorted(chosen, key=lambda one: -max(one.rose_kib, one.fell_kib)))
