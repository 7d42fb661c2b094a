"""Where the objects of a Python process lie: its pools, the blocks of malloc, the big blocks.

The same search as for an anatomy, without its accounting: the same addresses belong to the same
part; and the pools, of which those that are wanted are read. Sizes are bytes.
"""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from memtop.anatomy.arenas import extents
from memtop.anatomy.blocks import MOST_PAGES, find_blocks
from memtop.anatomy.gathering import BLOCKS_S, FEW_PAGES, least_mapped
from memtop.anatomy.heap import completed
from memtop.anatomy.image import WINDOW, WORD, Image
from memtop.anatomy.layout import is_hooked
from memtop.anatomy.malloc import Malloc, Place
from memtop.anatomy.pymalloc import HEADER, Pools, find_pools
from memtop.anatomy.regions import bss_spans
from memtop.anatomy.spans import Range, without
from memtop.anatomy.stacks import find_stacks
from memtop.anatomy.subject import Subject

_LEAST_USED = 64 << 10  # of pools; an interpreter that has just begun has more


class Ground(NamedTuple):
    """`places`: malloc's arenas. `blocks`: what malloc has mapped one by one. `rest`: private
    anonymous memory that is none of these. `has_all_blocks`: malloc counts no others.
    """

    places: tuple[Place, ...]
    pools: Pools
    blocks: list[Range]
    rest: list[Range]
    has_all_blocks: bool

    @property
    def has_pools(self) -> bool:
        """Whether objects are in pools at all, and not in malloc's blocks (PYTHONMALLOC=malloc)."""
        return self.pools.used_bytes >= _LEAST_USED


def find_ground(subject: Subject, version: tuple[int, int]) -> Ground:
    """All of it; ProcessLookupError if the process has ended."""
    malloc = subject.find_malloc()
    anonymous = [(region.start, region.end) for region in subject.anonymous]
    places = tuple(completed(subject, place) for place in malloc.places) if malloc else ()
    taken = [(span.start, span.end) for place in places for span in extents(place)]
    taken += _stacks(subject)
    taken += bss_spans(subject.memory, subject.modules)
    free = without(anonymous, taken)
    blocks = _find_blocks(subject, malloc, free, 0, FEW_PAGES)
    free = without(free, blocks)
    pools = find_pools(subject.image, free, version)
    free = without(free, pools.intervals)
    more = _find_blocks(subject, malloc, free, len(blocks), MOST_PAGES)
    blocks = sorted(blocks + more)
    expected = malloc.maps_count if malloc else None
    return Ground(places, pools, blocks, without(free, more), len(blocks) == expected)


def _find_blocks(
    subject: Subject, malloc: Malloc | None, spans: list[Range], found: int, most_pages: int
) -> list[Range]:
    if malloc is None or malloc.maps_count == found:
        return []
    expected = None if malloc.maps_count is None else max(0, malloc.maps_count - found)
    blocks = find_blocks(
        subject.image,
        spans,
        expected=expected,
        omits_header=malloc.omits_header,
        least_bytes=least_mapped(malloc),
        most_pages=most_pages,
        deadline=time.monotonic() + BLOCKS_S,
    ).blocks
    return [(start, start + size) for start, size in blocks]


def _stacks(subject: Subject) -> list[Range]:
    try:
        tids = {int(name) for name in os.listdir(f"{subject.root}/{subject.pid}/task")}
    except OSError:
        tids = set()
    stacks = find_stacks(subject.image, subject.regions, subject.pid, tids)
    return [(stack.start, stack.end) for stack in stacks]


def has_hooks(image: Image, pools: Pools) -> bool:
    """Whether there is something of debug hooks around objects, told by blocks of some pools."""
    step = max(1, pools.count // 64)
    return is_hooked(
        [
            image.word(pools.starts[index] + HEADER + block * pools.sizes[index] + WORD)
            for index in range(0, pools.count, step)
            for block in range(3)
        ]
    )


def read_pools(
    image: Image, pools: Pools, pool: int, group: Iterable[int], gap: int = 0
) -> Iterator[tuple[int, int, array[int]]]:
    """Of each pool the size of its blocks, how many are in use, and the words of all.

    With a `gap` also of those between them, where there is no more than so much.
    """
    for start, stop in _pieces(pools, pool, group, gap):
        words = image.window(start, stop)
        for base in range(0, (stop - start) // WORD, pool // WORD):
            offsets = words[base + 5]
            size, offset = pool - (offsets >> 32), offsets & 0xFFFFFFFF
            # It may have become something else since.
            if not 8 <= size <= 512 or size & 7 or not HEADER <= offset <= pool:
                continue
            count, carved = words[base] & 0xFFFFFFFF, (offset - HEADER) // size
            if 0 < count <= carved:
                first = base + HEADER // WORD
                yield size, count, words[first : first + carved * size // WORD]


def _pieces(pools: Pools, pool: int, group: Iterable[int], gap: int) -> Iterator[Range]:
    """Neighbours as one, and what is not further apart than the gap."""
    low = high = 0
    for index in group:
        at = pools.starts[index]
        if not high <= at <= high + gap or at + pool - low > WINDOW:
            if low < high:
                yield low, high
            low = at
        high = at + pool
    if low < high:
        yield low, high
