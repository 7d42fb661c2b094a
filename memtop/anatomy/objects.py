"""Python's objects by type: values for the screen, the JSON, the diagnosis; from either source.

A census reads them from outside, and counts what lies in memory; a snapshot asks the interpreter,
and knows what the collector tracks and names. Bytes of a census are those of the blocks that the
objects take, of a snapshot what sys.getsizeof says. None is not known, and then `missing` says why.
Sizes are bytes, times seconds.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Literal

from memtop.anatomy.result import Missing
from memtop.probe.sample import Identity

Source = Literal["census", "snapshot"]
_Key = tuple[str, str | None]  # a type and its module
_TRACKED_AT_TIMES = {("dict", "builtins"), ("tuple", "builtins")}


@dataclass(frozen=True, slots=True)
class TypeCount:
    """One type. `buffer_bytes`: memory that its objects own beside themselves (list items, dict
    tables, arrays), 0 if it has none; `module` None if that is not known. `error`: how far off it
    may be, a share; None if only that of all is known (Objects)."""

    type: str
    module: str | None
    count: int
    bytes: int
    buffer_bytes: int = 0
    error: float | None = None

    @property
    def name(self) -> str:
        """With its module, unless that is builtins."""
        return self.type if self.module in (None, "builtins") else f"{self.module}.{self.type}"

    @property
    def all_bytes(self) -> int:
        """The objects and what they own."""
        return self.bytes + self.buffer_bytes


@dataclass(frozen=True, slots=True)
class Owner:
    """Big blocks by whose they are: a type, with `detail` (dtype and shape of arrays), or
    `native or unknown`."""

    type: str
    detail: str | None
    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Container:
    """A container at the top of a module: `tracker.main.pending`, `dict`, how many it has."""

    name: str
    kind: str
    length: int


@dataclass(frozen=True, slots=True)
class Task:
    """asyncio tasks of one coroutine in one state (`pending`, `done`, `cancelled`)."""

    coroutine: str
    state: str
    count: int


@dataclass(frozen=True, slots=True)
class Objects:
    """One census or snapshot; types are ordered by bytes, the largest first.

    `coverage`: the share of Python's memory that was looked at; counts are scaled up if it was
    `sampled`. `error`: how far off a scaled count of a main type may be, a share. `cut`: the time
    was over before everything was looked at. `python_bytes` and `big_blocks_python_bytes`: how much
    of malloc's memory in use, and of the big blocks, objects of Python take; the rest is native.
    `gil_s`: for how long the interpreter was held (snapshot); `held_us`: one thread.
    `tracked_only`: what the collector does not track (str, bytes, many dicts) was not counted.
    """

    identity: Identity
    name: str
    taken_at: float
    seconds: float
    source: Source
    types: tuple[TypeCount, ...]
    python: str | None = None
    sampled: bool = False
    coverage: float = 1.0
    error: float | None = None
    cut: bool = False
    malloc_in_use_python_bytes: int | None = None
    big_blocks_python_bytes: int | None = None
    malloc_in_use_bytes: int | None = None
    big_blocks_bytes: int | None = None
    big_blocks: tuple[Owner, ...] = ()
    containers: tuple[Container, ...] = ()
    tasks: tuple[Task, ...] = ()
    threads: tuple[str, ...] = ()
    gc_counts: tuple[int, ...] = ()
    gc_thresholds: tuple[int, ...] = ()
    garbage: int | None = None
    is_tracing: bool | None = None
    gil_s: float | None = None
    held_us: float | None = None
    tracked_only: bool = False
    missing: tuple[Missing, ...] = ()

    @property
    def count(self) -> int:
        """All objects."""
        return sum(one.count for one in self.types)

    @property
    def bytes(self) -> int:
        """Of all objects, and what they own."""
        return sum(one.all_bytes for one in self.types)


@dataclass(frozen=True, slots=True)
class TypeChange:
    """How a type changed: signed; `per_minute` of its bytes. `error`: how far off both figures may
    be together, a share of the larger one; what changed by less may be no change."""

    type: str
    module: str | None
    count: int
    bytes: int
    per_minute: float
    error: float = 0.0


@dataclass(frozen=True, slots=True)
class ContainerChange:
    """How the length of a container changed."""

    name: str
    kind: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class OwnerChange:
    """How the big blocks of an owner changed: signed."""

    type: str
    detail: str | None
    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Growth:
    """What changed between two of the same source; the largest change of bytes first.

    `containers`: those that are longer than before, the longest change first. `native_bytes`: of
    malloc's memory in use what no object owns, None if that is not known of both. `error`: how far
    off both scaled counts of a main type may be, a share; 0 if neither was sampled.
    """

    since_at: float
    seconds: float
    types: tuple[TypeChange, ...]
    containers: tuple[ContainerChange, ...] = ()
    big_blocks: tuple[OwnerChange, ...] = ()
    native_bytes: int | None = None
    error: float = 0.0

    @property
    def bytes(self) -> int:
        """Of all types together."""
        return sum(one.bytes for one in self.types)


def compare(before: Objects, after: Objects) -> Growth | None:
    """What grew from one to a later one; None if they are not of one source.

    Of two processes the types are compared all the same: workers of one kind, before and after.
    Types that only one of the two has counted are left out.
    """
    seconds = after.taken_at - before.taken_at
    if before.source != after.source or seconds <= 0:
        return None
    old = {(one.type, one.module): one for one in before.types}
    new = {(one.type, one.module): one for one in after.types}
    _align(old, new)
    _align(new, old)
    nothing = TypeCount("", None, 0, 0)
    changes = []
    for key in _counted_in_both(before, after, old.keys(), new.keys()):
        first, last = old.get(key, nothing), new.get(key, nothing)
        size = last.all_bytes - first.all_bytes
        error = _error(first, before) + _error(last, after)
        changes.append(TypeChange(*key, last.count - first.count, size, size * 60 / seconds, error))
    changes.sort(key=lambda one: (-abs(one.bytes), one.type, one.module or ""))
    lengths = {one.name: one for one in before.containers}
    longer = [
        ContainerChange(one.name, one.kind, lengths[one.name].length, one.length)
        for one in after.containers
        if one.name in lengths and one.length > lengths[one.name].length
    ]
    longer.sort(key=lambda one: one.before - one.after)
    return Growth(
        before.taken_at,
        seconds,
        tuple(changes),
        tuple(longer),
        _owners(before, after),
        _difference(_native(before), _native(after)),
        sum(one.error or 0.0 for one in (before, after) if one.sampled),
    )


def _counted_in_both(before: Objects, after: Objects, old: Set[_Key], new: Set[_Key]) -> Set[_Key]:
    """The types of both; of which those that the collector tracks at times only, or never, are left
    out if one of the two has not counted such objects."""
    if before.tracked_only == after.tracked_only:
        return old | new
    return (old if before.tracked_only else new) - _TRACKED_AT_TIMES


def _error(one: TypeCount, objects: Objects) -> float:
    """How far off a count may be, a share."""
    if not objects.sampled:
        return 0.0
    return (one.error if one.error is not None else objects.error) or 0.0


def _align(some: dict[_Key, TypeCount], others: dict[_Key, TypeCount]) -> None:
    """Give types whose module is not known that of the others' type of this name, if these have
    only one that is not here: of types that are small the module is not looked up.
    """
    lacking = [key for key in some if key[1] is None and key not in others]
    if not lacking:
        return
    named: dict[str, list[_Key]] = {}
    for key in others:
        if key not in some:
            named.setdefault(key[0], []).append(key)
    for key in lacking:
        found = named.get(key[0], [])
        if len(found) == 1 and not any(one[0] == key[0] for one in some if one != key):
            some[found[0]] = some.pop(key)


def _owners(before: Objects, after: Objects) -> tuple[OwnerChange, ...]:
    """How the owners of big blocks changed; those that did not are left out."""
    old = {(one.type, one.detail): one for one in before.big_blocks}
    new = {(one.type, one.detail): one for one in after.big_blocks}
    changes = []
    for key in old.keys() | new.keys():
        first, last = old.get(key, Owner(*key, 0, 0)), new.get(key, Owner(*key, 0, 0))
        change = OwnerChange(*key, last.count - first.count, last.bytes - first.bytes)
        if change.count or change.bytes:
            changes.append(change)
    changes.sort(key=lambda one: (-abs(one.bytes), one.type, one.detail or ""))
    return tuple(changes)


def _native(objects: Objects) -> int | None:
    """What of malloc's memory in use no object owns; None if that is not known."""
    used, python = objects.malloc_in_use_bytes, objects.malloc_in_use_python_bytes
    return None if used is None or python is None else used - python


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before
