"""What a source has read: frozen values, one `Sample` a tick.

A sample is a difference: what it does not mention has not changed since the sample before, but
every living process was looked at. Memory is in KiB, times in seconds, rates per second.
None means not known (yet), never zero.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple


class Identity(NamedTuple):
    """One process for as long as it lives; a reused PID has another start and so another identity.

    `start_ticks` counts clock ticks since boot (proc_pid_stat(5), field 22). It survives exec.
    """

    start_ticks: int
    pid: int


class Started(NamedTuple):
    """A process seen for the first time; `started_at` in seconds since the epoch, if known."""

    identity: Identity
    ppid: int
    name: str
    started_at: float | None
    kernel: bool = False


class Memory(NamedTuple):
    """RSS and the part of it that files and shared memory back (statm), when either changed."""

    pid: int
    rss_kib: int
    shared_kib: int


class Activity(NamedTuple):
    """What `stat` says. `cpu_percent` of one core since the read before; None at the first."""

    pid: int
    ppid: int
    name: str
    state: str
    threads: int
    cpu_percent: float | None


class Facts(NamedTuple):
    """What rarely changes about a process.

    `command` is argv joined by blanks and masked; None if it could not be read (yet).
    `rights` holds those of `smaps`, `memory`, `attach` that memtop has; None if unknown.
    """

    identity: Identity
    command: str | None
    uid: int | None
    user: str | None
    exe: str | None
    cgroup: str | None
    container: str | None
    rights: tuple[str, ...] | None


class Usage(NamedTuple):
    """Dearer figures, read off the sampling thread for rows that are looked at.

    `write_bytes_s` goes to storage, `written_bytes_s` to anything (io: write_bytes, wchar).
    """

    identity: Identity
    swap_kib: int | None = None
    peak_kib: int | None = None
    pss_kib: int | None = None
    write_bytes_s: float | None = None
    written_bytes_s: float | None = None


class Host(NamedTuple):
    """The machine: its name and memory; `used_kib` is what is not available (MemAvailable)."""

    name: str
    total_kib: int | None
    used_kib: int | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a consumer would like to know more often: the probe reads these rows every tick."""

    pids: Collection[int] = frozenset()
    all_cpu: bool = False
    all_usage: bool = False
    pss: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the system. Apply in this order: ended, started, memory, activity, facts, usage.

    `taken_at` is wall time (UTC, seconds since the epoch), `clock_s` a clock that never jumps.
    """

    taken_at: float
    clock_s: float
    host: Host
    ended: tuple[Identity, ...] = ()
    started: tuple[Started, ...] = ()
    memory: tuple[Memory, ...] = ()
    activity: tuple[Activity, ...] = ()
    facts: tuple[Facts, ...] = ()
    usage: tuple[Usage, ...] = field(default=())
