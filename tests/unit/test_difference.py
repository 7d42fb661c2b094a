"""What changed between two looks at a process: per part, per minute."""

import pytest

from memtop.anatomy.difference import compare
from memtop.anatomy.result import Anatomy, Part
from memtop.probe.sample import Identity

MIB = 1 << 20
ME = Identity(100, 4711)


def looked(at, rss, *parts, identity=ME):
    made = tuple(Part(part, part.replace("_", " "), size) for part, size in parts)
    return Anatomy(identity, "shop", at, 0.3, rss, made)


def test_growth_has_an_owner():
    """The incident: +60 MiB in ten minutes, of which objects 10 and trapped 46."""
    before = looked(
        1000.0, 1056 * MIB, ("python_objects", 308 * MIB), ("malloc_trapped", 259 * MIB)
    )
    after = looked(1600.0, 1116 * MIB, ("python_objects", 318 * MIB), ("malloc_trapped", 305 * MIB))
    difference = compare(before, after)

    assert (difference.since_at, difference.seconds) == (1000.0, 600.0)
    assert difference.rss_bytes == 60 * MIB
    assert [(one.id, one.bytes) for one in difference.changes] == [
        ("malloc_trapped", 46 * MIB),
        ("python_objects", 10 * MIB),
    ]
    assert difference.changes[0].label == "malloc trapped"
    assert difference.changes[0].per_minute == pytest.approx(4.6 * MIB)


def test_the_largest_change_is_first_whatever_its_sign():
    """A part that shrank by much is more to the point than one that grew a little."""
    before = looked(0.0, 9, ("files", 5), ("other", 900), ("shared", 7))
    after = looked(60.0, 9, ("files", 25), ("other", 100), ("shared", 7))
    changes = compare(before, after).changes

    assert [(one.id, one.bytes) for one in changes] == [
        ("other", -800),
        ("files", 20),
        ("shared", 0),
    ]
    assert [one.per_minute for one in changes] == [-800, 20, 0]


def test_parts_come_and_go():
    """What only one of the looks found was nothing in the other."""
    before = looked(0.0, 9, ("big_blocks", 300))
    after = looked(30.0, 9, ("huge_page_bloat", 50))
    difference = compare(before, after)

    assert {one.id: (one.bytes, one.per_minute) for one in difference.changes} == {
        "big_blocks": (-300, -600),
        "huge_page_bloat": (50, 100),
    }
    assert difference.of("big_blocks").bytes == -300
    assert difference.of("files") is None


def test_several_pieces_of_a_part_are_one_change():
    """As when two allocators have memory of their own."""
    before = looked(0.0, 9, ("allocator_other", 10), ("allocator_other", 20))
    after = looked(60.0, 9, ("allocator_other", 45))

    (change,) = compare(before, after).changes
    assert change.bytes == 15


@pytest.mark.parametrize("other", [Identity(100, 4712), Identity(101, 4711)])
def test_another_process_is_no_comparison(other):
    """Neither another PID nor the same PID in use again."""
    assert compare(looked(0.0, 9), looked(9.0, 9, identity=other)) is None


def test_no_rate_without_time():
    """A clock that was set back, or two looks at the same moment, give no difference."""
    assert compare(looked(9.0, 9, ("files", 1)), looked(9.0, 9, ("files", 2))) is None
    assert compare(looked(9.0, 9, ("files", 1)), looked(8.0, 9, ("files", 2))) is None
