"""A report of some processes of a recording only: one and all below it, or only Python."""

import sys
from pathlib import Path

import pytest

from memtop.cli import main
from memtop.recording.appending import add_event, add_mark

sys.path.insert(0, str(Path(__file__).parent.parent))

from reports import BEGIN, MIB, document, python, record, service, told


def family(source, tick):
    """Below 20, a worker and a C helper come; both grow, and so does an sshd that is nobody's."""
    if tick == 10:
        python(source, 50, "shop.job", 30, parent=20)
        source.spawn(51, 50, "ffmpeg", 10)
    if tick > 10:
        source.processes[50].rss_kib += 300
        source.processes[51].rss_kib += 100
    source.processes[30].rss_kib += 900


@pytest.fixture
def path(tmp_path):
    """Recorded for 200 s, with a mark and something that was done to somebody else."""
    made = record(tmp_path / "a.memtop", service(family), 200)
    add_mark(made, "half", BEGIN + 100)
    add_event(made, "action", "SIGTERM 31", {"pid": 31, "action": "SIGTERM"}, at=BEGIN + 120)
    return made


def test_all_is_told_of_one_and_those_below_it(path, capsys):
    """Processes, sums, the highest moment, marks, findings and limits are theirs only."""
    made = document(capsys, path, "--pid", "20")
    assert sorted(one["pid"] for one in made["processes"]) == [20, 50, 51]
    assert {one["pid"] for one in made["findings"]} == {50, 51}
    most = sum(one["last_rss_bytes"] for one in made["processes"])
    assert made["highest"]["processes"] == 3 and made["highest"]["rss_bytes"] == most
    half = next(one for one in made["marks"] if one["text"] == "half")
    assert half["change_bytes"] == pytest.approx(400 * 1024 * 99, rel=0.02)
    assert made["actions"] == [] and made["samples"] == 200
    text = told(capsys, path, "--pid", "20")
    assert "sshd" not in text and "2 processes grow, together +" in text


def test_only_python(path, capsys):
    """Others are left out, also from the sums."""
    made = document(capsys, path, "--python")
    assert sorted(one["pid"] for one in made["processes"]) == [1, 20, 50]
    both = document(capsys, path, "--python", "--pid", "50")
    assert [one["pid"] for one in both["processes"]] == [50]
    assert both["highest"]["rss_bytes"] == (30 * MIB + 189 * 300) * 1024


def test_a_long_recording_is_narrowed_too(path, capsys, monkeypatch):
    """Where it is told in buckets, sums are those of the buckets."""
    from memtop.recording import courses

    fine = document(capsys, path, "--pid", "20")
    monkeypatch.setattr(courses, "MOST_SAMPLES", 10)
    made = document(capsys, path, "--pid", "20")
    assert sorted(one["pid"] for one in made["processes"]) == [20, 50, 51]
    off = made["highest"]["rss_bytes"] - fine["highest"]["rss_bytes"]
    assert abs(off) <= 400 * 1024 * 16 and made["samples"] == 200


def test_who_is_not_there(path, capsys):
    """A PID that was not recorded: exit code 4; with another recording PIDs say nothing: 2."""
    assert main(["report", path, "--pid", "4711"]) == 4
    assert "there is no process 4711 in" in capsys.readouterr().err
    assert main(["report", path, "--compare", path, "--pid", "20"]) == 2
    assert "--python" in capsys.readouterr().err
    assert main(["report", path, "--pid", "x", "--json"]) == 2
    assert '"error"' in capsys.readouterr().out
    for option in ("--interval", "0.01"), ("--pid", "0"):
        assert main(["report", path, *option]) == 2
