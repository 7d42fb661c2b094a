"""A source whose processes are told what to do: for tests, demonstrations and budgets.

It keeps the contract of every source (differences, identities, no clock that jumps) and has a
clock of its own, so that a day of samples takes as long as it takes to make them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from memtop.probe.sample import (
    Activity,
    Cgroup,
    Facts,
    Host,
    Identity,
    Memory,
    Pod,
    Sample,
    Started,
    Usage,
    Wanted,
)

TICKS_PER_S = 100


@dataclass(slots=True)
class FakeProcess:
    """One process as the fake source would report it; change the fields, then sample."""

    identity: Identity
    ppid: int
    name: str
    command: str | None
    rss_kib: int
    started_at: float
    shared_kib: int = 0
    state: str = "S"
    threads: int = 1
    cpu_percent: float | None = 0.0
    uid: int | None = 1000
    user: str | None = "app"
    exe: str | None = None
    cgroup: str | None = None
    container: str | None = None
    rights: tuple[str, ...] | None = ("smaps", "memory", "attach")
    swap_kib: int | None = 0
    peak_kib: int | None = None
    address_space_bytes: int | None = None
    pod: Pod | None = None
    pss_kib: int | None = None
    kernel: bool = False
    reported: dict[str, object] = field(default_factory=dict)


class FakeSource:
    """Samples of made-up processes; `before_sample` may move them and the clock each time."""

    def __init__(
        self,
        *,
        now: float = 1_795_269_600.0,
        host: Host = Host("fake", 16 << 20, 4 << 20),  # noqa: B008  (frozen)
        step_s: float = 1.0,
        before_sample: Callable[[FakeSource], None] | None = None,
    ) -> None:
        self.own: Identity | None = None
        self.live = False
        self.host = host
        self.wanted = Wanted()
        self.processes: dict[int, FakeProcess] = {}
        self.cgroups: list[Cgroup] = []
        self._begin_at = now
        self._clock_s = 0.0
        self._step_s = step_s
        self._before_sample = before_sample
        self._ended: list[Identity] = []

    @property
    def clock_s(self) -> float:
        """Seconds since the source was made."""
        return self._clock_s

    def spawn(
        self, pid: int, ppid: int = 0, name: str = "python", rss_mib: float = 10.0, **fields: object
    ) -> FakeProcess:
        """A new process; `age_s` says how long ago it started, other fields are FakeProcess's."""
        age_s = float(fields.pop("age_s", 0.0))  # type: ignore[arg-type]
        start_ticks = round((1e6 + self._clock_s - age_s) * TICKS_PER_S)
        command = fields.pop("command", name)
        process = FakeProcess(
            Identity(start_ticks, pid),
            ppid,
            name,
            command,  # type: ignore[arg-type]
            round(rss_mib * 1024),
            self._begin_at + self._clock_s - age_s,
            **fields,  # type: ignore[arg-type]
        )
        if pid in self.processes:
            self.end(pid)
        self.processes[pid] = process
        return process

    def end(self, pid: int) -> None:
        """The process is gone."""
        self._ended.append(self.processes.pop(pid).identity)

    def step(self, seconds: float) -> None:
        """Let time pass."""
        self._clock_s += seconds

    def sample(self, wanted: Wanted) -> Sample:
        """What changed since the last sample; then the clock moves on by one step."""
        self.wanted = wanted
        if self._before_sample is not None:
            self._before_sample(self)
        started, memory, activity, facts, usage = [], [], [], [], []
        for pid, process in self.processes.items():
            if _changed(process, "started", process.identity):
                started.append(
                    Started(
                        process.identity,
                        process.ppid,
                        process.name,
                        process.started_at,
                        process.kernel,
                    )
                )
            if process.kernel:
                continue
            if _changed(process, "memory", (process.rss_kib, process.shared_kib)):
                memory.append(Memory(pid, process.rss_kib, process.shared_kib))
            act = Activity(
                pid,
                process.ppid,
                process.name,
                process.state,
                process.threads,
                process.cpu_percent,
            )
            if _changed(process, "activity", act):
                activity.append(act)
            fact = Facts(
                process.identity,
                process.command,
                process.uid,
                process.user,
                process.exe,
                process.cgroup,
                process.pod or (Pod(container=process.container) if process.container else None),
                process.rights,
                process.address_space_bytes,
            )
            if _changed(process, "facts", fact):
                facts.append(fact)
            if pid in wanted.exact:
                usage.append(Usage(process.identity, exact_rss_kib=process.rss_kib))
            pss_kib = process.pss_kib if wanted.pss else None
            use = Usage(process.identity, process.swap_kib, process.peak_kib, pss_kib)
            if pid in wanted.pids and _changed(process, "usage", use):
                usage.append(use)
        sample = Sample(
            taken_at=self._begin_at + self._clock_s,
            clock_s=self._clock_s,
            host=self.host,
            ended=tuple(i for i in self._ended),
            started=tuple(started),
            memory=tuple(memory),
            activity=tuple(activity),
            facts=tuple(facts),
            usage=tuple(usage),
            cgroups=tuple(self.cgroups),
        )
        self._ended.clear()
        self._clock_s += self._step_s
        return sample

    def settle(self, timeout_s: float) -> None:
        """Nothing is slow here."""

    def close(self) -> None:
        """Nothing is open here."""


def _changed(process: FakeProcess, what: str, value: object) -> bool:
    if process.reported.get(what) == value:
        return False
    process.reported[what] = value
    return True


def crowd(count: int, *, changing: int = 0, step_s: float = 1.0) -> FakeSource:
    """A source of `count` processes in groups of 50, of which `changing` grow by 256 KiB a tick."""

    def move(source: FakeSource) -> None:
        for process in growing:
            process.rss_kib += 256

    source = FakeSource(step_s=step_s, before_sample=move)
    source.spawn(1, 0, "init", 8, age_s=90_000)
    growing: list[FakeProcess] = []
    for index in range(count):
        pid = 100 + index
        leader = pid - index % 50
        ppid = 1 if pid == leader else leader
        process = source.spawn(pid, ppid, "worker", 20 + index % 7, age_s=3600)
        if len(growing) < changing:
            growing.append(process)
    return source
