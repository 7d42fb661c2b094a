"""Puts together what is known about one process, a group, or a limit, for a diagnosis.

Pure: nothing is read here. The looks come from whoever took them, in pairs: the first and the last
one; either may be None. What is not known is named, with the key and the command that would tell.
Sizes in bytes, times in seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from memtop.anatomy.objects import Objects
from memtop.anatomy.result import Anatomy
from memtop.diagnosis.evidence import Evidence, Room, Subject
from memtop.diagnosis.finding import Lack
from memtop.evidence.files import Moved, Shm
from memtop.evidence.looks import Acted, done_of, lack_of, memory_of, types_of
from memtop.evidence.room import Share, kills_between, room_of
from memtop.evidence.surroundings import crowd_of, group_around, subject_of, tree_change_kib
from memtop.evidence.watch import watch_of
from memtop.model import forest
from memtop.model.capacity import Capacity
from memtop.model.groups import Group
from memtop.model.limits import Limit
from memtop.model.state import Row, State
from memtop.probe.sample import Identity

LEAST_APART_S = 3.0  # between looks that are closer nothing can be told from noise


@dataclass(frozen=True, slots=True)
class Around:
    """What is known besides the process: how it was before, who was asked for, what is missing.

    `before` is an earlier state; `shm` what its /dev/shm held then and holds now. `tree`: the
    processes that were asked for, below `asked`; without it, all that is below that. `watched_s`:
    so long it runs the program that it runs, or a recording knows it; None is as long as a screen
    shows. `is_recorded`: its history is also that of a recording. `frozen`: a
    cgroup keeps it from running. `fullest`: the capacity when most children ran.
    `moved`: what the tree has read, written and touched since `before`; `uses_shm`: whether any
    process of it has shared memory. `rss_shmem`: RssShmem by the moment of an anatomy.
    """

    before: State | None = None
    shm: tuple[Shm | None, Shm | None] = (None, None)
    asked: Identity | None = None
    tree: Collection[Identity] = ()
    watched_s: float | None = None
    is_recorded: bool = False
    fullest: Capacity | None = None
    frozen: bool = False
    moved: Moved | None = None
    uses_shm: bool = True
    rss_shmem: Mapping[float, int] = field(default_factory=dict)
    lacks: tuple[Lack, ...] = ()


NOTHING = Around()


def evidence_of(
    state: State,
    identity: Identity,
    *,
    anatomies: tuple[Anatomy | None, Anatomy | None] = (None, None),
    objects: tuple[Objects | None, Objects | None] = (None, None),
    results: Iterable[Acted] = (),
    around: Around = NOTHING,
) -> Evidence:
    """What is known about one process. KeyError if the state does not know it.

    One look alone is the last one. Counts of objects are compared only if both are of one source.
    """
    row = state.rows[identity]
    first, last = _pair(anatomies)
    first_objects, last_objects = _pair(objects)
    if first_objects and last_objects and first_objects.source != last_objects.source:
        first_objects = None
    group = group_around(state, row)
    asked = around.asked or identity
    tree = _living(state, around.tree or forest.subtree(state.children, asked))
    return Evidence(
        now=state.taken_at,
        subject=subject_of(
            state,
            row,
            python=_python(last, last_objects),
            frozen=around.frozen,
            before=around.before,
        ),
        watch=watch_of(state, row, around.before, around.watched_s, is_recorded=around.is_recorded),
        first=None if first is None else memory_of(first, around.rss_shmem.get(first.taken_at)),
        last=None if last is None else memory_of(last, around.rss_shmem.get(last.taken_at)),
        first_types=None if first_objects is None else types_of(first_objects),
        last_types=None if last_objects is None else types_of(last_objects),
        done=done_of(results),
        crowd=None if group is None else crowd_of(state, group),
        room=_room(state, state.limit_of(row), around, tree),
        asked_pid=asked.pid,
        tree_processes=max(1, len(tree)),
        tree_change_bytes=tree_change_kib(state, tree) * 1024 if tree else None,
        lacks=_lacks(row, last, last_objects, around.lacks),
    )


def evidence_of_group(state: State, group: Group, *, around: Around = NOTHING) -> Evidence:
    """What is known about the workers of one parent, without a look into any."""
    return replace(_from_outside(state, group.parent, around), crowd=crowd_of(state, group))


def evidence_of_limit(state: State, limit: Limit, *, around: Around = NOTHING) -> Evidence:
    """What is known about a cgroup, without a look into any process.

    Its subject is the parent of those who may together exceed the limit, else who grows most below
    it, else the first process there. KeyError if nobody lives there.
    """
    path = limit.cgroup.path
    inside = [row for row in state.living() if path in _line(state, row)]
    if not inside:
        raise KeyError(path)
    capacity = limit.capacity
    crowd = state.groups.get(capacity.group) if capacity is not None and capacity.warns else None
    growing = [row for row in inside if row.is_growing]
    if crowd is not None:
        chosen = crowd.parent
    elif growing:
        chosen = max(growing, key=lambda row: row.rate_bytes_s or 0.0).identity
    else:
        chosen = min(row.identity for row in inside)
    evidence = replace(
        _from_outside(state, chosen, around), room=_room(state, limit, around, inside)
    )
    return evidence if crowd is None else replace(evidence, crowd=crowd_of(state, crowd))


def _from_outside(state: State, identity: Identity, around: Around) -> Evidence:
    """About a process that nobody looked into; of one that is gone only its number is known."""
    if identity in state.rows:
        return evidence_of(state, identity, around=around)
    gone = Subject(identity.pid, name="", ended=True)
    return Evidence(now=state.taken_at, subject=gone, asked_pid=identity.pid)


class _Taken(Protocol):
    @property
    def taken_at(self) -> float: ...


_Look = TypeVar("_Look", bound=_Taken)


def _pair(looks: tuple[_Look | None, _Look | None]) -> tuple[_Look | None, _Look | None]:
    """The first and the last look; one alone, or the later of two at once, is the last."""
    first, last = looks
    if last is None:
        return None, first
    if first is None or last.taken_at - first.taken_at < LEAST_APART_S:
        return None, last
    return first, last


def _python(anatomy: Anatomy | None, objects: Objects | None) -> str | None:
    """The version of Python that a look has found."""
    found = anatomy.python if anatomy is not None else None
    return found or (objects.python if objects is not None else None)


def _room(state: State, limit: Limit | None, around: Around, tree: Iterable[Row]) -> Room | None:
    before, old, others = around.before, None, 0
    seconds = 0.0 if before is None else state.clock_s - before.clock_s
    if limit is not None:
        path = limit.cgroup.path
        old = before.limits.get(path) if before is not None else None
        known = {row.identity for row in tree} | {state.own}
        here = (row for row in state.living() if row.cgroup == path)
        others = sum(1 for row in here if row.identity not in known)
        if around.fullest is not None:
            limit = limit._replace(capacity=around.fullest)
    share = Share(others, around.moved, around.uses_shm)
    return room_of(limit, old, seconds, around.shm, kills_between(old, limit), share)


def _living(state: State, tree: Iterable[Identity]) -> list[Row]:
    """The rows of those that live; memtop's own is not of the tree that it looks at."""
    rows = (state.rows.get(one) for one in tree if one != state.own)
    return [row for row in rows if row is not None and row.ended_at is None and not row.kernel]


def _line(state: State, row: Row) -> tuple[str | None, ...]:
    """The cgroup of a process, and the one whose limit holds for it."""
    limit = state.limit_of(row)
    return row.cgroup, limit.bound.path if limit is not None and limit.bound is not None else None


def _lacks(
    row: Row, anatomy: Anatomy | None, objects: Objects | None, said: tuple[Lack, ...]
) -> tuple[Lack, ...]:
    """What no look has told; why, if none was taken, is `said` by who did not take it."""
    lacks, keys = [*said], {one.key for one in said}
    if anatomy is not None:
        lacks += [lack_of(one, "anatomy") for one in anatomy.missing]
    elif row.ended_at is None and "a" not in keys:
        command = f"memtop anatomy {row.pid}"
        lacks.append(Lack("what its memory is made of", "nobody looked", "a", command))
    if objects is not None:
        lacks += [lack_of(one, "census") for one in objects.missing]
    elif (
        row.ended_at is None
        and keys.isdisjoint("ao")  # who has no right to one has none to the other
        and (anatomy.python if anatomy is not None else row.python)
    ):
        lacks.append(Lack("its objects", "nobody counted them", "o", f"memtop census {row.pid}"))
    return tuple(dict.fromkeys(lacks))
