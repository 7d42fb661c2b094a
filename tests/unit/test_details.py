"""The slow facts: limits of processes, exact memory, and when they are read."""

import os
import subprocess
import sys

import pytest

from memtop.probe import details
from memtop.probe.procfs import ProcfsSource
from memtop.probe.sample import Wanted

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc")

MIB = 1 << 20
LIMITED = "import resource as r; r.setrlimit(r.RLIMIT_AS, (%d, r.RLIM_INFINITY));"
READY = "print(1, flush=True); import sys; sys.stdin.read()"
HOLDS = f"b = b'x' * (50 << 20); {READY}"


@pytest.fixture
def source():
    """The live system."""
    opened = ProcfsSource()
    yield opened
    opened.close()


def facts_of(source, pid):
    """What the next sample tells of a process, after everything asked for was read."""
    source.settle(5)
    return [one for one in source.sample(Wanted()).facts if one.identity.pid == pid]


def test_the_address_space_is_limited(source, children):
    """The soft RLIMIT_AS of a process is known in bytes; without one it is None."""
    limited = children.ready(LIMITED % (999 * MIB) + READY)
    free = children.ready(READY)
    source.sample(Wanted())

    source.settle(5)
    told = {f.identity.pid: f.address_space_bytes for f in source.sample(Wanted()).facts}

    assert told[limited.pid] == 999 * MIB
    assert told[free.pid] is None


def test_limits_set_after_the_birth_are_seen(source, children, wait_until):
    """What a young process sets before it begins its work is known two seconds later."""
    source.sample(Wanted())
    child = children.ready(
        f"import sys; print(1, flush=True); input(); {LIMITED % (777 * MIB)}"
        "print(1, flush=True); sys.stdin.read()"
    )
    source.sample(Wanted())
    first = wait_until(lambda: facts_of(source, child.pid))
    assert {f.address_space_bytes for f in first} == {None}
    child.stdin.write("\n")
    child.stdin.flush()
    child.stdout.readline()

    def seen():
        return [f.address_space_bytes for f in facts_of(source, child.pid)]

    assert wait_until(lambda: 777 * MIB in seen(), limit_s=10, every_s=0.2)


def exact_of(source, wanted):
    """The exact figures in the next sample."""
    source.settle(5)
    sample = source.sample(wanted)
    return {u.identity.pid: u.exact_rss_kib for u in sample.usage if u.exact_rss_kib}


def test_exact_memory_is_read_once(source, children, wait_until):
    """RSS counted page by page, for those asked for and only once."""
    child = children.ready(HOLDS)
    wanted = Wanted(exact=[child.pid])
    source.sample(Wanted())
    source.sample(wanted)

    exact = exact_of(source, wanted)

    assert exact.keys() == {child.pid}
    assert 50 << 10 < exact[child.pid] < 100 << 10
    assert all(not exact_of(source, wanted) for _ in range(3))
    source.sample(Wanted())
    # Where that took long before, it has to wait.
    assert wait_until(lambda: exact_of(source, wanted).keys() == {child.pid}, limit_s=30)


def test_exact_memory_waits_for_its_budget(source, children, monkeypatch, wait_until):
    """What is not read because others took the time is read later."""
    kids = [children.ready(READY).pid for _ in range(4)]
    wanted = Wanted(exact=frozenset(kids))
    monkeypatch.setattr(details, "PSS_BUDGET_S", 0.0005)
    source.sample(Wanted())
    source.sample(wanted)
    seen = set()

    def all_seen():
        seen.update(exact_of(source, wanted))
        return seen == set(kids)

    wait_until(all_seen, limit_s=20)


def test_a_large_process_is_not_read_exactly(source, children, monkeypatch):
    """Beyond a size the lock is held too long for a figure that is hardly better."""
    child = children.ready(HOLDS)
    monkeypatch.setattr(details, "PSS_MAX_RSS_KIB", 10 << 10)
    wanted = Wanted(exact=[child.pid])
    source.sample(Wanted())
    source.sample(wanted)

    assert exact_of(source, wanted) == {}
    source.settle(5)
    assert not source._details._pending


def test_exact_memory_without_the_right():
    """Without the right nothing is read, and nothing is asked for again and again."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    code = """
import os
from memtop.probe.procfs import ProcfsSource
from memtop.probe.sample import Wanted
os.setgroups([]); os.setgid(65534); os.setuid(65534)
source = ProcfsSource()
wanted = Wanted(exact=[1])
usage = []
for _ in range(4):
    usage += source.sample(wanted).usage
    source.settle(5)
print(len(usage), {u.exact_rss_kib for u in usage})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert done.stdout == "1 {None}\n"
