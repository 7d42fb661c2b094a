"""Processes of which little is known: an answer all the same, or a reason and an exit code."""

import json
import re
from datetime import datetime
from pathlib import Path

import pytest


@pytest.mark.watches("stopped")
def test_one_that_is_stopped(watched):
    """It cannot grow now, and the answer says that it is stopped; it stays so."""
    answer = watched("stopped")
    stat = Path(f"/proc/{watched.pids['stopped']}/stat").read_text()

    assert answer.code == 0, answer
    assert stat.rpartition(")")[2].split()[0] == "T"
    assert answer.first["cause"] in ("unknown", "steady"), answer
    assert "stopped" in json.dumps(answer.document), answer


@pytest.mark.watches("ends")
def test_one_that_ends(watched):
    """Exit code 4, and when; what was found until then is there."""
    answer, pid = watched("ends"), watched.pids["ends"]

    assert answer.code == 4, answer
    assert re.search(rf"{pid} has ended after \d+ s", answer.document["error"]["reason"])
    assert answer.first["pid"] == pid
    assert "ended" in answer.first["headline"], answer


@pytest.mark.watches("execs")
def test_one_that_becomes_another_program(watched):
    """What was before says nothing about what is now, and is not compared with it.

    It is the same interpreter with another script, which leaves name and executable as they were.
    """
    answer = watched("execs")
    ended, started = (
        datetime.fromisoformat(answer.document[one].replace("Z", "+00:00"))
        for one in ("taken_at", "started")
    )
    before_s = (ended - started).total_seconds() - answer.document["watched_s"]
    if before_s > watched.execs_after_s - 2:
        pytest.skip("this machine is so busy that memtop began after the exec")

    assert answer.code == 0, answer
    assert answer.first["cause"] in ("python_objects", "unknown"), answer
    assert any("another program" in one["reason"] for one in answer.first["missing"]), answer


@pytest.mark.deep
@pytest.mark.watches("sleep")
def test_one_that_is_no_python(watched):
    """It has no objects to count, and nothing is missing for that."""
    answer = watched("sleep")

    assert answer.code == 0, answer
    assert answer.first["cause"] in ("steady", "unknown"), answer
    assert "python_objects" not in answer.causes


@pytest.mark.watches("text")
def test_the_text(watched):
    """Headline first; then why, and the next step; lines no longer than a sheet when piped."""
    done = watched.done("text")
    lines = done.stdout.splitlines()

    assert done.returncode == 0, done.stderr
    assert lines[0].startswith(f"{watched.pids['text']} ")
    assert "grows" in lines[2]
    assert all(len(line) <= 100 for line in lines)
    starts = [line.split()[0] for line in lines[3:] if line and line[0] != " "]
    assert starts.index("for") < starts.index("next")
