"""What a /proc tree tells about the machine as a whole, and about memtop in it."""

from __future__ import annotations

import os
import stat

from memtop.errors import MemtopError
from memtop.probe import parse
from memtop.probe.handle import is_pid, read
from memtop.probe.sample import Host, Identity
from memtop.units import iso_utc

LATEST_S = 1e11  # beyond this no calendar goes


class HostReader:
    """The machine behind the /proc tree at `root`; MemtopError if that holds no processes."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.is_procfs = self._check()
        self.boot_at = self._read_boot_time()
        self.own = self._find_own()
        self._name = self._read_name()

    def sample(self) -> Host:
        """Memory of the machine now; used is what is not available."""
        try:
            pairs = parse.parse_keyed(read(f"{self._root}/meminfo", 8192))
        except OSError:
            return Host(self._name, None, None)
        total, available = parse.kib_of(pairs, "MemTotal"), parse.kib_of(pairs, "MemAvailable")
        used = None if total is None or available is None else total - available
        return Host(self._name, total, used)

    def begun(self, start_ticks: int) -> str:
        """When a process with this start time began, in words: `2026-11-21T14:03:22.120Z`."""
        if self.boot_at is None:
            return "at an unknown time"
        return iso_utc(self.boot_at + start_ticks / os.sysconf("SC_CLK_TCK"))

    def _check(self) -> bool:
        """Whether the tree is a procfs, and no copy of one."""
        try:
            pids = [name for name in os.listdir(self._root) if is_pid(name)]
        except OSError as error:
            raise MemtopError(f"cannot read {self._root}: {error.strerror}") from None
        if not pids:
            raise MemtopError(
                f"{self._root} holds no process folders", command="memtop --procfs /proc"
            )
        for pid in pids:
            try:
                # A procfs file has no size before it is read; a copy of one has.
                info = os.stat(f"{self._root}/{pid}/stat")
                return stat.S_ISREG(info.st_mode) and info.st_size == 0
            except OSError:
                continue
        return False

    def _find_own(self) -> Identity | None:
        """memtop's own identity, if `root/self` is this very process."""
        try:
            pid = int(os.readlink(f"{self._root}/self"))
            there = parse.parse_stat(read(f"{self._root}/{pid}/stat"))
            here = parse.parse_stat(read("/proc/self/stat"))
        except (OSError, ValueError):
            return None
        if not self.is_procfs or there.start_ticks != here.start_ticks:
            return None
        return Identity(there.start_ticks, pid)

    def _read_boot_time(self) -> float | None:
        try:
            for line in read(f"{self._root}/stat", 1 << 20).splitlines():
                if line.startswith(b"btime "):
                    boot_at = float(line.split()[1])
                    return boot_at if 0 < boot_at < LATEST_S else None
        except (OSError, ValueError, IndexError):
            pass
        return None

    def _read_name(self) -> str:
        try:
            raw = read(f"{self._root}/sys/kernel/hostname")
            return raw.decode("utf-8", "surrogateescape").strip() or "unknown"
        except OSError:
            return "unknown"


def own_host(root: str) -> HostReader | None:
    """The machine at `root` if its PIDs are those that kill(2) and ptrace(2) mean, else None."""
    try:
        host = HostReader(root)
        status = parse.parse_keyed(read(f"{root}/self/status", 1 << 16))
    except (MemtopError, OSError):
        return None
    if host.own is None or host.own.pid != os.getpid():
        return None
    # The /proc of an outer namespace may by chance show memtop under the PID that it has inside;
    # then NSpid has a number for each of the two (fs/proc/array.c: task_state).
    return host if len(status.get("NSpid", "").split()) <= 1 else None
