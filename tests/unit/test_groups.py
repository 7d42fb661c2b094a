"""Groups of workers: one that eats, or many that are created?"""

from types import SimpleNamespace

import pytest

from memtop.model.groups import finding_of
from memtop.model.tracker import Tracker
from memtop.model.trends import Trend
from memtop.probe.fake import FakeSource
from memtop.probe.sample import Wanted

MAIN = "python -m voice.main"
CHILD = "python -c job --number=1"


def service(workers=4, *, age_s=600, rss_mib=100.0):
    """A main process and its workers."""
    source = FakeSource()
    source.spawn(10, 0, "python", 200, command=MAIN, age_s=9000)
    for pid in range(20, 20 + workers):
        source.spawn(pid, 10, "python", rss_mib, command=CHILD, age_s=age_s)
    return source


def feed(source, tracker, ticks, each=lambda tick: None):
    for tick in range(ticks):
        each(tick)
        state = tracker.feed(source.sample(tracker.ask(Wanted())))
    return state


def only(state):
    (group,) = state.groups.values()
    return group


def test_the_workers_of_one_parent_are_one_group():
    """Count, sum, largest, smallest, average and median; the members know their group."""
    source = service(4)
    source.processes[20].rss_kib = 300 * 1024
    group = only(state := feed(source, Tracker(), 2))

    assert group.id == "workers of 10"
    assert (group.role, group.parent.pid, len(group.members)) == ("worker", 10, 4)
    assert group.rss_kib == 600 * 1024
    assert (group.largest_kib, group.smallest_kib) == (300 * 1024, 100 * 1024)
    assert (group.average_kib, group.median_kib) == (150 * 1024, 100 * 1024)
    assert {row.group for row in state.rows.values() if row.pid != 10} == {group.id}
    assert next(row.group for row in state.rows.values() if row.pid == 10) is None


def test_one_grows():
    """One of four rises: it is named, the sum has its rate, the others stay calm."""
    source = service(4)

    def grow(_):
        source.processes[22].rss_kib += 700

    group = only(feed(source, Tracker(), 90, grow))

    assert group.finding == "one-grows"
    assert group.worst.pid == 22
    assert group.growing == 1
    assert group.rate_bytes_s == pytest.approx(700 * 1024, rel=0.05)
    assert group.grown_kib == pytest.approx(89 * 700, rel=0.05)
    assert (group.born_kib, group.died_kib) == (0, 0)


def test_many_grow():
    """Two that rise are many."""
    source = service(4)

    def grow(_):
        source.processes[21].rss_kib += 500
        source.processes[22].rss_kib += 700

    group = only(feed(source, Tracker(), 90, grow))

    assert (group.finding, group.growing, group.worst.pid) == ("many-grow", 2, 22)


def test_births_are_no_growth():
    """2 → 40 processes: many processes, births counted, none grows, the group's own trend calm."""
    source = service(2, age_s=2000)

    def storm(tick):
        if 30 <= tick < 68:
            source.spawn(100 + tick, 10, "python", 90, command=CHILD)

    group = only(feed(source, Tracker(), 120, storm))

    assert group.finding == "many-processes"
    assert (group.births, group.deaths, group.growing) == (38, 0, 0)
    assert group.born_kib == 38 * 90 * 1024
    assert group.grown_kib == 0
    assert not group.trend.is_growing


def test_what_a_young_worker_takes_belongs_to_its_birth():
    """A worker that needs some seconds to reach its size has not grown."""
    source, tracker = service(8, age_s=2000), Tracker()

    def birth(tick):
        if tick == 5:
            source.spawn(100, 10, "python", 10, command=CHILD)
        if 5 < tick < 15:
            source.processes[100].rss_kib += 30 * 1024

    group = only(feed(source, tracker, 40, birth))

    assert group.born_kib == (10 + 9 * 30) * 1024
    assert group.grown_kib == 0


def test_births_are_back_filled_from_start_times():
    """Opened after the storm, memtop still says how many came within the last ten minutes."""
    source = service(40, age_s=120)
    group = only(feed(source, Tracker(), 3))

    assert (group.finding, group.births) == ("many-processes", 40)
    old = only(feed(service(40, age_s=700), Tracker(), 3))
    assert (old.finding, old.births) == ("steady", 0)


def test_deaths_take_their_bytes_along_and_are_counted():
    """Who ends leaves the sum; births and deaths of the window stay counted."""
    source, tracker = service(10, age_s=2000), Tracker()
    feed(source, tracker, 25)
    for pid in (20, 21):
        source.end(pid)
    source.spawn(99, 10, "python", 50, command=CHILD)
    group = only(feed(source, tracker, 3))

    assert (group.births, group.deaths, len(group.members)) == (1, 2, 9)
    assert group.died_kib == -200 * 1024
    assert group.rss_kib == (8 * 100 + 50) * 1024

    source.end(99)  # born and gone within the window
    group = only(feed(source, tracker, 3))
    assert (group.births, group.deaths) == (1, 3)


def test_a_replaced_worker_is_remembered():
    """A worker that grew until it ended: the group knows how fast, the new one begins anew."""
    source, tracker = service(2, age_s=2000), Tracker()

    def grow(_):
        source.processes[21].rss_kib += 700

    feed(source, tracker, 90, grow)
    source.end(21)
    source.spawn(50, 10, "python", 100, command=CHILD)
    group = only(feed(source, tracker, 30))

    assert len(group.lives) == 1
    assert group.lives[0] == pytest.approx(700 * 1024, rel=0.1)
    assert (group.finding, group.growing) == ("steady", 0)
    assert group.largest_child_kib == pytest.approx(100 * 1024 + 90 * 700, rel=0.02)


def test_shared_pages_are_counted_once_where_pss_is_known():
    """The sum of PSS is there only if that of every member is."""
    source, tracker = service(3), Tracker()
    for pid in (20, 21, 22):
        source.processes[pid].pss_kib = 30 * 1024
    wanted = Wanted(pids=frozenset({20, 21}), pss=True)
    for _ in range(12):
        state = tracker.feed(source.sample(wanted))
    assert only(state).pss_kib is None

    wanted = Wanted(pids=frozenset({20, 21, 22}), pss=True)
    for _ in range(50):
        state = tracker.feed(source.sample(wanted))
    assert only(state).pss_kib == 90 * 1024


def test_a_group_ends_with_its_parent():
    """When the parent is gone and forgotten, so is the group; its workers are somebody else's."""
    source, tracker = service(2), Tracker()
    feed(source, tracker, 3)
    for process in source.processes.values():
        process.ppid = 1
    source.end(10)
    state = feed(source, tracker, 40)

    assert not state.groups
    assert {row.group for row in state.rows.values()} == {None}


def test_a_state_does_not_change_afterwards():
    """The groups of an older state are what they were."""
    source, tracker = service(3), Tracker()
    before = feed(source, tracker, 5)
    number = len(only(before).members)
    source.spawn(60, 10, "python", 50, command=CHILD)
    after = feed(source, tracker, 5)

    assert len(only(before).members) == number == 3
    assert len(only(after).members) == 4


def member(rss=100, rate=0.0, word="steady"):
    return SimpleNamespace(rss_kib=rss, rate_bytes_s=rate, trend=Trend(word))


@pytest.mark.parametrize(
    ("members", "births", "limit_share", "finding"),
    [
        ([member()] * 8, 2, 0, "many-processes"),
        ([member()] * 8, 1, 0, "steady"),
        ([member()] * 7, 7, 0, "steady"),
        ([member()] * 7 + [member(201)], 8, 0, "steady"),
        ([member()] * 7 + [member(200)], 8, 0, "many-processes"),
        ([member()] * 8, 0, 0.5, "many-processes"),
        ([member()] * 8, 0, 0.49, "steady"),
        ([member()] * 7 + [member(100, 5.0, "leak-like")], 8, 0, "one-grows"),
        ([member()] * 7 + [member(100, 5.0, "rising")], 8, 0, "one-grows"),
        ([member(100, 9.0)] * 7 + [member(100, 5.0, "rising")], 8, 0, "steady"),
        ([member(100, 5.0, "rising")] * 2 + [member()] * 6, 8, 0, "many-grow"),
        ([], 0, 0, "steady"),
    ],
)
def test_findings(members, births, limit_share, finding):
    """The first that holds: one grows, many grow, many processes, steady."""
    total = sum(one.rss_kib for one in members)
    limit = round(total * 1024 / limit_share) if limit_share else None

    assert finding_of(members, births, total, limit)[0] == finding
