"""Pages that a memtop which was killed at the wrong instant has left in a target, and their end.

Between mmap and the next step nothing but its place and its looks tell that a region is memtop's:
in the window, executable, anonymous, never written. It is one in the making, too, but only while a
thread is traced; before that ends it is made read-write in part. They cost address space only.

Only who holds the main thread may unmap them, so that no two memtops ever do it at once. If the
main thread cannot be borrowed they stay.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from memtop.actions.remote.borrow import WINDOW, WINDOW_END, Region
from memtop.actions.remote.hold import MUNMAP, Target, hold
from memtop.actions.remote.job import MOST_BYTES
from memtop.probe import parse
from memtop.probe.handle import read
from memtop.target.maps import Mapping, read_maps


def find(target: Target, maps: Sequence[Mapping] | None = None) -> set[Region]:
    """Regions that look like memtop's and are executable as a whole."""
    if maps is None:
        maps = read_maps(target.identity.pid, target.root)
    inside = [mapping for mapping in maps if WINDOW <= mapping.start < WINDOW_END]
    begins = {mapping.start for mapping in inside}
    return {
        Region(mapping.start, mapping.end - mapping.start)
        for mapping in inside
        if mapping.perms == "r-xp"
        and not mapping.path
        and mapping.end not in begins
        and mapping.end - mapping.start <= MOST_BYTES
    }


def sweep(target: Target, maps: Sequence[Mapping]) -> int:
    """Unmap what was left behind, if there is anything in `maps`; how many regions."""
    if not find(target, maps):
        return 0
    held = hold(target, target.identity.pid)
    if held is None:
        return 0
    with held:
        found = find(target)
        if any_tracer(target.identity.pid, target.root, but=os.getpid()) is not None:
            return 0
        swept = 0
        for region in found & find(target):
            if any(target.memory.read(region.address, region.size)):
                continue
            held.prepare()
            swept += held.call(MUNMAP, target.munmap, region, held.frame) == 0
        held.finish()
        return swept


def any_tracer(pid: int, root: str, *, but: int = 0) -> int | None:
    """The PID that traces a thread of the process, other than `but`; 0 if it cannot be seen from
    here (another PID namespace), None if nobody does."""
    for name in os.listdir(f"{root}/{pid}/task"):
        try:
            status = parse.parse_keyed(read(f"{root}/{pid}/task/{name}/status"))
        except OSError:
            continue
        tracer = int(status.get("TracerPid", "0"))
        if tracer not in (0, but) or (not tracer and status.get("State", "").startswith("t")):
            return tracer
    return None
