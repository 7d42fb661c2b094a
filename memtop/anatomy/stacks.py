"""The stacks of threads, found by what the C library keeps at their end: struct pthread.

It begins with its own address, holds the thread's number, and the address and the size of the
stack with its guard (glibc: nptl/descr.h, sysdeps/x86_64/nptl/tls.h; musl: pthread_impl.h). Below
a stack lies a guard: memory that nobody may touch, or guard pages within one region with all its
neighbours (glibc 2.42 with Linux 6.13). On x86_64 only. Addresses and sizes are bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from memtop.anatomy.image import WORD, Image
from memtop.anatomy.regions import Region
from memtop.target.pages import PAGE

_MOST_PAGES = 8192  # that are read where a stack is not the end of its region
_MOST_EACH = 2048  # of one region: a stack that is used up, nearly
_MOST_TID = 1 << 22  # PID_MAX_LIMIT
_TID, _TID_MUSL = 0x2D0, 48  # in struct pthread; the same in glibc 2.26 to 2.43
_WORDS = 320  # of struct pthread, where the stack is looked for: it has 2304 bytes
_ALIGNMENT = 16
_MOST_TRIED = 1 << 14  # addresses that may be those of a struct pthread
_MOST_BEHIND = 1 << 16  # from the struct's address to the end of the stack


class Stack(NamedTuple):
    """One stack with its guard. `tid` is None if its thread has ended, and it waits for another.

    The number is the one that the process itself knows, which in a container is another than
    that of the host.
    """

    start: int
    end: int
    tid: int | None


class _Place(NamedTuple):
    """A region that may hold stacks, and the lowest address at which one may begin."""

    region: Region
    low: int
    has_guards: bool


def find_stacks(
    image: Image, regions: Sequence[Region], pid: int, tids: Collection[int]
) -> list[Stack]:
    """The stacks of all threads but the main one, in the order of addresses.

    `tids` only tells how many there should be. A stack without a guard, or whose last page is in
    swap, is not found. ProcessLookupError if the process has ended.
    """
    found: dict[int, Stack] = {}
    tries = iter(range(max(_MOST_TRIED, 4 * len(tids))))
    places = list(_places(regions))
    for place in places:
        for page in _tails(image, place):
            _look(image, place, page, found, tries)
    # Before Linux 6.7 a region may go on behind a stack.
    left, expected = _MOST_PAGES, len([tid for tid in tids if tid != pid])
    for place in places:
        if left <= 0 or sum(stack.tid is not None for stack in found.values()) >= expected:
            break
        for count, page in enumerate(_all_pages(image, place)):
            if count >= _MOST_EACH or left <= 0:
                break
            left -= 1
            if _look(image, place, page, found, tries) and not place.has_guards:
                break
    return _disjoint(found.values())


def _disjoint(stacks: Iterable[Stack]) -> list[Stack]:
    """In order; of several in one place, which only damaged memory has, the first."""
    kept: list[Stack] = []
    for stack in sorted(stacks, key=lambda stack: (stack.start, stack.end)):
        if not kept or kept[-1].end <= stack.start:
            kept.append(stack)
    return kept


def _places(regions: Sequence[Region]) -> Iterator[_Place]:
    """The regions above a guard, or with guard pages."""
    below: Region | None = None
    for region in regions:
        mapping = region.mapping
        if region.kind == "anonymous" and mapping.perms[:2] == "rw" and mapping.path != "[heap]":
            if "gu" in region.flags:
                yield _Place(region, region.start, True)
            elif below and below.end == region.start and below.mapping.perms[:3] == "---":
                yield _Place(region, below.start, False)
        below = region


def _tails(image: Image, place: _Place) -> Iterator[int]:
    """The pages in which struct pthread would be, if nothing else follows a stack."""
    region = place.region
    if not place.has_guards:
        yield from range(max(region.start, region.end - 2 * PAGE), region.end, PAGE)
        return
    for count, (low, high) in enumerate(image.pages.runs(region.start, region.end)):
        if count >= _MOST_PAGES:
            return
        yield from range(max(low, high - 2 * PAGE), high, PAGE)


def _all_pages(image: Image, place: _Place) -> Iterator[int]:
    for low, high in image.pages.runs(place.region.start, place.region.end):
        yield from range(low, high, PAGE)


def _look(
    image: Image, place: _Place, page: int, found: dict[int, Stack], tries: Iterator[int]
) -> bool:
    """Whether there is a struct pthread in this page; its stack is noted."""
    for address in _own_addresses(page, image.head(page, PAGE)):
        if address in found:
            return True
        if next(tries, None) is None:
            return False
        stack = _stack(image, place, address)
        if stack:
            found[address] = stack
            return True
    return False


def _own_addresses(page: int, data: bytes) -> Iterator[int]:
    """Where in a page a word is its own address."""
    high_bytes = (page >> 16).to_bytes(6, "little")
    at = data.find(high_bytes, 2)
    while at >= 0:
        start = at - 2
        if start % _ALIGNMENT == 0:
            (word,) = struct.unpack_from("=Q", data, start)
            if word == page + start:
                yield word
        at = data.find(high_bytes, at + 1)


def _stack(image: Image, place: _Place, address: int) -> Stack | None:
    """The stack whose struct pthread is at `address`, if it is one."""
    words = image.words(address, _WORDS)
    if words[2] == address:
        at = _TID
    elif _is_linked(image, address, words[2], words[3]):
        at = _TID_MUSL
    else:
        return None
    tid = words[at // WORD] & 0xFFFFFFFF
    for start, size in pairwise(words):
        end = start + size
        if start % PAGE or size % _ALIGNMENT or not place.low <= start <= address:
            continue
        if address < end <= place.region.end and end - address <= _MOST_BEHIND:
            return Stack(start, -(-end // PAGE) * PAGE, tid if 0 < tid <= _MOST_TID else None)
    return None


def _is_linked(image: Image, address: int, before: int, behind: int) -> bool:
    """Whether this is in a ring of threads, as musl keeps them (previous and next one)."""
    if not (before and behind) or (before | behind) % WORD:
        return False
    return image.word(before + 3 * WORD) == address and image.word(behind + 2 * WORD) == address
