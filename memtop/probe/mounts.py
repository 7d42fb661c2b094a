"""The mounts that a process sees, and how to get below one of them without being led astray.

Lines of /proc/PID/mountinfo (proc_pid_mountinfo(5)) become values; the mount that a descriptor
lies in is told by its id in fdinfo, so that a mount on top of another is never taken for it.
`open_inside` follows a path as the process whose root it is would, links included.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from typing import NamedTuple

from memtop.probe.handle import read

MAX_MOUNTINFO = 1 << 20
MAX_LINKS = 8
FOLDER = os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW
_OCTAL = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """One line of mountinfo; `root` is the folder of the file system that is mounted."""

    id: int
    root: str
    point: str
    kind: str
    options: frozenset[str]


def parse_mountinfo(raw: bytes) -> Iterator[Mount]:
    """The mounts in the order they were made; lines that are none are left out."""
    for line in raw.decode("utf-8", "surrogateescape").split("\n"):
        before, dash, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if not dash or len(fields) < 6 or len(kinds) < 3 or not fields[0].isdecimal():
            continue
        yield Mount(
            int(fields[0]),
            _unescaped(fields[3]),
            _unescaped(fields[4]),
            kinds[0],
            frozenset(kinds[2].split(",")),
        )


def mount_id(fd: int) -> int | None:
    """The id of the mount that an open file lies in (fs/proc/fd.c)."""
    try:
        found = re.search(rb"mnt_id:\s*([0-9]+)", read(f"/proc/self/fdinfo/{fd}"))
    except OSError:
        return None
    return int(found[1]) if found else None


def open_inside(root: int, path: str, flags: int) -> int:
    """Open `path` below the folder `root` as if that were "/"; OSError if it cannot be.

    The kernel would follow an absolute link below /proc/PID/root from memtop's own root
    (fs/namei.c: nd_jump_root), so that memtop's own file would be read.
    """
    todo = _parts(path)
    links = 0
    way = [os.dup(root)]
    try:
        while todo:
            part = todo.pop()
            if part == "..":
                if len(way) > 1:
                    os.close(way.pop())
                continue
            fd = os.open(part, FOLDER, dir_fd=way[-1])
            way.append(fd)
            if stat.S_ISLNK(os.fstat(fd).st_mode):
                os.close(way.pop())
                links += 1
                if links > MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                target = os.readlink(part, dir_fd=way[-1])
                if target.startswith("/"):
                    while len(way) > 1:
                        os.close(way.pop())
                todo += _parts(target)
            elif not todo:
                flags |= os.O_NOFOLLOW | os.O_CLOEXEC
                return os.open(part, flags, dir_fd=way[-2])
        return os.open(".", flags | os.O_CLOEXEC, dir_fd=way[-1])
    finally:
        for fd in way:
            os.close(fd)


def _parts(path: str) -> list[str]:
    """The components of a path, the first one last."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _unescaped(text: str) -> str:
    """Blanks, tabs, newlines and backslashes are written in octal (fs/proc_namespace.c)."""
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), text) if "\\" in text else text
