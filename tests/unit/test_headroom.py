"""What is left before something is killed: in written cgroup trees, and in a real one."""

import os
import sys
import time
from pathlib import Path

import pytest

from memtop.actions.headroom import Headroom, headroom
from memtop.probe import parse

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc")

MIB = 1 << 20
MEMORY_V1 = Path("/sys/fs/cgroup/memory")
AVAILABLE_MIB = 4000


class Tree:
    """A /proc with process 7, and cgroup files of one version beside it."""

    def __init__(self, folder, version):
        self.proc, self.files, self.version = folder / "proc", folder / "cgroup", version
        process = self.proc / "7"
        process.mkdir(parents=True)
        self.files.mkdir()
        numbers = " ".join(map(str, [1, 7, 7, 0, -1, *[0] * 12, 100, 9000, 500, *[0] * 28]))
        process.joinpath("stat").write_text(f"7 (python) S {numbers}\n")
        process.joinpath("cgroup").write_text(
            "0::/pod/app\n" if version == 2 else "4:memory:/pod/app\n0::/\n"
        )
        (self.proc / "meminfo").write_text(f"MemAvailable: {AVAILABLE_MIB * 1024} kB\n")
        self.group("", None, 0)

    def group(self, path, limit_mib, used_mib, inactive_mib=0, hierarchical_mib=None):
        folder = self.files / path
        folder.mkdir(exist_ok=True)
        limit = "max" if self.version == 2 else 9223372036854771712
        if limit_mib is not None:
            limit = limit_mib * MIB
        if self.version == 2:
            names = {"memory.max": limit, "memory.current": used_mib * MIB}
            stat = f"anon 1\ninactive_file {inactive_mib * MIB}\n"
        else:
            names = {"memory.limit_in_bytes": limit, "memory.usage_in_bytes": used_mib * MIB}
            stat = f"total_rss 1\ntotal_inactive_file {inactive_mib * MIB}\n"
            if hierarchical_mib is not None:
                stat += f"hierarchical_memory_limit {hierarchical_mib * MIB}\n"
        for name, value in names.items():
            (folder / name).write_text(f"{value}\n")
        (folder / "memory.stat").write_text(stat)
        (folder / "cgroup.procs").write_text("")

    def headroom(self):
        return headroom(7, root=str(self.proc), cgroupfs=str(self.files))


@pytest.fixture(params=[1, 2], ids=["v1", "v2"])
def tree(request, tmp_path):
    """A written tree of each version."""
    return Tree(tmp_path, request.param)


def test_its_own_limit_without_inactive_files(tree):
    """Inactive files can be reclaimed, and count as room."""
    tree.group("pod", None, 90)
    tree.group("pod/app", 100, 80, inactive_mib=20)

    assert tree.headroom() == Headroom(40 * MIB, "/pod/app")


def test_the_least_room_holds_not_the_least_limit(tree):
    """A pod that is nearly full counts, although its limit is larger than the container's."""
    tree.group("pod", 200, 190)
    tree.group("pod/app", 100, 50)

    assert tree.headroom() == Headroom(10 * MIB, "/pod")


def test_no_limit_is_the_machine(tree):
    """Without any limit the machine's available memory is what there is: known, and no cgroup's."""
    tree.group("pod", None, 190)
    tree.group("pod/app", None, 50)

    assert tree.headroom() == Headroom(AVAILABLE_MIB * MIB)


def test_the_machine_may_have_less_than_the_limit(tree):
    """A limit that the machine cannot fulfil is no room."""
    tree.group("pod", None, 1)
    tree.group("pod/app", 10 * AVAILABLE_MIB, 50)

    assert tree.headroom() == Headroom(AVAILABLE_MIB * MIB)


def test_beyond_its_limit_nothing_is_left(tree):
    """Usage beyond a limit that was lowered is no negative room."""
    tree.group("pod", None, 1)
    tree.group("pod/app", 100, 120)

    assert tree.headroom().bytes == 0


@pytest.mark.parametrize("broken", ["memory.max", "memory.current"])
def test_what_cannot_be_read_is_unknown(tmp_path, broken):
    """An unreadable limit or use makes the room unknown, whatever else is known, and says why."""
    tree = Tree(tmp_path, 2)
    tree.group("pod", 200, 100)
    tree.group("pod/app", 100, 50)
    (tree.files / "pod" / broken).write_text("\n")

    found = tree.headroom()

    assert (found.bytes, found.path) == (None, "/pod")
    assert found.why


def test_a_limit_above_what_is_shown(tmp_path):
    """v1 tells a limit above that no mount shows, but not how much of it is used: unknown."""
    tree = Tree(tmp_path, 1)
    (tree.proc / "7" / "cgroup").write_text("4:memory:/\n")
    tree.group("", 100, 50, hierarchical_mib=80)

    found = tree.headroom()

    assert found.bytes is None
    assert "cannot be read" in found.why


def test_no_files_is_unknown(tree):
    """A cgroup whose files are not there is not the same as no limit."""
    found = tree.headroom()

    assert found.bytes is None
    assert "no files" in found.why


def test_a_kernel_without_memory_cgroups(tree):
    """Then there can be no limit, and the machine's memory is the room."""
    (tree.proc / "7" / "cgroup").write_text("3:cpu:/\n")

    assert tree.headroom() == Headroom(AVAILABLE_MIB * MIB)


def test_a_machine_that_does_not_tell(tree):
    """Without MemAvailable and without a limit nothing is known."""
    tree.group("pod", None, 1)
    tree.group("pod/app", None, 1)
    (tree.proc / "meminfo").write_text("MemTotal: 1 kB\n")

    found = tree.headroom()

    assert found.bytes is None
    assert found.why


def test_who_has_ended_has_none(tree):
    """A process that is gone has no headroom, and that is the reason."""
    assert headroom(8, root=str(tree.proc)) == Headroom(None, why="8 has ended")


def test_in_a_real_cgroup(children):
    """The limit of a real cgroup above the process's own is found, and nothing stays open."""
    raw = Path("/proc/self/cgroup").read_bytes()
    if parse.parse_memory_cgroup(raw) is None or parse.parse_memory_cgroup(raw)[0] != 1:
        pytest.skip("this test makes cgroups of version 1")
    outer = MEMORY_V1 / f"memtop-test-{os.getpid()}"
    try:
        outer.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    inner = outer / "inner"
    child = children.ready("print('ready', flush=True); import sys; sys.stdin.read()")
    try:
        inner.mkdir()
        (outer / "memory.limit_in_bytes").write_text(str(64 * MIB))
        (inner / "cgroup.procs").write_text(str(child.pid))
        before = len(os.listdir("/proc/self/fd"))

        found = headroom(child.pid)

        assert len(os.listdir("/proc/self/fd")) == before
        assert found.path == f"/{outer.name}"
        assert 0 < found.bytes <= 64 * MIB
    finally:
        child.kill()
        child.wait()
        time.sleep(0.1)  # it leaves its cgroup a moment after it was reaped
        inner.rmdir()
        outer.rmdir()
