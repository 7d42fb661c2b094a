"""What objects own beside themselves: as much as the interpreter says."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtop.anatomy.buffers import Buffers, Counts, Some
from memtop.anatomy.census import take_census
from memtop.anatomy.layout import layout_of
from memtop.anatomy.owners import NATIVE, Large
from memtop.anatomy.types import Types
from memtop.probe.parse import parse_stat
from memtop.probe.sample import Identity
from memtop.target.pages import PAGE

sys.path.insert(0, str(Path(__file__).parent.parent))
from images import Bounded, made_up
from pythons import interpreters, label, trouble

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc")

PYTHONS = interpreters() or [sys.executable]
START = 0x7F0000000000
# Subclasses, so that nothing of the interpreter itself is counted with them.
TARGET = """
import array, collections, json, sys
class Rows(list): pass
class Table(dict): pass
class Some(set): pass
class Raw(bytearray): pass
class Queue(collections.deque): pass
class Numbers(array.array): pass
kept = [Rows(range(number % 60)) for number in range(3000)]
kept += [Table((key, None) for key in range(number % 60)) for number in range(3000)]
kept += [Some(range(number % 60)) for number in range(3000)]
kept += [Raw(number % 900) for number in range(3000)]
kept += [Queue(range(number % 200)) for number in range(1000)]
kept += [Numbers("d", [0.0] * (number % 60)) for number in range(1000)]
kept.append(Rows([None]) * 100000)
head = sys.getsizeof(Rows()) - Rows.__basicsize__
said = {}
# Some of them have a buffer even if they are empty.
for kind, base in ((Rows, sys.getsizeof(Rows())), (Table, Table.__basicsize__ + head),
                   (Some, sys.getsizeof(Some())), (Raw, sys.getsizeof(Raw())),
                   (Queue, sys.getsizeof(Queue()) - 528), (Numbers, sys.getsizeof(Numbers("d")))):
    said[kind.__name__] = sum(sys.getsizeof(one) - base for one in kept if type(one) is kind)
print(json.dumps(said))
sys.stdout.flush()
sys.stdin.readline()
"""
ARRAYS = """
import sys, numpy
kept = [numpy.full((480, 640, 3), number, numpy.uint8) for number in range(60)]
kept += [one[10:] for one in kept]
kept += [numpy.zeros((20, 50), "f4") for _ in range(500)]
print("{}")
sys.stdout.flush()
sys.stdin.readline()
"""


@pytest.fixture
def start():
    """start(python, code): what the target says, and a census of it."""
    running = []

    def start(path, code, **variables):
        child = subprocess.Popen(
            [path, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=variables or None,
        )
        running.append(child)
        said = json.loads(child.stdout.readline())
        ticks = parse_stat(Path(f"/proc/{child.pid}/stat").read_bytes()).start_ticks
        return said, take_census(Identity(ticks, child.pid))

    yield start
    for child in running:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()


@pytest.mark.parametrize("path", PYTHONS, ids=label)
def test_buffers_of_containers(start, path):
    """As much as sys.getsizeof says beyond the object, but for rounding to blocks."""
    said, found = start(path, TARGET)
    buffers = {one.type: one.buffer_bytes for one in found.types if one.module == "__main__"}
    for name, expected in said.items():
        assert buffers[name] == pytest.approx(expected, rel=0.06), name


def test_arrays(start):
    """Frames have the big blocks, with dtype and shape; views own nothing."""
    path = next((path for path in PYTHONS if not trouble(path, "numpy")), None)
    if path is None:
        pytest.skip("no Python here has numpy")
    _, found = start(path, ARRAYS, MALLOC_MMAP_THRESHOLD_="131072")
    owners = {(one.type, one.detail): one.count for one in found.big_blocks}
    assert owners["ndarray", "uint8 (480, 640, 3)"] == 60
    assert owners.get((NATIVE, None), 0) <= 3
    row = next(one for one in found.types if one.name == "numpy.ndarray")
    expected = 60 * 480 * 640 * 3 + 500 * 4000
    assert expected <= row.buffer_bytes <= 1.05 * expected
    assert row.count >= 620


def test_some_are_spread_evenly():
    """However many come, those that are kept are of all of them."""
    some = Some()
    for part in range(100):
        some.add([(part, number, 0) for number in range(1000)])
    assert 5_000 <= len(some.kept) <= 20_000
    parts = [sum(one[0] == part for one in some.kept) for part in range(100)]
    assert max(parts) - min(parts) <= max(parts) // 4 + 2


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from([(3, 6), (3, 10), (3, 11), (3, 13), (3, 14)]),
    st.sampled_from(
        ["list", "dict", "set", "bytearray", "array.array", "collections.deque", "numpy.ndarray"]
    ),
    st.lists(
        st.one_of(
            st.integers(0, (1 << 64) - 1), st.integers(START, START + PAGE), st.integers(0, 200)
        ),
        min_size=16,
        max_size=200,
    ),
    st.booleans(),
)
def test_garbage_owns_no_more_than_there_is(version, kind, values, is_sure):
    """Objects that say anything: nothing is raised, and no phantom is believed."""
    raw = struct.pack(f"={len(values)}Q", *values).ljust(PAGE, b"\1")
    span = [(START, START + PAGE)]
    with made_up(raw, START) as image:
        memory = Bounded(image.memory, START, START + PAGE)
        types = Types(memory, layout_of(version), [])
        types._kinds[START] = kind
        buffers, counts = Buffers(types, memory, Large(), span, is_sure), Counts()
        places = list(range(0, len(values) - 15, 8))
        buffers.note(counts, START, kind, values, places)
        average, large = buffers.sizes(START)
    assert 0 <= counts.buffers[START] <= len(places) * (64 << 10)
    assert counts.in_malloc[START] <= counts.buffers[START]
    assert 0 <= large <= average < 64 << 10 if is_sure else 0 <= large <= average
