"""Big blocks of glibc's malloc, found in the memory of real programs that count them."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtop.anatomy.blocks import MOST_PAGES, find_blocks, size_classes
from memtop.anatomy.image import WINDOW
from memtop.anatomy.result import SizeClass
from memtop.target.pages import EXCLUSIVE, PAGE

sys.path.insert(0, str(Path(__file__).parent.parent))
from images import made_up, opened

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc")

START = 0x7F0000000000
# Takes big blocks in all ways that there are, gives some back, writes to all or to a bit of each,
# and prints malloc's own count and sum of them.
TARGET = """
import ctypes, mmap, random, sys
random.seed(int(sys.argv[1]))
libc = ctypes.CDLL(None)
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t if hasattr(libc, "mallinfo2") else ctypes.c_int) for name in
        "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]
info = getattr(libc, "mallinfo2", libc.mallinfo)
info.restype = Info
libc.malloc.restype = libc.realloc.restype = libc.calloc.restype = ctypes.c_void_p
size_t, pointer = ctypes.c_size_t, ctypes.c_void_p
libc.mallopt(-3, 131072)  # a fixed threshold
blocks = []
for index in range(int(sys.argv[2])):
    size = random.randrange(135_000, 500_000)
    kind = index % 6
    if kind == 0:
        block = libc.malloc(size_t(size))
    elif kind == 1:
        block = libc.calloc(size_t(1), size_t(size))
    elif kind == 2:
        block = libc.realloc(pointer(libc.malloc(size_t(size // 2 + 100_000))), size_t(size * 2))
    else:
        place = pointer()
        alignment = random.choice([64, 4096, 65536, 1 << 20])
        libc.posix_memalign(ctypes.byref(place), size_t(alignment), size_t(size))
        block = place.value
        if kind == 5 and alignment <= 4096:
            size = random.choice([size * 2, size // 2 + 70_000])
            block = libc.realloc(pointer(block), size_t(size))
    ctypes.memset(block, 255, size if index % 3 else 100)
    blocks.append(block)
random.shuffle(blocks)
for block in blocks[: len(blocks) // 3]:
    libc.free(pointer(block))
# Memory that looks like many things, but is no block.
foreign = mmap.mmap(-1, 4 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
foreign.write(random.Random(3).randbytes(1 << 20) + bytes(range(256)) * 4096)
objects = [b"x" * 200 for _ in range(20_000)]
counted = info()
print(counted.hblks, counted.hblkhd, flush=True)
sys.stdin.read()
"""


def block(size, first=0):
    """A page that begins with the head of a block."""
    return first.to_bytes(8, "little") + (size | 2).to_bytes(8, "little") + bytes(PAGE - 16)


@pytest.fixture
def target(children):
    """Starts a target and tells malloc's count and sum."""

    def start(seed, number):
        child = children.python(TARGET, str(seed), str(number))
        count, size = map(int, child.stdout.readline().split())
        return child.pid, count, size

    return start


@pytest.mark.parametrize("seed", [1, 2])
def test_all_blocks_are_found(target, seed):
    """As many as n_mmaps, and their sum to the byte, with the count known or not."""
    pid, count, size = target(seed, 150)
    with opened(pid) as process:
        # The heap that grows by brk has no such blocks.
        heap = [r.mapping.start for r in process.regions if r.mapping.path == "[heap]"]
        spans = [span for span in process.spans if span[0] not in heap]
        known = find_blocks(process.image, spans, expected=count, omits_header=False)
        unknown = find_blocks(process.image, spans, expected=None, omits_header=False)
        classes = size_classes(known.blocks, process.pages)
    assert count > 90
    assert known.is_whole and len(known.blocks) == count
    assert sum(each for _, each in known.blocks) == size
    assert unknown == known
    assert sum(each.count for each in classes) == count
    resident = sum(process.pages.resident_bytes(at, at + each) for at, each in known.blocks)
    assert sum(each.bytes for each in classes) == resident < size
    for each in classes:
        inside = [b for _, b in known.blocks if each.at_least_bytes <= b < 2 * each.at_least_bytes]
        assert len(inside) == each.count


def test_the_search_ends_with_the_last_one(target):
    """What lies behind is not read when all were found; with none expected nothing is."""
    pid, count, _ = target(3, 30)
    with opened(pid) as process:
        first = process.spans[0]
        assert find_blocks(process.image, [first], expected=0, omits_header=False).is_whole
        assert process.image.read_bytes == 0
        found = find_blocks(process.image, process.spans, expected=1, omits_header=False)
        assert found.is_whole and len(found.blocks) == 1 < count


def test_a_head_that_is_not_in_the_size():
    """From glibc 2.43 on sizes leave 16 bytes out, and bit 0 of the first word is a flag."""
    data = block(3 * PAGE - 16) + bytes(2 * PAGE) + block(2 * PAGE - 16, first=1) + bytes(PAGE)
    with made_up(data, START) as image:
        spans = [(START, START + len(data))]
        found = find_blocks(image, spans, expected=None, omits_header=True)
        assert found.blocks == [(START, 3 * PAGE), (START + 3 * PAGE, 2 * PAGE)]
        assert find_blocks(image, spans, expected=None, omits_header=False).blocks == []


def test_a_block_ends_within_its_span():
    """A size that reaches beyond contiguous memory is none; nor is one of half a page."""
    data = block(3 * PAGE) + block(PAGE // 2) + block(PAGE)
    with made_up(data, START) as image:
        found = find_blocks(image, [(START, START + 2 * PAGE)], expected=None, omits_header=False)
        assert found.blocks == []
        spans = [(START + 100, START + 3 * PAGE)]
        found = find_blocks(image, spans, expected=None, omits_header=False)
        assert found.blocks == [(START + 2 * PAGE, PAGE)]


def test_a_block_is_found_if_only_its_head_is_resident():
    """Its other pages were never touched, and are not read."""
    data = block(64 * PAGE) + bytes(63 * PAGE) + block(4 * PAGE) + bytes(3 * PAGE)
    kinds = [1, *[0] * 63, 1, 0, 0, 0]
    with made_up(data, START, kinds) as image:
        spans = [(START, START + len(data))]
        found = find_blocks(image, spans, expected=None, omits_header=False)
        assert found.blocks == [(START, 64 * PAGE), (START + 64 * PAGE, 4 * PAGE)]
        assert size_classes(found.blocks, image.pages) == (
            SizeClass(4 * PAGE, 1, PAGE),
            SizeClass(64 * PAGE, 1, PAGE),
        )


def test_blocks_in_any_place_of_a_window():
    """Where a block follows on foreign memory, it is found wherever it begins."""
    rng = random.Random(5)
    data, expected = b"", []
    while len(data) < WINDOW:
        data += bytes(rng.randrange(90) * PAGE)
        size = rng.randrange(1, 5) * PAGE
        expected.append((START + len(data), size))
        data += block(size).ljust(size, b"\2")
    with made_up(data, START) as image:
        spans = [(START, START + len(data))]
        found = find_blocks(image, spans, expected=None, omits_header=False)
    assert found.blocks == expected


def test_the_time_is_up():
    """Then it says that it has not looked everywhere."""
    data = bytes(256 * PAGE) + block(PAGE)
    with made_up(data, START) as image:
        spans = [(START, START + len(data))]
        late = time.monotonic() - 1
        found = find_blocks(image, spans, expected=1, omits_header=False, deadline=late)
        assert found == ([], False)


def test_a_great_deal_of_foreign_memory_is_not_read_to_its_end():
    """The number of pages is bounded, and the answer says so."""
    count = MOST_PAGES + (1 << 14)
    with made_up(bytes(PAGE), START, bytes([EXCLUSIVE]) * count) as image:
        # A file with a hole: all of it is there.
        os.ftruncate(image.memory.fd, START + count * PAGE)
        spans = [(START, START + count * PAGE)]
        found = find_blocks(image, spans, expected=None, omits_header=False)
        assert found == ([], False)
        assert image.read_bytes <= MOST_PAGES * PAGE + (1 << 20)


words = st.one_of(
    st.integers(0, 40).map(lambda pages: pages * PAGE | 2),
    st.integers(0, (1 << 64) - 1),
    st.sampled_from([0, 1, 2, 4098, (1 << 64) - PAGE + 2, (1 << 63) | 2]),
)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(words, words), min_size=1, max_size=40),
    st.data(),
    st.booleans(),
    st.one_of(st.none(), st.integers(0, 5)),
)
def test_any_memory_is_looked_through(heads, data, omits_header, expected):
    """Blocks never overlap, never leave their span, and are never more than were expected."""
    raw = b"".join(
        first.to_bytes(8, "little") + second.to_bytes(8, "little") + b"\2" * (PAGE - 16)
        for first, second in heads
    )
    kinds = data.draw(st.lists(st.integers(0, 6), min_size=len(heads), max_size=len(heads)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), min_size=2, max_size=6)))
    spans = [(START + low, START + high) for low, high in zip(cuts[::2], cuts[1::2], strict=False)]
    with made_up(raw, START, kinds) as image:
        found = find_blocks(image, spans, expected=expected, omits_header=omits_header)
        size_classes(found.blocks, image.pages)
    assert expected is None or len(found.blocks) <= expected
    assert found.is_whole
    end = 0
    for at, size in found.blocks:
        assert at >= end and size > 0 and size % PAGE == at % PAGE == 0
        assert any(low <= at and at + size <= high for low, high in spans)
        end = at + size


def test_a_process_that_has_ended():
    """No blocks, or the error that says so."""
    child = subprocess.Popen(
        [sys.executable, "-c", "print('r', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:
        child.stdout.readline()
        with opened(child.pid) as process:
            child.kill()
            child.wait()
            with pytest.raises(ProcessLookupError):
                find_blocks(process.image, process.spans, expected=None, omits_header=False)
