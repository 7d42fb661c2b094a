"""Where Python keeps the frames of its threads: chunks of 16 KiB and more beside malloc.

Since 3.11 frames lie in chunks of their own, each with a head: the chunk before it, its size, how
far it was filled when the next one was made (struct _stack_chunk, Include/cpython/pystate.h; they
double from 16 KiB on, Python/pystate.c). They are mapped in whole pages. Sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct

from memtop.anatomy.image import WORD, Image
from memtop.anatomy.spans import Range
from memtop.target.pages import PAGE

SINCE = (3, 11)
_LEAST, _MOST = 16 << 10, 1 << 30
_MOST_HEADS = 1 << 16  # pages whose beginning is looked at: 0.2 s
_HEAD = Struct("=3Q")


def find_frames(image: Image, ranges: Iterable[Range]) -> list[Range]:
    """The chunks of frames in private anonymous memory that nothing else explains.

    ProcessLookupError if the process has ended.
    """
    found: list[Range] = []
    heads = 0
    for start, end in ranges:
        at = start + -start % PAGE
        while at < end and heads < _MOST_HEADS:
            heads += 1
            size = _size(image, at, end - at)
            if size:
                found.append((at, at + size))
            at += size or PAGE
    return found


def _size(image: Image, at: int, most: int) -> int:
    """The size of the chunk that begins here; 0 if there is none."""
    before, size, top = _HEAD.unpack(image.head(at, _HEAD.size))
    if not _LEAST <= size <= min(most, _MOST) or size & (size - 1) or top > size // WORD:
        return 0
    if before:
        # What it names is a chunk as well, and that was filled.
        _, size_before, top_before = _HEAD.unpack(image.head(before, _HEAD.size))
        if before % PAGE or size_before & (size_before - 1) or not 0 < top_before <= size_before:
            return 0
    return int(size)
