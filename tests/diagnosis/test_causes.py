"""Programs that are known to grow for one reason: that reason comes first, with the right process.

The programs are watched for some seconds only, which is the least that a cause takes to show.
"""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

SHARED_MEMORY = pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="there is no /dev/shm")

DEEP = pytest.mark.deep  # what it does is tried on recorded evidence, too
HEALTHY = ("steady", "warm_up")


@pytest.mark.parametrize(
    ("kind", "cause", "type_"),
    [
        ("objects", "python_objects", "bytes"),
        pytest.param("frames", "python_objects", "bytearray", marks=DEEP),
        ("native", "native", None),
        pytest.param("mapped", "native", None, marks=DEEP),
        ("holes", "arena_fragmentation", None),
        ("kept", "arena_retention", None),
        pytest.param("files", "page_cache", None, marks=DEEP),
        pytest.param("attached", "shared_memory", None, marks=[SHARED_MEMORY, DEEP]),
        pytest.param("threads", "thread_stacks", None, marks=DEEP),
    ],
)
def test_one_reason(watched, kind, cause, type_):
    """The cause is first, and more than a guess; whose memory it is, and of which type."""
    answer = watched(kind)
    if answer.first["cause"] != cause:  # many at once may take the processor from each other
        answer = watched.again(kind)

    assert answer.code == 0, answer
    assert answer.first["cause"] == cause, answer
    assert answer.first["pid"] == watched.pids[kind]
    assert answer.first["confidence"] >= 0.45, answer
    assert answer.first["next_step"], answer
    if type_ is not None:
        assert answer.first["type"] == type_, answer


@DEEP
@SHARED_MEMORY
def test_segments_that_nobody_unlinks(start, diagnose):
    """They belong to whoever makes them; by itself, as /dev/shm is everybody's."""
    target = start("target_memory.py", "segments", 3)
    answer = diagnose(target.pid)

    assert (answer.first["cause"], answer.first["pid"]) == ("shared_memory", target.pid), answer
    assert answer.first["next_step"], answer


@pytest.mark.watches("objects", "native")
def test_what_may_fill_up_is_hedged(watched):
    """A program that was just started may fill a cache: no leak of it is almost sure."""
    for kind in ("objects", "native"):
        answer = watched(kind)
        assert answer.first["confidence"] < 0.8, answer
        assert any("looks the same at first" in one for one in answer.first["against"]), answer


@DEEP
@pytest.mark.watches("table")
def test_a_table_that_doubles_is_no_warm_up(watched):
    """Its rise is uneven, and never slows down for good."""
    answer = watched("table")
    if answer.first["cause"] not in ("python_objects", "unknown"):
        answer = watched.again("table")

    assert answer.first["cause"] in ("python_objects", "unknown"), answer
    assert answer.first["cause"] == "unknown" or answer.first["type"] in ("dict", "int"), answer


@DEEP
@pytest.mark.watches("unnamed")
def test_shared_memory_without_a_name_cannot_be_unlinked(watched):
    """An anonymous mapping lies in no /dev/shm, and the step is another one."""
    answer = watched("unnamed")

    assert answer.first["cause"] == "shared_memory", answer
    assert "unlink" not in answer.first["headline"] + answer.first["next_step"], answer


@pytest.mark.parametrize("kind", [pytest.param("nothing", marks=DEEP), "cache"])
def test_nothing_is_invented(watched, kind):
    """What is healthy gets no cause of a leak, however it moves."""
    answer = watched(kind)

    assert answer.first["cause"] in HEALTHY, answer
    others = [one for one in answer.findings if one["cause"] not in HEALTHY]
    assert all(one["confidence"] < 0.5 for one in others), answer


@DEEP
@pytest.mark.watches("cycles")
def test_what_comes_back_is_no_leak(watched):
    """Garbage that is collected now and then goes up and down."""
    answer = watched("cycles")
    if answer.first["cause"] != "sawtooth":
        answer = watched.again("cycles")

    assert answer.first["cause"] == "sawtooth", answer
    assert answer.first["pid"] == watched.pids["cycles"]


@pytest.mark.watches("many")
def test_many_children_are_no_leak(watched):
    """Children that come while it is watched: the number it is, and the parent's matter."""
    answer = watched("many")

    assert answer.first["cause"] == "many_processes", answer
    assert answer.first["pid"] == watched.pids["many"]
    assert answer.document["processes"] == 13


@pytest.mark.watches("one of many")
def test_the_one_of_many_that_grows(watched):
    """Asked for the root of a tree, it names the child that leaks."""
    answer = watched("one of many")

    assert answer.first["cause"] == "python_objects", answer
    assert answer.first["pid"] == watched.children["one of many"][-1]
    assert answer.document["pid"] == watched.pids["one of many"]


@DEEP
@pytest.mark.watches("pool")
def test_workers_that_come_and_go(watched):
    """Whoever has just ended is not who the answer is about; nothing grows."""
    answer = watched("pool")

    assert answer.first["cause"] == "steady", answer
    assert "ended" not in answer.first["headline"], answer


@DEEP
@pytest.mark.watches("born")
def test_a_worker_that_is_born_meanwhile(watched):
    """Also who was not there when the watching began is looked into twice."""
    answer = watched("born")

    assert answer.first["cause"] == "native", answer
    assert answer.first["pid"] == watched.children["born"][0]
