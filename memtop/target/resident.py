"""The resident memory of a process, exactly: what an action is measured by.

statm and status count per CPU and may be off by megabytes (lib/percpu_counter.c); smaps_rollup adds
the pages up, which takes some 9 ms a GiB under the process's mmap_lock. So very large processes,
of whom that error is a small share, are asked the quick way.
"""

from __future__ import annotations

from memtop.probe import parse
from memtop.probe.handle import read

MOST_EXACT_KIB = 4 << 20  # of RSS; more is not added up


def rss_bytes(pid: int, root: str = "/proc") -> int | None:
    """RSS in bytes; None if the process has ended or has no memory."""
    try:
        kib = parse.kib_of(parse.parse_keyed(read(f"{root}/{pid}/status", 1 << 14)), "VmRSS")
        if kib is not None and kib <= MOST_EXACT_KIB:
            rollup = parse.parse_keyed(read(f"{root}/{pid}/smaps_rollup", 1 << 13))
            kib = parse.kib_of(rollup, "Rss") or kib
    except OSError:
        return None
    return None if kib is None else kib * 1024
