"""Which lines a view has, and in which order."""

import pytest

from memtop.model.filter import parse
from memtop.model.query import View, arrange
from memtop.model.tracker import Tracker
from memtop.probe.fake import FakeSource
from memtop.probe.sample import Wanted


def build():
    """Two services; the worker of the younger one grows. PIDs below 10 are roots."""
    source = FakeSource()
    source.spawn(1, 0, "init", 8, age_s=900, user="root")
    source.spawn(10, 1, "shop", 500, age_s=800)
    source.spawn(11, 10, "shop-worker", 90, age_s=700)
    source.spawn(20, 1, "mail", 60, age_s=600, container="c0ffee", cgroup="/c0ffee")
    grower = source.spawn(21, 20, "mail-worker", 40, age_s=500, container="c0ffee", cgroup="/c")
    source.spawn(22, 20, "mail-helper", 45, age_s=400, cpu_percent=70.0)
    source.spawn(2, 0, "kthreadd", 0, kernel=True, age_s=900)
    tracker = Tracker()
    for _ in range(40):
        grower.rss_kib += 300
        state = tracker.feed(source.sample(Wanted()))
    return source, tracker, state


@pytest.fixture(scope="module")
def state():
    return build()[2]


def pids(arrangement):
    return [line.key.pid for line in arrangement.lines]


def drawn(arrangement):
    return [f"{line.guide}{line.key.pid}" for line in arrangement.lines]


def test_growth_brings_its_family_up(state):
    """Siblings are ordered by the best value in their subtree, growth before size."""
    assert pids(arrange(state, View())) == [1, 20, 21, 22, 10, 11]


def test_the_tree_is_drawn_like_a_tree(state):
    """Guides show who hangs below whom; kernel threads are left out."""
    assert drawn(arrange(state, View())) == ["1", "├20", "│ ├─21", "│ └─22", "└10", "  └─11"]


def test_sorting_by_memory(state):
    """The largest member decides where a family stands; inverted, the smallest."""
    assert pids(arrange(state, View(sort="rss"))) == [1, 10, 11, 20, 21, 22]
    assert pids(arrange(state, View(sort="rss", inverted=True)))[0] == 1


@pytest.mark.parametrize(
    ("sort", "first"), [("cpu", 22), ("pid", 1), ("name", 1), ("age", 1), ("rate", 21)]
)
def test_flat_is_sorted_by_any_column(state, sort, first):
    """Without the tree the best row of the column is the first."""
    assert pids(arrange(state, View(sort=sort, layout="flat")))[0] == first


def test_texts_are_sorted_both_ways(state):
    """Names go from a to z, inverted from z to a, in the tree too."""
    names = [11, 10, 21, 22, 20]
    flat = arrange(state, View(sort="name", layout="flat", inverted=True))
    assert [pid for pid in pids(flat) if pid > 1] == names
    assert pids(arrange(state, View(sort="name"))) == [1, 20, 22, 21, 10, 11]


def test_a_filter_keeps_ancestors_dimmed(state):
    """What leads to a match stays, dimmed, and is not counted."""
    made = arrange(state, View(filter=parse("mail-worker")))

    assert [(line.key.pid, line.dimmed) for line in made.lines] == [
        (1, True),
        (20, True),
        (21, False),
    ]
    assert made.matched == 1


def test_a_folded_row_speaks_for_all_below(state):
    """Folded, the children go, and the row knows whom it stands for."""
    mail = next(one for one in state.rows if one.pid == 20)
    made = arrange(state, View(folded=frozenset([mail])))

    line = next(line for line in made.lines if line.key == mail)
    assert pids(made) == [1, 20, 10, 11]
    assert {one.pid for one in line.members} == {20, 21, 22}


def test_order_is_kept_until_asked(state):
    """With the arrangement of before rows stay where they were; new ones come last."""
    source, tracker, old = build()
    before = arrange(old, View())
    source.processes[11].rss_kib += 500 * 1024
    source.spawn(12, 10, "shop-worker", 900)
    fresh = tracker.feed(source.sample(Wanted()))

    assert pids(arrange(fresh, View(), before)) == [1, 20, 21, 22, 10, 11, 12]
    assert pids(arrange(fresh, View(sort="rss"))) == [1, 10, 12, 11, 20, 21, 22]


def test_groups_have_a_line_of_their_own(state):
    """By container and by user every group has a heading with its members below."""
    made = arrange(state, View(layout="container"))
    headings = {line.key: len(line.members) for line in made.lines if isinstance(line.key, str)}

    assert headings == {"container c0ffee": 2, "container not known": 4}
    users = arrange(state, View(layout="user", folded=frozenset(["user app"])))
    assert [line.key for line in users.lines if isinstance(line.key, str)] == [
        "user app",
        "user root",
    ]
    assert len(users.lines) == 3


def test_a_subtree_alone(state):
    """With a top PID only that process and all below it count."""
    assert pids(arrange(state, View(top_pid=20))) == [20, 21, 22]
    assert arrange(state, View(top_pid=20)).matched == 3
    assert arrange(state, View(top_pid=4711)).lines == ()


def test_kernel_threads_on_request(state):
    """They are listed when asked for."""
    assert 2 in pids(arrange(state, View(kernel=True)))
