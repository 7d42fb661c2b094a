"""Which pages of a process are in memory, in swap or shared; on real memory of this machine."""

import ctypes
import mmap
import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtop.target.pages import (
    ABSENT,
    BLOAT,
    EXCLUSIVE,
    PAGE,
    SHARED,
    SHARED_BLOAT,
    SWAPPED,
    ZERO,
    Extent,
    Pages,
    read_pages,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc")

START = 0x7F0000000000
RESIDENT = (EXCLUSIVE, SHARED, BLOAT, SHARED_BLOAT)
KINDS = (ABSENT, EXCLUSIVE, SHARED, SWAPPED, ZERO, BLOAT, SHARED_BLOAT)
GUARD_INSTALL = 102  # include/uapi/asm-generic/mman-common.h, Linux 6.13


class Area:
    """Private anonymous memory of this process, nothing of it touched."""

    def __init__(self, pages):
        self.map = mmap.mmap(-1, pages * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._byte = ctypes.c_char.from_buffer(self.map)
        self.start = ctypes.addressof(self._byte)
        self.end = self.start + pages * PAGE
        # A huge page would be resident as a whole.
        self.map.madvise(mmap.MADV_NOHUGEPAGE)

    def touch(self, low, high):
        """Write to some pages."""
        for page in range(low, high):
            self.map[page * PAGE] = 1

    def read(self, low, high):
        """Only read some."""
        return sum(self.map[page * PAGE] for page in range(low, high))

    def close(self):
        del self._byte
        self.map.close()


@pytest.fixture
def area():
    """64 pages of this process."""
    made = Area(64)
    yield made
    made.close()


def scans():
    """Whether this kernel has PAGEMAP_SCAN: then the zero page is known."""
    made = Area(1)
    made.read(0, 1)
    found = read_pages(os.getpid(), [(made.start, made.end)]).kind(made.start) != SHARED
    made.close()
    return found


WITH_SCAN = pytest.param(
    True, marks=pytest.mark.skipif(not scans(), reason="the kernel has no PAGEMAP_SCAN")
)
both_ways = pytest.mark.parametrize("scan", [WITH_SCAN, False])


@both_ways
def test_absent_and_exclusive(area, scan):
    """What was written to is this process's own; the rest is absent, and stays it."""
    area.touch(8, 24)
    for _ in range(2):
        pages = read_pages(os.getpid(), [(area.start, area.end)], scan=scan)
        assert pages.resident_bytes(area.start, area.end) == 16 * PAGE
    assert [pages.kind(area.start + page * PAGE) for page in (7, 8, 23, 24)] == [
        ABSENT,
        EXCLUSIVE,
        EXCLUSIVE,
        ABSENT,
    ]
    assert pages.shared_bytes(area.start, area.end) == 0
    assert list(pages.runs(area.start, area.end)) == [
        (area.start + 8 * PAGE, area.start + 24 * PAGE)
    ]


@both_ways
def test_what_was_given_back_is_absent_again(area, scan):
    """Pages after MADV_DONTNEED."""
    area.touch(0, 64)
    area.map.madvise(mmap.MADV_DONTNEED, 16 * PAGE, 16 * PAGE)
    pages = read_pages(os.getpid(), [(area.start, area.end)], scan=scan)
    assert list(pages.runs(area.start, area.end)) == [
        (area.start, area.start + 16 * PAGE),
        (area.start + 32 * PAGE, area.end),
    ]


@both_ways
def test_a_fork_shares_until_somebody_writes(area, scan):
    """In both processes; what one has written to since is exclusive in both."""
    area.touch(0, 32)
    wait, done = os.pipe()
    child = os.fork()
    if not child:
        os.close(done)
        os.read(wait, 1)
        os._exit(0)
    os.close(wait)
    try:
        area.touch(0, 8)
        for pid in (os.getpid(), child):
            pages = read_pages(pid, [(area.start, area.end)], scan=scan)
            assert pages.resident_bytes(area.start, area.end) == 32 * PAGE
            assert pages.shared_bytes(area.start, area.end) == 24 * PAGE
            assert pages.kind(area.start) == EXCLUSIVE
            assert pages.kind(area.start + 8 * PAGE) == SHARED
    finally:
        os.close(done)
        os.waitpid(child, 0)


@pytest.mark.parametrize("scan", [WITH_SCAN])
def test_the_zero_page_counts_nowhere(area, scan):
    """Memory that was only read is in no RSS."""
    area.touch(0, 8)
    area.read(8, 40)
    pages = read_pages(os.getpid(), [(area.start, area.end)], scan=scan)
    assert pages.resident_bytes(area.start, area.end) == 8 * PAGE
    assert pages.shared_bytes(area.start, area.end) == 0
    assert pages.kind(area.start + 8 * PAGE) == ZERO
    assert not pages.is_resident(area.start + 8 * PAGE)


def test_without_scan_the_zero_page_looks_shared(area):
    """Nothing else is known of it."""
    area.read(8, 40)
    pages = read_pages(os.getpid(), [(area.start, area.end)], scan=False)
    assert pages.shared_bytes(area.start, area.end) == 32 * PAGE


@both_ways
def test_guard_pages_are_not_in_swap(area, scan):
    """pagemap calls them swapped, but they take no memory at all."""
    area.touch(0, 16)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.madvise(ctypes.c_void_p(area.start + 4 * PAGE), PAGE, GUARD_INSTALL):
        pytest.skip("the kernel has no guard pages")
    pages = read_pages(os.getpid(), [(area.start, area.end)], scan=scan)
    assert pages.swapped_bytes(area.start, area.end) == 0
    assert pages.kind(area.start + 4 * PAGE) == ABSENT
    assert pages.resident_bytes(area.start, area.end) == 15 * PAGE


@both_ways
def test_only_the_areas_that_were_asked_for(area, scan):
    """Elsewhere everything is absent; areas that touch are as one."""
    area.touch(0, 64)
    parts = [(area.start + 16 * PAGE, area.start + 24 * PAGE)]
    parts.insert(0, (area.start + 24 * PAGE, area.start + 32 * PAGE))
    pages = read_pages(os.getpid(), parts, scan=scan)
    assert list(pages.runs(area.start, area.end)) == [
        (area.start + 16 * PAGE, area.start + 32 * PAGE)
    ]


@both_ways
def test_far_apart_pages_of_a_large_mapping(scan):
    """A page here and there in 256 MiB; nothing in between is made resident by looking."""
    area = Area(1 << 16)
    for page in (0, 1000, 65535):
        area.touch(page, page + 1)
    pages = read_pages(os.getpid(), [(area.start, area.end)], scan=scan)
    assert list(pages.runs(area.start, area.end)) == [
        (area.start + page * PAGE, area.start + (page + 1) * PAGE) for page in (0, 1000, 65535)
    ]
    area.close()


def test_more_addresses_than_can_be_looked_at():
    """Without PAGEMAP_SCAN the time grows with what is mapped, resident or not."""
    with pytest.raises(OverflowError):
        read_pages(os.getpid(), [(0, 1 << 46)], scan=False)


@both_ways
def test_a_process_that_has_ended(scan):
    """The kernel's error, not an empty answer."""
    child = subprocess.Popen(["sleep", "60"])
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(OSError) as caught:
        read_pages(child.pid, [(START, START + PAGE)], scan=scan)
    assert isinstance(caught.value, (ProcessLookupError, FileNotFoundError, PermissionError))
    child.wait()


@both_ways
def test_a_check_may_end_it(area, scan):
    """What `check` raises goes through."""
    area.touch(0, 1)

    def check():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_pages(os.getpid(), [(area.start, area.end)], scan=scan, check=check)


def test_bloat_is_marked_where_something_is_resident():
    """Shared pages stay shared, absent and swapped ones what they are."""
    pages = Pages([Extent(START, bytearray(KINDS))])
    pages.mark_bloat(START, START + len(KINDS) * PAGE)
    assert list(pages.extents[0].kinds) == [
        ABSENT,
        BLOAT,
        SHARED_BLOAT,
        SWAPPED,
        ZERO,
        BLOAT,
        SHARED_BLOAT,
    ]
    assert pages.bloat_bytes(START, START + (1 << 20)) == 4 * PAGE
    assert pages.shared_bytes(START, START + (1 << 20)) == 2 * PAGE
    assert pages.resident_bytes(START, START + (1 << 20)) == 4 * PAGE


# Extents with gaps between them, as (pages of the gap, kinds).
layouts = st.lists(
    st.tuples(st.integers(1, 5), st.lists(st.sampled_from(KINDS), min_size=1, max_size=12)),
    max_size=5,
)
offsets = st.integers(-2 * PAGE, 70 * PAGE)


def build(layout):
    """The same twice: Pages, and a kind for each page."""
    extents, kinds, at = [], {}, START
    for gap, part in layout:
        at += gap * PAGE
        extents.append(Extent(at, bytearray(part)))
        for kind in part:
            kinds[at] = kind
            at += PAGE
    return Pages(reversed(extents)), kinds


def overlap(page, start, end):
    return max(0, min(page + PAGE, end) - max(page, start))


@settings(deadline=None, max_examples=150)
@given(layouts, offsets, offsets)
def test_sums_are_those_of_counting_page_by_page(layout, low, high):
    """Whatever lies where, also for parts of pages and ranges without any."""
    pages, kinds = build(layout)
    start, end = START + low, START + max(low, high)

    def count(*wanted):
        return sum(overlap(page, start, end) for page, kind in kinds.items() if kind in wanted)

    assert pages.resident_bytes(start, end) == count(*RESIDENT)
    assert pages.shared_bytes(start, end) == count(SHARED, SHARED_BLOAT)
    assert pages.bloat_bytes(start, end) == count(BLOAT, SHARED_BLOAT)
    assert pages.swapped_bytes(start, end) == count(SWAPPED)
    runs = list(pages.runs(start, end))
    assert sum(last - first for first, last in runs) == count(*RESIDENT)
    assert all(start <= first < last <= end for first, last in runs)
    assert runs == sorted(runs)
    for first, _ in runs:
        assert pages.is_resident(first)


@settings(deadline=None, max_examples=200)
@given(layouts, offsets)
def test_the_kind_of_any_address(layout, offset):
    """That of its page; absent where there is none."""
    pages, kinds = build(layout)
    address = START + offset
    expected = kinds.get(address // PAGE * PAGE, ABSENT)
    assert pages.kind(address) == expected
    assert pages.is_resident(address) == (expected in RESIDENT)
