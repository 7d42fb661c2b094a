"""The memory of a real process with words of it replaced: anatomy ends, and its figures fit."""

import os
import struct
import sys
import time
from array import array
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memtop.anatomy.bins import Free, TooLong, read_bins, read_fast
from memtop.anatomy.chunks import walk
from memtop.anatomy.extensions import find_extensions
from memtop.anatomy.frames import find_frames
from memtop.anatomy.gathering import Gathering
from memtop.anatomy.heap import read_heap_quickly
from memtop.anatomy.image import Image
from memtop.anatomy.malloc import Place, Span, find_malloc
from memtop.anatomy.regions import Region
from memtop.anatomy.result import Anatomy
from memtop.anatomy.stacks import find_stacks
from memtop.anatomy.subject import Subject
from memtop.probe.sample import Identity
from memtop.target.maps import Mapping
from memtop.target.memory import Memory
from memtop.target.pages import ABSENT, EXCLUSIVE, PAGE, Extent, Pages

sys.path.insert(0, str(Path(__file__).parent.parent))
from images import made_up

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc")

MB = 1 << 20
START = 0x7F0000000000
# Three arenas of threads with holes, big blocks, objects, and blocks in fast bins.
TARGET = """
import ctypes, os, sys, threading
FILL = os.urandom(1 << 13)
held = []
def work(seed):
    mine = [FILL[: 600 + (seed + number) * 37 % 3400] for number in range(300)]
    held.append([mine, [FILL[:550] for _ in range(200)]])
    del mine[::2], held[-1][1][::2]
    ready.release()
    threading.Event().wait()
ready = threading.Semaphore(0)
for number in range(3):
    threading.Thread(target=work, args=(number,), daemon=True).start()
    ready.acquire()
held.append([bytearray(FILL * (20 + number)) for number in range(5)])
held.append([object() for _ in range(5000)])
del held[-1][::3]
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
blocks = [libc.malloc(40) for _ in range(2000)]
for number in range(2000):
    if number % 3:
        libc.free(ctypes.c_void_p(blocks[number]))
print("ready", flush=True)
sys.stdin.read()
"""


class Captured(Memory):
    """All that is readable of a process, at the same addresses of a file that can be changed."""

    __slots__ = ("changed", "subject")

    def __init__(self, pid):
        self.fd = os.memfd_create("captured")
        os.ftruncate(self.fd, 1 << 62)
        self.changed = []
        with Subject(pid) as subject:
            self.subject = subject
            for mapping in subject.maps:
                spans = [(mapping.start, mapping.end)]
                if not mapping.path or mapping.path == "[heap]":
                    spans = subject.pages.runs(*spans[0])
                elif not mapping.path.startswith("/") or "r" not in mapping.perms:
                    continue
                for start, end in spans:
                    os.pwrite(self.fd, subject.memory.read(start, end - start), start)

    def read(self, address, size):
        if not 0 <= address < 1 << 61:
            raise OSError(14, "Bad address")
        return os.pread(self.fd, size, address)

    def put(self, address, word):
        """Replace a word."""
        self.changed.append((address, os.pread(self.fd, 8, address)))
        os.pwrite(self.fd, struct.pack("=Q", word & (1 << 64) - 1), address)

    def restore(self):
        while self.changed:
            address, data = self.changed.pop()
            os.pwrite(self.fd, data, address)

    def opened(self, absent=()):
        """The process as a Subject; these of its resident pages are absent."""
        made, was = Subject.__new__(Subject), self.subject
        for name in ("regions", "maps", "modules", "allocator", "variables", "anonymous"):
            setattr(made, name, getattr(was, name))
        made.pid, made.root, made.zero_bytes = os.getpid(), "/proc", 0
        made._sized, made._step, made.memory = True, lambda _: None, self
        # There is no process that could be asked again.
        made._read_regions = made._read_pages = int
        extents = [Extent(one.start, bytearray(one.kinds)) for one in was.pages.extents]
        for number in absent:
            kinds = extents[number % len(extents)].kinds
            kinds[number // len(extents) % len(kinds)] = ABSENT
        made.pages = Pages(extents, was.pages.huge, knows_zero=True)
        made.image = Image(self, made.pages)
        return made


@pytest.fixture(scope="module")
def captured():
    """A real process, and the places in it that say the most about its malloc."""
    from conftest import Children

    running = Children()
    child = running.ready(
        TARGET, env={**os.environ, "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
    )
    memory = Captured(child.pid)
    running.end()
    with memory:
        subject = memory.opened()
        malloc = subject.find_malloc()
        if malloc is None or len(malloc.places) != 4:
            pytest.skip("another malloc than that of glibc")
        heads, free = [], []
        for place in malloc.places:
            low = 2032 if place.is_main else -112
            heads += [place.bins + at for at in (*range(-112, 0, 8), *range(low, 2096, 8))]
            heads += [place.top + at for at in range(0, 32, 8)]
            if not place.is_main:
                heads += [(place.bins & -(64 << 20)) + at for at in range(0, 48, 8)]
            for found in (read_bins(subject.image, place), read_fast(subject.image, place)):
                free += [start + at for start in found.starts for at in range(-8, 40, 8)]
        assert len(free) > 1000
        runs = [
            at
            for region in subject.anonymous
            for start, end in subject.pages.runs(region.start, region.end)
            for at in range(start, end, PAGE)
        ]
        yield SimpleNamespace(memory=memory, heads=heads, free=free, runs=runs)


addresses = st.tuples(st.integers(0, 3), st.integers(0, 1 << 30))
words = st.one_of(
    st.sampled_from([0, 1, 16, 0x11, 0x21, 0x1001, 1 << 47, 1 << 63, (1 << 64) - 1]),
    st.integers(0, (1 << 64) - 1),
    st.tuples(st.sampled_from([32, 48, 128, PAGE, MB, 64 * MB]), st.integers(0, 7)).map(sum),
    addresses,
)


def address_of(captured, where):
    """An address in this memory: of a head of malloc, of a free block, or of anything."""
    kind, number = where
    places = (captured.heads, captured.heads, captured.free, captured.runs)[kind]
    address = places[number % len(places)]
    return address + (number // 7 % 512) * 8 if kind == 3 else address


def check(anatomy):
    """Nothing is negative, and no sum is more than what it is part of."""
    assert sum(part.bytes for part in anatomy.parts) == anatomy.rss_bytes
    for part in anatomy.parts:
        assert 0 <= (part.shared_bytes or 0) <= part.bytes
    assert 0 <= anatomy.confidence <= 1
    check_arenas(anatomy.arenas)


def check_arenas(arenas):
    for arena in arenas:
        kinds = arena.released_bytes, arena.trapped_bytes, arena.trimmable_bytes, arena.top_bytes
        assert min(*kinds, arena.in_use_bytes) >= 0, arena
        assert sum(kinds) == arena.free_bytes, arena
        assert arena.in_use_bytes + arena.free_bytes <= arena.system_bytes < 1 << 47, arena


def fuzz(captured, changes, absent):
    memory = captured.memory
    try:
        for where, word in changes:
            value = address_of(captured, word) if isinstance(word, tuple) else word
            memory.put(address_of(captured, where), value)
        subject = memory.opened(absent)
        draft = Anatomy(Identity(1, 1), "", 0.0, 0.0, 0, ())
        check(Gathering(subject).run(draft))
        malloc = subject.find_malloc()
        heap = malloc and read_heap_quickly(subject, malloc, time.monotonic() + 1)
        if heap:
            check_arenas(heap.arenas)
            resident = sum(subject.pages.resident_bytes(*span) for span in heap.extents)
            assert sum(part.bytes for part in heap.parts) <= resident
    finally:
        memory.restore()


fuzzed = given(
    st.lists(st.tuples(addresses, words), max_size=40),
    st.lists(st.integers(0, 1 << 20), max_size=4),
)
slowly = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=60, **slowly)
@fuzzed
def test_replaced_words(captured, changes, absent):
    """Whatever malloc's structures hold, the parts add up to RSS, and the arenas to themselves."""
    fuzz(captured, changes, absent)


@pytest.mark.deep
@settings(max_examples=10_000, **slowly)
@fuzzed
def test_replaced_words_for_long(captured, changes, absent):
    """The same, many times."""
    fuzz(captured, changes, absent)


def test_an_arena_with_its_top_in_another_one(captured):
    """It is left out with a reason; the memory of the other one counts once."""
    memory = captured.memory
    second, third = memory.opened().find_malloc().places[1:3]
    try:
        memory.put(second.bins - 16, third.top - 4096)
        subject = memory.opened()
        malloc = subject.find_malloc()
        assert [place.number for place in malloc.places] == [0, 2, 3]
        assert any("arena 1 is left out" in trouble for trouble in malloc.trouble)
        found = Gathering(subject).run(Anatomy(Identity(1, 1), "", 0.0, 0.0, 0, ()))
        check(found)
        assert found.trim_would_return_bytes is None
        assert any("arena 1 is left out" in missing.reason for missing in found.missing)
    finally:
        memory.restore()


def test_an_arena_of_more_than_its_heaps_can_have(captured):
    """Its own account makes no sense: it is left out rather than told."""
    memory = captured.memory
    second = memory.opened().find_malloc().places[1]
    try:
        memory.put(second.bins + 2072, 1 << 46)
        assert [place.number for place in memory.opened().find_malloc().places] == [0, 2, 3]
    finally:
        memory.restore()


def test_the_heap_has_grown_since_the_mappings_were_read(captured):
    """The main arena is found as it was then, up to where its heap ended."""
    memory = captured.memory
    subject = memory.opened()
    main = subject.find_malloc().places[0]
    heap_end = max(one.end for one in subject.maps if one.path == "[heap]")
    grown = 5 * MB
    try:
        memory.put(main.bins - 16, heap_end + grown - 4096)
        memory.put(main.bins + 2072, main.system_bytes + grown)
        memory.put(main.bins + 2080, main.system_bytes + grown)
        found = memory.opened().find_malloc().places[0]
        assert found.top == found.spans[-1].end == heap_end
        assert found.system_bytes == pytest.approx(main.system_bytes, abs=PAGE)
    finally:
        memory.restore()


# Memory that is made to keep a reader busy. Each took from ten seconds to minutes without a bound;
# the time is not measured here, but what has been looked at.


def test_a_table_that_points_at_itself():
    """Where every word may be a bin, the search ends, however many mappings there are."""
    data = array("Q", [START + 8 * (index & ~1) - 16 for index in range(MB // 8)]).tobytes()
    libc = Mapping(START, START + MB, "rw-p", 0, "00:00", 0, "/libc.so.6")
    many = [
        Mapping(at, at + PAGE, "rw-p", 0, "00:00", 0, "")
        for at in range(1 << 30, (1 << 30) + 20_000 * 2 * PAGE, 2 * PAGE)
    ]
    with made_up(data, START) as image:
        assert find_malloc(image, [libc], [*many, libc], (2, 36)) is None


def fast_chain(size):
    """Memory in which every 16 bytes are a fast block that leads to the next, and ten lists."""
    chain = array("Q", bytes(size))
    chain[3::2] = array("Q", [0x21]) * (size // 16 - 1)
    for index in range(2, size // 16):
        at = START + 16 * index
        chain[2 * index] = at >> 12 ^ at
    head = array("Q", bytes(PAGE))
    for number in range(10):
        head[2 + number] = START + 16
    top = START + size
    place = Place(1, False, top + 112, top, 0, size, (Span(START, top),))
    return chain.tobytes() + head.tobytes(), place


def test_all_fast_bins_lead_into_one_chain():
    """No more blocks than there is room for, about; and what was late is said."""
    data, place = fast_chain(MB)
    with made_up(data, START) as image:
        found = read_fast(image, place)
        assert not found.is_whole
        assert len(found.starts) <= 2 * MB // 32
        with pytest.raises(TooLong):
            read_fast(image, place, time.monotonic() - 1)


def test_a_page_of_a_link_that_is_not_resident(captured):
    """What a block or a chunk names may end in a page that may not be read: it is not."""
    with made_up(b"\7" * 2 * PAGE, START, [EXCLUSIVE, ABSENT]) as image:
        assert image.head(START + PAGE - 16, 16) == b"\7" * 16
        assert image.head(START + PAGE - 8, 24) == bytes(24)
        assert image.raw(START + PAGE - 8, 24) == b"\7" * 8 + bytes(16)


def test_a_stack_region_full_of_own_addresses():
    """So many that each may be a thread: some thousand are looked at."""
    size = 4 * MB
    data = array("Q", bytes(size))
    for index in range(0, size // 8, 4):
        data[index] = data[index + 2] = START + 8 * index
    guard = Mapping(START - PAGE, START, "---p", 0, "00:00", 0, "")
    area = Mapping(START, START + size, "rw-p", 0, "00:00", 0, "")
    regions = [
        Region(mapping, size, 0, size, 0, 0, frozenset(["gu"] if mapping is area else []))
        for mapping in (guard, area)
    ]
    kinds = bytes([EXCLUSIVE, ABSENT]) * (size // PAGE // 2)
    with made_up(data.tobytes(), START, kinds) as image:
        assert find_stacks(image, regions, 1, range(100)) == []


def test_chains_that_are_too_short():
    """Each word begins a chain of nearly enough blocks; the tries are counted by their length."""
    data = array("Q", [0x21]) * (2 * MB // 8)
    for index in range(0, len(data), 92):
        for more in range(min(4, len(data) - index)):
            data[index + more] = 0
    with made_up(data.tobytes(), START) as image:
        end = START + 2 * MB
        place = Place(1, False, START - 8192, end - PAGE, PAGE, 2 * MB, (Span(START, end - PAGE),))
        made = walk(image, place)
    assert made.walked_bytes + made.skipped_bytes <= 2 * MB
    assert made.tried > 3 * len(data)


blocks = st.lists(st.integers(2, 1200), max_size=30)


@settings(max_examples=150, deadline=None)
@given(blocks, st.lists(st.tuples(st.integers(0, 4000), st.integers(2, 11)), max_size=12))
def test_fast_blocks_anywhere(sizes, fast):
    """Fast bins of another moment than the walk: what they hold may lie in any other block."""
    from memtop.anatomy.arenas import arrange, measure, stretches

    starts, lengths, at = array("Q"), array("Q"), START
    for number, size in enumerate(sizes):
        if number % 2:
            starts.append(at)
            lengths.append(16 * size)
        at += 16 * size
    place = Place(0, True, START - PAGE, at, 8192, at + 8192 - START, (Span(START, at),))
    unique = dict(fast)
    quick = Free(
        array("Q", [START + 16 * one for one in sorted(unique)]),
        array("Q", [16 * unique[one] for one in sorted(unique)]),
        True,
    )
    binned = Free(starts, lengths, True)
    found = arrange(place, binned, quick)
    pages = Pages([Extent(START, bytearray([EXCLUSIVE]) * 200)])
    arena = measure(place, found, pages)
    kinds = arena.released_bytes, arena.trapped_bytes, arena.trimmable_bytes, arena.top_bytes
    assert min(*kinds, arena.in_use_bytes) >= 0
    assert all(low <= high for _, low, high in stretches(binned, quick, found))


def test_memory_that_looks_like_frames_and_extensions():
    """Chains without an end, and heads without a body."""
    with made_up(struct.pack("=4Q", 0, 0x21, 0, 0) * 4096, START) as image:
        place = Place(0, True, START - MB, 1, 0, 1 << 46, ())
        assert find_extensions(image, [(START, START + 32 * 4096)], place, 1 << 46) == []
    for before in (0, START, START + 8, START - PAGE, 1 << 63, (1 << 64) - 1):
        page = struct.pack("=3Q", before, 16384, 1).ljust(PAGE, b"\2")
        with made_up(page * 16, START) as image:
            found = find_frames(image, [(START, START + 16 * PAGE)])
        assert all(high - low == 16384 for low, high in found)
        assert found == sorted(found) and sum(high - low for low, high in found) <= 16 * PAGE
