"""Memory that is not malloc's and no object: stacks, files, shared memory, huge pages."""

import os
from pathlib import Path

import pytest
from truth import check_quiet, check_sums, described, resident


def label_sums(pid):
    """Resident bytes by what smaps says of the mappings."""
    sums = {"files": 0, "shared": 0, "huge": 0}
    kind = None
    with open(f"/proc/{pid}/smaps") as lines:
        for line in lines:
            fields = line.split()
            if "-" in fields[0] and not fields[0].endswith(":"):
                path = fields[5] if len(fields) > 5 else ""
                kind = "shared" if "s" in fields[1] else "files" if path[:1] == "/" else None
            elif kind and fields[0] == "Rss:":
                sums[kind] += int(fields[1]) << 10
            elif fields[0] == "AnonHugePages:":
                sums["huge"] += int(fields[1]) << 10
    return sums


def test_stacks(start, look):
    """Threads that have called deeply: what of their stacks is resident."""
    few = look(start("target_places.py", "mallopt"))
    target = start("target_places.py", "stacks")
    found = look(target)
    check_sums(found)
    assert found.threads == 7
    assert found.bytes_of("thread_stacks") >= 6 * 16 << 10
    # The frames of Python's functions have stacks of their own, the main thread's, too.
    assert few.bytes_of("thread_stacks") <= 32 << 10
    assert found.bytes_of("main_stack") > 0


def test_files_and_shared_memory(start, look):
    """Shared memory is what it is for smaps; private copies of a file's pages are of the file."""
    target = start("target_places.py", "shared")
    found = look(target)
    check_quiet(found, target.pid)
    sums = label_sums(target.pid)
    assert found.bytes_of("shared") == sums["shared"] >= 8 << 20
    assert found.bytes_of("files") == pytest.approx(sums["files"], rel=0.02), described(found)


def test_huge_pages(start, look):
    """Zeros in huge pages of which little was touched are told apart."""
    target = start("target_places.py", "huge", 40)
    if label_sums(target.pid)["huge"] < 40 << 20:
        pytest.skip("the kernel gave no huge pages")
    found = look(target)
    assert found.bytes_of("huge_page_bloat") == pytest.approx(target.said["zero_bytes"], rel=0.02)
    assert found.explained_bytes <= 1.005 * resident(target.pid)


@pytest.mark.parametrize("name", ["jemalloc", "tcmalloc_minimal", "mimalloc"])
def test_other_allocators(start, look, name):
    """malloc of another library: its memory is one part, and no arena of glibc is invented."""
    folder = Path(os.environ.get("MEMTOP_ALLOCATORS", "/usr/lib/x86_64-linux-gnu"))
    found = sorted(folder.glob(f"lib{name}.so*"))
    if not found:
        pytest.skip(f"there is no lib{name} here")
    target = start("target_heap.py", "mixed", 4, 30, env={"LD_PRELOAD": str(found[0])})
    anatomy = look(target)
    assert anatomy.allocator.startswith(name.partition("_")[0])
    assert anatomy.provider == found[0].name or anatomy.provider.startswith(f"lib{name}")
    assert not anatomy.trim_would_return_bytes
    assert anatomy.bytes_of("allocator_other") > 20 << 20, described(anatomy)
    assert sum(arena.system_bytes for arena in anatomy.arenas) < 1 << 20
    assert 0.99 <= anatomy.explained_bytes / resident(target.pid) <= 1.005
    assert anatomy.bytes_of("python_objects") > 1 << 20
