"""What was found about the memory of one process: values for the screen, the JSON, the diagnosis.

Parts are resident bytes and disjoint; `other` is what was seen and not attributed, never the rest
of a subtraction. Arenas are malloc's own accounting, as mallinfo2 gives it: what they have is
in use + released + trapped + trimmable + top, all but `released` resident. None is not known, and
then something in `missing` says why. Sizes are bytes, times seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from memtop.probe.sample import Identity

PartId = Literal[
    "python_objects",
    "pymalloc_free",
    "malloc_in_use",
    "malloc_trapped",
    "malloc_trimmable",
    "malloc_top",
    "big_blocks",
    "thread_stacks",
    "main_stack",
    "files",
    "shared",
    "huge_page_bloat",
    "allocator_other",
    "other",
]
PART_IDS: tuple[PartId, ...] = PartId.__args__  # type: ignore[attr-defined]
LIVE: tuple[PartId, ...] = ("python_objects", "malloc_in_use", "big_blocks", "malloc_top")
FREED: tuple[PartId, ...] = ("malloc_trapped", "malloc_trimmable", "pymalloc_free")
# malloc's own part of RSS, which a look at its free lists alone tells anew.
MALLOC: tuple[PartId, ...] = ("malloc_in_use", "malloc_trapped", "malloc_trimmable", "malloc_top")


class Part(NamedTuple):
    """`shared_bytes`: how much of it other processes have mapped, too; None if not known."""

    id: PartId
    label: str
    bytes: int
    shared_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Arena:
    """One arena of glibc; `index` 0 is the main one, which grows by brk.

    `free_bytes` = released + trapped + trimmable + top. Trapped lies in holes without a whole
    page, and at the ends of larger ones; trimmable is what malloc_trim(0) gives back, of the main
    arena the end of its top as well; `top_bytes` is the rest of the resident top.
    """

    index: int
    main: bool
    system_bytes: int
    in_use_bytes: int
    free_bytes: int
    released_bytes: int
    trapped_bytes: int
    trimmable_bytes: int
    top_bytes: int

    @property
    def held_bytes(self) -> int:
        """What the system has not got back: in use or free, in memory or never touched yet."""
        return self.system_bytes - self.released_bytes


@dataclass(frozen=True, slots=True)
class Pymalloc:
    """Pools of Python's allocator for objects up to 512 bytes.

    `used_bytes` are the blocks in use, `free_bytes` the free blocks and empty pools that are
    resident; what both leave of the pools are headers and rounding.
    """

    pools: int
    used_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class SizeClass:
    """Big blocks from this size to the next one."""

    at_least_bytes: int
    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class BigBlocks:
    """What malloc has mapped one by one, because it was large (M_MMAP_THRESHOLD of mallopt(3)).

    `bytes` are resident. `expected_count` is malloc's own count (n_mmaps); None if it is unknown.
    """

    count: int
    bytes: int
    sizes: tuple[SizeClass, ...] = ()
    expected_count: int | None = None


class Settings(NamedTuple):
    """What glibc's malloc goes by now (mallopt(3)); a threshold moves unless it `is_fixed`.

    `arena_max` 0: not set, so that there may be eight per CPU. `thread_cache_bytes`: what each
    thread may at most have freed and kept for itself, which counts as in use.
    """

    arena_max: int
    mmap_threshold_bytes: int
    trim_threshold_bytes: int
    top_pad_bytes: int
    is_fixed: bool
    thread_cache_bytes: int | None = None


class Missing(NamedTuple):
    """What is not known, and why; the right that is missing, and the command that has it."""

    what: str
    reason: str
    right: str | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Heaps:
    """Memory of malloc that could not be looked into: its heaps and what of them is resident."""

    count: int
    resident_bytes: int


@dataclass(frozen=True, slots=True)
class Anatomy:
    """One look at one process.

    `seconds`: how long it took. `confidence`: the share of malloc's memory whose blocks made
    sense; 1.0 if there is none. `resyncs`: how often the chain of blocks was lost and found again.
    `provider`: the file that serves malloc, if it is not the C library. `heaps` only where memory
    could not be read.
    """

    identity: Identity
    name: str
    taken_at: float
    seconds: float
    rss_bytes: int
    parts: tuple[Part, ...]
    confidence: float = 1.0
    resyncs: int = 0
    arenas: tuple[Arena, ...] = ()
    heaps: Heaps | None = None
    pymalloc: Pymalloc | None = None
    big_blocks: BigBlocks | None = None
    trim_would_return_bytes: int | None = None
    allocator: str | None = None
    provider: str | None = None
    python: str | None = None
    settings: Settings | None = None
    threads: int | None = None
    swapped_bytes: int = 0
    missing: tuple[Missing, ...] = ()

    @property
    def explained_bytes(self) -> int:
        """Everything but `other`."""
        return sum(part.bytes for part in self.parts if part.id != "other")

    def bytes_of(self, *ids: PartId) -> int:
        """The sum of these parts; those that do not exist count nothing."""
        return sum(part.bytes for part in self.parts if part.id in ids)


@dataclass(frozen=True, slots=True)
class QuickArenas:
    """The arenas again, by their free lists alone; `parts` are the four of malloc."""

    identity: Identity
    taken_at: float
    seconds: float
    arenas: tuple[Arena, ...]
    parts: tuple[Part, ...]
