"""What every source of samples promises, asked of each of them."""

import contextlib
import os
import shutil
import sys

import pytest

from memtop.model.tracker import Tracker
from memtop.probe.fake import FakeSource
from memtop.probe.portable import PortableSource
from memtop.probe.procfs import ProcfsSource
from memtop.probe.sample import Wanted

WAIT = "import sys; print('ready', flush=True); sys.stdin.read()"
EAT = (
    "import sys; print('ready', flush=True); sys.stdin.readline();"
    "kept = bytearray(b'x') * (40 << 20); print('full', flush=True); sys.stdin.read()"
)


def copy_of_proc(folder):
    """A recorded tree: the files memtop reads, of this process and its parent, as plain files."""
    for pid in (os.getpid(), os.getppid()):
        (folder / str(pid)).mkdir(parents=True)
        for name in ("stat", "statm", "status", "cmdline", "cgroup", "io"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    (folder / str(pid) / name).write_bytes(file.read())
            except OSError:
                pass
    for name in ("meminfo", "stat"):
        with open(f"/proc/{name}", "rb") as file:
            (folder / name).write_bytes(file.read())
    return folder


def linux_only():
    if sys.platform != "linux":
        pytest.skip("needs a Linux /proc")


@pytest.fixture(params=["procfs", "no descriptors", "recorded", "portable", "fake"])
def source(request, tmp_path, monkeypatch):
    """Each source, over processes among which is this one."""
    if request.param == "fake":
        made = FakeSource()
        made.spawn(os.getppid(), 0, "parent", 30, age_s=100)
        made.spawn(os.getpid(), os.getppid(), "python3", 50, age_s=50, command="python -m pytest")
    elif request.param == "portable":
        made = PortableSource()
    else:
        linux_only()
        if request.param == "no descriptors":
            monkeypatch.setattr("memtop.probe.descriptors.raise_limit", lambda: 0)
        root = str(copy_of_proc(tmp_path)) if request.param == "recorded" else "/proc"
        made = ProcfsSource(root)
    yield made
    made.close()


def settled(source, wanted=None):
    """All that the first samples say, by PID."""
    wanted = wanted or Wanted(pids=frozenset([os.getpid()]))
    first = source.sample(wanted)
    source.settle(5)
    return first, source.sample(wanted)


def test_the_first_sample_has_everybody(source):
    """Whoever runs is reported as started, with memory and activity, in the first sample."""
    first = source.sample(Wanted())

    started = {s.identity.pid: s for s in first.started}
    assert os.getpid() in started
    assert len(started) == len(first.started)
    assert os.getpid() in {m.pid for m in first.memory}
    assert os.getpid() in {a.pid for a in first.activity}
    own = started[os.getpid()]
    assert own.ppid == os.getppid()
    assert not own.kernel
    assert own.started_at is None or own.started_at <= first.taken_at + 1


def test_sizes_are_kib(source):
    """RSS is that of this process in KiB, with the shared part below it."""
    first = source.sample(Wanted())

    memory = next(m for m in first.memory if m.pid == os.getpid())
    assert 5 * 1024 < memory.rss_kib < 2048 * 1024
    assert 0 <= memory.shared_kib <= memory.rss_kib


def test_what_is_not_mentioned_has_not_changed(source):
    """A second sample starts nobody anew."""
    first, second = settled(source)

    again = {s.identity for s in second.started}
    assert not again & {s.identity for s in first.started}


def test_clocks_do_not_go_back(source):
    """The steady clock moves on from sample to sample."""
    first, second = settled(source)

    assert second.clock_s >= first.clock_s


def test_facts_come(source):
    """The command line of this process is known after the slow reads have settled."""
    first, second = settled(source)

    facts = {f.identity.pid: f for f in (*first.facts, *second.facts)}
    assert "pytest" in facts[os.getpid()].command or "python" in facts[os.getpid()].command
    assert facts[os.getpid()].user


def test_a_tracker_understands_it(source):
    """Fed to a tracker, every process has a row and a place in the tree."""
    tracker = Tracker(1.0, source.own)
    tracker.feed(source.sample(Wanted()))
    source.settle(5)
    state = tracker.feed(source.sample(Wanted()))

    in_tree = {one for below in state.children.values() for one in below}
    assert in_tree == set(state.rows)
    assert any(row.pid == os.getpid() and row.rss_kib for row in state.rows.values())


@pytest.mark.parametrize("kind", ["procfs", "no descriptors", "portable"])
def test_births_growth_and_deaths_are_seen(kind, children, wait_until, monkeypatch):
    """A real child is born, eats 40 MiB and dies, and each is reported once."""
    if kind == "portable":
        source = PortableSource()
    else:
        linux_only()
        if kind == "no descriptors":
            monkeypatch.setattr("memtop.probe.descriptors.raise_limit", lambda: 0)
        source = ProcfsSource()
    source.sample(Wanted())
    child = children.ready(EAT)

    born = source.sample(Wanted())
    before = next(m for m in born.memory if m.pid == child.pid).rss_kib
    child.stdin.write("go\n")
    child.stdin.flush()
    assert child.stdout.readline() == "full\n"
    grown = source.sample(Wanted())
    after = next(m for m in grown.memory if m.pid == child.pid).rss_kib
    child.kill()
    child.wait()
    died = source.sample(Wanted())

    identity = next(s.identity for s in born.started if s.identity.pid == child.pid)
    assert 38 * 1024 < after - before < 60 * 1024
    assert list(died.ended).count(identity) == 1
    assert child.pid not in {s.identity.pid for s in source.sample(Wanted()).started}
    source.close()


def descriptors_on(kids):
    """How many descriptors of this process lead to files of these children."""
    links = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            links.append(os.readlink(f"/proc/self/fd/{name}"))
    return sum(link.startswith(f"/proc/{kid.pid}/") for link in links for kid in kids)


def test_no_descriptor_is_left(children):
    """Two descriptors are kept for each of the living, none for the dead, none at the end."""
    linux_only()
    kids = [children.ready(WAIT) for _ in range(6)]
    source = ProcfsSource()
    source.sample(Wanted())
    source.settle(5)

    assert descriptors_on(kids) == 12
    for kid in kids[:3]:
        kid.kill()
        kid.wait()
    source.sample(Wanted())
    assert descriptors_on(kids) == 6
    source.close()
    source.close()
    assert descriptors_on(kids) == 0


def test_a_recorded_tree_is_not_acted_on(tmp_path):
    """Files that are no procfs are never live, and a process whose folder goes has ended."""
    linux_only()
    root = copy_of_proc(tmp_path)
    source = ProcfsSource(str(root))
    first = source.sample(Wanted())
    shutil.rmtree(root / str(os.getppid()))
    second = source.sample(Wanted())

    assert not source.live
    assert source.own is None
    assert {i.pid for i in second.ended} == {os.getppid()}
    assert len(first.started) == 2
    source.close()


def test_the_live_source_knows_itself():
    """On this machine's /proc the source is live and finds memtop in it."""
    linux_only()
    source = ProcfsSource()

    assert source.live
    assert source.own.pid == os.getpid()
    source.close()
