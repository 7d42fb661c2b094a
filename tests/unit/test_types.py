"""The types of a process: found in real interpreters; garbage is no type."""

import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtop.anatomy import layout as layouts
from memtop.anatomy.census import take_census
from memtop.anatomy.layout import GC, HEAP, READY, is_hooked, layout_of, measure_keys, unhooked
from memtop.anatomy.types import Candidates, Type, Types, _Reader
from memtop.probe.parse import parse_stat
from memtop.probe.sample import Identity
from memtop.target.pages import PAGE

sys.path.insert(0, str(Path(__file__).parent.parent))
from images import Bounded, made_up

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc")

START = 0x7F0000000000
VERSIONS = [(3, minor) for minor in range(6, 15)]
# Types of types of types; classes by type(), of a module, a subclass of what is in C.
TARGET = """
import collections, json, sys
class Root(type): pass
class Meta(type, metaclass=Root): pass
class Made(metaclass=Meta): pass
Called = type("Called", (), {"__slots__": ()})
Pair = collections.namedtuple("Pair", "one two")
class Text(str): pass
kept = [[make() for _ in range(900)] for make in (Made, Called, lambda: Pair(1, 2), Text)]
class Elsewhere: pass
Elsewhere.__module__ = "some.where"
kept.append([Elsewhere() for _ in range(900)])
print("ready", flush=True)
sys.stdin.readline()
"""


def test_names_and_modules(children):
    """Of classes however they were made; the types of types have their objects, too."""
    pid = children.ready(TARGET).pid
    ticks = parse_stat(Path(f"/proc/{pid}/stat").read_bytes()).start_ticks
    found = {one.name: one.count for one in take_census(Identity(ticks, pid)).types}
    for name in ("Made", "Called", "Pair", "Text"):
        assert found[f"__main__.{name}"] == 900
    assert found["some.where.Elsewhere"] == 900
    assert (found["__main__.Root"], found["__main__.Meta"]) == (1, 1)
    assert found["type"] > 50 and found["dict"] > 100


@pytest.mark.parametrize("version", [(2, 7), (3, 5), (3, 15), (4, 0)])
def test_versions_that_are_not_known(version):
    """They have no layout."""
    assert layout_of(version) is None


def test_heads_of_objects():
    """What stands before an object by version and by the flags of its type."""
    managed, weak = 1 << 4, 1 << 3
    heads = {
        version: tuple(layout_of(version).head(flags) for flags in (0, GC, GC | managed, GC | weak))
        for version in VERSIONS
    }
    assert heads[3, 6] == heads[3, 7] == (0, 32, 32, 32)
    assert heads[3, 8] == heads[3, 10] == (0, 16, 16, 16)
    assert heads[3, 11] == (0, 16, 32, 16)
    assert heads[3, 12] == heads[3, 14] == (0, 16, 32, 32)


def test_debug_hooks():
    """Told by the second words of blocks, of which free ones say nothing; two may be nested."""
    mark, dead = 0xFDFDFDFDFDFDFD6F, 0xDDDDDDDDDDDDDDDD
    assert is_hooked([mark] * 3 + [dead] * 20)
    assert not is_hooked([mark] * 3 + [5] * 20)
    assert not is_hooked([])
    assert unhooked([9, mark, 9, mark, 9, mark, 1, 1], 0) == 4
    assert unhooked([9, 8, 7], 0) == 0
    assert unhooked([9], 0) == 0
    assert layouts.HOOK == 16


def struct_of(name, *, flags=READY, basic=16, item=0):
    words = [0] * 34
    words[1], words[3], words[4], words[5], words[21] = START, name, basic, item, flags
    return struct.pack("=34Q", *words)


@pytest.mark.parametrize(
    ("change", "is_type"),
    [
        ({}, True),
        ({"flags": 0}, False),
        ({"basic": 0}, False),
        ({"basic": 1 << 40}, False),
        ({"item": 1 << 40}, False),
        ({"name": 0}, False),
        ({"name": START + 2 * PAGE}, False),
        ({"name": START + 1024}, False),
    ],
)
def test_what_is_a_type(change, is_type):
    """It is ready, has a size, and a name that can be read."""
    data = struct_of(**{"name": START + 512, **change}).ljust(512, b"\0")
    data = (data + b"Thing\0").ljust(PAGE, b"\1")
    with made_up(data, START) as image:
        memory = Bounded(image.memory, START, START + PAGE)
        found = _Reader(memory, layout_of((3, 12))).read(START)
        assert (found is not None and found.name == "Thing") == is_type


def test_classes_are_scanned_for():
    """Where blocks are not known: what has the flags of a class, at multiples of 16."""
    one = struct_of(START + 512, flags=READY | HEAP).ljust(512, b"\0")
    with made_up((one + bytes(16) + one).ljust(2 * PAGE, b"\0"), START) as image:
        candidates = Candidates(3)
        candidates.scan(image, [(START, START + 2 * PAGE)])
        assert candidates.of(START) == [START, START + 528]


words = st.one_of(
    st.integers(0, (1 << 64) - 1),
    st.integers(START, START + 4 * PAGE),
    st.sampled_from([0, 1, READY | HEAP, 0x0303_0303, 8, 16, 40]),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(words, min_size=1, max_size=300), st.sampled_from(VERSIONS), st.data())
def test_garbage_neither_raises_nor_runs_away(values, version, data):
    """Types, dicts and names of any memory."""
    raw = struct.pack(f"={len(values)}Q", *values)
    raw = (raw * (4 * PAGE // len(raw) + 1))[: 4 * PAGE]
    layout = layout_of(version)
    with made_up(raw, START) as image:
        candidates = Candidates((layout.gc + 8) // 8)
        candidates.scan(image, [(START, START + 4 * PAGE)])
        memory = Bounded(image.memory, START, START + 4 * PAGE)
        reader = _Reader(memory, layout)
        address = START + 8 * data.draw(st.integers(0, 4 * PAGE // 8))
        reader.read(address)
        dictionary = data.draw(st.sampled_from(values))
        one = Type(START, "Thing", START, 16, 0, READY | HEAP, dictionary, 16, 32)
        types = Types(memory, layout, [one])
        name, module = types.described(START)
        assert name == "Thing" and (module is None or module.isprintable())
        assert types.kind(START) is None
        offset, entry, count = measure_keys(raw[:40], layout)
        assert offset >= 0 and entry in (0, 16, 24) and count >= 0
