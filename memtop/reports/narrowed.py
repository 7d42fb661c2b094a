"""A recording of which only some processes are told: one and all below it, or only Python.

Sums are those of the chosen ones; a group is told if all its members are chosen. Who once was below
a process still is when that has ended. Nothing is written. Sizes in KiB, times in seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from memtop.errors import MemtopError, NoSuchProcess
from memtop.model.state import State
from memtop.recording.courses import UNKNOWN, Courses, Thing
from memtop.recording.recording import Event, Moment, Process, Recording, Result


class Narrowed(Recording):
    """Only `pid` and what was below it at any time, and only Python; NoSuchProcess if nobody is."""

    def __init__(self, path: str, *, pid: int | None = None, python: bool = False) -> None:
        super().__init__(path)
        everybody = super().processes()
        self._kept = {one.number for one in everybody}
        if pid is not None:
            self._kept = self._below({one.number for one in everybody if one.identity.pid == pid})
        if python:
            self._kept &= {row[2] for row in self._shelf.readable("facts") if row[14]}
        if everybody and not self._kept:
            who = f"process {pid}" if pid is not None else "process of Python"
            self.close()
            if pid is None:
                raise MemtopError(f"there is no {who} in {path}")
            raise NoSuchProcess(f"there is no {who} in {path}", command=f"memtop report {path}")
        self._identities = {one.identity for one in everybody if one.number in self._kept}
        left_out = {one.group for one in everybody if one.number not in self._kept}
        self._groups = {one.group for one in everybody if one.group is not None} - left_out
        self._pids = {one.pid for one in self._identities}

    def _below(self, tops: Collection[int]) -> set[int]:
        children: dict[int, set[int]] = {}
        for row in self._shelf.readable("facts"):
            if row[4] is not None:
                children.setdefault(row[4], set()).add(row[2])
        kept, todo = set[int](), list(tops)
        while todo:
            if (number := todo.pop()) not in kept:
                kept.add(number)
                todo += children.get(number, ())
        return kept

    def processes(self) -> list[Process]:
        """The chosen ones."""
        return [one for one in super().processes() if one.number in self._kept]

    def things(self) -> list[Thing]:
        """Without groups that somebody else is in, too."""
        return [one for one in super().things() if one.kind != "group" or one.name in self._groups]

    def results(self) -> list[Result]:
        """Those about the chosen ones."""
        return [one for one in super().results() if one.identity in self._identities]

    def events(self) -> list[Event]:
        """Without what was done to others."""
        return [one for one in super().events() if self._is_told(one)]

    def _is_told(self, event: Event) -> bool:
        detail = event.detail if isinstance(event.detail, dict) else {}
        return event.kind in ("mark", "oom") or detail.get("pid") in self._pids

    def state(self, tick: int) -> State:
        """With the chosen rows, and with the groups and limits that are theirs."""
        state = super().state(tick)
        rows = {who: row for who, row in state.rows.items() if who in self._identities}
        paths: set[str] = set()
        for path in {row.cgroup for row in rows.values()}:
            at = path
            while at is not None and at not in paths and at in state.limits:
                paths.add(at)
                at = state.limits[at].cgroup.parent
        return replace(
            state,
            rows=rows,
            growing=tuple(row for row in state.growing if row.identity in rows),
            groups={name: one for name, one in state.groups.items() if name in self._groups},
            limits={path: one for path, one in state.limits.items() if path in paths},
        )

    def moments(self) -> list[Moment]:
        """The sums of the chosen ones; of a long recording as finely as its courses are."""
        whole = super().moments()
        courses = super().courses(whole)
        sums, counts = [0] * len(courses.times), [0] * len(courses.times)
        for number in self._kept & courses.by_number.keys():
            course = courses.by_number[number]
            for step, low in enumerate(course.lows, course.first):
                if low != UNKNOWN:
                    sums[step] += low
                    counts[step] += 1
        if len(sums) == len(whole):
            steps: Iterator[int] = iter(range(len(whole)))
        else:
            steps = _steps([one.at for one in whole], courses)
        return [
            one._replace(rss_kib=sums[step], processes=counts[step])
            for one, step in zip(whole, steps, strict=True)
        ]


def _steps(times: Sequence[float], courses: Courses) -> Iterator[int]:
    """In which step of the courses each time lies."""
    step = 0
    for at in times:
        while step + 1 < len(courses.times) and courses.times[step + 1] <= at:
            step += 1
        yield step
