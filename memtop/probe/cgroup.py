"""The files of one memory cgroup, v1 or v2, read into a `Cgroup`. Sizes in bytes.

The working set is what kubelet and cAdvisor show: usage without inactive files, at least 0. The
floor is what no pressure can reclaim: anonymous and shared memory, kernel memory without
reclaimable slab. v1 does not tell that slab, which is most of kernel memory where many files are
opened: there kernel memory is not in the floor. On v1 the totals are hierarchical, like everything
on v2; only its OOM kills are those of the cgroup alone (mm/memcontrol.c: memcg_memory_event).

Where the folder is, and whose, is told by `cgroupfs`.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Collection
from typing import NamedTuple

from memtop.probe.handle import READ, close
from memtop.probe.sample import Cgroup, Pod

# PAGE_COUNTER_MAX in bytes, about 2^63, stands for no limit on v1 (include/linux/page_counter.h).
NO_LIMIT = 1 << 62
MAX_READ = 1 << 14
LIMIT_FILES = {1: "memory.limit_in_bytes", 2: "memory.max"}
USE_FILES = {1: "memory.usage_in_bytes", 2: "memory.current"}
STAT = "memory.stat"
TOTAL_LIMIT = "hierarchical_memory_limit"  # in memory.stat of v1
_COUNTERS = {
    1: ("memory.kmem.usage_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control"),
    2: (
        *("memory.high", "memory.swap.current", "memory.peak"),
        *("memory.events", "memory.oom.group", "memory.pressure"),
    ),
}
HOT = {version: frozenset((name, STAT)) for version, name in USE_FILES.items()}
ALL = {version: HOT[version] | {LIMIT_FILES[version], *_COUNTERS[version]} for version in HOT}
_NUMBER = re.compile(rb"[0-9]{1,20}")
_AVG10 = re.compile(rb"some avg10=([0-9]{1,3}\.[0-9]{1,2}) ")


class Stable(NamedTuple):
    """What rarely changes about a cgroup: limits and counters, and the kernel memory of v1.

    `is_controlled`: memory can be limited here; in the root of v2 and below folders without the
    memory controller it cannot.
    """

    is_controlled: bool
    limit_bytes: int | None
    unlimited: bool
    reason: str | None
    high_bytes: int | None = None
    kernel_bytes: int | None = None
    swap_bytes: int | None = None
    peak_bytes: int | None = None
    oom_kills: int | None = None
    oom_group: bool | None = None
    pressure_percent: float | None = None


class CgroupFiles:
    """The files in `folder`, a descriptor that they own, of a hierarchy of `version` 1 or 2.

    Those named in `keep` stay open once they were read. OSError when the cgroup is gone.
    """

    def __init__(self, folder: int, version: int, keep: Collection[str] = ()) -> None:
        self._folder, self._version, self._keep = folder, version, keep
        self._open: dict[str, int] = {}

    @property
    def descriptors(self) -> int:
        """How many it keeps open at most."""
        return 1 + len(self._keep)

    def close(self) -> None:
        """Close everything; more calls are harmless."""
        close(self._folder, *self._open.values())
        self._folder = -1
        self._open.clear()

    def read_stable(self) -> Stable:
        """Limits and counters."""
        name = LIMIT_FILES[self._version]
        text = self._text(name)
        limit = _number(text)
        is_controlled = text is not None or self._has(name)
        if not is_controlled:
            self._check("cgroup.procs")
        no_limit = text == b"max\n" if self._version == 2 else (limit or 0) >= NO_LIMIT
        unlimited = no_limit or not is_controlled
        is_known = unlimited or limit is not None
        stable = Stable(
            is_controlled=is_controlled,
            limit_bytes=None if unlimited else limit,
            unlimited=unlimited,
            reason=None if is_known else f"{name} cannot be read",
        )
        return self._counters_v1(stable) if self._version == 1 else self._counters(stable)

    def _counters(self, stable: Stable) -> Stable:
        group = self._number("memory.oom.group")
        return stable._replace(
            high_bytes=self._number("memory.high"),
            swap_bytes=self._number("memory.swap.current"),
            peak_bytes=self._number("memory.peak"),
            oom_kills=_value(b"\n" + (self._text("memory.events") or b""), b"oom_kill"),
            oom_group=None if group is None else group == 1,
            pressure_percent=_pressure(self._text("memory.pressure")),
        )

    def _counters_v1(self, stable: Stable) -> Stable:
        return stable._replace(
            kernel_bytes=self._number("memory.kmem.usage_in_bytes"),
            peak_bytes=self._number("memory.max_usage_in_bytes"),
            oom_kills=_value(b"\n" + (self._text("memory.oom_control") or b""), b"oom_kill"),
            oom_group=False,
        )

    def read_total_limit(self) -> int | None:
        """The tightest limit here and above in bytes, which only v1 tells; None without one."""
        if self._version == 2:
            return None
        stat = b"\n" + (self._text(STAT) or b"")
        limit = _value(stat, TOTAL_LIMIT.encode())
        return None if limit is None or limit >= NO_LIMIT else limit

    def read(self, path: str, parent: str | None, stable: Stable, pod: Pod | None) -> Cgroup:
        """All figures; `stable` is what was read before."""
        current, stat = self._number(USE_FILES[self._version]), self._text(STAT)
        if current is None and stat is None and stable.is_controlled:
            self._check(LIMIT_FILES[self._version])
        text = b"\n" + (stat or b"")
        if self._version == 1:
            anon, shmem = _value(text, b"total_rss"), _value(text, b"total_shmem")
            file, inactive = _value(text, b"total_cache"), _value(text, b"total_inactive_file")
            swap, kernel, slab = _value(text, b"total_swap"), stable.kernel_bytes, None
        else:
            anon, shmem = _value(text, b"anon"), _value(text, b"shmem")
            file, inactive = _value(text, b"file"), _value(text, b"inactive_file")
            swap, kernel = stable.swap_bytes, _kernel(text)
            slab = _value(text, b"slab_reclaimable")
        working_set = floor = None
        if current is not None:
            working_set = max(0, current - (inactive or 0))
        if anon is not None and shmem is not None:
            floor = anon + shmem
            if kernel is not None and slab is not None:
                floor += max(0, kernel - slab)
        return Cgroup(
            path=path,
            parent=parent,
            pod=pod,
            limit_bytes=stable.limit_bytes,
            unlimited=stable.unlimited,
            reason=stable.reason,
            limit_file=None if stable.limit_bytes is None else LIMIT_FILES[self._version],
            high_bytes=stable.high_bytes,
            current_bytes=current,
            working_set_bytes=working_set,
            floor_bytes=floor,
            anon_bytes=anon,
            file_bytes=file,
            kernel_bytes=kernel,
            swap_bytes=swap,
            peak_bytes=stable.peak_bytes,
            oom_kills=stable.oom_kills,
            oom_group=stable.oom_group,
            pressure_percent=stable.pressure_percent,
            shmem_bytes=shmem,
        )

    def _text(self, name: str) -> bytes | None:
        """A file of the cgroup; None without it (as on other kernels), or the right to read it."""
        fd = self._open.get(name, -1)
        if fd >= 0:
            return os.pread(fd, MAX_READ, 0)
        try:
            fd = os.open(name, READ | os.O_NOFOLLOW, dir_fd=self._folder)
        except OSError:
            return None
        try:
            text = os.read(fd, MAX_READ)
        except OSError as error:
            os.close(fd)
            if error.errno == errno.ENODEV:  # gone meanwhile (fs/kernfs/file.c)
                raise
            return None
        if name in self._keep:
            self._open[name] = fd
        else:
            os.close(fd)
        return text

    def _has(self, name: str) -> bool:
        try:
            self._check(name)
        except OSError:
            return False
        return True

    def _check(self, name: str) -> None:
        """OSError without this file, which every such cgroup has: then it is gone."""
        os.stat(name, dir_fd=self._folder, follow_symlinks=False)

    def _number(self, name: str) -> int | None:
        return _number(self._text(name))


def _number(text: bytes | None) -> int | None:
    """A file of one number; None for `max` and anything else."""
    word = (text or b"").strip()
    return int(word) if _NUMBER.fullmatch(word) else None


def _value(text: bytes, key: bytes) -> int | None:
    """The number after `key` at the beginning of a line."""
    begin = text.find(b"\n%b " % key)
    if begin < 0:
        return None
    begin += len(key) + 2
    word = text[begin : begin + 21].partition(b"\n")[0]
    return int(word) if word.isdigit() else None


def _kernel(stat: bytes) -> int | None:
    """Kernel memory in memory.stat of v2; before 5.18 it stands there in pieces only."""
    whole = _value(stat, b"kernel")
    if whole is not None:
        return whole
    pieces = [_value(stat, key) for key in (b"kernel_stack", b"pagetables", b"percpu", b"slab")]
    known = [piece for piece in pieces if piece is not None]
    return sum(known) if known else None


def _pressure(text: bytes | None) -> float | None:
    """`some avg10` of a PSI file, in percent."""
    found = _AVG10.match(text or b"")
    return float(found[1]) if found else None
