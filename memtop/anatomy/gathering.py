"""Every part of a process's resident memory, gathered from the modules that know one each.

Every address belongs to one part: arenas first, then thread stacks, data of libraries, big blocks,
pools, frames; what is left of private anonymous memory is `other`, or belongs to the allocator that
serves malloc in glibc's stead. Sizes are bytes.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace

from memtop import units
from memtop.anatomy.bloat import mark_bloat
from memtop.anatomy.blocks import MOST_PAGES, find_blocks, size_classes
from memtop.anatomy.frames import SINCE, find_frames
from memtop.anatomy.heap import read_heap
from memtop.anatomy.malloc import Malloc
from memtop.anatomy.pymalloc import find_pools
from memtop.anatomy.regions import bss_spans
from memtop.anatomy.result import Anatomy, Arena, BigBlocks, Missing, Part, PartId, Pymalloc
from memtop.anatomy.spans import Range, merged, within, without
from memtop.anatomy.stacks import find_stacks
from memtop.anatomy.subject import Subject
from memtop.target.pages import PAGE

BLOAT_S = 2.0  # for looking at huge pages
BLOCKS_S = 1.0
FEW_PAGES = 1 << 14
# Where mimalloc asks for its memory, and nobody else gets any (src/os.c: MI_HINT_BASE, _MAX).
MIMALLOC = range(2 << 40, 30 << 40)
FIRST_THRESHOLD = 128 << 10  # DEFAULT_MMAP_THRESHOLD_MIN


class Gathering:
    """One look at an open process; gathers parts, and what could not be told."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        # First, because it may read regions and pages again; and while those are new.
        self._malloc = subject.find_malloc()
        self._pages = subject.pages
        self._parts: list[Part] = []
        self._missing: list[Missing] = []
        self._taken: list[Range] = []
        self._bloat_bytes = 0

    def run(self, draft: Anatomy) -> Anatomy:
        """The draft, which says who it is, with everything that is found."""
        subject, image = self._subject, self._subject.image
        huge = [(each.start, each.end) for each in subject.anonymous if each.huge_bytes]
        if huge and not subject.pages.huge:
            self._miss("huge pages", "which pages are huge takes Linux 6.7 (PAGEMAP_SCAN)")
        elif huge and not mark_bloat(image, huge, time.monotonic() + BLOAT_S):
            self._miss("huge pages", "there was not time to look for empty pages in all of them")
        malloc = self._malloc
        arenas, confidence, resyncs, trim = self._add_arenas(malloc)
        self._add("thread_stacks", "thread stacks", self._stacks())
        data = within(bss_spans(subject.memory, subject.modules), self._anonymous())
        files = sum(r.rss_bytes for r in subject.regions if r.kind in ("files", "vdso"))
        shared_files = sum(r.shared_bytes for r in subject.regions if r.kind in ("files", "vdso"))
        self._add("files", "files", data, files, shared_files)
        python = subject.find_python()
        # Blocks let the search jump, and pools are many: whatever there is more of goes first.
        found = self._find_blocks(malloc, most_pages=FEW_PAGES)
        pymalloc = self._add_pools(python.version if python else None, python is not None)
        found += self._find_blocks(malloc, but=len(found))
        blocks = self._big_blocks(malloc, found)
        if python is not None and (python.version or (0, 0)) >= SINCE:
            self._add("thread_stacks", "thread stacks", find_frames(image, self._free()))
        for part, label, kind in (
            ("main_stack", "main stack", "main_stack"),
            ("shared", "shared memory", "shared"),
        ):
            size = sum(r.rss_bytes for r in subject.regions if r.kind == kind)
            whose = sum(r.shared_bytes for r in subject.regions if r.kind == kind)
            self._parts.append(Part(part, label, size, whose))  # type: ignore[arg-type]
        self._add_rest(malloc, python is not None and python.is_free_threaded)
        if self._bloat_bytes:
            self._parts.append(Part("huge_page_bloat", "huge page bloat", self._bloat_bytes, None))
        allocator = subject.allocator
        swapped = sum(region.swapped_bytes for region in subject.regions)
        if subject.zero_bytes:
            self._miss(
                "zero pages",
                f"{units.size(subject.zero_bytes / 1024)} that were only read, and are in no RSS,"
                " count as shared here: to tell which takes Linux 6.7 (PAGEMAP_SCAN)",
            )
        if swapped:
            self._miss("swapped memory", "what is in swap is not read: it would be brought back")
        if malloc is not None and malloc.settings is None and malloc.places[0].system_bytes:
            self._miss("settings", "malloc's settings were not found")
        words = " ".join(filter(None, (allocator.name, allocator.version))) or None
        return replace(
            draft,
            rss_bytes=self._rss_bytes(),
            parts=tuple(part for part in self._parts if part.bytes),
            confidence=confidence,
            resyncs=resyncs,
            arenas=arenas,
            pymalloc=pymalloc,
            big_blocks=blocks,
            trim_would_return_bytes=trim,
            allocator=words,
            provider=allocator.provider if allocator.name != "glibc" else None,
            python=python.text if python else None,
            settings=malloc.settings if malloc is not None else None,
            swapped_bytes=swapped,
            missing=tuple(self._missing),
        )

    def _rss_bytes(self) -> int:
        """RSS at the moment of which the parts are: pagemap was read after smaps."""
        regions, pages = self._subject.regions, self._pages
        if not pages.knows_zero:
            return sum(region.rss_bytes for region in regions)
        rest = sum(region.rss_bytes for region in regions if region.kind != "anonymous")
        return rest + sum(pages.resident_bytes(*span) for span in self._anonymous())

    def _anonymous(self) -> list[Range]:
        return [(region.start, region.end) for region in self._subject.anonymous]

    def _free(self) -> list[Range]:
        """The private anonymous memory that no part has yet."""
        return without(self._anonymous(), self._taken)

    def _miss(self, what: str, reason: str) -> None:
        self._missing.append(Missing(what, reason))

    def _add(
        self, part: PartId, label: str, spans: list[Range], more: int = 0, shared: int = 0
    ) -> None:
        """A part that has what is resident of these ranges, and `more` that was counted already.

        What there is of this part so far is added to it.
        """
        spans = without(spans, self._taken)
        self._taken = merged([*self._taken, *spans])
        pages = self._pages
        bloat = sum(pages.bloat_bytes(*span) for span in spans)
        self._bloat_bytes += bloat
        size = more + sum(pages.resident_bytes(*span) for span in spans) - bloat
        whose = shared + sum(pages.shared_bytes(*span) for span in spans)
        for index, other in enumerate(self._parts):
            if other.id == part:
                size, whose = size + other.bytes, whose + (other.shared_bytes or 0)
                del self._parts[index]
                break
        self._parts.append(Part(part, label, size, min(size, whose)))

    def _add_arenas(
        self, malloc: Malloc | None
    ) -> tuple[tuple[Arena, ...], float, int, int | None]:
        if malloc is None:
            if self._subject.allocator.name == "glibc":
                self._miss("malloc", "the arenas of glibc were not found")
            return (), 1.0, 0, None
        heap = read_heap(self._subject, malloc)
        self._parts += heap.parts
        self._taken = merged([*self._taken, *heap.extents])
        self._bloat_bytes += heap.bloat_bytes
        self._missing += [Missing("malloc", doubt) for doubt in heap.doubts]
        if self._subject.allocator.name not in ("glibc", None):
            # What glibc has of its own then is nearly nothing, and trimming it is of no use.
            return heap.arenas, heap.confidence, heap.resyncs, 0
        # Of arenas that were not found, or left out, it is not known.
        is_whole = not malloc.trouble and len(heap.arenas) == len(malloc.places)
        trim = heap.trim_would_return_bytes if is_whole else None
        return heap.arenas, heap.confidence, heap.resyncs, trim

    def _stacks(self) -> list[Range]:
        subject = self._subject
        try:
            tids = {int(name) for name in os.listdir(f"{subject.root}/{subject.pid}/task")}
        except OSError:
            tids = set()
        found = find_stacks(subject.image, subject.regions, subject.pid, tids)
        return [(stack.start, stack.end) for stack in found]

    def _find_blocks(
        self, malloc: Malloc | None, *, but: int = 0, most_pages: int = MOST_PAGES
    ) -> list[Range]:
        """Big blocks that no part has yet, `but` so many were found before; they become a part."""
        if malloc is None or malloc.maps_count == but:
            return []
        found = find_blocks(
            self._subject.image,
            self._free(),
            expected=None if malloc.maps_count is None else max(0, malloc.maps_count - but),
            omits_header=malloc.omits_header,
            least_bytes=least_mapped(malloc),
            most_pages=most_pages,
            deadline=time.monotonic() + BLOCKS_S,
        )
        spans = [(start, start + size) for start, size in found.blocks]
        self._add("big_blocks", "big blocks", spans)
        if not found.is_whole and most_pages == MOST_PAGES:
            self._miss("big blocks", "there was not time to look for them everywhere")
        return spans

    def _big_blocks(self, malloc: Malloc | None, found: list[Range]) -> BigBlocks | None:
        """What the blocks are together."""
        if malloc is None:
            return None
        expected = malloc.maps_count
        if expected is not None and len(found) != expected:
            self._miss("big blocks", f"malloc counts {expected}, and {len(found)} were found")
        sizes = size_classes([(start, end - start) for start, end in found], self._pages)
        return BigBlocks(len(found), sum(one.bytes for one in sizes), sizes, expected)

    def _add_pools(self, version: tuple[int, int] | None, is_python: bool) -> Pymalloc | None:
        if version is None:
            if is_python:
                self._miss("python objects", "the version of Python is not known")
            return None
        found = find_pools(self._subject.image, self._free(), version)
        if not found.count:
            return None
        spans = without(found.intervals, self._taken)
        before = len(self._parts)
        self._add("pymalloc_free", "pymalloc free", spans)
        every = self._parts.pop(before)
        # With swap more is in use than is resident.
        used = min(found.used_bytes, max(0, found.resident_bytes - found.free_bytes), every.bytes)
        shared = every.shared_bytes or 0
        # Free blocks lie between used ones: of the pages of both as much is shared.
        of_used = shared * used // every.bytes if every.bytes else 0
        self._parts += [
            Part("python_objects", "python objects", used, of_used),
            Part("pymalloc_free", "pymalloc free", every.bytes - used, shared - of_used),
        ]
        return Pymalloc(found.count, found.used_bytes, found.free_bytes)

    def _add_rest(self, malloc: Malloc | None, is_free_threaded: bool) -> None:
        """What nothing explains: the memory of another allocator if there is one, else `other`."""
        name = self._subject.allocator.name
        if name not in ("glibc", None):
            self._add("allocator_other", f"{name} memory", self._free())
            self._miss("malloc", f"what {name} has free of its memory is not read")
        elif is_free_threaded:
            self._miss(
                "python objects", "free-threaded Python keeps them in mimalloc, which is not read"
            )
            hinted = [(start, end) for start, end in self._free() if start in MIMALLOC]
            self._add("allocator_other", "mimalloc of Python", hinted)
        elif name is None and malloc is None:
            self._miss("malloc", "which allocator serves malloc is not known")
        self._add("other", "other", self._free())


def least_mapped(malloc: Malloc) -> int:
    """The smallest block that malloc maps by itself: its threshold, which only ever grew."""
    settings = malloc.settings
    if settings is None:
        return PAGE
    return min(settings.mmap_threshold_bytes, FIRST_THRESHOLD) // PAGE * PAGE
