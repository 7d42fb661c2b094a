"""What was watched and looked at, as a diagnosis takes it; whom to look into, and whose it is."""

import dataclasses
from types import SimpleNamespace

import pytest

from memtop.anatomy.objects import Objects, Owner, TypeCount
from memtop.anatomy.result import Anatomy, Missing, Part, Settings
from memtop.diagnosis.evidence import Evidence, Memory, Subject
from memtop.diagnosis.finding import Finding, Lack
from memtop.evidence import verdict
from memtop.evidence.choosing import contenders, first_ones, next_ones
from memtop.evidence.evidence import (
    Around,
    evidence_of,
    evidence_of_group,
    evidence_of_limit,
)
from memtop.evidence.files import Moved, Shm, uses_shared_memory
from memtop.evidence.looking import Look, take_look
from memtop.evidence.looks import _full_names
from memtop.evidence.room import Share, room_of
from memtop.evidence.watch import swings
from memtop.model.limits import Limit
from memtop.model.tracker import Tracker
from memtop.model.trends import STEADY
from memtop.probe.fake import FakeSource
from memtop.probe.sample import Cgroup, Identity, Wanted

KIB = 1024
MIB = 1 << 20
MAIN, CHILD = "python -m shop.main", "python -m shop.work"


def service(workers=4, *, rss_mib=100.0, age_s=600):
    """A main process and its workers, of which the first one has PID 20."""
    source = FakeSource()
    source.spawn(10, 0, "python", 60, command=MAIN, age_s=9000)
    for pid in range(20, 20 + workers):
        source.spawn(pid, 10, "python", rss_mib, command=MAIN, age_s=age_s)
    return source


def watch(source, ticks, each=lambda tick: None, interval_s=1.0):
    """The first and the last state of some samples; `each` may move the source before each."""
    tracker, states = Tracker(interval_s), []
    for tick in range(ticks):
        each(tick)
        states.append(tracker.feed(source.sample(tracker.ask(Wanted()))))
    return states[0], states[-1]


def identity(state, pid):
    (found,) = [one for one in state.rows if one.pid == pid]
    return found


def rows(state):
    return [row for row in state.rows.values() if row.ended_at is None]


# -- how RSS moved -----------------------------------------------------------------------------


def test_a_straight_rise():
    """The change is that of the floor; a quarter of it lies in the last quarter of the time."""
    source = service()

    def grow(_):
        source.processes[20].rss_kib += 600

    _, state = watch(source, 41, grow)
    moved = evidence_of(state, identity(state, 20)).watch

    assert moved.seconds == pytest.approx(40, abs=1)
    assert moved.change_bytes == pytest.approx(36 * 600 * KIB, rel=0.05)
    assert moved.recent_share == pytest.approx(0.25, abs=0.06)
    assert moved.largest_step_bytes == 600 * KIB
    assert (moved.rises, moved.falls) == (1, 0)


def test_a_rise_that_bends_over_and_a_step():
    """Little of a warm-up lies in the last quarter; of a step all is in one step."""
    source = service()
    worker, other = source.processes[20], source.processes[21]

    def move(tick):
        worker.rss_kib += int(20_000 * 0.8**tick)
        other.rss_kib += 30_000 * (tick == 20)

    _, state = watch(source, 41, move)
    bent = evidence_of(state, identity(state, 20)).watch
    step = evidence_of(state, identity(state, 21)).watch

    assert bent.recent_share < 0.05
    assert step.largest_step_bytes == step.change_bytes == 30_000 * KIB


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5, 5, 5, 5], (0, 0)),
        ([0, 100], (1, 0)),
        ([100, 0], (0, 1)),
        ([0, 50, 100, 0, 60, 100, 3, 90], (3, 2)),
        ([50, 53, 49, 52, 48, 51], (0, 0)),
        ([0, 40, 38, 80, 77, 120], (1, 0)),
    ],
)
def test_swings(values, expected):
    """What turns by less than a tenth is no rise and no fall."""
    assert swings(values, values, 10) == expected


def test_long_histories_come_from_buckets():
    """After more than five minutes the steps are of 15 s, and the last ten minutes count."""
    source = service()

    def grow(_):
        source.processes[20].rss_kib += 10

    _, state = watch(source, 1000, grow)
    moved = evidence_of(state, identity(state, 20)).watch

    assert moved.seconds == pytest.approx(600, abs=15)
    assert moved.change_bytes == pytest.approx(6000 * KIB, rel=0.1)


# -- what was looked at ------------------------------------------------------------------------


def anatomy(taken_at, **more):
    parts = (Part("malloc_in_use", "in use", 30 * MIB, MIB), Part("files", "files", 9 * MIB))
    settings = Settings(2, 131072, 131072, 0, True)
    made = Anatomy(Identity(1, 20), "python", taken_at, 0.1, 50 * MIB, parts, settings=settings)
    return dataclasses.replace(made, **more)


def census(taken_at, **more):
    types = (TypeCount("bytes", "builtins", 10, 5 * MIB), TypeCount("Box", "shop", 7, MIB, 2 * MIB))
    made = Objects(Identity(1, 20), "python", taken_at, 0.1, "census", types)
    return dataclasses.replace(made, **more)


def test_two_looks():
    """Parts by id, what is shared of them, settings; types with what they own."""
    _, state = watch(service(), 3)
    made = evidence_of(
        state,
        identity(state, 20),
        anatomies=(anatomy(100.0), anatomy(130.0, python="3.12.1")),
        objects=(census(100.0), census(130.0, sampled=True, error=0.04)),
    )

    assert made.first.parts == {"malloc_in_use": 30 * MIB, "files": 9 * MIB}
    assert made.first.shared == {"malloc_in_use": MIB}
    assert (made.last.arena_max, made.last.threshold_is_fixed) == (2, True)
    assert made.subject.python == "3.12.1"
    assert [tuple(kind) for kind in map(dataclass_values, made.last_types.kinds)] == [
        ("bytes", 10, 5 * MIB),
        ("shop.Box", 7, 3 * MIB),
    ]
    assert (made.first_types.error, made.last_types.error) == (0.0, 0.04)


def dataclass_values(kind):
    return (kind.name, kind.count, kind.bytes)


@pytest.mark.parametrize("looks", [(anatomy(9.0), None), (None, anatomy(9.0))])
def test_one_look_is_the_last(looks):
    """Whenever it was taken, nothing can be compared with it."""
    _, state = watch(service(), 3)
    made = evidence_of(state, identity(state, 20), anatomies=looks)

    assert made.first is None
    assert made.last.taken_at == 9.0


def test_looks_that_cannot_be_compared():
    """Two at one moment are one; a census and a snapshot do not count the same."""
    _, state = watch(service(), 3)
    made = evidence_of(
        state,
        identity(state, 20),
        anatomies=(anatomy(100.0), anatomy(100.5)),
        objects=(census(100.0), census(130.0, source="snapshot")),
    )

    assert made.first is None
    assert made.first_types is None
    assert made.last_types.source == "snapshot"


def test_what_no_object_owns():
    """Of malloc's memory in use and of the big blocks; unknown if either is."""
    _, state = watch(service(), 3)
    known = census(
        9.0,
        malloc_in_use_bytes=100,
        malloc_in_use_python_bytes=70,
        big_blocks_bytes=50,
        big_blocks_python_bytes=10,
        big_blocks=(Owner("ndarray", "uint8 (480, 640)", 4, 10),),
    )
    unknown = dataclasses.replace(known, malloc_in_use_bytes=None)
    made = [
        evidence_of(state, identity(state, 20), objects=(None, one)).last_types
        for one in (known, unknown)
    ]

    assert [one.native_bytes for one in made] == [70, None]
    assert made[0].big_blocks[0].length == 4


def test_what_is_missing_is_named():
    """Each with its command: of a look, and of one that nobody took."""
    _, state = watch(service(), 3)
    missing = Missing("arenas", "belongs to root", "memory", "sudo memtop anatomy 20")
    looked = evidence_of(
        state, identity(state, 20), anatomies=(None, anatomy(9.0, missing=(missing,)))
    )
    not_looked = evidence_of(state, identity(state, 20))

    assert ("belongs to root", "sudo memtop anatomy 20") in [
        (lack.reason, lack.command) for lack in looked.lacks
    ]
    assert [lack.key for lack in not_looked.lacks] == ["a", "o"]


def test_what_was_done():
    """A trim or a collection that was carried out; what was refused tells nothing."""
    _, state = watch(service(), 3)
    done = SimpleNamespace(
        action="gc",
        at=5.0,
        outcome="returned",
        returned_bytes=4096,
        generations=[SimpleNamespace(collected=3), SimpleNamespace(collected=9)],
    )
    refused = SimpleNamespace(**{**vars(done), "outcome": "refused"})
    made = evidence_of(state, identity(state, 20), results=[done, refused])

    assert [tuple(one) for one in made.done] == [("gc", 5.0, 4096, 12)]


# -- what is around ----------------------------------------------------------------------------


def test_of_a_worker_and_of_its_group():
    """A worker is in its crowd; of the group the parent is the subject."""
    _, state = watch(service(4), 5)
    (group,) = state.groups.values()
    worker = evidence_of(state, identity(state, 21))
    crowd = evidence_of_group(state, group)

    assert (worker.subject.pid, worker.subject.role) == (21, "worker")
    assert worker.subject.forked
    assert worker.crowd.processes == 4
    assert (crowd.subject.pid, crowd.crowd.parent_pid) == (10, 10)
    assert crowd.crowd.parent_role == "main"
    assert crowd.tree_processes == 5


def limit_of(file_mib=0, shmem_mib=0, **more):
    cgroup = Cgroup(
        "/shop",
        None,
        None,
        limit_bytes=704 * MIB,
        unlimited=False,
        current_bytes=(100 + file_mib) * MIB,
        anon_bytes=90 * MIB,
        file_bytes=file_mib * MIB,
        shmem_bytes=shmem_mib * MIB,
    )
    return Limit(cgroup, cgroup, None, None, STEADY, None, None, None, **more)


def test_a_cgroup_that_fills():
    """The kernel counts shared memory as part of the files: here they are apart."""
    room = room_of(limit_of(70, 20), limit_of(30, 10), 30.0)

    assert (room.file_bytes, room.shmem_bytes) == (50 * MIB, 20 * MIB)
    assert (room.file_change_bytes, room.shmem_change_bytes) == (30 * MIB, 10 * MIB)
    assert room.limit_bytes == 704 * MIB


@pytest.mark.parametrize(
    ("share", "file_is_theirs", "shmem_is_theirs"),
    [
        (Share(others=0), True, True),
        (Share(others=3, moved=Moved(), uses_shm=False), False, False),
        (Share(others=3, moved=Moved(file=25 * MIB), uses_shm=False), True, False),
        (Share(others=3, moved=None, uses_shm=True), False, True),
    ],
)
def test_whose_doing_it_is(share, file_is_theirs, shmem_is_theirs):
    """What others in the cgroup may have done is not told of those who were asked for."""
    room = room_of(limit_of(70, 20), limit_of(30, 10), 30.0, share=share)

    assert (room.file_change_bytes is not None) == file_is_theirs
    assert (room.shmem_change_bytes is not None) == shmem_is_theirs


def test_a_shared_memory_of_another_container_is_not_compared():
    """After an exec into another mount namespace /dev/shm is another one."""
    same = room_of(None, None, 9.0, (Shm(5, 1), Shm(9, 1)))
    other = room_of(None, None, 9.0, (Shm(5, 1), Shm(9, 2)))

    assert (same.shm_bytes, same.shm_change_bytes) == (9, 4)
    assert (other.shm_bytes, other.shm_change_bytes) == (9, None)


def test_of_a_limit():
    """Who grows below it is the subject; a cgroup without anybody is nothing to tell of."""
    source = service(2)
    for process in source.processes.values():
        process.cgroup = "/shop"

    def grow(_):
        source.processes[21].rss_kib += 900

    _, state = watch(source, 90, grow)
    made = evidence_of_limit(state, limit_of(1))

    assert made.subject.pid == 21
    assert made.room.limit_bytes == 704 * MIB
    with pytest.raises(KeyError):
        evidence_of_limit(state, limit_of(1)._replace(cgroup=limit_of(1).cgroup._replace(path="/")))


# -- whom to look into -------------------------------------------------------------------------


def test_of_many_alike_one_is_looked_into():
    """The one that was asked for, and one worker; and of unequal ones each."""
    source = service(20)
    source.processes[27].rss_kib = 900 * KIB
    _, state = watch(source, 4)
    chosen = first_ones(rows(state), identity(state, 10))

    assert [row.pid for row in chosen][:2] == [10, 27]
    assert len(chosen) == 3


def test_who_begins_to_grow_is_looked_into():
    """Even if one like it was looked into before; noise is no reason."""
    source = service(5)

    def grow(tick):
        source.processes[24].rss_kib += 500 * (tick > 5)
        source.processes[23].rss_kib += 20 * (-1) ** tick

    _, state = watch(source, 30, grow)
    looked_at = {identity(state, 10), identity(state, 20)}

    assert [row.pid for row in next_ones(state, rows(state), looked_at)] == [24]


def test_who_matters():
    """Who grows; where nobody does, the worker rather than the main process of that size."""
    source = service(3)

    def grow(_):
        source.processes[22].rss_kib += 700

    _, growing = watch(source, 40, grow)
    _, resting = watch(service(1, rss_mib=62), 40)

    assert contenders(growing, rows(growing), identity(growing, 10))[0].pid == 22
    assert [row.pid for row in contenders(resting, rows(resting), identity(resting, 10))] == [
        20,
        10,
    ]


def test_a_start_up_is_no_growth():
    """Of children that come and grow to their size at once, the parent is who matters."""
    source = service(0)

    def storm(tick):
        for pid in range(100 + 4 * tick, 104 + 4 * tick):
            if 10 <= tick < 13:
                source.spawn(pid, 10, "python", 8, command=MAIN, age_s=0)
        for pid, process in source.processes.items():
            if pid >= 100 and process.rss_kib < 40 * KIB:
                process.rss_kib += 16 * KIB

    _, state = watch(source, 40, storm)

    assert contenders(state, rows(state), identity(state, 10))[0].pid == 10


@pytest.mark.parametrize(
    ("exe", "command", "another"),
    [
        ("/usr/bin/python3", "python -m shop.main", False),
        ("/usr/bin/python3", "shop: idle", False),
        ("/usr/bin/python3", "python other.py", True),
        ("/bin/sleep", "sleep 60", True),
        (None, "python other.py", False),
    ],
)
def test_another_program(exe, command, another):
    """Another executable or program is one; a title that a process writes is none."""
    look = Look(Identity(1, 20), exe="/usr/bin/python3", command="python -m shop.main")

    assert look.is_of_another_program(SimpleNamespace(exe=exe, command=command)) == another


# -- the verdict -------------------------------------------------------------------------------


def test_news_are_better_than_none(monkeypatch):
    """The later one is taken if only that has something to say; else the first."""
    said = {
        1: Finding("steady", "", 0.9, pid=1),
        2: Finding("arena_retention", "", 0.7, pid=2),
        3: Finding("arena_retention", "", 0.75, pid=3),
    }
    monkeypatch.setattr(verdict, "diagnose", lambda evidence: (said[evidence.subject.pid],))

    def of(*pids):
        made = [Evidence(0.0, Subject(pid, name=""), asked_pid=1) for pid in pids]
        return verdict.verdict_of(made)[0].subject.pid

    assert of(1, 2) == 2
    assert of(2, 3) == 2
    assert of(1) == 1


def test_what_is_in_nobodys_rss_is_told_of_who_was_asked_for(monkeypatch):
    """Shared memory that no process has mapped belongs to the service as a whole."""
    monkeypatch.setattr(
        verdict,
        "diagnose",
        lambda evidence: (Finding("shared_memory", "", 0.9, pid=evidence.subject.pid),),
    )
    made = [Evidence(0.0, Subject(pid, name=""), asked_pid=1) for pid in (2, 1)]

    assert verdict.verdict_of(made)[0].subject.pid == 1


def test_quarters_and_pauses():
    """How much of a rise lies in each quarter, and for how long it stood still."""
    source = service(workers=1)

    def move(tick):
        if tick < 20 and tick % 4 == 0:
            source.processes[20].rss_kib += 4096

    _, state = watch(source, 41, move)
    seen = evidence_of(state, identity(state, 20)).watch

    assert seen.quarters == pytest.approx((0.5, 0.5, 0, 0), abs=0.15)
    assert sum(seen.quarters) == pytest.approx(1)
    assert seen.pause_s == pytest.approx(4, abs=1)
    assert seen.still_s == pytest.approx(24, abs=2)


def test_whoever_was_asked_for_is_looked_into_beside_the_others():
    """Three workers that grow do not crowd out the root: they may have ended by then."""
    source = service(workers=5)

    def grow(_):
        for pid in range(20, 25):
            source.processes[pid].rss_kib += 900

    _, state = watch(source, 30, grow)
    asked = identity(state, 10)
    chosen = contenders(state, rows(state), asked)

    assert len(chosen) == 4
    assert chosen[-1].identity == asked


def test_a_look_outlives_what_it_stumbles_over(monkeypatch):
    """An error that nobody thought of is a lack, and the rest of the look is there."""

    def stumble(*_, **__):
        raise ValueError("no such type")

    monkeypatch.setattr("memtop.evidence.looking.look", lambda *_, **__: a_look())
    monkeypatch.setattr("memtop.evidence.looking.take_census", stumble)
    _, state = watch(service(workers=1), 2)
    row = state.rows[identity(state, 20)]
    seen = take_look(row)
    assert seen.anatomy is not None and seen.objects is None
    assert [(one.what, one.reason, one.key) for one in seen.lacks] == [
        ("its objects", "the look failed: ValueError: no such type", "o")
    ]

    monkeypatch.setattr("memtop.evidence.looking.look", stumble)
    assert [one.key for one in take_look(row).lacks] == ["a"]


def a_look():
    """What was found of a Python, as far as a look goes on from there."""
    return SimpleNamespace(python="3.12.1", heaps=None)


@pytest.mark.parametrize(
    ("moved", "uses_shm", "can"),
    [
        (None, False, False),
        (None, True, True),
        (Moved(touched=9 * MIB), True, True),
        (Moved(touched=9 * MIB), False, False),  # it has nothing mapped
        (Moved(touched=1 * MIB), True, False),  # somebody else touched those pages
        (Moved(written=9 * MIB), False, True),
        (Moved(file=99 * MIB), False, False),
    ],
)
def test_who_can_have_filled_shared_memory(moved, uses_shm, can):
    """Each page of it was touched through a mapping, or written."""
    share = Share(others=3, moved=moved, uses_shm=uses_shm)
    room = room_of(None, None, 9.0, (Shm(0, 1), Shm(10 * MIB, 1)), share=share)
    assert room.shm_change_bytes == (10 * MIB if can else None)


def test_semaphores_are_no_segments(tmp_path):
    """Those of multiprocessing lie in /dev/shm as well."""
    (tmp_path / "7").mkdir()
    maps = tmp_path / "7" / "maps"
    maps.write_text("7f00-7f01 rw-s 00000000 00:19 3  /dev/shm/sem.mp-abc (deleted)\n")
    assert not uses_shared_memory(7, str(tmp_path))
    maps.write_text("7f00-7f01 rw-s 00000000 00:19 3  /dev/shm/psm_abc\n")
    assert uses_shared_memory(7, str(tmp_path))


def test_what_was_said_already_is_not_missing_twice():
    """Without the right to look nobody adds that nobody looked."""
    _, state = watch(service(workers=1), 3)
    said = Lack("what its memory is made of", "no right", "a", "sudo memtop")
    found = evidence_of(state, identity(state, 20), around=Around(lacks=(said,)))
    assert found.lacks == (said,)


def test_an_owner_has_the_full_name_of_its_type():
    """As types have it; a name that two modules use stays short."""
    assert _full_names(["numpy.ndarray", "dict", "a.Node", "b.Node"]) == {
        "ndarray": "numpy.ndarray",
        "dict": "dict",
    }


def test_the_worker_is_named_where_its_heap_is_like_its_parents(monkeypatch):
    """Both have kept what was freed; not if the worker only shares what its parent has."""
    parent = Evidence(0.0, Subject(10, "python", role="main", rss_bytes=100 * MIB))
    last = Memory(0.0, 70 * MIB, 70 * MIB, {"malloc_trimmable": 60 * MIB})
    worker = Evidence(0.0, Subject(20, "python", role="worker", rss_bytes=70 * MIB), last=last)
    forked = dataclasses.replace(
        worker, last=dataclasses.replace(last, shared={"malloc_trimmable": 60 * MIB})
    )
    monkeypatch.setattr(
        verdict,
        "diagnose",
        lambda one: (Finding("arena_retention", "", 0.85, one.subject.pid),),
    )
    assert verdict.verdict_of([parent, worker])[0].subject.pid == 20
    assert verdict.verdict_of([parent, forked])[0].subject.pid == 10
