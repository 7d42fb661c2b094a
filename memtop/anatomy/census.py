"""A census: Python's objects by type, counted from outside in the memory of a live process.

Everything is counted, or a sample that stands for it; what was found is added up here. The process
is neither stopped nor written to, and nothing of it is faulted in. Sizes are bytes, times seconds.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable

from memtop.anatomy.anatomy import Pace, expect, no_right
from memtop.anatomy.buffers import Counts
from memtop.anatomy.counting import Counting
from memtop.anatomy.layout import Layout, layout_of
from memtop.anatomy.objects import Objects, TypeCount
from memtop.anatomy.sampling import Spread
from memtop.anatomy.subject import Subject
from memtop.anatomy.types import Types
from memtop.errors import MemtopError, NoSuchProcess
from memtop.probe.parse import kib_of
from memtop.probe.sample import Identity
from memtop.target.python import Python

_NAMED = 1000  # types whose module is looked up
# Main types, of which it is said how far off they may be, have this share of all objects, or of
# the bytes of their blocks.
_MAIN, _LARGE = 0.01, 0.05
_Spreads = tuple[Spread, Spread]  # of numbers and of bytes


def take_census(
    identity: Identity,
    *,
    name: str = "",
    root: str = "/proc",
    full: bool = False,
    budget_s: float | None = None,
    watch: Callable[[int, int], None] | None = None,
    cancel: threading.Event | None = None,
) -> Objects:
    """Objects by type, now. A sample if there are more than 4,096 pools, unless `full`.

    `budget_s` bounds the time: of the pools what was not looked at until then is concluded from
    the rest, and the answer says so; the blocks of malloc are always walked through. `watch` and
    `cancel` as for an anatomy. NoSuchProcess if the process has ended; Denied without the right to
    read its memory; MemtopError if it runs no CPython, or one whose objects cannot be counted.
    """
    begin, taken_at = time.monotonic(), time.time()
    status = expect(identity, root)
    pace = Pace((kib_of(status, "RssAnon") or 0) * 1024, watch, cancel)
    try:
        with Subject(identity.pid, root=root, step=pace.step) as subject:
            until = None if budget_s is None else begin + budget_s
            python, layout = _expect_python(subject)
            memory = sum(kib_of(status, field) or 0 for field in ("VmRSS", "VmSwap")) * 1024
            counting = Counting(
                subject, python, layout, pace, full=full, until=until, memory_bytes=memory
            )
            counting.run()
            made = _objects(
                counting, python, identity, name or status.get("Name", ""), taken_at, begin
            )
            subject.expect_alive()
    except PermissionError:
        raise no_right(identity, root, "memory", "census") from None
    except (ProcessLookupError, FileNotFoundError):
        raise NoSuchProcess(
            f"{identity.pid} has ended, or has become another program, while it was read"
        ) from None
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise MemtopError(f"{identity.pid} cannot be read: {why}") from error
    expect(identity, root)
    return made


def _expect_python(subject: Subject) -> tuple[Python, Layout]:
    """The interpreter and how its objects lie; MemtopError if its objects cannot be counted."""
    python = subject.find_python()
    if python is None:
        raise MemtopError(f"{subject.pid} runs no CPython")
    if python.is_free_threaded:
        raise MemtopError(
            f"{subject.pid} runs a free-threaded Python, which keeps its objects in mimalloc: that"
            " is not read"
        )
    if python.version is None:
        raise MemtopError(f"the version of the Python in {subject.pid} is not known")
    layout = layout_of(python.version)
    if layout is None:
        raise MemtopError(f"objects of Python {python.text} are not known")
    return python, layout


def _objects(
    counting: Counting, python: Python, identity: Identity, name: str, taken_at: float, begin: float
) -> Objects:
    """What was found."""
    used, seen = counting.strata.used, Counter[int]()
    for blocks in counting.seen:
        seen.update(blocks)
    is_whole = not counting.is_sampled and not counting.is_cut
    total = _Total(counting.apart)
    for group in counting.groups:
        for size, counts in group.items():
            total.add(counts, 1.0 if is_whole else used[size] / max(1, seen[size]))
    all_bytes = sum(size * count for size, count in used.items())
    seen_bytes = sum(size * min(count, used[size]) for size, count in seen.items())
    coverage = 1.0 if is_whole or not all_bytes else min(1.0, seen_bytes / all_bytes)
    sizes = {address: counting.buffers.sizes(address) for address in total.asked}
    buffers = total.buffers
    in_malloc: float = counting.in_chunks_bytes + sum(total.in_malloc.values())
    for address, (average, large) in sizes.items():
        buffers[address] += total.asked[address] * average
        in_malloc += total.asked[address] * large
    big = 0
    for address, size, is_big, is_inside in counting.large.owned():
        if is_big:
            big += size
        if is_inside:
            total.bytes[address] += size if is_big else 0
        else:
            buffers[address] += size
            in_malloc += 0 if is_big else size
    spreads = None if is_whole else _spreads(counting)
    types, names = _rows(counting.types, total, spreads)
    return Objects(
        identity=identity,
        name=name,
        taken_at=taken_at,
        seconds=time.monotonic() - begin,
        source="census",
        types=types,
        python=python.text,
        sampled=counting.is_sampled or counting.is_cut,
        coverage=coverage,
        error=None if spreads is None else _error(spreads, total),
        cut=counting.is_cut,
        malloc_in_use_python_bytes=round(min(in_malloc, counting.in_use_bytes))
        if counting.is_glibc
        else None,
        big_blocks_python_bytes=big if counting.is_glibc else None,
        malloc_in_use_bytes=counting.in_use_bytes if counting.is_glibc else None,
        big_blocks_bytes=counting.large.big_bytes if counting.is_glibc else None,
        big_blocks=counting.large.rows(names),
        missing=tuple(counting.missing),
    )


def _spreads(counting: Counting) -> _Spreads:
    """How far off numbers of objects, and their bytes, may be."""
    number, volume = (Spread(counting.seen, counting.strata.used) for _ in range(2))
    for size in {size for group in counting.groups for size in group}:
        found = [group.get(size) or Counts() for group in counting.groups]
        number.add(size, [one.objects for one in found])
        volume.add(size, [one.bytes for one in found])
    return number, volume


def _error(spreads: _Spreads, total: _Total) -> float:
    """How far off a main type may be, a share."""
    number, volume = spreads
    return max(number.worst(total.objects, _MAIN), volume.worst(total.bytes, _LARGE))


def _rows(
    types: Types, total: _Total, spreads: _Spreads | None
) -> tuple[tuple[TypeCount, ...], dict[int, str]]:
    """The types, and the names of all by address."""
    every = sorted(
        total.objects, key=lambda one: total.bytes[one] + total.buffers[one], reverse=True
    )
    rows: dict[tuple[str, str | None], list[int]] = {}
    names: dict[int, str] = {}
    for number, address in enumerate(every):
        name, module = types.described(address, look_up=number < _NAMED)
        names[address] = name
        rows.setdefault((name, module), []).append(address)
    found = []
    for key, theirs in rows.items():
        count, size, buffers = (
            sum(own[address] for address in theirs)
            for own in (total.objects, total.bytes, total.buffers)
        )
        error = None
        if spreads is not None:
            error = max(spreads[0].off(theirs, count), spreads[1].off(theirs, size))
        found.append(TypeCount(*key, round(count), round(size), round(buffers), error))
    return tuple(sorted(found, key=lambda one: (-one.all_bytes, one.name))), names


class _Total:
    """Sums over everything, scaled, by address of the type."""

    def __init__(self, first: Counts) -> None:
        self.objects: dict[int, float] = defaultdict(float)
        self.bytes: dict[int, float] = defaultdict(float)
        self.buffers: dict[int, float] = defaultdict(float)
        self.in_malloc: dict[int, float] = defaultdict(float)
        self.asked: dict[int, float] = defaultdict(float)
        self.add(first, 1.0)

    def add(self, counts: Counts, scale: float) -> None:
        """Add what was counted, so many times."""
        for own, found in (
            (self.objects, counts.objects),
            (self.bytes, counts.bytes),
            (self.buffers, counts.buffers),
            (self.in_malloc, counts.in_malloc),
            (self.asked, counts.asked),
        ):
            for address, value in found.items():
                own[address] += value * scale
