"""A walk over the blocks of malloc: which of them are free, and where.

Each block (chunk) begins with the size of the one before, if that is free, and its own size, whose
lowest bit says whether the one before is in use (malloc/malloc.c: struct malloc_chunk). The
process runs on meanwhile, so the chain may break: then the next place is looked for from where it
holds again, and what lies between is counted. Time and memory are bounded whatever is read.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from memtop.anatomy.bins import Free
from memtop.anatomy.image import WORD, Image
from memtop.anatomy.malloc import TOP, Place, Span

LEAST_WORDS = 4  # of a block: MINSIZE
_WINDOW = 256 << 10  # small, so that little of it changes while it is read
_WRONG = 10  # bits of a size that no block of an arena has: alignment, and IS_MMAPPED
_SURE = 24  # blocks that must follow each other until a place is believed
_FENCEPOST = 0x11  # the size of 16 bytes, the one before in use
_POSTS = 48  # bytes: two fenceposts, and a last block of their size
_MOST_GROWN = 1 << 20  # from the last block to the end that a heap had
MOST_TRIED = 4 << 20  # words that are tried as the beginning of a block: half a second
# Gets the words of a window, how many they are, at which of them the sizes of blocks stand, and the
# address of the first one.
Visit = Callable[["array[int]", int, list[int], int], None]


@dataclass(slots=True)
class Walk:
    """Free blocks in the order of addresses, the top, and how well the walk went."""

    starts: array[int] = field(default_factory=lambda: array("Q"))
    sizes: array[int] = field(default_factory=lambda: array("Q"))
    top: Span | None = None
    walked_bytes: int = 0
    skipped_bytes: int = 0
    resyncs: int = 0
    tried: int = 0

    @property
    def free(self) -> Free:
        """The free blocks; `is_whole`: nothing was skipped."""
        return Free(self.starts, self.sizes, not self.skipped_bytes)


def walk(image: Image, place: Place, tried: int = 0, visit: Visit | None = None) -> Walk:
    """Walk through the spans of an arena, up to its top; `tried` counts on from other walks.

    `visit` is called with the blocks of each window, free ones and the top included, before the
    image is asked for another window.

    The top begins where the chain ends now, which need not be where it was when the arena was
    found; its end is taken to be the same, as what is resident is known of that moment.
    ProcessLookupError if the process has ended.
    """
    made = Walk(tried=tried)
    for start, end in place.spans:
        if end == place.top:
            _Walker(image, made, place, visit).walk(start, end + place.top_bytes)
        else:
            _Walker(image, made, visit=visit).walk(start, end)
    return made


class _Walker:
    """Walks through one span; with an `arena` up to its top."""

    def __init__(
        self, image: Image, made: Walk, arena: Place | None = None, visit: Visit | None = None
    ) -> None:
        self._image, self._made, self._arena, self._visit = image, made, arena, visit

    def walk(self, start: int, end: int) -> None:
        """Add what is found from `start` to `end`."""
        made = self._made
        before = 0  # the block before, if it is known
        at = start
        while end - at >= WORD * LEAST_WORDS:
            limit = min(end, at + _WINDOW)
            words = self._image.window(at, limit)
            count = (limit - at) // WORD
            # The size stands in the second word of a block.
            index, last = 1, -1
            origin = at - WORD
            visit = self._visit
            heads: list[int] = []
            while index < count:
                size = words[index]
                if not size & 1 and before:
                    made.starts.append(before)
                    made.sizes.append(origin + WORD * index - before)
                step = size >> 4 << 1
                if size & _WRONG or step < LEAST_WORDS:
                    break
                last = index
                before = origin + WORD * index
                if visit:
                    heads.append(index)
                index += step
            if heads and visit:
                visit(words, count, heads, at)
            following = origin + WORD * index
            if index >= count and following < end:
                # The block that was begun last ends behind the window.
                made.walked_bytes += following - at
                at = following
                continue
            if self._ends(at, before, following, end, is_last=index >= count):
                return
            if index >= count:
                index = last  # it is longer than there is room for it
            wrong = origin + WORD * index
            made.walked_bytes += wrong - at
            before = 0
            at = self._resume(words, index + 2, count, at, end, wrong)
            if made.tried > MOST_TRIED:
                made.skipped_bytes += end - at
                return

    def _ends(self, at: int, before: int, following: int, end: int, *, is_last: bool) -> bool:
        """Whether the chain has ended: with the top, or with the fenceposts of a full heap."""
        made, arena = self._made, self._arena
        if arena is None:
            is_end = following == end or (not is_last and end - following <= _POSTS)
            made.walked_bytes += end - at if is_end else 0
            return is_end
        if not before:
            return False
        top = _word_now(self._image, arena.bins + TOP)
        if before == top or (following == end and is_last):
            made.top = Span(before, end)
            if made.starts and made.starts[-1] == before:
                del made.starts[-1], made.sizes[-1]
        elif following > end and top >= end and end - before <= _MOST_GROWN:
            # The heap has grown meanwhile, and this block reaches into what is new.
            made.top = Span(end, end)
        else:
            return False
        made.walked_bytes += made.top.start - at
        return True

    def _resume(
        self, words: array[int], first: int, count: int, at: int, end: int, wrong: int
    ) -> int:
        """Where to go on behind a block at `wrong` that made no sense."""
        made = self._made
        found = _find_again(words, first, count, (end - at) // WORD, made)
        following = at + WORD * (count if found is None else found - 1)
        if following <= wrong:
            following = wrong + WORD * 2
        passed = min(following, end) - wrong
        if _is_gap(words, first - 2, count):
            # Somebody else has moved the program break: what lies behind two fenceposts is theirs.
            made.walked_bytes += passed
        else:
            made.skipped_bytes += passed
            made.resyncs += 1
        return following


def _is_gap(words: array[int], index: int, count: int) -> bool:
    """Whether two fenceposts stand here (sysmalloc, where brk has moved)."""
    return index + 2 < count and words[index] | 1 == words[index + 2] == _FENCEPOST


def _word_now(image: Image, address: int) -> int:
    return int.from_bytes(image.head(address, WORD), "little")


def _find_again(words: array[int], first: int, count: int, room: int, made: Walk) -> int | None:
    """The index of the next size from which on a chain of blocks holds; None without any."""
    for index in range(first, count, 2):
        size = words[index]
        if not size:
            continue
        if size & _WRONG or not LEAST_WORDS <= size >> 4 << 1 <= room - index + 1:
            continue
        links = _links(words, index, count, room)
        made.tried += abs(links)
        # One that ends the window at once proves little.
        if links >= min(_SURE, 3):
            made.tried += index - first
            return index
    made.tried += max(0, count - first)
    return None


def _links(words: array[int], index: int, count: int, room: int) -> int:
    """How many blocks follow each other from here on; negative if they lead to what is none."""
    links = 0
    while links < _SURE and index < count:
        size = words[index]
        step = size >> 4 << 1
        if size & _WRONG or step < LEAST_WORDS:
            return -links
        index += step
        links += 1
    return links if index <= room + 1 else -links
