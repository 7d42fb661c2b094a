"""What stands below the table of types: containers, owners of big blocks, tasks, threads, gc.

Each is a block of lines with a title; of long ones the first lines are shown, and how many more
there are. Lines of cells with roles. Sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from memtop import units
from memtop.anatomy.objects import Container, Growth, Objects, Owner, OwnerChange
from memtop.anatomy.owners import NATIVE
from memtop.render.cells import Cell, cut, width_of
from memtop.render.escape import cells as cell_width
from memtop.render.escape import fit, visible
from memtop.render.strokes import MIB, delta_cell, size_cells
from memtop.render.types import Columns, count_text, number_cells, share_bar

INDENT = 2
KIND, LENGTH, BEFORE, STATE = 10, 12, 14, 11
EACH = 12
NATIVE_SHARE = 0.05  # of what malloc's heaps have in use: less is no line of its own
WIDE, MOST = 56, 84  # where the kind of a container has room; more would tear the line apart


class Block(NamedTuple):
    """A title and its lines."""

    title: list[Cell]
    lines: list[list[Cell]]

    def drawn(self, most: int) -> list[list[Cell]]:
        """With at most so many of its lines; "n more" is one of them."""
        if len(self.lines) <= most:
            return [self.title, *self.lines]
        shown = max(0, most - 1)
        more: Cell = (" " * INDENT + f"{len(self.lines) - shown} more", "faint")
        return [self.title, *self.lines[:shown], *([[more]] if most else [])]


def blocks_of(
    objects: Objects,
    growth: Growth | None,
    shrunk: frozenset[str],
    width: int,
    plan: Columns,
) -> list[Block]:
    """All that there is, what grows first; `plan`: the columns of the table above."""
    made = (
        _containers(objects, growth, shrunk, min(width, MOST)),
        _big_blocks(objects, growth, width, plan),
        _malloc(objects, growth, width, plan),
        _tasks(objects, min(width, MOST)),
        _threads(objects, width),
        _collector(objects, width),
    )
    return [block for block in made if block is not None]


def fitted(blocks: Sequence[Block], room: int) -> list[list[Cell]]:
    """The blocks below each other in at most `room` lines: the longest ones give way first."""
    most = [len(block.lines) for block in blocks]
    blocks = list(blocks)
    while blocks and sum(most) + len(blocks) > room:
        longest = max(range(len(most)), key=lambda index: most[index])
        if most[longest] > 2:
            most[longest] -= 1
        else:
            blocks.pop()
            most.pop()
    return [line for block, count in zip(blocks, most, strict=True) for line in block.drawn(count)]


def _title(name: str, words: str, width: int) -> list[Cell]:
    return cut([(name, "strong"), (f"  {words}" if words else "", "dim")], width)


def containers_in_order(
    objects: Objects, growth: Growth | None, shrunk: frozenset[str]
) -> list[tuple[Container, int | None]]:
    """The containers, those that only ever got longer first, each with its length before."""
    before = {} if growth is None else {one.name: one.before for one in growth.containers}

    def place(one: Container) -> tuple[bool, bool, int]:
        grown = one.length - before[one.name] if one.name in before else 0
        return (one.name not in before, one.name in shrunk, -(grown or one.length))

    return [(one, before.get(one.name)) for one in sorted(objects.containers, key=place)]


def _containers(
    objects: Objects, growth: Growth | None, shrunk: frozenset[str], width: int
) -> Block | None:
    if not objects.containers:
        return None
    kind = KIND if width >= WIDE else 0
    before = BEFORE if growth is not None and growth.containers else 0
    name = max(1, width - INDENT - kind - LENGTH - before)
    lines: list[list[Cell]] = []
    for one, was in containers_in_order(objects, growth, shrunk):
        only_grows = was is not None and one.name not in shrunk
        role = "strong" if only_grows else "dim"
        cells: list[Cell] = [(" " * INDENT + fit(visible(one.name), name - 1) + " ", role)]
        cells.append((fit(visible(one.kind), kind), "faint"))
        if before:
            text = "" if was is None else f"{count_text(was, before - 4)} → "
            cells.append((text.rjust(before), "dim"))
        length = count_text(one.length, LENGTH)
        cells.append((length.rjust(LENGTH), "rising" if only_grows else "dim"))
        lines.append(cells)
    words = "of modules, by length"
    if before and growth is not None:
        words = f"of modules; {len(growth.containers)} longer than before"
    return Block(_title("containers", words, width), lines)


def _big_blocks(objects: Objects, growth: Growth | None, width: int, plan: Columns) -> Block | None:
    """In the columns of the table above."""
    owners = sorted(objects.big_blocks, key=lambda one: -one.bytes)
    if not owners:
        return None
    changes = {} if growth is None else {(one.type, one.detail): one for one in growth.big_blocks}
    scale = sum(one.bytes for one in owners)
    left = plan.name + plan.module
    lines: list[list[Cell]] = []
    for one in owners:
        known = changes.get((one.type, one.detail), OwnerChange(one.type, one.detail, 0, 0))
        count, change = (None, None) if growth is None else (known.count, known.bytes)
        role, hot = ("text", "rising") if known.bytes > 0 else ("dim", "dim")
        named = cell_width(visible(one.type)) + cell_width(visible(one.detail or "")) + 5
        each = EACH if left >= named + EACH else 0  # what it is comes before how large each is
        cells = _owner_cells(one, left - each, role)
        if each:
            size = units.size(one.bytes / max(1, one.count) / 1024)
            cells.append((f"{size} ×".rjust(each), "dim" if role == "text" else "faint"))
        cells += number_cells(one.count, count, plan, role, hot)
        lines.append(cells + _sizes(one.bytes, change, scale, plan, role, hot))
    words = "of malloc with a mapping of their own, by owner"
    return Block(_title("big blocks", words, width), lines)


def _sizes(
    bytes_: int, change: int | None, scale: int, plan: Columns, role: str, hot: str
) -> list[Cell]:
    """How much, what changed, and the bar, in the columns of the table above."""
    return [
        *(size_cells(bytes_, plan.bytes, role) if plan.bytes else []),
        (" " * plan.buffers, "dim"),
        *([delta_cell(change, plan.change, hot)] if plan.change else []),
        (" " * plan.rate, "dim"),
        *share_bar(bytes_, scale, plan.bar),
    ]


def _malloc(objects: Objects, growth: Growth | None, width: int, plan: Columns) -> Block | None:
    """What no object owns of malloc's heaps; nothing if that is little, or not known."""
    used, python = objects.malloc_in_use_bytes, objects.malloc_in_use_python_bytes
    if not used or python is None:
        return None
    change = None if growth is None else growth.native_bytes
    noise = 0.0 if growth is None else growth.error * python
    is_sure = change is not None and change > max(MIB, noise)
    role, hot = ("text", "rising") if is_sure else ("dim", "dim")
    native = max(0, used - python)
    if native < max(MIB, NATIVE_SHARE * used) and not is_sure:
        return None
    name = fit(" " * INDENT + NATIVE, plan.name + plan.module + plan.number + plan.count_change)
    line = [(name, role), *_sizes(native, change, used, plan, role, hot)]
    words = f"{units.size(used / 1024)} in use in its heaps; Python objects own the rest"
    return Block(_title("malloc", words, width), [line])


def _owner_cells(owner: Owner, width: int, role: str) -> list[Cell]:
    """Whose blocks, and what is known of them."""
    cells: list[Cell] = [(" " * INDENT + visible(owner.type), role)]
    if owner.detail:
        cells.append((f"  {visible(owner.detail)}", "faint" if role == "dim" else "dim"))
    made = cut(cells, max(0, width - 1))
    return [*made, (" " * (width - width_of(made)), "dim")]


def _tasks(objects: Objects, width: int) -> Block | None:
    if not objects.tasks:
        return None
    total = sum(one.count for one in objects.tasks)
    lines: list[list[Cell]] = []
    for one in sorted(objects.tasks, key=lambda one: (-one.count, one.coroutine, one.state)):
        name = max(1, width - INDENT - STATE - LENGTH)
        lines.append(
            [
                (" " * INDENT + fit(visible(one.coroutine), name - 1) + " ", "dim"),
                (fit(visible(one.state), STATE), "faint"),
                (count_text(one.count, LENGTH).rjust(LENGTH), "dim"),
            ]
        )
    return Block(_title("asyncio tasks", f"{total:,}, by coroutine", width), lines)


def _threads(objects: Objects, width: int) -> Block | None:
    if not objects.threads:
        return None
    names = ", ".join(visible(one) for one in objects.threads)
    return Block(_title("threads", f"{len(objects.threads):,}: {names}", width), [])


def _collector(objects: Objects, width: int) -> Block | None:
    facts = []
    if objects.gc_counts:
        facts.append(f"counts {_numbers(objects.gc_counts)}")
    if objects.gc_thresholds:
        facts.append(f"thresholds {_numbers(objects.gc_thresholds)}")
    if objects.garbage is not None:
        facts.append(f"garbage {objects.garbage:,}")
    if objects.is_tracing is not None:
        facts.append(f"tracemalloc {'on' if objects.is_tracing else 'off'}")
    return Block(_title("gc", "   ".join(facts), width), []) if facts else None


def _numbers(values: Sequence[int]) -> str:
    return " ".join(f"{one:,}" for one in values) or units.UNKNOWN
