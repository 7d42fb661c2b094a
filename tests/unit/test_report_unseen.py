"""What a report must not claim: causes nobody looked for, slopes of steps, help for the dead."""

import sys
from pathlib import Path

import pytest

from memtop.diagnosis.finding import Finding, Lack
from memtop.kept import kept_verdict
from memtop.model.tracker import Tracker
from memtop.probe.sample import Identity
from memtop.recording.appending import add_mark, write_result
from memtop.render.finding import Verdict
from memtop.reports.comparison import compare
from memtop.reports.sheet import sheet_of
from memtop.reports.text import write

sys.path.insert(0, str(Path(__file__).parent.parent))

from reports import BEGIN, MIB, document, read, record, service, subject, told


def stair(ends_at=None):
    """A feed process that takes 14, 28 and 56 MiB; it may end."""
    rises = {40: 14, 80: 28, 120: 56}

    def move(source, tick):
        if tick == ends_at:
            source.end(20)
        elif 20 in source.processes:
            source.processes[20].rss_kib += rises.get(tick, 0) * MIB

    return service(move)


def test_no_cause_is_claimed_where_nobody_looked(tmp_path, capsys):
    """Steps are told as steps; why is not known, and the command that tells it is named."""
    path = record(tmp_path / "a file.memtop", stair(), 170)
    text = " ".join(told(capsys, path).split())
    assert "shop.feed 20 rose in 3 steps: +14.0 MiB at " in text and "level since" in text
    assert "Not known: nobody looked inside python -m shop.feed 20, which took +98.0 MiB." in text
    assert f"next `memtop diagnose 20 --record '{path}'` tells what it is made of" in text
    assert "warms up" not in text and "sure" not in text and "MiB/min (±" not in text
    made = document(capsys, path)
    assert [(one["cause"], one["pid"]) for one in made["findings"]] == [("unknown", 20)]
    one = next(one for one in made["processes"] if one["pid"] == 20)
    assert one["slope"] is None and not one["grows"]
    assert [step["bytes"] >> 20 for step in one["steps"]] == [14, 28, 56]


def test_steps_come_with_their_marks(tmp_path, capsys):
    """Each step has its mark, whether that is just before it or just after."""
    path = record(tmp_path / "a.memtop", stair(), 170)
    for tick, text in ((39.5, "level 1"), (80.3, "level 2"), (119.2, "level 4")):
        add_mark(path, text, BEGIN + tick)
    text = " ".join(told(capsys, path).split())
    for size, mark in (("14.0", "level 1"), ("28.0", "level 2"), ("56.0", "level 4")):
        assert text.count(f"+{size} MiB with “{mark}”") == 2


def test_what_nobody_asks_about_is_not_told(tmp_path, capsys):
    """Where nothing rose there is no word about why."""
    path = record(tmp_path / "a.memtop", service(), 100)
    assert "WHY" not in told(capsys, path) and document(capsys, path)["findings"] == []


@pytest.mark.parametrize("is_asked", [False, True])
def test_nobody_is_sent_to_a_process_that_has_ended(tmp_path, capsys, is_asked):
    """Its commands need it alive: what can be done is to record the next one."""
    path = record(tmp_path / "a.memtop", stair(ends_at=150), 170)
    one = subject(read(path), 20)
    if is_asked:
        assert isinstance(one.identity, Identity)
        finding = Finding(
            "python_objects", "It holds dicts", 0.9, pid=20,
            missing=(Lack("its objects", "nobody counted them", "o", "memtop census 20"),),
            next_step="S now and later (memtop snapshot 20 --save FILE) tells who holds them",
        )  # fmt: skip
        kept = kept_verdict(
            Verdict((finding,), BEGIN + 140, 60.0, 2, 30.0, asked=True), one.identity
        )
        write_result(path, kept.kind, kept.identity, kept.document, at=BEGIN + 140)
    text = " ".join(told(capsys, path).split())
    assert "It has ended. Let memtop record FILE run until the next one grows" in text
    found = document(capsys, path)["findings"]
    assert found[0]["cause"] == ("python_objects" if is_asked else "unknown")
    assert " 20" not in found[0]["next_step"] and found[0]["missing"][0].get("command") is None


def test_a_stair_before_and_after(tmp_path):
    """Steps that a fix has made smaller are told; the same steps are no difference."""
    with_steps = read(record(tmp_path / "a.memtop", stair(), 170))
    without = read(record(tmp_path / "b.memtop", service(), 170))
    assert compare(with_steps, without).headline == (
        "Lower: worker python -m shop.feed rose by 98.0 MiB in 3 steps, now by 0 MiB; "
        "neither goes on."
    )
    assert compare(without, with_steps).headline.startswith("Higher: worker python -m shop.feed ")
    assert compare(with_steps, with_steps).headline == (
        "No difference: nothing grows in either recording; python -m shop.feed rose by 98.0 MiB "
        "then, by 98.0 MiB now."
    )


def test_memtop_does_not_report_on_itself(tmp_path, capsys, monkeypatch):
    """Who records is recorded, too, but what it takes is no answer; it is among the processes."""

    def move(source, tick):
        source.processes[30].rss_kib += 300

    source = service(move)
    own = source.processes[30].identity
    monkeypatch.setattr("reports.Tracker", lambda step_s: Tracker(step_s, own))
    path = record(tmp_path / "a.memtop", source, 200)
    made = document(capsys, path)
    assert made["headline"].startswith("Nothing grows: ") and made["findings"] == []
    assert next(one for one in made["processes"] if one["pid"] == 30)["change_bytes"] > 10 << 20


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
def test_a_report_fits_its_width(tmp_path, width):
    """No line is longer, and no figure of a table is lost on a narrow terminal."""
    path = record(tmp_path / "a.memtop", stair(ends_at=160), 170)
    add_mark(path, "level 2 with a name that is rather long", BEGIN + 79.5)
    lines = write(sheet_of(read(path)), width).splitlines()
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    for words in ("3 steps, no slope", "level since", "120 MiB → 218 MiB", "level 2 with a name"):
        assert words in text
