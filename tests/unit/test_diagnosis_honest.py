"""Where the evidence does not reach, the diagnosis says so, and what would tell more."""

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent))

from evidences import (
    MADE,
    MIB,
    NOW,
    PID,
    SEEN,
    WORKER,
    evidence,
    flat,
    many,
    mib,
    subject,
    types,
    watch,
)

from memtop.diagnosis.diagnosis import diagnose
from memtop.diagnosis.evidence import (
    Crowd,
    Done,
    Evidence,
    Holder,
    Kind,
    Memory,
    Room,
    Subject,
    Types,
    Watch,
)
from memtop.diagnosis.finding import CAUSES, Lack
from memtop.diagnosis.report import findings_json

NO_RIGHTS = Lack(
    "what its memory is made of",
    "reading /proc/4711/maps needs CAP_SYS_PTRACE",
    "a",
    "sudo memtop diagnose 4711",
)


def first_of(found):
    return diagnose(found)[0]


def whats(finding):
    return [one.what for one in finding.missing]


def test_nothing_known_is_unknown():
    """A process of which only the PID is known."""
    one = first_of(Evidence(NOW, Subject(PID, "python")))
    assert one.cause == "unknown"
    assert one.headline == "nothing is known about python 4711 yet"
    assert whats(one) == ["how RSS moves", "what its memory is made of"]
    assert one.missing[1].key == "a"


def test_without_rights_the_growth_is_told_and_the_right_is_named():
    """RSS is known of every process; what it is made of takes a right, which comes first."""
    one = first_of(evidence(watch=watch(30, 60.0, trend="rising"), lacks=(NO_RIGHTS,)))
    assert one.cause == "unknown"
    assert one.headline == (
        "main process 4711 grows 30.0 MiB/min, and what it is made of is not known"
    )
    assert one.missing == (NO_RIGHTS,)
    assert one.next_step == "what its memory is made of: sudo memtop diagnose 4711"


def test_without_rights_what_is_outside_is_told():
    """Steady, warm-up, many processes and the like need no look."""
    for name in ("many processes", "warm-up", "sawtooth", "steady", "segments that nobody holds"):
        seen = (SEEN | MADE)[name]
        blind = replace(seen, first=None, last=None, first_types=None, last_types=None)
        assert first_of(replace(blind, lacks=(NO_RIGHTS,))).cause == first_of(seen).cause


def test_heaps_that_could_not_be_read_are_no_cause():
    """With smaps but without memory (Yama) malloc's part is one piece."""
    blind = evidence(
        {"foreign": 20.0, "objects": 0, "in_use": 0, "big": 0},
        {"foreign": 60.0, "objects": 0, "in_use": 0, "big": 0},
        settings={"arenas": 0, "allocator": None, "trim_would_return_bytes": None},
        subject=subject(python=None),
        lacks=(NO_RIGHTS,),
    )
    one = first_of(blind)
    assert one.cause == "unknown"
    assert one.headline.endswith("and what it is made of is not known")
    assert any("could not be looked into" in reason for reason in one.supporting)


def test_watched_for_a_moment_only():
    """A rise within three seconds may be one request."""
    short = evidence(
        {"in_use": 10.0},
        {"in_use": 14.0},
        apart=3.0,
        counts=many(bytes=((900, 9.0), (4000, 13.0))),
    )
    long = evidence(
        {"in_use": 10.0}, {"in_use": 14.0}, counts=many(bytes=((900, 9.0), (4000, 13.0)))
    )
    assert first_of(short).confidence < 0.6 < first_of(long).confidence
    assert any("3.0 s apart" in one for one in first_of(short).against)
    assert "how it goes on" in whats(first_of(short))


def test_a_change_within_the_noise_is_no_cause():
    """0.3 MiB of a process of 60 MiB, though all of it is objects."""
    found = evidence(
        {"in_use": 40.0}, {"in_use": 40.3}, counts=many(bytes=((900, 39.0), (950, 39.3)))
    )
    assert [one.cause for one in diagnose(found)] == ["steady"]


def test_a_slow_leak_that_the_tracker_knows_is_told():
    """The same little, within a rise of hours."""
    found = evidence(
        {"in_use": 40.0},
        {"in_use": 41.3},
        counts=many(bytes=((900, 39.0), (950, 40.3))),
        watch=watch(26, 600.0, trend="leak-like", since_s=7200.0, slope_bytes_s=26 * MIB / 600),
    )
    one = first_of(found)
    assert one.cause == "python_objects"
    assert "grows 2.6 MiB/min" in one.headline
    assert "RSS moved by +26 MiB in 10 m, leak-like for 2 h." in one.supporting


def test_objects_that_were_not_counted():
    """Without a census nobody knows whose malloc's memory in use is."""
    one = first_of(evidence({"in_use": 10.0}, {"in_use": 50.0}))
    assert one.cause == "unknown"
    assert "40 MiB blocks in use whose owner was not counted" in one.headline
    assert [(lack.what, lack.key) for lack in one.missing] == [("which objects grow", "o")]


def test_small_objects_need_no_count():
    """Python's own pools are told by the parts alone, with a lower confidence or a reason."""
    one = first_of(evidence({"objects": 10.0}, {"objects": 50.0}))
    assert one.cause == "python_objects"
    assert any("not counted at both looks" in reason for reason in one.against)


def test_a_sampled_count_may_be_off_by_more_than_came():
    """The error of both counts against the rise."""
    sure = SEEN["objects"]
    unsure = replace(
        sure,
        first_types=replace(sure.first_types, error=0.3, bytes=mib(60)),
        last_types=replace(sure.last_types, error=0.3, bytes=mib(74)),
    )
    assert first_of(unsure).confidence < 0.6 * first_of(sure).confidence + 0.1
    reasons = [reason for one in diagnose(unsure) for reason in one.against]
    assert any("the count was sampled" in reason.lower() for reason in reasons)


def test_counts_that_contradict_the_parts():
    """17 MiB more in use, and neither objects nor native memory are said to have grown."""
    found = evidence({"in_use": 7.2}, {"in_use": 24.3}, counts=flat())
    one = first_of(found)
    assert one.cause == "unknown"
    assert any("differ by 17 MiB" in reason for reason in one.against)


def test_a_rise_that_the_floor_did_not_see():
    """The last look met a peak: the watch says that it comes and goes."""
    found = evidence(
        {"in_use": 10.0},
        {"in_use": 50.0},
        counts=many(bytes=((900, 9.0), (2000, 49.0))),
        watch=watch(0.5, falls=3, rises=3, peak_bytes=55, floor_bytes=14, largest_fall_bytes=40),
    )
    named = diagnose(found)
    assert named[0].cause == "sawtooth"
    assert all(one.confidence < 0.3 for one in named if one.cause == "python_objects")


def test_a_look_in_which_malloc_could_not_be_followed():
    """A tenth of the blocks made no sense."""
    seen = SEEN["fragment"]
    torn = replace(seen, last=replace(seen.last, confidence=0.6))
    assert first_of(torn).confidence <= 0.6
    assert any("40 % of malloc's memory" in reason for reason in first_of(torn).against)


def test_a_stopped_process_is_not_steady():
    """It cannot grow: that it does not says nothing."""
    found = replace(MADE["steady"], subject=subject(stopped=True))
    one = first_of(found)
    assert one.cause == "unknown"
    assert one.headline == "main process 4711 is stopped: that it does not grow now says nothing"
    assert "kill -CONT 4711" in one.next_step


def test_a_stopped_process_still_holds_what_it_holds():
    """What its memory is made of does not need it to run; nothing is done to it."""
    held = {"trimmable": 300.0}
    one = first_of(evidence(held, held, counts=flat(), subject=subject(stopped=True)))
    assert one.cause == "arena_retention"
    assert "which is stopped" in one.headline
    assert "memtop trim" not in one.next_step
    assert any("is stopped" in remark for remark in one.remarks)


def test_a_process_that_has_ended():
    """Nothing more can be learned; what was found before is still told."""
    nothing = Evidence(NOW, subject(ended=True))
    one = first_of(nothing)
    assert (one.cause, one.missing) == ("unknown", ())
    assert "has ended" in one.headline and "about its parent" in one.next_step
    after = first_of(replace(SEEN["objects"], subject=subject(ended=True)))
    assert after.cause == "python_objects"
    assert any("has ended since" in remark for remark in after.remarks)


def test_jemalloc_is_not_looked_into():
    """Its blocks are not read, and objects above 512 bytes not seen: the interpreter may tell."""
    found = evidence(
        {"foreign": 20.0, "in_use": 0, "big": 0},
        {"foreign": 60.0, "in_use": 0, "big": 0},
        settings={
            "allocator": "jemalloc",
            "provider": "libjemalloc.so.2",
            "arenas": 0,
            "trim_would_return_bytes": None,
        },
        counts=many(native=(None, None), str=((9000, 3.0), (9020, 3.1))),
    )
    one = first_of(found)
    assert one.cause == "unknown"
    assert "40 MiB memory of jemalloc, whose blocks are not read" in one.headline
    assert [lack.key for lack in one.missing] == ["S"]


def test_objects_under_jemalloc_that_the_interpreter_counted():
    """Two snapshots account for the rise."""
    counts = [
        types(at, source="snapshot", native=None, str=(count, size))
        for at, count, size in ((NOW - 30, 9000, 23.0), (NOW, 70000, 62.0))
    ]
    found = evidence(
        {"foreign": 20.0, "in_use": 0, "big": 0},
        {"foreign": 60.0, "in_use": 0, "big": 0},
        settings={"allocator": "jemalloc", "arenas": 0},
        first_types=counts[0],
        last_types=counts[1],
    )
    one = first_of(found)
    assert (one.cause, one.type) == ("python_objects", "str")


def test_musl_says_that_less_is_known():
    """The same with musl, which has no trim."""
    found = evidence(
        {"foreign": 20.0, "in_use": 0, "big": 0},
        {"foreign": 60.0, "in_use": 0, "big": 0},
        settings={"allocator": "musl", "arenas": 0, "trim_would_return_bytes": None},
        counts=many(native=(None, None), str=((9000, 3.0), (9020, 3.1))),
    )
    one = first_of(found)
    assert one.cause == "unknown"
    assert any("no malloc_trim in musl" in remark for remark in one.remarks)


def test_a_shrinking_process_does_not_grow():
    """Steady, said with its sign."""
    found = evidence(
        {"in_use": 50.0}, {"in_use": 10.0}, counts=many(bytes=((900, 49.0), (90, 9.0)))
    )
    one = first_of(replace(found, watch=watch(-40, 60.0, trend="shrinking")))
    assert one.cause == "steady"
    assert one.headline.startswith("main process 4711 shrinks: −40 MiB in 1 m")


def test_mixed_growth_is_not_forced_into_a_cause():
    """A third objects, a third native, a third files: it says what came, and no cause."""
    found = evidence(
        {"in_use": 10.0, "objects": 5.0, "files": 8.0, "other": 1.0},
        {"in_use": 20.0, "objects": 15.0, "files": 18.0, "other": 11.0},
        counts=many(native=(2.0, 12.0), str=((900, 13.0), (9000, 23.0))),
    )
    one = first_of(found)
    assert one.cause == "unknown"
    assert "no cause is sure" in one.headline and "10 MiB" in one.headline


def test_swapped_memory_is_mentioned():
    """What is swapped out was not looked at."""
    seen = SEEN["objects"]
    found = replace(seen, last=replace(seen.last, swapped_bytes=200 * MIB))
    assert any("200 MiB more are swapped out" in one for one in first_of(found).remarks)


def test_words_for_confidence_follow_the_share():
    """The findings that are shown say how sure they are in words."""
    words = {one.word for seen in (SEEN | MADE).values() for one in diagnose(seen)}
    assert words >= {"almost sure", "likely", "possible", "unlikely"}


NEW = {"uptime_s": 35.0}
STRAIGHT = {"quarters": (0.25, 0.25, 0.25, 0.25), "still_s": 0.0, "pause_s": 1.0}


@pytest.mark.parametrize(
    ("seconds", "least", "most"), [(10.0, 0.45, 0.6), (30.0, 0.6, 0.72), (60.0, 0.7, 0.8)]
)
def test_a_new_process_may_fill_a_cache(seconds, least, most):
    """A straight rise soon after the start is hedged, the shorter the more, and says why."""
    counts = many(bytes=((900, 9.0), (4000, 9.0 + seconds / 2)))
    found = {
        uptime: first_of(
            evidence(
                {"in_use": 10.0},
                {"in_use": 10.0 + seconds / 2},
                apart=seconds,
                counts=counts,
                subject=subject(uptime_s=uptime),
                watch=watch(seconds / 2, seconds, **STRAIGHT),
            )
        )
        for uptime in (35.0, 5000.0)
    }
    new, old = found[35.0], found[5000.0]
    assert new.cause == old.cause == "python_objects"
    assert least <= new.confidence < most
    assert new.confidence < old.confidence
    assert any("It was started 35 s ago" in one for one in new.against)
    assert not any("It was started" in one for one in old.against)
    if seconds >= 20:
        assert "whether it ends" in whats(new)


@pytest.mark.parametrize(
    "bend",
    [
        {"quarters": (0.33, 0.13, 0.41, 0.13), "recent_share": 0.1},  # tables that double
        {"quarters": (0.4, 0.4, 0.1, 0.1), "recent_share": 0.1, "largest_step_bytes": 6,
         "still_s": 8.0, "pause_s": 10.0},  # one more step may be due
        {"quarters": (0.25, 0.25, 0.25, 0.25), "recent_share": 0.1},
    ],
)  # fmt: skip
def test_a_rise_that_is_uneven_is_no_warm_up(bend):
    """A leak that stands still for a moment; the same with a real bend is a warm-up."""
    leak = evidence(
        {"in_use": 10.0},
        {"in_use": 30.0},
        counts=many(bytes=((900, 9.0), (9000, 29.0))),
        subject=subject(**NEW),
        watch=watch(20.0, 30.0, **bend),
    )
    real = watch(20.0, 30.0, quarters=(0.55, 0.27, 0.12, 0.06), recent_share=0.06)
    assert first_of(leak).cause == "python_objects"
    assert first_of(replace(leak, watch=real)).cause == "warm_up"
    assert first_of(replace(leak, watch=real)).word != "almost sure"


@pytest.mark.parametrize(("share", "cause"), [(0.05, "warm_up"), (0.52, "python_objects")])
def test_a_trend_that_the_end_contradicts(share, cause):
    """Stairs that double were called a warm-up while the last one brought half of all: they are
    none."""
    stairs = evidence(
        {"big": 12.0},
        {"big": 371.0},
        counts=many(numpy_dot_ndarray=((21, 12.0), (621, 371.0))),
        subject=subject(**NEW),
        watch=watch(359.0, 247.0, trend="warm-up", recent_share=share, largest_step_bytes=185),
    )
    assert first_of(stairs).cause == cause
    words = first_of(stairs).headline
    assert ("grown in steps, by 359 MiB in 4 m" in words) == (cause == "python_objects")


def test_a_warm_up_that_is_fast_at_first():
    """Steps that get smaller and rarer are those of a cache that fills, as one was watched."""
    found = evidence(
        {"in_use": 44.0},
        {"in_use": 70.0},
        counts=many(bytes=((11000, 43.0), (17871, 69.0))),
        subject=subject(**NEW),
        watch=watch(
            33.0,
            30.0,
            recent_share=0.013,
            largest_step_bytes=4.84,
            quarters=(0.81, 0.15, 0.04, 0.01),
            still_s=6.0,
            pause_s=10.5,
        ),
    )
    assert first_of(found).cause == "warm_up"


def test_a_rise_that_is_over_is_not_said_to_go_on():
    """No rate is named, and what came early is less sure."""
    early = watch(40.0, 30.0, quarters=(1.0, 0, 0, 0), still_s=25.0, pause_s=0.5)
    one = first_of(replace(SEEN["native"], watch=early))
    assert "grew by 40 MiB, and has not for 25 s" in one.headline
    assert "MiB/min" not in one.headline
    assert one.confidence < first_of(SEEN["native"]).confidence


def test_what_was_not_measured_is_not_denied():
    """Under jemalloc nobody knows whether it is native; of no Python nobody suspects objects."""
    unread = evidence(
        {"foreign": 20.0, "in_use": 0, "big": 0},
        {"foreign": 60.0, "in_use": 0, "big": 0},
        settings={"allocator": "jemalloc", "arenas": 0, "trim_would_return_bytes": None},
        counts=many(native=(None, None), str=((9000, 3.0), (9020, 3.1))),
    )
    other = evidence(
        {"in_use": 10.0, "objects": 0},
        {"in_use": 40.0, "objects": 0},
        subject=subject("other", name="convert", python=None),
    )
    assert [one.cause for one in diagnose(unread)] == ["unknown"]
    assert "python_objects" not in [one.cause for one in diagnose(other)]
    assert first_of(other).cause == "native"


def test_a_denial_names_a_share_that_is_not_little():
    """A fifth is less likely, and not hardly anything."""
    found = evidence(
        {"in_use": 10.0, "objects": 5.0},
        {"in_use": 22.0, "objects": 45.0},
        counts=many(native=(0.4, 12.4), int=((900, 13.0), (900000, 53.0))),
    )
    native = next(one for one in diagnose(found) if one.cause == "native")
    assert native.headline == "native code: 23 % of the 52 MiB that came"


def test_unknown_is_never_almost_sure():
    """The word of a cause that nobody knows."""
    assert {one.word for one in diagnose(Evidence(NOW, Subject(PID, "python")))} == {"not sure"}


def test_one_that_grew_and_ended():
    """What was seen of it is said first."""
    found = Evidence(NOW, subject(ended=True), watch(94.0, 11.0))
    one = first_of(found)
    assert one.cause == "unknown"
    assert (
        one.headline == "main process 4711 grew by 94 MiB in 11 s and has ended: no cause is sure"
    )


def test_steady_is_not_sure_of_slow_leaks():
    """Half a MiB within a minute may be a leak; five minutes tell more."""
    minute = first_of(replace(MADE["steady"], watch=watch(0.5, 60.0, trend="steady")))
    assert minute.cause == "steady" and minute.word == "likely"
    assert "hardly grows: +0.5 MiB in 1 m" in minute.headline
    assert any("+0.5 MiB may be one" in one for one in minute.against)
    longer = first_of(replace(MADE["steady"], watch=watch(0.1, 300.0, trend="steady")))
    assert longer.word == "almost sure"


def test_what_goes_up_and_down_is_told_by_what_it_holds():
    """The looks met two moments of a sawtooth: their difference is no rise."""
    seen = SEEN["retention in arenas"]
    one = first_of(replace(seen, watch=replace(seen.watch, trend="sawtooth")))
    assert one.cause == "arena_retention"
    assert one.headline == (
        "worker 4711 goes up and down: 268 of 292 MiB are freed memory that malloc keeps in 13"
        " malloc arenas; malloc_trim would return 8.7 MiB"
    )


# -- any evidence gives an answer

SIZE = st.one_of(st.integers(0, 1 << 44), st.sampled_from([0, 1, 4096, MIB, 60 * MIB, 4 << 30]))
CHANGE = st.one_of(st.integers(-(1 << 42), 1 << 42), st.sampled_from([0, -1, MIB, -MIB]))
FLOAT = st.one_of(st.floats(-1e9, 1e13), st.sampled_from([0.0, -0.0, math.nan, math.inf]))
SECONDS = st.one_of(st.floats(0, 1e7), st.sampled_from([0.0, math.nan, math.inf]))
SHARE = st.floats(0, 1)
AT = st.floats(NOW - 1e6, NOW)
COUNT = st.integers(0, 1 << 20)
NAME = st.sampled_from(["bytes", "dict", "shop.Job", "numpy.ndarray", "str", "\x1b[31m", ""])
PARTS = st.dictionaries(
    st.sampled_from(
        "python_objects pymalloc_free malloc_in_use malloc_trapped malloc_trimmable malloc_top "
        "big_blocks thread_stacks main_stack files shared huge_page_bloat allocator_other other "
        "tomorrow".split()
    ),
    SIZE,
)


def maybe(strategy):
    return st.none() | strategy


TRENDS = st.sampled_from(
    "leak-like rising steps warm-up sawtooth steady shrinking new else".split()
)
SUBJECTS = st.builds(
    Subject,
    pid=st.integers(1, 1 << 22),
    name=NAME,
    role=maybe(st.sampled_from("main worker forkserver tracker helper other".split())),
    framework=maybe(st.sampled_from("multiprocessing gunicorn celery uvicorn uwsgi x".split())),
    python=maybe(st.sampled_from(["3.8.20", "3.14.0", "3.11.7", "", "next"])),
    command=maybe(st.sampled_from([WORKER.command, "gunicorn -w 2 --max-requests 5 a:b", ""])),
    parent_command=maybe(st.sampled_from(["celery -A shop worker", "livekit", ""])),
    uptime_s=maybe(SECONDS),
    threads=maybe(COUNT),
    first_threads=maybe(COUNT),
    forked=st.booleans(),
    stopped=st.booleans(),
    ended=st.booleans(),
    rss_bytes=maybe(SIZE),
)
WATCHES = st.builds(
    Watch,
    since_at=AT,
    seconds=SECONDS,
    rss_bytes=SIZE,
    change_bytes=CHANGE,
    rate_bytes_s=maybe(FLOAT),
    trend=TRENDS,
    since_s=maybe(st.floats(0, 1e7)),
    slope_bytes_s=maybe(FLOAT),
    peak_bytes=maybe(SIZE),
    floor_bytes=maybe(SIZE),
    rises=st.integers(0, 9),
    falls=st.integers(0, 9),
    recent_share=maybe(FLOAT),
    largest_step_bytes=maybe(SIZE),
    largest_fall_bytes=maybe(SIZE),
    quarters=st.one_of(st.just(()), st.tuples(*[st.floats(-9, 9)] * 4)),
    still_s=maybe(SECONDS),
    pause_s=maybe(SECONDS),
    floor_rise_bytes=maybe(CHANGE),
)
MEMORIES = st.builds(
    Memory,
    taken_at=AT,
    rss_bytes=SIZE,
    explained_bytes=SIZE,
    parts=PARTS,
    shared=PARTS,
    confidence=SHARE,
    arenas=st.integers(0, 200),
    allocator=maybe(st.sampled_from(["glibc 2.36", "glibc", "jemalloc", "musl", "tcmalloc"])),
    arena_max=maybe(st.integers(0, 9)),
    mmap_threshold_bytes=maybe(SIZE),
    threshold_is_fixed=maybe(st.booleans()),
    trim_would_return_bytes=maybe(SIZE),
    big_blocks=maybe(COUNT),
    swapped_bytes=SIZE,
    shmem_bytes=maybe(SIZE),
)
HOLDERS = st.lists(st.builds(Holder, NAME, st.just("dict"), COUNT, maybe(SIZE)), max_size=3)
TYPES = st.builds(
    Types,
    taken_at=AT,
    source=st.sampled_from(["census", "snapshot"]),
    kinds=st.lists(st.builds(Kind, NAME, COUNT, SIZE), max_size=4).map(tuple),
    bytes=SIZE,
    error=st.floats(0, 2),
    native_bytes=maybe(SIZE),
    big_blocks=HOLDERS.map(tuple),
    containers=HOLDERS.map(tuple),
    tasks=maybe(COUNT),
)
CROWDS = st.builds(
    Crowd,
    label=NAME,
    role=st.just("worker"),
    parent_pid=st.integers(1, 99),
    processes=st.integers(0, 5000),
    finding=st.sampled_from("one-grows many-grow many-processes steady".split()),
    rss_bytes=SIZE,
    average_bytes=SIZE,
    largest_bytes=SIZE,
    births=COUNT,
    deaths=COUNT,
    growing=st.integers(0, 9),
    change_bytes=CHANGE,
    born_bytes=SIZE,
    died_bytes=CHANGE,
    grown_bytes=CHANGE,
    pss_bytes=maybe(SIZE),
    comes_and_goes=st.booleans(),
)
ROOMS = st.builds(
    Room,
    path=st.just("/shop"),
    seconds=st.floats(0, 1e6),
    limit_bytes=maybe(SIZE),
    current_change_bytes=maybe(CHANGE),
    anon_change_bytes=maybe(CHANGE),
    file_change_bytes=maybe(CHANGE),
    shmem_change_bytes=maybe(CHANGE),
    shm_bytes=maybe(SIZE),
    shm_change_bytes=maybe(CHANGE),
    eta_s=maybe(SECONDS),
    oom_kills=maybe(COUNT),
    oom_kills_seen=st.integers(0, 9),
    children=maybe(COUNT),
    fits_more=maybe(COUNT),
    fits_total=maybe(COUNT),
    taken_bytes=maybe(SIZE),
    worst_child_bytes=maybe(SIZE),
    worst_child_from=maybe(st.sampled_from(["RLIMIT_AS", "peak"])),
    capacity_warns=st.booleans(),
)
EVIDENCES = st.builds(
    Evidence,
    now=AT,
    subject=SUBJECTS,
    watch=maybe(WATCHES),
    first=maybe(MEMORIES),
    last=maybe(MEMORIES),
    first_types=maybe(TYPES),
    last_types=maybe(TYPES),
    done=st.lists(
        st.builds(Done, st.sampled_from(["trim", "gc"]), AT, CHANGE, maybe(COUNT)), max_size=2
    ).map(tuple),
    crowd=maybe(CROWDS),
    room=maybe(ROOMS),
    tree_processes=st.integers(1, 5000),
    lacks=st.lists(st.just(NO_RIGHTS), max_size=1).map(tuple),
)


def texts_of(finding):
    yield from (finding.headline, finding.next_step)
    yield from (*finding.supporting, *finding.against, *finding.remarks)
    for lack in finding.missing:
        yield from (lack.what, lack.reason, lack.command or "")


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(EVIDENCES)
def test_any_evidence_gives_an_honest_answer(found):
    """At least one finding, in order, each cause once, and no word that nobody measured."""
    findings = diagnose(found)
    assert findings
    assert len({one.cause for one in findings}) == len(findings)
    order = [one.confidence for one in findings]
    assert order == sorted(order, reverse=True)
    assert all(0.0 <= one <= 1.0 for one in order)
    first = findings[0]
    assert first.headline and first.next_step
    assert first.cause == "unknown" or first.confidence >= 0.45
    for one in findings:
        assert one.cause in CAUSES
        for text in texts_of(one):
            for bad in ("None", "nan", "inf ", "-0", "−0.0 ", "  "):
                assert bad not in text, text
            assert not text.endswith(".."), text
    assert findings_json(findings)[0]["cause"] == first.cause


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(SEEN | MADE)), st.floats(0.5, 40))
def test_the_cause_does_not_depend_on_the_scale(name, factor):
    """The same process, larger: the same cause, unless it is too small to be told."""
    found = (SEEN | MADE)[name]

    def scaled(memory_):
        parts = {part: round(size * factor) for part, size in memory_.parts.items()}
        return replace(
            memory_,
            rss_bytes=sum(parts.values()),
            explained_bytes=sum(parts.values()) - parts.get("other", 0),
            parts=parts,
        )

    def counted(types_):
        if types_ is None:
            return None
        kinds = tuple(replace(one, bytes=round(one.bytes * factor)) for one in types_.kinds)
        native = None if types_.native_bytes is None else round(types_.native_bytes * factor)
        return replace(
            types_, kinds=kinds, bytes=sum(one.bytes for one in kinds), native_bytes=native
        )

    larger = replace(
        found,
        first=scaled(found.first),
        last=scaled(found.last),
        first_types=counted(found.first_types),
        last_types=counted(found.last_types),
        watch=replace(
            found.watch,
            rss_bytes=round(found.watch.rss_bytes * factor),
            change_bytes=round(found.watch.change_bytes * factor),
            **{
                field: round(getattr(found.watch, field) * factor)
                for field in (
                    "peak_bytes",
                    "floor_bytes",
                    "largest_step_bytes",
                    "largest_fall_bytes",
                    "floor_rise_bytes",
                )
            },
        ),
    )
    around = ("many_processes", "capacity", "page_cache", "shared_memory", "copy_on_write")
    expected, cause = diagnose(found)[0].cause, diagnose(larger)[0].cause
    if factor >= 1.0 and expected not in around:
        assert cause == expected
    assert math.isfinite(diagnose(larger)[0].confidence)


@pytest.mark.parametrize("name", sorted(SEEN | MADE))
def test_sentences_are_for_a_tired_reader(name):
    """Whole sentences, none said twice, none longer than a few lines."""
    for one in diagnose((SEEN | MADE)[name]):
        sentences = [*one.supporting, *one.against, *one.remarks]
        assert len(set(sentences)) == len(sentences)
        for text in sentences:
            assert text.endswith(".") and not text[0].isspace()
            assert len(text) < 330
        assert len(one.headline) < 240 and not one.headline.endswith(".")
