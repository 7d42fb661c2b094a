"""Zero pages inside huge pages, in a real program that has some."""

import os
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtop.anatomy.bloat import mark_bloat
from memtop.target.pages import BLOAT, EXCLUSIVE, PAGE, SHARED, SHARED_BLOAT

sys.path.insert(0, str(Path(__file__).parent.parent))
from images import made_up, opened

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc")

START = 0x7F0000000000
HUGE = 2 << 20
# Touches a byte in each huge page, and 100 pages more in the first one; prints where they are.
TARGET = """
import ctypes, mmap, sys
size, huge = 32 << 20, 2 << 20
area = mmap.mmap(-1, size + huge, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
start = -(-ctypes.addressof(ctypes.c_char.from_buffer(area)) // huge) * huge
ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), 14)
for at in range(0, size, huge):
    ctypes.memset(start + at + 3 * 4096 + 77, 1, 1)
for page in range(100, 200):
    ctypes.memset(start + page * 4096 + 4095, 1, 1)
print(start, flush=True)
sys.stdin.read()
"""


def test_what_was_never_written_to(children):
    """32 MiB are resident, and all but a page in each huge page is bloat; it stays so."""
    child = children.python(TARGET)
    start = int(child.stdout.readline())
    end = start + (32 << 20)
    with opened(child.pid) as process:
        huge = sum(r.huge_bytes for r in process.regions if r.start < end and start < r.end)
        if huge < 32 << 20 or not process.pages.huge:
            pytest.skip("this kernel gives no huge pages, or does not say which they are")
        assert process.pages.bloat_bytes(start, end) == 0
        assert mark_bloat(process.image, process.spans, time.monotonic() + 60)
        assert process.pages.resident_bytes(start, end) == 32 << 20
        assert process.pages.bloat_bytes(start, end) == (32 << 20) - 116 * PAGE
        assert process.pages.kind(start + 3 * PAGE) == EXCLUSIVE
    with opened(child.pid) as process:
        assert process.pages.resident_bytes(start, end) == 32 << 20


def test_the_time_is_up(children):
    """Then it says so, and has marked nothing more."""
    child = children.python(TARGET)
    start = int(child.stdout.readline())
    with opened(child.pid) as process:
        if not process.pages.huge:
            pytest.skip("this kernel gives no huge pages, or does not say which they are")
        assert not mark_bloat(process.image, process.spans, time.monotonic() - 1)
        assert process.pages.bloat_bytes(start, start + (32 << 20)) == 0


def test_only_huge_pages_of_the_spans():
    """Zero pages elsewhere were written by somebody, or belong to other memory."""
    kinds = [EXCLUSIVE] * 1536
    huge = [(START, START + HUGE), (START + 2 * HUGE, START + 3 * HUGE)]
    with made_up(bytes(3 * HUGE), START, kinds, huge) as image:
        spans = [(START + HUGE // 2, START + HUGE + PAGE), (START + 2 * HUGE, START + 9 * HUGE)]
        assert mark_bloat(image, spans, time.monotonic() + 60)
        assert list(image.pages.extents[0].kinds) == (
            [EXCLUSIVE] * 256 + [BLOAT] * 256 + [EXCLUSIVE] * 512 + [BLOAT] * 512
        )


pieces = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from([0, 1, 511]), st.integers(0, 1 << 63)),
    min_size=1,
    max_size=40,
)


@settings(deadline=None, max_examples=100)
@given(
    pieces,
    st.data(),
    st.lists(st.tuples(st.integers(-3, 40), st.integers(0, 20)), max_size=6),
    st.lists(st.tuples(st.integers(-3, 40), st.integers(0, 20)), max_size=6),
)
def test_exactly_the_resident_zero_pages_are_marked(pages, data, runs, spans):
    """Wherever huge pages and spans overlap; absent, swapped and written pages stay as they are."""
    raw = bytearray(len(pages) * PAGE)
    for index, (chance, word, value) in enumerate(pages):
        if not chance:
            raw[index * PAGE + 8 * word : index * PAGE + 8 * word + 8] = value.to_bytes(8, "little")
    kinds = data.draw(st.lists(st.integers(0, 4), min_size=len(pages), max_size=len(pages)))
    huge = [(START + low * PAGE, START + (low + size) * PAGE) for low, size in runs]
    areas = [(START + low * PAGE, START + (low + size) * PAGE) for low, size in spans]
    with made_up(bytes(raw), START, kinds, huge) as image:
        assert mark_bloat(image, disjoint(areas), time.monotonic() + 60)
        found = list(image.pages.extents[0].kinds)

    def expected(index):
        at = START + index * PAGE
        inside = all(any(a <= at < b for a, b in each) for each in (huge, areas))
        is_zero = not any(raw[index * PAGE : (index + 1) * PAGE])
        if inside and is_zero and kinds[index] in (EXCLUSIVE, SHARED):
            return BLOAT if kinds[index] == EXCLUSIVE else SHARED_BLOAT
        return kinds[index]

    assert found == [expected(index) for index in range(len(pages))]


def disjoint(areas):
    """The same places, as spans are: in order, and none twice."""
    left, merged = sorted(areas), []
    for start, end in left:
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def test_many_runs_and_many_spans_take_little_time():
    """Thousands of each are walked through side by side, not each with each."""
    count = 20_000
    runs = [(START + 4 * i * PAGE, START + (4 * i + 2) * PAGE) for i in range(count)]
    areas = [(START + (4 * i + 2) * PAGE, START + (4 * i + 4) * PAGE) for i in range(count)]
    with made_up(bytes(PAGE), START, [EXCLUSIVE], runs) as image:
        begin = os.times().user
        assert mark_bloat(image, areas, time.monotonic() + 60)
        assert os.times().user - begin < 2
