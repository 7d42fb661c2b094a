"""Watches a process and all below it for a while, and gathers what a diagnosis needs.

First looks go into those that may matter, also into those that begin to grow meanwhile; the last
one into whose memory it is. Who samples is somebody else: states come from a function. Nothing is
changed in any process, and none is stopped. Times in seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from memtop.anatomy.image import Cancelled
from memtop.diagnosis.evidence import Evidence
from memtop.diagnosis.finding import Lack
from memtop.errors import Denied
from memtop.evidence.choosing import contenders, first_ones, grows, next_ones, who_died
from memtop.evidence.evidence import Around, evidence_of
from memtop.evidence.files import (
    Moved,
    Shm,
    moved,
    moved_since,
    shared_memory,
    stack_start,
    uses_shared_memory,
)
from memtop.evidence.looking import Look, Looker, take_look
from memtop.evidence.surroundings import is_frozen
from memtop.model import forest
from memtop.model.capacity import Capacity
from memtop.model.state import Row, State
from memtop.probe.sample import Identity
from memtop.units import duration

SETTLES_S = 1.0  # command lines are read beside the samples
NO_MORE_FIRST = 0.75  # of the time; a first look that comes later has nothing to be compared with
MOST_LOOKS = 12
MOST_MAPS = 50


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was found about those whose memory it may be, the likeliest first.

    There is none if all have ended before anything was known. `ended`: the process that was asked
    for, and all below it, are gone. `denied`: not even smaps of the first one may be read.
    `looks`: those that were taken here into them, of each the first one and the last one.
    """

    evidences: tuple[Evidence, ...]
    state: State
    seconds: float
    ended: bool = False
    denied: Denied | None = None
    looks: tuple[Look, ...] = ()


class Inquiry:
    """One process and those below it.

    `next_state` waits for the next sample and gives the state after it; it is told which PIDs are
    looked at. `tell` gets what is done now, in words. When `cancel` is set, what is known so far
    is the answer. `known`: looks that somebody took before, which then are the first ones.
    `earlier` gives the state with which the watching began that the first state knows of, None if
    it is the first one: a recording may know the hours before.
    """

    def __init__(
        self,
        asked: Identity,
        next_state: Callable[[Collection[int]], State],
        *,
        for_s: float = 30.0,
        root: str = "/proc",
        tell: Callable[[str], None] | None = None,
        cancel: threading.Event | None = None,
        known: Collection[Look] = (),
        earlier: Callable[[State], State | None] | None = None,
    ) -> None:
        self._asked, self._next, self._for_s, self._root = asked, next_state, for_s, root
        self._tell, self._cancel = tell or (lambda _: None), cancel or threading.Event()
        self._tree: dict[Identity, None] = {asked: None}
        self._programs: dict[Identity, Look] = {}
        self._stacks: dict[Identity, int | None] = {}
        self._changed: dict[Identity, State] = {}
        self._shm: dict[int, Shm | None] = {}
        self._used: dict[int, Moved | None] = {}
        self._is_first, self._has_begun = True, False
        self._earlier = earlier or (lambda _: None)
        self._has_history = False
        self._moved: Moved | None = None
        self._uses_shm = False
        self._fullest: Capacity | None = None
        self._looker = Looker(root=root, tell=self._tell, cancel=self._cancel)
        self._known = tuple(known)
        for one in known:
            self._looker.asked.add(one.identity)
            self._looker.looks[one.identity] = one

    def run(self) -> Gathered:
        """Watch, look, and put it together."""
        begin = time.monotonic()
        try:
            state = self._follow()
            before = self._earlier(state)
            first, self._has_history = before or state, before is not None
            if before is not None:  # what it did before belongs to what was watched
                self._used = {pid: Moved() for pid in self._used}
            while not self._cancel.is_set():
                passed_s = time.monotonic() - begin
                if passed_s >= self._for_s or not self._living(state):
                    break
                if passed_s >= min(SETTLES_S, self._for_s / 4):
                    self._look_around(state, passed_s)
                self._tell(f"watches for {duration(self._for_s - passed_s + 1)} more")
                state = self._follow()
            return self._conclude(state, first, time.monotonic() - begin)
        finally:
            self._looker.close()

    # -- while it is watched ---------------------------------------------------------------

    def _follow(self) -> State:
        """The next state, and who belongs to the tree by then."""
        state = self._next([one.pid for one in self._tree])
        seen: set[Identity] = set()
        for top in list(self._tree):  # a child that has lost its parent stays
            if top not in seen:
                seen.update(forest.subtree(state.children, top))
        self._tree |= {one: None for one in seen if one in state.rows and one != state.own}
        for row in self._living(state):
            if row.pid not in self._shm:
                self._shm[row.pid] = shared_memory(row.pid, self._root)
                # What it has read before is not counted, and of who was born meanwhile all is.
                self._used[row.pid] = moved(row.pid, self._root) if self._is_first else Moved()
            self._note_program(state, row)
        self._is_first = False
        limits = (state.limit_of(row) for row in self._living(state))
        for capacity in {limit.capacity for limit in limits if limit and limit.capacity}:
            if self._fullest is None or _fill(capacity) >= _fill(self._fullest):
                self._fullest = capacity
        return state

    def _note_program(self, state: State, row: Row) -> None:
        """Remember which program it runs, and when it became another one."""
        before = self._programs.get(row.identity)
        stack, old = stack_start(row.pid, self._root), self._stacks.get(row.identity)
        self._stacks[row.identity] = stack or old
        is_other = before is not None and before.is_of_another_program(row)
        if is_other or (stack and old and stack != old):
            self._changed[row.identity] = state
            self._looker.forget(row.identity)
            before = None
        if before is None or before.exe is None:
            self._programs[row.identity] = Look(row.identity, exe=row.exe, command=row.command)

    def _living(self, state: State) -> list[Row]:
        rows = (state.rows.get(one) for one in self._tree)
        return [row for row in rows if row and row.ended_at is None and row.state not in ("Z", "X")]

    def _look_around(self, state: State, passed_s: float) -> None:
        """Ask for first looks."""
        tree, looker = self._living(state), self._looker
        if not self._has_begun:
            self._has_begun = True
            for row in first_ones(tree, self._asked):
                looker.ask(row)
        elif passed_s < NO_MORE_FIRST * self._for_s:
            for row in next_ones(state, tree, looker.asked):
                if len(looker.asked) < MOST_LOOKS:
                    looker.ask(row)

    # -- at the end ------------------------------------------------------------------------

    def _conclude(self, state: State, before: State, seconds: float) -> Gathered:
        """Look once more into those whose memory it may be, and put it together."""
        tree = self._living(state)
        rows = contenders(state, tree, self._asked)
        self._looker.drop()
        self._await_first_looks()
        last: dict[Identity, Look] = {}
        for row in rows:
            if self._cancel.is_set():
                break
            self._tell(f"looks into {row.pid} {row.name}")
            try:
                last[row.identity] = take_look(row, root=self._root, cancel=self._cancel)
            except Cancelled:
                break
        state = self._follow()
        chosen = [row.identity for row in rows]
        dead = who_died(state, (state.rows[one] for one in self._tree if one in state.rows))
        if dead is not None and not any(grows(state, row) for row in rows):
            chosen.insert(0, dead.identity)
        alive = {row.identity for row in self._living(state)}
        # Of a worker that has just gone, as others do, less can be told than of who is there.
        chosen = [one for one in chosen if one in alive or (dead and one == dead.identity)] or (
            chosen
        )
        if not chosen:  # all have ended: of whoever was largest most can be told
            chosen = [max(self._tree, key=lambda one: _size(state, one))]
        living = [row.pid for row in self._living(state)]
        self._moved = moved_since(self._used, living, self._root)
        self._uses_shm = any(uses_shared_memory(pid, self._root) for pid in living[:MOST_MAPS])
        evidences = [
            self._evidence(state, before, one, last.get(one)) for one in chosen if one in state.rows
        ]
        looks = (last.get(chosen[0]), self._looker.looks.get(chosen[0]))
        denied = next((one.denied for one in looks if one and one.denied), None)
        taken = [
            look
            for one in chosen
            for look in (self._looker.looks.get(one), last.get(one))
            if look is not None and look not in self._known
        ]
        return Gathered(tuple(evidences), state, seconds, not tree, denied, tuple(taken))

    def _evidence(
        self, state: State, before: State, identity: Identity, last: Look | None
    ) -> Evidence:
        first = self._looker.looks.get(identity)
        lacks: list[Lack] = []
        changed = self._changed.get(identity)
        runs_s = state.watched_s if self._has_history else None
        if changed is not None:
            # The sample that showed it may have the RSS of before.
            runs_s = max(0, state.tick - changed.tick - 1) * state.interval_s
            ago = duration(state.clock_s - changed.clock_s)
            lacks.append(Lack("what was before", f"it has become another program {ago} ago"))
            if first is not None and (
                first.is_of_another_program(state.rows[identity])
                or (first.anatomy is not None and first.anatomy.taken_at < changed.taken_at)
            ):
                first = None
        latest = last or first
        lacks += latest.lacks if latest is not None else ()
        around = Around(
            before=before,
            shm=(self._shm.get(identity.pid), shared_memory(identity.pid, self._root)),
            asked=self._asked,
            tree=tuple(self._tree),
            watched_s=runs_s,
            is_recorded=self._has_history and changed is None,
            frozen=is_frozen(identity, self._root),
            fullest=self._fullest,
            moved=self._moved,
            uses_shm=self._uses_shm,
            rss_shmem={
                one.anatomy.taken_at: one.shmem_bytes
                for one in (first, last)
                if one is not None and one.anatomy is not None and one.shmem_bytes is not None
            },
            lacks=tuple(lacks),
        )
        return evidence_of(
            state,
            identity,
            anatomies=(first.anatomy if first else None, last.anatomy if last else None),
            objects=(first.objects if first else None, last.objects if last else None),
            around=around,
        )

    def _await_first_looks(self) -> None:
        while not self._looker.is_idle and not self._cancel.is_set():
            time.sleep(0.05)


def _fill(capacity: Capacity) -> tuple[bool, int]:
    return capacity.warns, capacity.children_at_worst_bytes


def _size(state: State, identity: Identity) -> int:
    row = state.rows.get(identity)
    return -1 if row is None else row.peak_kib or row.rss_kib or 0
