"""Python's objects as JSON: the fields of the contract, whatever is known."""

import json
from dataclasses import replace

import pytest

from memtop import __version__
from memtop.anatomy.inventory import contents_json, objects_json
from memtop.anatomy.objects import Container, Objects, Owner, Task, TypeCount, compare
from memtop.anatomy.report import anatomy_json
from memtop.anatomy.result import Anatomy, BigBlocks, Missing
from memtop.probe.sample import Identity

MIB = 1 << 20
AT = 1_795_269_600.0  # 2026-11-21T14:00:00Z
ME = Identity(100, 4711)
STARTED = "2026-11-21T04:00:00.000Z"
CONTRACT = set(
    "memtop taken_at pid started python sampled coverage types big_blocks seconds".split()
)
MORE = set(
    "name source sampling_error cut objects bytes malloc_in_use_bytes malloc_in_use_python_bytes "
    "big_blocks_bytes big_blocks_python_bytes missing changes".split()
)
OF_A_SNAPSHOT = set("containers tasks threads gc_counts gc_thresholds garbage tracemalloc".split())
TYPES = (
    TypeCount("bytes", "builtins", 90_000, 80 * MIB),
    TypeCount("Partial", "shop.tracker", 30_000, 2 * MIB, 1 * MIB),
    TypeCount("deque", None, 7, 4368),
)


def counted(**values):
    defaults = {
        "python": "3.12.1",
        "sampled": True,
        "coverage": 0.0721349876,
        "error": 0.0123456789,
        "big_blocks": (Owner("ndarray", "uint8 480×640×3", 60, 53 * MIB),),
        "malloc_in_use_python_bytes": 7 * MIB,
        "big_blocks_python_bytes": 53 * MIB,
        "malloc_in_use_bytes": 61 * MIB,
        "big_blocks_bytes": 92 * MIB,
    }
    made = {"types": TYPES, **defaults, **values}
    return Objects(ME, "shop", AT, 0.31234567, made.pop("source", "census"), **made)


def asked(**values):
    """What a snapshot gave."""
    return counted(
        source="snapshot",
        sampled=False,
        error=None,
        coverage=1.0,
        big_blocks=(),
        **{
            "containers": (Container("shop.tracker.pending", "dict", 30_000),),
            "tasks": (Task("consume", "pending", 12),),
            "threads": ("MainThread", "reader"),
            "gc_counts": (3, 2, 1),
            "gc_thresholds": (700, 10, 10),
            "garbage": 0,
            "is_tracing": False,
            **values,
        },
    )


def written(*arguments, **options):
    """The document as a reader of the JSON gets it."""
    return json.loads(json.dumps(objects_json(*arguments, **options)))


def test_every_field_of_the_contract_is_there():
    """Names, and figures as they were counted."""
    document = written(counted(), STARTED)

    assert set(document) == CONTRACT | MORE
    assert document["memtop"] == __version__
    assert document["taken_at"] == "2026-11-21T14:00:00.000Z"
    assert (document["pid"], document["started"], document["name"]) == (4711, STARTED, "shop")
    assert (document["source"], document["python"]) == ("census", "3.12.1")
    assert (document["sampled"], document["cut"]) == (True, False)
    assert (document["coverage"], document["sampling_error"]) == (0.072135, 0.012346)
    assert document["seconds"] == 0.3123
    assert document["types"][1] == {
        "type": "Partial",
        "module": "shop.tracker",
        "count": 30_000,
        "bytes": 2 * MIB,
        "buffer_bytes": 1 * MIB,
    }
    assert document["big_blocks"] == [
        {"type": "ndarray", "detail": "uint8 480×640×3", "count": 60, "bytes": 53 * MIB}
    ]
    assert document["malloc_in_use_python_bytes"] == 7 * MIB
    assert document["big_blocks_python_bytes"] == 53 * MIB
    assert document["changes"] is None


def test_nothing_is_called_an_error_that_is_none():
    """`error` says that a command has failed: an answer has no field of that name."""
    assert "error" not in written(counted(), STARTED)


def test_top_shortens_the_types_only():
    """The sums are of all of them."""
    document = written(counted(), STARTED, top=1)

    assert [one["type"] for one in document["types"]] == ["bytes"]
    assert document["objects"] == 120_007
    assert document["bytes"] == 83 * MIB + 4368


def test_what_is_not_known_is_null_and_says_why():
    """Also the module of a type, and the share of malloc where that is not glibc's."""
    missing = Missing("malloc", "jemalloc is not looked into")
    document = written(
        counted(
            python=None,
            malloc_in_use_python_bytes=None,
            big_blocks_python_bytes=None,
            missing=(missing,),
        ),
        None,
    )

    assert document["started"] is None and document["python"] is None
    assert document["types"][2]["module"] is None
    assert document["malloc_in_use_python_bytes"] is None
    assert document["big_blocks_python_bytes"] is None
    assert document["missing"] == [
        {
            "what": "malloc",
            "reason": "jemalloc is not looked into",
            "right": None,
            "command": None,
        }
    ]


def test_zero_is_not_unknown():
    """Nothing of malloc is Python's: that was counted."""
    document = written(
        counted(types=(), malloc_in_use_python_bytes=0, big_blocks_python_bytes=0), STARTED
    )
    assert (document["objects"], document["bytes"], document["types"]) == (0, 0, [])
    assert document["malloc_in_use_python_bytes"] == 0
    assert document["big_blocks_python_bytes"] == 0


def test_a_snapshot_tells_names():
    """Containers with their length, tasks, threads, the collector; null is not asked."""
    document = written(asked(), STARTED)

    assert set(document) == CONTRACT | MORE | OF_A_SNAPSHOT
    assert document["containers"] == [
        {"name": "shop.tracker.pending", "kind": "dict", "length": 30_000}
    ]
    assert document["tasks"] == [{"coroutine": "consume", "state": "pending", "count": 12}]
    assert document["threads"] == ["MainThread", "reader"]
    assert (document["gc_counts"], document["gc_thresholds"]) == ([3, 2, 1], [700, 10, 10])
    assert (document["garbage"], document["tracemalloc"]) == (0, False)
    assert document["sampling_error"] is None
    assert contents_json(asked(garbage=None))["garbage"] is None


def test_changes_have_signs_and_rates():
    """Since when, by how much each type and each container; what did not change is left out."""
    more = (TypeCount("bytes", "builtins", 96_000, 86 * MIB), *TYPES[2:])
    longer = (Container("shop.tracker.pending", "dict", 32_000),)
    before = asked()
    after = Objects(ME, "shop", AT + 120, 0.1, "snapshot", more, containers=longer)
    changes = written(after, STARTED, compare(before, after))["changes"]

    assert (changes["since_at"], changes["seconds"]) == ("2026-11-21T14:00:00.000Z", 120.0)
    assert changes["types"] == [
        {
            "type": "bytes",
            "module": "builtins",
            "count": 6000,
            "bytes": 6 * MIB,
            "rate_bytes_per_s": round(6 * MIB / 120),
            "sampling_error": 0.0,
        },
        {
            "type": "Partial",
            "module": "shop.tracker",
            "count": -30_000,
            "bytes": -3 * MIB,
            "rate_bytes_per_s": round(-3 * MIB / 120),
            "sampling_error": 0.0,
        },
    ]
    assert changes["containers"] == [
        {"name": "shop.tracker.pending", "kind": "dict", "before": 30_000, "after": 32_000}
    ]
    assert len(written(after, STARTED, compare(before, after), top=1)["changes"]["types"]) == 1


def test_what_no_object_owns_has_a_change():
    """By how much native memory grew, and whose big blocks did."""
    before = counted(malloc_in_use_bytes=30 * MIB, malloc_in_use_python_bytes=7 * MIB)
    after = replace(
        before,
        taken_at=AT + 60,
        malloc_in_use_bytes=47 * MIB,
        big_blocks=(Owner("ndarray", "uint8 480×640×3", 64, 57 * MIB),),
    )
    changes = written(after, STARTED, compare(before, after))["changes"]

    assert changes["native_bytes"] == 17 * MIB
    assert changes["big_blocks"] == [
        {"type": "ndarray", "detail": "uint8 480×640×3", "count": 4, "bytes": 4 * MIB}
    ]


@pytest.mark.parametrize("is_known_first", [True, False])
def test_a_type_whose_module_was_not_looked_up(is_known_first):
    """It is the one of that name, if there is one only; it has not gone, and nothing is new."""
    known = (TypeCount("Row", "shop.rows", 50, 5000), TypeCount("Box", "shop.rows", 9, 900))
    unknown = (TypeCount("Row", None, 40, 4000), known[1])
    first, second = (known, unknown) if is_known_first else (unknown, known)
    before = Objects(ME, "shop", AT, 0.1, "census", first)
    growth = compare(before, Objects(ME, "shop", AT + 60, 0.1, "census", second))
    sign = -1 if is_known_first else 1
    assert [(one.type, one.module, one.count) for one in growth.types] == [
        ("Row", "shop.rows", 10 * sign),
        ("Box", "shop.rows", 0),
    ]


def test_a_type_that_may_be_one_of_two():
    """Nothing is guessed: those without a module have gone, the others are new."""
    first = (TypeCount("Row", None, 90, 9000),)
    second = (TypeCount("Row", "one", 50, 5000), TypeCount("Row", "two", 40, 4000))
    before = Objects(ME, "shop", AT, 0.1, "census", first)
    growth = compare(before, Objects(ME, "shop", AT + 60, 0.1, "census", second))
    assert {(one.module, one.count) for one in growth.types} == {
        (None, -90),
        ("one", 50),
        ("two", 40),
    }


def test_names_that_are_no_utf8_are_readable():
    """Names are bytes of other people's programs; every parser can read what is written."""
    types = (TypeCount("T\udcff", "m\udcfe", 1, 64),)
    document = written(
        asked(
            types=types,
            containers=(Container("m.x\udcff", "list", 1),),
            tasks=(Task("c\udcff", "done", 1),),
            threads=("t\udcff",),
        ),
        STARTED,
    )
    assert (document["types"][0]["type"], document["types"][0]["module"]) == ("T\ufffd", "m\ufffd")
    assert document["containers"][0]["name"] == "m.x\ufffd"
    assert document["tasks"][0]["coroutine"] == "c\ufffd"
    assert document["threads"] == ["t\ufffd"]


def test_anatomy_tells_owners_after_a_census():
    """What of malloc and of the big blocks is Python's; without a census that is null."""
    anatomy = Anatomy(ME, "shop", AT, 0.1, MIB, (), big_blocks=BigBlocks(60, 53 * MIB))
    without = anatomy_json(anatomy, STARTED)
    document = anatomy_json(anatomy, STARTED, objects=counted())

    assert without["big_blocks"]["by_owner"] is None
    assert without["malloc_in_use_python_bytes"] is None
    assert document["big_blocks"]["by_owner"][0]["type"] == "ndarray"
    assert document["malloc_in_use_python_bytes"] == 7 * MIB
    assert document["big_blocks_python_bytes"] == 53 * MIB
    assert (
        anatomy_json(anatomy, STARTED, objects=counted(big_blocks=()))["big_blocks"]["by_owner"]
        == []
    )
