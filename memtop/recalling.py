"""What a recording knows of processes that are diagnosed: how they grew, and earlier looks inside.

Only a recording of this boot knows them. Nothing is written here. Times are seconds.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection

from memtop.anatomy.objects import Objects
from memtop.anatomy.result import Anatomy
from memtop.evidence.looking import Look
from memtop.kept import recalled
from memtop.model.state import State
from memtop.model.tracker import Tracker
from memtop.probe.sample import Identity
from memtop.recording.recording import Recording
from memtop.recording.resuming import resume
from memtop.recording.session import boot_id_of

LEAST_SAMPLES = 6  # of watching, at the interval of the recording
APART_S, APART_SHARE = 15.0, 0.05  # an anatomy and a census that are closer are one look
STARTS_FOR_S = 4.0  # what a process takes while it starts up is compared with nothing


class Recollection:
    """The recording at `path`; MemtopError if it is none.

    `interval_s`: at which somebody who watches for `for_s` goes on with it; None if it is of
    another boot, empty, or too slow for that, and then `why_not` says so, unless it is empty.
    """

    def __init__(self, path: str, for_s: float, *, root: str = "/proc") -> None:
        self.path, self._boot_id = path, boot_id_of(root)
        self._recording = Recording(path)
        self.interval_s: float | None = None
        recording = self._recording
        self._is_known = recording.last_tick >= recording.first_tick and (
            self._boot_id is not None and recording.runs[-1].boot_id == self._boot_id
        )
        self.why_not: str | None = None
        if recording.last_tick < recording.first_tick:
            return
        interval_s = recording.runs[-1].interval_s
        if not self._is_known:
            self.why_not = f"{path} is of another boot: how it grew before is not known"
        elif interval_s * LEAST_SAMPLES > for_s:
            longer = f"--for {math.ceil(interval_s * LEAST_SAMPLES)}s"
            self.why_not = f"{path} has a sample every {interval_s:g} s: {longer} uses them"
        else:
            self.interval_s = interval_s

    def close(self) -> None:
        """Give the file back."""
        self._recording.close()

    def resume(self, tracker: Tracker, clock_s: float) -> frozenset[Identity]:
        """Let a new tracker know how they grew before `clock_s`; those that it knows then."""
        if self.interval_s is None:
            return frozenset()
        past = resume(self.path, tracker, self._boot_id, self.interval_s, clock_s)
        return past.living

    def before(self, state: State) -> State | None:
        """The state at the begin of what a tracker was told, where that gave it this one."""
        begin_at = state.taken_at - state.watched_s
        if not self._is_known or begin_at >= self._recording.time_of(self._recording.last_tick):
            return None
        return self._recording.state_at(begin_at)

    def looks(self) -> list[Look]:
        """The earliest look inside of each process that still lived when the recording ended.

        Without an anatomy and a census of about the same moment there is none of a Python: what
        grows could not be told.
        """
        if not self._is_known:
            return []
        last = self._recording.state(self._recording.last_tick)
        anatomies: dict[Identity, list[Anatomy]] = {}
        counts: dict[Identity, list[Objects]] = {}
        for row in self._recording.results():
            if row.identity is None or row.identity not in last.rows:
                continue
            answer = recalled(row)
            if isinstance(answer, Anatomy):
                anatomies.setdefault(row.identity, []).append(answer)
            elif isinstance(answer, Objects):
                counts.setdefault(row.identity, []).append(answer)
        made: list[Look] = []
        for identity, taken in anatomies.items():
            born_at = last.rows[identity].started_at or 0.0
            found = _earliest(taken, counts.get(identity, ()), born_at + STARTS_FOR_S, last)
            if found is not None:
                made.append(self._look(identity, *found))
        return made

    def _look(self, identity: Identity, anatomy: Anatomy, objects: Objects | None) -> Look:
        """It is compared with one of the same program only, so that is remembered, too."""
        row = self._recording.state_at(anatomy.taken_at).rows.get(identity)
        return Look(
            identity,
            anatomy,
            objects,
            exe=row.exe if row is not None else None,
            command=row.command if row is not None else None,
        )


def recollect(path: str | None, for_s: float, *, root: str = "/proc") -> Recollection | None:
    """What is known from the recording at `path`; None if there is no such file."""
    if path is None or not os.path.lexists(path):
        return None
    return Recollection(path, for_s, root=root)


def _earliest(
    anatomies: Collection[Anatomy], counts: Collection[Objects], from_at: float, now: State
) -> tuple[Anatomy, Objects | None] | None:
    """The first anatomy with the census nearest to it."""
    for anatomy in sorted(anatomies, key=lambda one: one.taken_at):
        if anatomy.taken_at < from_at:
            continue
        if anatomy.python is None:
            return anatomy, None
        apart_s = max(APART_S, APART_SHARE * (now.taken_at - anatomy.taken_at))
        near = [one for one in counts if abs(one.taken_at - anatomy.taken_at) <= apart_s]
        if near:
            return anatomy, min(near, key=lambda one: abs(one.taken_at - anatomy.taken_at))
    return None
