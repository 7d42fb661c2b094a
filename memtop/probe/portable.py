"""The processes of systems without /proc, through psutil: macOS, the BSDs, Windows.

It keeps the same contract as the Linux source at a multiple of its cost. What psutil does not
tell (shared pages, storage writes, cgroups) stays unknown. On Linux it is used by tests only.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable
from re import Pattern
from typing import Any

import psutil

from memtop.probe.sample import (
    Activity,
    Facts,
    Host,
    Identity,
    Memory,
    Sample,
    Started,
    Usage,
    Wanted,
)
from memtop.secrets import mask_argv

TICKS_PER_S = 100
FACTS_EVERY_TICKS = 300
_STATES = {
    psutil.STATUS_RUNNING: "R",
    psutil.STATUS_SLEEPING: "S",
    psutil.STATUS_IDLE: "S",
    psutil.STATUS_DISK_SLEEP: "D",
    psutil.STATUS_STOPPED: "T",
    psutil.STATUS_TRACING_STOP: "t",
    psutil.STATUS_ZOMBIE: "Z",
    psutil.STATUS_DEAD: "X",
}
_ATTRIBUTES = ["ppid", "name", "status", "num_threads", "memory_info", "cpu_times"]


class _Known:
    """What was last reported about one process."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.memory: Memory | None = None
        self.activity: Activity | None = None
        self.cpu_s = 0.0
        self.cpu_at: float | None = None


class PortableSource:
    """Samples through psutil; see `memtop.probe.source.Source`."""

    live = True

    def __init__(self, *, mask: Iterable[Pattern[str]] = ()) -> None:
        self._mask = tuple(mask)
        self._tick = -1
        self._known: dict[int, _Known] = {}
        self.own: Identity | None = _identity(psutil.Process(os.getpid()))

    def sample(self, wanted: Wanted) -> Sample:
        """Look at every process now."""
        self._tick += 1
        taken_at, clock_s = time.time(), time.monotonic()
        ended: list[Identity] = []
        started: list[Started] = []
        memory: list[Memory] = []
        activity: list[Activity] = []
        facts: list[Facts] = []
        usage: list[Usage] = []
        seen: set[int] = set()
        for process in psutil.process_iter(_ATTRIBUTES):
            pid, info = process.pid, process.info
            identity = _identity(process)
            if identity is None or info["name"] is None:
                continue
            seen.add(pid)
            known = self._known.get(pid)
            if known is None or known.identity != identity:
                if known is not None:
                    ended.append(known.identity)
                known = self._known[pid] = _Known(identity)
                at = identity.start_ticks / TICKS_PER_S
                started.append(Started(identity, info["ppid"] or 0, info["name"], at))
                facts.append(self._read_facts(process, identity))
            elif self._tick % FACTS_EVERY_TICKS == pid % FACTS_EVERY_TICKS:
                facts.append(self._read_facts(process, identity))
            self._note(known, info, memory, activity, clock_s)
            if pid in wanted.pids or wanted.all_usage:
                usage.append(_read_usage(process, identity))
        for pid in self._known.keys() - seen:
            ended.append(self._known.pop(pid).identity)
        return Sample(
            taken_at=taken_at,
            clock_s=clock_s,
            host=_read_host(),
            ended=tuple(ended),
            started=tuple(started),
            memory=tuple(memory),
            activity=tuple(activity),
            facts=tuple(facts),
            usage=tuple(usage),
        )

    def settle(self, timeout_s: float) -> None:
        """Facts are read in the sample itself."""

    def close(self) -> None:
        """Nothing is kept open."""
        self._known.clear()

    def _note(
        self,
        known: _Known,
        info: dict[str, Any],
        memory: list[Memory],
        activity: list[Activity],
        clock_s: float,
    ) -> None:
        pid = known.identity.pid
        if info["memory_info"] is not None:
            shared = getattr(info["memory_info"], "shared", 0)
            now = Memory(pid, info["memory_info"].rss // 1024, shared // 1024)
            if now != known.memory and now.rss_kib:
                known.memory = now
                memory.append(now)
        cpu_percent = known.activity.cpu_percent if known.activity else None
        if info["cpu_times"] is not None:
            cpu_s = info["cpu_times"].user + info["cpu_times"].system
            if known.cpu_at is not None and clock_s - known.cpu_at >= 0.5:
                cpu_percent = max(0.0, 100 * (cpu_s - known.cpu_s) / (clock_s - known.cpu_at))
            if known.cpu_at is None or clock_s - known.cpu_at >= 0.5:
                known.cpu_s, known.cpu_at = cpu_s, clock_s
        act = Activity(
            pid,
            info["ppid"] or 0,
            info["name"],
            _STATES.get(info["status"], "?"),
            info["num_threads"] or 1,
            cpu_percent,
        )
        if act != known.activity:
            known.activity = act
            activity.append(act)

    def _read_facts(self, process: psutil.Process, identity: Identity) -> Facts:
        command = user = exe = uid = None
        rights: tuple[str, ...] | None = None
        try:
            command = " ".join(mask_argv(process.cmdline(), self._mask))
        except (psutil.Error, OSError):
            pass
        try:
            user = process.username()
            uid = process.uids().real
        except (psutil.Error, OSError, KeyError, AttributeError):
            pass
        try:
            exe = process.exe()
            rights = ("smaps",)
        except psutil.AccessDenied:
            rights = ()
        except (psutil.Error, OSError):
            pass
        return Facts(identity, command, uid, user, exe, None, None, rights)


def _identity(process: psutil.Process) -> Identity | None:
    try:
        return Identity(round(process.create_time() * TICKS_PER_S), process.pid)
    except (psutil.Error, OSError):
        return None


def _read_usage(process: psutil.Process, identity: Identity) -> Usage:
    try:
        swap = getattr(process.memory_full_info(), "swap", None)
    except (psutil.Error, OSError):
        swap = None
    return Usage(identity, swap_kib=None if swap is None else swap // 1024)


def _read_host() -> Host:
    memory = psutil.virtual_memory()
    used = (memory.total - memory.available) // 1024
    return Host(socket.gethostname(), memory.total // 1024, used)
