"""How much memory a process may still take before something is killed, read now.

Of its memory cgroup and each one above: limit - working set, that is, usage without inactive
files. Most of what else can be reclaimed counts as used, so that the figure is rather too low. The
least of them holds, and the machine's MemAvailable where that is less. Sizes in bytes.
"""

from __future__ import annotations

from typing import NamedTuple

from memtop.model.limits import chain
from memtop.probe import parse
from memtop.probe.cgroupfs import Finder
from memtop.probe.cgroups import CgroupTable
from memtop.probe.handle import read
from memtop.probe.sample import Cgroup, Identity


class Headroom(NamedTuple):
    """`bytes` None: not known, because of `why`. `path`: the cgroup; None: the machine's memory.

    If no cgroup has a limit, `path` is None and `bytes` is what the machine has.
    """

    bytes: int | None
    path: str | None = None
    why: str | None = None


def headroom(pid: int, *, root: str = "/proc", cgroupfs: str | None = None) -> Headroom:
    """The headroom of process `pid`, over its cgroup (v1 or v2) and those above; never raises.

    A limit that cannot be read makes it unknown, even if another one is known.
    """
    try:
        start_ticks = parse.parse_stat(read(f"{root}/{pid}/stat")).start_ticks
        path = parse.parse_cgroup(read(f"{root}/{pid}/cgroup", 1 << 16))
    except (OSError, ValueError):
        return Headroom(None, why=f"{pid} has ended")
    available = _available_bytes(root)
    if path is None:
        return _of_machine(available)  # a kernel without memory cgroups
    line = _read_line(Identity(start_ticks, pid), path, root, cgroupfs)
    if not line:
        return Headroom(None, path, "there are no files of its cgroup")
    for cgroup in line:
        if cgroup.limit_bytes is None and not cgroup.unlimited:
            return Headroom(None, cgroup.path, cgroup.reason or "its limit is not known")
    rooms = [room for cgroup in line if (room := _room_in(cgroup)) is not None]
    unmeasured = [room.path for room in rooms if room.bytes is None]
    if unmeasured:
        return Headroom(None, unmeasured[0], "how much of its limit is used cannot be read")
    if available is not None:
        rooms.append(Headroom(available))
    return min(rooms, key=lambda room: room.bytes or 0, default=_of_machine(available))


def _read_line(identity: Identity, path: str, root: str, cgroupfs: str | None) -> list[Cgroup]:
    """A cgroup and those above, the innermost first."""
    table = CgroupTable(Finder(root, live=True, cgroupfs=cgroupfs), lambda _: None, room=0)
    try:
        table.join(identity, path, None)
        found, lost = table.read()
        if lost:  # asked only once it is not there for sure
            found = []
    finally:
        table.close()
    return chain({cgroup.path: cgroup for cgroup in found}, path)


def _room_in(cgroup: Cgroup) -> Headroom | None:
    """What is left of a cgroup's own limit; None if it has none."""
    if cgroup.limit_bytes is None:
        return None
    used = cgroup.working_set_bytes
    if used is None:
        # A limit above that no mount shows, which v1 tells: what it is compared with is not shown.
        return Headroom(None, cgroup.path)
    return Headroom(max(0, cgroup.limit_bytes - used), cgroup.path)


def _available_bytes(root: str) -> int | None:
    try:
        kib = parse.kib_of(parse.parse_keyed(read(f"{root}/meminfo", 8192)), "MemAvailable")
    except OSError:
        return None
    return None if kib is None else kib * 1024


def _of_machine(available: int | None) -> Headroom:
    if available is None:
        return Headroom(None, why="there is no limit, and MemAvailable is not known")
    return Headroom(available)
