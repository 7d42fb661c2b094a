"""Which limit holds for whom, how full it is, and when it will be full.

For every memory cgroup the tightest limit over itself and its ancestors, and the growth of what
cannot be reclaimed below it. What is unknown stays unknown. Sizes in bytes, times in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from memtop.model.capacity import Capacity
from memtop.model.history import History
from memtop.model.timeline import Timeline
from memtop.model.trends import NEW, Growth, Trend, time_to
from memtop.probe.sample import Cgroup

MAX_DEPTH = 64


class Limit(NamedTuple):
    """One cgroup and the limit that holds in it.

    `bound` is the cgroup whose own limit is the tightest one, itself or an ancestor; None if no
    limit holds or none is known (then `why` says so). Rate and trend are those of the floor of
    `bound`, or of the cgroup itself without a limit. `eta_s` is None without a trend.
    """

    cgroup: Cgroup
    bound: Cgroup | None
    why: str | None
    rate_bytes_s: float | None
    trend: Trend
    eta_s: float | None
    eta_low_s: float | None
    eta_high_s: float | None
    processes: int = 0
    capacity: Capacity | None = None

    @property
    def limit_bytes(self) -> int | None:
        """The tightest limit; None if there is none or it is unknown."""
        return self.bound.limit_bytes if self.bound else None

    @property
    def measured(self) -> Cgroup:
        """The cgroup whose use is to be compared with the limit."""
        return self.bound or self.cgroup


def chain(cgroups: Mapping[str, Cgroup], path: str) -> list[Cgroup]:
    """A cgroup and its ancestors, as far as they are known, the innermost first."""
    found: list[Cgroup] = []
    at: str | None = path
    while at is not None and len(found) < MAX_DEPTH and (cgroup := cgroups.get(at)) is not None:
        if cgroup in found:
            break
        found.append(cgroup)
        at = cgroup.parent
    return found


def tightest(cgroups: Iterable[Cgroup]) -> Cgroup | None:
    """The one with the smallest limit, the innermost of equal ones; None if none has a limit."""
    limited = [one for one in cgroups if one.limit_bytes is not None]
    return min(limited, key=lambda one: one.limit_bytes or 0, default=None)


def headroom_bytes(limits: Iterable[Limit], own: Limit | None) -> int | None:
    """What is left for a guest in a pod before something is killed; None if no limit is known.

    That of its own cgroup; where that has none, which is usual for a debug container, that of the
    container with the least room, because the pod's limit is the sum of its containers'.
    """
    if own is not None and own.bound is not None:
        limits = [own]
    rooms = [
        limit.limit_bytes - used
        for limit in limits
        if limit.limit_bytes is not None and (used := limit.measured.working_set_bytes) is not None
    ]
    return min(rooms, default=None)


class _Filling:
    """How the floor of one cgroup moves."""

    __slots__ = ("growth", "history", "rate_bytes_s")

    def __init__(self, kib: int, time: Timeline, phase: int) -> None:
        self.history = History(time.tick, time.bucket, kib)
        self.growth = Growth(phase, time.moment, time.clock_s, kib * 1024, exact=True)
        self.rate_bytes_s: float | None = None

    def move(self, kib: int | None, time: Timeline) -> None:
        """The floor is `kib` now, or what it was before if that is None."""
        if kib is not None and kib != self.history.kib:
            self.history.add(time.tick, time.bucket, kib, time.before_bucket)
        self.rate_bytes_s = time.rate_bytes_s(self.history)
        self.growth.feed(time.moment, time.clock_s, self.history.kib * 1024, time.moment_s)


class Limits:
    """All cgroups that were seen, with what is derived from them."""

    def __init__(self) -> None:
        self._cgroups: dict[str, Cgroup] = {}
        self._fillings: dict[str, _Filling] = {}

    @property
    def cgroups(self) -> Mapping[str, Cgroup]:
        """What was read of each, by path."""
        return self._cgroups

    def take(self, read: Iterable[Cgroup], time: Timeline) -> None:
        """Note what was read just now, and let every cgroup's floor move on."""
        fresh: dict[str, int | None] = {}
        for cgroup in read:
            self._cgroups[cgroup.path] = cgroup
            fresh[cgroup.path] = _floor_kib(cgroup)
        for path, kib in fresh.items():
            if path not in self._fillings and kib is not None:
                phase = len(self._fillings)
                self._fillings[path] = _Filling(kib, time, phase)
        for path, filling in self._fillings.items():
            filling.move(fresh.get(path), time)

    def keep(self, paths: Iterable[str]) -> None:
        """Forget the cgroups that hold none of these, nor are ancestors of one that does."""
        kept = {one.path for path in paths for one in chain(self._cgroups, path)}
        for path in self._cgroups.keys() - kept:
            del self._cgroups[path]
            self._fillings.pop(path, None)

    def limit(self, path: str) -> Limit | None:
        """The limit that holds in a cgroup; None if nothing was read about it."""
        line = chain(self._cgroups, path)
        if not line:
            return None
        bound = tightest(line)
        why = None if bound else next((one.reason for one in line if one.reason), None)
        measured = bound or line[0]
        filling = self._fillings.get(measured.path)
        trend = filling.growth.trend if filling else NEW
        rate = filling.rate_bytes_s if filling else None
        eta = time_to(bound.limit_bytes if bound else None, measured.floor_bytes, trend, rate)
        return Limit(line[0], bound, why, rate, trend, *eta)


def _floor_kib(cgroup: Cgroup) -> int | None:
    """What cannot be reclaimed; where that is not known, what is not an inactive file."""
    for value in (cgroup.floor_bytes, cgroup.working_set_bytes, cgroup.current_bytes):
        if value is not None:
            return value // 1024
    return None
