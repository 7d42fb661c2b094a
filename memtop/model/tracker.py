"""The only object that remembers: samples in, states out.

It keeps a history for every process, turns differences into rates and notes births and deaths.
It does no I/O and reads no clock: all times come with the samples.
"""

from __future__ import annotations

import re
from collections import deque

from memtop.model import forest
from memtop.model.history import History
from memtop.model.state import HostRow, Row, State
from memtop.model.timeline import RATE_OVER_S, Timeline
from memtop.probe.sample import Activity, Facts, Identity, Memory, Sample, Started, Usage
from memtop.units import size_parts

ENDED_STAYS_S = 30.0
WINDOW_S = 600.0  # births and deaths are counted over the time that a sparkline shows

_PYTHON = re.compile(r"(?:^|/)(?:python|pypy)[\d.]*[a-z]?\Z")


class _Tracked:
    """What the tracker knows about one process; a Row is made of it when it changes."""

    __slots__ = (
        "activity",
        "ended_at",
        "facts",
        "history",
        "memory",
        "parent",
        "rate_bytes_s",
        "shown",
        "started",
        "usage",
        "version",
    )

    def __init__(self, started: Started) -> None:
        self.started = started
        self.parent: Identity | None = None
        self.history: History | None = None
        self.memory: Memory | None = None
        self.activity: Activity | None = None
        self.facts: Facts | None = None
        self.usage: Usage | None = None
        self.rate_bytes_s: float | None = None
        self.ended_at: float | None = None
        self.version = 0
        self.shown: tuple[object, ...] = ()


class Tracker:
    """Feeds on samples of one source, taken about every `interval_s` seconds."""

    def __init__(self, interval_s: float = 1.0, own: Identity | None = None) -> None:
        self._own = own
        self._time = Timeline(interval_s)
        self._tracked: dict[Identity, _Tracked] = {}
        self._by_pid: dict[int, Identity] = {}
        self._rows: dict[Identity, Row] = {}
        self._lively: dict[Identity, _Tracked] = {}
        self._ended: deque[_Tracked] = deque()
        self._births: deque[float] = deque()
        self._deaths: deque[float] = deque()
        self._children: forest.Children = {None: ()}
        self._host: History | None = None

    def feed(self, sample: Sample) -> State:
        """Take the next sample; the state after it."""
        time = self._time
        time.advance(sample.clock_s, sample.taken_at)
        for moments in (self._births, self._deaths):
            while moments and moments[0] < sample.clock_s - WINDOW_S:
                moments.popleft()
        dirty: dict[Identity, _Tracked] = {}
        moved = self._end(sample, dirty)
        moved |= self._start(sample, dirty)
        self._note_memory(sample, dirty)
        moved |= self._note_activity(sample, dirty)
        for facts in sample.facts:
            if tracked := self._tracked.get(facts.identity):
                tracked.facts = facts
                dirty[facts.identity] = tracked
        for usage in sample.usage:
            if tracked := self._tracked.get(usage.identity):
                tracked.usage = usage if tracked.usage is None else _merged(tracked.usage, usage)
                dirty[usage.identity] = tracked
        self._update_rates(dirty)
        for identity, tracked in dirty.items():
            if identity in self._tracked:
                self._rows[identity] = self._row(tracked, sample.taken_at)
        if moved:
            self._children = forest.plant(self._parents())
        return State(
            tick=time.tick,
            bucket=time.bucket,
            taken_at=sample.taken_at,
            clock_s=sample.clock_s,
            interval_s=time.interval_s,
            watched_s=sample.clock_s - time.first_clock_s,
            late_s=time.late_s,
            host=self._note_host(sample),
            rows=dict(self._rows),
            children=self._children,
            own=self._own,
            births=len(self._births),
            deaths=len(self._deaths),
            gaps=tuple(time.gaps),
        )

    # -- what a sample says ----------------------------------------------------------------

    def _end(self, sample: Sample, dirty: dict[Identity, _Tracked]) -> bool:
        moved = False
        for identity in sample.ended:
            tracked = self._tracked.get(identity)
            if tracked is None:
                continue
            tracked.ended_at = sample.taken_at
            tracked.rate_bytes_s = None
            self._lively.pop(identity, None)
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

    def _start(self, sample: Sample, dirty: dict[Identity, _Tracked]) -> bool:
        fresh: list[_Tracked] = []
        for started in sample.started:
            identity = started.identity
            tracked = _Tracked(started)
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

    def _note_memory(self, sample: Sample, dirty: dict[Identity, _Tracked]) -> None:
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
                self._lively[identity] = tracked
            elif history.kib != memory.rss_kib:
                history.add(tick, bucket, memory.rss_kib, before_bucket)
                self._lively[identity] = tracked

    def _note_activity(self, sample: Sample, dirty: dict[Identity, _Tracked]) -> bool:
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
        return moved

    def _note_host(self, sample: Sample) -> HostRow:
        host, time = sample.host, self._time
        rate = None
        if host.used_kib is not None:
            if self._host is None:
                self._host = History(time.tick, time.bucket, host.used_kib)
            elif self._host.kib != host.used_kib:
                self._host.add(time.tick, time.bucket, host.used_kib, time.before_bucket)
            rate = time.rate_bytes_s(self._host)
        return HostRow(host.name, host.total_kib, host.used_kib, rate)

    def _parents(self) -> dict[Identity, Identity | None]:
        return {identity: tracked.parent for identity, tracked in self._tracked.items()}

    # -- what follows from it --------------------------------------------------------------

    def _update_rates(self, dirty: dict[Identity, _Tracked]) -> None:
        begin = self._time.tick_since(RATE_OVER_S)
        rested: list[Identity] = []
        for identity, tracked in self._lively.items():
            history = tracked.history
            assert history is not None
            rate = self._time.rate_bytes_s(history)
            if rate != tracked.rate_bytes_s:
                tracked.rate_bytes_s = rate
                dirty[identity] = tracked
            if rate == 0.0 and history.changed_tick < begin:
                rested.append(identity)
        for identity in rested:
            del self._lively[identity]

    def _row(self, tracked: _Tracked, seen_at: float) -> Row:
        started, activity, facts = tracked.started, tracked.activity, tracked.facts
        memory, usage = tracked.memory, tracked.usage
        name = activity.name if activity else started.name
        state = activity.state if activity else "?"
        rss_kib = memory.rss_kib if memory else None
        if state == "Z" and tracked.ended_at is None:
            rss_kib, tracked.rate_bytes_s = 0, None
            self._lively.pop(started.identity, None)
        cpu = activity.cpu_percent if activity else None
        rate = tracked.rate_bytes_s
        shown = (
            name,
            state,
            facts,
            usage,
            tracked.ended_at,
            tracked.parent,
            activity and activity.threads,
            size_parts(rss_kib),
            rss_kib and rss_kib >> 11,  # the sparkline's steps are finer than the digits of GiB
            memory and size_parts(memory.shared_kib),
            None if rate is None else round(rate * 60 / 104857.6),
            None if cpu is None else round(cpu),
        )
        if shown != tracked.shown:
            tracked.shown = shown
            tracked.version += 1
        return Row(
            identity=started.identity,
            version=tracked.version,
            pid=started.identity.pid,
            ppid=activity.ppid if activity else started.ppid,
            name=name,
            command=facts.command if facts else None,
            user=facts.user if facts else None,
            uid=facts.uid if facts else None,
            exe=facts.exe if facts else None,
            cgroup=facts.cgroup if facts else None,
            pod=facts.pod if facts else None,
            rights=facts.rights if facts else None,
            started_at=started.started_at,
            kernel=started.kernel,
            python=_is_python(name, facts),
            state=state,
            threads=activity.threads if activity else None,
            rss_kib=rss_kib,
            shared_kib=memory.shared_kib if memory else None,
            swap_kib=usage.swap_kib if usage else None,
            peak_kib=usage.peak_kib if usage else None,
            pss_kib=usage.pss_kib if usage else None,
            cpu_percent=cpu,
            rate_bytes_s=rate,
            write_bytes_s=usage.write_bytes_s if usage else None,
            written_bytes_s=usage.written_bytes_s if usage else None,
            seen_at=seen_at,
            ended_at=tracked.ended_at,
            history=tracked.history,
        )


def _merged(old: Usage, new: Usage) -> Usage:
    """The newer usage; PSS is read less often, and stays until it is read again."""
    return new if new.pss_kib is not None else new._replace(pss_kib=old.pss_kib)


def _is_python(name: str, facts: Facts | None) -> bool:
    """Whether this is a Python interpreter by its executable, first argument or name."""
    words = [name]
    if facts is not None:
        words.append(facts.exe or "")
        words.append((facts.command or "").split(" ", 1)[0])
    return any(_PYTHON.search(word) for word in words)
