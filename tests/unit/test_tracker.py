"""Samples in, states out."""

import pytest

from memtop.model.tracker import ENDED_STAYS_S, Tracker
from memtop.probe.fake import FakeSource
from memtop.probe.sample import Wanted

MIB = 1024


def watch(source, tracker, ticks, each=None):
    """Feed some samples; `each` may move the source before each of them."""
    state = None
    for index in range(ticks):
        if each:
            each(index)
        state = tracker.feed(source.sample(Wanted()))
    return state


def row(state, pid):
    return next(r for r in state.rows.values() if r.pid == pid and r.ended_at is None)


@pytest.mark.parametrize("interval_s", [0.2, 1.0, 2.0, 5.0, 30.0])
@pytest.mark.parametrize("kib_s", [102, -50, 1066])
def test_a_steady_slope_is_its_rate(interval_s, kib_s):
    """The rate of a straight line is its slope, whatever the interval."""
    source, tracker = FakeSource(step_s=interval_s), Tracker(interval_s)
    process = source.spawn(10, rss_mib=300)
    begin = process.rss_kib

    def grow(index):
        process.rss_kib = round(begin + kib_s * interval_s * index)

    state = watch(source, tracker, round(150 / interval_s) + 2, grow)

    assert row(state, 10).rate_bytes_s == pytest.approx(kib_s * 1024, rel=0.02)


def test_a_rate_is_unknown_before_20_seconds():
    """Before 20 s there is no rate; then there is one, zero for what rests."""
    source, tracker = FakeSource(), Tracker()
    source.spawn(10)

    assert row(watch(source, tracker, 20), 10).rate_bytes_s is None
    assert row(watch(source, tracker, 1), 10).rate_bytes_s == 0.0


def test_a_sawtooth_has_no_rate():
    """What comes back down within ten seconds does not move the floor."""
    source, tracker = FakeSource(), Tracker()
    process = source.spawn(10, rss_mib=100)

    def swing(index):
        process.rss_kib = 100 * MIB + index % 8 * 5 * MIB

    state = watch(source, tracker, 90, swing)

    assert abs(row(state, 10).rate_bytes_s) < 1024


@pytest.mark.parametrize("interval_s", [70.0, 100.0, 600.0])
def test_long_intervals_have_rates_after_the_second_sample(interval_s):
    """One sample is no rate, however long the interval; two are."""
    source, tracker = FakeSource(step_s=interval_s), Tracker(interval_s)
    process = source.spawn(10, rss_mib=100)

    assert row(watch(source, tracker, 1), 10).rate_bytes_s is None
    process.rss_kib += round(interval_s)
    assert row(watch(source, tracker, 1), 10).rate_bytes_s == pytest.approx(1024, rel=0.01)


def test_growth_that_stops_is_zero_a_minute_later():
    """The rate looks at the last 60 s only."""
    source, tracker = FakeSource(), Tracker()
    process = source.spawn(10, rss_mib=100)

    def grow(index):
        process.rss_kib += MIB if index < 30 else 0

    assert row(watch(source, tracker, 40, grow), 10).rate_bytes_s > 0
    assert row(watch(source, tracker, 65), 10).rate_bytes_s == 0.0


def test_a_reused_pid_has_no_history():
    """A process with the PID of a dead one begins anew; the dead one stays for 30 s."""
    source, tracker = FakeSource(), Tracker()
    source.spawn(10, rss_mib=500)
    first = row(watch(source, tracker, 30), 10)
    source.spawn(10, rss_mib=5)

    state = watch(source, tracker, 1)

    fresh = row(state, 10)
    assert fresh.identity != first.identity
    assert fresh.rate_bytes_s is None
    assert fresh.history.first_tick == state.tick
    assert state.rows[first.identity].ended_at == state.taken_at
    later = watch(source, tracker, int(ENDED_STAYS_S) + 1)
    assert first.identity not in later.rows
    assert (later.births, later.deaths) == (1, 1)


def test_a_pid_reused_within_a_clock_tick_lives_on():
    """Two processes with one PID and one start: the second begins anew, and does not go."""
    source, tracker = FakeSource(), Tracker()
    first = source.spawn(10, rss_mib=500)
    watch(source, tracker, 3)
    source.end(10)
    second = source.spawn(10, rss_mib=5)
    second.identity = first.identity

    state = watch(source, tracker, int(ENDED_STAYS_S) + 5)

    assert row(state, 10).rss_kib == 5 * MIB
    assert row(state, 10).ended_at is None


def test_children_follow_their_parents():
    """A child whose parent ends moves to the one that inherits it; ended rows keep their place."""
    source, tracker = FakeSource(), Tracker()
    source.spawn(1, age_s=100)
    parent = source.spawn(5, 1, age_s=50)
    child = source.spawn(9, 5, age_s=10)
    before = watch(source, tracker, 1)
    assert before.children[parent.identity] == (child.identity,)

    child.ppid = 1
    source.end(5)
    after = watch(source, tracker, 1)

    one = after.children[None][0]
    assert set(after.children[one]) == {parent.identity, child.identity}


def test_a_parent_is_never_younger_than_its_child():
    """A PPID that was reused by a younger process does not adopt."""
    source, tracker = FakeSource(), Tracker()
    child = source.spawn(9, 5, age_s=10)
    watch(source, tracker, 2)
    source.spawn(5, 0)

    state = watch(source, tracker, 1)

    assert child.identity in state.children[None]


def test_the_tree_is_the_same_object_while_nothing_moves():
    """Consumers may compare by identity to see whether anybody came or went."""
    source, tracker = FakeSource(), Tracker()
    process = source.spawn(10)
    first = watch(source, tracker, 1)
    process.rss_kib += 10 * MIB
    second = watch(source, tracker, 1)

    assert first.children is second.children
    assert first.rows[process.identity].version < second.rows[process.identity].version


def test_versions_move_only_with_what_is_shown():
    """A change that no column shows leaves the version, and so the screen, alone."""
    source, tracker = FakeSource(), Tracker()
    process = source.spawn(10, rss_mib=500)
    before = watch(source, tracker, 30).rows[process.identity]
    process.rss_kib += 4

    after = watch(source, tracker, 1).rows[process.identity]

    assert after.version == before.version
    assert after.rss_kib == before.rss_kib + 4


def test_a_frozen_memtop_leaves_a_gap():
    """Time in which nothing was sampled is known as such."""
    source, tracker = FakeSource(), Tracker()
    source.spawn(10)
    watch(source, tracker, 5)
    source.step(120)

    state = watch(source, tracker, 1)

    assert state.late_s == pytest.approx(120)
    begin, end = state.gaps[0]
    assert 5 <= end - begin <= 8


def test_a_wall_clock_that_jumps_changes_nothing():
    """Rates and buckets go with the steady clock."""
    source, tracker = FakeSource(), Tracker()
    process = source.spawn(10, rss_mib=100)

    def grow(index):
        process.rss_kib += 102
        if index == 40:
            source._begin_at -= 86_400

    state = watch(source, tracker, 80, grow)

    assert row(state, 10).rate_bytes_s == pytest.approx(102 * 1024, rel=0.02)
    assert state.gaps == ()


def test_zombies_have_no_memory():
    """A zombie shows 0, and no rate."""
    source, tracker = FakeSource(), Tracker()
    process = source.spawn(10, rss_mib=100)
    watch(source, tracker, 30)
    process.state = "Z"

    zombie = row(watch(source, tracker, 1), 10)

    assert (zombie.rss_kib, zombie.rate_bytes_s) == (0, None)


@pytest.mark.parametrize(
    ("name", "command", "exe", "python"),
    [
        ("python3", None, None, True),
        ("gunicorn", "/opt/venv/bin/python /opt/venv/bin/gunicorn app", None, True),
        ("pool_worker", "pool_worker", "/usr/local/bin/python3.12", True),
        ("python3.13t", None, None, True),
        ("pypy3", None, None, True),
        ("pythonista", None, None, False),
        ("redis-server", "redis-server *:6379", "/usr/bin/redis-server", False),
    ],
)
def test_python_is_told_by_any_of_three(name, command, exe, python):
    """The executable, the first argument or the name tells a Python process."""
    source, tracker = FakeSource(), Tracker()
    source.spawn(10, name=name, command=command, exe=exe)

    assert row(watch(source, tracker, 1), 10).python is python
