"""Whether the processes of a tree can be those who filled page cache or shared memory.

A cgroup and a /dev/shm may be shared with processes that nobody asked about. Who reads and writes
files counts it in /proc/PID/io; who has segments of shared memory maps them, or at least the
library that makes them. Sizes in bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from memtop.probe import parse
from memtop.probe.handle import READ

_MAPS = 16 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")
_MAKERS = (b"/_posixshmem", b" /dev/shm/")  # multiprocessing.shared_memory imports the first one


class Shm(NamedTuple):
    """What a /dev/shm holds, which containers may share; `device` tells one from another."""

    bytes: int
    device: int


class Moved(NamedTuple):
    """Bytes read from storage and written to it, written to what is none, and touched (faults)."""

    file: int = 0
    written: int = 0
    touched: int = 0


def shared_memory(pid: int, root: str = "/proc") -> Shm | None:
    """How full the /dev/shm is that a process sees; None if that is not known, or is a folder."""
    folder = f"{root}/{pid}/root/dev/shm"
    try:
        device = os.stat(folder).st_dev
        if device in (os.stat(f"{root}/{pid}/root").st_dev, os.stat(f"{folder}/..").st_dev):
            return None  # a folder of the image, or of the disk
        info = os.statvfs(folder)
    except OSError:
        return None
    return Shm((info.f_blocks - info.f_bfree) * info.f_frsize, device)


def uses_shared_memory(pid: int, root: str = "/proc") -> bool:
    """Whether a process has mapped segments of shared memory, or what Python makes them with."""
    return any(_makes(line) for line in _read(f"{root}/{pid}/maps", _MAPS).splitlines())


def _makes(line: bytes) -> bool:
    """A segment, or the maker; multiprocessing's semaphores lie in /dev/shm as well."""
    return any(one in line for one in _MAKERS) and b"/dev/shm/sem." not in line


def rss_shmem(pid: int, root: str = "/proc") -> int | None:
    """How much of RSS is shared memory, without the mapped pages of files (RssShmem)."""
    kib = parse.kib_of(parse.parse_keyed(_read(f"{root}/{pid}/status", 1 << 16)), "RssShmem")
    return None if kib is None else kib * 1024


def stack_start(pid: int, root: str = "/proc") -> int | None:
    """Where its first stack begins, which is random for each program that a process runs.

    None without the right to know (proc(5), /proc/PID/stat, startstack).
    """
    try:
        return int(_read(f"{root}/{pid}/stat", 1 << 12).rpartition(b")")[2].split()[25]) or None
    except (IndexError, ValueError):
        return None


def moved(pid: int, root: str = "/proc") -> Moved | None:
    """What it has moved so far; None if that may not be read."""
    try:
        io = parse.parse_keyed(_read(f"{root}/{pid}/io", 1 << 12))
        fields = _read(f"{root}/{pid}/stat", 1 << 12).rpartition(b")")[2].split()
        faults = int(fields[7]) + int(fields[8])  # its own, and those of children that are gone
        stored = int(io["write_bytes"])
        return Moved(int(io["read_bytes"]) + stored, int(io["wchar"]) - stored, faults * PAGE)
    except (IndexError, KeyError, ValueError):
        return None


def moved_since(
    before: Mapping[int, Moved | None], pids: Iterable[int], root: str = "/proc"
) -> Moved | None:
    """What these have moved since `before`; None if that of none is known."""
    known = [
        (now, before.get(pid, Moved()))
        for pid in pids
        if (now := moved(pid, root)) is not None and before.get(pid, Moved()) is not None
    ]
    if not known:
        return None
    sums = [
        sum(now[field] - (old or Moved())[field] for now, old in known)
        for field in range(len(Moved._fields))
    ]
    return Moved(*sums)


def _read(path: str, most: int) -> bytes:
    try:
        fd = os.open(path, READ)
    except OSError:
        return b""
    try:
        read = b""
        while len(read) < most and (more := os.read(fd, 1 << 16)):
            read += more
        return read
    except OSError:
        return b""
    finally:
        os.close(fd)
