"""The one table of columns: screen, `ps`, sorting, filters and their help are made from it.

A getter takes anything with the fields of `memtop.model.state.Row` and returns a number, a text
or None for unknown. Sizes are in KiB, rates in bytes per second, times in seconds. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `kind` says how values are written and compared: size, rate, percent, …"""

    id: str
    title: str
    json: str
    kind: str
    help: str
    field: str
    width: int = 8
    descending: bool = True
    aliases: tuple[str, ...] = ()
    dear: bool = False  # read only for rows that are looked at, unless asked for

    @property
    def get(self) -> Callable[[Any], Any]:
        """The getter of this column."""
        return attrgetter(self.field)


COLUMNS: tuple[Column, ...] = (
    Column("pid", "PID", "pid", "count", "process id", "pid", 5, descending=False),
    Column("ppid", "PPID", "ppid", "count", "process id of the parent", "ppid", 7, False),
    Column("name", "PROCESS", "name", "text", "name (comm)", "name", 20, False, ("comm",)),
    Column(
        "command",
        "PROCESS",
        "command",
        "text",
        "command line, secrets masked",
        "command",
        28,
        descending=False,
        aliases=("cmd", "args"),
    ),
    Column(
        "role",
        "ROLE",
        "role",
        "text",
        "main, forkserver, tracker, worker, helper or other",
        "role",
        10,
        descending=False,
    ),
    Column(
        "framework",
        "FRAMEWORK",
        "framework",
        "text",
        "whose role it is: gunicorn, celery, multiprocessing, …",
        "framework",
        15,
        descending=False,
    ),
    Column("user", "USER", "user", "text", "owner of the process", "user", 10, descending=False),
    Column("rss", "RSS", "rss_bytes", "size", "resident memory", "rss_kib", aliases=("mem",)),
    Column(
        "shared",
        "SHARED",
        "shared_bytes",
        "size",
        "the part of RSS that files and shared memory back",
        "shared_kib",
    ),
    Column("swap", "SWAP", "swap_bytes", "size", "memory in swap", "swap_kib", dear=True),
    Column(
        "pss",
        "PSS",
        "pss_bytes",
        "size",
        "own pages and its share of shared ones",
        "pss_kib",
        dear=True,
    ),
    Column("peak", "PEAK", "peak_bytes", "size", "largest RSS ever (VmHWM)", "peak_kib", dear=True),
    Column("cpu", "CPU %", "cpu_percent", "percent", "CPU time, of one core", "cpu_percent", 6),
    Column("threads", "THR", "threads", "count", "threads", "threads", 4, aliases=("thr",)),
    Column(
        "write",
        "WRITE/s",
        "write_bytes_per_s",
        "bytes_s",
        "bytes a second sent to storage",
        "write_bytes_s",
        dear=True,
    ),
    Column(
        "written",
        "WROTE/s",
        "written_bytes_per_s",
        "bytes_s",
        "bytes a second written to anything, pipes and sockets too",
        "written_bytes_s",
        dear=True,
    ),
    Column(
        "rate",
        "Δ MiB/min",
        "rate_bytes_per_s",
        "rate",
        "change of the floor of RSS over the last 60 s",
        "rate_bytes_s",
        11,
        aliases=("growth", "delta"),
    ),
    Column(
        "trend",
        "TREND",
        "trend",
        "text",
        "leak-like, rising, steps, warm-up, sawtooth, steady, shrinking or new",
        "trend.word",
        12,
        descending=False,
    ),
    Column("age", "AGE", "started", "duration", "time since the start", "age_s", 9),
    Column("cgroup", "CGROUP", "cgroup", "text", "memory cgroup", "cgroup", 30, descending=False),
    Column(
        "container",
        "CONTAINER",
        "container",
        "text",
        "container, by its name or else its id",
        "container",
        12,
        descending=False,
    ),
    Column(
        "pod", "POD", "pod", "text", "pod, by name or else uid", "pod_name", 24, descending=False
    ),
    Column(
        "namespace",
        "NAMESPACE",
        "namespace",
        "text",
        "namespace of the pod",
        "namespace",
        12,
        descending=False,
    ),
)

BY_ID: dict[str, Column] = {
    name: column for column in COLUMNS for name in (column.id, *column.aliases)
}
