"""The arenas of malloc: what is in use is what malloc says, and trimming gives what was told."""

import os
import shutil

import pytest
from truth import MB, check_heap, check_trim, in_use

deep = pytest.mark.deep
KINDS = ("frames", "mixed", "buffers", "young")


@pytest.mark.parametrize(
    ("kind", "threads", "megabytes"),
    [
        ("frames", 12, 80),
        ("mixed", 12, 40),
        ("buffers", 16, 60),
        ("young", 12, 40),
        *(pytest.param(kind, 12, size, marks=deep) for kind in KINDS for size in (200, 600)),
        pytest.param("buffers", 16, 400, marks=deep),
        pytest.param("mixed", 1, 300, marks=deep),
    ],
)
def test_fragmented_heap(start, look, record_property, kind, threads, megabytes):
    """Many threads, each with holes in its arena: in use to 0.1 %, trimming to 1 %."""
    target = start("target_heap.py", kind, threads, megabytes)
    found = check_heap(target, look, record_property)
    assert len(found.arenas) == min(threads + 1, 8 * os.cpu_count())
    assert found.confidence == 1.0
    assert found.resyncs == 0
    assert found.allocator.startswith("glibc")
    assert found.threads == threads + 1


def test_trim_twice(start, look, record_property):
    """After a trim there is nothing more to trim; what is gone counts as released."""
    target = start("target_heap.py", "buffers", 4, 30)
    before = look(target)
    check_trim(target, before, record_property)
    after = look(target)
    assert after.trim_would_return_bytes < 0.05 * MB
    grown = sum(a.released_bytes for a in after.arenas) - sum(
        a.released_bytes for a in before.arenas
    )
    lowered = before.arenas[0].system_bytes - after.arenas[0].system_bytes
    assert abs(grown + lowered - before.trim_would_return_bytes) < 0.1 * MB
    assert abs(in_use(after) - in_use(before)) < 0.001 * in_use(before)


def test_two_looks_agree(start, look):
    """A target at rest: the same figures again."""
    target = start("target_heap.py", "frames", 4, 20)
    first, second = look(target), look(target)
    assert first.arenas == second.arenas
    assert first.parts == second.parts
    assert first.trim_would_return_bytes == second.trim_would_return_bytes


@pytest.mark.parametrize(
    "kind", ["frames", "buffers", pytest.param("mixed", marks=deep), pytest.param("young")]
)
def test_quick_look(start, look, kind):
    """The free lists alone tell the same as the walk over all blocks."""
    from truth import identity_of

    from memtop.anatomy.anatomy import look_quickly

    target = start("target_heap.py", kind, 6, 40)
    whole = look(target)
    quick = look_quickly(identity_of(target.pid), most_s=10.0)
    assert quick is not None
    assert quick.arenas == whole.arenas
    of_malloc = [part for part in whole.parts if part.id.startswith("malloc_")]
    assert sorted((part.id, part.bytes) for part in quick.parts) == sorted(
        (part.id, part.bytes) for part in of_malloc
    )


@pytest.mark.parametrize(
    ("environment", "most"),
    [
        ({"GLIBC_TUNABLES": "glibc.malloc.arena_max=1"}, 1),
        ({"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}, 2),
        ({"MALLOC_ARENA_MAX": "2"}, 2),
    ],
)
def test_arenas_are_limited(start, look, record_property, environment, most):
    """arena_max: as many arenas, and the settings say so."""
    target = start("target_heap.py", "mixed", 6, 20, env=environment)
    found = check_heap(target, look, record_property)
    assert len(found.arenas) == most
    assert found.settings.arena_max == most


def test_settings(start, look):
    """Thresholds as they were set, and as they are by themselves."""
    usual = look(start("target_heap.py", "frames", 1, 2)).settings
    assert (usual.arena_max, usual.is_fixed) == (0, False)
    assert usual.top_pad_bytes == 128 << 10
    assert usual.mmap_threshold_bytes >= 128 << 10
    fixed = look(start("target_places.py", "mallopt")).settings
    assert fixed._asdict() == {
        "arena_max": 3,
        "mmap_threshold_bytes": 1 << 20,
        "trim_threshold_bytes": 3 << 20,
        "top_pad_bytes": 1 << 19,
        "is_fixed": True,
        "thread_cache_bytes": 7 * sum(range(32, 1041, 16)),  # seven blocks of each size
    }


@pytest.mark.parametrize("megabytes", [30, pytest.param(200, marks=deep)])
@pytest.mark.parametrize("kind", ["blocked", "foreign"])
def test_main_arena_in_pieces(start, look, record_property, kind, megabytes):
    """The heap could not grow by brk, or somebody else moved it: still what malloc says."""
    check_heap(start("target_places.py", kind, megabytes), look, record_property)


@pytest.mark.parametrize(
    "setting",
    [
        "PYTHONMALLOC=malloc",
        "PYTHONMALLOC=malloc_debug",
        "PYTHONMALLOC=debug",
        "GLIBC_TUNABLES=glibc.malloc.hugetlb=1",
        "GLIBC_TUNABLES=glibc.malloc.tcache_count=0",
        "GLIBC_TUNABLES=glibc.malloc.mxfast=0",
        "GLIBC_TUNABLES=glibc.malloc.perturb=85",
    ],
)
def test_other_settings(start, look, record_property, setting):
    """Python's objects in malloc, huge pages for it, no cache of threads, ...: nothing is off."""
    target = start("target_heap.py", "mixed", 6, 30, env=[setting.split("=", 1)])
    check_heap(target, look, record_property)


@pytest.mark.parametrize("megabytes", [10, pytest.param(80, marks=deep)])
@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("kind", ["holes", "small"])
def test_c_program(start, compiled, look, record_property, kind, cached, megabytes):
    """No Python: also with blocks in fast bins, which malloc_trim joins before it trims."""
    environment = {} if cached else {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
    program = compiled("target_heap.c")
    target = start(program, kind, 4, megabytes, env=environment)
    if kind == "small" and not cached:
        assert target.said["fsmblks"] > megabytes * MB // 4
    found = check_heap(target, look, record_property)
    assert found.python is None
    assert found.pymalloc is None


def test_never_used(start, look):
    """A program that has hardly taken anything from malloc: an answer, and nothing wrong in it."""
    target = start(shutil.which("sleep"), "60", first=False)
    wait_for_exec(target.pid, "sleep")
    found = look(target)
    assert sum(arena.system_bytes for arena in found.arenas) <= 1 << 20
    assert found.explained_bytes <= 1.005 * found.rss_bytes


def wait_for_exec(pid, name):
    import time

    for _ in range(500):
        with open(f"/proc/{pid}/comm") as file:
            if file.read().strip() == name:
                break
        time.sleep(0.002)
    time.sleep(0.05)


def test_this_process(look):
    """A process may look at itself, too."""
    found = look(os.getpid())
    assert 0.97 <= found.explained_bytes / found.rss_bytes <= 1.02
