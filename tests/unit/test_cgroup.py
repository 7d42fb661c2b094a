"""The files of memory cgroups, where they are found, and when they are read."""

import os
import time
from pathlib import Path

import pytest

from memtop.errors import MemtopError
from memtop.probe import cgroup, cgroupfs, cgroups, parse
from memtop.probe.cgroup import CgroupFiles
from memtop.probe.cgroupfs import Finder, Place, Unknown, View, place_of
from memtop.probe.cgroups import CgroupTable
from memtop.probe.procfs import ProcfsSource
from memtop.probe.sample import Identity, Pod

MIB = 1 << 20
STAT_V2 = f"""anon {40 * MIB}
file {30 * MIB}
kernel {9 * MIB}
shmem {6 * MIB}
inactive_anon 1
inactive_file {8 * MIB}
anon_thp 0
slab_reclaimable {4 * MIB}
"""
V2 = {
    "memory.max": f"{100 * MIB}\n",
    "memory.high": f"{90 * MIB}\n",
    "memory.current": f"{80 * MIB}\n",
    "memory.stat": STAT_V2,
    "memory.swap.current": f"{3 * MIB}\n",
    "memory.peak": f"{95 * MIB}\n",
    "memory.events": "low 0\nhigh 7\nmax 9\noom 3\noom_kill 2\noom_group_kill 1\n",
    "memory.oom.group": "1\n",
    "memory.pressure": "some avg10=12.50 avg60=8.91 avg300=1.90 total=5731241\nfull avg10=1.00\n",
    "cgroup.procs": "",
}
STAT_V1 = f"""cache 1
rss 1
shmem 1
inactive_file 1
hierarchical_memory_limit {50 * MIB}
total_cache {30 * MIB}
total_rss {40 * MIB}
total_shmem {6 * MIB}
total_swap {3 * MIB}
total_inactive_file {8 * MIB}
"""
V1 = {
    "memory.limit_in_bytes": f"{100 * MIB}\n",
    "memory.usage_in_bytes": f"{80 * MIB}\n",
    "memory.kmem.usage_in_bytes": f"{9 * MIB}\n",
    "memory.max_usage_in_bytes": f"{95 * MIB}\n",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    "memory.stat": STAT_V1,
    "cgroup.procs": "",
}


def write(folder, files):
    """A folder with these files; None takes one away."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        if text is None:
            (folder / name).unlink(missing_ok=True)
        else:
            (folder / name).write_text(text)
    return folder


def read(folder, version, keep=()):
    """The figures in a folder."""
    files = CgroupFiles(os.open(folder, os.O_PATH), version, keep)
    try:
        return files.read("/x", "/", files.read_stable(), None)
    finally:
        files.close()


@pytest.mark.parametrize("keep", [(), cgroup.HOT[2], cgroup.ALL[2]])
def test_figures_of_v2(tmp_path, keep):
    """Working set as kubelet has it; the floor without what can be reclaimed; the rest as it is."""
    figures = read(write(tmp_path / "x", V2), 2, keep)

    assert figures == (
        *("/x", "/", None, 100 * MIB, False, None, "memory.max", 90 * MIB),
        *(80 * MIB, 72 * MIB, (40 + 6 + 9 - 4) * MIB, 40 * MIB, 30 * MIB, 9 * MIB),
        *(3 * MIB, 95 * MIB, 2, True, 12.5, 6 * MIB),
    )


@pytest.mark.parametrize("keep", [(), cgroup.HOT[1], cgroup.ALL[1]])
def test_figures_of_v1(tmp_path, keep):
    """Totals over all below; kernel memory, which may be reclaimable there, is not in the floor."""
    figures = read(write(tmp_path / "x", V1), 1, keep)

    assert figures == (
        *("/x", "/", None, 100 * MIB, False, None, "memory.limit_in_bytes", None),
        *(80 * MIB, 72 * MIB, 46 * MIB, 40 * MIB, 30 * MIB, 9 * MIB),
        *(3 * MIB, 95 * MIB, 2, False, None, 6 * MIB),
    )


@pytest.mark.parametrize(
    ("version", "text"),
    [(2, "max\n"), (1, "9223372036854771712\n"), (1, "9223372036854710272\n")],
)
def test_no_limit(tmp_path, version, text):
    """`max`, and on v1 a number near 2^63 (of pages of 4 or 64 KiB), are no limit."""
    name = cgroup.LIMIT_FILES[version]
    folder = write(tmp_path / "x", {**(V1 if version == 1 else V2), name: text})

    figures = read(folder, version)

    assert (figures.limit_bytes, figures.unlimited, figures.limit_file) == (None, True, None)


@pytest.mark.parametrize("text", ["", "x\n", "-1\n", "1e9\n", "9" * 30])
def test_an_odd_limit_is_unknown(tmp_path, text):
    """What is neither a number nor `max` is not taken for no limit."""
    figures = read(write(tmp_path / "x", {**V2, "memory.max": text}), 2)

    assert (figures.limit_bytes, figures.unlimited) == (None, False)
    assert figures.reason == "memory.max cannot be read"


def test_other_kernels(tmp_path):
    """Files and lines that a kernel does not have leave None, and never a wrong number."""
    folder = write(tmp_path / "x", dict.fromkeys(V2, None) | {"memory.max": "4096\n"})
    assert read(folder, 2)[8:] == (None,) * 12
    old = STAT_V2.replace(f"kernel {9 * MIB}", f"kernel_stack {MIB}\nslab {5 * MIB}\npagetables 0")
    assert read(write(folder, {"memory.stat": old}), 2).kernel_bytes == 6 * MIB
    no_shmem = STAT_V1.replace("total_shmem", "total_else")
    figures = read(write(tmp_path / "y", {**V1, "memory.stat": no_shmem}), 1)
    assert (figures.floor_bytes, figures.anon_bytes) == (None, 40 * MIB)


def test_more_inactive_than_used(tmp_path):
    """The working set is never negative."""
    figures = read(write(tmp_path / "x", {**V2, "memory.current": "4096\n"}), 2)

    assert figures.working_set_bytes == 0


def test_a_folder_that_is_gone(tmp_path):
    """An error tells so, also when its files were open."""
    for keep in ((), cgroup.ALL[2]):
        folder = write(tmp_path / "x", V2)
        files = CgroupFiles(os.open(folder, os.O_PATH), 2, keep)
        stable = files.read_stable()
        for name in os.listdir(folder):
            (folder / name).unlink()
        folder.rmdir()
        if not keep:  # of a copy open files live on; those of a cgroup do not
            with pytest.raises(OSError, match="No such"):
                files.read("/x", None, stable, None)
            with pytest.raises(OSError, match="No such"):
                files.read_stable()
        files.close()
        files.close()


# -- places --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/a", "/a/b.slice", "/..", "/../..", "/../a:b/c d"])
def test_places(path):
    """A path of the kernel means one place, whose path is the same."""
    assert place_of(path).path == path


@pytest.mark.parametrize(
    "path", ["", "a", "//", "/a/", "/a//b", "/a/../b", "/./a", "/a/.", "/a\0b", "/a" * 65]
)
def test_no_places(path):
    """What no kernel writes is no place."""
    with pytest.raises(ValueError, match=r"^"):
        place_of(path)


@pytest.mark.parametrize(
    ("root", "path", "expected"),
    [
        ("/", "/", ()),
        ("/", "/a/b", ("a", "b")),
        ("/a", "/a/b", ("b",)),
        ("/a", "/ab", None),
        ("/a", "/", None),
        # a cgroup namespace: above its root names are not known
        ("/", "/../a", None),
        ("/../a", "/../a", ()),
        ("/../a", "/../a/b", ("b",)),
        ("/../a", "/../b", None),
        ("/../a", "/a", None),
        ("/..", "/../a", ("a",)),
        ("/../..", "/../a", None),
        ("/..", "/", None),
    ],
)
def test_ways(root, path, expected):
    """Below a mount are only the cgroups of which this is certain."""
    assert View(-1, place_of(root), 2).way(place_of(path)) == expected


def test_ways_through_the_own_root(tmp_path):
    """A mount from above shows memtop's own cgroup, found by its inode, and with it the others."""
    own = write(tmp_path / "pods" / "one" / "own", {})
    (tmp_path / "else" / "own").mkdir(parents=True)
    view = View(os.open(tmp_path, os.O_PATH), place_of("/../../.."), 2)
    view.own_inode = own.stat().st_ino

    assert view.way(place_of("/")) == ("pods", "one", "own")
    assert view.way(place_of("/inner")) == ("pods", "one", "own", "inner")
    assert view.way(place_of("/../other")) == ("pods", "one", "other")
    assert view.way(place_of("/../../x/y")) == ("pods", "x", "y")
    assert view.way(place_of("/../../../z")) == ("z",)
    assert view.way(place_of("/../../../..")) is None
    assert [above.path for above in view.above(place_of("/../other"))] == [
        "/..",
        "/../..",
        "/../../..",
    ]
    os.close(view.top)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b"0::/a\n", (2, "/a")),
        (b"4:memory:/m\n0::/a\n", (1, "/m")),
        (b"5:cpu,memory:/m\n1:name=systemd:/s\n", (1, "/m")),
        (b"3:cpu:/c\n0::/a\n", (2, "/a")),
        (b"3:cpu:/c\n", None),
        (b"", None),
        (b"0::/a:b\n", (2, "/a:b")),
        # separators that are none in names
        (b"0::/a\x1c4:memory:/evil\n", (2, "/a\x1c4:memory:/evil")),
        (b"0::/a\r4:memory:/evil\n", (2, "/a\r4:memory:/evil")),
        ("0::/a\u20284:memory:/evil\n".encode(), (2, "/a\u20284:memory:/evil")),
    ],
)
def test_the_line_that_counts(lines, expected):
    """The memory line of v1, else that of v2; no name can pretend to be another line."""
    assert parse.parse_memory_cgroup(lines) == expected


# -- finding and reading in a copy ---------------------------------------------------------


class Table:
    """A table over a written /proc and a written --cgroupfs."""

    def __init__(self, root, **options):
        self.proc, self.cgroups = root / "proc", root / "cgroup"
        self.cgroups.mkdir(exist_ok=True)
        finder = Finder(str(self.proc), live=False, cgroupfs=str(self.cgroups))
        self.table = CgroupTable(finder, lambda path: None, **options)

    def join(self, pid, line, pod=None):
        """A process, with its cgroup line."""
        numbers = " ".join(["0"] * 18 + ["5", "0", "9"])
        write(self.proc / str(pid), {"stat": f"{pid} (x) S {numbers} 0\n", "cgroup": line})
        identity = Identity(5, pid)
        path = parse.parse_cgroup(line.encode())
        self.table.join(identity, path, pod)
        return identity

    def read(self):
        """What is due now, by path."""
        return {one.path: one for one in self.table.read()[0]}


@pytest.fixture
def table_of(tmp_path):
    """Make tables, and close them."""
    made = []

    def make(**options):
        made.append(Table(tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        one.table.close()


@pytest.fixture
def clock(monkeypatch):
    """The clock of the table, which stands."""
    now = [1000.0]
    monkeypatch.setattr(cgroups.time, "monotonic", lambda: now[0])
    return now


def test_a_copy_of_v1(table_of):
    """--cgroupfs may be a folder with the controllers of v1, or that of memory itself."""
    table = table_of()
    write(table.cgroups / "memory" / "a", V1)
    top = {"memory.limit_in_bytes": "9223372036854771712\n", "memory.stat": "total_rss 1\n"}
    write(table.cgroups / "memory", {**V1, **top})
    table.join(7, "4:cpu:/elsewhere\n3:memory:/a\n0::/b\n")
    table.join(8, "4:cpu:/elsewhere\n3:memory:/a/missing\n")

    found = table.read()

    assert found.keys() == {"/", "/a", "/a/missing"}
    assert (found["/a"].limit_bytes, found["/a"].parent) == (100 * MIB, "/")
    assert found["/"].unlimited
    assert found["/a/missing"].reason == "there are no files of this cgroup"


def test_a_limit_that_no_mount_shows(table_of):
    """v1 tells the limit of cgroups above; it stands in the place of the nearest."""
    table = table_of()
    write(table.cgroups / "memory", V1)
    table.join(7, "3:memory:/\n")

    found = table.read()

    assert (found["/"].limit_bytes, found["/"].parent) == (100 * MIB, "/..")
    above = found["/.."]
    assert (above.limit_bytes, above.limit_file) == (50 * MIB, "hierarchical_memory_limit")


def test_levels_without_the_controller(table_of):
    """A cgroup without memory files has no limit of its own; its parent is the next that has."""
    table = table_of()
    write(table.cgroups / "a", V2)
    write(table.cgroups / "a" / "b", {"cgroup.procs": ""})
    write(table.cgroups / "a" / "b" / "c", {"cgroup.procs": ""})
    write(table.cgroups, {"cgroup.procs": ""})
    table.join(7, "0::/a/b/c\n")
    table.join(8, "0::/\n")

    found = table.read()

    assert found.keys() == {"/", "/a", "/a/b/c"}
    assert (found["/a/b/c"].unlimited, found["/a/b/c"].parent) == (True, "/a")
    assert (found["/"].unlimited, found["/a"].parent) == (True, None)


def test_a_part_of_a_tree(table_of):
    """Where a tree begins below its root, what is not limited in it may be above."""
    table = table_of()
    write(table.cgroups, {"cgroup.procs": "", "cgroup.events": "populated 1\n"})
    table.join(7, "0::/\n")

    assert not table.read()["/"].unlimited
    assert "those above are not visible" in table.table._at("/").stable.reason


def test_the_names_of_a_cgroup(table_of):
    """A cgroup whose path tells nothing has the names that its processes have."""
    table = table_of()
    write(table.cgroups / "a", V2)
    pod = Pod(container="app", uid="u")
    table.join(7, "0::/a\n", pod)

    assert table.read()["/a"].pod == pod


def test_cgroups_are_read_in_turn(table_of, clock):
    """Every five seconds, spread over them; every second if somebody looks at a process there."""
    table = table_of()
    for number in range(10):
        write(table.cgroups / f"c{number}", V2)
        identity = table.join(100 + number, f"0::/c{number}\n")
    assert len(table.read()) == 10
    counts = []
    for _ in range(20):
        clock[0] += 1
        counts.append(len(table.read()))
    assert set(counts[5:]) == {2}

    table.table.look_at([identity])
    for _ in range(10):
        clock[0] += 1
        assert "/c9" in table.read()


def test_limits_are_read_less_often_than_use(table_of, clock):
    """A changed limit is seen within 15 s, within 5 s if it is looked at, and use at once."""
    table = table_of()
    folder = write(table.cgroups / "a", V2)
    identity = table.join(7, "0::/a\n")
    table.read()
    for looked_at, longest in (([], 15), ([identity], 5)):
        table.table.look_at(looked_at)
        clock[0] += 20
        table.read()
        (folder / "memory.max").write_text(f"{(99 if looked_at else 88) * MIB}\n")
        seen = []
        while not seen or seen[-1] != (99 if looked_at else 88) * MIB:
            clock[0] += 1
            if "/a" in (found := table.read()):
                seen.append(found["/a"].limit_bytes)
            assert len(seen) <= 30
        assert len(seen) <= (longest if looked_at else longest // 5) + 1


def test_the_end_of_a_process_is_looked_into(table_of, clock):
    """A kill for memory is seen with the next read, even if it was the last process there."""
    table = table_of()
    folder = write(table.cgroups / "a", V2)
    first, last = table.join(7, "0::/a\n"), table.join(8, "0::/a\n")
    table.read()
    for number, identity in enumerate((first, last), 3):
        (folder / "memory.events").write_text(f"oom_kill {number}\n")
        table.table.leave(identity)
        clock[0] += 0.1
        assert table.read()["/a"].oom_kills == number

    clock[0] += 60
    assert table.read() == {}


def test_what_is_not_there_is_asked_for_less_and_less(table_of, clock, monkeypatch):
    """A cgroup whose files cannot be had costs little."""
    table = table_of()
    table.table.look_at([table.join(7, "0::/missing\n")])
    reads = 0
    for _ in range(300):
        clock[0] += 1
        reads += len(table.read())

    assert 10 <= reads <= 15


def test_descriptors_are_given_back(table_of):
    """Nothing stays open after the end, nor more than there is room for before."""
    before = len(os.listdir("/proc/self/fd"))
    for room in (1000, 10, 0):
        table = table_of(room=room)
        for number in range(12):
            write(table.cgroups / "p" / f"c{number}", V2)
            table.join(100 + number, f"0::/p/c{number}\n")
        write(table.cgroups / "p", V2)
        for _ in range(2):
            assert len(table.read()) in (0, 13)
        assert len(os.listdir("/proc/self/fd")) <= before + 12 + room
        assert len(table.read()) == 0
        table.table.close()
        assert len(os.listdir("/proc/self/fd")) == before


def test_reading_ends_when_it_is_closed(table_of):
    """After the end nothing is read, and a second end does no harm."""
    table = table_of()
    write(table.cgroups / "a", V2)
    table.join(7, "0::/a\n")
    table.table.close()
    table.table.close()

    assert table.table.read() == ([], [])


# -- this machine --------------------------------------------------------------------------


def test_own_cgroup_is_found():
    """memtop's own cgroup is found in its own mounts, or in its own view of them."""
    if not os.path.isdir("/proc/self"):
        pytest.skip("needs a Linux /proc")
    start = parse.parse_stat(Path("/proc/self/stat").read_bytes()).start_ticks
    identity = Identity(start, os.getpid())
    finder = Finder("/proc", live=True)
    try:
        version, path = finder.hierarchy_of(identity)
        view = finder.view(version, place_of(path))
        folder = view.open(place_of(path))
    except Unknown as unknown:
        pytest.skip(str(unknown))
    try:
        with open(os.open("cgroup.procs", os.O_RDONLY, dir_fd=folder)) as file:
            assert str(os.getpid()) in file.read().split()
        with finder.view_of(identity, version, path) as inner:
            assert inner.root in (Place(0, ()), place_of(path), *view.above(place_of(path)))
    finally:
        os.close(folder)
        finder.close()


def test_another_process_by_the_same_pid():
    """The view of a process that has ended is not that of its successor."""
    finder = Finder("/proc", live=True)

    with pytest.raises(ProcessLookupError):
        finder.hierarchy_of(Identity(1, os.getpid()))
    with (
        pytest.raises(ProcessLookupError),
        finder.view_of(Identity(1, os.getpid()), cgroupfs_version(), "/"),
    ):
        pass


def cgroupfs_version():
    """Of this machine."""
    found = parse.parse_memory_cgroup(Path("/proc/self/cgroup").read_bytes())
    return found[0] if found else 2


def test_no_such_folder(tmp_path):
    """--cgroupfs with a folder that is none is an error that names it."""
    with pytest.raises(MemtopError, match="no such folder"):
        ProcfsSource("/proc", cgroupfs=str(tmp_path / "missing"))


def test_reading_is_quick(table_of):
    """Two hundred cgroups take a few milliseconds a second, also in a copy."""
    table = table_of()
    for number in range(200):
        write(table.cgroups / f"c{number}", V2)
        table.join(100 + number, f"0::/c{number}\n")
    table.read()
    table.table.look_at(None)
    for known in table.table._cgroups.values():
        known.read_at = 0.0

    begin = time.process_time()
    assert len(table.read()) == 200
    assert time.process_time() - begin < 0.5
    assert cgroupfs.MAX_DEPTH >= 16
