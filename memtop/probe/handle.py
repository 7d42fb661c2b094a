"""One process of a /proc tree, held by open descriptors where there is room for them.

A kept descriptor answers ESRCH once its process is gone (fs/proc/base.c: get_proc_task), even if
the PID is in use again. Without one the file is opened each time, and the start time compared.
"""

from __future__ import annotations

import os

from memtop.probe import parse
from memtop.probe.sample import Identity

# NONBLOCK: in a tree that is no procfs a file may be anything, a FIFO too.
READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


class Handle:
    """A living process: its descriptors (-1: none), and what was last read of it."""

    __slots__ = (
        "busy",
        "cpu_percent",
        "cpu_ticks",
        "folder",
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

    def __init__(self, folder: str, identity: Identity, stat_fd: int, statm_fd: int) -> None:
        self.folder = folder
        self.identity = identity
        self.pid = identity.pid
        self.stat_fd, self.statm_fd = stat_fd, statm_fd
        self.name = ""
        self.stat_raw = self.statm_raw = b""
        self.text_pages = self.rss_kib = self.shared_kib = self.cpu_ticks = -1
        self.cpu_percent: float | None = None
        self.looked_at = 0.0
        self.busy = True

    @property
    def descriptors(self) -> int:
        """How many descriptors it keeps open."""
        return (self.stat_fd >= 0) + (self.statm_fd >= 0)

    def read_stat(self) -> bytes:
        """`stat` of this very process; OSError when it is gone, or is another one by now."""
        if self.stat_fd >= 0:
            return os.pread(self.stat_fd, 1024, 0)
        raw = read(f"{self.folder}/stat")
        if parse.parse_stat(raw).start_ticks != self.identity.start_ticks:
            raise ProcessLookupError
        return raw

    def close(self) -> None:
        """Give the descriptors back."""
        close(self.stat_fd, self.statm_fd)
        self.stat_fd = self.statm_fd = -1


def open_process(
    folder: str, pid: int, *, keep_statm: bool, keep_stat: bool
) -> tuple[Handle, parse.Stat, bytes]:
    """Open a process: its handle, and its `stat` both parsed and raw.

    OSError when it is gone, ValueError when what is there is no process.
    """
    stat_fd = statm_fd = -1
    try:
        stat_fd = os.open(f"{folder}/stat", READ)
        if keep_statm:
            statm_fd = os.open(f"{folder}/statm", READ)
        # Read after both are open: an answer proves that both are of the same process.
        raw = os.pread(stat_fd, 1024, 0)
        stat = parse.parse_stat(raw)
        if stat.kernel:
            close(statm_fd)
            statm_fd, keep_stat = -1, False
        if not keep_stat:
            close(stat_fd)
            stat_fd = -1
    except (OSError, ValueError):
        close(stat_fd, statm_fd)
        raise
    return Handle(folder, Identity(stat.start_ticks, pid), stat_fd, statm_fd), stat, raw


def is_pid(name: str) -> bool:
    """Whether a folder of this name is a process's."""
    return name.isascii() and name.isdigit()


def read(path: str, limit: int = 4096) -> bytes:
    """The first `limit` bytes of a file."""
    fd = os.open(path, READ)
    try:
        return os.read(fd, limit)
    finally:
        os.close(fd)


def slurp(folder: int, name: str, limit: int = 1 << 16) -> bytes:
    """The first `limit` bytes of a file in an open folder, as one read gives them."""
    fd = os.open(name, READ, dir_fd=folder)
    try:
        return os.read(fd, limit)
    finally:
        os.close(fd)


def slurp_whole(folder: int, name: str, limit: int) -> bytes:
    """The same to the end: many files of /proc give at most a page a read (fs/seq_file.c)."""
    data = bytearray()
    fd = os.open(name, READ, dir_fd=folder)
    try:
        while block := os.read(fd, limit - len(data)):
            data += block
    finally:
        os.close(fd)
    return bytes(data)


def close(*fds: int) -> None:
    """Close what is open; -1 stands for nothing."""
    for fd in fds:
        if fd >= 0:
            os.close(fd)
