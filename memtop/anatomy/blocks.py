"""Big blocks: what glibc's malloc has mapped one by one, found by their heads.

Such a block begins at a page: a word that is 0, then its whole size with the flag IS_MMAPPED
(malloc/malloc.c: sysmalloc_mmap). Its own size tells where the next one may begin. What was asked
for with an alignment has another head further inside, but the first one stays; after a realloc it
is out of date, and of an alignment above a page the block may then be missed, or its neighbour.
malloc counts them (n_mmaps), which tells when all were found. Addresses and sizes are bytes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import compress
from struct import Struct
from typing import NamedTuple

from memtop.anatomy.image import WORD, Image
from memtop.anatomy.result import SizeClass
from memtop.target.pages import PAGE, Pages

MOST_PAGES = 1 << 18  # whose heads are read: 0.3 s
_IS_MMAPPED = 2
_FLAGS = 7
_HEADER = 16
_HEAD = Struct("=2Q")
# Where the head of an aligned block may be in its first page: right before its alignment.
_OFFSETS = [(1 << power) - _HEADER for power in range(5, PAGE.bit_length())]
_WINDOW = 256 << 10
_STEP = PAGE // WORD


class Blocks(NamedTuple):
    """The start and the size of each, in the order of addresses.

    `is_whole`: as many were found as were expected, or there was time to look everywhere.
    """

    blocks: list[tuple[int, int]]
    is_whole: bool


def find_blocks(
    image: Image,
    spans: Iterable[tuple[int, int]],
    *,
    expected: int | None,
    omits_header: bool,
    least_bytes: int = PAGE,
    most_pages: int = MOST_PAGES,
    deadline: float | None = None,
) -> Blocks:
    """The big blocks in spans of anonymous memory that nothing else explains.

    A span is contiguous: a block never reaches beyond it. `expected` is malloc's count, None if
    that is not known; then only the shape tells. `omits_header`: sizes leave the head out (glibc
    2.43). `least_bytes`: what is smaller is none, whatever it looks like. The search ends after
    `most_pages` that begin no block, and at `deadline` (monotonic). ProcessLookupError if the
    process has ended.
    """
    finder = _Finder(image, expected, omits_header, least_bytes, most_pages, deadline)
    for start, end in spans:
        if finder.is_done:
            break
        finder.look(start, end)
    is_whole = not finder.is_late or len(finder.found) == expected
    return Blocks(finder.found, is_whole)


def size_classes(blocks: Iterable[tuple[int, int]], pages: Pages) -> tuple[SizeClass, ...]:
    """How many there are of each size, by powers of two, and what of them is resident."""
    counts: dict[int, tuple[int, int]] = {}
    for start, size in blocks:
        power = 1 << (size.bit_length() - 1)
        count, resident = counts.get(power, (0, 0))
        counts[power] = count + 1, resident + pages.resident_bytes(start, start + size)
    return tuple(SizeClass(power, *counts[power]) for power in sorted(counts))


class _Finder:
    """Looks through one span after the other."""

    def __init__(
        self,
        image: Image,
        expected: int | None,
        omits_header: bool,
        least_bytes: int,
        most_pages: int,
        deadline: float | None,
    ) -> None:
        self.found: list[tuple[int, int]] = []
        self.is_late = False
        self._image, self._expected, self._deadline = image, expected, deadline
        self._most_pages = most_pages
        self._least = max(PAGE, least_bytes)
        self._extra = _HEADER if omits_header else 0
        # Bit 0 of the first word tells of huge pages (2.43).
        self._firsts = (0, 1) if omits_header else (0,)
        self._pages = 0

    @property
    def is_done(self) -> bool:
        """Whether there is no need, or no time, to look on."""
        return self.is_late or len(self.found) == self._expected

    def look(self, start: int, end: int) -> None:
        """Find those in one span."""
        at = -(-start // PAGE) * PAGE
        for low, high in self._image.pages.runs(at, end):
            at = max(at, low)
            while at < high and not self.is_done:
                at = self._next(at, high, end)

    def _next(self, at: int, high: int, end: int) -> int:
        """Take the block at `at`, or the first one in the window behind it; where to go on."""
        self._count(1)
        first, second = _HEAD.unpack(self._image.head(at, _HEADER))
        if self._is_head(first, second) and self._take(at, second, end):
            return self._behind
        # No block begins here: in bulk it is quicker to find out where one does.
        at += PAGE
        last = min(at + _WINDOW, high)
        count = -(-(last - at) // PAGE)
        if count <= 0:
            return at
        self._count(count)
        words: Sequence[int] = self._image.window(at, last)
        firsts, seconds = words[0 : count * _STEP : _STEP], words[1 : count * _STEP : _STEP]
        likely = (second & _FLAGS == _IS_MMAPPED for second in seconds)
        for index in compress(range(count), likely):
            place, second = at + index * PAGE, seconds[index]
            if self._is_head(firsts[index], second) and self._take(place, second, end):
                return self._behind
        return at + count * PAGE

    def _is_head(self, first: int, second: int) -> bool:
        size = (second & ~_FLAGS) + self._extra
        is_mapped = second & _FLAGS == _IS_MMAPPED and first in self._firsts
        return is_mapped and size % PAGE == 0 and size > 0

    def _take(self, at: int, second: int, end: int) -> bool:
        """Whether there is a block whose size is this word, or that of a head further inside."""
        size = (second & ~_FLAGS) + self._extra
        page = self._image.head(at, PAGE)
        # An aligned one may have been resized since, which only its own head tells: the first word
        # of that is how far inside it lies.
        for offset in _OFFSETS:
            first, second = _HEAD.unpack_from(page, offset)
            if first & ~1 == offset and second & _FLAGS == _IS_MMAPPED:
                whole = offset + (second & ~_FLAGS) + self._extra
                if whole % PAGE == 0 and PAGE <= whole <= end - at:
                    size = whole
                    break
        if not self._least <= size <= end - at:
            return False
        self.found.append((at, size))
        return True

    @property
    def _behind(self) -> int:
        """The end of the last block."""
        at, size = self.found[-1]
        return at + size

    def _count(self, pages: int) -> None:
        self._pages += pages
        late = self._deadline is not None and time.monotonic() > self._deadline
        self.is_late = late or self._pages > self._most_pages
