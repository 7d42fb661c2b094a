"""The workers of one parent as one: how many, how large together, who of them grows.

A group lives as long as its parent does, so that it can say of workers that are gone how large
they were and how fast they grew. Its own growth is fed with the changes of members that were there
before, never with births and deaths: many processes are not a leak. Sizes in KiB, rates in bytes
per second, times in seconds of the sample's clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from statistics import median
from typing import NamedTuple, Protocol

from memtop.model.history import History
from memtop.model.roles import Role
from memtop.model.timeline import RATE_FROM_S, Timeline
from memtop.model.trends import NEW, Growth, Trend
from memtop.probe.sample import Identity

WINDOW_S = 600.0  # births and deaths are counted over the time that a sparkline shows
MANY = 8
ALIKE = 2.0  # the largest of many equal processes is at most so many times their median
BORN_SHARE = 0.25
LIMIT_SHARE = 0.5
NAMES = 2  # different names of workers that a group is called by
LIVES = 8  # dead workers whose growth is remembered
SUMMED_EVERY_S = 2.0
POOL_STARTS_WITHIN_S = 60.0  # a pool of a fixed size is there so soon after its parent
LIMIT_READ_AFTER_S = 5.0  # RLIMIT_AS is set after the fork, and read again a bit later


class Member(Protocol):
    """What a group has to know of one of its processes."""

    @property
    def identity(self) -> Identity: ...
    @property
    def rss_kib(self) -> int | None: ...
    @property
    def pss_kib(self) -> int | None: ...
    @property
    def peak_kib(self) -> int | None: ...
    @property
    def rate_bytes_s(self) -> float | None: ...
    @property
    def started_at(self) -> float | None: ...
    @property
    def trend(self) -> Trend: ...
    @property
    def address_space_bytes(self) -> int | None: ...


class Group(NamedTuple):
    """The workers of one parent at one moment; `members` are those that live.

    `births` within the window are back-filled from start times, `watched_births` were seen. A group
    that `comes_and_goes` is no pool of a fixed size: there may be one more at any time.
    `finding` is one of `one-grows many-grow many-processes steady`, `worst` the member that grows
    most. `born_kib`, `died_kib` and `grown_kib` tell by what the sum has changed within the window,
    as far as it was watched. `pss_kib` is the sum of PSS if that of every member is known.
    `lives` are slopes of members that grew until they ended. `largest_child_kib` is the largest
    peak of any member, also of dead ones; `child_limit_bytes` the RLIMIT_AS that they have.
    """

    id: str
    version: int
    role: str
    label: str
    framework: str | None
    parent: Identity
    members: tuple[Identity, ...]
    rss_kib: int
    largest_kib: int
    median_kib: float
    smallest_kib: int
    pss_kib: int | None
    rate_bytes_s: float | None
    trend: Trend
    growing: int
    worst: Identity | None
    finding: str
    births: int
    deaths: int
    watched_births: int
    born_kib: int
    died_kib: int
    grown_kib: int
    moved_kib: int
    newest_at: float | None
    oldest_at: float | None
    lives: tuple[float, ...]
    largest_child_kib: int
    child_limit_bytes: int | None
    comes_and_goes: bool
    history: History | None

    @property
    def average_kib(self) -> float:
        """Mean RSS of the members."""
        return self.rss_kib / max(1, len(self.members))


def finding_of(
    members: Iterable[Member], births: int, rss_kib: int, limit_bytes: int | None
) -> tuple[str, list[Member]]:
    """What is to be said about a group, the first that holds; and who of it grows, fastest first.

    `births` counts those who came within the window, back-filled from start times.
    """
    members = list(members)
    growing = [one for one in members if one.trend.is_growing]
    growing.sort(key=lambda one: -(one.rate_bytes_s or 0.0))
    if len(growing) == 1:
        rise = sum(max(0.0, one.rate_bytes_s or 0.0) for one in members)
        if (growing[0].rate_bytes_s or 0.0) >= rise / 2:
            return "one-grows", growing
    if len(growing) >= 2:
        return "many-grow", growing
    if not growing and len(members) >= MANY:
        sizes = [one.rss_kib or 0 for one in members]
        alike = max(sizes) <= ALIKE * median(sizes)
        many = births >= BORN_SHARE * len(members)
        full = limit_bytes is not None and rss_kib * 1024 >= LIMIT_SHARE * limit_bytes
        if alike and (many or full):
            return "many-processes", growing
    return "steady", growing


class _Band:
    """One group as it goes on; a Group is made of it when it is to be shown."""

    def __init__(self, kind: str, role: str, parent: Identity) -> None:
        self.kind, self.role, self.parent = kind, role, parent
        self.id = f"{kind} of {parent.pid}"
        self.framework: str | None = None
        self.labels: dict[Identity, str] = {}
        self.members: dict[Identity, int] = {}  # with their RSS as counted here
        self.sum_kib = 0
        self.steady_sum_kib = 0  # moves with the changes of those who were there before
        self.history: History | None = None
        self.growth: Growth | None = None
        self.rate_bytes_s: float | None = None
        # By what the sum changed within the window, put together by seconds: when, KiB, number.
        self.events: dict[str, deque[tuple[float, int, int]]] = {}
        self.brief: deque[float] = deque()  # births within the window of members that are gone
        self.lives: deque[float] = deque(maxlen=LIVES)
        self.largest_child_kib = 0
        self.child_limit_bytes: int | None = None
        self.least = self.most = -1  # how many there were at once, since the pool could be full
        self.summed_at = -1e9
        self.is_stale = True
        self.shown: Group | None = None

    def note(self, clock_s: float, what: str, kib: int, number: int = 0) -> None:
        """Remember by what the sum changed."""
        events = self.events.setdefault(what, deque())
        if events and clock_s - events[-1][0] < SUMMED_EVERY_S:
            at, before_kib, before = events[-1]
            events[-1] = (at, before_kib + kib, before + number)
        else:
            events.append((clock_s, kib, number))

    def label(self) -> str:
        """What the members are called; where several programs are workers, some of them."""
        names = sorted(set(self.labels.values()))
        return ", ".join(names[:NAMES]) + (", …" if len(names) > NAMES else "")

    def prune(self, clock_s: float) -> None:
        for moments in self.events.values():
            while moments and moments[0][0] < clock_s - WINDOW_S:
                moments.popleft()
        while self.brief and self.brief[0] < clock_s - WINDOW_S:
            self.brief.popleft()

    def note_range(self, parent: Member | None, number: int, taken_at: float) -> None:
        """Remember how many there were at once, once a pool of a fixed size would be there."""
        if parent is None or parent.started_at is None:
            return
        if taken_at - parent.started_at < POOL_STARTS_WITHIN_S:
            return
        self.least = number if self.least < 0 else min(self.least, number)
        self.most = max(self.most, number)

    @property
    def comes_and_goes(self) -> bool:
        """Whether their number changes by more than a worker that is replaced."""
        return self.most > 0 and (self.least == 0 or self.most - self.least >= 2)

    def learn_limit(self, members: list[Member], taken_at: float) -> None:
        """The largest RLIMIT_AS, if all have one; of the newest it may not have been read yet."""
        settled = [
            row
            for row in members
            if row.started_at is None or not 0 <= taken_at - row.started_at < LIMIT_READ_AFTER_S
        ]
        limits = [row.address_space_bytes for row in settled or members]
        if limits and None not in limits:
            self.child_limit_bytes = max(one for one in limits if one is not None)
        elif settled:
            self.child_limit_bytes = None

    def total(self, what: str) -> tuple[int, int]:
        """KiB and number of what has happened within the window."""
        events = self.events.get(what, ())
        return sum(kib for _, kib, _ in events), sum(number for _, _, number in events)


class Groups:
    """All groups. The tracker tells who joins, changes and leaves; `look` makes the values."""

    def __init__(self) -> None:
        self._bands: dict[tuple[Identity, str], _Band] = {}
        self._of: dict[Identity, _Band] = {}
        self._shown: dict[str, Group] = {}

    def join(
        self,
        member: Identity,
        parent: Identity,
        role: Role,
        kib: int,
        clock_s: float,
        *,
        born: bool,
    ) -> str:
        """A process belongs to a group of its parent from now on; returns the group's id.

        `born`: it has just started, and is not only recognized or moved.
        """
        kind = "workers" if role.role == "worker" else "tools"
        band, moved = self._of.get(member), False
        if band is not None:
            if (band.parent, band.kind) == (parent, kind):
                band.labels[member], band.framework = role.label, role.framework
                return band.id
            self.leave(member, clock_s, died=False)
            born, moved = False, True
        band = self._bands.get((parent, kind))
        if band is None:
            band = self._bands[parent, kind] = _Band(kind, role.role, parent)
            if any(one.id == band.id and one is not band for one in self._bands.values()):
                band.id += f" since tick {parent.start_ticks}"  # the PID is another process's now
        if not band.members:
            band.labels.clear()  # of the last one that was there
        band.members[member] = kib
        band.sum_kib += kib
        band.steady_sum_kib += kib if not born else 0
        band.labels[member], band.framework = role.label, role.framework
        band.is_stale, band.summed_at = True, -1e9
        self._of[member] = band
        if born:
            band.note(clock_s, "born", kib, 1)
        elif moved:
            band.note(clock_s, "moved", kib, 1)
        return band.id

    def leave(
        self,
        member: Identity,
        clock_s: float,
        *,
        died: bool,
        trend: Trend | None = None,
        age_s: float | None = None,
    ) -> None:
        """It is not of its group any more; if it `died`, its growth and its life are remembered."""
        band = self._of.pop(member, None)
        if band is None:
            return
        kib = band.members.pop(member)
        if len(band.labels) > 1:  # the last one names the group when nobody is left
            del band.labels[member]
        band.sum_kib -= kib
        band.is_stale, band.summed_at = True, -1e9
        if died:
            band.note(clock_s, "died", -kib, 1)
            if age_s is not None and age_s < WINDOW_S:
                band.brief.append(clock_s - age_s)
            if trend is not None and trend.is_growing and trend.slope_bytes_s:
                band.lives.append(trend.slope_bytes_s)
        else:
            band.steady_sum_kib -= kib
            band.note(clock_s, "moved", -kib, 1)

    def change(self, member: Identity, kib: int, clock_s: float, *, young: bool) -> None:
        """Its RSS is another. What the young take belongs to their birth, and is no growth."""
        band = self._of.get(member)
        if band is None:
            return
        delta = kib - band.members[member]
        if not delta:
            return
        band.members[member] = kib
        band.sum_kib += delta
        band.is_stale = True
        if young:
            band.note(clock_s, "born", delta)
        else:
            band.steady_sum_kib += delta
            band.note(clock_s, "grown", delta)

    def touch(self, member: Identity) -> None:
        """Something about it has been read that goes into its group's figures."""
        if (band := self._of.get(member)) is not None:
            band.is_stale = True

    def forget(self, parent: Identity) -> None:
        """The parent is gone for good, and so is the memory of its workers."""
        for key in [key for key in self._bands if key[0] == parent]:
            band = self._bands.pop(key)
            for member in band.members:
                del self._of[member]

    def look(
        self,
        time: Timeline,
        rows: Mapping[Identity, Member],
        limits: Mapping[Identity, int],
        taken_at: float,
    ) -> Mapping[str, Group]:
        """The groups now. `limits`: bytes that a group's parent and workers may use, by parent."""
        clock_s = time.clock_s
        changed = False  # the mapping of a former state stays as it is
        for band in self._bands.values():
            self._move(band, time)
            shown = band.shown
            if shown and (shown.rss_kib, shown.rate_bytes_s) != (band.sum_kib, band.rate_bytes_s):
                band.shown = shown._replace(
                    version=shown.version + 1,
                    rss_kib=band.sum_kib,
                    rate_bytes_s=band.rate_bytes_s,
                )
                changed = True
            every_s = SUMMED_EVERY_S if len(band.members) < 1000 else 3 * SUMMED_EVERY_S
            if clock_s - band.summed_at < every_s:
                continue
            if not (band.is_stale or clock_s - band.summed_at >= 10 * every_s):
                continue
            made = self._sum_up(band, rows, limits.get(band.parent), taken_at, clock_s)
            band.summed_at, band.is_stale = clock_s, False
            if made != band.shown:
                version = band.shown.version + 1 if band.shown else 0
                band.shown = made._replace(version=version)
                changed = True
        if changed or len(self._bands) != len(self._shown):
            self._shown = {band.id: band.shown for band in self._bands.values() if band.shown}
        return self._shown

    @staticmethod
    def _move(band: _Band, time: Timeline) -> None:
        """Let history and growth of a group follow its sums."""
        kib = max(0, band.sum_kib)
        if band.history is None:
            band.history = History(time.tick, time.bucket, kib)
        elif band.history.kib != kib:
            band.history.add(time.tick, time.bucket, kib, time.before_bucket)
        rate = time.rate_bytes_s(band.history)
        if rate != band.rate_bytes_s:
            band.rate_bytes_s, band.is_stale = rate, True
        value = max(0, band.steady_sum_kib) * 1024
        if band.growth is None:
            phase = band.parent.pid
            band.growth = Growth(phase, time.moment, time.clock_s, value, exact=True)
        elif band.growth.feed(time.moment, time.clock_s, value, time.moment_s):
            band.is_stale = True

    def _sum_up(
        self,
        band: _Band,
        rows: Mapping[Identity, Member],
        limit_bytes: int | None,
        taken_at: float,
        clock_s: float,
    ) -> Group:
        band.prune(clock_s)
        members = [row for one in band.members if (row := rows.get(one)) is not None]
        sizes = [row.rss_kib or 0 for row in members] or [0]
        starts = [row.started_at for row in members if row.started_at is not None]
        born_kib, watched_births = band.total("born")
        died_kib, deaths = band.total("died")
        births = len(band.brief) + sum(1 for at in starts if 0 <= taken_at - at <= WINDOW_S)
        band.note_range(rows.get(band.parent), len(members), taken_at)
        for row in members:
            peak = max(row.peak_kib or 0, row.rss_kib or 0)
            band.largest_child_kib = max(band.largest_child_kib, peak)
        band.learn_limit(members, taken_at)
        finding, growing = finding_of(members, births, band.sum_kib, limit_bytes)
        shares = [row.pss_kib for row in members]
        worst = growing[0].identity if growing else None
        return Group(
            id=band.id,
            version=band.shown.version if band.shown else 0,
            role=band.role,
            label=band.label(),
            framework=band.framework,
            parent=band.parent,
            members=tuple(band.members),
            rss_kib=band.sum_kib,
            largest_kib=max(sizes),
            median_kib=median(sizes),
            smallest_kib=min(sizes),
            pss_kib=None if None in shares or not shares else sum(kib or 0 for kib in shares),
            rate_bytes_s=band.rate_bytes_s,
            trend=band.growth.trend if band.growth else NEW,
            growing=len(growing),
            worst=worst,
            finding=finding,
            births=births,
            deaths=deaths,
            watched_births=min(births, watched_births),
            born_kib=born_kib,
            died_kib=died_kib,
            grown_kib=band.total("grown")[0],
            moved_kib=band.total("moved")[0],
            newest_at=max(starts, default=None),
            oldest_at=min(starts, default=None),
            lives=tuple(band.lives),
            largest_child_kib=band.largest_child_kib,
            child_limit_bytes=band.child_limit_bytes,
            comes_and_goes=band.comes_and_goes,
            history=band.history,
        )


def is_young(watched_s: float) -> bool:
    """Whether a process is still on its way to the size that it starts with."""
    return watched_s < RATE_FROM_S
