"""Trends: what is fed to a detector, and what it takes until a row is called leak-like."""

import pytest

from memtop.model.tracker import Tracker
from memtop.model.trends import (
    ANSWER_WITHIN_S,
    Growth,
    Trend,
    statm_error_kib,
    time_to,
)
from memtop.probe.fake import FakeSource
from memtop.probe.sample import Usage, Wanted

MIB = 1 << 20


def climbing(ticks, growth=None, begin=0, mib_s=0.5, **options):
    """A series that rises by `mib_s` a second, as it is fed once a second."""
    growth = growth or Growth(7, 0, 0.0, 50 * MIB, **options)
    for tick in range(begin + 1, begin + ticks + 1):
        growth.feed(tick, float(tick), 50 * MIB + int(tick * mib_s * MIB), 1.0)
    return growth


def test_a_leak_is_only_rising_until_an_exact_reading_confirms_it():
    """What the detector calls leak-like is shown as rising; one reading makes it leak-like."""
    growth = climbing(120)
    assert growth.is_unconfirmed
    assert growth.trend.word == "rising"
    assert growth.trend.is_growing

    assert growth.confirm(120.0, (50 + 60) * MIB)
    assert growth.trend.word == "leak-like"
    assert not growth.is_unconfirmed


def test_a_reading_that_refutes_leaves_it_rising_and_is_asked_for_again():
    """If the exact RSS is where the rise began it stays rising; a minute later one asks again."""
    growth = climbing(120)
    assert not growth.confirm(120.0, 55 * MIB)
    assert growth.trend.word == "rising"
    assert not growth.settle_without(121.0, 0.0)
    asked = []
    for tick in range(121, 240):
        growth.feed(tick, float(tick), 50 * MIB + int(tick * 0.5 * MIB), 1.0)
        asked.append(growth.wants_reading(float(tick)))
        assert growth.trend.word == "rising"
    assert any(asked)


@pytest.mark.parametrize(("error_mib", "word"), [(1, "leak-like"), (500, "rising")])
def test_without_an_answer_the_possible_error_decides(error_mib, word):
    """Where RSS cannot be read exactly a rise far above the counters' error is believed."""
    growth = climbing(120)
    assert not growth.settle_without(120.0 - 200, error_mib * MIB)
    growth.settle_without(120.0 + ANSWER_WITHIN_S, error_mib * MIB)

    assert growth.trend.word == word


def test_sums_need_no_confirmation():
    """Groups and cgroups are exact: they turn leak-like by themselves."""
    assert climbing(120, exact=True).trend.word == "leak-like"


def test_what_was_passed_over_is_caught_up():
    """Fed only when something changes it says the same as fed each second."""
    often, seldom = Growth(3, 0, 0.0, 60 * MIB), Growth(3, 0, 0.0, 60 * MIB)
    value = 60 * MIB
    for tick in range(1, 400):
        if tick % 9 == 0:
            value += 2 * MIB
            seldom.feed(tick, float(tick), value, 1.0)
        often.feed(tick, float(tick), value, 1.0)
    seldom.feed(399, 399.0, value, 1.0)

    assert seldom.trend.word == often.trend.word
    assert seldom.trend.slope_bytes_s == pytest.approx(often.trend.slope_bytes_s, rel=0.02)


def test_the_tracker_asks_for_one_exact_reading():
    """The row's PID is asked for once it would be leak-like, and not any more when that came."""
    source, tracker = FakeSource(), Tracker(statm_error_kib=1 << 30)
    worker = source.spawn(10, rss_mib=50, age_s=600)
    asked = 0
    for _ in range(150):
        wanted = tracker.ask(Wanted())
        sample = source.sample(wanted)
        if 10 in wanted.exact:
            asked += 1
            usage = Usage(worker.identity, exact_rss_kib=worker.rss_kib)
            sample = sample._replace(usage=(usage,))
        state = tracker.feed(sample)
        worker.rss_kib += 600

    assert state.rows[worker.identity].trend.word == "leak-like"
    assert asked == 1


@pytest.mark.parametrize(("cpus", "mib"), [(1, 0.375), (2, 0.75), (16, 6), (128, 384)])
def test_how_far_statm_may_be_off(cpus, mib):
    """Three counters, a batch of pages for every CPU each."""
    assert statm_error_kib(cpus) == mib * 1024


def test_time_to_a_limit():
    """(limit − floor) ÷ slope, with the slope's spread; nothing without a trend or far away."""
    trend = Trend("rising", 0.0, 2.0 * MIB, 1.0 * MIB, 4.0 * MIB)

    assert time_to(1000 * MIB, 400 * MIB, trend) == (300, 150, 600)
    assert time_to(300 * MIB, 400 * MIB, trend)[0] == 0
    assert time_to(None, 400 * MIB, trend) == (None, None, None)
    assert time_to(1000 * MIB, None, trend) == (None, None, None)
    assert time_to(1000 * MIB, 400 * MIB, trend._replace(word="warm-up")) == (None, None, None)
    assert time_to(1 << 60, 400 * MIB, trend) == (None, None, None)


def test_nothing_gets_full_while_growth_rests():
    """There is no time to a limit while growth that would be seen within a minute is not."""
    trend = Trend("rising", 0.0, 2 * MIB, 1 * MIB, 4 * MIB)
    assert time_to(1000 * MIB, 400 * MIB, trend, 1.5 * MIB)[0] == 300
    assert time_to(1000 * MIB, 400 * MIB, trend, 0.0) == (None, None, None)
    # Slow growth is not seen within a minute.
    slow = Trend("leak-like", 0.0, MIB / 600, MIB / 900, MIB / 500)
    assert time_to(500 * MIB, 400 * MIB, slow, 0.0)[0] == pytest.approx(60_000)
