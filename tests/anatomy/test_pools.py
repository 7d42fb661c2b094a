"""Python's objects: the blocks of pymalloc are what sys._debugmallocstats counts."""

import pytest
from truth import check_quiet, statistics


@pytest.mark.parametrize("count", [150_000, pytest.param(2_000_000, marks=pytest.mark.deep)])
@pytest.mark.parametrize("how", ["some", "full"])
def test_blocks_in_use(start, look, record_property, python, how, count):
    """Used to 0.01 %, on every Python: objects of all sizes, many of which died."""
    target = start("target_objects.py", count, how, python=python)
    statistics(target)
    used, _ = statistics(target)
    found = look(target)
    again, free = statistics(target)
    check_quiet(found, target.pid)
    least, most = min(used, again), max(used, again)
    off = max(least - found.pymalloc.used_bytes, found.pymalloc.used_bytes - most, 0)
    record_property("off", f"{off / most:.5%}")
    assert off <= max(0.0001 * most, 2000), (found.pymalloc, used, again)
    # What was never touched is free for Python, but not resident.
    assert found.pymalloc.free_bytes <= 1.001 * free
    if how == "some":
        assert found.pymalloc.free_bytes >= 0.8 * free
    parts = found.bytes_of("python_objects", "pymalloc_free")
    assert abs(parts - found.pymalloc.used_bytes - found.pymalloc.free_bytes) < 0.05 * parts


def test_debug_hooks(start, look):
    """PYTHONMALLOC=debug puts bytes around each object, which belong to it."""
    target = start("target_objects.py", 50_000, env={"PYTHONMALLOC": "debug"})
    used, _ = statistics(target)
    found = look(target)
    assert found.pymalloc.used_bytes == pytest.approx(used, rel=0.001)
    check_quiet(found, target.pid)


def test_without_pymalloc(start, look):
    """PYTHONMALLOC=malloc: there are no pools, and all objects count as malloc's."""
    target = start("target_objects.py", 50_000, env={"PYTHONMALLOC": "malloc"})
    found = look(target)
    assert found.bytes_of("python_objects", "pymalloc_free") == 0
    assert not found.pymalloc or not found.pymalloc.used_bytes
    check_quiet(found, target.pid)


def test_c_program_has_no_objects(start, compiled, look):
    """Where there is no Python, nothing is taken for its objects."""
    found = look(start(compiled("target_heap.c"), "holes", 2, 10))
    assert found.pymalloc is None
    assert found.bytes_of("python_objects", "pymalloc_free") == 0
