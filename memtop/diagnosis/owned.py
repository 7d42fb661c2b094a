"""What is said of memory in use: Python's objects, native code, big blocks."""

from __future__ import annotations

from collections.abc import Iterator

from memtop.diagnosis.evidence import Holder
from memtop.diagnosis.figures import Figures
from memtop.diagnosis.finding import Cause
from memtop.diagnosis.phrases import (
    came_of,
    grown_type,
    longer,
    main_type,
    more_tasks,
    objects_word,
    of_the_rise,
    own_class,
    pace,
    the_rest,
    type_words,
)
from memtop.diagnosis.saying import Saying, joined
from memtop.diagnosis.shares import FREED
from memtop.diagnosis.words import MIB, change, count, part_of, size

MOST = 3  # types, owners that are named
NOBODY = "native or unknown"  # the owner of big blocks that no object of Python owns


def _objects(f: Figures) -> str:
    came, kind = came_of(f, "objects"), grown_type(f)
    if came is None or not f.rises:
        held, most = part_of(f.held("objects"), f.looked_bytes), main_type(f)
        of = f"{held} are Python objects" + (f", most of them {most.name}" if most else "")
        return f"{pace(f)}: {of}"
    place = " in big mmapped blocks" if f.big_came > 0.5 * f.came["objects"] else ""
    return joined(
        f"{pace(f)}: {came} are Python objects in use{place}",
        f"mostly {type_words(kind)}" if kind else None,
        "hardly anything of it is free" if f.share(*FREED) < 0.05 else None,
    )


def _objects_for(f: Figures) -> Iterator[str | None]:
    if f.share("objects") > 0.1:
        yield of_the_rise(f, "objects")
    little = max(0.02 * MIB, 0.02 * (f.rise_bytes or 0))
    grown = [one for one in f.grown_types[:MOST] if one.bytes > little]
    if grown:
        yield "types that grew: " + ", ".join(type_words(one) for one in grown)
    own = own_class(f)
    if own is not None and own not in grown:
        yield f"the class with the most new objects: {type_words(own)}"
    for one in longer(f.evidence):
        yield f"{one.name} got longer: {one.before:,} → {one.after:,}"
    if tasks := more_tasks(f.evidence):
        yield f"asyncio tasks: {tasks[0]:,} → {tasks[1]:,}"
    if f.came and f.share(*FREED) < 0.1:
        yield f"freed memory in malloc's arenas: {change(sum(f.came[kind] for kind in FREED))}"
    if collected := collected_bytes(f):
        yield f"gc.collect gave {size(collected)} back: they hang in reference cycles"


def _objects_against(f: Figures) -> Iterator[str | None]:
    if f.share("objects") < 0.5 and (f.owners_are_known or f.counts is not None):
        yield of_the_rise(f, "objects")
    if f.counts is None and f.is_python and f.pair is not None:
        yield "they were not counted at both looks: only those up to 512 bytes are known"
    error = f.counting_error_bytes
    if error > 0.3 * max(1, f.rise_bytes or 0):
        yield f"the count was sampled, and may be off by {size(error)}"
    yield the_rest(f, "objects")


def collected_bytes(f: Figures) -> int:
    """What a gc.collect has given back, if it was much."""
    gave = [one.returned_bytes for one in f.evidence.done if one.action == "gc"]
    return gave[-1] if gave and gave[-1] > 0.2 * max(MIB, f.held("objects")) else 0


def _native(f: Figures) -> str:
    came = came_of(f, "native")
    if came is None or f.share("other") > f.share("native"):
        of = came_of(f, "other") or part_of(f.held("other"), f.looked_bytes)
        return f"{pace(f)}: {of} are anonymous memory that neither malloc nor Python has"
    if not f.is_python:
        return f"{pace(f)}: {came} are in use by the program, which is not Python"
    place = " in big mmapped blocks" if f.big_came > 0.5 * f.came["native"] else ""
    return joined(
        f"{pace(f)}: {came} are malloc'ed by native code and in use{place}", objects_word(f)
    )


def _native_for(f: Figures) -> Iterator[str | None]:
    if f.came.get("native", 0) > 0:
        owner = "no Python object owns" if f.is_python else "malloc has in use"
        yield f"{size(f.came['native'])} came that {owner}"
    if f.share("other") > 0.2:
        yield of_the_rise(f, "other")
    if f.is_python and f.counts is not None:
        yield of_the_rise(f, "objects")
    if f.is_python and f.last is not None and f.share("other") <= 0.2:
        yield f"freed memory in malloc's arenas: {change(sum(f.came.get(one, 0) for one in FREED))}"


def _native_against(f: Figures) -> Iterator[str | None]:
    if f.is_python and f.pair is not None and not f.owners_are_known:
        yield "whose malloc's memory in use is was not counted"
    elif f.share("native", "other") < 0.5:
        yield of_the_rise(f, "native")
    yield the_rest(f, "native", "other")


def _big(f: Figures) -> str:
    last = f.last
    number = f" in {count(last.big_blocks, 'piece')}" if last and last.big_blocks else ""
    owner = main_owner(f)
    whose = ", whose they are was not counted" if owner is None else f", most of it {owner.name}"
    rise = f.rise_bytes or 0
    if f.rises and f.big_came > 0.3 * rise > 0:
        return f"{pace(f)}: {part_of(f.big_came, rise)} are big mmapped blocks{number}{whose}"
    held = 0 if last is None else last.of("big_blocks")
    return f"{pace(f)}: {part_of(held, f.looked_bytes)} are big mmapped blocks{number}{whose}"


def _big_for(f: Figures) -> Iterator[str | None]:
    owners = sorted(f.types.big_blocks if f.types else (), key=lambda one: -(one.bytes or 0))
    for one in owners[:MOST]:
        if one.bytes:
            yield f"{count(one.length, 'block')} of {one.name}: {size(one.bytes)}"


def _big_against(f: Figures) -> Iterator[str | None]:
    rise = f.rise_bytes or 0
    if f.came and rise > 0.3 * f.noise_bytes and f.big_came < 0.5 * rise:
        yield f"big mmapped blocks: {change(f.big_came)} of the {change(rise)}"
    elif f.came and f.owners_are_known and f.big_came > 0.3 * rise > 0:
        yield "their owners are known, and named by another cause"


def main_owner(f: Figures) -> Holder | None:
    """Who owns most of the big blocks; None if nobody counted."""
    owners = f.types.big_blocks if f.types is not None else ()
    return max(owners, key=lambda one: one.bytes or 0, default=None)


SAYINGS: dict[Cause, Saying] = {
    "python_objects": Saying(_objects, _objects_for, _objects_against, "Python objects"),
    "native": Saying(_native, _native_for, _native_against, "native code"),
    "big_blocks": Saying(_big, _big_for, _big_against, "big blocks by themselves"),
}
