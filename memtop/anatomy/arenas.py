"""The figures of one arena: its free blocks split by what becomes of their pages.

A whole resident page inside a free block is what malloc_trim gives back (malloc/malloc.c: mtrim);
the ends of a block, and blocks without a whole page, are trapped; pages that are gone already are
released. Before it trims, malloc joins the blocks of its fast bins with their neighbours
(malloc_consolidate), which is done here, too. Sizes are bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from memtop.anatomy.bins import Free
from memtop.anatomy.malloc import Place, Span
from memtop.anatomy.result import Arena, PartId
from memtop.target.pages import PAGE, Pages

_CHUNK = 48  # sizeof(struct malloc_chunk): mtrim leaves the first one of a block alone
_LEAST = PAGE - 1 + _CHUNK  # blocks up to this size have no page that could be given back
_MINSIZE = 32


class FreeBlocks(NamedTuple):
    """The free blocks of an arena as malloc_trim meets them, after it has joined the fast ones.

    `large`: those that may have a whole page, as (start, size). `small_bytes`: the sum of all
    others. The top may have grown by a block before it. `given`: what is cut off its end.
    """

    large: tuple[tuple[int, int], ...]
    small_bytes: int
    free_bytes: int
    top: Span
    given: Span


def arrange(place: Place, binned: Free, fast: Free, unit: int = PAGE) -> FreeBlocks:
    """Join the blocks of the fast bins; `unit`: the break is lowered by multiples of it."""
    joined, absorbed = _consolidate(binned, fast)
    large = [
        (start, size)
        for start, size in zip(binned.starts, binned.sizes, strict=True)
        if size > _LEAST and start not in absorbed
    ]
    binned_bytes = sum(binned.sizes) + sum(fast.sizes)
    small_bytes = binned_bytes - sum(size for _, size in large)
    top = Span(place.top, place.top + place.top_bytes)
    for start, size in joined:
        if start + size == place.top:
            top = Span(start, top.end)
        elif size > _LEAST:
            large.append((start, size))
        else:
            continue
        small_bytes -= size
    top_bytes = top.end - top.start
    # systrim: with pad 0 everything but MINSIZE goes, in whole units.
    extra = max(0, top_bytes - _MINSIZE - 1) // unit * unit if place.moves_brk else 0
    return FreeBlocks(
        large=tuple(large),
        small_bytes=small_bytes,
        free_bytes=binned_bytes + place.top_bytes,
        top=top,
        given=Span(top.end - extra, top.end),
    )


def measure(place: Place, blocks: FreeBlocks, pages: Pages) -> Arena:
    """The figures of an arena with these free blocks.

    Those up to a page are taken to be resident: malloc has written to both of their ends.
    """
    trapped, trimmable, released = blocks.small_bytes, 0, 0
    for start, size in blocks.large:
        resident = pages.resident_bytes(start, start + size)
        low, high = _whole_pages(start, size)
        given = pages.resident_bytes(low, high) if low < high else 0
        trimmable += given
        trapped += resident - given
        released += size - resident
    top = pages.resident_bytes(*blocks.top)
    given = pages.resident_bytes(*blocks.given)
    released += blocks.top.end - blocks.top.start - top
    return Arena(
        index=place.number,
        main=place.is_main,
        system_bytes=place.system_bytes,
        in_use_bytes=max(0, place.system_bytes - blocks.free_bytes),
        free_bytes=blocks.free_bytes,
        released_bytes=released,
        trapped_bytes=trapped,
        trimmable_bytes=trimmable + given,
        top_bytes=top - given,
    )


def stretches(binned: Free, fast: Free, blocks: FreeBlocks) -> Iterator[tuple[PartId, int, int]]:
    """All free memory cut into what is trapped, trimmable, top: to look up what is shared."""
    for start, size in blocks.large:
        low, high = _whole_pages(start, size)
        if low < high:
            yield "malloc_trimmable", low, high
            yield "malloc_trapped", start, low
            yield "malloc_trapped", high, start + size
        else:
            yield "malloc_trapped", start, start + size
    large = dict(blocks.large)
    begins = sorted(large)
    for start, size in chain(
        zip(binned.starts, binned.sizes, strict=True), zip(fast.starts, fast.sizes, strict=True)
    ):
        # What became part of a large block, or of the top, has been told above.
        index = bisect_left(begins, start + 1) - 1
        is_inside = index >= 0 and start < begins[index] + large[begins[index]]
        if not is_inside and not blocks.top.start <= start < blocks.top.end:
            yield "malloc_trapped", start, start + size
    yield "malloc_top", blocks.top.start, blocks.given.start
    yield "malloc_trimmable", *blocks.given


def extents(place: Place) -> Iterator[Span]:
    """What an arena takes of the addresses, its heads and its top included."""
    for span in place.spans:
        # The first page of a heap has its head and, in the first one, the arena itself.
        start = span.start if place.is_main else span.start // PAGE * PAGE
        end = span.end + place.top_bytes if span.end == place.top else span.end
        yield Span(start, end)


def _whole_pages(start: int, size: int) -> tuple[int, int]:
    """The pages of a free block that malloc_trim gives back; empty if the first is not lower."""
    low = start + _CHUNK + -(start + _CHUNK) % PAGE
    return low, low + (start + size - low) // PAGE * PAGE


def _consolidate(binned: Free, fast: Free) -> tuple[list[tuple[int, int]], set[int]]:
    """Fast blocks joined with each other and with free neighbours; which of those were taken."""
    joined: list[tuple[int, int]] = []
    absorbed: set[int] = set()
    starts, sizes = binned.starts, binned.sizes
    for start, size in zip(fast.starts, fast.sizes, strict=True):
        end = start + size
        if joined and sum(joined[-1]) == start:
            start = joined.pop()[0]
        else:
            place = bisect_left(starts, start) - 1
            if place >= 0 and starts[place] + sizes[place] == start:
                start = starts[place]
                absorbed.add(start)
        place = bisect_left(starts, end)
        if place < len(starts) and starts[place] == end:
            absorbed.add(end)
            end += sizes[place]
        joined.append((start, end - start))
    return joined, absorbed
