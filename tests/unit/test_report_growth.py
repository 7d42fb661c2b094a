"""What a report says of growth: how fast, how sure, whether it has ended, before and after."""

import random
import sys
from pathlib import Path

import pytest

from memtop.reports.comparison import compare
from memtop.reports.headline import summary_of
from memtop.reports.slope import final_of, slope_of
from memtop.reports.words import ending, less_than, slope

sys.path.insert(0, str(Path(__file__).parent.parent))

from reports import MIB, document, mib_min, python, read, record, service, subject, told


def growing(mib_min_, *, noise_mib=1.0, until=10**9, seed=1):
    """A feed process that grows at this rate, with noise, until a sample."""
    roll, exact = random.Random(seed), [120.0]

    def move(source, tick):
        if tick < until:
            exact[0] += mib_min_ / 60
        source.processes[20].rss_kib = round((exact[0] + noise_mib * roll.random()) * MIB)

    return service(move)


@pytest.mark.parametrize("rate", [2.0, 6.1, 40.0])
def test_a_leak_is_told_with_its_rate(tmp_path, capsys, rate):
    """The slope is that of the leak within 10 %, its spread holds it, and it is said to be sure."""
    path = record(tmp_path / "a.memtop", growing(rate), 600)
    one = subject(read(path), 20)
    assert mib_min(one.slope.kib_s) == pytest.approx(rate, rel=0.1)
    assert mib_min(one.final.slope.low) <= rate <= mib_min(one.final.slope.high)
    assert (one.final.word, one.trend, one.surety[0]) == ("growing", "leak-like", "almost sure")
    text = told(capsys, path)
    assert f"shop.feed 20 grows {slope(one.shown)}, to the end" in " ".join(text.split())
    assert "7 more, all steady" in text and "nobody looked inside" in text


def test_what_has_stopped_is_a_plateau(tmp_path):
    """A climb that ended long before the end is a plateau, and leak-like is not denied."""
    report = read(record(tmp_path / "a.memtop", growing(12.0, until=300), 900))
    one = subject(report, 20)
    assert one.final.word == "plateau" and not one.grows
    assert (
        one.leak_at is not None
        and one.surety
        == (
            "likely",
            "leak-like was said before, its floor rests now",
        )
    ) or (one.trend == "leak-like" and one.surety[0] == "doubtful")
    assert "plateau (less than" in summary_of(report)


def test_a_plateau_claims_no_more_than_the_data_can_tell(tmp_path):
    """A short recording excludes only what would have been seen in it; a long one more."""
    short = subject(read(record(tmp_path / "a.memtop", growing(0.0), 240)), 20)
    long = subject(read(record(tmp_path / "b.memtop", growing(0.0), 2400)), 20)
    assert short.final.word == long.final.word == "plateau"
    # Half a MiB in a minute could be noise.
    assert 0.4 <= mib_min(short.final.below) <= 1.5
    assert 0.04 <= mib_min(long.final.below) <= 0.15
    assert ending(short.final).startswith("plateau (less than ")


@pytest.mark.parametrize("rate", [0.6, 1.5])
def test_no_plateau_excludes_a_rate_that_is_there(tmp_path, rate):
    """Whatever is told of a slow leak below noise, its true rate is not excluded."""
    for seed in range(8):
        source = growing(rate, noise_mib=6.0, seed=seed)
        one = subject(read(record(tmp_path / f"{seed}.memtop", source, 200)), 20)
        if one.final.word == "plateau":
            assert mib_min(one.final.below) > rate
        elif one.final.word == "growing":
            assert mib_min(one.final.slope.high) > rate / 2


def test_nothing_grows(tmp_path, capsys):
    """A service that rests is told in two lines: how many, how much, for how long."""
    path = record(tmp_path / "a.memtop", service(), 300)
    report = read(path)
    assert report.subjects == [] and len(report.steady) == 8
    assert summary_of(report) == (
        "Nothing grows: 8 processes with 230 MiB together, for 4 m 59 s, "
        "less than 0.41 MiB/min each."
    )
    text = told(capsys, path)
    assert "8 steady (230 MiB)." in text and "FROM MARK TO MARK" not in text


def test_a_sawtooth_is_no_leak(tmp_path):
    """What comes back does not grow, however high it goes."""

    def move(source, tick):
        source.processes[20].rss_kib = (120 + tick % 30) * MIB

    one = subject(read(record(tmp_path / "a.memtop", service(move), 900)), 20)
    assert not one.grows and one.final.word == "plateau"


def test_coming_up_is_no_growth(tmp_path):
    """Of a worker that was born meanwhile, how it came up is no growth."""

    def move(source, tick):
        if tick == 100:
            python(source, 50, "shop.job", 10)
        if 100 <= tick < 130:
            source.processes[50].rss_kib += 5 * MIB

    one = subject(read(record(tmp_path / "a.memtop", service(move), 700)), 50)
    assert one.last_kib == 160 * MIB
    assert not one.grows and abs(one.change_kib) < MIB and one.final.word == "plateau"


def test_a_day_is_as_right_as_a_minute(tmp_path, monkeypatch):
    """Told in buckets of 15 s, rates, sizes and moments are those of every sample."""
    from memtop.recording import courses

    path = record(tmp_path / "a.memtop", growing(6.0), 1900, step_s=1.0)
    fine = read(path)
    monkeypatch.setattr(courses, "MOST_SAMPLES", 10)
    coarse = read(path)
    assert [one.pid for one in coarse.processes] == [one.pid for one in fine.processes]
    for a, b in zip(coarse.processes, fine.processes, strict=True):
        # The first value of a bucket is the least one in it.
        assert abs(a.first_kib - b.first_kib) <= 2 * MIB
        assert abs(a.highest_kib - b.highest_kib) <= 64
        assert abs(a.last_at - b.last_at) <= 15 and a.final.word == b.final.word
    a, b = subject(coarse, 20), subject(fine, 20)
    assert mib_min(a.slope.kib_s) == pytest.approx(6.0, rel=0.05)
    assert a.final.slope.kib_s == pytest.approx(b.final.slope.kib_s, rel=0.1)


# -- before and after a fix ----------------------------------------------------------------


def test_fixed(tmp_path, capsys):
    """A leak that is gone: what it was, that it is a plateau now, and what that excludes."""
    before = record(tmp_path / "before.memtop", growing(6.1), 600)
    after = record(tmp_path / "after.memtop", growing(0.0, seed=2), 600)
    made = compare(read(before), read(after))
    pair = made.pairs[0]
    assert pair.outcome == "fixed"
    assert mib_min(pair.rate_before.kib_s) == pytest.approx(6.1, rel=0.1)
    bound = less_than(pair.after.final.below)
    assert made.headline == (
        f"Fixed: main python -m shop.feed was +6.1 MiB/min, now a plateau ({bound})."
    ) or made.headline.startswith("Fixed: ")
    text = " ".join(told(capsys, after, "--compare", before).split())
    assert "after.memtop compared with before.memtop" in text
    assert "now a plateau (less than" in text
    assert "before before.memtop: 2026-" in text and "after after.memtop: 2026-" in text


@pytest.mark.parametrize("rate", [3.0, 6.1, 25.0])
def test_not_fixed(tmp_path, capsys, rate):
    """A leak that is still there is told with its slope, within 10 %."""
    before = record(tmp_path / "before.memtop", growing(rate), 600)
    after = record(tmp_path / "after.memtop", growing(rate, seed=2), 600)
    found = document(capsys, after, "--compare", before)["compare"]
    pair = found["pairs"][0]
    assert (pair["verdict"], pair["after"]["grows"]) == ("not fixed", True)
    for side in ("before", "after"):
        told_rate = pair[side]["slope"]["bytes_per_s"] * 60 / (1 << 20)
        assert told_rate == pytest.approx(rate, rel=0.1)
    assert found["headline"].startswith("Not fixed: ") and "still +" in found["headline"]


def test_slower_worse_gone_and_nothing(tmp_path):
    """The other ways in which two recordings can differ, or not."""
    rests, fast, slow = (
        read(record(tmp_path / f"{rate}.memtop", growing(rate), 500)) for rate in (0.0, 20.0, 5.0)
    )
    assert compare(fast, slow).headline.startswith("Slower, not fixed: ")
    assert compare(rests, fast).headline.startswith("Worse: ")
    assert compare(rests, rests).headline == "No difference: nothing grows in either recording."
    other = service()
    other.end(20)
    without = read(record(tmp_path / "without.memtop", other, 100))
    assert "after there is none of that name" in compare(fast, without).headline


def test_too_short_to_prove_a_fix(tmp_path):
    """A plateau that cannot exclude the rate of before proves nothing, and that is said."""
    before = read(record(tmp_path / "a.memtop", growing(0.8, noise_mib=0.1), 1800))
    after = read(record(tmp_path / "b.memtop", growing(0.0), 120))
    made = compare(before, after)
    assert made.pairs[0].outcome == "not known"
    assert "too coarse to tell" in made.headline or "too short" in made.headline


def test_the_order_cannot_be_mixed_up(tmp_path, capsys):
    """If what is called before was recorded later, that is said, with the command the other way."""
    first = record(tmp_path / "first.memtop", growing(6.0), 300)
    source = growing(0.0)
    source._begin_at += 86_400
    second = record(tmp_path / "second.memtop", source, 300)
    text = " ".join(told(capsys, first, "--compare", second).split())
    assert "memtop report second.memtop --compare first.memtop has it the other way round" in text
    assert "Mind the order" not in told(capsys, second, "--compare", first)


# -- slopes --------------------------------------------------------------------------------


def test_slopes_of_few_values():
    """Nothing is concluded from a handful of values."""
    assert slope_of(([], [])) is None
    assert slope_of(([1.0, 2.0], [5, 6])) is None
    assert final_of(([], [])).word == "short"
    assert final_of(([1.0, 2.0, 3.0], [5, 6, 7])).word == "short"
