"""Copies that were made while somebody wrote, files that were cut, and files with changed bits."""

import random
import sqlite3
import time

import pytest

from memtop.errors import MemtopError
from memtop.recording.opening import Damaged
from memtop.recording.recording import Recording
from memtop.reports.report import report_of

CHUNKS = (4096, 65_536, 131_072)


def copy_slowly(source, target, roll):
    """As `cat` does over a slow line: the writer goes on meanwhile."""
    with source.open("rb") as reader, target.open("wb") as writer:
        while data := reader.read(roll.choice(CHUNKS)):
            writer.write(data)
            if roll.random() < 0.1:
                time.sleep(0.01)


def shown(recording, tick):
    """What a state says, without its histories."""
    state = recording.state(tick)
    # The version goes with the way on which the reader came there.
    rows = {one: row._replace(history=None, version=0) for one, row in state.rows.items()}
    return rows, state.taken_at, state.groups.keys(), state.host


def told_of(recording):
    """What a report says of who had how much; None if it says that it cannot."""
    try:
        report = report_of(recording, "x")
    except MemtopError:
        return None
    if report.damage and recording.damage is None:
        return None
    subjects = [(one.number, one.identity, one.last_kib) for one in report.processes]
    return subjects, report.highest, report.total_kib, report.samples


def test_a_copy_made_while_it_is_written(tmp_path, writers):
    """A copy can be read up to about the moment when it was begun, and says nothing wrong.

    Where SQLite has moved rows from page to page meanwhile, a sample may be refused as damaged.
    """
    path = tmp_path / "a.memtop"
    child = writers.start(path)
    roll = random.Random(1)
    copies = []
    for number in range(25):
        time.sleep(roll.random() * 0.2)
        said = Recording(str(path))
        begun = said.last_tick
        said.close()
        copies.append((tmp_path / f"{number}.memtop", begun))
        copy_slowly(path, copies[-1][0], roll)
    child.kill()
    child.communicate()
    asked = refused = 0
    with Recording(str(path)) as whole:
        for copy, begun in copies:
            with Recording(str(copy)) as recording:
                assert recording.last_tick >= begun - 1
                ticks = [roll.randrange(recording.last_tick + 1) for _ in range(8)]
                for tick in {*ticks, recording.last_tick, begun - 1}:
                    asked += 1
                    try:
                        found = shown(recording, max(tick, 0))
                    except Damaged:
                        refused += 1
                        continue
                    assert found == shown(whole, max(tick, 0))
    assert refused <= asked / 50


def test_a_file_that_was_cut(tmp_path, day):
    """What is left of a cut file is right, the rest is refused; that the end is missing is said."""
    data = day.read_bytes()
    cut = tmp_path / "cut.memtop"
    shares = []
    with Recording(str(day)) as whole:
        for part in (0.999, 0.95, 0.9, 0.8, 0.6, 0.4):
            cut.write_bytes(data[: int(len(data) * part)])
            right = 0
            with Recording(str(cut)) as recording:
                assert "was cut off" in recording.damage
                assert 0 <= recording.last_tick <= whole.last_tick
                for tick in range(0, recording.last_tick + 1, 37):
                    try:
                        found = shown(recording, tick)
                    except MemtopError as error:
                        assert "was cut off" in error.message
                        continue
                    assert found == shown(whole, tick)
                    right += 37
            shares.append(right / whole.last_tick / part)
    # Each table has some page that came late and leads to all that is before it.
    assert sorted(shares)[3] > 0.7, shares


@pytest.mark.parametrize("size", [0, 1, 15, 50, 99, 100, 4000, 4096, 8192])
def test_hardly_anything_is_left(tmp_path, day, size):
    """Of a file without its tables it is said that nothing can be read."""
    cut = tmp_path / "cut.memtop"
    cut.write_bytes(day.read_bytes()[:size])

    with pytest.raises(MemtopError) as caught:
        Recording(str(cut))
    assert str(cut) in caught.value.message
    assert caught.value.exit_code == 1


def test_five_minutes_that_cannot_be_read(tmp_path, day):
    """Of sums that have changed none is told: what was before holds on, and that is said."""
    changed = tmp_path / "changed.memtop"
    with Recording(str(day)) as whole:
        right = whole.moments()
        first, last = (one.tick for one in whole.segments[1:3])
    for lost in (range(first, last), range(first)):
        changed.write_bytes(day.read_bytes())
        connection = sqlite3.connect(changed)
        with connection:
            sql = "UPDATE ticks SET rss_kib = 1 << 40, at_ms = NULL WHERE tick = ?"
            connection.execute(sql, (lost[-1] - 3,))
        connection.close()
        with Recording(str(changed)) as recording:
            found = recording.moments()
            assert "damaged" in recording.damage
            assert recording.highest().rss_kib < 1 << 30
        assert [one.tick for one in found] == [one.tick for one in right]
        beside = right[lost[0] - 1] if lost[0] else right[lost[-1] + 1]
        for now, was in zip(found, right, strict=True):
            assert now.rss_kib == (beside.rss_kib if now.tick in lost else was.rss_kib)
            assert abs(now.at - was.at) < 2.5
        assert found == sorted(found, key=lambda one: one.at)


def test_the_begin_of_five_minutes_has_changed(tmp_path, day):
    """Where the file says wrongly that a sample tells everything, no half of a state is shown."""
    changed = tmp_path / "changed.memtop"
    changed.write_bytes(day.read_bytes())
    with Recording(str(day)) as whole:
        tick = whole.segments[1].tick
        connection = sqlite3.connect(changed)
        with connection:
            connection.execute("UPDATE segments SET tick = tick + 3 WHERE tick = ?", (tick,))
        connection.close()
        with Recording(str(changed)) as recording:
            assert shown(recording, tick + 1) == shown(whole, tick + 1)
            with pytest.raises(MemtopError, match="damaged"):
                recording.state(tick + 5)


@pytest.mark.parametrize(("seed", "flips"), [(7, 25), pytest.param(8, 300, marks=pytest.mark.deep)])
def test_changed_bits(tmp_path, day, seed, flips):
    """A bit that has changed is noticed, or it changes nothing that is shown."""
    data = day.read_bytes()
    roll = random.Random(seed)
    changed = tmp_path / "changed.memtop"
    noticed = 0
    with Recording(str(day)) as whole:
        ticks = [1, whole.last_tick // 2, whole.last_tick]
        right = {tick: shown(whole, tick) for tick in ticks}
        rest = (whole.events(), list(whole.trends()), whole.processes())
        sums, report = whole.moments(), told_of(whole)
        for number in range(flips):
            flipped = bytearray(data)
            flipped[roll.randrange(len(data))] ^= 1 << roll.randrange(8)
            changed.write_bytes(flipped)
            try:
                recording = Recording(str(changed))
            except MemtopError:
                noticed += 1
                continue
            with recording:
                for tick in ticks:
                    if tick > recording.last_tick:
                        assert recording.damage
                        continue
                    try:
                        assert shown(recording, tick) == right[tick]
                    except MemtopError:
                        noticed += 1
                found = (recording.events(), list(recording.trends()), recording.processes())
                assert found == rest or recording.damage
                assert recording.moments() == sums or recording.damage
                if number % 8 == 0:
                    told = told_of(recording)
                    assert told is None or told == report or recording.damage
    assert noticed
