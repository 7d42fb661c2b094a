"""The cgroup of a process, the limit that holds in it, and the memory that files share.

Pure. The figures of a cgroup are those of the process's own; limit, use, floor and the time that is
left those of the one whose limit holds, which may be the pod's. Sizes in bytes, times in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from memtop.diagnosis.evidence import Room
from memtop.evidence.files import Moved, Shm
from memtop.model.limits import Limit
from memtop.probe.sample import Cgroup

CAN_BE = 1 / 2  # who has read and written so much of what came may have brought it


class Share(NamedTuple):
    """What tells whose doing it is that a cgroup or a /dev/shm fills.

    `others`: how many processes of the cgroup were not asked for; `moved`: what those that were
    have read, written and touched, None if not known; `uses_shm`: whether any has shared memory.
    """

    others: int = 0
    moved: Moved | None = None
    uses_shm: bool = True

    def can_fill(self, change: int) -> bool:
        """Whether those that were asked for can have brought so much shared memory.

        Each page of it is touched once through a mapping, or written with a call.
        """
        if self.moved is None:
            return self.uses_shm
        touched = self.moved.touched if self.uses_shm else 0
        return max(touched, self.moved.written) >= CAN_BE * change


NOBODY_ELSE = Share()


def room_of(
    limit: Limit | None,
    before: Limit | None,
    seconds: float,
    shm: tuple[Shm | None, Shm | None] = (None, None),
    kills_seen: int = 0,
    share: Share = NOBODY_ELSE,
) -> Room | None:
    """What is around a process, and how it has changed in `seconds`; None if nothing is known.

    `before` is the same limit as long ago; `shm` its /dev/shm then and now. How files and shared
    memory have changed is told only where that can be the doing of those who were asked for.
    """
    first, last = shm
    changed = None
    if first is not None and last is not None and first.device == last.device:
        came = last.bytes - first.bytes
        changed = came if share.can_fill(came) else None
    shm_bytes = None if last is None else last.bytes
    if limit is None:
        if last is None:
            return None
        return Room("", seconds, shm_bytes=shm_bytes, shm_change_bytes=changed)
    own, measured, capacity = limit.cgroup, limit.measured, limit.capacity
    change = dict(_changes(own, before.cgroup if before is not None else None))
    if share.others and not share.can_fill(change["shmem"] or 0):
        change["shmem"] = None
    if share.others and (share.moved or Moved()).file < CAN_BE * (change["file"] or 0):
        change["file"] = None
    return Room(
        path=own.path,
        seconds=seconds,
        limit_bytes=limit.limit_bytes,
        why_no_limit=limit.why,
        current_bytes=measured.current_bytes,
        floor_bytes=measured.floor_bytes,
        anon_bytes=own.anon_bytes,
        file_bytes=_files(own),
        shmem_bytes=own.shmem_bytes,
        kernel_bytes=own.kernel_bytes,
        current_change_bytes=change["current"],
        anon_change_bytes=change["anon"],
        file_change_bytes=change["file"],
        shmem_change_bytes=change["shmem"],
        kernel_change_bytes=change["kernel"],
        shm_bytes=shm_bytes,
        shm_change_bytes=changed,
        eta_s=limit.eta_s,
        oom_kills=measured.oom_kills,
        oom_kills_seen=kills_seen,
        children=capacity and capacity.children,
        fits_more=capacity and capacity.fits_more,
        fits_total=capacity and capacity.fits_total,
        taken_bytes=capacity and capacity.taken_bytes,
        worst_child_bytes=capacity and capacity.worst_child_bytes,
        worst_child_from=capacity and capacity.worst_child_from,
        capacity_warns=capacity is not None and capacity.warns,
    )


def kills_between(before: Limit | None, after: Limit | None) -> int:
    """How many were killed for want of memory in the cgroup that holds, from one to the other."""
    if before is None or after is None:
        return 0
    old, new = before.measured.oom_kills, after.measured.oom_kills
    return 0 if old is None or new is None else max(0, new - old)


def _changes(after: Cgroup, before: Cgroup | None) -> Mapping[str, int | None]:
    values = (
        ("current", after.current_bytes, before and before.current_bytes),
        ("anon", after.anon_bytes, before and before.anon_bytes),
        ("file", _files(after), before and _files(before)),
        ("shmem", after.shmem_bytes, before and before.shmem_bytes),
        ("kernel", after.kernel_bytes, before and before.kernel_bytes),
    )
    return {name: None if a is None or b is None else a - b for name, a, b in values}


def _files(cgroup: Cgroup) -> int | None:
    """The page cache; the kernel counts shared memory as part of it (Documentation, cgroup-v2)."""
    if cgroup.file_bytes is None:
        return None
    return max(0, cgroup.file_bytes - (cgroup.shmem_bytes or 0))
