"""The census: objects by type, of real interpreters and of memory that is made up."""

import os
import random
import struct
import subprocess
import sys
import threading
from array import array
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtop.anatomy.buffers import Buffers, Counts
from memtop.anatomy.census import take_census
from memtop.anatomy.columns import Search, count_blocks, count_objects
from memtop.anatomy.image import Cancelled
from memtop.anatomy.layout import GC, HEAP, LIST, READY, References, layout_of
from memtop.anatomy.owners import Large
from memtop.anatomy.pymalloc import Pools
from memtop.anatomy.sampling import GROUPS, Spread, Strata
from memtop.anatomy.types import Type, Types
from memtop.errors import MemtopError, NoSuchProcess
from memtop.probe.parse import parse_stat
from memtop.probe.sample import Identity
from memtop.target.memory import Memory

sys.path.insert(0, str(Path(__file__).parent.parent))
from pythons import interpreters, label

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc")

PYTHONS = interpreters() or [sys.executable]
MIB = 1 << 20
# Of each kind how a type's objects lie in memory: with slots, with a dict, what C makes, what is
# larger than a pool's blocks; and tuples that begin with a class, which look like its objects.
TARGET = """
import sys
class Slotted(object):
    __slots__ = ("one", "two")
class Plain(object):
    pass
class Row(tuple):
    pass
class Wide(object):
    __slots__ = ["slot%d" % number for number in range(90)]
kept = [[Slotted() for _ in range(5000)], [Plain() for _ in range(4000)]]
kept += [[Row((1, 2)) for _ in range(3000)], [Wide() for _ in range(700)]]
kept += [[(Plain, number) for number in range(2000)], [bytearray(200000) for _ in range(20)]]
for one in kept[0]:
    one.one = 1
del kept[0][::5]
print("ready")
sys.stdout.flush()
sys.stdin.readline()
"""
KNOWN = {"Slotted": 4000, "Plain": 4000, "Row": 3000, "Wide": 700}


def identity(pid):
    return Identity(parse_stat(Path(f"/proc/{pid}/stat").read_bytes()).start_ticks, pid)


@pytest.fixture
def start():
    """Starts an interpreter with the target, and gives its PID when it is ready."""
    running = []

    def start(path, **variables):
        child = subprocess.Popen(
            [path, "-S", "-c", TARGET],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **variables},
        )
        running.append(child)
        assert child.stdout.readline() == b"ready\n"
        return child.pid

    yield start
    for child in running:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()


def known(found):
    return {
        one.type: one.count for one in found.types if one.module == "__main__" and one.type in KNOWN
    }


@pytest.mark.parametrize("path", PYTHONS, ids=label)
def test_known_classes(start, path):
    """Exactly as many as there are, with the module of their classes, on every Python."""
    found = take_census(identity(start(path)))
    assert known(found) == KNOWN
    rows = {one.name: one for one in found.types}
    assert rows["bytearray"].buffer_bytes >= 20 * 200_000
    assert rows["__main__.Wide"].bytes >= 700 * 90 * 8
    assert not found.sampled and not found.cut and found.coverage == 1.0 and found.error is None
    assert found.malloc_in_use_python_bytes <= found.malloc_in_use_bytes
    assert [one.all_bytes for one in found.types] == sorted(
        (one.all_bytes for one in found.types), reverse=True
    )


@pytest.mark.parametrize("hooks", ["malloc", "debug", "malloc_debug"])
@pytest.mark.parametrize("path", PYTHONS[::4], ids=label)
def test_other_allocators_of_python(start, path, hooks):
    """Without pools, and with hooks that put something before each object."""
    found = take_census(identity(start(path, PYTHONMALLOC=hooks)))
    assert known(found) == KNOWN


@pytest.mark.parametrize("hooks", ["pymalloc", "malloc", "debug"])
def test_owners_of_big_blocks(start, hooks):
    """Blocks that malloc maps by themselves are those of the bytearrays, all of them."""
    options = {"MALLOC_MMAP_THRESHOLD_": "131072", "PYTHONMALLOC": hooks}
    found = take_census(identity(start(sys.executable, **options)))
    owners = {one.type: one for one in found.big_blocks}
    assert owners["bytearray"].count == 20
    assert owners["bytearray"].bytes >= 20 * 200_000
    assert found.big_blocks_python_bytes <= found.big_blocks_bytes
    assert sum(one.bytes for one in found.big_blocks) == found.big_blocks_bytes


def test_a_budget_is_kept_and_told(start):
    """Time that is over before anything was counted: an estimate, which says what it is."""
    found = take_census(identity(start(sys.executable)), full=True, budget_s=0.0)
    assert found.cut and found.sampled
    assert 0 < found.coverage <= 1
    assert known(found)["Slotted"] == pytest.approx(4000, rel=0.5)


def test_a_budget_that_is_enough_changes_nothing(start):
    """Everything in turns is everything."""
    pid = start(sys.executable)
    found = take_census(identity(pid), full=True, budget_s=60.0)
    assert not found.cut and not found.sampled
    assert known(found) == KNOWN


def test_cancel_and_progress(start):
    """Nobody waits any more; and until then it says how far it is."""
    who, said, cancel = identity(start(sys.executable)), [], threading.Event()
    take_census(who, watch=lambda done, total: said.append((done, total)))
    assert said and all(0 <= done <= total for done, total in said)
    cancel.set()
    with pytest.raises(Cancelled):
        take_census(who, cancel=cancel)


def test_no_python_and_no_process(children):
    """Both are told as what they are."""
    sleeping = subprocess.Popen(["sleep", "60"])
    try:
        with pytest.raises(MemtopError, match="runs no CPython"):
            take_census(identity(sleeping.pid))
    finally:
        sleeping.kill()
        sleeping.wait()
    child = children.ready("import sys; print(1, flush=True); sys.stdin.readline()")
    who = identity(child.pid)
    with pytest.raises(NoSuchProcess):
        take_census(Identity(who.start_ticks + 1, who.pid))
    child.kill()
    child.wait()
    with pytest.raises(NoSuchProcess):
        take_census(who)


# --- memory that is made up ---

LAYOUT = layout_of((3, 12))
PLAIN, COLLECTED, MANAGED = 0x7F0000001000, 0x7F0000002000, 0x7F0000003000
LISTS = 0x7F0000004000


def made_types(memory=None):
    def one(address, name, flags, basic):
        head = LAYOUT.head(flags)
        return Type(address, name, 0, basic, 0, flags | READY | HEAP, 0, head, head + basic)

    return Types(
        memory or Memory.__new__(Memory),
        LAYOUT,
        [
            one(PLAIN, "Plain", 0, 24),
            one(COLLECTED, "Collected", GC, 24),
            one(MANAGED, "Managed", GC | 1 << 4, 16),
            one(LISTS, "list", GC | LIST, 40),
        ],
    )


def buffers(types, large=None):
    return Buffers(types, types._memory, large or Large(), [], True)


def block(size, *words):
    return struct.pack(f"={len(words)}Q", *words).ljust(size, b"\0")


def counted(size, *blocks, types=None, references=None):
    types, counts = types or made_types(), Counts()
    types.references = references or types.references
    count_blocks(types, buffers(types), size, array("Q", b"".join(blocks)), counts)
    return {types[address].name: count for address, count in counts.objects.items()}


def test_where_the_pointer_to_the_type_must_stand():
    """At the word that the flags of the type say, and nowhere else."""
    here = {1: PLAIN, 3: COLLECTED, 5: MANAGED}
    for place in (1, 3, 5):
        for address in here.values():
            words = [0] * 8
            words[place - 1], words[place] = 1, address
            name = made_types()[address].name
            expected = {name: 1} if here[place] == address else {}
            assert counted(64, block(64, *words)) == expected


@pytest.mark.parametrize("count", [0, 0x7F0000005000, 1 << 40, 1 << 33])
def test_a_dead_object_is_none(count):
    """Freed blocks have a pointer there, dead objects zero."""
    assert counted(64, block(64, count, PLAIN), block(64, 1, PLAIN)) == {"Plain": 1}


def test_flags_beside_the_count_of_references():
    """Since 3.14 they are in the highest 16 bits; immortal objects have a very large count."""
    fit = References((3, 14), 50 * MIB).fit
    assert fit(0x0001_0000_C000_0000) and fit(0xFFFFFFFF) and fit(1)
    assert not fit(0) and not fit(0x7F0000001000)
    assert counted(32, block(32, 0x0040_0000_C000_0000, PLAIN)) == {"Plain": 1}


@pytest.mark.parametrize("version", [(3, 6), (3, 11), (3, 12)])
def test_no_more_references_than_there_is_room_for(version):
    """Each takes a word; the text "481" or "1481" is no count in a process of 20 MiB."""
    small, large = References(version, 20 * MIB), References(version, 16 << 30)
    assert small.fit(20 * MIB // 8) and large.fit(0x31383431) and References(version).fit(1 << 31)
    assert not small.fit(0x31383431)
    assert small.fit(0x313834) == (version == (3, 12))
    for one in (small, large):
        assert one.fit(0xFFFFFFFF) == (version == (3, 12) or one is large)


@pytest.mark.parametrize("memory", [0, MIB, 100 * MIB, 5 << 30])
def test_columns_believe_what_a_word_is_believed(memory):
    """Counts that are just possible, and those that are not."""
    references = References((3, 8), memory)
    for count in (1, MIB // 8, MIB // 8 + (1 << 16), 100 * MIB // 8, 1 << 25, 1 << 30, 1 << 31):
        expected = {"Plain": 1} if references.fit(count) else {}
        assert counted(32, block(32, count, PLAIN), references=references) == expected


def test_a_block_must_be_large_enough():
    """What is smaller than an object of the type is none."""
    assert counted(16, block(16, 1, PLAIN)) == {}
    assert counted(32, block(32, 1, PLAIN)) == {"Plain": 1}


def test_a_tuple_that_begins_with_a_type_is_a_tuple():
    """Its size and its first item stand where another object has its head."""
    pair = block(64, 9, 9, 1, COLLECTED, 2, MANAGED)
    assert counted(64, pair, block(64, 0, 0, 9, 9, 1, MANAGED)) == {"Collected": 1, "Managed": 1}
    types, counts = made_types(), Counts()
    words = array("Q", pair)
    assert count_objects(types, buffers(types), words, [0], [64], counts) == [(0, COLLECTED)]


def test_the_buffer_of_a_list():
    """What it has allocated; a large one only if malloc has a block there."""
    types, large, counts = made_types(), Large(), Counts()
    large.add_big(0x7F1000000010, 900_000, 0x7F1000000010)
    noted = buffers(types, large)
    small = block(64, 0, 0, 1, LISTS, 1, 0x7F0000009000, 4)
    big = block(64, 0, 0, 1, LISTS, 1, 0x7F1000000010, 100_000)
    phantom = block(64, 0, 0, 1, LISTS, 1, 0x7F2000000010, 100_000)
    words = array("Q", small + big + phantom)
    count_blocks(types, noted, 64, words, counts)
    assert counts.objects[LISTS] == 3
    assert counts.buffers[LISTS] == 32
    assert list(large.owned()) == [(LISTS, 900_000, True, False)]
    assert not large.wanted


def test_search_for_owners():
    """Only objects that have one of the wanted blocks are noted."""
    types, large = made_types(), Large()
    large.add(0x7F1000000010, 70_000, 0x7F1000000010)
    search = Search(types, buffers(types, large), large.wanted)
    words = array("Q", block(64, 0, 0, 1, LISTS, 1, 0x7F1000000020, 9000) * 50)
    search.look(64, words, [(3, 5)])
    assert not list(large.owned())
    words[64 * 3 // 8 + 5] = 0x7F1000000010
    search.look(64, words, [(3, 5)])
    assert list(large.owned()) == [(LISTS, 70_000, False, False)]


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from([16, 32, 48, 64, 96, 512]),
    st.lists(
        st.sampled_from([0, 1, 2, PLAIN, COLLECTED, MANAGED, LISTS, 1 << 47, (1 << 64) - 1]),
        max_size=400,
    ),
)
def test_columns_agree_with_a_loop(size, words):
    """Joined blocks count the same as one after the other, whatever they hold."""
    step = size // 8
    words = words[: len(words) // step * step]
    types, counts, one_by_one = made_types(), Counts(), Counts()
    count_blocks(types, buffers(types), size, array("Q", words), counts)
    for start in range(0, len(words), step):
        part = array("Q", words[start : start + step] + [0] * 8)
        count_blocks(types, buffers(types), size, part[:step], one_by_one)
    assert counts.objects == one_by_one.objects
    assert sum(counts.objects.values()) <= 2 * len(words) // step
    assert counts.buffers == one_by_one.buffers


def made_pools(sizes):
    starts = array("Q", range(0, len(sizes) << 14, 1 << 14))
    return Pools([], len(sizes), 0, 0, 0, starts, array("H", sizes), array("H", [10] * len(sizes)))


@given(st.lists(st.sampled_from([16, 32, 64]), max_size=3000), st.integers(1, 500), st.randoms())
@settings(deadline=None, max_examples=50)
def test_a_sample_has_each_pool_once(sizes, most, rnd):
    """No more than was asked for, but some of each size; in turns everything, once."""
    strata = Strata(made_pools(sizes))
    taken = [index for group in strata.sample(most, rnd) for index in group]
    assert len(taken) == len(set(taken)) <= most + 3 * 32
    for size, count in Counter(sizes).items():
        assert sum(sizes[index] == size for index in taken) >= min(count, 32)
    turns = [index for group in strata.turns(most, rnd) for index in group]
    assert sorted(turns) == list(range(len(sizes)))
    assert list(strata.everything()) == list(range(len(sizes)))


def test_each_turn_is_a_sample():
    """Of the first and the second half as much, and of each size; so a part stands for all."""
    rnd = random.Random(5)
    sizes = [(16, 32, 32, 64)[number * 4 // 20_000] for number in range(20_000)]
    for turn in Strata(made_pools(sizes)).turns(4096, rnd):
        found = Counter(sizes[index] for index in turn)
        assert found[32] == pytest.approx(len(turn) / 2, rel=0.2)
        early = sum(5_000 <= index < 10_000 for index in turn)
        assert early == pytest.approx(len(turn) / 4, rel=0.4)


def test_what_is_said_to_be_off():
    """None differ: nothing; all was looked at: nothing, too; else what neighbours differ by."""
    seen = [{16: 100}] * GROUPS
    totals = {"a": 800 * GROUPS, "b": 200 * GROUPS}

    def said(used, found):
        spread = Spread(seen, {16: used})
        spread.add(16, found)
        return spread.worst(totals, 0.1)

    even = [{"a": 80, "b": 20}] * GROUPS
    odd = [{"a": 80, "b": 40 * (number % 2)} for number in range(GROUPS)]
    assert said(1000 * GROUPS, even) == 0.0
    assert said(100 * GROUPS, odd) == 0.0
    # 16 groups of 20 ± 20, ten times as many: 1600 ± 10 × √(16 × 800 × 0.9), of 3200.
    assert said(1000 * GROUPS, odd) == pytest.approx(2.23 * 10 * (16 * 800 * 0.9) ** 0.5 / 3200)
    slow = [{"a": 80, "b": 20 + number} for number in range(GROUPS)]
    assert said(1000 * GROUPS, slow) < said(1000 * GROUPS, odd) / 2


@pytest.mark.parametrize(("groups", "width"), [(2, 12.71), (4, 4.30), (16, 2.23)])
def test_few_groups_say_little(groups, width):
    """The fewer there are, the wider is what they say."""
    spread = Spread([{16: 100}] * groups, {16: 10_000})
    spread.variances["a"] = 1.0
    assert spread.worst({"a": 1.0}, 0.01) == width


# How objects of a type lie: all alike, every other pool, in runs, here and there, ever more.
KINDS = {
    "alike": lambda index, rnd: 10,
    "alternating": lambda index, rnd: 20 * (index % 2),
    "in runs": lambda index, rnd: 30 * (index // 50 % 3 == 0),
    "here and there": lambda index, rnd: rnd.choice((0, 0, 0, 40)),
    "ever more": lambda index, rnd: index // 1000,
}


@pytest.mark.parametrize("most", [512, 4096])
def test_what_is_said_to_be_off_is_true(most):
    """However the objects lie: in 19 of 20 samples each type is no further off than is said."""
    rnd = random.Random(17)
    sizes = [rnd.choice((32, 64)) for _ in range(20_000)]
    pools = [{name: kind(index, rnd) for name, kind in KINDS.items()} for index in range(20_000)]
    truth = {name: sum(one[name] for one in pools) for name in KINDS}
    strata, right, runs = Strata(made_pools(sizes)), Counter(), 60
    for _ in range(runs):
        groups = strata.sample(most, rnd)
        seen = [Counter() for _ in groups]
        found = {size: [Counter() for _ in groups] for size in (32, 64)}
        for number, group in enumerate(groups):
            for index in group:
                seen[number][sizes[index]] += 10
                found[sizes[index]][number].update(pools[index])
        spread, totals = Spread(seen, strata.used), Counter()
        for size, counters in found.items():
            spread.add(size, counters)
            scale = strata.used[size] / sum(one[size] for one in seen)
            for one in counters:
                totals.update({name: count * scale for name, count in one.items()})
        for name in KINDS:
            said = spread.worst({name: totals[name]}, 0.0)
            right[name] += abs(totals[name] / truth[name] - 1) <= said + 1e-9
    assert sum(right.values()) >= 0.95 * runs * len(KINDS), right
    assert all(right[name] >= 0.88 * runs for name in KINDS), right
