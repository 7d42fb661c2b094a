"""Where glibc keeps malloc's state in a process: its arenas, their heaps, and its settings.

Nothing of it is exported, so it is found by its shape: an empty bin points at itself, arenas are a
ring, the heap of a thread arena names its arena (malloc/malloc.c, malloc/arena.c; the same since
glibc 2.26). The head before the bins, the size of heap_info and the place of the settings differ by
version and are told by these relations, too, not by a version's number. What makes no sense is
left out, and `trouble` says so. Addresses and sizes are bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from memtop.anatomy.image import WORD, Image
from memtop.anatomy.parameters import MOST_DATA, read_parameters
from memtop.anatomy.result import Settings
from memtop.target.maps import Mapping
from memtop.target.pages import PAGE

# From the bins on: struct malloc_state.
TOP, _NEXT, SYSTEM, _MAX_SYSTEM, _AFTER = -16, 2048, 2072, 2080, 2088
BINS = 127  # that are used: a pair of words each
FAST = -96  # ten fast bins before top, in the versions that have them
_HEADS = (112, 104, 24)  # bytes before the bins: 2.27 to 2.42, 2.26, 2.43
_NO_FAST_HEAD = 24
_MANGLED_FROM = (2, 32)
_NON_CONTIGUOUS = 2  # in flags
_HEAP_MOST = 64 << 20  # twice DEFAULT_MMAP_THRESHOLD_MAX; four huge pages with hugetlb=2
_NOT_READ = "arena {} is left out: it was changed while it was read, or is damaged"
_MOST_ARENAS, _MOST_HEAPS = 4096, 1 << 16
_MOST_TRIED = 1 << 14  # words as the first bin
_MOST_AGAIN = 8  # times that it is read
_MOST_GROWN = 1 << 30  # since the mappings were read
ALIGNMENT = 16


class Span(NamedTuple):
    """Memory in which blocks of malloc lie one after the other."""

    start: int
    end: int


class Place(NamedTuple):
    """One arena: where it is. `bins` is the address of its first bin, `top` that of its last block.

    `spans` end at `top` or where their heap ends. `has_fast`: there are fast bins, and `mangles`:
    their links are mangled. `moves_brk`: its top ends at the program break, so that malloc_trim can
    lower that.
    """

    number: int
    is_main: bool
    bins: int
    top: int
    top_bytes: int
    system_bytes: int
    spans: tuple[Span, ...]
    has_fast: bool = True
    mangles: bool = True
    moves_brk: bool = False


class Malloc(NamedTuple):
    """malloc of one process. `places`: the arenas, the main one first.

    `maps_count`: how many blocks it has mapped one by one, None if that was not found.
    `omits_header`: the size of such a block leaves its own head out (2.43). `trim_unit_bytes`:
    the break is lowered by multiples of this. `trouble`: what did not make sense.
    """

    places: tuple[Place, ...]
    settings: Settings | None
    maps_count: int | None
    omits_header: bool
    trim_unit_bytes: int
    trouble: tuple[str, ...] = ()


def find_malloc(
    image: Image,
    data: Sequence[Mapping],
    maps: Sequence[Mapping],
    version: tuple[int, int] | None = None,
) -> Malloc | None:
    """malloc's state, looked for in the variables of the C library; None if it is not used.

    `version` only tells whether links are mangled (from 2.32 on). `data`: the writable mappings of
    the C library. Their pages, and those of all private anonymous memory, must be known to the
    image.
    """
    for mapping in data:
        size = min(mapping.end - mapping.start, MOST_DATA)
        words = image.variables(mapping.start, size)
        bins = _find_bins(mapping.start, words, _Mapped(maps))
        if bins is not None:
            return _Finder(image, data, maps, version).describe(bins)
    return None


class _Mapped:
    """What is mapped; the heap may have grown since by as much as malloc says it has."""

    def __init__(self, maps: Sequence[Mapping]) -> None:
        self._maps = maps
        self._starts = [mapping.start for mapping in maps]
        self._heap_end = max((one.end for one in maps if one.path == "[heap]"), default=0)
        self._bytes = sum(mapping.end - mapping.start for mapping in maps)

    def may_have(self, top: int, system: int) -> bool:
        """Whether an arena of `system` bytes may have its top there."""
        if system > self._bytes + _MOST_GROWN:
            return False
        place = bisect_right(self._starts, top) - 1
        is_mapped = place >= 0 and top < self._maps[place].end
        return is_mapped or self._heap_end <= top < self._heap_end + min(system, _MOST_GROWN)


def _find_bins(start: int, words: Sequence[int], mapped: _Mapped) -> int | None:
    """The address of the main arena's first bin."""
    hits = [
        index
        for index, (first, second) in enumerate(pairwise(words))
        if first == second == start + WORD * index - 16
    ]
    best, most = None, 0
    seen: set[int] = set()  # beginnings that were tried
    for hit in hits:
        for base in range(hit, hit - 2 * BINS, -2):
            if base in seen or base < -TOP // WORD or base + _AFTER // WORD > len(words):
                continue
            seen.add(base)
            count = _count_empty(start, words, base)
            if count > most and _is_state(start, words, base, mapped):
                best, most = start + WORD * base, count
        if best is not None or len(seen) > _MOST_TRIED:
            break
    return best


def _count_empty(start: int, words: Sequence[int], base: int) -> int:
    """How many bins from `base` on are empty; 0 if one of them is no bin."""
    count = 0
    for index in range(base, base + 2 * BINS, 2):
        own = start + WORD * index - 16
        first, last = words[index], words[index + 1]
        if first == own or last == own:
            if first != last:
                return 0
            count += 1
        elif not first or not last or first % ALIGNMENT or last % ALIGNMENT:
            return 0
    return count


def _is_state(start: int, words: Sequence[int], base: int, mapped: _Mapped) -> bool:
    top = words[base + TOP // WORD]
    system = words[base + SYSTEM // WORD]
    if system > words[base + _MAX_SYSTEM // WORD]:
        return False
    if not system:
        return top == start + WORD * base - 16  # initial_top: nothing was allocated yet
    return mapped.may_have(top, system)


class _Finder:
    """Follows what the main arena leads to."""

    def __init__(
        self,
        image: Image,
        data: Sequence[Mapping],
        maps: Sequence[Mapping],
        version: tuple[int, int] | None,
    ) -> None:
        self._image, self._data, self._maps = image, data, maps
        self._version = version
        self._mangles = version is None or version >= _MANGLED_FROM
        # Several mappings where a part was given to huge pages (madvise).
        heaps = [each for each in maps if each.path == "[heap]"]
        self._heap = Span(heaps[0].start, heaps[-1].end) if heaps else None
        self._trouble: list[str] = []
        self._heap_most = _HEAP_MOST
        self._seen_heaps: set[int] = set()

    def describe(self, bins: int) -> Malloc:
        """Everything about the malloc whose main arena has these bins."""
        parameters = read_parameters(self._image, self._data, self._heap, self._version)
        head = self._head(bins)
        if head is None:
            self._trouble.append("the other arenas were not found")
        places = [self._main(bins, parameters.base, head)]
        if head is not None:
            places += self._others(bins, head)
        return Malloc(
            places=tuple(places),
            settings=parameters.settings,
            maps_count=parameters.maps_count,
            omits_header=head == _NO_FAST_HEAD,
            trim_unit_bytes=parameters.trim_unit_bytes,
            trouble=tuple(self._trouble),
        )

    def _main(self, bins: int, base: int | None, head: int | None) -> Place:
        word = self._image.word
        for _ in range(_MOST_AGAIN):
            top, system = word(bins + TOP), word(bins + SYSTEM)
            size = word(top + WORD) & ~7 if system else 0
            # Of one moment only if it is still the top.
            self._image.forget()
            if word(bins + TOP) == top:
                break
        spans: list[Span] = []
        heap = self._heap
        around = next((one for one in self._maps if one.start <= top < one.end), None)
        is_in_heap = heap is not None and heap.start <= top < heap.end
        if heap is not None and system:
            start = base if base is not None and heap.start <= base < heap.end else heap.start
            start += -start % ALIGNMENT
            # The heap may have grown since the mappings were read: this is as it was then.
            if around is None and heap.end <= top < heap.end + system:
                grown = max(top, start + system) - heap.end
                top, size, system, is_in_heap = heap.end, 0, max(0, system - grown), True
            elif is_in_heap:
                system = max(0, system - max(0, top + min(size, system) - heap.end))
            spans.append(Span(start, top if is_in_heap else heap.end))
        # Its size may be of another moment than its address.
        end = heap.end if is_in_heap and heap is not None else around.end if around else top
        size = min(size, end - top)
        is_contiguous = head is None or not word(bins - head) >> 32 & _NON_CONTIGUOUS
        return Place(
            number=0,
            is_main=True,
            bins=bins,
            top=top,
            top_bytes=size,
            system_bytes=system,
            spans=tuple(spans),
            has_fast=head != _NO_FAST_HEAD,
            mangles=self._mangles,
            moves_brk=is_in_heap
            and is_contiguous
            and heap is not None
            and 0 <= heap.end - (top + size) < PAGE,
        )

    def _head(self, bins: int) -> int | None:
        """How many bytes stand before the bins."""
        word = self._image.word
        following = word(bins + _NEXT)
        if bins - following in _HEADS:  # the ring has one arena
            return bins - following
        for most in self._heap_sizes():
            for head in _HEADS:
                if self._is_ring(following, head, most, bins - head):
                    self._heap_most = most
                    return head
        return None

    def _is_ring(self, arena: int, head: int, most: int, main: int) -> bool:
        """Whether arenas with so many bytes before their bins lead to the main one again.

        With a wrong head a bin may be taken for the top, and its heap names the arena as well.
        Links and heads of heaps do not change, whatever the threads do.
        """
        for _ in range(_MOST_ARENAS):
            if arena == main or not arena or self._image.word(arena & -most) != arena:
                return arena == main
            arena = self._image.word(arena + head + _NEXT)
        return False

    def _heap_sizes(self) -> tuple[int, ...]:
        return (_HEAP_MOST, 4 * (2 << 20), 4 * (1 << 30))

    def _others(self, bins: int, head: int) -> list[Place]:
        """The arenas of threads, around the ring."""
        word = self._image.word
        places: list[Place] = []
        main = bins - head
        seen = {main}
        arena = word(bins + _NEXT)
        while arena not in seen and len(seen) <= _MOST_ARENAS:
            first = arena & -self._heap_most
            if word(first) != arena or not 0 < arena - first <= PAGE or arena % ALIGNMENT:
                break
            place = self._other(arena, head, len(seen))
            if place is not None:
                places.append(place)
            seen.add(arena)
            arena = word(arena + head + _NEXT)
        if arena != main:
            self._trouble.append("not all arenas were found: the list of them is damaged")
        return places

    def _other(self, arena: int, head: int, number: int) -> Place | None:
        """The arena; None if its top, which all of its heaps are found by, makes no sense."""
        word, most = self._image.word, self._heap_most
        bins = arena + head
        top = word(bins + TOP)
        first = arena & -most
        head_bytes = arena - first  # struct heap_info
        spans: list[Span] = []
        heap, end = top & -most, top
        # The size of the top itself may be of another moment.
        top_end = heap + word(heap + 2 * WORD)
        if not top < top_end <= heap + most:
            self._trouble.append(_NOT_READ.format(number))
            return None
        while heap and len(spans) < _MOST_HEAPS:
            owner, before, size = self._image.words(heap, 3)
            is_own = owner == arena and heap not in self._seen_heaps
            if not is_own or not heap < end <= heap + most or size > most:
                self._trouble.append(
                    f"a part of arena {number} is left out: it was changed meanwhile, or is damaged"
                )
                break
            self._seen_heaps.add(heap)
            start = bins + _AFTER if heap == first else heap + head_bytes
            start += -start % ALIGNMENT
            if start <= end:
                spans.append(Span(start, end))
            # Each heap is older than the one that names it; the first one names none.
            heap = before if before % most == 0 else 0
            end = heap + word(heap + 2 * WORD)
        system = word(bins + SYSTEM)
        if not spans or spans[0].end != top or system > most * len(spans):
            self._trouble.append(_NOT_READ.format(number))
            return None
        return Place(
            number=number,
            is_main=False,
            bins=bins,
            top=top,
            top_bytes=top_end - top,
            system_bytes=system,
            spans=tuple(reversed(spans)),
            has_fast=head != _NO_FAST_HEAD,
            mangles=self._mangles,
        )
