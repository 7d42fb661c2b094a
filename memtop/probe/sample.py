"""What a source has read: frozen values, one `Sample` a tick.

A sample is a difference: what it does not mention has not changed since the sample before, but
every living process was looked at. Memory is in KiB, times in seconds, rates per second.
None means not known (yet), never zero.
"""

from __future__ import annotations

from collections.abc import Collection
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


class Pod(NamedTuple):
    """Which container a process or cgroup belongs to, and whose; a field is None if unknown.

    Ids are whole: 64 hexadecimal digits of the container, the uid of the pod as the API writes it.
    `qos` is `Guaranteed`, `Burstable` or `BestEffort`.
    """

    container_id: str | None = None
    container: str | None = None
    uid: str | None = None
    name: str | None = None
    namespace: str | None = None
    qos: str | None = None


class Cgroup(NamedTuple):
    """One memory cgroup, as its files say (v1 or v2); sizes in bytes, None is unknown.

    `parent` is the nearest ancestor that could be read, another key. `limit_bytes` is its own limit
    (memory.max); None without one if `unlimited`, else because of `reason`. The working set is
    kubelet's: usage without inactive files. The floor cannot be reclaimed: anonymous and shared
    memory, kernel memory without reclaimable slab. `oom_group`: a kill takes all of it.
    """

    path: str
    parent: str | None
    pod: Pod | None
    limit_bytes: int | None
    unlimited: bool
    reason: str | None = None
    limit_file: str | None = None  # `memory.max`, `memory.limit_in_bytes`
    high_bytes: int | None = None
    current_bytes: int | None = None
    working_set_bytes: int | None = None
    floor_bytes: int | None = None
    anon_bytes: int | None = None
    file_bytes: int | None = None
    kernel_bytes: int | None = None
    swap_bytes: int | None = None
    peak_bytes: int | None = None
    oom_kills: int | None = None
    oom_group: bool | None = None
    pressure_percent: float | None = None  # memory.pressure, some, avg10
    shmem_bytes: int | None = None  # part of file_bytes


class Facts(NamedTuple):
    """What rarely changes about a process.

    `command` is argv joined by blanks and masked; None if it could not be read (yet).
    `rights` holds those of `smaps`, `memory`, `attach` that memtop has; None if unknown.
    `cgroup` is the path of the memory cgroup as memtop sees it, the key of `Sample.cgroups`.
    `address_space_bytes` is the soft RLIMIT_AS; None if there is none, or it is unknown.
    """

    identity: Identity
    command: str | None
    uid: int | None
    user: str | None
    exe: str | None
    cgroup: str | None
    pod: Pod | None
    rights: tuple[str, ...] | None
    address_space_bytes: int | None = None


class Usage(NamedTuple):
    """Dearer figures, read off the sampling thread for rows that are looked at.

    `write_bytes_s` goes to storage, `written_bytes_s` to anything (io: write_bytes, wchar).
    `exact_rss_kib` is counted page by page (smaps_rollup); statm may be off on large machines.
    """

    identity: Identity
    swap_kib: int | None = None
    peak_kib: int | None = None
    pss_kib: int | None = None
    write_bytes_s: float | None = None
    written_bytes_s: float | None = None
    exact_rss_kib: int | None = None


class Host(NamedTuple):
    """The machine: its name and memory; `used_kib` is what is not available (MemAvailable)."""

    name: str
    total_kib: int | None
    used_kib: int | None


class Wanted(NamedTuple):
    """What a consumer would like to know more often: the probe reads these rows every tick."""

    pids: Collection[int] = frozenset()
    all_cpu: bool = False
    all_usage: bool = False
    pss: bool = False
    exact: Collection[int] = frozenset()  # whose RSS is to be read exactly, once


class Sample(NamedTuple):
    """One look at the system. Apply in this order: ended, started, memory, activity, facts, usage.

    `cgroups` holds those that were read just now, all of them within a few seconds.
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
    usage: tuple[Usage, ...] = ()
    cgroups: tuple[Cgroup, ...] = ()
