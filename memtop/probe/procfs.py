"""The processes of a Linux /proc tree, read as cheaply as Python can.

`statm` of every process is read every tick and `stat` of every fifth, both through descriptors
that stay open: a kept descriptor answers ESRCH once its process is gone (fs/proc/base.c), so a
reused PID never inherits a history. What has not changed is compared as bytes and not parsed.
Where descriptors run out, and in trees that are no procfs (recorded ones), files are opened and
read each time and the start time is compared instead.

Everything that can block on a lock of the target is left to `details`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from re import Pattern

from memtop.errors import MemtopError
from memtop.probe import descriptors, parse
from memtop.probe.details import DetailReader
from memtop.probe.sample import (
    Activity,
    Host,
    Identity,
    Memory,
    Sample,
    Started,
    Wanted,
)

PHASES = 5  # `stat` of a process that nobody looks at is read every fifth tick
KERNEL_EVERY_TICKS = 60
CPU_OVER_S = 0.5  # the kernel counts CPU in ticks of 10 ms: a share of less than this is noise
FACTS_EVERY_TICKS = 300  # facts are read again this often, staggered by PID
WITHOUT_MEMORY = b"0 0 "  # statm of a process without memory: a zombie, or one that exits

_READ = os.O_RDONLY | os.O_CLOEXEC


class _Process:
    """What the source keeps about one process between two ticks."""

    __slots__ = (
        "busy",
        "cpu_percent",
        "cpu_ticks",
        "identity",
        "looked_at",
        "name",
        "pid",
        "rss_kib",
        "shared_kib",
        "stat_fd",
        "stat_raw",
        "statm_fd",
        "statm_raw",
        "text_pages",
    )

    def __init__(self, identity: Identity, name: str) -> None:
        self.identity = identity
        self.pid = identity.pid
        self.name = name
        self.stat_fd = self.statm_fd = -1
        self.stat_raw = self.statm_raw = b""
        self.text_pages = self.rss_kib = self.shared_kib = -1
        self.cpu_ticks = -1
        self.cpu_percent: float | None = None
        self.looked_at = 0.0
        self.busy = True


class ProcfsSource:
    """Samples of the processes below `root`; see `memtop.probe.source.Source`."""

    def __init__(self, root: str = "/proc", *, mask: Iterable[Pattern[str]] = ()) -> None:
        self._root = root.rstrip("/") or "/"
        self._room = descriptors.raise_limit()
        self._open = 0
        self._page_kib = os.sysconf("SC_PAGE_SIZE") // 1024
        self._tick_hz = os.sysconf("SC_CLK_TCK")
        self._tick = -1
        self._names: set[str] = set()
        self._processes: dict[int, _Process] = {}
        self._kernel: dict[int, Identity] = {}
        self._kept: dict[int, _Process] = {}
        self._loose: dict[int, _Process] = {}
        self._looked_at: frozenset[int] = frozenset()
        self._phases: list[dict[int, _Process]] = [{} for _ in range(PHASES)]
        self._details = DetailReader(self._root, mask=mask)
        self._boot_at = self._read_boot_time()
        self._is_procfs = self._check()
        self.own = self._find_own()
        self.live = self.own is not None and self.own.pid == os.getpid()
        self._host_name = self._read_host_name()

    def sample(self, wanted: Wanted) -> Sample:
        """Look at every process now."""
        self._tick += 1
        taken_at, clock_s = time.time(), time.monotonic()
        self._recheck_kernel()
        memory: list[Memory] = []
        activity: list[Activity] = []
        gone: list[_Process] = []
        ended, started = self._list(activity, clock_s)
        due = self._due(wanted)
        due.update(self._sweep_memory(memory, gone))
        self._sweep_loose(memory, activity, gone, clock_s)
        self._sweep_stat(due.values(), activity, gone, clock_s)
        # A PID that was reused since the listing is found by the next one.
        ended += [process.identity for process in gone if self._drop(process)]
        lost = set(ended)
        started = [begun for begun in started if begun.identity not in lost]
        self._ask(started, wanted)
        facts, usage = self._details.drain()
        return Sample(
            taken_at=taken_at,
            clock_s=clock_s,
            host=self._read_host(),
            ended=tuple(ended),
            started=tuple(started),
            memory=tuple(m for m in memory if m.pid in self._processes),
            activity=tuple(a for a in activity if a.pid in self._processes),
            facts=tuple(f for f in facts if self._is_known(f.identity)),
            usage=tuple(u for u in usage if self._is_known(u.identity)),
        )

    def settle(self, timeout_s: float) -> None:
        """Wait until the facts asked for are read, or the time is over."""
        self._details.settle(timeout_s)

    def close(self) -> None:
        """Close every descriptor and end the detail threads."""
        self._details.close()
        for process in list(self._processes.values()):
            self._drop(process)

    # -- once ------------------------------------------------------------------------------

    def _check(self) -> bool:
        """Whether `root` is a procfs; MemtopError when it holds no processes at all."""
        try:
            pids = [name for name in os.listdir(self._root) if name.isdigit()]
        except OSError as error:
            raise MemtopError(f"cannot read {self._root}: {error.strerror}") from None
        if not pids:
            raise MemtopError(
                f"{self._root} holds no process folders", command="memtop --procfs /proc"
            )
        try:
            # A procfs file has no size before it is read; a copy of one has.
            return all(os.stat(f"{self._root}/{pid}/stat").st_size == 0 for pid in pids[:1])
        except OSError:
            return True

    def _find_own(self) -> Identity | None:
        """memtop's own identity, if `root/self` is this very process."""
        try:
            pid = int(os.readlink(f"{self._root}/self"))
            there = parse.parse_stat(_read(f"{self._root}/{pid}/stat"))
            here = parse.parse_stat(_read("/proc/self/stat"))
        except (OSError, ValueError):
            return None
        if not self._is_procfs or there.start_ticks != here.start_ticks:
            return None
        return Identity(there.start_ticks, pid)

    def _read_boot_time(self) -> float | None:
        try:
            for line in _read(f"{self._root}/stat", 1 << 20).splitlines():
                if line.startswith(b"btime "):
                    return float(line.split()[1])
        except (OSError, ValueError, IndexError):
            pass
        return None

    def _read_host_name(self) -> str:
        try:
            raw = _read(f"{self._root}/sys/kernel/hostname")
            return raw.decode("utf-8", "surrogateescape").strip() or "unknown"
        except OSError:
            return "unknown"

    # -- each tick -------------------------------------------------------------------------

    def _list(
        self, activity: list[Activity], clock_s: float
    ) -> tuple[list[Identity], list[Started]]:
        """Compare the directory with the one before: who ended, who is new."""
        try:
            names = set(os.listdir(self._root))
        except OSError as error:
            raise MemtopError(f"cannot read {self._root}: {error.strerror}") from None
        ended: list[Identity] = []
        started: list[Started] = []
        for name in self._names - names:
            if not name.isdigit():
                continue
            pid = int(name)
            if pid in self._kernel:
                ended.append(self._kernel.pop(pid))
            elif (process := self._processes.get(pid)) and self._drop(process):
                ended.append(process.identity)
        # The names of those that could not be opened are looked at again next time.
        failed = set()
        for name in names - self._names:
            if not name.isdigit():
                continue
            begun = self._begin(int(name), activity, clock_s)
            if begun is None:
                failed.add(name)
            else:
                started.append(begun)
        self._names = names - failed
        return ended, started

    def _is_known(self, identity: Identity) -> bool:
        process = self._processes.get(identity.pid)
        return process is not None and process.identity == identity

    def _recheck_kernel(self) -> None:
        """Kernel threads keep no descriptor: see now and then whether the PID is still theirs."""
        turn = self._tick % KERNEL_EVERY_TICKS
        for pid in [pid for pid in self._kernel if pid % KERNEL_EVERY_TICKS == turn]:
            try:
                stat = parse.parse_stat(_read(f"{self._root}/{pid}/stat"))
                if stat.start_ticks == self._kernel[pid].start_ticks:
                    continue
            except (OSError, ValueError):
                pass
            self._names.discard(str(pid))

    def _begin(self, pid: int, activity: list[Activity], clock_s: float) -> Started | None:
        """Open a new process; None when it is gone already or cannot be read."""
        keep = self._is_procfs and self._open + 2 <= self._room
        stat_fd = statm_fd = -1
        try:
            stat_fd = os.open(f"{self._root}/{pid}/stat", _READ)
            if keep:
                statm_fd = os.open(f"{self._root}/{pid}/statm", _READ)
            # Read after both are open: an answer proves that both are of the same process.
            raw = os.pread(stat_fd, 1024, 0)
            stat = parse.parse_stat(raw)
        except (OSError, ValueError):
            _close(stat_fd, statm_fd)
            return None
        identity = Identity(stat.start_ticks, pid)
        started_at = self._boot_at and self._boot_at + stat.start_ticks / self._tick_hz
        begun = Started(identity, stat.ppid, stat.name, started_at, stat.kernel)
        if stat.kernel:
            _close(stat_fd, statm_fd)
            self._kernel[pid] = identity
            return begun
        process = _Process(identity, stat.name)
        self._processes[pid] = process
        self._phases[pid % PHASES][pid] = process
        # With half of the room used, `stat` is opened anew each time, so that the other half
        # suffices for everybody's `statm`.
        if keep and self._open < self._room // 2:
            process.stat_fd = stat_fd
        else:
            os.close(stat_fd)
        process.statm_fd = statm_fd
        self._open += (process.stat_fd >= 0) + (statm_fd >= 0)
        (self._kept if keep else self._loose)[pid] = process
        self._take_stat(process, stat, raw, activity, clock_s)
        return begun

    def _drop(self, process: _Process) -> bool:
        """Forget a process; False if that was done before."""
        if self._processes.get(process.pid) is not process:
            return False
        del self._processes[process.pid]
        del self._phases[process.pid % PHASES][process.pid]
        del (self._kept if process.statm_fd >= 0 else self._loose)[process.pid]
        self._open -= (process.stat_fd >= 0) + (process.statm_fd >= 0)
        _close(process.stat_fd, process.statm_fd)
        self._names.discard(str(process.pid))
        self._details.forget(process.identity)
        return True

    def _sweep_memory(self, memory: list[Memory], gone: list[_Process]) -> dict[int, _Process]:
        """`statm` of every kept process; returns those that have lost their memory just now."""
        pread = os.pread
        fading: dict[int, _Process] = {}
        for process in self._kept.values():
            try:
                raw = pread(process.statm_fd, 128, 0)
            except OSError:
                gone.append(process)
                continue
            if raw == process.statm_raw:
                continue
            if self._note_memory(process, raw, memory):
                fading[process.pid] = process
        return fading

    def _note_memory(self, process: _Process, raw: bytes, memory: list[Memory]) -> bool:
        """Take a changed `statm`; True when the process has no memory any more."""
        process.statm_raw = raw
        try:
            rss_pages, shared_pages, text_pages = parse.parse_statm(raw)
        except ValueError:
            return False
        if raw.startswith(WITHOUT_MEMORY):
            # Dying: what it held last stays on show until `stat` says what it is now.
            return True
        rss_kib, shared_kib = rss_pages * self._page_kib, shared_pages * self._page_kib
        if rss_kib != process.rss_kib or shared_kib != process.shared_kib:
            process.rss_kib, process.shared_kib = rss_kib, shared_kib
            memory.append(Memory(process.pid, rss_kib, shared_kib))
        if text_pages != process.text_pages:
            if process.text_pages >= 0:  # another program: exec
                self._details.ask("facts", (process.identity,), urgent=True)
            process.text_pages = text_pages
        return False

    def _sweep_loose(
        self,
        memory: list[Memory],
        activity: list[Activity],
        gone: list[_Process],
        clock_s: float,
    ) -> None:
        """Processes without descriptors: `stat` tells each time whether it is still the same."""
        for process in self._loose.values():
            try:
                raw = _read(f"{self._root}/{process.pid}/stat")
                if parse.parse_stat(raw).start_ticks != process.identity.start_ticks:
                    raise ProcessLookupError
                self._note_stat(process, raw, activity, clock_s)
                statm = _read(f"{self._root}/{process.pid}/statm")
                if statm != process.statm_raw:
                    self._note_memory(process, statm, memory)
            except (OSError, ValueError):
                gone.append(process)

    def _due(self, wanted: Wanted) -> dict[int, _Process]:
        """Whose `stat` is read in this tick, by PID."""
        if self._tick == 0:
            return {}  # just read, as they were opened
        if wanted.all_cpu:
            return dict(self._processes)
        due = dict(self._phases[self._tick % PHASES])
        due.update((pid, self._processes[pid]) for pid in wanted.pids if pid in self._processes)
        return due

    def _sweep_stat(
        self,
        due: Iterable[_Process],
        activity: list[Activity],
        gone: list[_Process],
        clock_s: float,
    ) -> None:
        pread = os.pread
        for process in due:
            try:
                if process.stat_fd >= 0:
                    raw = pread(process.stat_fd, 1024, 0)
                elif process.statm_fd >= 0:
                    raw = _read(f"{self._root}/{process.pid}/stat")
                    if parse.parse_stat(raw).start_ticks != process.identity.start_ticks:
                        raise ProcessLookupError
                else:
                    continue  # a loose one, read already
            except (OSError, ValueError):
                gone.append(process)
                continue
            if raw == process.stat_raw and not process.busy:
                process.looked_at = clock_s
            else:
                self._note_stat(process, raw, activity, clock_s)

    def _note_stat(
        self, process: _Process, raw: bytes, activity: list[Activity], clock_s: float
    ) -> None:
        try:
            self._take_stat(process, parse.parse_stat(raw), raw, activity, clock_s)
        except ValueError:
            return

    def _take_stat(
        self,
        process: _Process,
        stat: parse.Stat,
        raw: bytes,
        activity: list[Activity],
        clock_s: float,
    ) -> None:
        """Take a `stat`; a process that was busy is reported once more when it rests."""
        elapsed_s = clock_s - process.looked_at
        if process.cpu_ticks < 0 or elapsed_s >= CPU_OVER_S:
            if process.cpu_ticks >= 0:
                used = stat.cpu_ticks - process.cpu_ticks
                process.cpu_percent = max(0.0, 100.0 * used / self._tick_hz / elapsed_s)
            process.cpu_ticks, process.looked_at = stat.cpu_ticks, clock_s
        if process.name != stat.name:
            process.name = stat.name
            self._details.ask("facts", (process.identity,), urgent=True)
        process.stat_raw = raw
        process.busy = process.cpu_percent != 0.0
        activity.append(
            Activity(
                process.pid, stat.ppid, stat.name, stat.state, stat.threads, process.cpu_percent
            )
        )

    def _ask(self, started: list[Started], wanted: Wanted) -> None:
        """Order the slow facts: of new processes, of those looked at, and in turn of the others."""
        looked_at = frozenset(self._processes if wanted.all_usage else wanted.pids)
        fresh = [begun.identity for begun in started if not begun.kernel]
        self._details.ask("facts", [one for one in fresh if one.pid in looked_at], urgent=True)
        self._details.ask("facts", fresh)
        usage = [
            self._processes[pid].identity
            for pid in looked_at & self._processes.keys()
            if pid not in self._looked_at or (self._tick + pid) % PHASES == 0
        ]
        self._details.ask("pss" if wanted.pss else "usage", usage)
        self._looked_at = looked_at
        turn = self._tick % FACTS_EVERY_TICKS
        if self._tick >= FACTS_EVERY_TICKS:
            again = self._phases[self._tick % PHASES].values()
            aged = [one.identity for one in again if one.pid % FACTS_EVERY_TICKS == turn]
            self._details.ask("facts", aged)
        if self._tick:  # the first sample is on the way to the first frame: nothing beside it
            self._details.go()

    def _read_host(self) -> Host:
        try:
            pairs = parse.parse_keyed(_read(f"{self._root}/meminfo", 8192))
        except OSError:
            return Host(self._host_name, None, None)
        total, available = parse.kib_of(pairs, "MemTotal"), parse.kib_of(pairs, "MemAvailable")
        used = None if total is None or available is None else total - available
        return Host(self._host_name, total, used)


def _read(path: str, limit: int = 4096) -> bytes:
    fd = os.open(path, _READ)
    try:
        return os.read(fd, limit)
    finally:
        os.close(fd)


def _close(*fds: int) -> None:
    for fd in fds:
        if fd >= 0:
            os.close(fd)
