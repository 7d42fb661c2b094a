"""What is known about one process and what is around it, each with its source and its moment.

Pure values; whoever gathers them is above. None or an empty tuple is not known, and then `lacks`
says why, and which key would measure it. Sizes in bytes, changes signed, rates in bytes per second,
times in seconds, `*_at` since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from memtop.diagnosis.finding import Lack


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose memory it is. `python` is its version, None if it runs no CPython; `command` is masked.

    `parent_command` is that of the process which started it, where a server's options stand.
    `stopped`: by a signal or a frozen cgroup. `first_threads`: how many there were when the watch
    began. `cpus` are the machine's, which glibc counts for its arenas.
    """

    pid: int
    name: str
    role: str | None = None
    framework: str | None = None
    python: str | None = None
    command: str | None = None
    parent_pid: int | None = None
    parent_command: str | None = None
    uptime_s: float | None = None
    threads: int | None = None
    first_threads: int | None = None
    cpus: int | None = None
    forked: bool = False
    stopped: bool = False
    ended: bool = False
    rss_bytes: int | None = None
    swap_bytes: int | None = None
    pss_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """How its RSS moved while it was watched: the trend is that of the tracker (model.trends).

    `change_bytes` is that of the floor, the least of some seconds at both ends, within `change_s`
    if that is less than the whole time; `peak_bytes` and
    `floor_bytes` the largest and the least RSS seen. `rises` and `falls` count what went up or down
    by more than a tenth of that range; `recent_share` is how much of the rise lies in the last
    quarter of the time, `largest_step_bytes` the largest rise from one value to the next,
    `largest_fall_bytes` the deepest fall from any value to a later one. `floor_rise_bytes`: the
    least of the second half of the time less that of the first. `quarters`: how much of the rise
    lies in each quarter of the time; `still_s`: for how long it has not risen by a twentieth of the
    whole, `pause_s`: the longest such time before. `from_recording`: history of before memtop was
    started.
    """

    since_at: float
    seconds: float
    rss_bytes: int
    change_bytes: int
    rate_bytes_s: float | None = None
    trend: str = "new"
    since_s: float | None = None
    sure: float | None = None
    slope_bytes_s: float | None = None
    low_bytes_s: float | None = None
    high_bytes_s: float | None = None
    peak_bytes: int | None = None
    floor_bytes: int | None = None
    rises: int = 0
    falls: int = 0
    recent_share: float | None = None
    largest_step_bytes: int | None = None
    largest_fall_bytes: int | None = None
    floor_rise_bytes: int | None = None
    shared_change_bytes: int | None = None  # RSS of files and shared memory
    quarters: tuple[float, ...] = ()
    still_s: float | None = None
    pause_s: float | None = None
    from_recording: bool = False
    change_s: float | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """One look at what RSS is made of: parts by the ids of anatomy (`anatomy.result.PartId`).

    `arena_max` 0: not set; None: unknown. `provider`: who serves malloc if it is not the C library.
    `shmem_bytes`: RssShmem of /proc/PID/status; the part `shared` has mapped files in it as well.
    """

    taken_at: float
    rss_bytes: int
    explained_bytes: int
    parts: Mapping[str, int]
    shared: Mapping[str, int] = field(default_factory=dict)
    confidence: float = 1.0
    arenas: int = 0
    allocator: str | None = None
    provider: str | None = None
    arena_max: int | None = None
    mmap_threshold_bytes: int | None = None
    trim_threshold_bytes: int | None = None
    threshold_is_fixed: bool | None = None
    trim_would_return_bytes: int | None = None
    big_blocks: int | None = None
    swapped_bytes: int = 0
    shmem_bytes: int | None = None

    def of(self, *parts: str) -> int:
        """The sum of these parts; those that do not exist count nothing."""
        return sum(self.parts.get(part, 0) for part in parts)


@dataclass(frozen=True, slots=True)
class Kind:
    """One Python type: all its objects and what they own."""

    name: str
    count: int
    bytes: int


class Holder(NamedTuple):
    """A container at the top of a module, or the big blocks of one owner (`length` blocks)."""

    name: str
    kind: str
    length: int
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Types:
    """One count of the objects. `native_bytes`: of malloc's memory in use and of the big blocks,
    what no object of Python owns; `error` is the share by which a count may be off.
    `source`: `census` or `snapshot`; only the latter knows `containers` and `tasks`.
    """

    taken_at: float
    source: str
    kinds: tuple[Kind, ...]
    bytes: int
    error: float = 0.0
    native_bytes: int | None = None
    big_blocks: tuple[Holder, ...] = ()
    containers: tuple[Holder, ...] = ()
    tasks: int | None = None
    garbage: int | None = None


class Done(NamedTuple):
    """What an action did here before: `trim` or `gc`, and what it gave back."""

    action: str
    taken_at: float
    returned_bytes: int
    collected: int | None = None


@dataclass(frozen=True, slots=True)
class Crowd:
    """The group of which it is a member or the parent, or the tree below it (model.groups).

    `finding` is the group's; `equal`: all members are of about one size. `change_bytes` is that of
    the sum, of which `born_bytes` came with births and `died_bytes` went with deaths.
    """

    label: str
    role: str
    parent_pid: int
    processes: int
    finding: str
    rss_bytes: int
    average_bytes: int
    largest_bytes: int
    births: int
    deaths: int
    growing: int = 0
    change_bytes: int = 0
    born_bytes: int = 0
    died_bytes: int = 0
    grown_bytes: int = 0
    pss_bytes: int | None = None
    limit_bytes: int | None = None
    worst_pid: int | None = None
    comes_and_goes: bool = False
    parent_role: str | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """The cgroup and the limit that holds; `*_change_bytes` over `seconds`, None is unknown.

    `fits_more` and `worst_child_bytes` are those of model.capacity, None where it does not apply.
    `shm_bytes`: what the process's /dev/shm holds.
    """

    path: str
    seconds: float
    limit_bytes: int | None = None
    why_no_limit: str | None = None
    current_bytes: int | None = None
    floor_bytes: int | None = None
    anon_bytes: int | None = None
    file_bytes: int | None = None
    shmem_bytes: int | None = None
    kernel_bytes: int | None = None
    current_change_bytes: int | None = None
    anon_change_bytes: int | None = None
    file_change_bytes: int | None = None
    shmem_change_bytes: int | None = None
    kernel_change_bytes: int | None = None
    shm_bytes: int | None = None
    shm_change_bytes: int | None = None
    eta_s: float | None = None
    oom_kills: int | None = None
    oom_kills_seen: int = 0
    children: int | None = None
    fits_more: int | None = None
    fits_total: int | None = None
    taken_bytes: int | None = None
    worst_child_bytes: int | None = None
    worst_child_from: str | None = None
    capacity_warns: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is known at `now`: the first and the last look, where there are two.

    `tree_change_bytes` is the change of the RSS of all processes below the one that was asked for.
    """

    now: float
    subject: Subject
    watch: Watch | None = None
    first: Memory | None = None
    last: Memory | None = None
    first_types: Types | None = None
    last_types: Types | None = None
    done: tuple[Done, ...] = ()
    crowd: Crowd | None = None
    room: Room | None = None
    asked_pid: int | None = None
    tree_processes: int = 1
    tree_change_bytes: int | None = None
    lacks: tuple[Lack, ...] = ()
