"""Pools of Python's allocator, found in every interpreter of this machine."""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtop.anatomy.pymalloc import HEADER, find_pools
from memtop.target.pages import EXCLUSIVE, PAGE

sys.path.insert(0, str(Path(__file__).parent.parent))
from images import made_up, opened
from pythons import interpreters, label

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc")

PYTHONS = interpreters() or [sys.executable]
START = 0x7F0000000000
OLD, NEW = (3, 9), (3, 11)
SIZES = {OLD: 4096, NEW: 16384}
# Objects of all sizes, of which some go again: pools that are full, in part and empty. What the
# interpreter says of them goes to stderr.
TARGET = """
import gc, random, sys
random.seed(7)
class Thing(object):
    def __init__(self, index):
        self.index, self.name = index, str(index)
kept = [Thing(index) for index in range(40000)]
kept += [b"x" * random.randrange(480) for index in range(60000)]
kept = [each for each in kept if random.random() < 0.7]
many = [b"y" * 400 for index in range(20000)]
del many[1000:15000]
gc.collect()
gc.disable()
sys.stderr.write("version %d.%d\\n" % sys.version_info[:2])
sys.stderr.flush()
sys._debugmallocstats()
sys.stderr.write("ready\\n")
sys.stderr.flush()
sys.stdin.read()
"""
CHURN = """
import random, sys
print("ready", flush=True)
kept = [None] * 50000
while True:
    for _ in range(10000):
        kept[random.randrange(50000)] = bytes(random.randrange(450))
"""


@pytest.fixture
def start():
    """Starts an interpreter with the target; its PID, its version and what it says of itself."""
    running = []

    def start(path, **variables):
        child = subprocess.Popen(
            [path, "-S", "-c", TARGET],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **variables},
        )
        running.append(child)
        text = ""
        for line in child.stderr:
            if line == "ready\n":
                break
            text += line
        major, minor = re.search(r"^version (\d+)\.(\d+)$", text, re.MULTILINE).groups()
        return child.pid, (int(major), int(minor)), text

    yield start
    for child in running:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stderr.close()


def stated(text, name):
    """A figure of _debugmallocstats; None if it says nothing of pools."""
    found = re.search(rf"^# bytes in {name}[^=]*= *([\d,]+)$", text, re.MULTILINE)
    return found and int(found[1].replace(",", ""))


def pools_of(pid, version):
    with opened(pid) as process:
        pools = find_pools(process.image, process.spans, version)
        resident = sum(process.pages.resident_bytes(*each) for each in pools.intervals)
        assert pools.resident_bytes == resident
    return pools


@pytest.mark.parametrize("path", PYTHONS, ids=label)
def test_bytes_in_use(start, path):
    """As many as the interpreter itself says, to 0.01 %, in all sizes of pools."""
    pid, version, text = start(path)
    used, free = stated(text, "allocated blocks"), stated(text, "available blocks")
    pools = pools_of(pid, version)
    assert pools.used_bytes == pytest.approx(used, rel=1e-4)
    assert used > 5 << 20
    size = 16384 if version >= (3, 10) else 4096
    assert sum(end - start for start, end in pools.intervals) == pools.count * size
    # Free blocks that were never carved are not resident; empty pools count as free here.
    absent = pools.count * size - pools.resident_bytes
    empty = re.search(r"^([\d,]+) unused pools", text, re.MULTILINE)
    unused = int(empty[1].replace(",", "")) * size if empty else 0
    assert 0.999 * (free - absent) <= pools.free_bytes <= 1.001 * (free + unused)
    assert pools.used_bytes + pools.free_bytes <= pools.resident_bytes


@pytest.mark.parametrize("path", PYTHONS[::3], ids=label)
def test_without_pymalloc_there_are_none(start, path):
    """PYTHONMALLOC=malloc: objects lie in the heap."""
    pid, version, text = start(path, PYTHONMALLOC="malloc")
    assert stated(text, "allocated blocks") is None
    assert pools_of(pid, version).count == 0


@pytest.mark.parametrize("path", PYTHONS[:2], ids=label)
def test_debug_hooks(start, path):
    """PYTHONMALLOC=debug: larger blocks, in the same pools."""
    pid, version, text = start(path, PYTHONMALLOC="debug")
    used = stated(text, "allocated blocks")
    assert pools_of(pid, version).used_bytes == pytest.approx(used, rel=1e-4)


def test_while_objects_come_and_go(children):
    """Memory that changes all the time gives nearly the same each time, and no exception."""
    child = children.ready(CHURN)
    version = sys.version_info[:2]
    found = []
    for _ in range(6):
        with opened(child.pid) as process:
            found.append(find_pools(process.image, process.spans, version).used_bytes)
    assert max(found) < 40 << 20
    # 50,000 objects of 225 bytes and a head, once the list is full.
    assert found[-1] > 1 << 20


def pool(version, size, count, carved, free=0):
    """The first page of a pool, not changed in any way."""
    whole = SIZES[version]
    head = struct.pack(
        "<QQQQIIII",
        *(count, free, 0, 0, 3),
        *(size // 16 - 1, HEADER + carved * size, whole - size),
    )
    return head.ljust(PAGE, b"\1")


def look(version, data, kinds=None, spans=None):
    with made_up(data, START, kinds) as image:
        return find_pools(image, spans or [(START, START + len(data))], version)


@pytest.mark.parametrize("version", [OLD, NEW])
def test_what_a_pool_holds(version):
    """Used and free blocks of a size; the rest is the head and what no block fits in."""
    whole = SIZES[version]
    data = pool(version, 48, 10, 20, START + HEADER + 96).ljust(whole, b"\1")
    pools = look(version, bytes(whole) + data.replace(*relocated(whole)) + bytes(whole))
    assert (pools.intervals, pools.count) == ([(START + whole, START + 2 * whole)], 1)
    assert pools.used_bytes == 480
    assert pools.free_bytes == ((whole - HEADER) // 48 - 10) * 48
    assert pools.resident_bytes == whole


def relocated(offset):
    """What to replace by what in a pool that lies behind START."""
    return (
        struct.pack("<Q", START + HEADER + 96),
        struct.pack("<Q", START + offset + HEADER + 96),
    )


@pytest.mark.parametrize("version", [OLD, NEW])
@pytest.mark.parametrize(
    "free",
    [START - 16, START, START + 16, START + HEADER + 8, START + (1 << 20), (1 << 64) - 1],
)
def test_a_free_block_lies_in_its_pool(version, free):
    """A copy of a pool elsewhere points at another place."""
    data = pool(version, 48, 10, 20, free).ljust(SIZES[version], b"\1")
    assert look(version, data).count == 0


@pytest.mark.parametrize("version", [OLD, NEW])
def test_an_empty_pool_is_free(version):
    """All that is resident of it."""
    data = pool(version, 64, 0, 30, START + HEADER).ljust(SIZES[version], b"\1")
    pools = look(version, data)
    assert (pools.used_bytes, pools.free_bytes) == (0, SIZES[version])


def test_a_tail_that_was_never_touched_is_not_free():
    """A pool of 16 KiB of which one page is resident: it takes no more than that."""
    data = pool(NEW, 512, 3, 5, START + HEADER + 512).ljust(16384, b"\0")
    pools = look(NEW, data, kinds=[1, 0, 0, 0])
    assert (pools.used_bytes, pools.resident_bytes) == (1536, PAGE)
    assert pools.free_bytes == PAGE - HEADER - 1536
    assert look(NEW, data, kinds=[0, 1, 1, 1]).count == 0


def test_only_whole_pools_of_a_span():
    """What another part has explained is not looked at."""
    data = pool(NEW, 64, 5, 9, START + HEADER).ljust(16384, b"\1")
    assert look(NEW, data, spans=[(START + PAGE, START + 16384)]).count == 0
    assert look(NEW, data, spans=[(START, START + 16384 - PAGE)]).count == 0


def test_neighbours_are_one_interval():
    """Also where the spans come in any order."""
    data = b"".join(pool(OLD, 64, 60, 60, 0) for _ in range(6))
    middle = START + 3 * PAGE
    spans = [(middle, START + 5 * PAGE), (START, middle)]
    pools = look(OLD, data, spans=spans)
    assert (pools.intervals, pools.count) == ([(START, START + 5 * PAGE)], 5)


fields = st.one_of(
    st.integers(0, (1 << 32) - 1), st.sampled_from([0, 1, 48, 64, 4032, 4096, 16320, 16384])
)
heads = st.one_of(
    st.binary(min_size=48, max_size=48),
    st.builds(
        lambda version, size, count, carved, free: pool(version, size * 16, count, carved, free),
        st.sampled_from([OLD, NEW]),
        st.integers(1, 32),
        st.integers(0, 300),
        st.integers(0, 300),
        st.one_of(st.just(0), st.integers(START - 99, START + 9999), st.integers(0, 1 << 63)),
    ),
    st.builds(
        lambda words, low: struct.pack("<QQQQIIII", *low, *words),
        st.tuples(fields, fields, fields, fields),
        st.tuples(fields, fields, fields, fields),
    ),
)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(heads, min_size=1, max_size=24),
    st.data(),
    st.sampled_from([(3, 6), (3, 7), OLD, (3, 10), NEW, (3, 14), (2, 7), (99, 0)]),
)
def test_any_memory_is_looked_through(parts, data, version):
    """Never more than there is, in order, and no exception."""
    raw = b"".join(part[:PAGE].ljust(PAGE, b"\1") for part in parts)
    kinds = data.draw(st.lists(st.integers(0, 6), min_size=len(parts), max_size=len(parts)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), min_size=2, max_size=6)))
    spans = [(START + low, START + high) for low, high in zip(cuts[::2], cuts[1::2], strict=False)]
    pools = look(version, raw, kinds, spans)
    resident = sum(kind in (1, 2, 5, 6) for kind in kinds) * PAGE
    assert pools.resident_bytes <= resident
    assert 0 <= pools.free_bytes <= pools.resident_bytes
    size = 4096 if version < (3, 10) else 16384
    assert pools.used_bytes <= pools.count * size
    assert sum(end - start for start, end in pools.intervals) == pools.count * size


def test_a_great_many_pools_take_bounded_memory():
    """A gigabyte of addresses with one page in a thousand: only that is read."""
    count = 1 << 18
    kinds = bytearray(count)
    kinds[::1024] = bytes([EXCLUSIVE]) * (count // 1024)
    with made_up(bytes(PAGE), START, kinds) as image:
        os.ftruncate(image.memory.fd, START + count * PAGE)
        for version in (OLD, NEW):
            assert find_pools(image, [(START, START + count * PAGE)], version).count == 0
        assert image.read_bytes <= count // 1024 * PAGE
