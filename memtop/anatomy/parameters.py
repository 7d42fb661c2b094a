"""The settings of glibc's malloc as they are in force: struct malloc_par (malloc/malloc.c).

It is found by one of its fields that is known, where the program break began, and by the counts
before that, which fit each other; where it begins differs by version. Sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import NamedTuple

from memtop.anatomy.image import WORD, Image
from memtop.anatomy.result import Settings
from memtop.target.maps import Mapping
from memtop.target.pages import PAGE

MOST_DATA = 1 << 20  # of the C library's variables; it has 20 KiB
_BASE_WORDS = (9, 12, 13)  # from the beginning to sbrk_base: up to 2.34, 2.35 to 2.42, 2.43
_ARENA_TEST = 8  # its default; whoever sets it hides the settings
# n_mmaps, n_mmaps_max, max_n_mmaps, no_dyn_threshold; mmapped_mem, max_mmapped_mem; sbrk_base.
_COUNTS = Struct("=4i")
_SAME_CACHE = (2, 41)
_MOST_BINS, _MOST_CACHED, _LEAST_CACHED = 64, 0xFFFF, 32
_MOST_BEFORE = 1 << 20  # what was taken by brk before malloc: tunables, before 2.35


class Parameters(NamedTuple):
    """`maps_count`: how many blocks malloc has mapped one by one. `base`: where brk began.

    The break is lowered by multiples of `trim_unit_bytes`. None is not known.
    """

    settings: Settings | None = None
    maps_count: int | None = None
    trim_unit_bytes: int = PAGE
    base: int | None = None


def read_parameters(
    image: Image,
    data: Sequence[Mapping],
    heap: tuple[int, int] | None,
    version: tuple[int, int] | None,
) -> Parameters:
    """The settings, looked for in the variables of the C library; `heap`: what brk has given."""
    base_at = _find(image, data, heap, version) if heap is not None else None
    if base_at is None:
        return Parameters()
    base = image.word(base_at)
    count, _, _, fixed = _COUNTS.unpack(image.raw(base_at - _back(version), _COUNTS.size))
    # Its beginning is told by the version, else by the layout that makes sense.
    for words in _BASE_WORDS:
        trim, pad, mapped, test, arenas = image.words(base_at - WORD * words, 5)
        if (version is None and test != _ARENA_TEST) or words != _words_of(version, words):
            continue
        if max(arenas, test) > 1 << 16 or mapped > 1 << 60:
            continue
        huge = image.word(base_at - WORD * (words - 5)) if words > _BASE_WORDS[0] else 0
        unit = huge if huge >= PAGE and not huge & (huge - 1) else PAGE
        settings = Settings(
            arena_max=arenas,
            mmap_threshold_bytes=mapped,
            trim_threshold_bytes=trim,
            top_pad_bytes=pad,
            is_fixed=bool(fixed),
            thread_cache_bytes=_thread_cache(image, base_at, version),
        )
        return Parameters(settings, count, unit, base)
    return Parameters(None, count, PAGE, base)


def _thread_cache(image: Image, base_at: int, version: tuple[int, int] | None) -> int | None:
    """The most that a thread's cache holds: so many blocks in each of its bins (tcache).

    tcache_bins, tcache_max_bytes and tcache_count follow sbrk_base until 2.41.
    """
    if version is None or version > _SAME_CACHE:
        return None
    bins, _, count = image.words(base_at + WORD, 3)
    if bins > _MOST_BINS or count > _MOST_CACHED:
        return None
    return count * sum(range(_LEAST_CACHED, _LEAST_CACHED + 16 * bins, 16))


def _words_of(version: tuple[int, int] | None, default: int) -> int:
    if version is None:
        return default
    return _BASE_WORDS[(version >= (2, 35)) + (version >= (2, 43))]


def _back(version: tuple[int, int] | None) -> int:
    """How far before sbrk_base the four counts begin; 2.35 put a word of four bytes before them."""
    return 32 if version is not None and version < (2, 35) else 36


def _find(
    image: Image,
    data: Sequence[Mapping],
    heap: tuple[int, int],
    version: tuple[int, int] | None,
) -> int | None:
    """Where sbrk_base stands: an address at the beginning of the heap, behind counts that fit."""
    start, back = heap[0], _back(version)
    end = min(heap[1], start + _MOST_BEFORE)
    for mapping in data:
        size = min(mapping.end - mapping.start, MOST_DATA)
        words = image.variables(mapping.start, size)
        for index, value in enumerate(words):
            if not start <= value < end or index < 5:
                continue
            at = mapping.start + WORD * index
            count, limit, most, fixed = _COUNTS.unpack(image.raw(at - back, _COUNTS.size))
            mapped, most_mapped = words[index - 2 : index]
            if (
                0 <= count <= most
                and fixed in (0, 1)
                and PAGE * count - 16 * count <= mapped <= most_mapped
                and count <= limit
            ):
                return at
    return None
