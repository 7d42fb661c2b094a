"""The recordings of the five incidents: small, of no machine in particular, and they tell it."""

import json
import os
import re
import socket
from itertools import pairwise
from pathlib import Path

import pytest

from memtop.kept import recalled
from memtop.recording.recording import Recording

FOLDER = Path(__file__).parents[2] / "screenshots"
NAMES = ("s1", "s2", "s3", "s4", "s5")
MIB = 1024
FRAMES_KIB = 20 * 3 * 224 * 224 * 4 / 1024  # what a stream of the benchmark keeps


@pytest.fixture
def opened():
    """opened("s1"): the recording."""
    made = []

    def give(name):
        made.append(Recording(str(FOLDER / f"{name}.memtop")))
        return made[-1]

    yield give
    for one in made:
        one.close()


def causes(recording):
    """What the diagnoses said, the likeliest first."""
    answers = [recalled(one) for one in recording.results() if one.kind == "diagnose"]
    return [(one.first.cause, one.first.word) for one in answers]


def of(recording, kind):
    """The answers of a command, as they were given."""
    return [recalled(one) for one in recording.results() if one.kind == kind]


@pytest.mark.parametrize("name", NAMES)
def test_they_are_whole_small_and_of_no_machine(opened, name):
    """Under 400 KB; names, paths and users are those of a container, and not of this machine."""
    assert os.stat(FOLDER / f"{name}.memtop").st_size < 400_000
    recording = opened(name)
    assert recording.damage is None
    assert {run.host for run in recording.runs} <= {"node-a", "node-b", "bench-3"} - {
        socket.gethostname()
    }
    state = recording.state(recording.last_tick)
    words = [json.dumps(one.json) for one in recording.results()]
    words += [one.command or "" for one in recording.processes()]
    words += [f"{row.exe} {row.cgroup}" for row in state.rows.values()]
    paths = re.findall(r"(?<![\w.])/\w[\w.-]*(?=/)", " ".join(words))
    assert paths
    assert set(paths) <= {"/srv", "/services"}
    assert {row.user for row in state.rows.values()} == {"root"}


def test_together_they_are_small():
    """All of them may be kept in a repository."""
    assert sum(os.stat(FOLDER / f"{name}.memtop").st_size for name in NAMES) < 1_500_000


def test_the_pool_worker_keeps_what_its_threads_have_freed(opened):
    """Of all processes only it grows, and malloc_trim gives much of it back."""
    recording = opened("s1")
    leaking = {one.text.split()[0] for one in recording.events() if one.kind == "leak-like"}
    assert leaking == {"pool_worker"}
    assert causes(recording) == [("arena_retention", "almost sure")]
    (trim,) = of(recording, "trim")
    assert trim.returned_bytes > 100 * MIB * 1024
    words = {row.name: row.trend.word for row in recording.state_at(trim.at - 5).rows.values()}
    assert words.pop("pool_worker") == "leak-like"
    assert set(words.values()) == {"steady"}


def test_what_is_freed_is_trapped(opened):
    """Half of what the arenas hold is free, objects are few of what came, and a trim is no help."""
    recording = opened("s2")
    assert causes(recording) == [("arena_fragmentation", "almost sure")]
    first, last = of(recording, "anatomy")
    trapped = last.bytes_of("malloc_trapped")
    assert trapped > 0.5 * last.rss_bytes
    objects = [one.bytes for one in of(recording, "census")]
    assert objects[1] - objects[0] < 0.3 * (last.rss_bytes - first.rss_bytes)
    (trim,) = of(recording, "trim")
    assert trim.returned_bytes < 0.02 * last.rss_bytes


def test_many_processes_and_no_leak(opened):
    """Forty of one size were started, and nobody was ever called a leak."""
    recording = opened("s3")
    assert causes(recording) == [("many_processes", "almost sure")]
    assert recording.events() == []
    state = recording.state(recording.last_tick)
    (group,) = state.groups.values()
    assert (group.finding, len(group.members), group.growing) == ("many-processes", 40, 0)


def test_a_step_with_each_level(opened):
    """Between two marks RSS rises by the frames of as many streams, and gc gives all back."""
    recording = opened("s4")
    (number,) = [one.number for one in recording.processes() if one.identity.pid == 1]
    marks = [one for one in recording.events() if one.kind == "mark"]
    assert [one.text for one in marks[:-1]] == [
        "1 stream",
        *(f"{count} streams" for count in (2, 4, 8, 16)),
    ]
    ticks = [recording.tick_at(one.at) for one in marks]
    sizes = [recording.memory(number, 0, tick)[-1][1] for tick in ticks]
    steps = [after - before for before, after in pairwise(sizes)]
    assert steps == pytest.approx([count * FRAMES_KIB for count in (1, 2, 4, 8, 16)], abs=2 * MIB)
    assert causes(recording)[0][0] == "python_objects"
    (gc,) = of(recording, "gc")
    assert gc.returned_bytes > 0.9 * sum(steps) * 1024


def test_the_second_request_is_warned_of(opened):
    """While one runs no more fit; only when the second one starts is there an OOM kill."""
    recording = opened("s5")
    assert causes(recording) == [("capacity", "almost sure")]
    (kill,) = [one for one in recording.events() if one.kind == "oom"]
    requests = [one for one in recording.processes() if "request" in (one.command or "")]
    second = recording.time_of(requests[-1].first_tick)
    assert second < kill.at < second + 30
    (limit,) = recording.state_at(second - 5).limits.values()
    assert (limit.capacity.fits_more, limit.capacity.warns) == (0, True)
