"""Two censuses, and what grew between them: whose memory it is."""

import pytest
from counting import described

from memtop.anatomy.objects import compare

MB = 1 << 20
SOME = 12


def grown(start, census, kind, **options):
    """The second census, what grew, and by how much malloc grew."""
    target = start("target_growing.py", kind, SOME, **options)
    first = census(target, full=True)
    target.ask("grow")
    second = census(target, full=True)
    growth = compare(first, second)
    assert growth is not None
    return first, second, growth


def test_a_dictionary_of_messages(start, census):
    """bytes grow most, and so many of the class; nothing else grows that is not of a message."""
    first, second, growth = grown(start, census, "messages")
    by_name = {one.type: one for one in growth.types}
    assert growth.types[0].type == "bytes", growth.types[:5]
    assert by_name["Partial"].module == "__main__"
    assert by_name["Partial"].count == SOME * 350
    assert by_name["bytes"].count == pytest.approx(3 * SOME * 350, rel=0.01)
    assert by_name["bytes"].bytes == pytest.approx(3 * SOME * 350 * 950, rel=0.05)
    leading = {one.type for one in growth.types if one.bytes > 0.03 * growth.types[0].bytes}
    assert leading <= {"bytes", "Partial", "dict", "list", "str"}, growth.types[:8]
    # All that grew in malloc is Python's.
    python = second.malloc_in_use_python_bytes - first.malloc_in_use_python_bytes
    malloc = second.malloc_in_use_bytes - first.malloc_in_use_bytes
    assert python == pytest.approx(malloc, rel=0.05)


def test_frames_that_cycles_hold(start, census, numpy_python):
    """Arrays with their shape, and the class that holds them."""
    _, second, growth = grown(start, census, "frames", python=numpy_python)
    assert growth.types[0].type.endswith("ndarray"), growth.types[:5]
    assert growth.types[0].count == SOME // 4 * 4
    assert growth.types[0].bytes >= SOME // 4 * 4 * 480 * 640 * 3
    assert any(one.type == "Stream" and one.count == SOME // 4 for one in growth.types)
    owner = max(second.big_blocks, key=lambda one: one.bytes)
    assert owner.type.endswith("ndarray") and "480" in owner.detail and "640" in owner.detail


@pytest.mark.parametrize("kind", ["native", "mapped"])
def test_blocks_of_c(start, census, kind):
    """No type of Python grows: the memory is native or unknown, in malloc or in big blocks."""
    first, second, growth = grown(start, census, kind)
    assert all(abs(one.bytes) < MB // 4 for one in growth.types), growth.types[:5]
    assert second.big_blocks_python_bytes == pytest.approx(first.big_blocks_python_bytes, abs=MB)
    native = [one for one in second.big_blocks if one.type == "native or unknown"]
    if kind == "mapped":
        before = [one for one in first.big_blocks if one.type == "native or unknown"]
        assert native[0].bytes - before[0].bytes == pytest.approx(SOME * MB, rel=0.02)
        assert second.big_blocks_bytes - first.big_blocks_bytes >= SOME * MB
    else:
        python = second.malloc_in_use_python_bytes - first.malloc_in_use_python_bytes
        assert abs(python) < MB // 4
        total = second.malloc_in_use_bytes - first.malloc_in_use_bytes
        assert total == pytest.approx(SOME * MB, rel=0.05)


def test_what_is_given_back_has_not_grown(start, census):
    """Nothing is said to grow where all was freed, although its bytes still lie there."""
    _, second, growth = grown(start, census, "steady")
    assert all(abs(one.bytes) < MB // 10 for one in growth.types), growth.types[:5]
    assert second.bytes < 10 * MB, described(second)
