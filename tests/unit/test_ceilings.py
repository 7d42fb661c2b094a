"""Limits, when they are met, and how many more children fit."""

import pytest

from memtop.model.capacity import capacity_of
from memtop.model.limits import chain, tightest
from memtop.model.tracker import Tracker
from memtop.probe.fake import FakeSource
from memtop.probe.sample import Cgroup, Pod, Wanted

MIB = 1 << 20
POD = Pod("c" * 64, "render", "8d9c5a52-1b1e-4c53-a4a5-0c0ffee00001", "docs", "web", "Burstable")


def cgroup(path, parent=None, limit_mib=None, used_mib=0, **fields):
    return Cgroup(
        path,
        parent,
        fields.pop("pod", None),
        limit_mib and limit_mib * MIB,
        limit_mib is None,
        limit_file="memory.max",
        current_bytes=used_mib * MIB,
        working_set_bytes=used_mib * MIB,
        floor_bytes=used_mib * MIB,
        anon_bytes=used_mib * MIB,
        **fields,
    )


def rendering(limit_mib=704, *, child_limit_mib=512, children=1, peak_mib=310.0):
    """A service with a limit, whose requests run in children with one of their own."""
    source = FakeSource()
    source.spawn(
        1, 0, "gunicorn", 80, command="gunicorn: master [render]", age_s=4000, cgroup="/pod/app"
    )
    for pid in range(600, 600 + children):
        source.spawn(
            pid,
            1,
            "python",
            peak_mib,
            command="python -c render-one",
            age_s=24,
            cgroup="/pod/app",
            address_space_bytes=child_limit_mib and child_limit_mib * MIB,
        )
    source.cgroups = [
        cgroup("/pod", limit_mib=None),
        cgroup("/pod/app", "/pod", limit_mib, 80 + children * 310, pod=POD, oom_kills=2),
    ]
    return source


def feed(source, ticks=4, tracker=None):
    tracker = tracker or Tracker()
    for _ in range(ticks):
        state = tracker.feed(source.sample(Wanted()))
    return state


def test_one_request_fits():
    """704 MiB, 80 taken, 512 at worst: one fits, none more while one runs, with a warning."""
    state = feed(rendering())
    capacity = state.limits["/pod/app"].capacity

    assert capacity.taken_bytes == 80 * MIB
    assert (capacity.worst_child_bytes, capacity.worst_child_from) == (512 * MIB, "RLIMIT_AS")
    assert (capacity.children, capacity.children_at_worst_bytes) == (1, 512 * MIB)
    assert (capacity.fits_total, capacity.fits_more) == (1, 0)
    assert capacity.bound_by == "/pod/app"
    assert capacity.left_bytes == 112 * MIB
    assert capacity.warns


def test_between_requests_the_answer_stays():
    """With no child alive, what was learned of them still counts: one fits, one more."""
    source, tracker = rendering(), Tracker()
    feed(source, tracker=tracker)
    source.end(600)
    capacity = feed(source, tracker=tracker).limits["/pod/app"].capacity

    assert (capacity.children, capacity.fits_total, capacity.fits_more) == (0, 1, 1)
    assert not capacity.warns


def test_two_at_once_are_too_many():
    """Two that run could together exceed the limit: less than nothing is left."""
    capacity = feed(rendering(children=2)).limits["/pod/app"].capacity

    assert capacity.fits_more == 0
    assert capacity.left_bytes == (704 - 80 - 1024) * MIB
    assert capacity.warns


def test_without_rlimit_the_largest_peak_counts_also_of_the_dead():
    """The worst child is the largest that was ever seen."""
    source, tracker = rendering(child_limit_mib=None, children=2, peak_mib=100), Tracker()
    source.processes[601].rss_kib = 240 * 1024
    feed(source, tracker=tracker)
    source.end(601)
    capacity = feed(source, tracker=tracker).limits["/pod/app"].capacity

    assert (capacity.worst_child_bytes, capacity.worst_child_from) == (240 * MIB, "peak")
    assert (capacity.fits_total, capacity.fits_more) == (2, 1)


def test_a_pool_of_a_fixed_size_is_no_warning():
    """Workers that came with their parent fill the limit; nobody starts another one."""
    capacity = capacity_of(
        limit_bytes=1000 * MIB,
        taken_bytes=100 * MIB,
        children=4,
        child_limit_bytes=None,
        largest_child_bytes=250 * MIB,
        bound_by="/",
        group="g",
        comes_and_goes=False,
    )
    assert capacity.fits_more == 0
    assert not capacity.warns


def test_nothing_known_about_children_is_no_capacity():
    """Without any size there is no arithmetic; without a limit neither."""
    capacity = capacity_of(
        limit_bytes=MIB,
        taken_bytes=0,
        children=0,
        child_limit_bytes=None,
        largest_child_bytes=0,
        bound_by="/",
        group="g",
        comes_and_goes=True,
    )
    assert capacity is None
    assert feed(rendering(limit_mib=None)).limits["/pod/app"].capacity is None


def test_the_tightest_limit_of_all_ancestors_binds():
    """The smallest limit on the way up counts, and its own use is compared with it."""
    source = rendering(limit_mib=704)
    source.cgroups = [
        cgroup("/pod", None, 600, 550, pod=POD._replace(container_id=None)),
        cgroup("/pod/app", "/pod", 704, 390, pod=POD),
    ]
    limit = feed(source).limits["/pod/app"]

    assert limit.limit_bytes == 600 * MIB
    assert limit.bound.path == "/pod"
    assert limit.measured.current_bytes == 550 * MIB
    assert limit.processes == 2


def test_unknown_is_not_unlimited():
    """A cgroup whose files cannot be read has no limit and says why."""
    source = rendering()
    source.cgroups = [Cgroup("/pod/app", None, POD, None, False, "no right to look")]
    limit = feed(source).limits["/pod/app"]

    assert (limit.limit_bytes, limit.bound) == (None, None)
    assert limit.why == "no right to look"


def test_circles_of_parents_end():
    """Broken input cannot hang the chain."""
    cgroups = {"/a": cgroup("/a", "/b"), "/b": cgroup("/b", "/a", 10)}

    assert [one.path for one in chain(cgroups, "/a")] == ["/a", "/b"]
    assert tightest(chain(cgroups, "/a")).path == "/b"
    assert chain(cgroups, "/none") == []


@pytest.mark.parametrize("every", [1, 5])
def test_time_to_the_limit(every):
    """A floor that rises by 1 MiB a second meets a limit 400 MiB away in about 400 s."""
    source, tracker = rendering(limit_mib=1000, child_limit_mib=None, children=0), Tracker()
    for tick in range(200):
        used = 400 + tick
        fresh = [cgroup("/pod/app", None, 1000, used, pod=POD)]
        source.cgroups = fresh if tick % every == 0 else []
        state = tracker.feed(source.sample(Wanted()))
    limit = state.limits["/pod/app"]

    assert limit.rate_bytes_s == pytest.approx(MIB, rel=0.1)
    assert limit.eta_s == pytest.approx(400, rel=0.1)
    assert limit.eta_low_s <= limit.eta_s <= limit.eta_high_s


def test_no_trend_no_time():
    """A level floor has no time to the limit; nor has one that falls."""
    assert feed(rendering(), 60).limits["/pod/app"].eta_s is None


def test_cgroups_without_processes_are_forgotten():
    """A container that is gone does not stay in the list."""
    source, tracker = rendering(), Tracker()
    feed(source, 3, tracker)
    source.cgroups.append(cgroup("/other", None, 100))
    source.spawn(900, 1, "sh", 2, command="sh", cgroup="/other")
    assert "/other" in feed(source, 3, tracker).limits
    source.end(900)
    source.cgroups.pop()
    assert "/other" not in feed(source, 80, tracker).limits


def test_a_cgroup_stays_as_long_as_its_dead_are_shown():
    """A kill may be counted after the last process of a cgroup is gone: it is still read then."""
    source = FakeSource()
    source.spawn(1, 0, "init", 10, age_s=4000, cgroup="/")
    source.spawn(7, 1, "python", 80, command="python -m job", cgroup="/job")
    source.cgroups = [cgroup("/"), cgroup("/job", "/", 100, 90, oom_kills=0)]
    tracker = Tracker()
    feed(source, 58, tracker)
    source.end(7)
    source.cgroups = [cgroup("/"), cgroup("/job", "/", 100, 1, oom_kills=1)]
    feed(source, 1, tracker)
    source.cgroups = [cgroup("/")]
    assert feed(source, 10, tracker).limits["/job"].cgroup.oom_kills == 1
    assert "/job" not in feed(source, 120, tracker).limits
