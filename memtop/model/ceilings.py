"""Limits, the processes below them, and how many more children fit: put together once a while.

It knows neither files nor how a limit is found; see `limits` for that and `capacity` for the
arithmetic. Sizes in bytes, times in seconds of the sample's clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Protocol

from memtop.model.capacity import Capacity, capacity_of
from memtop.model.groups import Group
from memtop.model.limits import Limit, Limits
from memtop.model.timeline import Timeline
from memtop.probe.sample import Cgroup, Identity

LOOK_EVERY_S = 1.0
COUNT_EVERY_S, FIRST_TICKS = 5.0, 5  # how many processes a cgroup has; at first each time
FORGET_EVERY_S = 60.0


class Resident(Protocol):
    """What has to be known of a process to count it below a limit."""

    @property
    def identity(self) -> Identity: ...
    @property
    def cgroup(self) -> str | None: ...
    @property
    def group(self) -> str | None: ...
    @property
    def rss_kib(self) -> int | None: ...
    @property
    def shared_kib(self) -> int | None: ...
    @property
    def kernel(self) -> bool: ...
    @property
    def ended_at(self) -> float | None: ...


class Ceilings:
    """The limits of all cgroups with what is below them."""

    def __init__(self) -> None:
        self._limits = Limits()
        self._shown: Mapping[str, Limit] = {}
        self._looked_at = self._forgot_at = self._counted_at = -1e9
        self._here: Counter[str] = Counter()
        self._is_stale = False
        self.room_by_parent: Mapping[Identity, int] = {}

    def take(self, read: tuple[Cgroup, ...], time: Timeline) -> None:
        """Note what was read of cgroups."""
        self._is_stale = self._is_stale or bool(read)
        self._limits.take(read, time)

    def look(
        self,
        time: Timeline,
        rows: Mapping[Identity, Resident],
        groups: Mapping[str, Group],
    ) -> Mapping[str, Limit]:
        """The limit that holds in each cgroup, by path; made anew at most once a second."""
        if not self._limits.cgroups:
            return self._shown
        if not self._is_stale and time.clock_s - self._looked_at < COUNT_EVERY_S:
            return self._shown
        if time.clock_s - self._looked_at < LOOK_EVERY_S - time.interval_s / 4:
            return self._shown
        self._looked_at, self._is_stale = time.clock_s, False
        if time.clock_s - self._counted_at >= COUNT_EVERY_S or time.tick < FIRST_TICKS:
            self._counted_at = time.clock_s
            self._here = Counter(
                row.cgroup
                for row in rows.values()
                if row.cgroup is not None and row.ended_at is None and not row.kernel
            )
        here = self._here
        if time.clock_s - self._forgot_at >= FORGET_EVERY_S:
            self._forgot_at = time.clock_s
            # With those of who has ended of late: the kill may be counted after the last of them.
            self._limits.keep({row.cgroup for row in rows.values() if row.cgroup is not None})
        limits = {
            path: limit._replace(processes=here[path])
            for path in self._limits.cgroups
            if (limit := self._limits.limit(path)) is not None
        }
        room: dict[Identity, int] = {}
        best: dict[str, Capacity] = {}
        below: Mapping[str, _Load] | None = None
        for group in groups.values():
            if (limit := _limit_of(group, rows, limits)) is None:
                continue
            if below is None:
                below = _by_bound(rows.values(), limits)
            capacity = _capacity(group, limit, below)
            if capacity is None:
                continue
            room[group.parent] = capacity.limit_bytes
            known = best.get(capacity.bound_by)
            if known is None or _weight(capacity) > _weight(known):
                best[capacity.bound_by] = capacity
        self.room_by_parent = room
        self._shown = {
            path: limit._replace(capacity=best.get(limit.bound.path)) if limit.bound else limit
            for path, limit in limits.items()
        }
        return self._shown


def _weight(capacity: Capacity) -> tuple[bool, int]:
    """Of several groups below one limit that counts which warns, then which may take most."""
    return capacity.warns, capacity.children_at_worst_bytes + capacity.worst_child_bytes


class _Load:
    """What the processes below one limit have of their own, in all and by group, in KiB."""

    def __init__(self) -> None:
        self.own_kib = 0
        self.own_kib_of: Counter[str | None] = Counter()
        self.members: Counter[str | None] = Counter()


def _by_bound(rows: Iterable[Resident], limits: Mapping[str, Limit]) -> Mapping[str, _Load]:
    """The living processes by the path of the cgroup whose limit binds them."""
    below: dict[str, _Load] = {}
    for row in rows:
        limit = limits.get(row.cgroup) if row.cgroup is not None else None
        if limit is None or limit.bound is None or row.ended_at is not None or row.kernel:
            continue
        load = below.setdefault(limit.bound.path, _Load())
        own_kib = max(0, (row.rss_kib or 0) - (row.shared_kib or 0))
        load.own_kib += own_kib
        load.own_kib_of[row.group] += own_kib
        load.members[row.group] += 1
    return below


def _limit_of(
    group: Group, rows: Mapping[Identity, Resident], limits: Mapping[str, Limit]
) -> Limit | None:
    """The limit that holds for the parent of a group; None if none does, or none is known."""
    parent = rows.get(group.parent)
    limit = limits.get(parent.cgroup) if parent is not None and parent.cgroup else None
    return limit if limit is not None and limit.bound is not None else None


def _capacity(group: Group, limit: Limit, below: Mapping[str, _Load]) -> Capacity | None:
    """How many more of a group's workers fit below a limit."""
    if limit.bound is None or limit.limit_bytes is None:
        return None
    bound = limit.bound
    load = below.get(bound.path, _Load())
    children = load.members[group.id]
    if children < len(group.members):
        return None  # its workers live below other limits
    taken = (load.own_kib - load.own_kib_of[group.id]) * 1024
    if bound.floor_bytes is not None and bound.anon_bytes is not None:
        # Shared memory and the kernel's own, which no process's private memory tells.
        taken += max(0, bound.floor_bytes - bound.anon_bytes)
    return capacity_of(
        limit_bytes=limit.limit_bytes,
        taken_bytes=taken,
        children=children,
        child_limit_bytes=group.child_limit_bytes,
        largest_child_bytes=group.largest_child_kib * 1024,
        bound_by=bound.path,
        group=group.id,
        comes_and_goes=group.comes_and_goes,
    )
