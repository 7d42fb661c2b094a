"""Reports of hours: what grows at the end, what has ended, and what only comes and goes."""

import random
import sys
from pathlib import Path

import pytest

from memtop.reports.headline import summary_of

sys.path.insert(0, str(Path(__file__).parent.parent))

from reports import MIB, document, mib_min, python, read, record, service, subject, told

STEP_S, HOUR = 20.0, 3600.0


def hours(path, course, number=12):
    """Recorded for so many hours; `course(source, at, roll)` moves the source."""
    roll = random.Random(5)

    def move(source, tick):
        course(source, tick * STEP_S, roll)

    return record(path, service(move, step_s=STEP_S), round(number * HOUR / STEP_S), step_s=STEP_S)


def put(source, mib, pid=20):
    source.processes[pid].rss_kib = round(mib * MIB)


def test_a_leak_of_the_last_hour_is_no_plateau(tmp_path):
    """The last quarter is longer than it, but it was said to be leak-like: with that slope."""
    path = hours(
        tmp_path / "a.memtop",
        lambda source, at, roll: put(
            source, 200 + 60 * max(0.0, at / HOUR - 11) + roll.random() * 3
        ),
    )
    report = read(path)
    one = subject(report, 20)
    assert one.grows and mib_min(one.rate_kib_s) == pytest.approx(1.0, rel=0.1)
    assert "grows +1.0 MiB/min" in summary_of(report) and "in its last" in summary_of(report)


@pytest.mark.parametrize("tooth_s", [617.0, pytest.param(2 * HOUR + 1000, marks=pytest.mark.deep)])
def test_a_tooth_at_the_end_is_no_growth(tmp_path, tooth_s):
    """What has come back before may come back again: no leak is claimed of a rise like that."""
    path = hours(
        tmp_path / "a.memtop",
        lambda source, at, _: put(source, 100 + 200 * ((at / tooth_s) % 1)),
        number=8.5,
    )
    report = read(path)
    assert not subject(report, 20).grows
    assert summary_of(report).startswith(("Nothing grows", "Nothing is known to grow"))


def test_who_leaked_until_a_restart(tmp_path):
    """The one before grew, the one after does not, and both is said."""

    def course(source, at, roll):
        if at >= 6 * HOUR and 20 in source.processes:
            source.end(20)
            python(source, 21, "shop.feed", 120)
        pid = 20 if 20 in source.processes else 21
        put(source, 120 + (20 * at / HOUR if pid == 20 else 0) + roll.random(), pid)

    text = summary_of(read(hours(tmp_path / "a.memtop", course)))
    assert "shop.feed 20 grew +0.33 MiB/min" in text and "until it ended" in text
    assert "whoever lives at the end does not grow" in text


@pytest.mark.deep
def test_one_of_many_workers(tmp_path, capsys):
    """One of forty leaks: it is the headline, and its group is not said to hold none that grows."""

    def course(source, at, roll):
        for pid in range(100, 140):
            if pid not in source.processes:
                python(source, pid, "shop.worker", 150)
            put(source, 150 + 2 * roll.random() + (12 * at / HOUR if pid == 117 else 0), pid)

    path = hours(tmp_path / "a.memtop", course, number=4)
    text = told(capsys, path)
    assert "shop.worker 117 grows +0.20 MiB/min" in text and "none grows" not in text
    groups = [one for one in document(capsys, path)["groups"] if one["members"]["end"] > 30]
    assert [one["finding"] for one in groups] == ["one-grows"]
