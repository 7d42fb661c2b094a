"""Evidence for the tests of the diagnosis: the parts of real looks, in MiB, and what is around.

The figures of `SEEN` were measured with `memtop anatomy` and `memtop census` at processes of each
kind (CPython 3.11, glibc 2.36), 20 to 60 s apart.
"""

from dataclasses import replace

from memtop.diagnosis.evidence import Crowd, Evidence, Kind, Memory, Room, Subject, Types, Watch

MIB = 1 << 20
NOW = 1_790_000_000.0
PID = 4711
# malloc_in_use and so on are shortened to what follows `malloc_`.
SHORT = {
    "objects": "python_objects",
    "in_use": "malloc_in_use",
    "trapped": "malloc_trapped",
    "trimmable": "malloc_trimmable",
    "top": "malloc_top",
    "big": "big_blocks",
    "stacks": "thread_stacks",
    "bloat": "huge_page_bloat",
    "free": "pymalloc_free",
    "foreign": "allocator_other",
}


def mib(value):
    return round(value * MIB)


def memory(at=NOW, parts=None, **changes):
    """One look; `parts` in MiB, by their short names. What is not named is that of a small one."""
    found = {"files": 8.0, "objects": 3.8, "in_use": 1.6, "big": 0.2, **(parts or {})}
    sizes = {SHORT.get(name, name): mib(size) for name, size in found.items()}
    rss = sum(sizes.values())
    defaults = {
        "arenas": 1,
        "allocator": "glibc 2.36",
        "arena_max": 0,
        "mmap_threshold_bytes": 163840,
        "trim_threshold_bytes": 327680,
        "threshold_is_fixed": False,
        "trim_would_return_bytes": sizes.get("malloc_trimmable", 0),
        "big_blocks": 3,
        "shmem_bytes": 0,
    }
    explained = rss - sizes.get("other", 0)
    return Memory(at, rss, explained, sizes, **{**defaults, **changes})


def types(at=NOW, native=0.4, source="census", big=(), error=0.0, containers=(), **kinds):
    """One count; of each kind (count, MiB). A `_dot_` in a name is one."""
    named = [
        Kind(name.replace("_dot_", "."), count, mib(size)) for name, (count, size) in kinds.items()
    ]
    total = sum(one.bytes for one in named)
    known = None if native is None else mib(native)
    return Types(at, source, tuple(named), total, error, known, tuple(big), tuple(containers))


def watch(change, seconds=30.0, **changes):
    """A straight rise by so many MiB, unless `changes` say otherwise (sizes in MiB, too)."""
    sizes = {name: mib(size) for name, size in changes.items() if name.endswith("_bytes")}
    words = {name: value for name, value in changes.items() if not name.endswith("_bytes")}
    defaults = {
        "rss_bytes": mib(60 + change),
        "peak_bytes": mib(60 + max(0, change)),
        "floor_bytes": mib(60 + min(0, change)),
        "rises": int(change > 0),
        "falls": int(change < 0),
        "recent_share": 0.25 if change > 0 else None,
        "largest_step_bytes": mib(max(0, change) / 10),
        "largest_fall_bytes": mib(max(0, -change)),
        "floor_rise_bytes": mib(change / 2),
    }
    return Watch(NOW - seconds, seconds, change_bytes=mib(change), **{**defaults, **sizes, **words})


def subject(role="main", **changes):
    defaults = {
        "name": "python",
        "python": "3.11.7",
        "command": "python -m shop.main",
        "parent_pid": 1,
        "uptime_s": 5000.0,
        "threads": 1,
        "cpus": 2,
    }
    return Subject(PID, role=role, **{**defaults, **changes})


def crowd(**changes):
    """Forty equal children that have just been born."""
    defaults = {
        "label": "shop worker",
        "role": "worker",
        "parent_pid": PID,
        "processes": 40,
        "finding": "many-processes",
        "rss_bytes": mib(620),
        "average_bytes": mib(15.5),
        "largest_bytes": mib(15.6),
        "births": 40,
        "deaths": 0,
        "change_bytes": mib(620),
        "born_bytes": mib(620),
        "comes_and_goes": True,
        "parent_role": "main",
    }
    return Crowd(**{**defaults, **changes})


def room(**changes):
    """A cgroup in MiB; without a limit."""
    sizes = {k: mib(v) for k, v in changes.items() if k.endswith("_bytes") and v is not None}
    return Room(**{"path": "/shop", "seconds": 30.0, **changes, **sizes})


def evidence(first=None, last=None, *, apart=30.0, **changes):
    """A process that was looked at twice, `apart` in seconds; parts in MiB."""
    settings = changes.pop("settings", {})
    counts = changes.pop("counts", (None, None))
    before = None if first is None else memory(NOW - apart, first, **settings)
    after = None if last is None else memory(NOW, last, **settings)
    rise = (after.rss_bytes - before.rss_bytes) / MIB if before and after else 0.0
    seen = watch(rise, apart)
    defaults = {"subject": subject(), "watch": seen, "first": before, "last": after}
    kinds = [
        None if one is None else types(at, **one)
        for at, one in zip((NOW - apart, NOW), counts, strict=True)
    ]
    found = Evidence(NOW, **{**defaults, **changes})
    if found.first_types is None and kinds[0] is not None:
        found = replace(found, first_types=kinds[0], last_types=kinds[1])
    return found


def flat(native=0.4):
    """Two counts between which nothing came."""
    one = {"native": native, "bytes": (900, 1.2), "dict": (3000, 1.1)}
    return one, one


def many(native=(0.4, 0.4), **kinds):
    """Two counts; of each kind ((count, MiB), (count, MiB))."""
    return tuple(
        {"native": native[side], **{name: pair[side] for name, pair in kinds.items()}}
        for side in (0, 1)
    )


WORKER = subject(
    "worker",
    framework="multiprocessing",
    forked=True,
    command="python -c from multiprocessing.forkserver import main; main(9, 10, [])",
)
SEEN = {
    "fragment": evidence(
        {"in_use": 12.4, "trapped": 4.7, "trimmable": 0.1, "top": 1.6},
        {"in_use": 38.5, "trapped": 21.6, "trimmable": 0.1, "top": 1.2},
        settings={"arenas": 16, "trim_would_return_bytes": 102400},
        counts=many(native=(2.5, 2.5), bytes=((7000, 11.0), (23896, 37.3)), list=((90, 0.1),) * 2),
    ),
    "fragment later": evidence(
        {"in_use": 66.0, "trapped": 39.5, "trimmable": 0.1, "top": 1.5},
        {"in_use": 91.0, "trapped": 45.8, "trimmable": 0.2, "top": 1.7},
        settings={"arenas": 16, "trim_would_return_bytes": 253952},
        counts=many(native=(2.6, 2.2), bytes=((40000, 66.0), (55360, 91.7))),
    ),
    "objects": evidence(
        {"in_use": 6.1, "objects": 4.6},
        {"in_use": 19.7, "objects": 7.3, "trapped": 0.1, "big": 0.6},
        counts=many(
            bytes=((6200, 5.4), (21384, 19.1)),
            dict=((3000, 1.1), (8062, 2.3)),
            __main___dot_Partial=((2200, 0.1), (7261, 0.4)),
        ),
    ),
    "objects amid churn of 8 threads": evidence(
        {"in_use": 14.4, "trapped": 0.7, "trimmable": 0.3, "objects": 4.4},
        {"in_use": 37.6, "trapped": 1.2, "trimmable": 0.2, "objects": 7.8},
        settings={"arenas": 9},
        counts=many(bytes=((8200, 13.8), (22062, 38.0)), dict=((9000, 2.0), (22829, 4.4))),
    ),
    "arrays": evidence(
        {"big": 14.5, "objects": 8.1, "files": 14.7},
        {"big": 56.9, "objects": 8.1, "files": 14.7},
        counts=many(native=(0.7, 0.7), numpy_dot_ndarray=((16, 14.1), (64, 56.3))),
        watch=watch(42.4, 62.0, recent_share=0.0, largest_step_bytes=28.3),
        apart=60.0,
    ),
    "native": evidence(
        {"in_use": 7.2},
        {"in_use": 24.3},
        counts=many(native=(6.0, 23.1), bytes=((900, 1.2),) * 2, dict=((3000, 1.1),) * 2),
    ),
    "native in mappings": evidence(
        {"big": 6.2},
        {"big": 23.3},
        counts=many(native=(6.0, 23.1), bytes=((900, 1.2),) * 2, dict=((3000, 1.1),) * 2),
    ),
    "retention in the heap": evidence(
        {"in_use": 4.9, "trimmable": 74.9, "objects": 7.3, "files": 10.0},
        {"in_use": 7.0, "trimmable": 42.6, "objects": 7.3, "files": 10.0, "trapped": 0.2},
        settings={"mmap_threshold_bytes": 32247808, "trim_threshold_bytes": 64495616},
        counts=many(bytes=((3000, 5.0), (3209, 7.0))),
        subject=WORKER,
        watch=watch(
            -1.9,
            45.8,
            peak_bytes=152,
            floor_bytes=62,
            rises=4,
            falls=4,
            recent_share=None,
            largest_step_bytes=40,
            largest_fall_bytes=90,
            floor_rise_bytes=0.1,
        ),
    ),
    "retention in arenas": evidence(
        {"in_use": 5.1, "trimmable": 33.0, "top": 166.0, "objects": 7.3, "files": 10.0},
        {"in_use": 7.1, "trimmable": 8.7, "top": 259.1, "objects": 7.3, "files": 10.0},
        settings={"arenas": 13, "mmap_threshold_bytes": 32247808},
        counts=many(bytes=((3000, 5.0), (3200, 6.9))),
        subject=replace(WORKER, threads=13),
        watch=watch(115, 45.8, rises=6, falls=5, largest_step_bytes=62, floor_rise_bytes=60),
    ),
    "warm-up": evidence(
        {"in_use": 43.6, "objects": 9.7, "files": 13.1},
        {"in_use": 71.4, "objects": 10.3, "files": 13.4, "big": 1.0},
        counts=many(native=(0.8, 1.0), bytes=((11000, 44.0), (17806, 70.0))),
        watch=watch(35.3, 26.9, recent_share=0.08, largest_step_bytes=7),
        subject=subject(uptime_s=32.0),
    ),
    "sawtooth": evidence(
        {"in_use": 13.1, "objects": 4.6},
        {"in_use": 5.8, "objects": 4.1, "free": 1.7},
        counts=many(bytes=((5000, 13.0), (1351, 5.7)), __main___dot_Node=((3700, 0.3), (82, 0.0))),
        watch=watch(
            -12.6,
            18.0,
            peak_bytes=41.8,
            floor_bytes=17.2,
            rises=2,
            falls=2,
            largest_step_bytes=2.4,
            largest_fall_bytes=24.5,
            floor_rise_bytes=0.1,
        ),
    ),
    "mapped files": evidence({"shared": 9.0}, {"shared": 34.0}, counts=flat()),
    "held segments": replace(
        evidence({"shared": 9.0}, {"shared": 34.0}, counts=flat(), subject=WORKER),
        last=memory(NOW, {"shared": 34.0}, shmem_bytes=mib(25)),
    ),
    "segments that nobody holds": evidence(
        {}, {}, counts=flat(), room=room(shm_bytes=45, shm_change_bytes=25)
    ),
    "threads": evidence(
        {"in_use": 1.7, "objects": 3.6, "stacks": 1.5},
        {"in_use": 2.6, "objects": 4.5, "stacks": 6.5},
        counts=many(native=(0.5, 1.1), collections_dot_deque=((147, 0.1), (557, 0.4))),
        subject=subject(threads=556, first_threads=147),
    ),
    "huge pages": evidence({"bloat": 64.0}, {"bloat": 224.0}, counts=flat()),
    "forked": evidence(
        {"objects": 113.2, "files": 4.4, "big": 3.3},
        {"objects": 113.2, "files": 4.4, "big": 3.3},
        counts=flat(),
        subject=WORKER,
    ),
    "many processes": evidence(
        {}, {}, counts=flat(), crowd=crowd(), tree_processes=41, tree_change_bytes=mib(620)
    ),
}
# A dictionary that gets an entry all the time doubles its table now and then.
SEEN["a table that doubles"] = evidence(
    {"objects": 4.7, "big": 1.5},
    {"objects": 13.5, "big": 10.2},
    counts=many(
        native=(1.1, 1.1), dict=((1724, 2.0), (1724, 10.8)), int=((35558, 1.1), (322561, 9.8))
    ),
    subject=subject(uptime_s=33.0),
    watch=watch(
        16.6,
        30.0,
        recent_share=0.128,
        largest_step_bytes=5.16,
        quarters=(0.33, 0.13, 0.41, 0.13),
        still_s=0.0,
        pause_s=3.0,
    ),
)
# Garbage that somebody collects, within pages that malloc has kept since the first seconds.
SEEN["garbage in kept pages"] = evidence(
    {"in_use": 40.4, "objects": 2.3},
    {"in_use": 26.1, "objects": 2.1, "trimmable": 44.7, "free": 0.4},
    counts=many(native=(1.1, 0.5), bytearray=((2044, 39.1), (1350, 25.9))),
    subject=subject(uptime_s=33.0),
    watch=watch(
        42.1,
        30.0,
        trend="steady",
        recent_share=0.0,
        largest_step_bytes=5.8,
        quarters=(1.0, 0.0, 0.0, 0.0),
        still_s=26.5,
        pause_s=0.5,
    ),
)
SEEN["forked"] = replace(
    SEEN["forked"],
    first=replace(SEEN["forked"].first, shared={"python_objects": mib(103), "files": mib(4.2)}),
    last=replace(SEEN["forked"].last, shared={"python_objects": mib(74), "files": mib(4.2)}),
)
# Not measured at a process, but made to be plain.
MADE = {
    "free blocks in pools": evidence(
        {"objects": 30.0, "free": 4.0},
        {"objects": 31.0, "free": 44.0},
        counts=many(str=((90000, 8.0), (91000, 9.0))),
    ),
    "free blocks that stay": evidence(
        {"objects": 30.0, "free": 60.0}, {"objects": 30.0, "free": 60.0}, counts=flat()
    ),
    "unknown blocks": evidence(
        {"big": 10.0}, {"big": 50.0}, subject=subject(role=None, python="3.11.7")
    ),
    "one that fits": evidence(
        {},
        {},
        counts=flat(),
        crowd=crowd(processes=1, finding="steady", births=3, born_bytes=0, change_bytes=0),
        room=room(
            limit_bytes=704,
            taken_bytes=80,
            worst_child_bytes=512,
            worst_child_from="RLIMIT_AS",
            children=1,
            fits_more=0,
            fits_total=1,
            capacity_warns=True,
        ),
    ),
    "cache of the cgroup": evidence(
        {},
        {},
        counts=flat(),
        room=room(
            limit_bytes=512, current_change_bytes=60, file_change_bytes=58, anon_change_bytes=0.2
        ),
    ),
    "steady": evidence({}, {}, counts=flat(), watch=watch(0.1, 60.0, trend="steady")),
    "the incident": evidence(
        {
            "objects": 168.0,
            "in_use": 165.0,
            "trapped": 258.0,
            "trimmable": 5.0,
            "top": 6.0,
            "big": 96.0,
            "files": 78.0,
        },
        {
            "objects": 170.0,
            "in_use": 173.0,
            "trapped": 308.0,
            "trimmable": 5.0,
            "top": 6.0,
            "big": 96.0,
            "files": 78.0,
        },
        settings={"arenas": 13, "trim_would_return_bytes": mib(6)},
        counts=many(native=(80.0, 86.0), bytes=((50000, 200.0), (50900, 202.0))),
        subject=replace(WORKER, threads=31),
        watch=watch(60, 590.0, trend="leak-like", since_s=1320.0),
        apart=590.0,
    ),
}
