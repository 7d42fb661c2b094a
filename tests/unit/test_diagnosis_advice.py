"""The next step fits the process: what is in force, its allocator, its Python, its framework."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from evidences import (
    MADE,
    MIB,
    NOW,
    SEEN,
    WORKER,
    crowd,
    evidence,
    many,
    memory,
    mib,
    room,
    subject,
    types,
)

from memtop.diagnosis.diagnosis import diagnose
from memtop.diagnosis.evidence import Done, Holder
from memtop.diagnosis.finding import Lack

ARENAS = "MALLOC_ARENA_MAX=2"
JEMALLOC = "LD_PRELOAD=libjemalloc.so.2"
THRESHOLDS = "MALLOC_MMAP_THRESHOLD_=131072 MALLOC_TRIM_THRESHOLD_=131072"
SPAWN = "python -c from multiprocessing.spawn import spawn_main; --multiprocessing-fork"


def with_settings(found, **settings):
    """The same looks under other settings of malloc."""
    return replace(
        found, first=replace(found.first, **settings), last=replace(found.last, **settings)
    )


def step(found):
    return diagnose(found)[0].next_step


def remarks(found):
    return " ".join(diagnose(found)[0].remarks)


# name, evidence, cause, what must be in the step, what must not be
VARIANTS = [
    ("several arenas", SEEN["fragment"], "arena_fragmentation", [ARENAS, JEMALLOC], []),
    (
        "arenas are bounded already",
        with_settings(SEEN["fragment"], arena_max=2),
        "arena_fragmentation",
        [JEMALLOC],
        [ARENAS],
    ),
    (
        "to one",
        with_settings(SEEN["fragment"], arena_max=1),
        "arena_fragmentation",
        [JEMALLOC],
        [ARENAS],
    ),
    (
        "to many",
        with_settings(SEEN["fragment"], arena_max=16),
        "arena_fragmentation",
        [JEMALLOC, ARENAS],
        [],
    ),
    (
        "one arena only",
        with_settings(SEEN["fragment"], arenas=1),
        "arena_fragmentation",
        [JEMALLOC],
        [ARENAS],
    ),
    (
        "trim is no help",
        MADE["the incident"],
        "arena_fragmentation",
        [
            "T (malloc_trim) would return 6.0 MiB only",
            "memtop record FILE --duration 24h, then memtop report FILE",
            "its last quarter must be a plateau",
        ],
        ["memtop trim"],
    ),
    (
        "one arena, the threshold has risen",
        SEEN["retention in the heap"],
        "arena_retention",
        ["T (memtop trim 4711) returns 43 MiB now", THRESHOLDS],
        [ARENAS, JEMALLOC],
    ),
    (
        "the threshold is fixed",
        with_settings(SEEN["retention in the heap"], threshold_is_fixed=True),
        "arena_retention",
        ["memtop trim 4711", JEMALLOC],
        [THRESHOLDS, ARENAS],
    ),
    (
        "the ends of many arenas, which a trim leaves",
        SEEN["retention in arenas"],
        "arena_retention",
        [ARENAS, THRESHOLDS],
        ["memtop trim"],
    ),
    (
        "both are in force",
        with_settings(SEEN["retention in arenas"], arena_max=2, threshold_is_fixed=True),
        "arena_retention",
        [JEMALLOC],
        [ARENAS, THRESHOLDS],
    ),
    (
        "it has ended",
        replace(SEEN["retention in the heap"], subject=replace(WORKER, ended=True)),
        "arena_retention",
        [THRESHOLDS],
        ["memtop trim"],
    ),
    (
        "objects, nothing tried yet",
        SEEN["objects"],
        "python_objects",
        [
            "Look for what keeps __main__.Partial",
            "memtop snapshot 4711",
            "memtop gc 4711",
            "memray attach --aggregate -o out.bin 4711",
        ],
        ["trim", "MALLOC"],
    ),
    (
        "the collector found nothing",
        replace(SEEN["objects"], done=(Done("gc", NOW, 0, 0),)),
        "python_objects",
        ["memtop snapshot 4711"],
        ["memtop gc"],
    ),
    (
        "the collector found it all",
        replace(SEEN["objects"], done=(Done("gc", NOW, 12 * MIB, 5000),)),
        "python_objects",
        ["Break the reference cycles"],
        ["memray"],
    ),
    (
        "large objects: the collector first",
        SEEN["arrays"],
        "python_objects",
        ["Look for what keeps numpy.ndarray: C (memtop gc 4711)"],
        [],
    ),
    (
        "Python 3.6 has no memray",
        replace(SEEN["objects"], subject=subject(python="3.6.15")),
        "python_objects",
        ["memtop snapshot"],
        ["memray"],
    ),
    (
        "native, with memray",
        SEEN["native"],
        "native",
        ["memray attach --native --aggregate -o out.bin 4711"],
        ["trim", "MALLOC", "gc.collect"],
    ),
    (
        "native, a worker",
        replace(SEEN["native"], subject=replace(WORKER, python="3.8.20")),
        "native",
        ["memray attach --native", "multiprocessing.Pool(maxtasksperchild=50)"],
        ["ProcessPoolExecutor"],
    ),
    (
        "no Python",
        replace(SEEN["native"], subject=subject(None, python=None, name="media-relay")),
        "native",
        ["heaptrack -p 4711"],
        ["memray"],
    ),
    ("big blocks of nobody", MADE["unknown blocks"], "big_blocks", ["memtop census 4711"], []),
    ("threads", SEEN["threads"], "thread_stacks", ["py-spy dump --pid 4711", "max_workers=N"], []),
    ("huge pages", SEEN["huge pages"], "huge_pages", ["PR_SET_THP_DISABLE"], ["MALLOC_CONF"]),
    (
        "huge pages of jemalloc",
        with_settings(SEEN["huge pages"], allocator="jemalloc", provider="libjemalloc.so.2"),
        "huge_pages",
        ["MALLOC_CONF=thp:never"],
        ["LD_PRELOAD"],
    ),
    (
        "free blocks in pools",
        MADE["free blocks in pools"],
        "pymalloc_fragmentation",
        ["PYTHONMALLOC=malloc", JEMALLOC],
        [],
    ),
    (
        "free blocks in pools, jemalloc is there",
        with_settings(MADE["free blocks in pools"], allocator="jemalloc", provider="libjemalloc"),
        "pymalloc_fragmentation",
        ["PYTHONMALLOC=malloc"],
        ["LD_PRELOAD"],
    ),
    ("a fork", SEEN["forked"], "copy_on_write", ["gc.freeze()", "gc.enable()"], []),
    (
        "a fork of Python 3.6",
        replace(SEEN["forked"], subject=replace(WORKER, python="3.6.15")),
        "copy_on_write",
        ["gc.disable()"],
        ["gc.freeze"],
    ),
    (
        "segments",
        SEEN["held segments"],
        "shared_memory",
        ["unlink()", "ls -lt /proc/4711/root/dev/shm"],
        [],
    ),
    ("files", SEEN["mapped files"], "page_cache", ["Nothing has to be done", "rotate logs"], []),
    ("warm-up", SEEN["warm-up"], "warm_up", ["memtop diagnose 4711 --for 5m"], ["memray"]),
    ("sawtooth", SEEN["sawtooth"], "sawtooth", ["memtop gc 4711"], []),
    (
        "sawtooth of no Python",
        replace(SEEN["sawtooth"], subject=subject(None, python=None)),
        "sawtooth",
        ["peaks stay below"],
        ["gc.collect"],
    ),
    (
        "steady",
        MADE["steady"],
        "steady",
        [
            "Nothing has to be done",
            "memtop record FILE --pid 4711 --duration 24h",
            "memtop diagnose 4711 --record FILE",
        ],
        [],
    ),
    (
        "the limit fits one",
        MADE["one that fits"],
        "capacity",
        [
            "Let 1 run at a time",
            "asyncio.Semaphore(1)",
            "lower RLIMIT_AS of a child to 312 MiB, so that 2 fit",
            "raise the limit to 1.08 GiB",
        ],
        ["uvicorn"],
    ),
    (
        "the limit fits one, uvicorn",
        replace(MADE["one that fits"], subject=subject(framework="uvicorn")),
        "capacity",
        ["uvicorn --limit-concurrency"],
        [],
    ),
    (
        "many processes under a limit",
        replace(SEEN["many processes"], room=room(limit_bytes=1240)),
        "many_processes",
        ["no leak", "64 of them take 80 % of the limit of 1.21 GiB"],
        ["memray"],
    ),
]


@pytest.mark.parametrize(
    ("found", "cause", "has", "hasnt"),
    [pytest.param(*variant[1:], id=variant[0]) for variant in VARIANTS],
)
def test_the_step_fits_the_situation(found, cause, has, hasnt):
    """The right step for the right cause, and nothing that is in force or not there."""
    first = diagnose(found)[0]
    assert first.cause == cause
    for words in has:
        assert words in first.next_step
    for words in hasnt:
        assert words not in first.next_step


@pytest.mark.parametrize("allocator", ["jemalloc", "tcmalloc", "mimalloc", "musl"])
def test_another_allocator_gets_no_advice_for_glibc(allocator):
    """Neither arenas nor trim nor a second preload, whatever grows."""
    for seen in SEEN.values():
        found = with_settings(seen, allocator=allocator, provider=f"lib{allocator}.so")
        for one in diagnose(found):
            text = one.next_step + " ".join((*one.supporting, *one.remarks, one.headline))
            assert "MALLOC_ARENA_MAX" not in text
            assert "MALLOC_TRIM" not in text
            assert "memtop trim" not in text
            assert "LD_PRELOAD" not in text


def test_objects_in_a_container_name_it():
    """A snapshot has seen the container get longer; tasks that pile up come first."""
    pair = [
        types(
            at,
            source="snapshot",
            bytes=(6200, size),
            containers=[Holder("shop.PARTIAL", "dict", length)],
        )
        for at, size, length in ((NOW - 30, 5.4, 1200), (NOW, 19.1, 6261))
    ]
    found = replace(SEEN["objects"], first_types=pair[0], last_types=pair[1])
    assert "Look at what adds to shop.PARTIAL (1,200 → 6,261)" in step(found)
    piled = [replace(one, tasks=count) for one, count in zip(pair, (40, 900), strict=True)]
    found = replace(found, first_types=piled[0], last_types=piled[1])
    assert "memtop snapshot 4711" in step(found) and "Queue(maxsize=N)" in step(found)
    newest = replace(found, subject=subject(python="3.14.0"))
    assert "python3.14 -m asyncio ps 4711" in step(newest)


# framework, role, command, parent's command, Python, what the remark says
REUSE = [
    (
        "multiprocessing",
        "3.8.20",
        WORKER.command,
        None,
        "multiprocessing.Pool(maxtasksperchild=50)",
    ),
    (
        "multiprocessing",
        "3.11.7",
        WORKER.command,
        None,
        'ProcessPoolExecutor(max_tasks_per_child=50, mp_context=get_context("forkserver"))',
    ),
    ("multiprocessing", "3.12.1", WORKER.command, None, "gh-115634"),
    ("multiprocessing", "3.14.0", SPAWN, None, 'get_context("spawn")'),
    ("multiprocessing", "3.12.1", "python -m shop", "python -m shop", "it cannot fork then"),
    (
        "gunicorn",
        "3.12.1",
        "gunicorn: worker [shop]",
        "gunicorn -w 4 shop:app",
        "--max-requests 1000 --max-requests-jitter 200",
    ),
    (
        "gunicorn",
        "3.12.1",
        "gunicorn: worker [shop]",
        "gunicorn -w 4 --max-requests 500 shop:app",
        "--max-requests 500 is in force already",
    ),
    (
        "gunicorn",
        "3.12.1",
        "gunicorn: worker [shop]",
        "gunicorn -w 4 --max-requests-jitter 50 shop:app",
        "--max-requests 1000",
    ),
    ("uvicorn", "3.12.1", SPAWN, "uvicorn --workers 4 shop:app", "--limit-max-requests 1000"),
    ("celery", "3.12.1", "celery -A shop worker", None, "--max-tasks-per-child=50"),
    (
        "celery",
        "3.12.1",
        "celery -A shop worker",
        "celery -A shop worker --max-memory-per-child=200000",
        "--max-memory-per-child=200000 is in force already",
    ),
    ("hypercorn", "3.12.1", SPAWN, "hypercorn -w 2 shop:app", "--max-requests 1000"),
    ("granian", "3.12.1", "granian worker", None, "--workers-lifetime 3600"),
    ("uwsgi", "3.12.1", "uWSGI worker 1", None, "--max-requests 1000"),
    ("dask", "3.12.1", SPAWN, "dask worker tcp://10.0.0.1:8786", "--lifetime 1h"),
    ("ray", "3.12.1", "ray::f", None, "max_calls=50"),
    (
        "multiprocessing",
        "3.12.1",
        "python -c from multiprocessing.forkserver import main; main(1, ['livekit.agents.ipc'])",
        None,
        "job_memory_limit_mb",
    ),
]


@pytest.mark.parametrize(("framework", "python", "command", "parent", "says"), REUSE)
def test_a_worker_is_bounded_by_its_framework(framework, python, command, parent, says):
    """The flag or the argument of the framework, adapted to the version and to what is set."""
    worker = subject(
        "worker",
        framework=framework,
        python=python,
        command=command,
        parent_command=parent,
        forked=command == parent,
    )
    found = replace(SEEN["retention in arenas"], subject=worker)
    assert says in remarks(found)


@pytest.mark.parametrize("python", ["3.6.15", "3.8.20", "3.10.4", None])
def test_old_executors_have_no_such_argument(python):
    """max_tasks_per_child is there since 3.11."""
    found = replace(SEEN["retention in arenas"], subject=replace(WORKER, python=python))
    assert "ProcessPoolExecutor(" not in remarks(found)
    assert "maxtasksperchild=50" in remarks(found)


def test_celery_children_get_their_share_of_the_limit():
    """0.6 of the limit through their number, in KiB; not if a child could not live with it."""
    worker = subject("worker", framework="celery", command="celery -A shop worker")
    group = crowd(processes=4, finding="steady", births=0, born_bytes=0, average_bytes=mib(150))
    found = replace(
        SEEN["retention in arenas"], subject=worker, crowd=group, room=room(limit_bytes=2048)
    )
    assert "--max-memory-per-child=314572" in remarks(found)
    tight = replace(found, room=room(limit_bytes=512))
    assert "max-memory-per-child=" not in remarks(tight)
    assert "a smaller --concurrency" in remarks(tight)


@pytest.mark.parametrize(
    ("framework", "says"),
    [
        ("uvicorn", "--limit-concurrency"),
        ("celery", "--concurrency"),
        ("gunicorn", "--workers"),
        ("multiprocessing", "max_workers"),
        (None, "asyncio.Semaphore(N)"),
    ],
)
def test_many_processes_are_bounded_by_their_framework(framework, says):
    """How many run at once is what is to be bounded."""
    found = replace(SEEN["many processes"], subject=subject(framework=framework))
    assert says in step(found)


def test_a_livekit_agent_is_bounded_by_its_load():
    """Its jobs are children of a forkserver that preloads livekit."""
    main = subject(command="python agent.py start", framework="livekit")
    assert "load_threshold" in step(replace(SEEN["many processes"], subject=main))


def test_a_main_process_is_not_told_to_be_replaced():
    """Worker options are for workers."""
    found = replace(SEEN["retention in arenas"], subject=subject("main", framework="gunicorn"))
    assert "--max-requests" not in remarks(found) + step(found)


def test_what_is_missing_is_the_step_of_what_is_unknown():
    """Without a census the key that counts; under jemalloc the interpreter is asked."""
    uncounted = evidence({"in_use": 10.0}, {"in_use": 50.0})
    assert step(uncounted) == "o (memtop census 4711) tells whose memory it is"
    other = with_settings(
        evidence({"foreign": 10.0}, {"foreign": 50.0}, counts=many(native=(None, None))),
        allocator="jemalloc",
        provider="libjemalloc.so.2",
    )
    assert "memtop snapshot 4711" in step(other)


def test_the_step_without_looks_is_the_missing_right():
    """The command of what is lacking comes first."""
    lack = Lack("memory", "it may not be read", "a", "sudo memtop diagnose 4711")
    found = evidence(lacks=(lack,), watch=SEEN["objects"].watch)
    assert step(found) == "memory: sudo memtop diagnose 4711"


def test_nothing_is_advised_for_an_allocator_that_nobody_knows():
    """Unknown is not glibc."""
    found = with_settings(SEEN["retention in the heap"], allocator=None)
    assert "memtop trim" not in step(found) and "MALLOC_" not in step(found).replace("_CONF", "")


def test_the_memory_of_the_first_look_alone_gives_the_same_advice():
    """Whoever gathers may have looked once: what is held is told."""
    seen = SEEN["retention in the heap"]
    once = replace(seen, first=None, first_types=None, last=memory(NOW, {"trimmable": 60.0}))
    assert "memtop trim 4711" in step(once)
