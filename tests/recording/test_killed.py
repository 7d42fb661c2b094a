"""A recorder that is killed loses at most its last sample."""

import random
import sqlite3
import time

import pytest

from memtop.recording.recording import Recording

DEEP = pytest.mark.deep


def check(path):
    """What SQLite itself says of a file."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute("PRAGMA integrity_check").fetchone()[0]
    finally:
        connection.close()


@pytest.mark.parametrize("kills", [15, pytest.param(50, marks=DEEP)])
def test_killed_at_any_instant(tmp_path, writers, kills):
    """`kill -9` at random, many times: the file is whole, and holds all that was said to be in it.

    Each recorder goes on with the file of the one before.
    """
    path = tmp_path / "a.memtop"
    roll = random.Random(5)
    for _ in range(kills):
        child = writers.start(path)
        time.sleep(roll.random() * 0.15)
        child.kill()
        lines = child.stdout.read().split("\n")  # communicate() leaves out what is buffered
        child.wait()
        said = max([child.first_tick, *(int(line) for line in lines[:-1] if line)])
        with Recording(str(path)) as recording:
            assert recording.damage is None
            assert recording.last_tick in (said, said + 1)
            state = recording.state(recording.last_tick)
            assert any(row.pid == 1 for row in state.rows.values())
        assert check(path) == "ok"
    with Recording(str(path)) as recording:
        assert len(recording.runs) == kills
        for run in recording.runs:
            assert recording.state(run.first_tick).tick == run.first_tick


def test_killed_before_its_first_sample(tmp_path, children):
    """A recorder that is killed as soon as it has made the file leaves one that can be used."""
    path = tmp_path / "a.memtop"
    code = (
        "import sys; from memtop.recording.session import Session;"
        "Session(sys.argv[1]); print('made', flush=True); sys.stdin.read()"
    )
    child = children.ready(code, str(path))
    child.kill()
    child.wait()

    with Recording(str(path)) as recording:
        assert recording.last_tick < recording.first_tick
        assert recording.events() == []
    assert check(path) == "ok"
