"""The stacks of threads, found in real programs, whatever lies beside them."""

import os
import platform
import shutil
import struct
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtop.anatomy.regions import Region
from memtop.anatomy.stacks import Stack, find_stacks
from memtop.target.maps import Mapping
from memtop.target.pages import EXCLUSIVE, PAGE

sys.path.insert(0, str(Path(__file__).parent.parent))
from images import made_up, opened
from pythons import interpreters, label, trouble

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="struct pthread of x86_64"
)

START = 0x7F0000000000
THREADS = """
import mmap, os, sys, threading, time
number, size, beside = (int(word) for word in sys.argv[1:])
threading.stack_size(size)
kept = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
if beside:
    # Like a stack since Linux 6.7, so that the stack below it becomes one region with it, as any
    # memory was before.
    kept.madvise(15)
    kept.write(b"z" * (1 << 20))
ended = threading.Event()
threads = [threading.Thread(target=time.sleep, args=(1000,), daemon=True) for _ in range(number)]
threads.insert(number // 2, threading.Thread(target=ended.wait))
for thread in threads:
    thread.start()
ended.set()
while len(os.listdir("/proc/self/task")) != number + 1:
    time.sleep(0.01)
time.sleep(0.05)
print("ready", flush=True)
sys.stdin.read()
"""
# As glibc 2.42 does on Linux 6.13: guard pages within one mapping for all; prints where it is.
GUARDED = """
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
static void *wait_for(void *nothing) { pause(); return nothing; }
int main(void) {
    size_t each = 256 << 10, count = 12;
    char *all = mmap(0, each * count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < count; i++) {
        if (madvise(all + i * each, 4096, 102)) { puts("0"); fflush(stdout); return 0; }
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstack(&attributes, all + i * each, each);
        pthread_t thread;
        pthread_create(&thread, &attributes, wait_for, 0);
    }
    usleep(100000);
    printf("%lu\\n", (unsigned long)all);
    fflush(stdout);
    char c;
    return read(0, &c, 1) < 0;
}
"""
FORKED = """
import os, sys, threading, time
def fork():
    child = os.fork()
    if not child:
        print(os.getpid(), flush=True)
    time.sleep(1000)
for _ in range(3):
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
threading.Thread(target=fork, daemon=True).start()
sys.stdin.read()
"""


def threads_of(pid):
    return {int(name) for name in os.listdir(f"/proc/{pid}/task")}


def stacks_of(pid):
    with opened(pid) as process:
        return find_stacks(process.image, process.regions, pid, threads_of(pid))


def stack_pointer(pid, tid):
    """Where the stack of a thread ends now; it sleeps, or does so in a moment."""
    while True:
        fields = Path(f"/proc/{pid}/task/{tid}/syscall").read_text().split()
        if len(fields) > 2:
            return int(fields[-2], 16)
        time.sleep(0.01)


def check(pid, stacks):
    """All live threads but the main one, each once, in order and without overlaps."""
    assert {s.tid for s in stacks} - {None} == threads_of(pid) - {pid}
    assert len([s for s in stacks if s.tid]) == len(threads_of(pid)) - 1
    assert all(a.end <= b.start for a, b in pairwise(stacks))
    for stack in stacks:
        if stack.tid:
            assert stack.start < stack_pointer(pid, stack.tid) < stack.end


@pytest.mark.parametrize("path", interpreters() or [sys.executable], ids=label)
@pytest.mark.parametrize("beside", [0, 1])
def test_one_and_several_threads(path, beside):
    """Exactly the stacks of the threads, by their stack pointers; also in a larger region."""
    if beside and trouble(path, "mmap; mmap.mmap.madvise"):
        pytest.skip("the target cannot set up its memory")
    for number in (1, 6):
        child = subprocess.Popen(
            [path, "-S", "-c", THREADS, str(number), str(1 << 20), str(beside)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with child:
            child.stdout.readline()
            stacks = stacks_of(child.pid)
            check(child.pid, stacks)
            child.kill()
        # The guard is part of it, in some versions beside what was asked for.
        assert {stack.end - stack.start for stack in stacks} <= {1 << 20, (1 << 20) + PAGE}


def test_the_stack_of_an_ended_thread_waits_for_another(children):
    """It is still a stack, but nobody's."""
    child = children.ready(THREADS, "4", str(1 << 20), "0")
    stacks = stacks_of(child.pid)
    check(child.pid, stacks)
    assert [stack.tid for stack in stacks].count(None) == 1


def test_a_program_without_threads(children):
    """The main thread's struct pthread lies among other things: that is no stack."""
    child = children.ready("print('ready', flush=True); import sys; sys.stdin.read()")
    assert stacks_of(child.pid) == []


def test_numbers_of_another_namespace_do_not_matter(children):
    """In a container threads have other numbers than outside."""
    child = children.ready(THREADS, "3", str(1 << 20), "1")
    with opened(child.pid) as process:
        others = [tid + 100_000 for tid in threads_of(child.pid)]
        stacks = find_stacks(process.image, process.regions, child.pid + 100_000, others)
    check(child.pid, stacks)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_guard_pages_within_one_region(tmp_path):
    """Stacks that are neighbours in one region are all found, each to its byte."""
    (tmp_path / "source.c").write_text(GUARDED)
    command = ["gcc", "-pthread", "-o", tmp_path / "made", tmp_path / "source.c"]
    subprocess.run(command, check=True, timeout=60)
    child = subprocess.Popen(
        [tmp_path / "made"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        base = int(child.stdout.readline())
        if not base:
            pytest.skip("the kernel has no guard pages")
        stacks = stacks_of(child.pid)
        check(child.pid, stacks)
        child.kill()
    each = 256 << 10
    assert [(s.start, s.end) for s in stacks] == [
        (base + index * each, base + (index + 1) * each) for index in range(12)
    ]


def test_the_child_of_a_thread(children):
    """After a fork in a thread that thread is the main one, on a stack of its own."""
    child = children.python(FORKED)
    forked = int(child.stdout.readline())
    try:
        stacks = stacks_of(forked)
    finally:
        os.kill(forked, 9)
    assert len(stacks) == 4
    assert [stack.tid for stack in stacks if stack.tid] == [forked]


def region(start, end, perms, *flags):
    return Region(Mapping(start, end, perms, 0, "00:00", 0, ""), 0, 0, 0, 0, 0, frozenset(flags))


def head(address, stack, size, tid=77, previous=None):
    """A struct pthread of glibc."""
    words = [0] * 288
    words[0] = words[2] = address
    words[0x2D0 // 8] = tid
    words[210], words[211] = stack, size
    return struct.pack("<288Q", *words)


GUARD = region(START - PAGE, START, "---p")
AT = START + 15 * PAGE + 0x6C0


def find(data, regions, kinds=None):
    with made_up(data, START, kinds) as image:
        return find_stacks(image, regions, 1, [1, 77])


def test_without_a_guard_it_is_no_stack():
    """The same memory, with a guard below and without one."""
    data = bytearray(16 * PAGE)
    data[AT - START :] = head(AT, START - PAGE, 17 * PAGE).ljust(16 * PAGE - (AT - START), b"\0")
    own = region(START, START + 16 * PAGE, "rw-p")
    assert find(data, [GUARD, own]) == [Stack(START - PAGE, START + 16 * PAGE, 77)]
    assert find(data, [own]) == []
    assert find(data, [region(START - PAGE, START, "rw-p"), own]) == []
    assert find(data, [region(START - 2 * PAGE, START - PAGE, "---p"), own]) == []


def test_the_threads_of_musl():
    """Their struct has no second copy of its address, but is in a ring."""
    one, other = START + 7 * PAGE + 0x500, START + 15 * PAGE + 0x500
    data = bytearray(16 * PAGE)
    for address, neighbour, start in ((one, other, START), (other, one, START + 8 * PAGE)):
        words = [address, 5, neighbour, neighbour, 0, 0, 77 + (address == one), 0]
        words += [start, 8 * PAGE]
        data[address - START : address - START + 80] = struct.pack("<10Q", *words)
    regions = [region(START, START + 16 * PAGE, "rw-p", "gu")]
    kinds = [0, *[1] * 7] * 2
    assert find(bytes(data), regions, kinds) == [
        Stack(START, START + 8 * PAGE, 78),
        Stack(START + 8 * PAGE, START + 16 * PAGE, 77),
    ]
    data[one - START + 24 : one - START + 32] = bytes(8)
    assert [stack.tid for stack in find(bytes(data), regions, kinds)] == []


words = st.one_of(
    st.integers(0, (1 << 64) - 1),
    st.integers(START - PAGE, START + 9 * PAGE),
    st.integers(0, 20).map(lambda pages: pages * PAGE),
    st.integers(-2, 9).map(lambda pages: START + pages * PAGE),
)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(st.integers(0, 8 * PAGE // 16 - 1), st.lists(words, max_size=12))),
    st.lists(st.tuples(st.integers(0, 287), words), max_size=10),
    st.lists(st.integers(0, 6), min_size=8, max_size=8),
    st.booleans(),
)
def test_any_memory_is_looked_through(parts, changes, kinds, has_guards):
    """Stacks lie within what there is and hold what they were found by; no exception."""
    data = bytearray(8 * PAGE)
    address = START + 8 * PAGE - 0x940
    struct_at = list(struct.unpack("<288Q", head(address, START - PAGE, 9 * PAGE)))
    for place, word in changes:
        struct_at[place] = word
    data[address - START : address - START + 2304] = struct.pack("<288Q", *struct_at)
    for place, part in parts:
        own = [START + 16 * place, 0, START + 16 * place, *part]
        raw = struct.pack(f"<{len(own)}Q", *own)[: len(data) - 16 * place]
        data[16 * place : 16 * place + len(raw)] = raw
    flags = ("gu",) if has_guards else ()
    whole = region(START, START + 8 * PAGE, "rw-p", *flags)
    found = find(data, [GUARD, whole], kinds)
    assert all(a.end <= b.start for a, b in pairwise(found))
    for stack in found:
        assert START - PAGE <= stack.start < stack.end <= START + 8 * PAGE
        assert stack.start % PAGE == stack.end % PAGE == 0


def test_two_in_one_place_are_one():
    """Damaged memory may name the same stack twice, with and without a thread."""
    data = bytearray(16 * PAGE)
    other = AT - PAGE
    for address, tid in ((AT, 77), (other, 0)):
        part = head(address, START - PAGE, 17 * PAGE, tid)[: START + 16 * PAGE - address]
        data[address - START : address - START + len(part)] = part
    own = region(START, START + 16 * PAGE, "rw-p")
    assert len(find(data, [GUARD, own])) == 1


def test_a_great_deal_of_memory_above_a_guard_is_not_read_to_its_end():
    """A gigabyte that holds no stack."""
    count = 1 << 18
    with made_up(bytes(PAGE), START, bytes([EXCLUSIVE]) * count) as image:
        os.ftruncate(image.memory.fd, START + count * PAGE)
        end = START + count * PAGE
        for flags in ((), ("gu",)):
            regions = [GUARD, region(START, end, "rw-p", *flags)]
            assert find_stacks(image, regions, 1, [1, 2, 3]) == []
