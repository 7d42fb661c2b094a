"""Which cause comes first, at the figures of real processes, and what is said of it."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))


from evidences import (
    MADE,
    MIB,
    NOW,
    PID,
    SEEN,
    WORKER,
    crowd,
    evidence,
    flat,
    many,
    memory,
    mib,
    room,
    subject,
    types,
    watch,
)

from memtop.diagnosis.diagnosis import diagnose
from memtop.diagnosis.evidence import Done, Holder
from memtop.diagnosis.finding import CAUSES
from memtop.diagnosis.report import findings_json
from memtop.diagnosis.rules import RULES

FIRST = {
    "fragment": ("arena_fragmentation", None),
    "fragment later": ("arena_fragmentation", None),
    "objects": ("python_objects", "bytes"),
    "objects amid churn of 8 threads": ("python_objects", "bytes"),
    "arrays": ("python_objects", "numpy.ndarray"),
    "native": ("native", None),
    "native in mappings": ("native", None),
    "retention in the heap": ("arena_retention", None),
    "retention in arenas": ("arena_retention", None),
    "warm-up": ("warm_up", "bytes"),
    "sawtooth": ("sawtooth", None),
    "mapped files": ("page_cache", None),
    "held segments": ("shared_memory", None),
    "segments that nobody holds": ("shared_memory", None),
    "threads": ("thread_stacks", None),
    "huge pages": ("huge_pages", None),
    "forked": ("copy_on_write", None),
    "many processes": ("many_processes", None),
    "a table that doubles": ("python_objects", "dict"),
    "garbage in kept pages": ("arena_retention", None),
    "free blocks in pools": ("pymalloc_fragmentation", None),
    "free blocks that stay": ("pymalloc_fragmentation", None),
    "unknown blocks": ("big_blocks", None),
    "one that fits": ("capacity", None),
    "cache of the cgroup": ("page_cache", None),
    "steady": ("steady", None),
    "the incident": ("arena_fragmentation", None),
}
ALL = {**SEEN, **MADE}


def _lowered(sentences):
    return [one[0].lower() + one[1:] for one in sentences]


def causes(found):
    return [one.cause for one in diagnose(found)]


def confidence(found, cause):
    return next((one.confidence for one in diagnose(found) if one.cause == cause), 0.0)


@pytest.mark.parametrize("name", FIRST)
def test_the_cause_comes_first(name):
    """The right one of each kind, more than possible, and whose memory it is."""
    first = diagnose(ALL[name])[0]
    assert (first.cause, first.type) == FIRST[name]
    assert first.confidence >= 0.6
    assert first.pid == PID
    assert first.next_step and first.supporting


def test_every_case_and_every_cause_is_tried():
    """The table of cases has each of the evidence, and each cause but `unknown` comes first."""
    assert set(FIRST) == set(ALL)
    assert {cause for cause, _ in FIRST.values()} == set(CAUSES) - {"unknown"}


def test_every_rule_speaks_somewhere():
    """No row of the table is dead."""
    from memtop.diagnosis.figures import Figures

    in_steps = replace(SEEN["arrays"], watch=watch(0, 60.0, trend="steps"))
    stacks = evidence({"stacks": 60.0}, {"stacks": 60.0}, counts=flat())
    unnamed = evidence({"other": 1.0}, {"other": 40.0}, counts=flat())
    holes = evidence({"trapped": 60.0}, {"trapped": 60.0}, counts=flat())
    zeros = evidence({"bloat": 60.0}, {"bloat": 60.0}, counts=flat())
    cases = [Figures(one) for one in (*ALL.values(), in_steps, stacks, unnamed, holes, zeros)]
    silent = [rule.id for rule in RULES if not any(rule.weigh(one) > 0.3 for one in cases)]
    assert silent == []


HEADLINES = {
    "the incident": (
        "worker 4711 grows 6.1 MiB/min: 50 of 60 MiB are freed memory in 13 malloc arenas in holes"
        " below a page; malloc_trim would return 6.0 MiB; objects are flat"
    ),
    "objects": (
        "main process 4711 grows 33.6 MiB/min: all 17 MiB are Python objects in use; mostly bytes"
        " +15,184 (+14 MiB); hardly anything of it is free"
    ),
    "arrays": (
        "main process 4711 grows 41.0 MiB/min: all 42 MiB are Python objects in use in big mmapped"
        " blocks; mostly numpy.ndarray +48 (+42 MiB); hardly anything of it is free"
    ),
    "native": (
        "main process 4711 grows 34.2 MiB/min: all 17 MiB are malloc'ed by native code and in use;"
        " objects are flat"
    ),
    "retention in the heap": (
        "worker 4711 holds 67 MiB: 43 of 67 MiB are freed memory that malloc keeps in one malloc"
        " arena; malloc_trim would return 43 MiB; objects grew by 2.1 MiB"
    ),
    "many processes": (
        "40 processes below 4711 hold 620 MiB, each ≈ 16 MiB, and none grows: 40 new ones brought"
        " 620 MiB"
    ),
    "one that fits": (
        "one child of up to 512 MiB fits beside the 80 MiB of the others: one more would need"
        " 1.08 GiB of 704 MiB, an OOM kill"
    ),
    "segments that nobody holds": (
        "/dev/shm grew by 25 MiB in 30 s, while main process 4711 itself does not grow: it stays"
        " until it is unlinked"
    ),
    "garbage in kept pages": (
        "main process 4711 grew by 42 MiB, and has not for 26 s: all 31 MiB are freed memory that"
        " malloc keeps in one malloc arena; malloc_trim would return 45 MiB; objects shrank by"
        " 14 MiB"
    ),
    "threads": (
        "main process 4711 grows 13.6 MiB/min: 5.0 of 6.8 MiB are stacks of 556 threads, 409 of"
        " them new"
    ),
    "forked": (
        "worker 4711 stays at 60 MiB, but 29 MiB that it shared with its parent became its own"
    ),
    "warm-up": (
        "main process 4711 warms up: +35 MiB in 26 s, mostly bytes, and the rise slows down"
    ),
    "sawtooth": (
        "main process 4711 goes up and down between 17 MiB and 42 MiB, 2 times in 18 s: what it"
        " takes comes back"
    ),
    "steady": "main process 4711 does not grow: +0.1 MiB in 1 m, at 60 MiB",
}


@pytest.mark.parametrize("name", HEADLINES)
def test_the_headline_proves_the_cause(name):
    """One sentence: who, how it grows, and the figures that tell the cause."""
    assert diagnose(ALL[name])[0].headline == HEADLINES[name]


def test_what_everybody_suspects_is_answered():
    """Of a process that grows, the other hypotheses come after the cause, each with a reason."""
    first, *others = diagnose(SEEN["native"])
    reasons = {one.cause: one.against for one in others}
    assert set(reasons) == {
        "python_objects",
        "arena_fragmentation",
        "arena_retention",
        "big_blocks",
    }
    assert reasons["python_objects"] == ("Python objects: 0.0 MiB of the +17 MiB.",)
    assert all(reasons.values())
    assert all(one.confidence < 0.3 < first.confidence for one in others)


def test_a_calm_process_is_not_suspected_of_anything():
    """Where nothing grows no hypotheses are listed."""
    assert causes(MADE["steady"]) == ["steady"]


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, "python_objects"), (0.03, "python_objects"), (0.4, "both")]
)
def test_holes_tell_a_leak_from_fragmentation(share, expected):
    """Objects that only leak leave no holes; holes beside them are the cause before them."""
    rise = 40.0
    found = evidence(
        {"in_use": 30.0, "trapped": 30 * share},
        {"in_use": 30.0 + rise * (1 - share), "trapped": 30 * share + rise * share},
        counts=many(bytes=((9000, 29.0), (30000, 29.0 + rise * (1 - share)))),
    )
    named = [one.cause for one in diagnose(found) if one.confidence >= 0.3]
    if expected == "both":
        assert named == ["arena_fragmentation", "python_objects"]
    else:
        assert named == [expected]


def test_a_leak_beside_old_free_memory_is_a_leak():
    """What grows comes before what is held: a heap that is half free, and objects that come."""
    found = evidence(
        {"in_use": 40.0, "trimmable": 60.0},
        {"in_use": 80.0, "trimmable": 60.0},
        counts=many(bytes=((9000, 39.0), (50000, 79.0))),
    )
    assert causes(found)[:2] == ["python_objects", "arena_retention"]


def test_a_request_in_flight_is_no_leak():
    """Objects between the looks that the floor has not seen: what is held says more."""
    seen = SEEN["retention in the heap"]
    busy = replace(
        seen,
        last=memory(NOW, {"in_use": 60.0, "trimmable": 74.0, "objects": 7.3}),
        last_types=types(NOW, bytes=(3400, 60.0)),
        watch=replace(seen.watch, change_bytes=mib(6), floor_rise_bytes=mib(6)),
    )
    assert diagnose(busy)[0].cause == "arena_retention"


def test_shared_mappings_are_told_apart():
    """A mapped file is page cache; RssShmem, or else the cgroup, tells that it is a segment."""
    seen = SEEN["mapped files"]
    unread = {
        "first": replace(seen.first, shmem_bytes=None),
        "last": replace(seen.last, shmem_bytes=None),
    }
    charged = replace(seen, **unread, room=room(shmem_change_bytes=25))
    not_charged = replace(seen, **unread, room=room(shmem_change_bytes=0))
    assert causes(charged)[0] == "shared_memory"
    assert causes(not_charged)[0] == "page_cache"


def test_page_cache_is_no_news_without_a_limit():
    """The kernel's cache grows on every host; only under a limit it is worth saying."""
    found = evidence({}, {}, counts=flat(), room=room(file_change_bytes=400))
    assert causes(found) == ["steady"]


def test_a_leak_outweighs_the_cache_around_it():
    """A process that leaks in a cgroup whose cache grows faster is still a leak."""
    found = replace(SEEN["objects"], room=room(limit_bytes=512, file_change_bytes=60))
    assert causes(found)[0] == "python_objects"


def test_growth_by_births_is_no_leak_of_the_parent():
    """The parent is named, with its role, when a child was asked about."""
    child = replace(
        evidence({}, {}, counts=flat(), subject=WORKER),
        crowd=crowd(parent_pid=25, parent_role="forkserver"),
    )
    first = diagnose(child)[0]
    assert (first.cause, first.pid, first.role) == ("many_processes", 25, "forkserver")


def test_children_that_come_and_go_are_no_storm():
    """As many die as are born: the sum stays."""
    calm = crowd(
        finding="steady", processes=4, change_bytes=0, born_bytes=mib(800), died_bytes=-mib(800)
    )
    assert causes(evidence({}, {}, counts=flat(), crowd=calm)) == ["steady"]


def test_a_few_births_explain_a_rise_too():
    """Fewer than eight processes are told by what their births brought."""
    few = crowd(finding="steady", processes=6, births=5, born_bytes=mib(300), change_bytes=mib(310))
    assert causes(evidence({}, {}, counts=flat(), crowd=few))[0] == "many_processes"


def test_one_growing_member_is_the_cause_of_its_own_memory():
    """A worker that leaks among equal ones is not a matter of their number."""
    group = crowd(finding="one-grows", growing=1, births=0, born_bytes=0, grown_bytes=mib(17))
    found = replace(SEEN["objects"], crowd=group, subject=WORKER)
    first = diagnose(found)[0]
    assert (first.cause, first.pid, first.role) == ("python_objects", PID, "worker")


def test_a_limit_that_fits_one_is_told_before_the_second_starts():
    """Nobody runs yet, and still two at once would be an OOM kill; a roomy limit says nothing."""
    idle = {"children": 0, "fits_more": 1, "fits_total": 1, "capacity_warns": False}
    tight = room(
        limit_bytes=704, taken_bytes=60, worst_child_bytes=512, worst_child_from="RLIMIT_AS", **idle
    )
    roomy = room(
        limit_bytes=7040,
        taken_bytes=60,
        worst_child_bytes=512,
        worst_child_from="RLIMIT_AS",
        fits_more=13,
        fits_total=13,
    )
    assert causes(evidence({}, {}, counts=flat(), room=tight))[0] == "capacity"
    assert causes(evidence({}, {}, counts=flat(), room=roomy)) == ["steady"]


def test_a_full_pool_of_a_fixed_size_is_no_warning():
    """Where nobody new will start, that no more fit is no news."""
    full = room(
        limit_bytes=512, taken_bytes=60, worst_child_bytes=200, worst_child_from="peak",
        children=2, fits_more=0, fits_total=2,
    )  # fmt: skip
    pool = crowd(processes=2, finding="steady", births=0, comes_and_goes=False, born_bytes=0)
    assert causes(evidence({}, {}, counts=flat(), room=full, crowd=pool)) == ["steady"]


def test_steps_that_came_before_the_first_look_are_told_by_what_it_is_made_of():
    """The tracker knows of steps; the looks find the arrays, and nothing that came."""
    calm = {"big": 90.0, "objects": 8.0}
    found = evidence(
        calm,
        calm,
        counts=many(native=(0.5, 0.5), numpy_dot_ndarray=((96, 89.0), (96, 89.0))),
        watch=watch(0, 60.0, trend="steps"),
    )
    first = diagnose(found)[0]
    assert (first.cause, first.type) == ("python_objects", "numpy.ndarray")
    assert "numpy.ndarray" in first.headline


def test_old_free_memory_is_the_cause_where_nothing_grows():
    """A high-water mark: most of RSS is free, and steady."""
    held = {"trimmable": 300.0}
    found = evidence(held, held, counts=flat(), watch=watch(0, 600.0, trend="steady"))
    assert causes(found)[0] == "arena_retention"
    small = {"trimmable": 5.0}
    found = evidence(small, small, counts=flat(), watch=watch(0, 600.0, trend="steady"))
    assert causes(found) == ["steady"]


def test_what_grows_besides_is_said():
    """The first finding names the next largest share, and the class that is the program's own."""
    first = diagnose(SEEN["fragment"])[0]
    assert "26 MiB of what came (61 %) are Python objects." in first.against
    first = diagnose(SEEN["objects"])[0]
    assert any("__main__.Partial +5,061" in one for one in first.supporting)


def test_actions_that_were_tried_count():
    """What a trim and a collection gave back is told as evidence."""
    tried = replace(SEEN["fragment"], done=(Done("trim", NOW - 5, 100_000),))
    assert any("malloc_trim gave 0.1 MiB back" in one for one in diagnose(tried)[0].supporting)
    cycles = replace(SEEN["objects"], done=(Done("gc", NOW - 5, 12 * MIB, 9000),))
    first = diagnose(cycles)[0]
    assert any("gc.collect gave 12 MiB back" in one for one in first.supporting)


def test_a_container_that_gets_longer_is_named():
    """A snapshot knows the containers of modules."""
    counts = [
        types(
            at,
            source="snapshot",
            bytes=(6200, size),
            containers=[Holder("shop.PARTIAL", "dict", length), Holder("sys.modules", "dict", 90)],
        )
        for at, size, length in ((NOW - 30, 5.4, 1200), (NOW, 19.1, 6261))
    ]
    found = replace(SEEN["objects"], first_types=counts[0], last_types=counts[1])
    first = diagnose(found)[0]
    assert first.cause == "python_objects"
    assert "shop.PARTIAL got longer: 1,200 → 6,261." in first.supporting


def test_remarks_on_a_worker_that_is_used_again():
    """Worker reuse is a remark; so is when the limit is met, and what the fork shares."""
    found = replace(
        SEEN["retention in arenas"],
        room=room(limit_bytes=4608, eta_s=7500.0),
    )
    shared = replace(found.last, shared={"python_objects": mib(60), "files": mib(9)})
    remarks = diagnose(replace(found, last=shared))[0].remarks
    assert any("used again and keeps its high-water mark" in one for one in remarks)
    assert any("limit of 4.50 GiB is met in ≈ 2 h" in one for one in remarks)
    assert any("60 MiB of its RSS" in one and "forked" in one for one in remarks)
    main = diagnose(replace(found, subject=subject("main")))[0]
    assert not any("used again" in one for one in main.remarks)


def test_the_json_has_the_stable_names():
    """The contract of `diagnose --json`: names, order, plain values."""
    first, *_ = made = findings_json(diagnose(SEEN["objects"]))
    assert list(first) == (
        "cause pid role type headline confidence for against missing next_step remarks".split()
    )
    assert (first["cause"], first["pid"], first["role"], first["type"]) == (
        "python_objects",
        PID,
        "main",
        "bytes",
    )
    assert isinstance(first["for"], list) and isinstance(first["confidence"], float)
    assert [one["confidence"] for one in made] == sorted(
        (one["confidence"] for one in made), reverse=True
    )


def test_siblings_that_grow_as_well_are_mentioned():
    """One worker is named; that the others grow alike is said beside it."""
    group = crowd(
        parent_pid=25,
        finding="many-grow",
        processes=4,
        growing=4,
        births=0,
        born_bytes=0,
        grown_bytes=mib(68),
    )
    one = diagnose(replace(SEEN["objects"], crowd=group, subject=WORKER))[0]
    assert one.cause == "python_objects"
    assert any("4 of the 4 siblings grow, by 68 MiB together" in each for each in one.remarks)


def test_a_pool_at_rest_is_no_storm():
    """Twelve forks that are as old as their parent: possible, where a storm is almost sure."""
    rest = crowd(processes=12, births=12, born_bytes=0, change_bytes=0, comes_and_goes=False)
    calm = diagnose(replace(MADE["steady"], crowd=rest))
    storm = diagnose(SEEN["many processes"])
    assert calm[0].confidence < 0.6 < 0.8 < storm[0].confidence
    assert "steady" in [one.cause for one in calm]


def test_shared_memory_without_a_name_is_not_to_be_unlinked():
    """mmap(MAP_SHARED) and memfd: /dev/shm has nothing more, and the step is another."""
    seen = SEEN["held segments"]
    unnamed = diagnose(replace(seen, room=room(shm_bytes=12, shm_change_bytes=0)))[0]
    named = diagnose(replace(seen, room=room(shm_bytes=37, shm_change_bytes=25)))[0]
    assert unnamed.cause == named.cause == "shared_memory"
    assert "not in /dev/shm" in unnamed.headline and "unlink" not in unnamed.next_step
    assert "until it is unlinked" in named.headline and "unlink()" in named.next_step


def test_tasks_are_known_from_a_census_too():
    """asyncio tasks that pile up are told by their class, and no inner class is suspected."""
    found = evidence(
        {"objects": 10.0},
        {"objects": 47.0},
        counts=many(
            coroutine=((900, 0.2), (65209, 13.0)),
            _asyncio_dot_Task=((400, 0.1), (32552, 6.0)),
            _asyncio_dot_FutureIter=((400, 0.1), (32626, 1.6)),
        ),
    )
    one = diagnose(found)[0]
    assert any("asyncio tasks: 400 → 32,552" in each for each in _lowered(one.supporting))
    assert one.next_step.startswith("asyncio tasks pile up")
    assert not any("FutureIter" in each for each in one.supporting if "class" in each)
