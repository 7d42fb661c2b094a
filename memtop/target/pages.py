"""Which pages of a process are in memory, in swap, or shared with others; a byte for each page.

PAGEMAP_SCAN (Linux 6.7) finds where there is anything at all and which pages are the zero page,
which counts in no RSS; pagemap says the rest (Documentation/admin-guide/mm/pagemap.rst). Nothing is
read of the memory itself, and nothing is faulted in. Addresses and sizes are bytes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

PAGE = os.sysconf("SC_PAGE_SIZE")

# The kinds of pages. Nobody can be told to share the zero page, so it is a kind of its own.
ABSENT, EXCLUSIVE, SHARED, SWAPPED, ZERO = range(5)
# Resident, but nothing except zeros was found in it, and it lies in a huge page: so `mark_bloat`.
BLOAT, SHARED_BLOAT = 5, 6
_AS_BLOAT = bytes.maketrans(bytes((EXCLUSIVE, SHARED)), bytes((BLOAT, SHARED_BLOAT)))
_RESIDENT = re.compile(b"[\x01\x02\x05\x06]+")

_BLOCK_PAGES = 1 << 15  # pagemap entries read at once: 256 KiB of them
_GAP_PAGES = 512  # absent pages that do not yet part two extents
_MOST_PAGES = 1 << 27  # looked at without PAGEMAP_SCAN: 512 GiB of addresses

# The highest byte of an entry: present 0x80, swapped 0x40, of a file or shared 0x20, a guard page
# that madvise has installed 0x04 (Linux 6.15: with 0x40, but nothing of it is in swap), mapped by
# this process only 0x01.
_KINDS = bytes(
    (EXCLUSIVE if top & 0x01 else SHARED)
    if top & 0x80
    else SWAPPED
    if top & 0x44 == 0x40
    else ABSENT
    for top in range(256)
)

# include/uapi/linux/fs.h: struct pm_scan_arg, PAGEMAP_SCAN, PAGE_IS_*.
_SCAN_ARGUMENT = struct.Struct("=12Q")
_SCAN = 3 << 30 | _SCAN_ARGUMENT.size << 16 | ord("f") << 8 | 16
_IS_PRESENT, _IS_SWAPPED, _IS_ZERO, _IS_HUGE = 1 << 3, 1 << 4, 1 << 5, 1 << 6
_REGIONS = 4096  # in one answer


class Extent(NamedTuple):
    """Pages from `start` on that are looked up together: one of the kinds above for each."""

    start: int
    kinds: bytearray

    @property
    def end(self) -> int:
        """The address after the last page."""
        return self.start + len(self.kinds) * PAGE


class Pages:
    """What is known of the pages of some areas; elsewhere everything counts as absent.

    `huge`: the runs of pages that lie in huge pages, empty if the kernel does not tell.
    `knows_zero`: the zero page was told apart, so that nothing counts that is in no RSS.
    """

    __slots__ = ("_starts", "extents", "huge", "knows_zero")

    def __init__(
        self,
        extents: Iterable[Extent],
        huge: Iterable[tuple[int, int]] = (),
        *,
        knows_zero: bool = False,
    ) -> None:
        self.knows_zero = knows_zero
        self.extents = tuple(sorted(extents, key=lambda extent: extent.start))
        self.huge = tuple(huge)
        self._starts = [extent.start for extent in self.extents]

    def resident_bytes(self, start: int, end: int) -> int:
        """How much from `start` to `end` is resident; parts of pages count as they are."""
        return self._sum(start, end, b"\x01\x02\x05\x06")

    def shared_bytes(self, start: int, end: int) -> int:
        """How much of that other processes have mapped as well."""
        return self._sum(start, end, b"\x02\x06")

    def bloat_bytes(self, start: int, end: int) -> int:
        """How much of that is nothing but zeros in huge pages, as far as it was looked at."""
        return self._sum(start, end, b"\x05\x06")

    def swapped_bytes(self, start: int, end: int) -> int:
        """How much is in swap."""
        return self._sum(start, end, b"\x03")

    def kind(self, address: int) -> int:
        """The kind of the page that has this address."""
        place = bisect_right(self._starts, address) - 1
        if place < 0:
            return ABSENT
        start, kinds = self.extents[place]
        index = (address - start) // PAGE
        return kinds[index] if index < len(kinds) else ABSENT

    def is_resident(self, address: int) -> bool:
        """Whether the page that has this address may be read: it is in memory."""
        return self.kind(address) in (EXCLUSIVE, SHARED, BLOAT, SHARED_BLOAT)

    def runs(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The stretches of resident pages from `start` to `end`, cut to these."""
        for extent, low, high in self._within(start, end):
            for match in _RESIDENT.finditer(extent.kinds, low, high):
                yield (
                    max(start, extent.start + match.start() * PAGE),
                    min(end, extent.start + match.end() * PAGE),
                )

    def mark_zero(self, start: int, end: int) -> None:
        """Note that the shared pages of a range are the zero page."""
        for extent, low, high in self._within(start, end):
            kinds = extent.kinds[low:high].replace(bytes([SHARED]), bytes([ZERO]))
            extent.kinds[low:high] = kinds

    def mark_bloat(self, start: int, end: int) -> None:
        """Note that the resident pages of a range are nothing but zeros in huge pages."""
        for extent, low, high in self._within(start, end):
            extent.kinds[low:high] = extent.kinds[low:high].translate(_AS_BLOAT)

    def _sum(self, start: int, end: int, wanted: bytes) -> int:
        place = bisect_right(self._starts, start) - 1
        if place >= 0:
            # What is asked for each free block: all of its pages are of these kinds, or none.
            first, kinds = self.extents[place]
            low, high = (start - first) // PAGE, -(-(end - first) // PAGE)
            if high <= len(kinds):
                count = 0
                for kind in wanted:
                    count += kinds.count(kind, low, high)
                if not count:
                    return 0
                if count == high - low:
                    return end - start
        total = 0
        for extent, low, high in self._within(start, end):
            kinds = extent.kinds
            count = sum(kinds.count(kind, low, high) for kind in wanted)
            if not count:
                continue
            total += count * PAGE
            # The first and the last page may belong to the range in part only.
            before = start - (extent.start + low * PAGE)
            if before > 0 and kinds[low] in wanted:
                total -= before
            after = extent.start + high * PAGE - end
            if after > 0 and kinds[high - 1] in wanted:
                total -= after
        return total

    def _within(self, start: int, end: int) -> Iterator[tuple[Extent, int, int]]:
        """The extents that overlap a range, with the first page and the one after the last."""
        place = max(0, bisect_right(self._starts, start) - 1)
        while place < len(self.extents) and self._starts[place] < end:
            extent = self.extents[place]
            low = max(0, (start - extent.start) // PAGE)
            high = min(len(extent.kinds), -(-(end - extent.start) // PAGE))
            if low < high and start < end:
                yield extent, low, high
            place += 1


def read_pages(
    pid: int,
    areas: Iterable[tuple[int, int]],
    *,
    root: str = "/proc",
    check: Callable[[], None] | None = None,
    scan: bool = True,
) -> Pages:
    """The pages of some areas of private anonymous memory, in the order of addresses.

    `check` is called now and then and may raise. `scan` False does without PAGEMAP_SCAN, and then
    zero pages count as shared. PermissionError without PTRACE_MODE_READ, ProcessLookupError if the
    process has ended, OverflowError if without PAGEMAP_SCAN there is too much to look at.
    """
    fd = os.open(f"{root}/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    try:
        merged = _merge(areas)
        reader = _Reader(fd, check)
        if scan:
            try:
                return reader.scan(merged)
            except OSError as error:
                if error.errno not in (errno.ENOTTY, errno.EINVAL, errno.ENOSYS, errno.EPERM):
                    raise
        if sum(end - start for start, end in merged) > _MOST_PAGES * PAGE:
            raise OverflowError("more addresses are mapped than can be looked at")
        return Pages(reader.extents(merged))
    finally:
        os.close(fd)


class _Reader:
    """Asks an open pagemap."""

    def __init__(self, fd: int, check: Callable[[], None] | None) -> None:
        self._fd, self._check = fd, check or (lambda: None)

    def scan(self, areas: Iterable[tuple[int, int]]) -> Pages:
        """With PAGEMAP_SCAN; its OSError ENOTTY means that the kernel has none."""
        populated: list[tuple[int, int]] = []
        zeros: list[tuple[int, int]] = []
        huge: list[tuple[int, int]] = []
        for start, end in areas:
            for low, high, categories in self._regions(start, end):
                if populated and low - populated[-1][1] <= _GAP_PAGES * PAGE:
                    populated[-1] = populated[-1][0], high
                else:
                    populated.append((low, high))
                if categories & _IS_ZERO:
                    zeros.append((low, high))
                elif categories & _IS_HUGE:
                    huge.append((low, high))
        pages = Pages(self.extents(populated), huge, knows_zero=True)
        for low, high in zeros:
            pages.mark_zero(low, high)  # but for those that were written to since
        return pages

    def extents(self, areas: Iterable[tuple[int, int]]) -> list[Extent]:
        """What pagemap says of these areas; those without a single page are left out."""
        found: list[Extent] = []
        for start, end in areas:
            first, kinds = start, bytearray()
            for low in range(start, end, _BLOCK_PAGES * PAGE):
                self._check()
                count = (min(end, low + _BLOCK_PAGES * PAGE) - low) // PAGE
                raw = os.pread(self._fd, 8 * count, low // PAGE * 8)
                if not raw:
                    raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
                # The kernel ends at the end of what can be mapped.
                part = raw[7::8].translate(_KINDS).ljust(count, b"\0")
                if part.strip(b"\0"):
                    kinds += part
                    continue
                if kinds:
                    found.append(Extent(first, kinds))
                first, kinds = low + count * PAGE, bytearray()
            if kinds:
                found.append(Extent(first, kinds))
        return found

    def _regions(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Runs of pages that are in memory or in swap, with their categories."""
        answer = array("Q", bytes(24 * _REGIONS))
        address, _ = answer.buffer_info()
        wanted = _IS_PRESENT | _IS_SWAPPED
        while start < end:
            self._check()
            argument = bytearray(
                _SCAN_ARGUMENT.pack(
                    *(_SCAN_ARGUMENT.size, 0, start, end, 0, address, _REGIONS, 0),
                    *(0, 0, wanted, _IS_ZERO | _IS_HUGE),
                )
            )
            count = fcntl.ioctl(self._fd, _SCAN, argument)
            for index in range(0, 3 * count, 3):
                yield answer[index], answer[index + 1], answer[index + 2]
            walked = _SCAN_ARGUMENT.unpack(argument)[4]
            if walked <= start:
                return
            start = walked


def _merge(areas: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Areas in order, neighbours as one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(areas):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged
