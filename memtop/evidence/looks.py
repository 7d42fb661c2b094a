"""An anatomy, a count of objects, the result of an action: as a diagnosis takes them.

Pure: one value is made of another. Sizes in bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from memtop.anatomy.objects import Objects
from memtop.anatomy.result import Anatomy, Missing
from memtop.diagnosis.evidence import Done, Holder, Kind, Memory, Types
from memtop.diagnosis.finding import Lack

DONE = ("done", "returned", "nothing_to_return")  # outcomes of what was carried out
KEYS = {"anatomy": "a", "census": "o"}


class Generation(Protocol):
    """What one generation of the garbage collector gave."""

    @property
    def collected(self) -> int: ...


class Acted(Protocol):
    """What became of an action (actions.result)."""

    @property
    def action(self) -> str: ...
    @property
    def at(self) -> float: ...
    @property
    def outcome(self) -> str: ...
    @property
    def returned_bytes(self) -> int | None: ...
    @property
    def generations(self) -> Sequence[Generation]: ...


def memory_of(anatomy: Anatomy, shmem_bytes: int | None = None) -> Memory:
    """What RSS was made of; `shmem_bytes` is RssShmem at that moment."""
    parts: dict[str, int] = {}
    shared: dict[str, int] = {}
    for part in anatomy.parts:
        parts[part.id] = parts.get(part.id, 0) + part.bytes
        if part.shared_bytes is not None:
            shared[part.id] = shared.get(part.id, 0) + part.shared_bytes
    settings, big = anatomy.settings, anatomy.big_blocks
    return Memory(
        taken_at=anatomy.taken_at,
        rss_bytes=anatomy.rss_bytes,
        explained_bytes=anatomy.explained_bytes,
        parts=parts,
        shared=shared,
        confidence=anatomy.confidence,
        arenas=len(anatomy.arenas),
        allocator=anatomy.allocator,
        provider=anatomy.provider,
        arena_max=settings and settings.arena_max,
        mmap_threshold_bytes=settings and settings.mmap_threshold_bytes,
        trim_threshold_bytes=settings and settings.trim_threshold_bytes,
        threshold_is_fixed=settings and settings.is_fixed,
        trim_would_return_bytes=anatomy.trim_would_return_bytes,
        big_blocks=None if big is None else big.count,
        swapped_bytes=anatomy.swapped_bytes,
        shmem_bytes=shmem_bytes,
    )


def types_of(objects: Objects) -> Types:
    """Python's objects by type."""
    full = _full_names(one.name for one in objects.types)
    return Types(
        taken_at=objects.taken_at,
        source=objects.source,
        kinds=tuple(Kind(one.name, one.count, one.all_bytes) for one in objects.types),
        bytes=objects.bytes,
        error=(objects.error or 0.0) if objects.sampled else 0.0,
        native_bytes=_native(objects),
        big_blocks=tuple(
            Holder(full.get(one.type, one.type), one.detail or "", one.count, one.bytes)
            for one in objects.big_blocks
        ),
        containers=tuple(Holder(one.name, one.kind, one.length) for one in objects.containers),
        tasks=sum(one.count for one in objects.tasks) if objects.source == "snapshot" else None,
        garbage=objects.garbage,
    )


def _full_names(names: Iterable[str]) -> dict[str, str]:
    """`numpy.ndarray` by `ndarray`, as far as there is one of the name only."""
    found: dict[str, str | None] = {}
    for name in names:
        short = name.rpartition(".")[2]
        found[short] = None if short in found else name
    return {short: name for short, name in found.items() if name is not None}


def done_of(results: Iterable[Acted]) -> tuple[Done, ...]:
    """What was carried out in the process; what was refused or failed tells nothing."""
    return tuple(
        Done(
            one.action,
            one.at,
            one.returned_bytes or 0,
            sum(each.collected for each in one.generations) if one.generations else None,
        )
        for one in results
        if one.action in ("trim", "gc") and one.outcome in DONE
    )


def lack_of(missing: Missing, verb: str) -> Lack:
    """What a look could not tell; `verb` is the command, and the key of the screen, that would."""
    return Lack(missing.what, missing.reason, KEYS.get(verb), missing.command)


def _native(objects: Objects) -> int | None:
    """Of malloc's memory in use, and of the big blocks, what no object of Python owns."""
    pairs = (
        (objects.malloc_in_use_bytes, objects.malloc_in_use_python_bytes),
        (objects.big_blocks_bytes, objects.big_blocks_python_bytes),
    )
    total = 0
    for whole, python in pairs:
        if whole is None or python is None:
            return None
        total += max(0, whole - python)
    return total
