"""Of what a rise is made, and of what RSS: the looks and counts of the evidence, put together.

Parts are summed by kind; what Python's objects own of malloc's memory counts as objects, what no
object owns as native, and as `unowned` where nobody counted. Nothing is judged. Sizes in bytes,
changes signed, times in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from memtop.diagnosis.evidence import Evidence, Kind, Memory, Types

FREED = ("trapped", "trimmable", "tops")
# The kinds, each of the parts of an anatomy; what malloc has in use is split by its owner.
KINDS: dict[str, tuple[str, ...]] = {
    "trapped": ("malloc_trapped",),
    "trimmable": ("malloc_trimmable",),
    "tops": ("malloc_top",),
    "pymalloc_free": ("pymalloc_free",),
    "stacks": ("thread_stacks", "main_stack"),
    "files": ("files",),
    "shared": ("shared",),
    "huge_pages": ("huge_page_bloat",),
    "allocator": ("allocator_other",),
    "other": ("other",),
}
IN_USE = ("malloc_in_use", "big_blocks")
NOT_ANONYMOUS = ("files", "shared")  # parts whose pages belong to a file


@dataclass(frozen=True)
class Shares:
    """What is computed from the looks; every value once, when it is asked for."""

    evidence: Evidence

    @cached_property
    def is_python(self) -> bool:
        """Whether it runs CPython, or may: a look tells, before that its role."""
        subject = self.evidence.subject
        return subject.python is not None or subject.role not in (None, "other")

    @cached_property
    def pair(self) -> tuple[Memory, Memory] | None:
        """The two looks, if there are two."""
        first, last = self.evidence.first, self.evidence.last
        if first is None or last is None or last.taken_at <= first.taken_at:
            return None
        return first, last

    @cached_property
    def counts(self) -> tuple[Types, Types] | None:
        """The two counts of objects, if there are two of one source."""
        first, last = self.evidence.first_types, self.evidence.last_types
        if first is None or last is None or first.source != last.source:
            return None
        return (first, last) if last.taken_at > first.taken_at else None

    @property
    def last(self) -> Memory | None:
        """The last look, or the only one."""
        return self.evidence.last or self.evidence.first

    @property
    def types(self) -> Types | None:
        """The last count of objects, or the only one."""
        return self.evidence.last_types or self.evidence.first_types

    @property
    def is_glibc(self) -> bool:
        """Whether glibc serves malloc, as far as is known."""
        return self.last is not None and (self.last.allocator or "").startswith("glibc")

    @property
    def is_foreign(self) -> bool:
        """Whether another allocator is known to serve malloc."""
        return self.last is not None and self.last.allocator is not None and not self.is_glibc

    @property
    def is_blind(self) -> bool:
        """Whether the looks could not read memory, so that malloc's part is one piece."""
        last = self.last
        return last is not None and not self.is_foreign and self.held_share("allocator") > 0.2

    # -- between the looks

    @cached_property
    def rise_bytes(self) -> int | None:
        """By how much RSS rose from one look to the other."""
        return None if self.pair is None else self.pair[1].rss_bytes - self.pair[0].rss_bytes

    @cached_property
    def between_s(self) -> float:
        """The time between the looks; 0 if there is one at most."""
        return 0.0 if self.pair is None else self.pair[1].taken_at - self.pair[0].taken_at

    @cached_property
    def owners_are_known(self) -> bool:
        """Whether it is known, for both looks, who owns what malloc has in use."""
        if not self.is_python:
            return True
        return self.counts is not None and all(one.native_bytes is not None for one in self.counts)

    @cached_property
    def came(self) -> Mapping[str, int]:
        """The change of each kind between the looks; empty if there are not two."""
        if self.pair is None:
            return {}
        first, last = self.pair
        made = {kind: last.of(*parts) - first.of(*parts) for kind, parts in KINDS.items()}
        segments = self._of_no_file(made["shared"])
        made["files"] += made["shared"] - segments
        made["shared"] = segments
        pools = last.of("python_objects") - first.of("python_objects")
        used = last.of(*IN_USE) - first.of(*IN_USE)
        if not self.is_python:
            return {**made, "objects": 0, "native": used + pools, "unowned": 0}
        if self.counts is not None and self.owners_are_known:
            native = (self.counts[1].native_bytes or 0) - (self.counts[0].native_bytes or 0)
            return {**made, "objects": pools + used - native, "native": native, "unowned": 0}
        beyond = 0  # objects that lie in what malloc, or who serves in its place, has in use
        if self.counts is not None:
            grown = self.counts[1].bytes - self.counts[0].bytes - pools
            beyond = max(0, min(grown, max(0, used) + max(0, made["allocator"])))
        of_malloc = min(beyond, max(0, used))
        made["allocator"] -= beyond - of_malloc
        return {**made, "objects": pools + beyond, "native": 0, "unowned": used - of_malloc}

    def _of_no_file(self, change: int) -> int:
        """Of a change of shared mappings that which is shared memory, and no file's pages.

        Told by RssShmem of both looks, else by what the cgroup is charged with.
        """
        if change <= 0 or self.pair is None:
            return change
        first, last = (one.shmem_bytes for one in self.pair)
        room = self.evidence.room
        if first is not None and last is not None:
            return max(0, min(change, last - first))
        if room is not None and room.shmem_change_bytes is not None:
            return max(0, min(change, room.shmem_change_bytes))
        return change

    @cached_property
    def all_that_came(self) -> int:
        """The sum of the kinds that grew, of which shares are taken."""
        return sum(change for change in self.came.values() if change > 0)

    def share(self, *kinds: str) -> float:
        """How much of what came is of these kinds."""
        came = sum(max(0, self.came.get(kind, 0)) for kind in kinds)
        return came / self.all_that_came if self.all_that_came > 0 else 0.0

    @cached_property
    def big_came(self) -> int:
        """The change of the blocks with a mapping of their own, whoever owns them."""
        first, last = self.pair or (None, None)
        return (
            0 if first is None or last is None else last.of("big_blocks") - first.of("big_blocks")
        )

    @cached_property
    def unshared_bytes(self) -> int:
        """By how much less anonymous memory other processes have mapped, too."""
        if self.pair is None:
            return 0
        before, after = (shared_of(one) for one in self.pair)
        return before - after

    @cached_property
    def grown_types(self) -> tuple[Kind, ...]:
        """By how much count and bytes of each type changed, what grew most first."""
        if self.counts is None:
            return ()
        before = {one.name: one for one in self.counts[0].kinds}
        changes = []
        for one in self.counts[1].kinds:
            old = before.get(one.name, Kind(one.name, 0, 0))
            changes.append(Kind(one.name, one.count - old.count, one.bytes - old.bytes))
        return tuple(sorted(changes, key=lambda one: (-one.bytes, one.name)))

    @property
    def counting_error_bytes(self) -> float:
        """By how much both counts together may be off."""
        return sum(one.error * one.bytes for one in self.counts or ())

    @property
    def contradiction_bytes(self) -> int:
        """By how much the objects that came by the parts are more or fewer than those counted."""
        if self.counts is None or not self.came or not self.owners_are_known:
            return 0
        return abs(self.came["objects"] - (self.counts[1].bytes - self.counts[0].bytes))

    # -- at the last look

    @cached_property
    def holds(self) -> Mapping[str, int]:
        """The kinds at the last look; empty if there was none."""
        last, types = self.last, self.types
        if last is None:
            return {}
        made = {kind: last.of(*parts) for kind, parts in KINDS.items()}
        pools, used = last.of("python_objects"), last.of(*IN_USE)
        if not self.is_python:
            return {**made, "objects": 0, "native": used + pools, "unowned": 0}
        if types is None or types.native_bytes is None:
            return {**made, "objects": pools, "native": 0, "unowned": used}
        native = min(used, types.native_bytes)
        return {**made, "objects": pools + used - native, "native": native, "unowned": 0}

    def held(self, *kinds: str) -> int:
        """What the last look found of these kinds."""
        return sum(self.holds.get(kind, 0) for kind in kinds)

    def held_share(self, *kinds: str) -> float:
        """The same as a share of RSS at that moment."""
        whole = self.last.rss_bytes if self.last is not None else 0
        return self.held(*kinds) / whole if whole > 0 else 0.0

    @cached_property
    def arena_bytes(self) -> int:
        """What malloc's arenas hold resident, used and free."""
        return 0 if self.last is None else self.last.of("malloc_in_use") + self.held(*FREED)


def shared_of(memory: Memory) -> int:
    """The anonymous bytes that other processes have mapped, too."""
    return sum(size for part, size in memory.shared.items() if part not in NOT_ANONYMOUS)
