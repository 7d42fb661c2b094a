"""Who a process is, and who is around it: as a diagnosis takes it.

Pure but for `is_frozen`. Histories are in KiB, what is made of them in bytes; times in seconds.
"""

from __future__ import annotations

import os

from memtop.diagnosis.evidence import Crowd, Subject
from memtop.evidence.choosing import grows
from memtop.evidence.watch import change_kib
from memtop.model.groups import Group
from memtop.model.state import Row, State
from memtop.probe import freezer
from memtop.probe.sample import Identity


def subject_of(
    state: State,
    row: Row,
    *,
    python: str | None = None,
    frozen: bool = False,
    before: State | None = None,
) -> Subject:
    """Whose memory it is. `python`: the version that a look has found; `before`: earlier state."""
    old = before.rows.get(row.identity) if before is not None else None
    parent = parent_of(state, row)
    return Subject(
        pid=row.pid,
        name=row.name,
        role=row.role,
        framework=row.framework,
        python=python,
        command=row.command,
        parent_pid=row.ppid or None,
        parent_command=parent.command if parent is not None else None,
        uptime_s=None if row.started_at is None else max(0.0, row.seen_at - row.started_at),
        threads=row.threads,
        first_threads=old.threads if old is not None else None,
        cpus=os.cpu_count(),
        forked=parent is not None and _is_fork(row, parent),
        stopped=frozen or row.state in ("T", "t"),
        ended=row.ended_at is not None or row.state in ("Z", "X"),
        rss_bytes=None if row.rss_kib is None else row.rss_kib * 1024,
        swap_bytes=None if row.swap_kib is None else row.swap_kib * 1024,
        pss_bytes=None if row.pss_kib is None else row.pss_kib * 1024,
    )


def crowd_of(state: State, group: Group) -> Crowd:
    """A group, and by what its sum has changed as far as it was watched.

    Members that have grown by more than noise count as growing before they have a trend, too.
    """
    members = [state.rows[one] for one in group.members if one in state.rows]
    parent = state.rows.get(group.parent)
    limit = state.limit_of(parent) if parent is not None else None
    worst = group.worst.pid if group.worst is not None else None
    grown = group.grown_kib + group.moved_kib
    return Crowd(
        label=group.label,
        role=group.role,
        parent_pid=group.parent.pid,
        processes=len(group.members),
        finding=group.finding,
        rss_bytes=group.rss_kib * 1024,
        average_bytes=round(group.average_kib * 1024),
        largest_bytes=group.largest_kib * 1024,
        births=group.births,
        deaths=group.deaths,
        growing=max(group.growing, sum(1 for row in members if grows(state, row))),
        change_bytes=(grown + group.born_kib + group.died_kib) * 1024,
        born_bytes=group.born_kib * 1024,
        died_bytes=group.died_kib * 1024,
        grown_bytes=grown * 1024,
        pss_bytes=None if group.pss_kib is None else group.pss_kib * 1024,
        limit_bytes=limit.limit_bytes if limit is not None else None,
        worst_pid=worst,
        comes_and_goes=group.comes_and_goes,
        parent_role=parent.role if parent is not None else None,
    )


def group_around(state: State, row: Row) -> Group | None:
    """The group that a process is a member of, else the largest one of which it is the parent."""
    if row.group is not None and (group := state.groups.get(row.group)) is not None:
        return group
    own = [group for group in state.groups.values() if group.parent == row.identity]
    return max(own, key=lambda group: group.rss_kib, default=None)


def parent_of(state: State, row: Row) -> Row | None:
    """The process that has started it, as far as that still lives."""
    found = [state.rows[one] for one in state.with_pid(row.ppid) if one <= row.identity]
    return next((one for one in found if one.ended_at is None), None)


def is_frozen(identity: Identity, root: str = "/proc") -> bool:
    """Whether a cgroup keeps it from running."""
    try:
        folder = os.open(f"{root}/{identity.pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return freezer.is_frozen(folder)
    finally:
        os.close(folder)


def tree_change_kib(state: State, members: list[Row]) -> int:
    """By how much the sum of these has changed; what was born counts whole, what died not."""
    return sum(change_kib(state, row) for row in members if row.ended_at is None)


def _is_fork(row: Row, parent: Row) -> bool:
    """Whether it runs what its parent runs: a fork without exec."""
    if parent.role == "forkserver":
        return True
    return row.command is not None and row.command == parent.command and row.exe == parent.exe
