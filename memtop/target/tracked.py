"""How many objects the collector of a process tracks, estimated from a sample of its memory.

Before each of them lies a head with two links, next and previous; next's previous is the head
itself (CPython, Include/objimpl.h up to 3.7, Include/internal/pycore_gc.h). Some pages are read
through /proc/PID/mem, and those that are not in memory are left alone. Nothing is written. What
looks like a head is followed now and then, to learn how much of it is one. Free-threaded builds
have no heads. Bytes and seconds.
"""

from __future__ import annotations

import os
import random
import struct
import time
from itertools import accumulate
from typing import NamedTuple

from memtop.probe.handle import READ
from memtop.target.maps import read_maps
from memtop.target.memory import Memory

SAMPLED_PAGES = 512
LOOK_S = 0.1  # for each half: where pages are, and what is in them
MOST_FOLLOWED = 4  # in a page
_PAGE = os.sysconf("SC_PAGE_SIZE")
_BLOCK_PAGES = 4096
# The highest byte of a pagemap entry: present 0x80, of a file 0x20.
_IS_OURS = bytes(top & 0xA0 == 0x80 for top in range(256))
_FLAGS = ~7  # links are multiples of 8; their lowest bits are flags (3.8 and later)
_MOST_REFERENCES = 1 << 32  # 3.12 and later: those of immortal objects
_COUNTERS = (1 << 64) - (1 << 32)  # before 3.8: a negative number between collections


class _Block(NamedTuple):
    """Some pages from `start` on; of each 1 if it is in memory, else 0."""

    start: int
    ours: bytes


def count_tracked(
    pid: int, version: tuple[int, int], *, root: str = "/proc", seed: int | None = None
) -> int | None:
    """About how many there are; None if that cannot be told. It takes some 40 ms.

    `version` of its CPython. A tenth off where they lie evenly, twice as many or half as many where
    they lie in few places of much memory.
    """
    chooser = random.Random(seed)
    try:
        pagemap = os.open(f"{root}/{pid}/pagemap", READ)
    except OSError:
        return None
    try:
        blocks, scale = _find_pages(pid, pagemap, root, chooser)
        with Memory(pid, root=root) as memory:
            return round(scale * _Sample(memory, blocks, version).count(chooser))
    except (OSError, ValueError):
        return None
    finally:
        os.close(pagemap)


def _find_pages(
    pid: int, pagemap: int, root: str, chooser: random.Random
) -> tuple[list[_Block], float]:
    """The blocks that have pages in memory; how much more of them there is than was looked at."""
    areas = [
        (start, min(start + _BLOCK_PAGES * _PAGE, mapping.end))
        for mapping in read_maps(pid, root)
        if mapping.perms[:2] == "rw"
        and mapping.perms[3] == "p"
        and (not mapping.path or mapping.path.startswith(("[heap", "[anon")))
        for start in range(mapping.start, mapping.end, _BLOCK_PAGES * _PAGE)
    ]
    chooser.shuffle(areas)  # so that the first ones are a fair sample, should the time be over
    deadline = time.monotonic() + LOOK_S
    blocks: list[_Block] = []
    looked = 0
    for start, end in areas:
        if looked and time.monotonic() > deadline:
            break
        raw = os.pread(pagemap, (end - start) // _PAGE * 8, start // _PAGE * 8)
        ours = raw[7::8].translate(_IS_OURS)
        if any(ours):
            blocks.append(_Block(start, ours))
        looked += end - start
    return blocks, sum(end - start for start, end in areas) / looked if looked else 0.0


class _Sample:
    """Counts heads in pages taken at random."""

    def __init__(self, memory: Memory, blocks: list[_Block], version: tuple[int, int]) -> None:
        self._memory, self._blocks = memory, blocks
        self._is_old = version < (3, 8)
        self._counts = [block.ours.count(1) for block in blocks]
        # Links lead to other objects, which lie in such memory, too.
        self._low = min((block.start for block in blocks), default=0)
        self._high = max((block.start + len(block.ours) * _PAGE for block in blocks), default=0)

    def count(self, chooser: random.Random) -> float:
        """How many heads there are in all blocks."""
        total = sum(self._counts)
        deadline = time.monotonic() + LOOK_S
        looked, found = 0, 0.0
        for address in self._choose(chooser, total):
            try:
                page = self._memory.read(address, _PAGE)
            except OSError:
                continue  # unmapped meanwhile
            looked += 1
            if page.count(0) == _PAGE:
                continue
            if candidates := self._candidates(address, page):
                followed = chooser.sample(candidates, min(MOST_FOLLOWED, len(candidates)))
                right = sum(self._leads_back(head, after) for head, after in followed)
                found += len(candidates) * right / len(followed)
            if time.monotonic() > deadline:
                break
        return found / looked * total if looked else 0.0

    def _choose(self, chooser: random.Random, total: int) -> list[int]:
        """The addresses of pages to look at: one at random out of each equal part, in any order."""
        parts = min(SAMPLED_PAGES, total)
        ranks = [int((number + chooser.random()) * total / parts) for number in range(parts)]
        addresses, place = [], 0
        ends = list(accumulate(self._counts))
        places: list[int] = []
        listed = -1
        for rank in ranks:
            while ends[place] <= rank:
                place += 1
            block = self._blocks[place]
            if listed != place:
                places = [index for index, is_ours in enumerate(block.ours) if is_ours]
                listed = place
            index = places[rank - ends[place] + self._counts[place]]
            addresses.append(block.start + index * _PAGE)
        chooser.shuffle(addresses)
        return addresses

    def _candidates(self, address: int, page: bytes) -> list[tuple[int, int]]:
        """What looks like a head, and where its first link leads to."""
        words = struct.unpack(f"={_PAGE // 8}Q", page)
        low, high = self._low, self._high
        if self._is_old:
            return [
                (address + 8 * index, after)
                for index, (after, before, third) in enumerate(
                    zip(words, words[1:], words[2:], strict=False)
                )
                if third >= _COUNTERS and low <= after < high and low <= before < high
            ]
        # An object follows: the number of its references, its type.
        return [
            (address + 16 * index, after & _FLAGS)
            for index, (after, before, third, fourth) in enumerate(
                zip(words[::2], words[1::2], words[2::2], words[3::2], strict=False)
            )
            if low <= after < high
            and low <= before < high
            and 0 < third & 0xFFFFFFFF < _MOST_REFERENCES
            and fourth > _PAGE
            and not fourth & 7
        ]

    def _leads_back(self, head: int, after: int) -> bool:
        try:
            (previous,) = self._memory.words(after + 8, 1)
        except OSError:
            return False
        return previous & (-1 if self._is_old else _FLAGS) == head
