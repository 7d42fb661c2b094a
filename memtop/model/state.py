"""What is known at one moment, frozen: one `Row` a process, one `State` for all of them.

Sizes in KiB, rates in bytes per second, times in seconds; None is unknown. The history of a row
is the only thing that goes on growing; reading it is safe from any thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from memtop.model.groups import Group
from memtop.model.history import History
from memtop.model.limits import Limit
from memtop.model.trends import Trend
from memtop.probe.sample import Identity, Pod


class Row(NamedTuple):
    """One process. `version` grows when something changes that a row shows.

    `title` is a name that says more than its command line, which is its parent's or generated.
    """

    identity: Identity
    version: int
    pid: int
    ppid: int
    name: str
    command: str | None
    user: str | None
    uid: int | None
    exe: str | None
    cgroup: str | None
    pod: Pod | None
    rights: tuple[str, ...] | None
    address_space_bytes: int | None
    started_at: float | None
    kernel: bool
    python: bool
    role: str | None
    framework: str | None
    group: str | None
    title: str | None
    state: str
    threads: int | None
    rss_kib: int | None
    shared_kib: int | None
    swap_kib: int | None
    peak_kib: int | None
    pss_kib: int | None
    cpu_percent: float | None
    rate_bytes_s: float | None
    trend: Trend
    write_bytes_s: float | None
    written_bytes_s: float | None
    seen_at: float
    ended_at: float | None
    history: History | None

    @property
    def is_growing(self) -> bool:
        """Whether its memory is rising or leak-like."""
        return self.ended_at is None and self.trend.is_growing

    @property
    def container(self) -> str | None:
        """The container's name, else its id as docker, crictl and podman print it."""
        if self.pod is None:
            return None
        return self.pod.container or (self.pod.container_id or "")[:12] or None

    @property
    def pod_name(self) -> str | None:
        """The pod's name, else its uid."""
        return self.pod and (self.pod.name or self.pod.uid)

    @property
    def namespace(self) -> str | None:
        """The pod's namespace."""
        return self.pod and self.pod.namespace


class HostRow(NamedTuple):
    """The machine's memory, how fast its floor rises, and when it is full if it goes on."""

    name: str
    total_kib: int | None
    used_kib: int | None
    rate_bytes_s: float | None
    eta_s: float | None = None


@dataclass(frozen=True, slots=True)
class State:
    """Everything at one moment.

    `children` maps a process (None: the roots) to its children in order of their start; it is the
    same object as before when nobody was born, died or moved. `gaps` are spans of history
    buckets, both ends included, in which nothing was sampled. `groups` are by id, `limits` by the
    path of the cgroup in which they hold.
    """

    tick: int
    bucket: int
    taken_at: float
    clock_s: float
    interval_s: float
    watched_s: float
    late_s: float
    host: HostRow
    rows: Mapping[Identity, Row]
    children: Mapping[Identity | None, tuple[Identity, ...]]
    own: Identity | None
    births: int
    deaths: int
    growing: tuple[Row, ...]
    groups: Mapping[str, Group]
    limits: Mapping[str, Limit]
    gaps: tuple[tuple[int, int], ...] = ()

    def living(self) -> list[Row]:
        """The rows of processes that have not ended and are not the kernel's."""
        return [row for row in self.rows.values() if row.ended_at is None and not row.kernel]

    def with_pid(self, pid: int) -> tuple[Identity, ...]:
        """Who has a PID: nobody, one, or for a while also one that has ended."""
        return tuple(one for one in self.rows if one.pid == pid)

    def limit_of(self, row: Row) -> Limit | None:
        """The limit that holds for a process; None if nothing was read about its cgroup."""
        return None if row.cgroup is None else self.limits.get(row.cgroup)
