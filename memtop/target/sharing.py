"""What a process shares with its relatives, and how much of that a gc.collect() would copy.

After a fork parent and child share every page until one of them writes to it. A collection writes
to the head of every tracked object (CPython, Modules/gcmodule.c and Python/gc.c: update_refs), and
so to the pages that hold one, and to hardly any other. RSS shows nothing of the copies, but the
cgroup pays for them. Which pages are shared tells pagemap (admin-guide/mm/pagemap.rst of Linux);
which of them hold a head is looked up in a sample, through /proc/PID/mem: what is swapped out is
left alone. Nothing is written and nothing is un-shared by looking. Sizes are bytes.
"""

from __future__ import annotations

import os
import random
import struct
import time
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, compress
from typing import NamedTuple

from memtop.probe import parse
from memtop.probe.handle import READ, read
from memtop.target.maps import Mapping, parse_maps, read_maps
from memtop.target.memory import Memory

SAMPLED_PAGES = 768
SCAN_S = 0.15  # for pagemap; what is left then is extrapolated
SAMPLE_S = 0.15
_PAGE = os.sysconf("SC_PAGE_SIZE")
_BLOCK_PAGES = 4096
_EXCLUSIVE, _SHARED = 1, 2
# The highest byte of an entry: present 0x80, of a file 0x20, mapped by this process only 0x01.
_KINDS = bytes(
    0 if not top & 0x80 or top & 0x20 else _EXCLUSIVE if top & 0x01 else _SHARED
    for top in range(256)
)
_IS_SHARED = bytes(kind == _SHARED for kind in range(256))
_FLAGS = ~3  # the lowest bits of both links are flags (3.8 and later: pycore_gc.h)
_MOST_NEIGHBOURS = 16  # that are read in other pages, for one page
_MOST_REFERENCES = 1 << 24
_COUNTERS = (1 << 64) - (1 << 32)  # before 3.8: a negative number between collections
_MOST_KEPT = 512


class _Block(NamedTuple):
    """Some pages from `start` on, each `_EXCLUSIVE`, `_SHARED` or 0."""

    start: int
    kinds: bytes


def shared_anonymous_bytes(pid: int, *, root: str = "/proc") -> int | None:
    """How much anonymous memory is shared with other processes; None without the right to know.

    Of very large processes it is an estimate. Without pagemap smaps tells, which takes longer.
    """
    return would_unshare_bytes(pid, root=root, heads=False)


def would_unshare_bytes(
    pid: int, *, root: str = "/proc", heads: bool = True, seed: int | None = None
) -> int | None:
    """How much of that a gc.collect() would copy, an estimate; None without the right to know.

    It is off by a tenth if that is much, and by 1 % of what is shared if it is little. Everything
    that is shared, where more cannot be told: without the right to read memory, without pagemap,
    and without `heads` (free-threaded builds mark the objects themselves, wherever they are).
    Objects that gc.freeze() has put aside count, although they are left alone.
    """
    try:
        pagemap = os.open(f"{root}/{pid}/pagemap", READ)
    except OSError:
        return _ask_smaps(pid, root)
    try:
        shared_bytes, blocks = _scan(pid, pagemap, root)
        if not heads or not blocks:
            return shared_bytes
        try:
            memory = Memory(pid, root=root)
        except PermissionError:
            return shared_bytes
        with memory:
            share = _Heads(memory, pagemap, blocks).share(random.Random(seed))
        return round(shared_bytes * share)
    except (OSError, ValueError):
        return None
    finally:
        os.close(pagemap)


class _Heads:
    """Looks for the heads of tracked objects in shared pages.

    A head is two links {next, previous}: next's previous is the head itself. Before 3.8 a counter
    follows, from 3.8 on the object: number of references, type.
    """

    def __init__(self, memory: Memory, pagemap: int, blocks: list[_Block]) -> None:
        self._memory, self._pagemap, self._blocks = memory, pagemap, blocks
        self._counts = [block.kinds.count(_SHARED) for block in blocks]
        self._pages: dict[int, bytes | None] = {}
        # Links lead to other objects, which lie in such memory, too.
        self._low = min(block.start for block in blocks)
        self._high = max(block.start + len(block.kinds) * _PAGE for block in blocks)

    def share(self, chooser: random.Random) -> float:
        """The share of the shared pages that hold a head, rather too high than 0; 1 if unknown."""
        deadline = time.monotonic() + SAMPLE_S
        looked = found = 0
        for address in self._choose(chooser):
            try:
                found += self._has_head(address, self._memory.read(address, _PAGE))
            except OSError:
                continue  # unmapped meanwhile
            looked += 1
            if time.monotonic() > deadline:
                break
        return (found + 1) / (looked + 1)

    def _choose(self, chooser: random.Random) -> Iterator[int]:
        """The addresses of pages to look at: one at random out of each equal part of them."""
        ends = list(accumulate(self._counts))
        parts = min(SAMPLED_PAGES, ends[-1])
        numbers = list(range(parts))
        chooser.shuffle(numbers)  # so that the first ones are a fair sample, too
        places: dict[int, list[int]] = {}
        for number in numbers:
            rank = int((number + chooser.random()) * ends[-1] / parts)
            at = bisect_right(ends, rank)
            block = self._blocks[at]
            if at not in places:
                is_shared = block.kinds.translate(_IS_SHARED)
                places[at] = list(compress(range(len(is_shared)), is_shared))
            yield block.start + _PAGE * places[at][rank - ends[at] + self._counts[at]]

    def _has_head(self, address: int, page: bytes) -> bool:
        words = struct.unpack(f"={_PAGE // 8}Q", page)
        low, high = self._low, self._high
        # Heads lie at multiples of 16, in 3.6 about half of them.
        evens, odds = words[::2], words[1::2]
        candidates = [
            index
            for index, (after, before, third) in enumerate(
                zip(evens, odds, (*evens[1:], 1), strict=True)
            )
            if low <= after < high
            and low <= before < high
            and (0 < third & 0xFFFFFFFF < _MOST_REFERENCES or third >= _COUNTERS)
        ]
        far = []
        for index in candidates:
            head, after = address + 16 * index, evens[index] & _FLAGS
            if address <= after < address + _PAGE and not after % 16:
                if odds[(after - address) // 16] & _FLAGS == head:
                    return True
            else:
                far.append((head, after))
        return any(self._previous_of(after) == head for head, after in far[:_MOST_NEIGHBOURS])

    def _previous_of(self, head: int) -> int | None:
        """The link from a head to the one before; None if that is not in memory."""
        if head % 8:
            return None
        start = head // _PAGE * _PAGE
        if start not in self._pages:
            if len(self._pages) >= _MOST_KEPT:
                self._pages.clear()
            self._pages[start] = self._present(start)
        page = self._pages[start]
        offset = head - start + 8
        if page is None or offset >= _PAGE:
            return None
        return int.from_bytes(page[offset : offset + 8], "little") & _FLAGS

    def _present(self, address: int) -> bytes | None:
        """A page, if it is in memory now: one that is not would be swapped in."""
        try:
            entry = os.pread(self._pagemap, 8, address // _PAGE * 8)
            if len(entry) == 8 and _KINDS[entry[7]]:
                return self._memory.read(address, _PAGE)
        except OSError:
            pass
        return None


def _scan(pid: int, pagemap: int, root: str) -> tuple[int, list[_Block]]:
    """How many bytes are shared, and the blocks that have some of them; OSError if it is gone."""
    areas = [
        (start, min(start + _BLOCK_PAGES * _PAGE, mapping.end))
        for mapping in read_maps(pid, root)
        if _is_anonymous(mapping)
        for start in range(mapping.start, mapping.end, _BLOCK_PAGES * _PAGE)
    ]
    random.shuffle(areas)  # so that the first ones are a fair sample, should the time be over
    deadline = time.monotonic() + SCAN_S
    blocks: list[_Block] = []
    shared = exclusive = 0
    is_whole = True
    for start, end in areas:
        if time.monotonic() > deadline:
            is_whole = False
            break
        raw = os.pread(pagemap, (end - start) // _PAGE * 8, start // _PAGE * 8)
        kinds = raw[7::8].translate(_KINDS)
        exclusive += kinds.count(_EXCLUSIVE)
        if count := kinds.count(_SHARED):
            shared += count
            blocks.append(_Block(start, kinds))
    status = parse.parse_keyed(read(f"{root}/{pid}/status", 1 << 16))
    anonymous_kib = parse.kib_of(status, "RssAnon")
    if anonymous_kib is None:
        return shared * _PAGE, blocks
    if is_whole:
        # The zero page looks like a shared one, but nobody pays for it.
        return min(shared * _PAGE, anonymous_kib * 1024), blocks
    seen = shared + exclusive
    return anonymous_kib * 1024 * shared // seen if seen else anonymous_kib * 1024, blocks


def _ask_smaps(pid: int, root: str) -> int | None:
    """The same as smaps counts it, for a kernel without pagemap."""
    shared_kib, is_counted = 0, False
    try:
        with open(f"{root}/{pid}/smaps", encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                word, _, rest = line.partition(" ")
                if not word.endswith(":"):
                    mapping = parse_maps(line.encode("utf-8", "surrogateescape"))
                    is_counted = bool(mapping) and _is_anonymous(mapping[0])
                elif is_counted and word in ("Shared_Clean:", "Shared_Dirty:"):
                    shared_kib += int(rest.split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return shared_kib * 1024


def _is_anonymous(mapping: Mapping) -> bool:
    """Private memory that is written and of no file: there objects are."""
    is_named = mapping.path and not mapping.path.startswith(("[heap", "[anon"))
    return mapping.perms[:2] == "rw" and mapping.perms[3] == "p" and not is_named
