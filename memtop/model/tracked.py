"""What is remembered of one process, and the row that is shown of it.

It holds the newest of everything that samples have said. It decides nothing: rates, trends, roles
and groups are set by the tracker.
"""

from __future__ import annotations

from memtop.model.history import History
from memtop.model.roles import Kin, Role, is_python
from memtop.model.state import Row
from memtop.model.trends import NEW, STEADY, Growth, Trend
from memtop.probe.sample import Activity, Facts, Identity, Memory, Started, Usage
from memtop.units import size_parts


class Tracked:
    """One process; a Row is made of it when it changes."""

    __slots__ = (
        "activity",
        "born_s",
        "ended_at",
        "facts",
        "group",
        "growth",
        "history",
        "kin",
        "memory",
        "parent",
        "rate_bytes_s",
        "role",
        "shown",
        "started",
        "title",
        "usage",
        "version",
    )

    def __init__(self, started: Started, born_s: float | None) -> None:
        self.started = started
        self.born_s = born_s  # by the clock of the samples, if its birth was watched
        self.parent: Identity | None = None
        self.history: History | None = None
        self.growth: Growth | None = None
        self.memory: Memory | None = None
        self.activity: Activity | None = None
        self.facts: Facts | None = None
        self.usage: Usage | None = None
        self.kin: Kin | None = None
        self.role: Role | None = None
        self.group: str | None = None
        self.title: str | None = None
        self.rate_bytes_s: float | None = None
        self.ended_at: float | None = None
        self.version = 0
        self.shown: tuple[object, ...] = ()

    @property
    def name(self) -> str:
        """The newest name (comm)."""
        return self.activity.name if self.activity else self.started.name

    @property
    def is_zombie(self) -> bool:
        """Whether it has died and waits for its parent."""
        return self.activity is not None and self.activity.state == "Z" and self.ended_at is None

    @property
    def trend(self) -> Trend:
        """Its trend; without any change it is steady as soon as there is a rate."""
        if self.growth is not None:
            return self.growth.trend
        return NEW if self.rate_bytes_s is None else STEADY

    def take_usage(self, usage: Usage) -> None:
        """The newer usage; PSS is read less often, and stays until it is read again."""
        old = self.usage
        if old is not None and usage.exact_rss_kib is not None:
            usage = old._replace(exact_rss_kib=usage.exact_rss_kib)
        elif old is not None and usage.pss_kib is None:
            usage = usage._replace(pss_kib=old.pss_kib)
        self.usage = usage

    def is_another_program(self, facts: Facts) -> bool:
        """Whether these facts tell of an exec since the last ones.

        Another command line of the same executable is one, unless it is a title, which has no path.
        """
        old = self.facts
        if old is None or old.exe is None or facts.exe is None:
            return False
        if old.exe != facts.exe:
            return True
        program = (facts.command or "").partition(" ")[0]
        return old.command != facts.command and ("/" in program or "python" in program)

    def read_kin(self) -> bool:
        """Gather what its role follows from; True if that has changed."""
        facts = self.facts
        kin = Kin(self.name, facts and facts.command, facts and facts.exe)
        if kin == self.kin:
            return False
        self.kin = kin
        return True

    def row(self, seen_at: float) -> Row:
        """The row to show; its version is another one if something changed that a row shows."""
        started, activity, facts = self.started, self.activity, self.facts
        memory, usage, trend = self.memory, self.usage, self.trend
        state = activity.state if activity else "?"
        rss_kib = memory.rss_kib if memory else None
        if self.is_zombie:
            rss_kib = 0
        cpu = activity.cpu_percent if activity else None
        rate = self.rate_bytes_s
        shown = (
            self.name,
            state,
            facts,
            usage,
            self.ended_at,
            self.parent,
            self.role,
            self.group,
            trend.word,
            trend.since_s,
            activity and activity.threads,
            size_parts(rss_kib),
            rss_kib and rss_kib >> 11,  # the sparkline's steps are finer than the digits of GiB
            memory and size_parts(memory.shared_kib),
            None if rate is None else round(rate * 60 / 104857.6),
            None if cpu is None else round(cpu),
        )
        if shown != self.shown:
            self.shown = shown
            self.version += 1
        return Row(
            identity=started.identity,
            version=self.version,
            pid=started.identity.pid,
            ppid=activity.ppid if activity else started.ppid,
            name=self.name,
            command=facts.command if facts else None,
            user=facts.user if facts else None,
            uid=facts.uid if facts else None,
            exe=facts.exe if facts else None,
            cgroup=facts.cgroup if facts else None,
            pod=facts.pod if facts else None,
            rights=facts.rights if facts else None,
            address_space_bytes=facts.address_space_bytes if facts else None,
            started_at=started.started_at,
            kernel=started.kernel,
            python=self.kin is not None and is_python(self.kin),
            role=self.role.role if self.role else None,
            framework=self.role.framework if self.role else None,
            group=self.group,
            title=self.title,
            state=state,
            threads=activity.threads if activity else None,
            rss_kib=rss_kib,
            shared_kib=memory.shared_kib if memory else None,
            swap_kib=usage.swap_kib if usage else None,
            peak_kib=usage.peak_kib if usage else None,
            pss_kib=usage.pss_kib if usage else None,
            cpu_percent=cpu,
            rate_bytes_s=rate,
            trend=trend,
            write_bytes_s=usage.write_bytes_s if usage else None,
            written_bytes_s=usage.written_bytes_s if usage else None,
            seen_at=seen_at,
            ended_at=self.ended_at,
            history=self.history,
        )


def title_of(kin: Kin, parent: Kin | None, role: Role) -> str | None:
    """What to call a process whose command line is not its own: the label of its role.

    Forked workers have the command line of their parent, those of multiprocessing and of `-c` one
    that was generated.
    """
    if role.role not in ("worker", "forkserver", "tracker") or not role.label:
        return None
    is_inherited = parent is not None and parent.command == kin.command
    is_generated = is_python(kin) and (" -c " in f"{kin.command} " or "loky" in (kin.command or ""))
    return role.label if is_inherited or is_generated else None
