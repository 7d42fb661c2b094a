"""One sequence of samples, both ways: what was shown live is what the recording gives back."""

import random

import pytest

from memtop.model.history import BUCKET_S
from memtop.model.tracker import Tracker
from memtop.probe.fake import FakeSource
from memtop.probe.sample import Cgroup, Host, Pod, Wanted
from memtop.recording.opening import make
from memtop.recording.quantities import BAND_KIB
from memtop.recording.recorder import Recorder
from memtop.recording.recording import Recording
from memtop.render.cells import trend_words
from memtop.units import rate_mib_min

MIB = 1024
LIMIT = 2 << 30
# What a row says in words, which is the same to the letter.
WORDS = (
    "identity pid ppid name command user uid exe cgroup pod rights address_space_bytes started_at "
    "kernel python role framework group title container pod_name namespace"
).split()
GROUP_WORDS = (
    "id role label framework parent members growing worst finding lives comes_and_goes "
    "child_limit_bytes births deaths watched_births"
).split()


class Service:
    """A main process whose workers grow, swing, step, come and go, below one limit."""

    def __init__(self, step_s=2.0, seed=1):
        self.roll = random.Random(seed)
        self.source = FakeSource(step_s=step_s, before_sample=self.move)
        self.tick = 0
        pod = Pod("c" * 64, "app", "u-1", "shop-1", "shop", "Burstable")
        self.main = self.spawn(1, "main", 90, pod=pod)
        self.workers = [self.spawn(1 + n, "worker", 60 + n, parent=1, pod=pod) for n in range(1, 7)]
        self.spawn(50, "bash", 5)
        self.next_pid = 100

    def spawn(self, pid, name, mib, parent=0, **fields):
        command = "python -m shop.main" if name in ("main", "worker") else name
        return self.source.spawn(
            pid, parent, "python3" if name != "bash" else "bash", mib, command=command,
            exe="/usr/bin/python3.11" if name != "bash" else "/bin/bash", cgroup="/pod", **fields,
        )  # fmt: skip

    def move(self, source):
        self.tick += 1
        tick, roll, alive = self.tick, self.roll, source.processes
        for worker in self.workers[:2]:
            worker.rss_kib += 4 * roll.randrange(100)
        self.workers[2].rss_kib = 62 * MIB + 4 * roll.randrange(1000)
        self.workers[3].rss_kib += 40 * MIB if tick % 150 == 0 else 0
        if tick < 100:
            self.workers[4].rss_kib += MIB // 2
        if tick % 37 == 0:
            self.next_pid += 1
            self.spawn(self.next_pid, "worker", 40, parent=1)
        if tick % 53 == 0 and self.next_pid in alive:
            source.end(self.next_pid)
        if tick == 120:
            self.main.state, self.workers[5].state = "D", "Z"
        if tick == 130:
            source.end(self.workers[5].identity.pid)
            self.main.state, self.main.command = "S", "python -m shop.main --now"
        self.main.cpu_percent = float(roll.randrange(90))
        used = sum(process.rss_kib for process in alive.values())
        source.host = Host("box", 8 << 20, (1 << 20) + used)
        source.cgroups = [
            Cgroup(
                "/pod", None, self.main.pod, LIMIT, False, limit_file="memory.max",
                current_bytes=used * 1024 + (50 << 20), working_set_bytes=used * 1024 + (9 << 20),
                floor_bytes=used * 1024, anon_bytes=used * 1000, file_bytes=50 << 20, oom_kills=0,
            )
        ]  # fmt: skip


def both(path, ticks, *, step_s=2.0, keep=lambda tick: True, **options):
    """Feed a service into a tracker and a recorder; the states that were live, by sample."""
    service, tracker = Service(step_s), Tracker(step_s)
    recorder = Recorder(make(str(path)), str(path), **options)
    live = {}
    for tick in range(ticks):
        state = tracker.feed(service.source.sample(Wanted(all_usage=True)))
        recorder.write(state)
        if keep(tick):
            live[tick] = (state, spans_of(state), rates_of(state))
    recorder.close()
    return live


def spans_of(state):
    """What the sparklines of all rows show; histories go on, so it is taken at once."""
    made = {}
    for identity, row in state.rows.items():
        if row.history is not None:
            made[identity] = (
                row.history.peaks(state.bucket - 39, state.bucket),
                row.history.ticks(state.tick - 50, state.tick),
                row.history.long_spans(state.bucket // 20 - 5, state.bucket // 20),
            )
    return made


def rates_of(state):
    """What the columns Δ and TREND show."""
    return {
        identity: (rate_mib_min(row.rate_bytes_s), trend_words(row, state))
        for identity, row in state.rows.items()
    }


def near(a, b, band=BAND_KIB):
    return (a is None) == (b is None) and (a is None or abs(a - b) <= band)


def assert_same(live, spans, shown, then, band=BAND_KIB):
    """A state of a recording shows what the live one did."""
    for name in ("tick", "bucket", "births", "deaths", "interval_s", "children", "gaps"):
        assert getattr(then, name) == getattr(live, name), name
    for name in ("taken_at", "clock_s", "watched_s", "late_s"):
        assert getattr(then, name) == pytest.approx(getattr(live, name), abs=0.001), name
    assert then.rows.keys() == live.rows.keys()
    for identity, row in live.rows.items():
        copy = then.rows[identity]
        for name in WORDS:
            assert getattr(copy, name) == getattr(row, name), (name, identity, then.tick)
        assert near(copy.rss_kib, row.rss_kib, band), (identity, then.tick)
        assert near(copy.swap_kib, row.swap_kib, band)
        assert copy.trend.word == row.trend.word
        assert copy.trend.since_s == pytest.approx(row.trend.since_s, abs=1.0)
        assert (copy.state == "Z") == (row.state == "Z")
        assert (copy.ended_at is None) == (row.ended_at is None)
        rate, words = shown[identity]
        assert rate_mib_min(copy.rate_bytes_s) == rate, (identity, then.tick)
        assert trend_words(copy, then) == words
        if row.history is None:
            assert copy.history is None
            continue
        peaks, ticks, long_spans = spans[identity]
        for a, b in zip(copy.history.peaks(then.bucket - 39, then.bucket), peaks, strict=True):
            assert near(a, b, band), (
                identity,
                then.tick,
                copy.history.peaks(then.bucket - 39, then.bucket),
                peaks,
            )
        for a, b in zip(copy.history.ticks(then.tick - 50, then.tick), ticks, strict=True):
            assert near(a, b, band)
        last = then.bucket // 20
        for a, b in zip(copy.history.long_spans(last - 5, last), long_spans, strict=True):
            assert (a is None) == (b is None)
            assert a is None or (near(a[0], b[0], band) and near(a[1], b[1], band))
    assert {r.identity for r in then.growing} == {r.identity for r in live.growing}
    assert_same_groups(live, then)
    assert_same_limits(live, then)
    assert then.host.name == live.host.name
    assert rate_mib_min(then.host.rate_bytes_s) == rate_mib_min(live.host.rate_bytes_s)


def assert_same_groups(live, then):
    assert then.groups.keys() == live.groups.keys()
    for name, group in live.groups.items():
        copy = then.groups[name]
        for word in GROUP_WORDS:
            a, b = getattr(copy, word), getattr(group, word)
            assert (set(a) == set(b)) if word == "members" else a == b, (word, then.tick)
        assert copy.trend.word == group.trend.word
        assert rate_mib_min(copy.rate_bytes_s) == rate_mib_min(group.rate_bytes_s)
        assert near(copy.rss_kib, group.rss_kib, max(BAND_KIB, group.rss_kib // 1000))


def assert_same_limits(live, then):
    assert then.limits.keys() == live.limits.keys()
    for path, limit in live.limits.items():
        copy = then.limits[path]
        assert copy.limit_bytes == limit.limit_bytes
        assert copy.trend.word == limit.trend.word
        assert copy.cgroup.pod == limit.cgroup.pod
        assert copy.measured.floor_bytes == pytest.approx(limit.measured.floor_bytes, rel=0.002)
        assert (copy.capacity is None) == (limit.capacity is None)
        if limit.capacity:
            assert copy.capacity.fits_more == limit.capacity.fits_more
            assert copy.capacity.warns == limit.capacity.warns


@pytest.mark.parametrize(
    "step_s",
    [
        pytest.param(0.5, marks=pytest.mark.deep),
        1.0,
        pytest.param(2.0, marks=pytest.mark.deep),
        7.0,
    ],
)
def test_a_jump_shows_what_was_shown(tmp_path, step_s):
    """At any sample, in any order, a recording gives the state that was live then."""
    path = tmp_path / "a.memtop"
    live = both(path, 700, step_s=step_s, keep=lambda tick: tick % 23 == 0 or tick > 690)
    order = list(live)
    random.Random(3).shuffle(order)
    with Recording(str(path)) as recording:
        assert (recording.first_tick, recording.last_tick) == (0, 699)
        for tick in order:
            assert_same(*live[tick], recording.state(tick))


def test_stepping_shows_the_same_as_jumping(tmp_path):
    """Each sample after the other gives the same states, too, and the births and deaths."""
    path = tmp_path / "a.memtop"
    live = both(path, 330)
    with Recording(str(path)) as recording:
        for tick, kept in live.items():
            assert_same(*kept, recording.state(tick))


def test_exact_has_no_dead_band(tmp_path):
    """With `exact` RSS is what it was, to the KiB."""
    path = tmp_path / "a.memtop"
    live = both(path, 200, exact=True)
    with Recording(str(path)) as recording:
        for tick in range(0, 200, 9):
            assert_same(*live[tick], recording.state(tick), band=0)


def test_a_time_is_the_sample_before_it(tmp_path):
    """`state_at` takes the last sample at that time or before; outside, the first and the last."""
    path = tmp_path / "a.memtop"
    live = both(path, 400, step_s=2.0)
    begin = live[0][0].taken_at
    with Recording(str(path)) as recording:
        assert recording.state_at(begin + 301.9).tick == 150
        assert recording.state_at(begin + 302.0).tick == 151
        assert recording.state_at(begin - 1000).tick == 0
        assert recording.state_at(begin + 1e6).tick == 399
        assert recording.time_of(151) == pytest.approx(begin + 302.0)


def test_the_sum_is_known_at_every_sample(tmp_path):
    """The highest sum and the largest rise are found, with how many processes there were."""
    path = tmp_path / "a.memtop"
    live = both(path, 330)
    sums = {
        tick: sum(row.rss_kib or 0 for row in state.living())
        for tick, (state, _, _) in live.items()
    }
    with Recording(str(path)) as recording:
        highest = recording.highest()
        assert (highest.tick, highest.rss_kib) == max(sums.items(), key=lambda pair: pair[1])
        assert highest.processes == len(live[highest.tick][0].living())
        low, high = recording.largest_rise(60.0)
        best = max(sums[b] - sums[a] for b in sums for a in range(max(0, b - 30), b + 1))
        assert high.rss_kib - low.rss_kib == best


def test_a_rested_process_has_its_line(tmp_path):
    """What never changed has a history all the same, in every bucket since it was seen."""
    path = tmp_path / "a.memtop"
    both(path, 700)
    with Recording(str(path)) as recording:
        state = recording.state(699)
        bash = next(row for row in state.rows.values() if row.name == "bash")
        first = state.bucket - int(1398 // BUCKET_S)
        assert set(bash.history.peaks(first + 1, state.bucket)) == {5 * MIB}
        assert bash.history.peaks(first - 30, first - 25) == [None] * 6
