"""What smaps alone tells of a process whose memory may not be read: kinds of memory by their shape.

glibc reserves 64 MiB for each heap of a thread arena, aligned to that, of which a part is writable
(malloc/arena.c: new_heap); a stack has pages below it that nobody may touch. What malloc has free
of its heaps, and which objects there are, takes reading the memory. Sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from memtop.anatomy.regions import Region, read_regions
from memtop.anatomy.result import Anatomy, Heaps, Missing, Part
from memtop.target.pages import PAGE

HEAP_MOST = 64 << 20
_GUARD_MOST = 1 << 20  # a stack's; of reserved memory there is more
_STACK_MOST = 1 << 30


def look_from_outside(
    draft: Anatomy, root: str, reason: str, right: str | None = None, command: str | None = None
) -> Anatomy:
    """The draft, which says who it is, with what smaps tells.

    `reason`: why its memory is not read; the right that is missing, and the command that has it.
    PermissionError if smaps may not be read, either.
    """
    regions = read_regions(draft.identity.pid, root)
    heaps = [region for region in regions if region.mapping.path == "[heap]"]
    heaps += _thread_heaps(regions)
    of_heaps = {region.start for region in heaps}
    rest = [r for r in regions if r.kind == "anonymous" and r.start not in of_heaps]
    stacks = {region.start for region in _stacks(regions) if region.start not in of_heaps}
    groups = {
        "files": ("files", [r for r in regions if r.kind in ("files", "vdso")]),
        "shared": ("shared memory", [r for r in regions if r.kind == "shared"]),
        "main_stack": ("main stack", [r for r in regions if r.kind == "main_stack"]),
        "thread_stacks": ("thread stacks", [r for r in rest if r.start in stacks]),
        "allocator_other": ("malloc heaps", heaps),
        "other": ("other", [r for r in rest if r.start not in stacks]),
    }
    parts = tuple(
        Part(
            part,  # type: ignore[arg-type]
            label,
            sum(region.rss_bytes for region in group),
            sum(region.shared_bytes for region in group),
        )
        for part, (label, group) in groups.items()
        if any(region.rss_bytes for region in group)
    )
    what = "arenas, big blocks, python objects"
    missing = Missing(what, reason, right, command)
    resident = sum(region.rss_bytes for region in heaps)
    rss_bytes = sum(region.rss_bytes for region in regions)
    swapped = sum(region.swapped_bytes for region in regions)

    return replace(
        draft,
        rss_bytes=rss_bytes,
        parts=parts,
        heaps=Heaps(len(heaps), resident),
        swapped_bytes=swapped,
        missing=(missing,),
    )


def _thread_heaps(regions: Sequence[Region]) -> list[Region]:
    """Writable memory at a multiple of 64 MiB whose rest up to the next one is reserved."""
    found = []
    for region, following in zip(regions, [*regions[1:], None], strict=True):
        if region.kind != "anonymous" or region.mapping.perms[:2] != "rw":
            continue
        # A heap that is full has no rest, and merges with the one above.
        if (
            region.start % HEAP_MOST == 0
            and following is not None
            and following.start == region.end
            and following.mapping.perms[:3] == "---"
            and following.end % HEAP_MOST == 0
        ):
            found.append(region)
    return found


def _stacks(regions: Sequence[Region]) -> list[Region]:
    """Writable memory with untouchable pages right below it, no more of them than a guard has."""
    return [
        region
        for below, region in pairwise(regions)
        if region.kind == "anonymous"
        and region.mapping.perms[:2] == "rw"
        and region.end - region.start <= _STACK_MOST
        and below.end == region.start
        and below.mapping.perms[:3] == "---"
        and not below.mapping.path
        and PAGE <= below.end - below.start <= _GUARD_MOST
    ]
