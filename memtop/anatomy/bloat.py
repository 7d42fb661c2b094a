"""Zero pages inside transparent huge pages: resident, but nobody has written anything to them.

Who touches a byte gets 2 MiB where the kernel gives huge pages (Documentation/admin-guide/mm/
transhuge.rst), and all of it counts in RSS. A page that was filled with zeros on purpose looks the
same. Only PAGEMAP_SCAN tells where huge pages are (Linux 6.7). Addresses and sizes are bytes.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress

from memtop.anatomy.image import WORD, Image
from memtop.target.pages import PAGE

_WINDOW = 2 << 20
_STEP = PAGE // WORD
_ZEROS = array("Q", bytes(PAGE))


def mark_bloat(image: Image, spans: Iterable[tuple[int, int]], deadline: float) -> bool:
    """Mark in the image's pages those that are nothing but zeros, and lie in huge pages.

    `spans`: private anonymous memory, in order. Whether it was done when the `deadline` (of the
    monotonic clock) came. ProcessLookupError if the process has ended.
    """
    for low, high in _overlaps(sorted(image.pages.huge), sorted(spans)):
        for start in range(low, high, _WINDOW):
            if time.monotonic() > deadline:
                return False
            _look(image, start, min(start + _WINDOW, high))
    return True


def _look(image: Image, start: int, end: int) -> None:
    """Mark those of one window."""
    words, stop = image.window(start, end), (end - start) // WORD
    # Most pages that are used begin with something.
    likely = (not word for word in words[0:stop:_STEP])
    first = last = 0  # a run of them, as places of words
    for place in compress(range(0, stop, _STEP), likely):
        if words[place : place + _STEP] != _ZEROS:
            continue
        if place != last:
            image.pages.mark_bloat(start + first * WORD, start + last * WORD)
            first = place
        last = place + _STEP
    image.pages.mark_bloat(start + first * WORD, start + last * WORD)


def _overlaps(
    ones: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """What two lists of intervals have in common, in whole pages; each is in order."""
    place = 0
    for start, end in ones:
        while place < len(others) and others[place][1] <= start:
            place += 1
        index = place
        while index < len(others) and others[index][0] < end:
            low = -(-max(others[index][0], start) // PAGE) * PAGE
            high = min(others[index][1], end) // PAGE * PAGE
            if low < high:
                yield low, high
            index += 1
