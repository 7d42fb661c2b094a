"""The table of causes: for each what must hold, and how strongly it speaks for the cause.

A row gives 0 to 1 from the figures alone; rows of one cause do not add up, the strongest counts.
How good the evidence is (how long, how much, how exact) is weighed in `quality`, what causes say
about each other in `ranking`. To check a row: the first number is where it begins to speak, the
second where it is full.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from memtop.diagnosis.figures import Figures, finite, ramp
from memtop.diagnosis.finding import Cause
from memtop.diagnosis.words import MIB

Weigh = Callable[[Figures], float]


# A rise between two looks, the two looks alone, one look, or what is seen from outside.
Needs = Literal["rise", "looks", "look", "outside"]


class Rule(NamedTuple):
    """One row. By what it `needs` its evidence is weighed."""

    id: str
    cause: Cause
    needs: Needs
    weigh: Weigh


def _came(*kinds: str, begin: float, full: float, top: float = 0.95) -> Weigh:
    """So much of what came between the looks is of these kinds."""
    return lambda f: top * ramp(f.share(*kinds), begin, full)


def _held(*kinds: str, begin: float, full: float, least: int, top: float = 0.85) -> Weigh:
    """So much of RSS is of these kinds, and at least so many bytes."""

    def weigh(f: Figures) -> float:
        return top * ramp(f.held_share(*kinds), begin, full) if f.held(*kinds) >= least else 0.0

    return weigh


def _trapped_came(f: Figures) -> float:
    """What only leaks leaves hardly any holes: 0 to 3 % of a rise and of the arenas (measured).

    So they are the cause long before they are the larger part: what fits no hole makes new ones.
    """
    holes = f.held("trapped") / max(1, f.arena_bytes)
    return 0.95 * ramp(f.share("trapped"), 0.08, 0.2) * ramp(holes, 0.12, 0.28)


def _objects_came(f: Figures) -> float:
    return 0.95 * ramp(f.share("objects"), 0.2, 0.8) if f.is_python else 0.0


def _objects_in_steps(f: Figures) -> float:
    """It grew in steps before the first look, and objects are what it is made of."""
    return 0.65 * ramp(f.held_share("objects"), 0.4, 0.7) if f.trend == "steps" else 0.0


def _native_came(f: Figures) -> float:
    return 0.92 * ramp(f.share("native"), 0.3, 0.8) if f.owners_are_known else 0.0


def _unnamed_came(f: Figures) -> float:
    """Anonymous memory that no allocator and no Python has: mapped by a library itself."""
    return 0.66 * ramp(f.share("other"), 0.5, 0.9)


def _big_blocks_came(f: Figures) -> float:
    """Blocks with a mapping of their own, and nobody knows whose."""
    if f.owners_are_known or f.all_that_came <= 0:
        return 0.0
    return 0.75 * ramp(f.big_came / f.all_that_came, 0.3, 0.8)


def _big_blocks_held(f: Figures) -> float:
    if f.last is None or not f.last.rss_bytes:
        return 0.0
    return 0.4 * ramp(f.last.of("big_blocks") / f.last.rss_bytes, 0.4, 0.8)


def _stacks_came(f: Figures) -> float:
    """A thread costs its stack and little more, so many new ones are a cause at a small share."""
    before, now = f.evidence.subject.first_threads, f.evidence.subject.threads
    if before is None or now is None:
        return 0.9 * ramp(f.share("stacks"), 0.2, 0.5)
    born = now - before
    if born < max(8, before // 5):
        return 0.5 * ramp(f.share("stacks"), 0.3, 0.6)
    return 0.92 * ramp(f.share("stacks"), 0.05, 0.25)


def _pools_are_empty(f: Figures) -> float:
    """Free blocks in Python's pools, against what is in use there (sys._debugmallocstats)."""
    free, used = f.held("pymalloc_free"), f.last.of("python_objects") if f.last else 0
    if free < 8 * MIB:
        return 0.0
    return (
        0.85
        * ramp(free / max(1, free + used), 0.3, 0.6)
        * ramp(f.held_share("pymalloc_free"), 0.1, 0.3)
    )


def _files_fill_the_cgroup(f: Figures) -> float:
    """The kernel's cache is charged to a cgroup and is in nobody's RSS (cgroup-v2, memory.stat).

    Without a limit it is no news. What the process takes itself weighs more: that stays.
    """
    room = f.evidence.room
    if room is None or room.limit_bytes is None or (room.file_change_bytes or 0) < 4 * MIB:
        return 0.0
    came = room.file_change_bytes or 0
    own = max(0, (f.change_bytes or 0) - max(0, f.came.get("files", 0)))
    whole = max(room.current_change_bytes or 0, came + 3 * own)
    return 0.88 * ramp(came / whole, 0.4, 0.8)


def _shm_fills(f: Figures) -> float:
    """Pages of tmpfs belong to their file: in nobody's RSS once they are unmapped (tmpfs(5))."""
    room = f.evidence.room
    if room is None:
        return 0.0
    came = max(room.shmem_change_bytes or 0, room.shm_change_bytes or 0)
    if came < 2 * MIB:
        return 0.0
    own = max(0, (f.change_bytes or 0) - max(0, f.came.get("shared", 0)))
    return 0.88 * ramp(came / (came + own), 0.3, 0.7)


def _shared_pages_fall(f: Figures) -> float:
    """RSS stays, but pages that it had in common with its parent are its own now."""
    if not f.evidence.subject.forked or f.rises or f.unshared_bytes < 4 * MIB:
        return 0.0
    return 0.85 * ramp(f.unshared_bytes / max(1, f.rss_bytes), 0.03, 0.1)


def _many_are_there(f: Figures) -> float:
    """The group's finding: none grows, all are alike, many were born or they fill the limit."""
    crowd = f.evidence.crowd
    if crowd is None or crowd.finding != "many-processes":
        return 0.0
    if crowd.born_bytes > 0:
        return 0.9 if crowd.births >= crowd.processes / 2 else 0.75
    return 0.7 if crowd.comes_and_goes else 0.55  # nobody came: a pool at rest, perhaps


def _many_were_born(f: Figures) -> float:
    """Births make the rise of the sum, even where they are few or differ in size."""
    crowd = f.evidence.crowd
    if crowd is None or crowd.processes < 3 or crowd.births < 3 or crowd.growing:
        return 0.0
    came = crowd.born_bytes + max(0, crowd.grown_bytes)
    if crowd.born_bytes < 16 * MIB or crowd.change_bytes < crowd.born_bytes / 2:
        return 0.0  # as many have gone: they come and go
    return 0.85 * ramp(crowd.born_bytes / came, 0.5, 0.85) * ramp(crowd.processes, 1, 8)


def _no_more_fit(f: Figures) -> float:
    """The arithmetic of the limit: what is there, and a child's worst case (getrlimit(2))."""
    room = f.evidence.room
    if room is None or room.limit_bytes is None or room.worst_child_bytes is None:
        return 0.0
    crowd = f.evidence.crowd
    there_will_be_more = room.worst_child_from == "RLIMIT_AS" or (
        crowd is not None and crowd.comes_and_goes
    )
    if room.capacity_warns:
        return 0.92 if room.oom_kills_seen else 0.85
    if not there_will_be_more or room.fits_total is None:
        return 0.0
    if room.oom_kills_seen or room.oom_kills:
        return 0.85
    return 0.75 if room.fits_total <= 1 else 0.35 if (room.fits_more or 0) <= 1 else 0.0


def _bends_over(f: Figures) -> float:
    uptime_s = finite(f.evidence.subject.uptime_s)
    is_old = uptime_s is not None and uptime_s > max(3600.0, 10 * f.watched_s)
    return (0.88 if f.trend == "warm-up" else 0.55 if is_old else 0.76) * f.slowing


def _falls_back(f: Figures) -> float:
    """It falls by most of what it rose, and its floor is no higher in the second half."""
    watch, swing = f.evidence.watch, f.swing_bytes
    if watch is None or f.trend == "leak-like" or not swing:
        return 0.0
    large = ramp(swing, max(2 * MIB, 0.04 * f.rss_bytes), max(5 * MIB, 0.1 * f.rss_bytes))
    if f.trend == "sawtooth":
        return 0.85 * max(0.5, large)
    if not watch.falls or not watch.rises:
        return 0.0
    guess = 0.6 if watch.falls >= 2 else 0.4
    deep = guess if watch.largest_fall_bytes is None else watch.largest_fall_bytes / swing
    came = watch.change_bytes if watch.floor_rise_bytes is None else watch.floor_rise_bytes
    level = 1.0 - ramp(came / swing, 0.15, 0.4)
    return (0.8 if watch.falls >= 2 else 0.65) * large * ramp(deep, 0.3, 0.6) * level


def _stays(f: Figures) -> float:
    watch = f.evidence.watch
    if watch is None or not f.is_alive or f.trend in ("leak-like", "rising"):
        return 0.0
    much = f.noise_bytes * (2 if f.trend == "steady" else 1)
    calm = 1.0 - ramp(watch.change_bytes, 0.7 * much, 1.5 * much)
    long_enough = ramp(f.watched_s, 0, 30)
    # A leak of 1 MiB a minute is within the noise of a minute.
    known = 0.85 if f.trend in ("steady", "shrinking") and f.watched_s >= 300 else 0.75
    if f.trend == "steps":
        known = 0.5  # it has grown, and may do so again
    return known * calm * long_enough


# Shares begin to speak where they cannot be an accident, and are full where nothing else can be
# the main cause. Measured: facts of the parts are exact to 1 % of RSS (see memtop/anatomy).
RULES: tuple[Rule, ...] = (
    # What came between two looks.
    Rule("objects came", "python_objects", "rise", _objects_came),
    Rule("holes came", "arena_fragmentation", "rise", _trapped_came),
    # Whole pages: free() gives back only the end of the main heap (mallopt(3), M_TRIM_THRESHOLD),
    # and the ends of other arenas not even on malloc_trim(3).
    Rule(
        "free pages came",
        "arena_retention",
        "rise",
        _came("trimmable", "tops", begin=0.2, full=0.6),
    ),
    Rule("native came", "native", "rise", _native_came),
    Rule("unnamed came", "native", "rise", _unnamed_came),
    Rule("big blocks came", "big_blocks", "rise", _big_blocks_came),
    Rule("stacks came", "thread_stacks", "rise", _stacks_came),
    # Zeros in huge pages: never written, but resident (transparent hugepage, admin-guide/mm).
    Rule(
        "zero pages came", "huge_pages", "rise", _came("huge_pages", begin=0.2, full=0.6, top=0.9)
    ),
    Rule(
        "free blocks came",
        "pymalloc_fragmentation",
        "rise",
        _came("pymalloc_free", begin=0.25, full=0.6, top=0.9),
    ),
    Rule("file pages came", "page_cache", "rise", _came("files", begin=0.35, full=0.7, top=0.9)),
    Rule("shared came", "shared_memory", "rise", _came("shared", begin=0.3, full=0.7, top=0.92)),
    Rule("shared pages became own", "copy_on_write", "looks", _shared_pages_fall),
    # What RSS is made of now, whether or not it grows.
    Rule(
        "free pages are held",
        "arena_retention",
        "look",
        _held("trimmable", "tops", begin=0.15, full=0.45, least=8 * MIB),
    ),
    Rule(
        "holes are held",
        "arena_fragmentation",
        "look",
        _held("trapped", begin=0.12, full=0.3, least=16 * MIB),
    ),
    Rule(
        "zero pages are held",
        "huge_pages",
        "look",
        _held("huge_pages", begin=0.2, full=0.5, least=32 * MIB),
    ),
    Rule(
        "stacks are held",
        "thread_stacks",
        "look",
        _held("stacks", begin=0.25, full=0.6, least=32 * MIB, top=0.7),
    ),
    Rule("free blocks are held", "pymalloc_fragmentation", "look", _pools_are_empty),
    Rule("big blocks are held", "big_blocks", "look", _big_blocks_held),
    Rule("objects came in steps", "python_objects", "look", _objects_in_steps),
    # What is around it.
    Rule("many processes", "many_processes", "outside", _many_are_there),
    Rule("births", "many_processes", "outside", _many_were_born),
    Rule("no more fit", "capacity", "outside", _no_more_fit),
    Rule("cache in the cgroup", "page_cache", "outside", _files_fill_the_cgroup),
    Rule("segments in /dev/shm", "shared_memory", "outside", _shm_fills),
    # How RSS moves.
    Rule("bends over", "warm_up", "outside", _bends_over),
    Rule("falls back", "sawtooth", "outside", _falls_back),
    Rule("stays", "steady", "outside", _stays),
)
