"""What the main arena has mapped because the program break could not be moved.

When something is mapped right behind the heap, or brk is refused, glibc goes on with mappings of
some 100 KiB or more (malloc/malloc.c: sysmalloc), and nothing leads to them but the free lists.
Each begins at a page with a block, and ends with the top or, once it is full, with two fenceposts.
They are looked for only if the arena has more than its heap. Sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

from memtop.anatomy.image import WORD, Image
from memtop.anatomy.malloc import Place, Span
from memtop.anatomy.spans import Range
from memtop.target.pages import PAGE

_FENCEPOST = 0x11  # a block of 16 bytes, and that the one before is in use
_MOST_HEADS = 1 << 17  # pages whose beginning is looked at
_MOST_BLOCKS = 1 << 22  # of all stretches together
_WRONG = 14  # bits of a size that no block of the main arena has


def find_extensions(image: Image, ranges: Iterable[Range], place: Place, wanted: int) -> list[Span]:
    """The stretches of the main arena in these ranges; they end at `top` or behind fenceposts.

    `wanted`: how much is looked for. ProcessLookupError if the process has ended.
    """
    finder = _Finder(image, place.top)
    found: list[Span] = []
    for start, end in ranges:
        at = start + -start % PAGE
        while at < end and wanted > 0 and finder.heads < _MOST_HEADS:
            span = finder.stretch(at, end)
            if span is None:
                at += PAGE
                continue
            found.append(span)
            size = span.end - span.start + (place.top_bytes if span.end == place.top else 0)
            wanted -= size
            at += size + -size % PAGE
    return found


class _Finder:
    """Tries whether a page begins a stretch of blocks."""

    def __init__(self, image: Image, top: int) -> None:
        self._image, self._top = image, top
        self.heads = self._blocks = 0

    def stretch(self, start: int, end: int) -> Span | None:
        """The stretch that begins here; None if there is none."""
        image = self._image
        self.heads += 1
        head = image.head(start, 2 * WORD)
        size = int.from_bytes(head[WORD:], "little")
        if any(head[:WORD]) or not size & 1 or size & _WRONG:
            return None
        at = start
        while at < end and self._blocks < _MOST_BLOCKS:
            self._blocks += 1
            if at == self._top:
                return Span(start, at)
            size = image.word(at + WORD)
            if size | 1 == _FENCEPOST and image.word(at + 3 * WORD) == _FENCEPOST:
                # A last block of 16 bytes that was too small to be freed looks like a post, too.
                stop = at + 4 * WORD
                stop += -stop % PAGE
                return Span(start, stop) if stop - at <= 6 * WORD else None
            if size & _WRONG or size < 4 * WORD:
                return None
            at += size & ~7
        return None
