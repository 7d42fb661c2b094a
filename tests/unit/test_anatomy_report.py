"""An anatomy as JSON: the fields of the contract, whatever is known."""

import json

from memtop import __version__
from memtop.anatomy.difference import compare
from memtop.anatomy.report import anatomy_json
from memtop.anatomy.result import (
    Anatomy,
    Arena,
    BigBlocks,
    Heaps,
    Missing,
    Part,
    Pymalloc,
    Settings,
    SizeClass,
)
from memtop.probe.sample import Identity

MIB = 1 << 20
AT = 1_795_269_600.0  # 2026-11-21T14:00:00Z
ME = Identity(100, 4711)
CONTRACT = set(
    "memtop taken_at pid started rss_bytes explained_bytes confidence parts arenas pymalloc "
    "big_blocks malloc_in_use_python_bytes big_blocks_python_bytes trim_would_return_bytes "
    "allocator settings missing seconds".split()
)
MORE = set("name swapped_bytes resyncs heaps provider python threads changes".split())
ARENA = "index main system_bytes in_use_bytes free_bytes released_bytes trapped_bytes "
ARENA += "trimmable_bytes top_bytes"


def looked(**values):
    parts = (
        Part("python_objects", "python objects", 318 * MIB, 3 * MIB),
        Part("malloc_trapped", "malloc trapped", 305 * MIB),
        Part("other", "other", 8 * MIB),
    )
    defaults = {
        "confidence": 0.99912345678,
        "resyncs": 2,
        "arenas": (
            Arena(0, True, 118 * MIB, 61 * MIB, 57 * MIB, 0, 56 * MIB, 1 * MIB, 0),
            Arena(6, False, 64 * MIB, 23 * MIB, 41 * MIB, 1, 2, 3, 4),
        ),
        "pymalloc": Pymalloc(70_944, 300 * MIB, 22 * MIB),
        "big_blocks": BigBlocks(114, 92 * MIB, (SizeClass(MIB, 100, 80 * MIB),), 114),
        "trim_would_return_bytes": 6 * MIB,
        "allocator": "glibc 2.36",
        "python": "3.12.1",
        "settings": Settings(0, 128 << 10, 128 << 10, 128 << 10, is_fixed=False),
        "threads": 31,
    }
    return Anatomy(ME, "shop", AT, 0.31234567, 640 * MIB, parts, **{**defaults, **values})


def written(anatomy, difference=None):
    """The document as a reader of the JSON gets it."""
    return json.loads(json.dumps(anatomy_json(anatomy, "2026-11-21T04:00:00.000Z", difference)))


def test_every_field_of_the_contract_is_there():
    """Names, and figures as they were measured."""
    document = written(looked())

    assert set(document) == CONTRACT | MORE
    assert document["memtop"] == __version__
    assert document["taken_at"] == "2026-11-21T14:00:00.000Z"
    assert (document["pid"], document["started"]) == (4711, "2026-11-21T04:00:00.000Z")
    assert document["rss_bytes"] == 640 * MIB
    assert document["explained_bytes"] == 623 * MIB
    assert (document["confidence"], document["seconds"]) == (0.999123, 0.3123)
    assert document["parts"][0] == {
        "id": "python_objects",
        "label": "python objects",
        "bytes": 318 * MIB,
        "shared_bytes": 3 * MIB,
    }
    assert document["parts"][1]["shared_bytes"] is None
    assert document["trim_would_return_bytes"] == 6 * MIB
    assert document["allocator"] == "glibc 2.36"
    assert document["settings"]["arena_max"] == 0 and document["settings"]["is_fixed"] is False


def test_arenas_blocks_and_pools_have_their_fields():
    """The accounting of malloc, arena by arena; blocks without owners before a census."""
    document = written(looked())

    assert [set(arena) for arena in document["arenas"]] == [set(ARENA.split())] * 2
    assert document["arenas"][1]["released_bytes"] == 1
    assert document["arenas"][1]["top_bytes"] == 4
    assert document["arenas"][0]["main"] is True
    assert document["pymalloc"] == {
        "pools": 70_944,
        "used_bytes": 300 * MIB,
        "free_bytes": 22 * MIB,
    }
    assert document["big_blocks"] == {
        "count": 114,
        "bytes": 92 * MIB,
        "expected_count": 114,
        "sizes": [{"at_least_bytes": MIB, "count": 100, "bytes": 80 * MIB}],
        "by_owner": None,
    }
    assert document["malloc_in_use_python_bytes"] is None
    assert document["big_blocks_python_bytes"] is None


def test_what_is_not_known_is_null_and_says_why():
    """Without the right to read memory: no arenas, no prediction; right and command are named."""
    missing = Missing("arenas", "kernel.yama.ptrace_scope is 1", "memory", "sudo memtop anatomy 1")
    document = written(
        looked(
            arenas=(),
            heaps=Heaps(13, 590 * MIB),
            pymalloc=None,
            big_blocks=None,
            trim_would_return_bytes=None,
            settings=None,
            missing=(missing,),
        )
    )

    assert document["arenas"] == []
    assert document["heaps"] == {"count": 13, "resident_bytes": 590 * MIB}
    for name in ("pymalloc", "big_blocks", "trim_would_return_bytes", "settings", "changes"):
        assert document[name] is None
    assert document["missing"] == [
        {
            "what": "arenas",
            "reason": "kernel.yama.ptrace_scope is 1",
            "right": "memory",
            "command": "sudo memtop anatomy 1",
        }
    ]


def test_zero_is_not_unknown():
    """Nothing to return, no blocks, no pools: figures that were measured."""
    document = written(
        looked(
            trim_would_return_bytes=0,
            pymalloc=Pymalloc(0, 0, 0),
            big_blocks=BigBlocks(0, 0),
            heaps=Heaps(0, 0),
        )
    )
    assert document["trim_would_return_bytes"] == 0
    assert document["pymalloc"] == {"pools": 0, "used_bytes": 0, "free_bytes": 0}
    assert document["big_blocks"]["expected_count"] is None
    assert document["heaps"] == {"count": 0, "resident_bytes": 0}


def test_changes_have_signs_and_rates():
    """Since when, for how long, and by how much each part has changed."""
    before = looked()
    parts = (Part("malloc_trapped", "malloc trapped", 299 * MIB), *before.parts[:1])
    after = Anatomy(ME, "shop", AT + 60, 0.1, 630 * MIB, parts)
    changes = written(after, compare(before, after))["changes"]

    assert (changes["since_at"], changes["seconds"]) == ("2026-11-21T14:00:00.000Z", 60.0)
    assert changes["rss_bytes"] == -10 * MIB
    assert changes["parts"][1] == {
        "id": "malloc_trapped",
        "label": "malloc trapped",
        "bytes": -6 * MIB,
        "rate_bytes_per_s": round(-6 * MIB / 60),
    }
    assert [one["id"] for one in changes["parts"]] == ["other", "malloc_trapped", "python_objects"]


def test_names_that_are_no_utf8_are_readable():
    """Names of processes and files are bytes; every parser can read what is written of them."""
    missing = Missing("arenas", "it runs b\udcff", None, None)
    document = written(
        looked(provider="lib\udcfe.so", missing=(missing,), allocator="x\udc80", python=None)
    )

    assert document["provider"] == "lib\ufffd.so"
    assert document["allocator"] == "x\ufffd"
    assert document["missing"][0]["reason"] == "it runs b\ufffd"
    assert document["missing"][0]["right"] is None
