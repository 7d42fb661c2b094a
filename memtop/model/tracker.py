"""The only object that remembers: samples in, states out.

It keeps a history for every process, turns differences into rates, trends, roles and groups, and
notes births and deaths. It does no I/O and reads no clock: all times come with the samples.
"""

from __future__ import annotations

from collections import deque

from memtop.model import forest
from memtop.model.ceilings import Ceilings
from memtop.model.groups import WINDOW_S, Groups, is_young
from memtop.model.history import History
from memtop.model.roles import Role, role_of
from memtop.model.state import HostRow, Row, State
from memtop.model.timeline import RATE_OVER_S, Timeline
from memtop.model.tracked import Tracked, title_of
from memtop.model.trends import STEADY, Growth, time_to
from memtop.probe.sample import Identity, Sample, Wanted

ENDED_STAYS_S = 30.0
SERVES = ("main", "worker")  # whose other children are grouped, too
DAEMON_WITHIN_S = 5.0
SLOW_EVERY = 15  # what rests without being steady is looked at each 15th time


class Tracker:
    """Feeds on samples of one source, taken about every `interval_s` seconds.

    `statm_error_kib` is by how much RSS may be wrong as the kernel sums it up. The process
    `top_pid` is what somebody looks at: its role does not follow from whoever started it.
    """

    def __init__(
        self,
        interval_s: float = 1.0,
        own: Identity | None = None,
        *,
        statm_error_kib: int = 0,
        top_pid: int | None = None,
    ) -> None:
        self._own = own
        self._top_pid = top_pid
        self._time = Timeline(interval_s)
        self._error_bytes = statm_error_kib * 1024
        self._tracked: dict[Identity, Tracked] = {}
        self._by_pid: dict[int, Identity] = {}
        self._rows: dict[Identity, Row] = {}
        self._growing: dict[Identity, Row] = {}
        self._lively: dict[Identity, Tracked] = {}
        self._slow: dict[Identity, Tracked] = {}
        self._unconfirmed: dict[Identity, Tracked] = {}
        self._ended: deque[Tracked] = deque()
        self._births: deque[float] = deque()
        self._deaths: deque[float] = deque()
        self._children: forest.Children = {None: ()}
        self._groups = Groups()
        self._ceilings = Ceilings()
        self._host: History | None = None
        self._host_growth: Growth | None = None

    def ask(self, wanted: Wanted) -> Wanted:
        """What is wanted, and whose RSS has to be read exactly before it is called a leak."""
        clock_s = self._time.clock_s if self._time.tick >= 0 else 0.0
        pids = {
            identity.pid
            for identity, tracked in self._unconfirmed.items()
            if tracked.growth is not None and tracked.growth.wants_reading(clock_s)
        }
        return wanted._replace(exact=frozenset(pids)) if pids else wanted

    def take_growth(self, identity: Identity, growth: Growth) -> None:
        """Go on with a detector that has seen more of a process than this tracker has."""
        tracked, row = self._tracked.get(identity), self._rows.get(identity)
        if tracked is None or row is None or tracked.history is None:
            return
        tracked.growth = growth
        self._lively[identity] = tracked
        self._unconfirmed.pop(identity, None)
        if growth.is_unconfirmed:
            self._unconfirmed[identity] = tracked
        row = self._rows[identity] = tracked.row(row.seen_at)
        if row.is_growing:
            self._growing[identity] = row

    def feed(self, sample: Sample) -> State:
        """Take the next sample; the state after it."""
        time = self._time
        time.advance(sample.clock_s, sample.taken_at)
        for moments in (self._births, self._deaths):
            while moments and moments[0] < sample.clock_s - WINDOW_S:
                moments.popleft()
        dirty: dict[Identity, Tracked] = {}
        moved = self._end(sample, dirty)
        moved |= self._start(sample, dirty)
        self._note_memory(sample, dirty)
        moved |= self._note_activity(sample, dirty)
        for facts in sample.facts:
            if tracked := self._tracked.get(facts.identity):
                if tracked.is_another_program(facts):
                    tracked.growth = None  # what the one before it took says nothing about this one
                    self._unconfirmed.pop(facts.identity, None)
                tracked.facts = facts
                dirty[facts.identity] = tracked
        self._note_usage(sample, dirty)
        if moved:
            self._children = forest.plant(self._parents())
        self._assign_roles(dirty)
        self._update_rates(dirty)
        self._settle_unconfirmed(dirty)
        for identity, tracked in dirty.items():
            if identity not in self._tracked:
                continue
            row = self._rows[identity] = tracked.row(sample.taken_at)
            if row.is_growing:
                self._growing[identity] = row
            else:
                self._growing.pop(identity, None)
        self._ceilings.take(sample.cgroups, time)
        rows = dict(self._rows)
        groups = self._groups.look(time, rows, self._ceilings.room_by_parent, sample.taken_at)
        return State(
            tick=time.tick,
            bucket=time.bucket,
            taken_at=sample.taken_at,
            clock_s=sample.clock_s,
            interval_s=time.interval_s,
            watched_s=sample.clock_s - time.first_clock_s,
            late_s=time.late_s,
            host=self._note_host(sample),
            rows=rows,
            children=self._children,
            own=self._own,
            births=len(self._births),
            deaths=len(self._deaths),
            growing=tuple(self._growing.values()),
            groups=groups,
            limits=self._ceilings.look(time, rows, groups),
            gaps=tuple(time.gaps),
        )

    # -- what a sample says ----------------------------------------------------------------

    def _end(self, sample: Sample, dirty: dict[Identity, Tracked]) -> bool:
        moved = False
        for identity in sample.ended:
            tracked = self._tracked.get(identity)
            if tracked is None:
                continue
            self._leave_group(tracked, sample.taken_at, died=True)
            tracked.ended_at = sample.taken_at
            tracked.rate_bytes_s = None
            self._rest(identity)
            if self._by_pid.get(identity.pid) == identity:
                del self._by_pid[identity.pid]
            dirty[identity] = tracked
            if tracked.started.kernel:
                self._forget(identity)
                moved = True
                continue
            self._ended.append(tracked)
            self._deaths.append(sample.clock_s)
        while self._ended:
            tracked = self._ended[0]
            ended_at = tracked.ended_at or 0.0
            # Wall time may jump backwards: what ended in the future goes, too.
            if 0 <= sample.taken_at - ended_at < ENDED_STAYS_S:
                break
            self._ended.popleft()
            # A PID that is reused within one clock tick (10 ms) has the identity of the dead one.
            if self._tracked.get(tracked.started.identity) is tracked:
                self._forget(tracked.started.identity)
                moved = True
        return moved

    def _forget(self, identity: Identity) -> None:
        del self._tracked[identity]
        self._rows.pop(identity, None)
        self._growing.pop(identity, None)
        self._groups.forget(identity)

    def _rest(self, identity: Identity) -> None:
        """Nothing more is derived from its memory."""
        for some in (self._lively, self._slow, self._unconfirmed):
            some.pop(identity, None)

    def _start(self, sample: Sample, dirty: dict[Identity, Tracked]) -> bool:
        fresh: list[Tracked] = []
        for started in sample.started:
            identity = started.identity
            tracked = Tracked(started, sample.clock_s if self._time.tick else None)
            self._tracked[identity] = dirty[identity] = tracked
            self._by_pid[identity.pid] = identity
            fresh.append(tracked)
            if self._time.tick and not started.kernel:
                self._births.append(sample.clock_s)
        for tracked in fresh:  # parents may come after their children
            tracked.parent = self._parent(tracked.started.identity, tracked.started.ppid)
        return bool(fresh)

    def _parent(self, identity: Identity, ppid: int) -> Identity | None:
        """The process that `ppid` means; a parent is never younger than its child."""
        parent = self._by_pid.get(ppid)
        return parent if parent and parent.start_ticks <= identity.start_ticks else None

    def _note_memory(self, sample: Sample, dirty: dict[Identity, Tracked]) -> None:
        tick, bucket, before_bucket = self._time.tick, self._time.bucket, self._time.before_bucket
        for memory in sample.memory:
            identity = self._by_pid.get(memory.pid)
            if identity is None:
                continue
            tracked = self._tracked[identity]
            tracked.memory = memory
            dirty[identity] = tracked
            history = tracked.history
            if history is None:
                tracked.history = History(tick, bucket, memory.rss_kib)
            elif history.kib != memory.rss_kib:
                history.add(tick, bucket, memory.rss_kib, before_bucket)
            else:
                continue
            self._lively[identity] = tracked
            if tracked.group is not None:
                born_s = tracked.born_s
                young = born_s is not None and is_young(sample.clock_s - born_s)
                self._groups.change(identity, memory.rss_kib, sample.clock_s, young=young)

    def _note_activity(self, sample: Sample, dirty: dict[Identity, Tracked]) -> bool:
        moved = False
        for activity in sample.activity:
            identity = self._by_pid.get(activity.pid)
            if identity is None:
                continue
            tracked = self._tracked[identity]
            before = tracked.activity
            tracked.activity = activity
            dirty[identity] = tracked
            old_ppid = before.ppid if before else tracked.started.ppid
            if activity.ppid != old_ppid:
                tracked.parent = self._parent(identity, activity.ppid)
                moved = True
                self._adopt(tracked, sample.clock_s)
            if tracked.is_zombie:
                self._leave_group(tracked, sample.taken_at, died=True)
                tracked.rate_bytes_s = None
                self._rest(identity)
        return moved

    def _adopt(self, tracked: Tracked, clock_s: float) -> None:
        """Somebody else is its parent now: a worker whose parent has died remains a worker.

        Who loses its parent at once has made itself a daemon, and is no worker.
        """
        is_old = tracked.born_s is None or clock_s - tracked.born_s >= DAEMON_WITHIN_S
        if tracked.role is not None and tracked.role.role == "worker" and is_old:
            self._leave_group(tracked, 0.0, died=False)
        else:
            tracked.kin = None  # its role may be another one

    def _note_usage(self, sample: Sample, dirty: dict[Identity, Tracked]) -> None:
        for usage in sample.usage:
            tracked = self._tracked.get(usage.identity)
            if tracked is None:
                continue
            tracked.take_usage(usage)
            dirty[usage.identity] = tracked
            if usage.pss_kib is not None:
                self._groups.touch(usage.identity)
            if usage.exact_rss_kib is not None and tracked.growth is not None:
                tracked.growth.confirm(sample.clock_s, usage.exact_rss_kib * 1024)

    def _note_host(self, sample: Sample) -> HostRow:
        host, time = sample.host, self._time
        if host.used_kib is None:
            return HostRow(host.name, host.total_kib, None, None)
        used_bytes = max(0, host.used_kib) * 1024
        if self._host is None or self._host_growth is None:
            self._host = History(time.tick, time.bucket, host.used_kib)
            self._host_growth = Growth(0, time.moment, time.clock_s, used_bytes, exact=True)
        elif self._host.kib != host.used_kib:
            self._host.add(time.tick, time.bucket, host.used_kib, time.before_bucket)
        self._host_growth.feed(time.moment, time.clock_s, used_bytes, time.moment_s)
        total_bytes = None if host.total_kib is None else host.total_kib * 1024
        rate = time.rate_bytes_s(self._host)
        eta_s, _, _ = time_to(total_bytes, used_bytes, self._host_growth.trend, rate)
        return HostRow(host.name, host.total_kib, host.used_kib, rate, eta_s)

    def _parents(self) -> dict[Identity, Identity | None]:
        return {identity: tracked.parent for identity, tracked in self._tracked.items()}

    # -- what follows from it --------------------------------------------------------------

    def _assign_roles(self, dirty: dict[Identity, Tracked]) -> None:
        """The roles of those whose kin changed, from the parents down; and of their children."""
        todo: list[Identity] = []
        for identity, tracked in dirty.items():
            if tracked.started.kernel or tracked.ended_at is not None or tracked.facts is None:
                continue
            if tracked.read_kin() or tracked.role is None:
                todo.append(identity)
        todo.sort()  # parents are older
        self._assign(todo, dirty)

    def _assign(self, first: list[Identity], dirty: dict[Identity, Tracked]) -> None:
        todo = first[::-1]  # a chain of processes may be deeper than Python's stack
        while todo:
            identity = todo.pop()
            tracked = self._tracked.get(identity)
            if tracked is None or tracked.kin is None or tracked.ended_at is not None:
                continue
            parent = self._tracked.get(tracked.parent) if tracked.parent else None
            if identity.pid == self._top_pid:
                parent = None
            role = role_of(tracked.kin, parent and parent.kin, parent and parent.role)
            group = tracked.group
            self._join_group(tracked, role, parent)
            if group != tracked.group:
                dirty[identity] = tracked
            if role == tracked.role:
                continue
            tracked.role = role
            tracked.title = title_of(tracked.kin, parent.kin if parent else None, role)
            dirty[identity] = tracked
            todo.extend(reversed(self._children.get(identity, ())))

    def _join_group(self, tracked: Tracked, role: Role, parent: Tracked | None) -> None:
        """Put it into the group of its parent's workers.

        What a Python service starts besides, such as one converter for each request, is a group
        for every program.
        """
        identity, clock_s = tracked.started.identity, self._time.clock_s
        serves = parent is not None and parent.role is not None and parent.role.role in SERVES
        is_tool = role.role == "other" and serves
        if parent is None or tracked.is_zombie or not (role.role == "worker" or is_tool):
            self._leave_group(tracked, 0.0, died=False)
            return
        group = self._groups.join(
            identity,
            parent.started.identity,
            role,
            tracked.memory.rss_kib if tracked.memory else 0,
            clock_s,
            born=tracked.born_s is not None and is_young(clock_s - tracked.born_s),
        )
        tracked.group = group

    def _leave_group(self, tracked: Tracked, taken_at: float, *, died: bool) -> None:
        if tracked.group is None:
            return
        started_at = tracked.started.started_at
        self._groups.leave(
            tracked.started.identity,
            self._time.clock_s,
            died=died,
            trend=tracked.trend,
            age_s=None if started_at is None else taken_at - started_at,
        )
        if not died:
            tracked.group = None

    def _update_rates(self, dirty: dict[Identity, Tracked]) -> None:
        begin = self._time.tick_since(RATE_OVER_S)
        rested: list[Identity] = []
        for identity, tracked in self._lively.items():
            history = tracked.history
            assert history is not None
            rate = self._time.rate_bytes_s(history)
            if rate != tracked.rate_bytes_s:
                tracked.rate_bytes_s = rate
                dirty[identity] = tracked
            if self._feed_growth(identity, tracked, history):
                dirty[identity] = tracked
            if rate == 0.0 and history.changed_tick < begin:
                rested.append(identity)
        for identity in rested:
            tracked = self._lively.pop(identity)
            if tracked.growth is not None and tracked.growth.trend.word != STEADY.word:
                self._slow[identity] = tracked
        self._update_slow(dirty)

    def _update_slow(self, dirty: dict[Identity, Tracked]) -> None:
        """Those that rest but were not steady yet: time alone changes their trend."""
        moment = self._time.moment
        done: list[Identity] = []
        for identity, tracked in self._slow.items():
            if identity in self._lively:
                done.append(identity)
            elif (moment + identity.pid) % SLOW_EVERY == 0 and tracked.history is not None:
                if self._feed_growth(identity, tracked, tracked.history):
                    dirty[identity] = tracked
                if tracked.growth is None or tracked.growth.trend.word == STEADY.word:
                    done.append(identity)
        for identity in done:
            del self._slow[identity]

    def _feed_growth(self, identity: Identity, tracked: Tracked, history: History) -> bool:
        """Let a process's trend follow its memory; True if it has another word.

        A process that never changed needs no detector; at its first change, that it did not before
        is told at once.
        """
        time, growth = self._time, tracked.growth
        if growth is None:
            first = history.first_tick
            if history.changed_tick < first or time.tick <= first:
                return False
            old_kib = history.ticks(time.tick - 1, time.tick - 1)[0]
            first_s = time.clock_of(first)
            growth = Growth(identity.pid, first // time.every, first_s, old_kib * 1024)
            tracked.growth = growth
        word = growth.trend.word
        growth.feed(time.moment, time.clock_s, history.kib * 1024, time.moment_s)
        if growth.is_unconfirmed:
            self._unconfirmed[identity] = tracked
        return growth.trend.word != word

    def _settle_unconfirmed(self, dirty: dict[Identity, Tracked]) -> None:
        done: list[Identity] = []
        for identity, tracked in self._unconfirmed.items():
            growth = tracked.growth
            if growth is None or not growth.is_unconfirmed:
                done.append(identity)
            elif growth.settle_without(self._time.clock_s, self._error_bytes):
                dirty[identity] = tracked
                done.append(identity)
        for identity in done:
            del self._unconfirmed[identity]
