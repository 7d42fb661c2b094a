"""The free lists of malloc's arenas: what is free, told by a few reads instead of a walk.

It is what mallinfo itself adds up: bins are doubly linked rings that begin in the arena, fast bins
are singly linked, since 2.32 with mangled links (safe-linking). While the process runs a list may
be changed under the reader's hands, so each link is checked and each list is bounded.
"""

from __future__ import annotations

import time
from array import array
from struct import Struct
from typing import NamedTuple

from memtop.anatomy.image import WORD, Image
from memtop.anatomy.malloc import ALIGNMENT, BINS, FAST, Place
from memtop.target.pages import PAGE

_FAST_LISTS = 10
_SMALLEST, _LARGEST_FAST = 32, 176
_NODE = Struct("=4Q")
_MOST_PAGES = 4096  # that are kept: 16 MiB of them
_MOST_TURNS = 16  # for one list
_LOOKED = 256  # blocks between two looks at the clock


class Free(NamedTuple):
    """Blocks in the order of addresses; `is_whole`: every list ended where it must."""

    starts: array[int]
    sizes: array[int]
    is_whole: bool


class TooLong(Exception):
    """The lists are too long to be read in time."""


def read_bins(image: Image, place: Place, deadline: float | None = None) -> Free:
    """The free blocks of an arena but those in fast bins; TooLong after `deadline` (monotonic)."""
    found: dict[int, int] = {}
    is_whole = True
    for number in range(BINS):
        head = place.bins + 2 * WORD * number - 2 * WORD
        longest: dict[int, int] = {}
        # A list that was changed while it was followed is followed again, from its new beginning.
        for turn in range(_MOST_TURNS):
            if turn:
                image.forget()
            listed, has_ended = _follow(image, place, head, deadline)
            if has_ended or len(listed) > len(longest):
                longest = listed
            if has_ended:
                break
        else:
            is_whole = False
        found.update(longest)
    return _ordered(found, is_whole)


def _follow(
    image: Image, place: Place, head: int, deadline: float | None
) -> tuple[dict[int, int], bool]:
    """The blocks of one bin, and whether its list ended where it began."""
    found: dict[int, int] = {}
    follower, node = head, image.word(head + 2 * WORD)
    while node != head:
        if deadline is not None and not len(found) % _LOOKED and time.monotonic() > deadline:
            raise TooLong
        _, size, forward, back = _node(image, node)
        size &= ~7
        if back != follower or not 0 < size <= place.system_bytes or node in found:
            return found, False
        found[node] = size
        follower, node = node, forward
    return found, True


def read_fast(image: Image, place: Place, deadline: float | None = None) -> Free:
    """The blocks in the fast bins of an arena; none in versions that have no such bins.

    TooLong after `deadline` (monotonic).
    """
    # There may be millions, so each is one number: its address, and its size in the lowest bits,
    # which are zero in an address.
    found = array("Q")
    is_whole = True
    most = sum(span.end - span.start for span in place.spans) // _SMALLEST
    shift = 12 if place.mangles else 64
    pages: dict[int, memoryview] = {}
    for number in range(_FAST_LISTS if place.has_fast else 0):
        node = image.word(place.bins + FAST + WORD * number)
        # A list that comes back to where it was is a ring (Brent).
        seen, stride, steps = 0, 1, 0
        while node:
            at, offset = node + WORD, node + WORD & PAGE - 1
            page = pages.get(at - offset)
            if page is None:
                if deadline is not None and time.monotonic() > deadline:
                    raise TooLong
                if not _fits(node):
                    is_whole = False
                    break
                if len(pages) >= _MOST_PAGES:
                    pages.clear()
                page = pages[at - offset] = memoryview(image.head(at - offset, PAGE)).cast("Q")
            size = page[offset >> 3] & ~7
            is_fast = _SMALLEST <= size <= _LARGEST_FAST and not (size | node) % ALIGNMENT
            if not is_fast or node == seen:
                is_whole = False
                break
            if steps == stride:
                if len(found) > most:  # one list leads to another
                    is_whole = False
                    break
                seen, stride, steps = node, 2 * stride, 0
            steps += 1
            found.append(node | size >> 4)
            # PROTECT_PTR: a link is mangled by the address where it stands.
            at = node + 2 * WORD
            link = page[offset + WORD >> 3] if offset + WORD < PAGE else image.word(at)
            node = link ^ at >> shift
    if not is_whole:
        found = array("Q", set(found))  # a ring was followed more than once
    found = array("Q", sorted(found))
    starts = array("Q", [one & -ALIGNMENT for one in found])
    return Free(starts, array("Q", [(one & ALIGNMENT - 1) << 4 for one in found]), is_whole)


def _node(image: Image, address: int) -> tuple[int, ...]:
    """The first words of a block; most lie in a page of their own, which is not worth keeping."""
    if not _fits(address):
        return 0, 0, 0, 0
    if address % PAGE > PAGE - _NODE.size:
        return image.words(address, 4)
    return _NODE.unpack(image.head(address, _NODE.size))


def _fits(address: int) -> bool:
    return PAGE <= address < 1 << 47 and address % ALIGNMENT == 0


def _ordered(found: dict[int, int], is_whole: bool) -> Free:
    order = sorted(found)
    return Free(array("Q", order), array("Q", map(found.__getitem__, order)), is_whole)
