"""What the growth detector says about stories, recorded processes, gaps and rest."""

import gzip
import json
import math
import random
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memtop.model.growth import LEVELS, RING, SAMPLES, GrowthDetector
from memtop.model.window import climb_of, deepest_fall, pace, rate_of, shape_of, slopes_of

MIB = 1 << 20
WORDS = {"leak-like", "rising", "steps", "warm-up", "sawtooth", "steady", "shrinking", "new"}
RECORDED = Path(__file__).parent.parent / "data" / "growth.jsonl.gz"


def watch(shape, samples, *, seed=1, dt_s=1.0, phase=0):
    """The verdicts of a series: shape(t, random) in MiB at t seconds."""
    detector, rnd, verdicts = GrowthDetector(phase), random.Random(seed), []
    for i in range(samples):
        detector.add(i * dt_s, int(shape(i * dt_s, rnd) * MIB))
        if i % SAMPLES == SAMPLES - 1 or i < 100:
            verdicts.append((i * dt_s, detector.verdict()))
    return verdicts


def first(verdicts, *words):
    """When a series first had one of these words, in seconds."""
    return next((t for t, verdict in verdicts if verdict["kind"] in words), math.inf)


def share(verdicts, word):
    """For which share of the time it had this word."""
    return sum(verdict["kind"] == word for _, verdict in verdicts) / len(verdicts)


# -- stories ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_a_fast_leak_is_said_within_two_minutes(seed):
    """60 MiB in 10 minutes with 1 MiB of noise."""
    seen = watch(lambda t, rnd: 200 + t / 10 + rnd.gauss(0, 1), 600, seed=seed)
    assert first(seen, "leak-like") <= 120
    last = seen[-1][1]
    assert last["growing"] and last["kind"] == "leak-like"
    assert last["slope_mib_h"] == pytest.approx(360, rel=0.1)
    assert last["since_s"] < 60 and last["grown_mib"] == pytest.approx(60, rel=0.15)
    low, high = last["spread_mib_h"]
    assert low <= last["slope_mib_h"] <= high
    assert 0.5 < last["confidence"] <= 1


@pytest.mark.parametrize("started_mib", [3, 40])
@pytest.mark.parametrize("phase", range(5))
def test_a_leaking_worker_rises_within_40_s_of_its_start(started_mib, phase):
    """40 MiB a minute in small irregular steps, after an interpreter has started."""

    def worker(t, rnd):
        return (12 if t > 1 else started_mib) + math.floor(t * 0.67 * 8 + rnd.random() * 3) / 8

    seen = watch(worker, 180, phase=phase)
    assert first(seen, "rising", "leak-like") <= 40
    assert first(seen, "leak-like") <= 90
    assert share([one for one in seen if one[0] > 90], "leak-like") == 1


def test_a_slow_leak_below_a_sawtooth_is_said_within_the_hour():
    """2 MiB an hour below teeth of 6 MiB that come every 45 s."""
    seen = watch(lambda t, rnd: 200 + t / 1800 + t % 45 / 7.5 + rnd.gauss(0, 0.1), 5400)
    assert first(seen, "leak-like") < 3600
    assert seen[-1][1]["slope_mib_h"] == pytest.approx(2, rel=0.25)


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(3))
def test_half_a_mib_an_hour_is_said_within_four_hours(seed):
    """With noise of 0.3 MiB."""
    seen = watch(lambda t, rnd: 200 + t / 7200 + rnd.gauss(0, 0.3), 5 * 3600, seed=seed)
    assert first(seen, "leak-like") < 4 * 3600


@pytest.mark.deep
@pytest.mark.parametrize("leak_mib_h", [0, 1])
def test_a_day_after_a_warm_up(leak_mib_h):
    """80 MiB of caches, then a plateau for a day; or a leak of 1 MiB an hour."""

    def service(t, rnd):
        warm = 100 + 80 * (1 - math.exp(-t / 600))
        return warm + leak_mib_h * t / 3600 + rnd.gauss(0, 0.3)

    seen = watch(service, 86400)
    late = [one for one in seen if one[0] > 7200]
    if leak_mib_h:
        assert seen[-1][1]["slope_mib_h"] == pytest.approx(1, rel=0.1)
        assert share(late, "leak-like") > 0.7
    else:
        assert share(late, "leak-like") == share(late, "rising") == 0
        assert seen[-1][1]["kind"] == "steady"


def test_levels_of_concurrency_never_leak():
    """Five levels, each about twice the former."""
    seen = watch(lambda t, rnd: (40, 54, 82, 139, 240)[min(4, int(t // 300))], 2400)
    assert first(seen, "leak-like", "rising") == math.inf
    assert share(seen, "steps") > 0.2


def test_forks_that_start_and_stay_are_no_leak():
    """A worker that loads its modules within some seconds and then serves."""
    for seed in range(10):
        seen = watch(lambda t, rnd: 30 + min(1, t / 4) * 245 + rnd.gauss(0, 0.2), 900, seed=seed)
        assert first(seen, "leak-like") == math.inf


@pytest.mark.parametrize("noise_mib", [0, 0.05, 3])
def test_rest_and_noise_never_leak(noise_mib):
    """Two hours."""
    seen = watch(lambda t, rnd: 200 + rnd.gauss(0, noise_mib), 7200)
    assert first(seen, "leak-like", "rising") == math.inf
    assert share(seen, "steady") > 0.6


def test_a_huge_process_with_noise_does_not_leak():
    """30 GiB and 1 % of noise."""
    seen = watch(lambda t, rnd: 30720 + rnd.gauss(0, 300), 3600)
    assert first(seen, "leak-like") == math.inf
    assert share(seen, "steady") > 0.8


def test_words_of_shapes():
    """Teeth, a slow fall, a warm-up and stairs have their names."""
    teeth = watch(lambda t, rnd: 100 + t % 120 / 2, 2400)
    assert share(teeth[400:], "sawtooth") > 0.9
    falling = watch(lambda t, rnd: 300 - t / 20, 2400)
    assert share(falling[200:], "shrinking") > 0.9
    warm = watch(lambda t, rnd: 50 + 100 * (1 - math.exp(-t / 60)), 400)
    assert warm[-1][1]["kind"] == "warm-up"
    stairs = watch(lambda t, rnd: 100 + 30 * (t // 250), 900)
    assert stairs[-1][1]["kind"] == "steps"


def test_a_leak_that_stopped_is_let_go():
    """It is not called a leak any more after half of the time that it took."""
    seen = watch(lambda t, rnd: 100 + min(t, 1200) / 10 + rnd.gauss(0, 0.3), 3000)
    assert first(seen, "leak-like") < 200
    assert all(verdict["kind"] != "leak-like" for t, verdict in seen if t > 1800)


def test_a_leak_that_was_given_back_is_let_go_at_once():
    """After hours of growth the longest windows would know it only many minutes later."""
    seen = watch(lambda t, rnd: 100 + t / 60 if t < 20000 else 110, 20100)
    assert all(verdict["growing"] for t, verdict in seen if 1000 < t < 20000)
    assert not any(verdict["growing"] for t, verdict in seen if t > 20010)


@pytest.mark.parametrize("phase", [0, 1, 2, 3, 4711])
def test_nothing_is_said_before_20_samples(phase):
    """However steep it is; and soon after them something is, which is never that it bends over."""
    detector = GrowthDetector(phase)
    for i in range(35):
        detector.add(float(i), i * 10 * MIB)
        if i < 19:
            assert detector.verdict()["kind"] == "new"
        assert detector.verdict()["kind"] in ("new", "rising")
    assert detector.verdict()["kind"] == "rising"


@pytest.mark.parametrize("phase", [0, 3, 4711])
@pytest.mark.parametrize("mib_min", [10, 40])
def test_a_leak_after_one_large_fall_is_rising(phase, mib_min):
    """The peak of a start-up is freed, then it leaks: it rises within two minutes of the fall."""
    detector = GrowthDetector(phase)
    for i in range(260):
        kib = 2000 * 1024 if i < 120 else (1000 + (i - 120) * mib_min / 60) * 1024
        detector.add(float(i), int(kib) * 1024)
    assert detector.verdict()["kind"] == "rising"
    assert detector.verdict()["slope_mib_h"] == pytest.approx(mib_min * 60, rel=0.1)


@pytest.mark.parametrize("dt_s", [0.5, 5, 60])
def test_time_is_counted_in_seconds_not_samples(dt_s):
    """The same samples at another distance have another slope."""
    seen = watch(lambda t, rnd: 100 + t / dt_s / 5, 300, dt_s=dt_s)
    assert seen[-1][1]["slope_mib_h"] == pytest.approx(3600 / 5 / dt_s, rel=0.02)


# -- recorded processes ---------------------------------------------------------------------


def recorded():
    """Labelled traces of real processes."""
    with gzip.open(RECORDED, "rt") as file:
        return [json.loads(line) for line in file]


def judged(trace):
    """Whether a leak was found while it ran, and the false alarms outside of grace, in samples."""
    detector, dt_s = GrowthDetector(), trace["dt_s"]
    found, false, rising, free = False, 0, 0, 0
    grace = list(trace["grace"])
    if trace["leak"]:
        length = trace["end_s"] - trace["onset_s"]
        grace.append((trace["onset_s"], trace["end_s"] + 0.4 * length))
    for i, kib in enumerate(trace["rss_kib"]):
        t = i * dt_s
        detector.add(t, kib * 1024)
        verdict = detector.verdict()
        if trace["leak"] and trace["onset_s"] <= t <= trace["end_s"]:
            found |= verdict["growing"]
        if not any(begin <= t <= end for begin, end in grace):
            false += verdict["growing"]
            rising += verdict["kind"] == "rising"
            free += 1
    return found, false, rising / max(1, free)


@pytest.mark.parametrize("trace", recorded(), ids=lambda trace: f"{trace['label']} {trace['id']}")
def test_recorded_processes(trace):
    """Leaks are found while they run; of what is healthy at most a moment is called a leak."""
    found, false, rising = judged(trace)
    # A minute of a leak at one sample a second is just what it takes.
    if trace["leak"] and len(trace["rss_kib"]) > 70:
        assert found
    if trace["label"].startswith("real_") and not trace["leak"]:
        assert not false
    assert false <= 0.04 * len(trace["rss_kib"])
    assert rising < 0.3


# -- catching up ------------------------------------------------------------------------------

RUNS = st.lists(
    st.tuples(
        st.sampled_from([1, 2, 3, 7, 40, 333, 5000]),
        st.sampled_from([-2.0, 0.0, 0.3, 1.0, 1.1, 30.0]),
        st.booleans(),
    ),
    min_size=1,
    max_size=40,
)


def same(one, other):
    """Equal but for the rounding of times."""
    for name in one.keys():  # noqa: SIM118
        a, b = one[name], other[name]
        if isinstance(a, float) and isinstance(b, float):
            assert a == pytest.approx(b, rel=1e-6, abs=1e-3), name
        elif isinstance(a, tuple) and isinstance(b, tuple):
            assert a == pytest.approx(b, rel=1e-6, abs=1e-6), name
        else:
            assert a == b, name


@settings(max_examples=60, deadline=None)
@given(RUNS, st.integers(0, 4_000_000))
@example([(1, 1.0, False)] * 30 + [(5000, 0.0, True)] + [(1, 1.0, False)] * 9, 0)
@example([(5000, 0.0, True), (333, 1.0, True)] * 4, 4711)
def test_repeating_is_the_same_as_adding_singly(runs, phase):
    """Series that climb, jump, fall and rest, caught up in one go and sample by sample."""
    quick, plain = GrowthDetector(phase), GrowthDetector(phase)
    t, mib = 0.0, 100.0
    for detector in (quick, plain):
        detector.add(t, int(mib * MIB))
    for n, change, as_one in runs:
        if as_one:
            quick.repeat(n, t + n)
            for i in range(n):
                plain.add(t + i + 1, int(mib * MIB))
            t += n
        else:
            for _ in range(min(n, 40)):
                mib = max(1.0, mib + change)
                t += 1
                quick.add(t, int(mib * MIB))
                plain.add(t, int(mib * MIB))
        same(quick.verdict(), plain.verdict())


def test_repeating_takes_no_time():
    """A day of rest is some hundred steps, not 86,400."""
    detector = GrowthDetector(4711)
    for i in range(100):
        detector.add(float(i), (100 + i) * MIB)
    pushed, push = [], GrowthDetector._push

    class Counting(GrowthDetector):
        __slots__ = ()

        def _push(self, kib, level):
            pushed.append(level)
            push(self, kib, level)

    detector.__class__ = Counting
    detector.repeat(86400, 86500.0)
    assert len(pushed) < 2 * LEVELS * RING
    assert detector.verdict()["kind"] == "steady"


# -- times that jump ---------------------------------------------------------------------------


def test_a_gap_does_not_change_the_slope():
    """An hour without samples within a leak: what is said is measured before and after it."""
    detector = GrowthDetector()
    for i in range(600):
        t = i + (3600 if i > 300 else 0)
        detector.add(float(t), int((100 + i / 10) * MIB))
    assert detector.verdict()["slope_mib_h"] == pytest.approx(360, rel=0.1)


def test_another_interval_is_learned():
    """From one sample a second to one in 10 s."""
    detector, t = GrowthDetector(), 0.0
    for i in range(600):
        t += 1 if i < 200 else 10
        detector.add(t, int((100 + i / 10) * MIB))
    assert detector.verdict()["slope_mib_h"] == pytest.approx(36, rel=0.1)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, 1e9]),
            st.integers(-(1 << 50), 1 << 50) | st.floats(0, 1e12),
            st.sampled_from([0, 0, 1, 9, 1000]),
        ),
        max_size=80,
    )
)
def test_any_input_has_a_verdict(samples):
    """Times that stand still or run backwards, sizes that are negative or huge."""
    detector, t = GrowthDetector(3), 0.0
    for step, rss, repeats in samples:
        t += step
        detector.add(t, rss)
        detector.repeat(repeats, t + repeats)
        verdict = detector.verdict()
        assert verdict["kind"] in WORDS
        assert verdict["growing"] == (verdict["kind"] == "leak-like")
        assert (verdict["since_s"] is not None) == verdict["growing"]
        assert 0 <= verdict["confidence"] <= 1
        for value in (verdict["slope_mib_h"], verdict["grown_mib"]):
            assert value is None or math.isfinite(value)


# -- cost ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 2, 5, 10, 64, 1000, 4096])
def test_the_work_of_many_is_spread_over_the_ticks(stride):
    """5,000 detectors: no tick judges more than twice as many levels as the mean one."""
    judged = [0]

    class Counting(GrowthDetector):
        __slots__ = ()

        def _judge(self, level):
            judged[0] += 1

    crowd = [Counting(300 + stride * i) for i in range(5000)]
    ticks = []
    for tick in range(40):
        before = judged[0]
        for detector in crowd:
            detector.add(float(tick), 50 * MIB)
        ticks.append(judged[0] - before)
    assert max(ticks) <= 2 * sum(ticks) / len(ticks)


def test_a_rare_level_is_spread_too():
    """What comes once in 10,240 samples does not come to all at once."""
    every = 1 << LEVELS - 1
    counts = [GrowthDetector(pid)._count % every for pid in range(5000)]
    assert max(counts.count(one) for one in set(counts)) <= 8


def test_bytes_of_a_process():
    """A young one is small, and a day at one sample a second costs less than 2 KB."""

    def held(samples, detectors=5):
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        kept = [GrowthDetector(4711 + i) for i in range(detectors)]
        for detector in kept:
            for i in range(samples):
                detector.add(float(i), (100 << 20) + min(i, 2000) * 4096)
                detector.verdict()
            detector.repeat(86400 if samples > 1000 else 0, samples + 86400.0)
            detector.verdict()
        after = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return (after - before) / detectors

    held(2000)  # what the interpreter allocates once
    assert held(30) < 900
    assert held(2000) < 2000


def test_a_verdict_is_kept_while_nothing_changed():
    """Between two floors it is the same object, and it also reads like a mapping."""
    detector = GrowthDetector()
    verdict = detector.verdict()
    for i in range(64):
        detector.add(float(i), 100 * MIB + i * MIB)
        before, verdict = verdict, detector.verdict()
        assert verdict is before or i % SAMPLES == SAMPLES - 1
    assert dict(verdict)["kind"] == verdict.get("kind") == verdict.kind == "leak-like"
    assert verdict.get("nothing", 1) == 1
    with pytest.raises(KeyError):
        verdict["nothing"]


# -- windows --------------------------------------------------------------------------------------

MIBS = 1024


def test_an_even_climb():
    """A line: as many equal steps as it has, at its rate."""
    climb = climb_of([MIBS * i for i in range(16)], 5)
    assert climb.floors == 16 and climb.start == 0
    assert climb.rate == pytest.approx(MIBS) and climb.spread == pytest.approx(15)


def test_a_climb_begins_after_a_jump():
    """What jumped before is no part of it."""
    climb = climb_of([0] * 4 + [90 * MIBS + MIBS * i for i in range(12)], 5)
    assert climb.start == 4 and climb.rate == pytest.approx(MIBS)


@pytest.mark.parametrize(
    "window",
    [
        [MIBS * 50] * 16,
        [0] * 8 + [MIBS * 50] * 8,
        [MIBS * 50 * (1 - math.exp(-i / 4)) // 1 for i in range(16)],
        [MIBS * (i % 8) for i in range(16)],
        [MIBS * -i for i in range(16)],
        [MIBS * i for i in range(10)] + [MIBS * 9] * 6,
        [i * 20 for i in range(16)],
    ],
    ids="flat jump bending teeth falling ended tiny".split(),
)
def test_no_climb(window):
    """What is flat, jumps, bends over, comes and goes, falls, has ended or is tiny."""
    assert climb_of([int(kib) for kib in window], 8) is None


def test_measures_of_a_window():
    """Deepest fall, rates with and without jumps, slopes of pairs."""
    window = [0, 10, 20, 15, 40, 50, 160, 170]
    assert deepest_fall(window) == 5
    assert rate_of([0, 0, 10, 20, 30, 30]) == pytest.approx(30 / 4)
    assert pace(window) == pytest.approx((170 - 110 - 25) / 5)
    assert slopes_of([0, 2, 4, 6]) == [2.0] * 3


def test_shapes_without_growth():
    """A window that begins with a life forgets its beginning."""
    assert shape_of([0, *[50 * MIBS] * 15], True) == "steady"
    assert shape_of([0, *[50 * MIBS] * 15], False) == "warm-up"
