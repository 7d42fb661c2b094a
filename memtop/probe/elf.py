"""The files of a process: which Python and allocator it has mapped, which kinds it has open.

The names of the mapped ELF files tell what is there (proc_pid_maps(5)); the version of glibc is
the banner inside of its libc file. Nothing is guessed: what the files do not say is None, and a
statically linked allocator is not seen. What is open is told by the links in fd (proc_pid_fd(5));
the files themselves are not touched. All reads are bounded, and may wait for the process's locks.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import NamedTuple

from memtop.probe.handle import READ
from memtop.probe.libraries import GLIBC, MALLOC, MUSL, name_python

MAX_FILES = 5_000  # open files that are told apart
MAX_LINES = 100_000  # of the tables of sockets, all together
MAX_LIBC = 32 << 20  # bytes of a libc file that are searched; a usual one has 2 MiB
_BLOCK = 1 << 18
_BANNER_LENGTH = 512
_MAX_LINE = 512
MAX_KNOWN = 64  # versions of libc files that are remembered

# csu/version.c of glibc; distributions put their own words into the parentheses.
_BANNER = re.compile(rb"GNU C Library [^\0\n]{1,200}? release version (\d+\.\d+(?:\.\d+)?)[.,]?\s")
_DELETED = " (deleted)"
_ANONYMOUS = re.compile(r"(?:anon_inode:)?\[?([a-z][\w.-]{0,19})")
_PLURALS = {"socket": "sockets", "pipe": "pipes"}
_TCP_STATES = {b"0A": "tcp_listening", b"01": "tcp_established"}  # include/net/tcp_states.h

_versions: dict[tuple[int, int, int, int], str | None] = {}


class Mapped(NamedTuple):
    """A mapped file: its path in the process's mount namespace, and its first range of addresses.

    `addresses` is as map_files names it. `is_deleted`: the path leads to another file by now.
    """

    path: str
    addresses: str
    is_deleted: bool

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]


class Opened(NamedTuple):
    """Open files: how many by kind (of the first MAX_FILES), and how many in all; None: unknown.

    `inodes`: those of the sockets. `error`: why the kinds are not known.
    """

    kinds: Mapping[str, int] | None = None
    number: int | None = None
    inodes: frozenset[bytes] = frozenset()
    error: OSError | None = None


class Sockets(NamedTuple):
    """Sockets by kind, duplicates once; `other`: netlink, unbound, of another network namespace …

    `is_cut`: there were more files or lines of tables than were read, so that some are missing.
    """

    tcp_listening: int
    tcp_established: int
    tcp_other: int
    udp: int
    unix: int
    other: int
    is_cut: bool


def parse_maps(data: bytes) -> tuple[Mapped, ...]:
    """The files in /proc/PID/maps, each once, in the order of addresses; other lines are left out.

    The kernel writes a newline within a path as `\\012`, so that a line is always one mapping. What
    follows the last newline is left out: it may be cut.
    """
    found: dict[str, Mapped] = {}
    for line in data.decode("utf-8", "surrogateescape").split("\n")[:-1]:
        fields = line.split(None, 5)
        if len(fields) == 6 and fields[5].startswith("/") and fields[5] not in found:
            path = fields[5].removesuffix(_DELETED)
            found[fields[5]] = Mapped(path, fields[0], path != fields[5])
    return tuple(found.values())


def python_version(exe: str | None, mapped: Iterable[Mapped]) -> str | None:
    """The version of CPython, such as `3.12`; None if it is none, or its files do not tell.

    `exe` is the target of /proc/PID/exe.
    """
    return name_python((exe or "").removesuffix(_DELETED), (file.name for file in mapped))


def allocator(folder: int, mapped: Iterable[Mapped]) -> str | None:
    """`jemalloc`, `mimalloc`, `tcmalloc`, `musl`, `glibc 2.36`; `glibc` if its file cannot be read.

    `folder` is a descriptor of /proc/PID. An allocator beside the C library wins, because it is
    mapped to take its place; None if there is neither.
    """
    files = tuple(mapped)
    for pattern, word in ((MALLOC, None), (MUSL, "musl")):
        for file in files:
            if match := pattern.match(file.name):
                return word or match[1]
    for file in files:
        if GLIBC.match(file.name):
            version = _glibc_version(folder, file)
            return f"glibc {version}" if version else "glibc"
    return None


def _glibc_version(folder: int, file: Mapped) -> str | None:
    """The version in the libc file that the process maps."""
    # map_files leads to the very file, deleted or not, but takes CAP_CHECKPOINT_RESTORE; the path
    # below root/ takes the right to read, and is another file after an upgrade.
    ways = [(f"map_files/{file.addresses}", 0)]
    if not file.is_deleted:
        ways.append((f"root{file.path}", os.O_NOFOLLOW))
    for way, flags in ways:
        try:
            found = os.open(way, os.O_PATH | os.O_CLOEXEC | flags, dir_fd=folder)
        except OSError:
            continue
        try:
            # Only what is a file is opened: the process may have put a device in its place.
            info = os.fstat(found)
            if stat.S_ISREG(info.st_mode):
                return _banner_version(found, info)
        except OSError:
            continue
        finally:
            os.close(found)
    return None


def _banner_version(path_fd: int, info: os.stat_result) -> str | None:
    """The version that the banner of a libc file gives; each file is searched once."""
    key = info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns
    if key not in _versions:
        fd = os.open(f"/proc/self/fd/{path_fd}", READ)
        try:
            version = _search(fd)
        finally:
            os.close(fd)
        if len(_versions) >= MAX_KNOWN:
            _versions.clear()
        _versions[key] = version
    return _versions[key]


def _search(fd: int) -> str | None:
    tail = b""
    for offset in range(0, MAX_LIBC, _BLOCK):
        block = os.pread(fd, _BLOCK, offset)
        if match := _BANNER.search(tail + block):
            return match[1].decode("ascii")
        if not block:
            break
        tail = block[-_BANNER_LENGTH:]
    return None


def list_open(folder: int) -> Opened:
    """The open files of the process whose /proc/PID is `folder`.

    Kinds: `files`, `deleted files`, `sockets`, `pipes`, `devices`, `shared memory` (memfd too), and
    the kernel's own words for anonymous inodes (`eventpoll`, `eventfd`, …).
    """
    number: int | None = None
    kinds: Counter[str] = Counter()
    inodes: set[bytes] = set()
    try:
        # Since Linux 6.2 the size of fd is their number, for everybody; before it is 0.
        number = os.stat("fd", dir_fd=folder).st_size or None
        listing = os.open("fd", READ | os.O_DIRECTORY, dir_fd=folder)
    except OSError as error:
        return Opened(number=number, error=error)
    try:
        with os.scandir(listing) as entries:
            names = [entry.name for entry in islice(entries, MAX_FILES + 1)]
        number = len(names) if len(names) <= MAX_FILES else number
        for name in names[:MAX_FILES]:
            try:
                link = os.readlink(name, dir_fd=listing)
            except FileNotFoundError:
                continue  # closed meanwhile
            kinds[kind := _kind(link)] += 1
            if kind == "sockets":
                inodes.add(link[len("socket:[") : -1].encode("utf-8", "surrogateescape"))
    except OSError as error:
        return Opened(number=number, error=error)
    finally:
        os.close(listing)
    return Opened(dict(kinds.most_common()), number, frozenset(inodes))


def _kind(link: str) -> str:
    if link.startswith(("/memfd:", "/dev/shm/", "/SYSV")):
        return "shared memory"
    if link.startswith("/dev/"):
        return "devices"
    if link.startswith("/"):
        return "deleted files" if link.endswith(_DELETED) else "files"
    word = _ANONYMOUS.match(link)
    return _PLURALS.get(word[1], word[1]) if word else "other"


def count_sockets(folder: int, opened: Opened) -> Sockets | None:
    """Its sockets, looked up in the tables of its network namespace (proc_pid_net(5))."""
    if opened.kinds is None:
        return None
    counts: Counter[str] = Counter()
    left, lines, tables = set(opened.inodes), 0, 0
    for table in ("tcp", "tcp6", "udp", "udp6", "unix"):
        column = 6 if table == "unix" else 9
        try:
            fd = os.open(f"net/{table}", READ, dir_fd=folder)
        except OSError:
            continue  # IPv6 may be off
        tables += 1
        try:
            with open(fd, "rb", buffering=_BLOCK) as file:
                while left and lines < MAX_LINES and (line := file.readline(_MAX_LINE)):
                    lines += 1
                    fields = line.split(None, 10)
                    if len(fields) > column and fields[column] in left:
                        left.remove(fields[column])
                        state = _TCP_STATES.get(fields[3], "tcp_other")
                        counts[state if table.startswith("tcp") else table.rstrip("6")] += 1
        except OSError:
            continue
    if not tables:
        return None
    return Sockets(
        tcp_listening=counts["tcp_listening"],
        tcp_established=counts["tcp_established"],
        tcp_other=counts["tcp_other"],
        udp=counts["udp"],
        unix=counts["unix"],
        other=len(left),
        is_cut=(opened.number or MAX_FILES + 1) > MAX_FILES or (bool(left) and lines >= MAX_LINES),
    )
