"""The pools of Python's allocator for small objects, found by the shape of their heads.

A pool is aligned to its size and says of which size its blocks are, how many are in use and how
far it has been carved (Objects/obmalloc.c, Include/internal/pycore_obmalloc.h): no symbol, no list
of arenas and no version beyond the pool's size is needed, and several interpreters in one process
are no matter. Where Python was told to use malloc, and in free-threaded builds, there are none.
Only the heads are read, where a pool has several pages. Addresses and sizes are bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from struct import Struct

from memtop.anatomy.image import WINDOW, WORD, Image
from memtop.target.pages import PAGE

HEADER = 48
_SMALL, _LARGE = 4 << 10, 16 << 10  # up to 3.9, and from 3.10 on (with arenas of 1 MiB)
_MOST_SIZE = 512  # of a block
_MOST_JUDGED = 1 << 16
_HEAD = Struct("=6Q")
# Of a head: where it is, four of its words (the count, the first free block, and two that hold the
# index of the size and two offsets), and what of its pool is in memory.
_Head = tuple[int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Pools:
    """All pools: `intervals` are merged and in order, and hold `count` pools.

    `used_bytes`: the blocks in use, as sys._debugmallocstats counts them. `resident_bytes`: what of
    the intervals is in memory. `free_bytes`: of that the free blocks and the empty pools; headers
    and what is left over behind the last block are in neither. `starts`, `sizes`, `counts`: of each
    pool its address, the size of its blocks and how many of them are in use.
    """

    intervals: list[tuple[int, int]]
    count: int
    used_bytes: int
    free_bytes: int
    resident_bytes: int
    starts: array[int]
    sizes: array[int]
    counts: array[int]


def find_pools(image: Image, spans: Iterable[tuple[int, int]], version: tuple[int, int]) -> Pools:
    """The pools in spans of private anonymous memory of a CPython of this version.

    Memory that changes while it is read may cost a pool, or a block. ProcessLookupError if the
    process has ended.
    """
    pool = _SMALL if version < (3, 10) else _LARGE
    shapes = _shapes(version, pool)
    read = _read_all if pool <= PAGE else _read_heads
    # Most pools of a size look the same: full.
    judged: dict[tuple[int, int, int], tuple[int, int, int]] = {}
    starts, sizes, counts = array("Q"), array("H"), array("H")
    all_used = all_free = all_resident = 0
    for span in spans:
        for at, count, free, fourth, fifth, resident in read(image, *span, pool):
            key = count, fourth >> 32, fifth
            found = judged.get(key)
            if found is None:
                if len(judged) >= _MOST_JUDGED:
                    judged.clear()
                found = judged[key] = _judge(count, shapes.get((key[1], fifth >> 32)), fifth, pool)
            size, used, left = found
            # The first free block is one of this pool.
            if not size or (free and ((free - at - HEADER) % size or not at < free < at + pool)):
                continue
            starts.append(at)
            sizes.append(size)
            counts.append(count)
            all_resident += resident
            all_used += used
            if not used:
                all_free += resident
            elif resident == pool:
                all_free += left
            else:
                # The tail that was never carved is not in memory.
                all_free += max(0, min(left, resident - HEADER - used))
    return Pools(
        _merge(starts, pool),
        len(starts),
        all_used,
        all_free,
        all_resident,
        starts,
        sizes,
        counts,
    )


def _shapes(version: tuple[int, int], pool: int) -> dict[tuple[int, int], int]:
    """The sizes of blocks by two fields of a head: index of the size, and last offset.

    Blocks were multiples of 8 bytes until 3.7.3, and are of 16 since, on machines of 64 bits; some
    builds of 3.6 have that, too.
    """
    return {
        (size // alignment - 1, pool - size): size
        for alignment in ((8, 16) if version < (3, 8) else (16,))
        for size in range(alignment, _MOST_SIZE + 1, alignment)
    }


def _judge(count: int, size: int | None, fifth: int, pool: int) -> tuple[int, int, int]:
    """The size of the blocks, the bytes in use and the free ones; zeros if there is no pool."""
    offset = fifth & 0xFFFFFFFF
    if size is None or not HEADER <= offset <= pool or (offset - HEADER) % size:
        return 0, 0, 0
    if count > (offset - HEADER) // size:
        return 0, 0, 0
    return size, count * size, ((pool - HEADER) // size - count) * size


def _read_all(image: Image, start: int, end: int, pool: int) -> Iterator[_Head]:
    """What may be pools of one page: all memory is read, which is quicker than head by head."""
    step, least = pool // WORD, pool - _MOST_SIZE
    start, end = -(-start // pool) * pool, end // pool * pool
    for low, high in image.pages.runs(start, end):
        for at in range(low, high, WINDOW):
            last = min(at + WINDOW, high)
            words, stop = image.window(at, last), (last - at) // WORD
            # Columns, one item for each pool.
            counts, frees = words[0:stop:step], words[1:stop:step]
            fourths, fifths = words[4:stop:step], words[5:stop:step]
            starts = range(at, last, pool)
            for head in zip(starts, counts, frees, fourths, fifths, repeat(pool)):
                if least <= head[4] >> 32 < pool:
                    yield head


def _read_heads(image: Image, start: int, end: int, pool: int) -> Iterator[_Head]:
    """What may be pools of several pages, by one small read for each."""
    read, unpack, least = image.head, _HEAD.unpack, pool - _MOST_SIZE
    start, end = -(-start // pool) * pool, end // pool * pool
    for low, high in image.pages.runs(start, end):
        for at in range(-(-low // pool) * pool, high, pool):
            count, free, _, _, fourth, fifth = unpack(read(at, HEADER))
            if least <= fifth >> 32 < pool:
                whole = at + pool <= high
                resident = pool if whole else image.pages.resident_bytes(at, at + pool)
                yield at, count, free, fourth, fifth, resident


def _merge(starts: array[int], pool: int) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start in sorted(starts):
        if merged and merged[-1][1] == start:
            merged[-1] = merged[-1][0], start + pool
        else:
            merged.append((start, start + pool))
    return merged
