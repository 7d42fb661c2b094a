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
from collections import deque
from collections.abc import Iterable
from re import Pattern

from memtop.errors import MemtopError
from memtop.probe import descriptors, parse
from memtop.probe.cgroupfs import Finder
from memtop.probe.cgroups import MOST_KEPT, CgroupTable
from memtop.probe.details import DetailReader
from memtop.probe.handle import Handle, is_pid, open_process, read
from memtop.probe.host import HostReader
from memtop.probe.names import PodNames
from memtop.probe.sample import (
    Activity,
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
YOUNG_S = 2.0  # limits are often set between fork and exec: facts of a new process are read twice
CGROUPS_EVERY_S = 1.0
WITHOUT_MEMORY = b"0 0 "  # statm of a process without memory: a zombie, or one that exits


class ProcfsSource:
    """Samples of the processes below `root`; see `memtop.probe.source.Source`."""

    def __init__(
        self,
        root: str = "/proc",
        *,
        cgroupfs: str | None = None,
        mask: Iterable[Pattern[str]] = (),
    ) -> None:
        if cgroupfs is not None and not os.path.isdir(cgroupfs):
            raise MemtopError(f"cannot read {cgroupfs}: no such folder")
        self._root = root.rstrip("/") or "/"
        room = descriptors.raise_limit()
        room_for_cgroups = min(MOST_KEPT, room // 8)
        self._room = room - room_for_cgroups
        self._open = 0
        self._page_kib = os.sysconf("SC_PAGE_SIZE") // 1024
        self._tick_hz = os.sysconf("SC_CLK_TCK")
        self._tick = -1
        self._names: set[str] = set()
        self._processes: dict[int, Handle] = {}
        self._kernel: dict[int, Identity] = {}
        self._kept: dict[int, Handle] = {}
        self._loose: dict[int, Handle] = {}
        self._looked_at: frozenset[int] = frozenset()
        self._young: deque[tuple[float, Identity]] = deque()
        self._cgroups_at = float("-inf")
        self._phases: list[dict[int, Handle]] = [{} for _ in range(PHASES)]
        self._host = HostReader(self._root)
        is_here = self._host.own is not None
        names = PodNames(self._root, live=is_here)
        self._cgroups = CgroupTable(
            Finder(self._root, live=is_here, cgroupfs=cgroupfs),
            names.known,
            room=room_for_cgroups,
        )
        self._details = DetailReader(self._root, names, self._cgroups, mask=mask)
        self.own = self._host.own
        self.live = self.own is not None and self.own.pid == os.getpid()

    def sample(self, wanted: Wanted) -> Sample:
        """Look at every process now."""
        self._tick += 1
        taken_at, clock_s = time.time(), time.monotonic()
        memory: list[Memory] = []
        activity: list[Activity] = []
        gone: list[Handle] = []
        ended = self._recheck_kernel()
        fewer, started = self._list(activity, clock_s)
        ended += fewer
        due = self._due(wanted)
        due.update(self._sweep_memory(memory, gone))
        self._sweep_loose(memory, activity, gone, clock_s)
        self._sweep_stat(due.values(), activity, gone, clock_s)
        # A PID that was reused since the listing is found by the next one.
        ended += [process.identity for process in gone if self._drop(process)]
        lost = set(ended)
        started = [begun for begun in started if begun.identity not in lost]
        self._ask(started, wanted, clock_s)
        facts, usage, cgroups = self._details.drain()
        for lost_facts in (one for one in facts if not self._is_known(one.identity)):
            self._details.forget(lost_facts.identity)  # read while it ended
        return Sample(
            taken_at=taken_at,
            clock_s=clock_s,
            host=self._host.sample(),
            ended=tuple(ended),
            started=tuple(started),
            memory=tuple(m for m in memory if m.pid in self._processes),
            activity=tuple(a for a in activity if a.pid in self._processes),
            facts=tuple(f for f in facts if self._is_known(f.identity)),
            usage=tuple(u for u in usage if self._is_known(u.identity)),
            cgroups=tuple(cgroups),
        )

    def settle(self, timeout_s: float) -> None:
        """Wait until the facts asked for are read, or the time is over."""
        self._details.settle(timeout_s)

    def close(self) -> None:
        """Close every descriptor and end the detail threads."""
        self._details.close()
        for process in list(self._processes.values()):
            self._drop(process)

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
            if not is_pid(name):
                continue
            pid = int(name)
            if pid in self._kernel:
                ended.append(self._kernel.pop(pid))
            elif (process := self._processes.get(pid)) and self._drop(process):
                ended.append(process.identity)
        # The names of those that could not be opened are looked at again next time.
        failed = set()
        for name in names - self._names:
            if not is_pid(name):
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

    def _recheck_kernel(self) -> list[Identity]:
        """Kernel threads keep no descriptor: see now and then whose PID is another's by now."""
        ended = []
        turn = self._tick % KERNEL_EVERY_TICKS
        for pid in [pid for pid in self._kernel if pid % KERNEL_EVERY_TICKS == turn]:
            try:
                stat = parse.parse_stat(read(f"{self._root}/{pid}/stat"))
                if stat.start_ticks == self._kernel[pid].start_ticks:
                    continue
            except (OSError, ValueError):
                pass
            self._names.discard(str(pid))
            ended.append(self._kernel.pop(pid))
        return ended

    def _begin(self, pid: int, activity: list[Activity], clock_s: float) -> Started | None:
        """Open a new process; None when it is gone already or cannot be read."""
        keep = self._host.is_procfs and self._open + 2 <= self._room
        try:
            process, stat, raw = open_process(
                f"{self._root}/{pid}",
                pid,
                keep_statm=keep,
                # With half of the room used, `stat` is opened anew each time, so that the other
                # half suffices for everybody's `statm`.
                keep_stat=keep and self._open < self._room // 2,
            )
        except (OSError, ValueError):
            return None
        boot_at = self._host.boot_at
        started_at = None if boot_at is None else boot_at + stat.start_ticks / self._tick_hz
        begun = Started(process.identity, stat.ppid, stat.name, started_at, stat.kernel)
        if stat.kernel:
            self._kernel[pid] = process.identity
            return begun
        self._processes[pid] = process
        self._phases[pid % PHASES][pid] = process
        self._open += process.descriptors
        (self._kept if keep else self._loose)[pid] = process
        self._take_stat(process, stat, raw, activity, clock_s)
        return begun

    def _drop(self, process: Handle) -> bool:
        """Forget a process; False if that was done before."""
        if self._processes.get(process.pid) is not process:
            return False
        del self._processes[process.pid]
        del self._phases[process.pid % PHASES][process.pid]
        del (self._kept if process.statm_fd >= 0 else self._loose)[process.pid]
        self._open -= process.descriptors
        process.close()
        self._names.discard(str(process.pid))
        self._details.forget(process.identity)
        return True

    def _sweep_memory(self, memory: list[Memory], gone: list[Handle]) -> dict[int, Handle]:
        """`statm` of every kept process; returns those that have lost their memory just now."""
        pread = os.pread
        fading: dict[int, Handle] = {}
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

    def _note_memory(self, process: Handle, raw: bytes, memory: list[Memory]) -> bool:
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
        gone: list[Handle],
        clock_s: float,
    ) -> None:
        """Processes without descriptors: `stat` tells each time whether it is still the same."""
        for process in self._loose.values():
            try:
                self._note_stat(process, process.read_stat(), activity, clock_s)
            except (OSError, ValueError):
                gone.append(process)
                continue
            try:
                statm = read(f"{process.folder}/statm")
            except OSError:
                continue  # gone since, or never recorded: memory stays unknown
            if statm != process.statm_raw:
                self._note_memory(process, statm, memory)

    def _due(self, wanted: Wanted) -> dict[int, Handle]:
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
        due: Iterable[Handle],
        activity: list[Activity],
        gone: list[Handle],
        clock_s: float,
    ) -> None:
        for process in due:
            if process.statm_fd < 0:
                continue  # a loose one, read already
            try:
                raw = process.read_stat()
            except (OSError, ValueError):
                gone.append(process)
                continue
            if raw == process.stat_raw and not process.busy:
                process.looked_at = clock_s
            else:
                self._note_stat(process, raw, activity, clock_s)

    def _note_stat(
        self, process: Handle, raw: bytes, activity: list[Activity], clock_s: float
    ) -> None:
        try:
            self._take_stat(process, parse.parse_stat(raw), raw, activity, clock_s)
        except ValueError:
            return

    def _take_stat(
        self,
        process: Handle,
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
        # Read again while it is busy, or has used time that was not put into a share yet.
        process.busy = process.cpu_percent != 0.0 or process.cpu_ticks != stat.cpu_ticks
        activity.append(
            Activity(
                process.pid, stat.ppid, stat.name, stat.state, stat.threads, process.cpu_percent
            )
        )

    def _ask(self, started: list[Started], wanted: Wanted, clock_s: float) -> None:
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
        exact = [self._processes[pid] for pid in wanted.exact if pid in self._processes]
        self._details.ask_exact([process.identity for process in exact])
        self._looked_at = looked_at
        self._ask_again(fresh, clock_s)
        self._ask_cgroups(None if wanted.all_usage else looked_at, clock_s)
        if self._tick:  # the first sample is on the way to the first frame: nothing beside it
            self._details.go()

    def _ask_again(self, fresh: list[Identity], clock_s: float) -> None:
        """Order facts once more: of the young, who may be about to exec, and in turn of all."""
        if self._tick:
            self._young.extend((clock_s + YOUNG_S, identity) for identity in fresh)
        while self._young and self._young[0][0] <= clock_s:
            self._details.ask("facts", [self._young.popleft()[1]])
        turn = self._tick % FACTS_EVERY_TICKS
        if self._tick >= FACTS_EVERY_TICKS:
            again = self._phases[self._tick % PHASES].values()
            aged = [one.identity for one in again if one.pid % FACTS_EVERY_TICKS == turn]
            self._details.ask("facts", aged)

    def _ask_cgroups(self, looked_at: frozenset[int] | None, clock_s: float) -> None:
        """Order the figures of cgroups: their table knows which are due."""
        if clock_s - self._cgroups_at < CGROUPS_EVERY_S - 0.1:
            return
        self._cgroups_at = clock_s
        if looked_at is None:
            self._cgroups.look_at(None)
        else:
            living = looked_at & self._processes.keys()
            self._cgroups.look_at(self._processes[pid].identity for pid in living)
        self._details.ask_cgroups()
