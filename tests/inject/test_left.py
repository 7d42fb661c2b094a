"""What an action leaves in its target: nothing."""

import sys

import pytest
from injecting import DONE, descriptors_of, maps_of, regions_of, resident, settle, tasks

GROWTH_BYTES = 300 << 10
# In the course of hundreds the interpreter makes the table of its strings anew, once.
TABLE_BYTES = 256 << 10
# Code of libc that is in the page cache anyway is mapped in pieces of 64 KiB (mm/filemap.c).
CODE_BYTES = 800 << 10
CYCLES = 2000


def grown(pid, before):
    """By how much memory of its own has grown, and all that is resident."""
    return [resident(pid, key) - size for key, size in before.items()]


@pytest.mark.parametrize("action", ["trim", "gc"])
@pytest.mark.parametrize("times", [7, pytest.param(201, marks=pytest.mark.deep)])
def test_left_behind(start, act, record_property, action, times):
    """After one action and after many: no descriptor, thread, module, name or memory more."""
    target = start("target_limits.py", "garbage", CYCLES)
    pid = target.pid
    for _ in range(3):
        said = target.ask()  # the first answers import and allocate
    files, mapped = descriptors_of(pid), maps_of(pid)
    before = {key: resident(pid, key) for key in ("Anonymous", "Rss")}
    result = act(target, action)
    assert result["outcome"] in DONE, result["reason"]
    assert settle(lambda: len(tasks(pid)) == 1)
    once, mapped_once = grown(pid, before), maps_of(pid)
    for _ in range(times - 1):
        assert act(target, action)["outcome"] in DONE
        # Two of memtop's threads at once would have two stacks.
        assert settle(lambda: len(tasks(pid)) == 1)
    many = grown(pid, before)
    record_property("grown_kib_once", [size // 1024 for size in once])
    record_property("grown_kib_many", [size // 1024 for size in many])
    for (own, all_of_it), more in ((once, 0), (many, TABLE_BYTES if times > 50 else 0)):
        assert own <= GROWTH_BYTES + more
        assert all_of_it <= GROWTH_BYTES + CODE_BYTES + more
    assert target.ask() == said
    assert descriptors_of(pid) == files
    assert not regions_of(pid)
    # A stack that glibc keeps, and the arena of its thread, once.
    assert len(mapped_once) - len(mapped) <= 6
    assert len(maps_of(pid)) - len(mapped_once) <= 1


def test_what_gc_found(start, act):
    """The garbage that there was is collected once, and the figures say so."""
    target = start("target_limits.py", "garbage", CYCLES)
    first, second = act(target, "gc"), act(target, "gc")
    assert first["outcome"] in DONE
    assert CYCLES <= first["collected"] < CYCLES + 1000
    assert second["collected"] < CYCLES
    assert first["uncollectable"] == 0


def test_what_trim_returned(start, act):
    """Free memory between blocks in use goes back to the system; the figures are the system's."""
    target = start("target_limits.py", "holes", 60, python=sys.executable)
    before = resident(target.pid)
    result = act(target, "trim")
    after = resident(target.pid)
    assert result["outcome"] == "returned"
    assert before - after > 30 << 20
    assert abs(result["returned_bytes"] - (before - after)) < 2 << 20
    again = act(target, "trim")
    assert again["outcome"] in DONE
    assert again["returned_bytes"] < 1 << 20
