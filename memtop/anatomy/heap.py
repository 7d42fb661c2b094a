"""All arenas of a process: their figures, and what of RSS is malloc's.

A walk over every block is exact and takes a fraction of a second per GiB; the free lists alone are
quicker if they are short. The walk sees memory that changes while it is read, so how much of it
made no sense is part of the answer. Sizes are bytes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from memtop import units
from memtop.anatomy.arenas import arrange, extents, measure, stretches
from memtop.anatomy.bins import Free, TooLong, read_bins, read_fast
from memtop.anatomy.chunks import Walk, walk
from memtop.anatomy.extensions import find_extensions
from memtop.anatomy.malloc import Malloc, Place, Span
from memtop.anatomy.result import MALLOC, Arena, Part, PartId
from memtop.anatomy.spans import Range, merged, without
from memtop.anatomy.subject import Subject
from memtop.target.pages import PAGE

LABELS = {
    "malloc_in_use": "malloc in use",
    "malloc_trapped": "malloc trapped",
    "malloc_trimmable": "malloc trimmable",
    "malloc_top": "malloc top",
}
_MOST_RESYNCS, _MOST_SKIPPED = 50, 0.01
_MOST_LOST = 0.1
_MOST_OFF = 1 << 20  # bytes of an arena that need not be found
_LISTS_S = 3.0  # for the free lists where the walk does not reach everything


class Heap(NamedTuple):
    """malloc of one process: what its arenas have, and the parts of RSS that they are.

    `extents` are the addresses that belong to arenas. `bloat_bytes`: of their pages those that
    hold nothing, in huge pages; no part has them. `doubts`: what did not add up.
    """

    arenas: tuple[Arena, ...]
    parts: tuple[Part, ...]
    extents: tuple[Range, ...]
    bloat_bytes: int
    walked_bytes: int
    skipped_bytes: int
    resyncs: int
    doubts: tuple[str, ...]

    @property
    def trim_would_return_bytes(self) -> int:
        """What malloc_trim(0) would give back to the system now."""
        return sum(arena.trimmable_bytes for arena in self.arenas)

    @property
    def confidence(self) -> float:
        """The share of the blocks' memory that made sense."""
        seen = self.walked_bytes + self.skipped_bytes
        return self.walked_bytes / seen if seen else 1.0


def read_heap(subject: Subject, malloc: Malloc) -> Heap:
    """Walk through every arena; once more if too much of one made no sense."""
    reader = _Reader(subject, malloc)
    for place in malloc.places:
        reader.add(place, deadline=None)
    return reader.heap()


def read_heap_quickly(subject: Subject, malloc: Malloc, deadline: float) -> Heap | None:
    """The same by the free lists alone; None if that is not done by `deadline` (monotonic).

    None as well if they change too fast: of a list that broke off nobody knows the rest.
    """
    if malloc.trouble:
        return None
    reader = _Reader(subject, malloc)
    try:
        for place in malloc.places:
            reader.add(place, deadline=deadline)
    except TooLong:
        return None
    heap = reader.heap()
    return heap if len(heap.arenas) == len(malloc.places) else None


class _Reader:
    """Adds up one arena after the other."""

    def __init__(self, subject: Subject, malloc: Malloc) -> None:
        self._subject, self._malloc = subject, malloc
        self._arenas: list[Arena] = []
        self._extents: list[Range] = []
        self._sizes: Counter[str] = Counter()
        self._shared: Counter[str] = Counter()
        self._bloat: Counter[str] = Counter()
        self._walked = self._skipped = self._resyncs = 0
        self._tried = self._changing = 0
        self._doubts = list(malloc.trouble)
        self._lists_until: float | None = None

    def add(self, place: Place, deadline: float | None) -> None:
        """Read an arena: by its free lists if there is a deadline, else by a walk."""
        subject = self._subject
        place = completed(self._subject, place)
        fast = read_fast(subject.image, place, deadline)
        self._changing += not fast.is_whole
        if deadline is not None:
            free = read_bins(subject.image, place, deadline)
            if not free.is_whole:
                raise TooLong
        else:
            place, free = self._walk(place)
        blocks = arrange(place, free, fast, self._malloc.trim_unit_bytes)
        arena = measure(place, blocks, subject.pages)
        if blocks.free_bytes > place.system_bytes:
            # All of it counts as in use, and the arena is left out.
            self._extents += [(span.start, span.end) for span in extents(place)]
            self._doubts.append(f"arena {place.number} was changed too much while it was read")
            return
        self._sizes["malloc_trapped"] += arena.trapped_bytes
        self._sizes["malloc_trimmable"] += arena.trimmable_bytes
        self._sizes["malloc_top"] += arena.top_bytes
        spans = [(span.start, span.end) for span in extents(place)]
        self._extents += spans
        self._look_up(spans, stretches(free, fast, blocks))
        if deadline is None:
            arena = self._accounted(place, fast, arena)
        self._arenas.append(arena)

    def _accounted(self, place: Place, fast: Free, arena: Arena) -> Arena:
        """malloc's accounting of an arena, if some of it lies where nothing leads to.

        The free lists know the free blocks there, too; no part of RSS has those.
        """
        reached = sum(span.end - span.start for span in extents(place))
        if abs(place.system_bytes - reached) <= max(PAGE, place.system_bytes // 1000):
            return arena
        if abs(place.system_bytes - reached) > max(_MOST_OFF, place.system_bytes // 100):
            self._doubts.append(
                f"arena {place.number} has {units.size(place.system_bytes / 1024)} by malloc's own"
                f" account, and {units.size(reached / 1024)} was found"
            )
        self._lists_until = self._lists_until or time.monotonic() + _LISTS_S
        try:
            free = read_bins(self._subject.image, place, self._lists_until)
            if not free.is_whole:
                return arena
        except TooLong:
            self._doubts.append(f"the free lists of arena {place.number} are too long to be read")
            return arena
        blocks = arrange(place, free, fast, self._malloc.trim_unit_bytes)
        if blocks.free_bytes > place.system_bytes:
            return arena
        return measure(place, blocks, self._subject.pages)

    def _look_up(self, spans: list[Range], free: Iterable[tuple[PartId, int, int]]) -> None:
        """Find out how much of the free memory is shared, or empty in huge pages, if any is."""
        pages = self._subject.pages
        has_shared = any(pages.shared_bytes(*span) for span in spans)
        has_bloat = any(pages.bloat_bytes(*span) for span in spans)
        if not has_shared and not has_bloat:
            return
        for part, start, end in free:
            if has_shared:
                self._shared[part] += pages.shared_bytes(start, end)
            if has_bloat:
                self._bloat[part] += pages.bloat_bytes(start, end)

    def _walk(self, place: Place) -> tuple[Place, Free]:
        """The free blocks by a walk, and the arena with the top that was found by that."""
        image = self._subject.image
        made = walk(image, place, self._tried)
        if made.resyncs > _MOST_RESYNCS or made.skipped_bytes > _MOST_SKIPPED * made.walked_bytes:
            again = walk(image, place, made.tried)
            made = min(made, again, key=lambda one: one.skipped_bytes)
        if made.skipped_bytes > _MOST_LOST * made.walked_bytes:
            share = made.skipped_bytes / (made.skipped_bytes + made.walked_bytes)
            self._doubts.append(
                f"{share:.0%} of arena {place.number} could not be followed, because it changes"
                " while it is read: free memory in there counts as in use"
            )
        self._count(made)
        if made.top is not None and made.top.start != place.top:
            place = _moved(place, made.top)
        return place, made.free

    def _count(self, made: Walk) -> None:
        self._walked += made.walked_bytes
        self._skipped += made.skipped_bytes
        self._resyncs += made.resyncs
        self._tried = max(self._tried, made.tried)

    def heap(self) -> Heap:
        """Everything that was added, as parts of RSS."""
        pages = self._subject.pages
        spans = merged(self._extents)
        resident = sum(pages.resident_bytes(*span) for span in spans)
        shared = sum(pages.shared_bytes(*span) for span in spans)
        bloat = sum(pages.bloat_bytes(*span) for span in spans)
        sizes = self._sizes
        rest = max(0, resident - sum(sizes.values()))
        parts = []
        for part in MALLOC:
            if part == "malloc_in_use":
                size = rest - max(0, bloat - sum(self._bloat.values()))
                whose = max(0, shared - sum(self._shared.values()))
            else:
                size, whose = sizes[part] - self._bloat[part], self._shared[part]
            size = max(0, size)
            parts.append(Part(part, LABELS[part], size, min(size, whose)))
        if self._changing:
            them = "an arena" if self._changing == 1 else f"{self._changing} arenas"
            self._doubts.append(f"the fast bins of {them} were changed while they were read")
        return Heap(
            arenas=tuple(self._arenas),
            parts=tuple(parts),
            extents=tuple(spans),
            bloat_bytes=bloat,
            walked_bytes=self._walked,
            skipped_bytes=self._skipped,
            resyncs=self._resyncs,
            doubts=tuple(self._doubts),
        )


def completed(subject: Subject, place: Place) -> Place:
    """The main arena with the stretches that it had to map because brk could not grow."""
    reached = sum(span.end - span.start for span in extents(place))
    is_whole = any(span.end == place.top for span in place.spans)
    if not place.is_main or not place.system_bytes:
        return place
    if is_whole and place.system_bytes - reached <= PAGE:
        return place
    known = [(span.start, span.end) for span in extents(place)]
    anonymous = [(region.start, region.end) for region in subject.anonymous]
    found = find_extensions(
        subject.image,
        without(anonymous, known),
        place,
        place.system_bytes - reached,
    )
    return place._replace(spans=(*place.spans, *found))


def _moved(place: Place, top: Span) -> Place:
    """The arena with its top where it begins now."""
    return place._replace(
        spans=tuple(
            Span(span.start, top.start) if span.end == place.top else span for span in place.spans
        ),
        top=top.start,
        top_bytes=top.end - top.start,
    )
