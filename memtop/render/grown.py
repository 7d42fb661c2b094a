"""What an answer about objects means, in measured sentences: whose the growth is, what is native.

A sentence says figures; it names no cause, and no advice but the key that comes next. Sizes are
bytes, times seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from memtop import units
from memtop.anatomy.objects import ContainerChange, Growth, Objects
from memtop.render.cells import Cell
from memtop.render.counted import MIB, Counted, TypeRow, rows_of, standing_of
from memtop.render.escape import visible
from memtop.render.native import mib, native_growth, native_words
from memtop.render.sight import (
    INDENT,
    UNWRAPPED,
    as_many_as_fit,
    failure_lines,
    first_lines,
    missing_blocks,
    of_whole,
    said,
)

NAMED, WORTH_NAMING = 2, 0.02
NAMED_SHARE = 0.1  # of what is native: a type that grew by so much is no coincidence
# By so many entries, or by so many and such a share of them, a container is much longer.
LONGER, FEW, LONGER_SHARE = 100, 10, 0.1
NATIVE_GREW = "Native or unknown memory grew by"
SHARE_WITHIN = 1.05  # types that grew by more than all together are not shares of it


def grown_lines(counted: Counted, width: int, room: int = 100) -> list[list[Cell]]:
    """What ends the pane: why nothing was read, or whose the growth is and what is missing.

    As many sentences as fit into `room` lines; where not even one does, its beginning.
    """
    return as_many_as_fit(_blocks(counted, width), room) or first_lines(
        _blocks(counted, UNWRAPPED), room
    )


def measured_lines(objects: Objects, growth: Growth | None, width: int) -> list[list[Cell]]:
    """The same for a text; what a snapshot says of itself stands below it anyway."""
    if growth is None and objects.source == "snapshot":
        return []
    blocks = _measured(objects, growth, frozenset(), width, ("", "dim"))
    if growth is not None and growth.error:
        words = f"Counted from samples: a change within ± {_error(growth.error)} may be none."
        blocks.append(said("", "dim", words, "text", width))
    return [line for block in blocks for line in block]


def _blocks(counted: Counted, width: int) -> list[list[list[Cell]]]:
    answer = counted.answer
    if answer is None:
        return []
    blocks = [failure_lines(counted.failure, width)] if counted.failure is not None else []
    blocks += _measured(answer, counted.growth, counted.shrunk, width, counted.sign)
    if (growth := counted.growth) is None or counted.off:
        return blocks
    has_leading = counted.standing.leading is not None
    if answer.source == "census":
        key = counted.asks if has_leading else ""
        words = "asks the interpreter, which knows the containers of modules by name"
    else:
        key = "" if has_leading or growth.containers else counted.counts
        words = "counts from outside, and tells what no Python object owns"
    if key:
        arrow: list[Cell] = [("→".ljust(INDENT), "accent"), (key, "accent")]
        blocks.append([[*arrow, (f" {words}", "text")]])
    return blocks


def _measured(
    objects: Objects,
    growth: Growth | None,
    shrunk: frozenset[str],
    width: int,
    sign: tuple[str, str],
) -> list[list[list[Cell]]]:
    """Whose the growth is, or what most of it is; then what is native; then what is not known."""
    blocks: list[list[list[Cell]]] = []
    change = 0  # of native memory, unless the first sentence says it
    if growth is None:
        blocks.append(said(*sign, _largest(objects), "text", width))
    else:
        words, is_notable = _grown(objects, growth, shrunk)
        change = 0 if words.startswith(NATIVE_GREW) else native_growth(objects, growth)
        if is_notable and sign[1] not in ("leak", "rising", "shrink"):
            sign = ("!", "rising")
        blocks.append(said(*sign, words, "bright" if is_notable else "text", width))
        if any(row.change is None for row in rows_of(objects, growth)):
            words = "Not compared: types that only one of the two has counted."
            blocks.append(said("", "dim", words, "text", width))
        if words := _in_big_blocks(growth):
            blocks.append(said("", "dim", words, "text", width))
    for words in (native_words(objects, change), _cut(objects)):
        if words:
            blocks.append(said("", "dim", words, "text", width))
    return [*blocks, *missing_blocks(objects.missing, width)]


def _largest(objects: Objects) -> str:
    """The type that takes most."""
    if not objects.types:
        return "No objects were found."
    most = max(objects.types, key=lambda one: one.all_bytes)
    size = of_whole(most.all_bytes, objects.bytes)
    return f"The largest type is {visible(most.name)}: {size} in {_of_it(most.count)}."


def _of_it(count: int) -> str:
    return "1 object" if count == 1 else f"{count:,} objects"


def _grown(objects: Objects, growth: Growth, shrunk: frozenset[str]) -> tuple[str, bool]:
    """What grew, and whether that is worth a second look.

    Native memory if that grew by more than all types; else containers that got much longer, with
    the types that moved along.
    """
    rows, over = rows_of(objects, growth), units.span(growth.seconds)
    standing, native = standing_of(rows), native_growth(objects, growth)
    if native >= MIB and native > standing.grown_bytes:
        first = f"{NATIVE_GREW} {_size(native)} in {over}"
        if any(row.sure_change >= NAMED_SHARE * native for row in rows):
            return f"{first}. {_by_type(growth, rows, '')}.", True
        return f"{first}; no Python type did.", True
    longer = [one for one in growth.containers if one.name not in shrunk] or growth.containers
    is_leading = standing.leading is not None
    if longer and (is_leading or _is_much(longer[0])):
        return f"{_longer(objects, longer, over)} {_by_type(growth, rows, '')}.", True
    words = _by_type(growth, rows, f" in {over}")
    if longer:
        words += f"; of module-level containers only {_names(longer)} grew"
    elif objects.containers:
        words += "; no module-level container is longer"
    words += "."
    if not is_leading and objects.source == "snapshot":
        words += " Native memory is not in a snapshot: a census tells of it."
    return words, is_leading


def _by_type(growth: Growth, rows: Sequence[TypeRow], over: str) -> str:
    """By how much objects grew, which types moved most, and which classes came along."""
    total = growth.bytes
    moved = [row for row in rows if abs(row.sure_change) >= MIB]
    along = [row for row in moved if row.sure_change * total > 0][:NAMED]
    along = [row for row in along if abs(row.sure_change) >= WORTH_NAMING * abs(total)]
    moves = abs(sum(row.sure_change for row in along))
    is_share = bool(along) and moves <= SHARE_WITHIN * abs(total)
    named = along if is_share else moved[:NAMED]
    if not moved and growth.error:
        words = f"No type moved{over} by more than the error of both, {_error(growth.error)}"
    elif not moved:
        words = f"Python objects changed by {mib(total)} MiB{over}, no type by 1 MiB"
    else:
        verb = "grew by" if total > 0 else "shrank by"
        types = ", ".join(f"{visible(row.name)} {mib(row.sure_change)}" for row in named)
        words = f"Python objects {verb} {_size(abs(total))}{over}: {types}"
    came = [row for row in rows if row.has_come and row not in named]
    if came:
        most = max(came, key=lambda row: row.count_change or 0)
        words += f", with {most.count_change:,} more of {visible(most.name)}"
    return words


def _is_much(one: ContainerChange) -> bool:
    """Whether a container has got longer by so much that it comes first."""
    more = one.after - one.before
    return more >= LONGER or more >= max(FEW, LONGER_SHARE * one.before)


def _longer(objects: Objects, longer: Sequence[ContainerChange], over: str) -> str:
    """The containers that are longer than they were, in a sentence."""
    one = longer[0]
    if len(longer) == 1:
        what = (
            f"{visible(one.name)} ({visible(one.kind)}) grew from {one.before:,} to {one.after:,}"
        )
        others = len(objects.containers) - 1
        only = f", the only one of {others + 1} module-level containers" if others else ""
        return f"{what} in {over}{only}."
    return f"{len(longer)} module-level containers grew in {over}: {_names(longer)}."


def _names(longer: Sequence[ContainerChange]) -> str:
    """The first of them with their lengths, and how many more there are."""
    names = [f"{visible(one.name)} {one.before:,} → {one.after:,}" for one in longer[:NAMED]]
    more = len(longer) - len(names)
    return ", ".join(names) + (f", and {more} more" if more else "")


def _in_big_blocks(growth: Growth) -> str:
    """What of the growth is in big blocks, and whose these are."""
    owner = next((one for one in growth.big_blocks if abs(one.bytes) >= MIB), None)
    if owner is None:
        return ""
    whose = f"{owner.type} {owner.detail}" if owner.detail else owner.type
    count, more = abs(owner.count), "more" if owner.count > 0 else "fewer"
    size = f"{mib(owner.bytes)} MiB"
    if not count:
        return f"Big blocks of {visible(whose)}: as many as before, {size}."
    return f"Big blocks: {count:,} {more} of {visible(whose)}, {size}."


def _cut(objects: Objects) -> str:
    """What was not looked at, if time was over before."""
    if not objects.cut:
        return ""
    if objects.coverage >= 1:
        return "Cut when its time was over: of the largest containers not all was counted."
    what = "Python's memory was" if objects.source == "census" else "the objects were"
    share = max(1, math.floor(100 * objects.coverage))
    return f"Cut when its time was over: {share} % of {what} looked at, the rest is concluded."


def _size(bytes_: int) -> str:
    return units.size(bytes_ / 1024)


def _error(share: float) -> str:
    """An error as per cent, never less than it is: `2 %`, `0.4 %`."""
    tenths = math.ceil(1000 * share - 1e-6)
    return f"{math.ceil(tenths / 10)} %" if tenths >= 10 else f"{tenths / 10:.1f} %"


def source_words(objects: Objects) -> list[str]:
    """Where an answer comes from and what it cost, the longest way to say it first."""
    took = units.span(objects.seconds)
    error = "" if objects.error is None else f", ± {_error(objects.error)}"
    if objects.source == "snapshot":
        gil = "" if objects.gil_s is None else f", GIL held {units.span(objects.gil_s)}"
        cut = ", cut" if objects.cut else ""
        cost = gil or f" in {took}"
        how = f", sampled{error}" if objects.sampled else ""
        return [f"gc snapshot{how}{cut}{cost}", f"gc snapshot{how}{cut}", "snapshot"]
    if objects.sampled:
        how, short = f", sampled{error}", error or ", sampled"
    else:
        how = short = "" if objects.coverage < 0.9995 else ", every pool read"
    cut = f", cut at {100 * objects.coverage:.0f} %" if objects.cut else ""
    return [f"census{how}{cut} in {took}", f"census{short}{cut}", "census"]
