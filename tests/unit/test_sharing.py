"""What forked processes share, and how much of that a real gc.collect() really copies."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memtop.target import sharing
from memtop.target.sharing import shared_anonymous_bytes, would_unshare_bytes

sys.path.insert(0, str(Path(__file__).parent.parent))
from pythons import interpreters, label
from users import NOBODY, as_user

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc")

PYTHONS = interpreters() or [sys.executable]
MIB = 1 << 20
# A parent makes a heap of a kind and forks. The child prints its PID, then answers each line:
# `collect` by gc.collect(), anything else by nothing.
FORKS = """
import gc, os, sys
kind, size = sys.argv[1], int(sys.argv[2]) << 20
keep = []
class Plain(object):
    def __init__(self, number):
        self.number = number; self.text = str(number); self.nothing = None
def make(kind, size):
    if kind == "dicts":
        keep.extend({"id": i, "name": i * 7, "x": keep} for i in range(size // 400))
    elif kind == "instances":
        keep.extend(Plain(i) for i in range(size // 220))
    elif kind == "lists":
        keep.extend([i, i + 1, keep] for i in range(size // 120))
    elif kind == "text":
        keep.extend("%060d" % i for i in range(size // 220))
        keep.extend(i * 1.5 for i in range(size // 66))
    elif kind == "blobs":
        keep.extend(os.urandom(1 << 16) for i in range(size >> 16))
    elif kind == "mix":
        for one in ("dicts", "instances", "lists", "text", "blobs"): make(one, size // 5)
make(kind, size)
gc.collect()
pid = os.fork()
if pid:
    os.waitpid(pid, 0)
    os._exit(0)
print(os.getpid()); sys.stdout.flush()
while True:
    line = sys.stdin.readline()
    if not line: os._exit(0)
    if line.strip() == "collect": gc.collect()
    print("done"); sys.stdout.flush()
"""
# Reads 32 MiB of private memory that was never written: all of it is the kernel's page of zeros.
ZEROS = """
import mmap, sys
memory = mmap.mmap(-1, 32 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
print(sum(memory[at] for at in range(0, len(memory), 4096)), flush=True)
sys.stdin.read()
"""


class Family:
    """A parent and a forked child that share a heap."""

    def __init__(self, python, kind, size_mib):
        self._parent = subprocess.Popen(
            [python, "-c", FORKS, kind, str(size_mib)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = int(self._parent.stdout.readline())
        self.ask("settle")

    def ask(self, word):
        self._parent.stdin.write(word + "\n")
        self._parent.stdin.flush()
        assert self._parent.stdout.readline() == "done\n"

    def private_dirty(self):
        return rollup(self.pid, "Private_Dirty")

    def end(self):
        self._parent.stdin.close()  # both end by themselves
        self._parent.wait(10)
        self._parent.stdout.close()


def rollup(pid, key):
    """A figure of smaps_rollup in bytes."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(rf"^{key}:\s+(\d+) kB", text, re.MULTILINE)[1]) * 1024


@pytest.fixture
def families():
    """Starts families and ends them all."""
    made = []

    def start(python=sys.executable, kind="mix", size_mib=48):
        made.append(Family(python, kind, size_mib))
        return made[-1]

    yield start
    for family in made:
        family.end()


def check_estimate(family):
    """Compare the estimate with what a collection really copies."""
    shared = shared_anonymous_bytes(family.pid)
    before = family.private_dirty()
    estimate = would_unshare_bytes(family.pid, seed=1)
    assert family.private_dirty() - before < 64 << 10, "looking has un-shared something"

    family.ask("collect")

    truth = family.private_dirty() - before
    assert estimate == pytest.approx(truth, rel=0.3, abs=0.02 * shared), (
        f"{estimate / MIB:.1f} MiB estimated, {truth / MIB:.1f} copied of {shared / MIB:.1f}"
    )
    return truth, shared


@pytest.mark.parametrize("python", PYTHONS, ids=label)
def test_the_estimate_is_what_a_collection_copies(families, python):
    """In each version of Python, where a third of the pages holds heads: within 30 %."""
    truth, shared = check_estimate(families(python))

    assert 0.1 < truth / shared < 0.8  # or else this test could not fail


@pytest.mark.deep
@pytest.mark.parametrize("kind", "dicts instances lists text blobs mix".split())
@pytest.mark.parametrize("python", PYTHONS, ids=label)
def test_the_estimate_of_every_kind_of_heap(families, python, kind):
    """The same for 200 MiB of one kind of objects each."""
    check_estimate(families(python, kind, 200))


@pytest.mark.parametrize("kind", ["text", "lists"])
def test_both_extremes(families, kind):
    """Heaps without objects that the collector tracks cost next to nothing; of others, much."""
    truth, shared = check_estimate(families(kind=kind))

    assert (truth / shared < 0.1) == (kind == "text")


def test_it_is_quick(families):
    """200 MiB are judged in some 50 ms of CPU; the best of three, five times that at most."""
    family = families(size_mib=200)
    took_s = []
    for _ in range(3):
        begin = time.process_time()
        would_unshare_bytes(family.pid)
        took_s.append(time.process_time() - begin)

    assert min(took_s) < 0.25


def test_shared_is_what_smaps_says(families):
    """The sum over pagemap agrees with the kernel's own."""
    family = families()

    shared = shared_anonymous_bytes(family.pid)

    assert shared == pytest.approx(rollup(family.pid, "Shared_Dirty"), rel=0.03)


def test_after_a_collection_little_is_left_to_copy(families):
    """What was copied is not shared any more, and a second collection copies nothing."""
    family = families(kind="lists")
    before = would_unshare_bytes(family.pid)
    family.ask("collect")

    assert would_unshare_bytes(family.pid) < before / 20


def test_without_heads_everything_may_be_copied(families):
    """Of free-threaded builds the upper bound is given: all that is shared."""
    family = families()

    shared = shared_anonymous_bytes(family.pid)

    found = would_unshare_bytes(family.pid, heads=False)

    # The child itself may copy a page between the two looks.
    assert found == pytest.approx(shared, abs=1 << 16)
    assert would_unshare_bytes(family.pid) < shared


def test_who_has_no_relatives_shares_nothing(children):
    """A process that was started by exec shares no anonymous memory."""
    child = children.ready("print('ready', flush=True); import sys; sys.stdin.read()")

    assert would_unshare_bytes(child.pid) < 64 << 10


def test_pages_of_zeros_are_not_shared(children):
    """Memory that was only read is the kernel's own page of zeros, and costs nobody anything."""
    child = children.ready(ZEROS)
    anonymous = rollup(child.pid, "Anonymous")

    assert anonymous < 32 * MIB
    assert shared_anonymous_bytes(child.pid) <= anonymous


def test_without_pagemap_smaps_tells(families, tmp_path):
    """On kernels without pagemap all that smaps calls shared counts."""
    family = families()
    folder = tmp_path / str(family.pid)
    folder.mkdir()
    for name in ("maps", "smaps", "status", "mem"):
        (folder / name).symlink_to(f"/proc/{family.pid}/{name}")

    found = would_unshare_bytes(family.pid, root=str(tmp_path))

    assert found == pytest.approx(shared_anonymous_bytes(family.pid), rel=0.02)
    (folder / "smaps").unlink()
    assert would_unshare_bytes(family.pid, root=str(tmp_path)) is None


@pytest.mark.parametrize("scan_s", [0.0, 0.001, 0.002])
def test_what_is_left_when_time_is_over_is_extrapolated(families, monkeypatch, scan_s):
    """A process too large for the time is judged by a part; by none at all, all of it counts."""
    family = families(kind="text", size_mib=100)
    whole = shared_anonymous_bytes(family.pid)
    monkeypatch.setattr(sharing, "SCAN_S", scan_s)
    monkeypatch.setattr(sharing, "_BLOCK_PAGES", 64)

    found = shared_anonymous_bytes(family.pid)

    assert found == pytest.approx(whole, rel=0.1)


def test_without_the_right_to_read_memory_all_counts(families, monkeypatch):
    """Yama may allow pagemap and refuse mem: then the upper bound has to do."""
    family = families()

    def refuse(*arguments, **options):
        raise PermissionError

    monkeypatch.setattr(sharing, "Memory", refuse)

    whole = shared_anonymous_bytes(family.pid)
    assert would_unshare_bytes(family.pid) == pytest.approx(whole, rel=0.01)


@pytest.mark.skipif(os.geteuid() != 0, reason="changes users, so needs root")
def test_without_any_right_nothing_is_known(families):
    """Another user is told nothing, instead of 0."""
    family = families(kind="text", size_mib=1)

    assert as_user(NOBODY, lambda: would_unshare_bytes(family.pid)) is None


def test_gone_is_not_known():
    """A process that has ended shares nothing that could be counted."""
    with subprocess.Popen(["true"]) as child:
        child.wait()

    assert would_unshare_bytes(child.pid) is None
