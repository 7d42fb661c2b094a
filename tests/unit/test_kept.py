"""Answers come out of a recording as they went in."""

import json

from memtop.actions.result import Generation
from memtop.actions.result import Result as ActionResult
from memtop.anatomy.objects import Container, Objects, Owner, Task, TypeCount
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
from memtop.diagnosis.finding import Finding, Lack
from memtop.kept import kept_anatomy, kept_census, kept_result, kept_verdict, recalled
from memtop.probe.sample import Identity
from memtop.recording.recording import Result
from memtop.render.finding import Verdict

WHO = Identity(4711, 42)
ANATOMY = Anatomy(
    WHO,
    "pool_worker",
    1_763_000_000.5,
    0.25,
    10 << 20,
    (Part("malloc_trapped", "freed, trapped", 5 << 20, 7), Part("other", "other", 1)),
    0.99,
    arenas=(Arena(0, True, 100, 50, 50, 10, 20, 15, 5),),
    heaps=Heaps(2, 4096),
    pymalloc=Pymalloc(3, 40, 8),
    big_blocks=BigBlocks(1, 4096, (SizeClass(4096, 1, 4096),), 1),
    settings=Settings(2, 128 << 10, 128 << 10, 0, True),
    missing=(Missing("objects", "no right", "memory", "sudo memtop"),),
)
OBJECTS = Objects(
    WHO,
    "pool_worker",
    1_763_000_001.0,
    0.5,
    "snapshot",
    tuple(TypeCount(f"Type{number}", "app", 5, 400 - number, 80, 0.01) for number in range(80)),
    big_blocks=(Owner("ndarray", "uint8 (480, 640, 3)", 2, 1 << 20),),
    containers=(Container("app.pending", "dict", 12),),
    tasks=(Task("job", "pending", 3),),
    threads=("main", "w\udc80rker"),
)
FINDING = Finding(
    "arena_fragmentation",
    "worker 42 grows",
    0.75,
    42,
    "worker",
    None,
    ("because",),
    ("but",),
    (Lack("objects", "no census", "o"),),
    "set this",
)


def through_a_file(kept):
    """What comes back, and what was written."""
    text = json.dumps(kept.document)
    row = Result(0, 1.0, kept.kind, kept.identity, json.loads(text))
    return recalled(row), json.loads(text)


def test_a_look_comes_back():
    """Parts, arenas and all else of an anatomy; beside it is the document of the command line."""
    value, document = through_a_file(kept_anatomy(ANATOMY, "2026-11-21T14:00:00.000Z"))
    assert value == ANATOMY
    assert document["parts"][0]["bytes"] == 5 << 20 and document["pid"] == 42


def test_a_census_comes_back_whole():
    """All types come back; the document has the largest ones."""
    census = OBJECTS
    value, document = through_a_file(kept_census(census))
    assert value == census
    assert len(document["types"]) == 50


def test_results_come_back():
    """Those of a collection, and of a snapshot with its objects."""
    gc = ActionResult("gc", 42, "x", 5.0, "done", "ok", WHO, generations=(Generation(1, 0, 0.1),))
    snapshot = ActionResult("snapshot", 42, "x", 5.0, "done", "ok", WHO, objects=OBJECTS)
    for result in (gc, snapshot):
        value, document = through_a_file(kept_result(result))
        assert value == result
        assert document["results"][0]["outcome"] == "done"
    assert len(document["results"][0]["types"]) == 50


def test_a_verdict_comes_back():
    """With every finding and what it rests on."""
    verdict = Verdict((FINDING,), 7.0, 30.0, 2, 25.0, 3, True)
    value, document = through_a_file(kept_verdict(verdict, WHO))
    assert value == verdict
    assert document["findings"][0]["cause"] == "arena_fragmentation"


def test_what_is_no_answer_is_none():
    """Of a later version, of somebody else, damaged: no answer, and no error."""
    kept = kept_anatomy(ANATOMY)
    for document in (
        None,
        [],
        {},
        {"value": {}},
        {"value": {**kept.document["value"], "parts": 5}},
    ):
        assert recalled(Result(0, 1.0, "anatomy", WHO, document)) is None
    assert recalled(Result(0, 1.0, "later", WHO, kept.document)) is None
