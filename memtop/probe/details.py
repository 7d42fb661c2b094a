"""The slow facts of processes, read on threads of their own.

`cmdline`, `io` and `smaps_rollup` take locks of the process that is read, which may be held for
seconds exactly when memory is short (fs/proc/base.c, fs/proc/task_mmu.c: mmap_lock). They are
therefore never read on the sampling thread. A worker that hangs is left behind and replaced; at
most `MAX_WORKERS` ever exist. All reads go through a descriptor of /proc/PID whose start time was
compared, so that a reused PID never lends its facts to another process.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable
from functools import lru_cache
from re import Pattern

from memtop.probe import parse
from memtop.probe.cgroups import CgroupTable
from memtop.probe.handle import slurp
from memtop.probe.names import PodNames
from memtop.probe.own import read_standing
from memtop.probe.permission import held_rights, user_name
from memtop.probe.sample import Cgroup, Facts, Identity, Usage
from memtop.secrets import mask_argv

MAX_WORKERS = 4
HUNG_AFTER_S = 1.0
MAX_COMMAND = 1 << 12  # bytes of a command line that are read; more than a screen holds
PSS_MAX_RSS_KIB = 4 << 20  # a PSS read holds the target's lock 9 ms a GiB
PSS_BUDGET_S = 0.02  # of reading smaps_rollup, each second
_NOBODY = Identity(-1, -1)  # stands for a job that is nobody's


class DetailReader:
    """Reads facts and usage of the processes below `root`, and their cgroups, in the background."""

    def __init__(
        self,
        root: str,
        names: PodNames,
        cgroups: CgroupTable,
        *,
        mask: Iterable[Pattern[str]] = (),
    ) -> None:
        self._root = root
        self._names, self._table = names, cgroups
        self._mask = tuple(mask)
        self._wake = threading.Condition()
        self._urgent: deque[tuple[str, Identity]] = deque()
        self._patient: deque[tuple[str, Identity]] = deque()
        self._pending: set[tuple[str, Identity]] = set()
        self._facts: list[Facts] = []
        self._usage: list[Usage] = []
        self._cgroups: list[Cgroup] = []
        self._io_before: dict[Identity, tuple[float, int, int]] = {}
        self._working_since: dict[threading.Thread, float] = {}
        self._closed = False
        self._exact_done: set[Identity] = set()
        self._pss_spent_s = 0.0
        self._pss_since = time.monotonic()
        self._standing = read_standing()

    def ask(self, kind: str, identities: Iterable[Identity], *, urgent: bool = False) -> None:
        """Queue reads of `kind`, `facts`, `usage` or `pss`; asked twice, one is done once."""
        with self._wake:
            for identity in identities:
                self._put((kind, identity), urgent=urgent)

    def ask_exact(self, identities: Collection[Identity]) -> None:
        """Queue one exact read of RSS for each; those that were answered are not read again."""
        with self._wake:
            self._exact_done.intersection_update(identities)
            for identity in identities:
                if identity not in self._exact_done:
                    self._put(("exact", identity), urgent=True)

    def ask_cgroups(self) -> None:
        """Queue a read of the cgroups that are due."""
        with self._wake:
            self._put(("cgroups", _NOBODY), urgent=True)

    def go(self) -> None:
        """Let the workers do what was asked."""
        with self._wake:
            if self._pending:
                self._hire()
                self._wake.notify()

    def drain(self) -> tuple[list[Facts], list[Usage], list[Cgroup]]:
        """What was read since the last call."""
        with self._wake:
            facts, self._facts = self._facts, []
            usage, self._usage = self._usage, []
            cgroups, self._cgroups = self._cgroups, []
        return facts, usage, cgroups

    def forget(self, identity: Identity) -> None:
        """Drop what is kept about a process that ended."""
        with self._wake:
            self._io_before.pop(identity, None)
        self._table.leave(identity)

    def settle(self, timeout_s: float) -> None:
        """Wait until nothing is pending, or the time is over."""
        deadline = time.monotonic() + timeout_s
        with self._wake:
            while self._pending and (left := deadline - time.monotonic()) > 0:
                self._hire()
                self._wake.notify()
                self._wake.wait(min(left, 0.2))

    def close(self) -> None:
        """End the workers; one that hangs in a read ends with the program (they are daemons)."""
        with self._wake:
            self._closed = True
            self._urgent.clear()
            self._patient.clear()
            self._wake.notify_all()
        for thread in list(self._working_since):
            thread.join(timeout=0.2)
        self._table.close()

    def _put(self, job: tuple[str, Identity], *, urgent: bool) -> None:
        """Queue a job that is not yet; the caller holds the lock."""
        if job not in self._pending and not self._closed:
            self._pending.add(job)
            (self._urgent if urgent else self._patient).append(job)

    def _hire(self) -> None:
        """Start a worker if there is none that can take a job; the caller holds the lock."""
        now = time.monotonic()
        hung = sum(now - since > HUNG_AFTER_S for since in self._working_since.values())
        if len(self._working_since) == hung < MAX_WORKERS:
            worker = threading.Thread(target=self._work, name="memtop-details", daemon=True)
            self._working_since[worker] = float("inf")
            worker.start()

    def _work(self) -> None:
        me = threading.current_thread()
        while True:
            with self._wake:
                self._working_since[me] = float("inf")
                while not (self._urgent or self._patient or self._closed):
                    self._wake.wait()
                if self._closed:
                    del self._working_since[me]
                    return
                job = (self._urgent or self._patient).popleft()
                self._working_since[me] = time.monotonic()
            if job[0] == "cgroups":
                self._read_cgroups()
            else:
                self._read_process(*job)
            with self._wake:
                self._pending.discard(job)
                if not self._pending:
                    self._wake.notify_all()

    def _read_cgroups(self) -> None:
        cgroups, lost = self._table.read()
        with self._wake:
            self._cgroups += cgroups
            for identity in lost:
                self._put(("facts", identity), urgent=False)

    def _read_process(self, kind: str, identity: Identity) -> None:
        result = self._read(kind, identity)
        if isinstance(result, Facts):
            is_new = self._table.join(identity, result.cgroup, result.pod)
            with self._wake:
                self._facts.append(result)
                if is_new:
                    self._put(("cgroups", _NOBODY), urgent=False)
        elif result is not None:
            with self._wake:
                self._usage.append(result)

    def _read(self, kind: str, identity: Identity) -> Facts | Usage | None:
        try:
            folder = os.open(f"{self._root}/{identity.pid}", os.O_PATH | os.O_DIRECTORY)
        except OSError:
            return None
        try:
            stat = parse.parse_stat(slurp(folder, "stat"))
            if stat.start_ticks != identity.start_ticks:
                return None
            if kind == "facts":
                return self._read_facts(folder, identity)
            return self._read_usage(folder, identity, kind)
        except (OSError, ValueError):
            return None
        finally:
            os.close(folder)

    def _read_facts(self, folder: int, identity: Identity) -> Facts:
        try:
            command: str | None = _command(slurp(folder, "cmdline", MAX_COMMAND), self._mask)
        except OSError:
            command = None
        try:
            uid = parse.parse_uid(slurp(folder, "status"))
        except (OSError, ValueError):
            uid = None
        try:
            cgroup = _cgroup(slurp(folder, "cgroup"))
        except OSError:
            cgroup = None
        try:
            exe: str | None = sys.intern(os.readlink("exe", dir_fd=folder))
        except OSError:
            exe = None
        return Facts(
            identity,
            command,
            uid,
            None if uid is None else user_name(uid),
            exe,
            cgroup,
            self._names.of(folder, cgroup),
            held_rights(folder, self._standing),
            _address_space(folder),
        )

    def _read_usage(self, folder: int, identity: Identity, kind: str) -> Usage:
        status = parse.parse_keyed(slurp(folder, "status"))
        rss_kib = parse.kib_of(status, "VmRSS")
        write = written = None
        try:
            write, written = self._io_rates(identity, parse.parse_keyed(slurp(folder, "io")))
        except (OSError, ValueError, KeyError):
            pass
        rollup = {}
        if kind in ("pss", "exact"):
            rollup = self._read_rollup(folder, identity, rss_kib, once=kind == "exact")
        return Usage(
            identity,
            swap_kib=parse.kib_of(status, "VmSwap"),
            peak_kib=parse.kib_of(status, "VmHWM"),
            pss_kib=parse.kib_of(rollup, "Pss"),
            write_bytes_s=write,
            written_bytes_s=written,
            exact_rss_kib=parse.kib_of(rollup, "Rss"),
        )

    def _io_rates(
        self, identity: Identity, io: dict[str, str]
    ) -> tuple[float | None, float | None]:
        now, storage, total = time.monotonic(), int(io["write_bytes"]), int(io["wchar"])
        with self._wake:
            before = self._io_before.get(identity)
            if before is None or now - before[0] > 0.05:
                self._io_before[identity] = (now, storage, total)
        if before is None or now - before[0] <= 0.05:
            return None, None
        elapsed_s = now - before[0]
        return (storage - before[1]) / elapsed_s, (total - before[2]) / elapsed_s

    def _read_rollup(
        self, folder: int, identity: Identity, rss_kib: int | None, *, once: bool
    ) -> dict[str, str]:
        """smaps_rollup within the budget, of a process that is not too large for it.

        Of a larger one statm is off by a small share at most: by two pages for each pair of CPUs
        (lib/percpu_counter.c), which is not worth holding its lock.
        """
        now = time.monotonic()
        earned_s = (now - self._pss_since) * PSS_BUDGET_S
        self._pss_spent_s, self._pss_since = max(0.0, self._pss_spent_s - earned_s), now
        is_small = rss_kib is not None and 0 < rss_kib <= PSS_MAX_RSS_KIB
        if is_small and self._pss_spent_s > PSS_BUDGET_S:
            return {}  # an exact read is asked for again
        if once:
            with self._wake:
                self._exact_done.add(identity)
        if not is_small:
            return {}
        try:
            rollup = parse.parse_keyed(slurp(folder, "smaps_rollup"))
        except OSError:
            return {}
        self._pss_spent_s += time.monotonic() - now
        return rollup


def _address_space(folder: int) -> int | None:
    """The soft RLIMIT_AS in bytes; None if there is none."""
    try:
        return parse.parse_address_space(slurp(folder, "limits"))
    except OSError:
        return None


# Workers share command lines and cgroups: each is parsed, masked and kept once.
@lru_cache(maxsize=1024)
def _command(raw: bytes, extra_mask: tuple[Pattern[str], ...]) -> str:
    command = " ".join(mask_argv(parse.parse_argv(raw), extra_mask))
    return command + "…" if len(raw) == MAX_COMMAND else command


@lru_cache(maxsize=1024)
def _cgroup(raw: bytes) -> str | None:
    return parse.parse_cgroup(raw)
