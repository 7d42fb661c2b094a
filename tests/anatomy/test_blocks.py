"""Large blocks, which malloc maps one by one."""

import pytest
from truth import check_quiet


@pytest.mark.parametrize("count", [40, pytest.param(400, marks=pytest.mark.deep)])
def test_number_of_blocks(start, look, record_property, count):
    """As many as malloc counts, however they were got; their bytes are those that are resident."""
    target = start("target_blocks.py", count)
    for command in ("info", "more", "info"):
        said = target.ask(command)
        found = look(target)
        record_property("blocks", f"{found.big_blocks.count}/{said['hblks']}")
        assert found.big_blocks.count == said["hblks"]
        assert found.big_blocks.expected_count == said["hblks"]
        assert found.big_blocks.bytes <= said["hblkhd"]
        assert found.bytes_of("big_blocks") == pytest.approx(found.big_blocks.bytes, rel=0.01)
        assert sum(each.count for each in found.big_blocks.sizes) == said["hblks"]
        check_quiet(found, target.pid)


def test_blocks_that_begin_later(start, look):
    """posix_memalign with large alignments: the head is not in the first page of its mapping."""
    target = start("target_blocks.py", 10)
    said = target.ask("align")
    found = look(target)
    assert found.big_blocks.expected_count == said["hblks"]
    assert found.big_blocks.count == said["hblks"] or any(
        "block" in each.what or "block" in each.reason for each in found.missing
    ), (found.big_blocks, said)
    check_quiet(found, target.pid)


def test_what_only_looks_like_blocks(start, look):
    """Memory that imitates blocks and pools: counts are malloc's own, or there is a warning."""
    target = start("target_places.py", "forged")
    found = look(target)
    blocks = found.big_blocks
    assert blocks.expected_count == target.ask("info")["hblks"]
    assert blocks.count == blocks.expected_count or found.missing, (blocks, found.missing)
    # The forged ones have 8 KiB, which nobody would map.
    assert all(size.at_least_bytes >= 64 << 10 for size in blocks.sizes) or found.missing, blocks
    assert found.explained_bytes <= 1.005 * found.rss_bytes


@pytest.mark.parametrize("size", [300_000, 5 << 20])
def test_resident_part_only(children, look, size):
    """A block of which only the head was touched counts with that."""
    child = children.ready(
        "import ctypes, sys\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.malloc.restype = ctypes.c_void_p\n"
        f"held = [libc.malloc({size}) for _ in range(20)]\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    found = look(child.pid).big_blocks
    assert found.count == found.expected_count >= 20
    assert 20 * 4096 <= found.bytes < 2 << 20
