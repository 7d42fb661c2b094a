"""Parts of sentences that several causes share: how it grows, what came, what malloc would return.

Each says only what was measured; None where it was not.
"""

from __future__ import annotations

from typing import NamedTuple

from memtop import units
from memtop.diagnosis.evidence import Evidence, Kind, Types
from memtop.diagnosis.figures import GROWING, Figures
from memtop.diagnosis.words import MIB, change, count, part_of, percent, rate, size, who

KIND_WORDS = {
    "objects": "Python objects",
    "native": "blocks in use that no Python object owns",
    "unowned": "blocks in use whose owner was not counted",
    "trapped": "freed memory in holes below a page",
    "trimmable": "freed whole pages",
    "tops": "free ends of arenas",
    "pymalloc_free": "free blocks in Python's pools",
    "stacks": "stacks",
    "files": "pages of files",
    "shared": "shared memory",
    "huge_pages": "zeros in huge pages",
    "other": "anonymous memory of no allocator",
}

STAIR = 0.2  # of a rise that came at once: it came in steps
TASKS = ("_asyncio.Task", "asyncio.tasks._PyTask")


class Longer(NamedTuple):
    """A container that got longer."""

    name: str
    before: int
    after: int


def kind_words(kind: str, f: Figures) -> str:
    """What a kind of memory is called."""
    if kind != "allocator":
        return KIND_WORDS[kind]
    if f.is_foreign and f.last is not None:
        return f"memory of {f.last.allocator}, whose blocks are not read"
    return "malloc's memory, which could not be looked into"


def pace(f: Figures) -> str:
    """`worker 4711 grows 6.1 MiB/min`, or whatever else it does."""
    name = who(f.evidence.subject)
    if f.evidence.subject.ended:
        return f"{name}, which has ended"
    if f.evidence.subject.stopped:
        return f"{name}, which is stopped"
    if f.trend in ("warm-up", "steps") and f.slowing < 0.5 and f.step_share > STAIR:
        came = size(f.change_bytes or 0)
        return f"{name} has grown in steps, by {came} in {units.duration(f.watched_s)}"
    if f.trend == "warm-up":
        return f"{name} has grown while it warmed up"
    if f.trend == "sawtooth":
        return f"{name} goes up and down"
    if f.rises and f.is_over:
        still = units.duration(f.still_s)
        return f"{name} grew by {size(f.change_bytes or 0)}, and has not for {still}"
    speed = f.rate_bytes_s
    if f.rises and speed is not None and speed * 60 >= 0.05 * MIB:
        return f"{name} grows {rate(speed)}"
    if (f.rise_bytes or 0) > f.noise_bytes:
        return f"{name} grew by {size(f.rise_bytes or 0)} in {units.duration(f.between_s)}"
    return f"{name} holds {size(f.looked_bytes)}"


def moved(f: Figures) -> str | None:
    """How RSS went while it was watched."""
    watch = f.evidence.watch
    if watch is None:
        return None
    words = f"RSS moved by {change(watch.change_bytes)} in {units.duration(f.watched_s)}"
    if f.step_share > 0.5 and watch.change_bytes > f.noise_bytes:
        words += f", {size(min(watch.largest_step_bytes or 0, watch.change_bytes))} of it at once"
    if watch.from_recording:
        words += ", as recorded"
    if watch.trend == "new":
        return words
    since = ""
    if watch.trend in GROWING and watch.since_s is not None and watch.since_s >= 1:
        since = f" for {units.duration(watch.since_s)}"
    return f"{words}, {watch.trend}{since}"


def came_of(f: Figures, *kinds: str) -> str | None:
    """`50 of 60 MiB`: what came of these kinds; None if there was no rise of which it is a part.

    What goes up and down may be anywhere when it is looked into: a difference says nothing then.
    """
    if f.trend == "sawtooth":
        return None
    came = sum(max(0, f.came.get(kind, 0)) for kind in kinds)
    rise = f.rise_bytes or 0
    return part_of(came, rise) if rise > 0.3 * f.noise_bytes and came > 0 else None


def objects_word(f: Figures) -> str | None:
    """How Python's objects went meanwhile; None if that is not known."""
    if f.rise_bytes is None or f.evidence.subject.python is None or not f.owners_are_known:
        return None
    if f.trend == "sawtooth":
        return None
    came = f.came["objects"]
    if abs(came) <= max(0.15 * max(0, f.rise_bytes), 0.3 * MIB):
        return "objects are flat"
    return f"objects {'grew' if came > 0 else 'shrank'} by {size(abs(came))}"


def trim_word(f: Figures) -> str | None:
    """What malloc_trim would return; None if that is not known."""
    if f.last is None or f.last.trim_would_return_bytes is None or not f.is_glibc:
        return None
    return f"malloc_trim would return {size(f.last.trim_would_return_bytes)}"


def tried_word(f: Figures) -> str | None:
    """What a trim has given back when it was tried."""
    tried = [one.returned_bytes for one in f.evidence.done if one.action == "trim"]
    return f"malloc_trim gave {size(tried[-1])} back when it was tried" if tried else None


def arenas(f: Figures) -> str:
    """`13 malloc arenas`."""
    number = 0 if f.last is None else f.last.arenas
    return count(number, "malloc arena") if number else "malloc's arenas"


def type_words(kind: Kind) -> str:
    """`bytes +15,184 (+14 MiB)`; of those that only got larger `dict (+14 MiB)`."""
    if not kind.count:
        return f"{kind.name} ({change(kind.bytes)})"
    return f"{kind.name} {units.signed(kind.count, 0)} ({change(kind.bytes)})"


def grown_type(f: Figures) -> Kind | None:
    """The type that grew most in bytes, if one did."""
    first = next(iter(f.grown_types), None)
    return first if first is not None and first.bytes > 0.1 * MIB else None


def main_type(f: Figures) -> Kind | None:
    """The type with the most bytes."""
    return max(f.types.kinds, key=lambda one: one.bytes, default=None) if f.types else None


def own_class(f: Figures) -> Kind | None:
    """The class of the program or a library, not of the language, with the most new objects."""
    most = max((one.count for one in f.grown_types), default=0)
    least = max(10, most // 20)
    own = [
        one
        for one in f.grown_types
        if "." in one.name and one.count >= least and not _is_inner(one.name)
    ]
    return max(own, key=lambda one: (one.count, one.name), default=None)


def longer(evidence: Evidence) -> list[Longer]:
    """Containers of modules that got longer, by how much; three at most."""
    first, last = evidence.first_types, evidence.last_types
    if first is None or last is None:
        return []
    before = {one.name: one.length for one in first.containers}
    made = [
        Longer(one.name, before[one.name], one.length)
        for one in last.containers
        if one.length > before.get(one.name, one.length)
    ]
    return sorted(made, key=lambda one: one.before - one.after)[:3]


def more_tasks(evidence: Evidence) -> tuple[int, int] | None:
    """How many asyncio tasks there were and are, if they became many more."""
    first, last = evidence.first_types, evidence.last_types
    if first is None or last is None or first.source != last.source:
        return None
    before, after = _tasks(first), _tasks(last)
    return (before, after) if after >= max(20, 1.2 * before) else None


def _tasks(types: Types) -> int:
    """A snapshot has asked for them; a census counts those of the two classes there are."""
    if types.tasks is not None:
        return types.tasks
    return sum(one.count for one in types.kinds if one.name in TASKS)


def _is_inner(name: str) -> bool:
    """A class of the interpreter's own modules: `_asyncio.FutureIter`."""
    return name.startswith("_") and not name.startswith("__main__.")


def of_the_rise(f: Figures, *kinds: str) -> str | None:
    """`Python objects: +0.4 of +60 MiB`: why a cause of these kinds is less likely."""
    if not f.came or (f.rise_bytes or 0) <= 0.3 * f.noise_bytes:
        return None
    came = sum(f.came.get(kind, 0) for kind in kinds)
    words = " and ".join(kind_words(kind, f) for kind in kinds)
    return f"{words}: {change(came)} of the {change(f.rise_bytes or 0)}"


def the_rest(f: Figures, *kinds: str) -> str | None:
    """What else came, if that was much."""
    rest = {kind: size_ for kind, size_ in f.came.items() if kind not in kinds}
    most = max(rest, key=lambda kind: rest[kind], default=None)
    if most is None or rest[most] <= 0.2 * f.all_that_came:
        return None
    share = percent(rest[most] / f.all_that_came)
    return f"{size(rest[most])} of what came ({share}) are {kind_words(most, f)}"
