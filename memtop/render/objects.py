"""Python's objects by type, drawn: the pane, and a text for the command line.

Lines of cells with roles; nothing here knows a terminal. A screen of any size has something of
it: what is least asked for goes first. Sizes are bytes, times seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Sequence

from memtop import units
from memtop.anatomy.objects import Growth, Objects
from memtop.render.above import (
    age_ways,
    apart_ways,
    dimmed,
    empty_line,
    margined,
    progress_line,
)
from memtop.render.cells import EDGE, Cell, cut, width_of
from memtop.render.counted import Counted, Standing, TypeRow, rows_of, standing_of
from memtop.render.escape import visible
from memtop.render.grown import measured_lines, source_words
from memtop.render.holders import Block, blocks_of, fitted
from memtop.render.sight import failure_lines
from memtop.render.types import Columns, columns, heading, more_line, type_line

LEAST_TYPES, TYPES_SHARE = 4, 0.5  # of the room, before what stands below gives way
ROOMY = 12  # lines, from which on there are blank ones
RULED, RULED_FROM = 20, 94  # lines and cells, from which on a rule stands below the table


def objects_lines(counted: Counted, width: int, room: int) -> list[list[Cell]]:
    """The body of the pane in at most `room` lines of `width` cells, with a margin of one."""
    inner = max(1, width - 2)
    lines: list[list[Cell]] = []
    answer = counted.answer
    if answer is not None:
        reads = counted.progress is not None
        head = progress_line(counted, inner) if reads else _head(counted, answer, inner)
        lines = [head, *_body(counted, answer, inner, room - 1)]
        if reads or counted.off:
            lines[1:] = [_receding(line) for line in lines[1:]]
    elif counted.progress is not None:
        lines = [progress_line(counted, inner)]
    elif counted.failure is not None:
        lines = failure_lines(counted.failure, inner)
        if counted.other and not counted.off:
            also: list[Cell] = [("→   ", "accent"), (counted.other, "accent")]
            lines.append([*also, (" reads what its memory is made of", "text")])
    else:
        lines = [_empty(counted)]
    return [_placed(line, width) for line in lines[: max(0, room)]]


def objects_text(
    objects: Objects, growth: Growth | None = None, width: int = 100, top: int = 20
) -> list[list[Cell]]:
    """An answer for the command line: the `top` types and all else, no ages, no keys.

    `growth` is to an earlier one of the same source; without it there are no columns for it.
    """
    rows = rows_of(objects, growth)
    sizes = _sizes(objects)
    lefts = [[*sizes, ("   " + words, "dim")] for words in source_words(objects)]
    rights: list[list[Cell]] = [[]]
    if growth is not None:
        at: list[Cell] = [("Δ since ", "dim"), (units.clock(growth.since_at), "text")]
        rights = [[*at, (f", {units.span(growth.seconds)} before", "dim")], at, []]
    lines = [apart_ways([*lefts, sizes[:2]], rights, width), []]
    plan = columns(width, with_growth=growth is not None, with_buffers=_has_buffers(objects))
    shown = len(rows) if len(rows) == top + 1 else max(0, top)
    lines += [heading(plan), *_type_lines(rows, standing_of(rows), plan, objects.bytes, 0, shown)]
    for block in blocks_of(objects, growth, frozenset(), width, plan):
        lines += [[], *block.drawn(len(block.lines))]
    lines += [[], *measured_lines(objects, growth, width)]
    return [cut(line, width) for line in lines]


def count_of_lines(counted: Counted, width: int) -> int:
    """How many lines the cursor can be on: the types, then all that stands below them."""
    if counted.answer is None:
        return 0
    return len(counted.rows) + len(_below(counted, counted.answer, max(1, width - 2)))


def _receding(line: list[Cell]) -> list[Cell]:
    """The line dimmed, with the cursor where it was."""
    return [EDGE, *dimmed(line[1:])] if line[:1] == [EDGE] else dimmed(line)


def _placed(line: list[Cell], width: int) -> list[Cell]:
    """The line with its margin; the one under the cursor has the edge there."""
    if line[:1] == [EDGE]:
        return cut(line, width)
    return margined(line, width) if line else []


def _empty(counted: Counted) -> list[Cell]:
    """What is missing, and the keys that fill it."""
    line = empty_line(counted, "counts its objects from outside")
    if counted.asks and not counted.off:
        line += [("   ", "dim"), (counted.asks, "accent"), (" asks the interpreter", "dim")]
    return line


def _sizes(objects: Objects) -> list[Cell]:
    """How many objects, how much with what they own."""
    number, unit = units.size_parts(objects.bytes / 1024)
    count = f"≈ {objects.count:,}" if objects.sampled else f"{objects.count:,}"
    words = " objects   " if objects.count != 1 else " object   "
    end = f" {unit} with buffers" if _has_buffers(objects) else f" {unit}"
    return [(count, "strong"), (words, "dim"), (number, "clear"), (end, "dim")]


def _has_buffers(objects: Objects) -> bool:
    """Whether what objects own is counted by itself: a snapshot has it in their sizes."""
    return objects.source == "census"


def _head(counted: Counted, answer: Objects, width: int) -> list[Cell]:
    """How much, from where, how old; since when changes are counted."""
    sizes, sources = _sizes(answer), source_words(answer)
    short: list[Cell] = [*sizes[:3], (sizes[3][0].replace(" with buffers", ""), "dim")]
    whose = [[*sizes, ("   ", "dim")], *([[*short, ("   ", "dim")]] * (len(sources) - 1))]
    if counted.is_stale:
        ways = [
            [*begin, (f"{source}   ", "dim"), *way]
            for way in age_ways(counted, "")
            for begin, source in zip(whose, sources, strict=True)
        ]
    else:
        ways = [
            [*begin, *age_ways(counted, source)[0]]
            for begin, source in zip(whose, sources, strict=True)
        ]
    age = age_ways(counted, sources[-1])[-1]
    return apart_ways([*ways, [*sizes[:2], ("  ", "dim"), *age], age], _since(counted), width)


def _since(counted: Counted) -> list[list[Cell]]:
    """Since when changes are counted, the longest way to say it first; or how to have some."""
    growth = counted.growth
    if growth is not None:
        at = units.clock(growth.since_at)
        age = f", {units.duration(counted.now - growth.since_at)} ago"
        first = f"Δ since {counted.since}, "
        whole: list[Cell] = [(first, "dim"), (at, "text")]
        return [[*whole, (age, "dim")], whole, [(f"Δ since {counted.since}", "dim")]]
    if counted.is_stale or counted.off or not counted.key:
        return [[]]
    return [[(counted.key, "accent"), (" again shows what has grown", "dim")], []]


def _below(counted: Counted, answer: Objects, width: int) -> list[list[Cell]]:
    """All that stands below the types, in full."""
    lines: list[list[Cell]] = []
    plan = _plan(answer, width)
    for block in blocks_of(answer, counted.growth, counted.shrunk, width, plan):
        lines += [*([[]] if lines else []), *block.drawn(len(block.lines))]
    return lines


def _plan(answer: Objects, width: int) -> Columns:
    """The columns of the pane: the same before and after there is something to compare."""
    return columns(width, with_buffers=_has_buffers(answer))


def _body(counted: Counted, answer: Objects, width: int, room: int) -> list[list[Cell]]:
    """The table and what stands below it; past the last type only the latter, in full."""
    if room <= 0:
        return []
    at, rows = counted.at, counted.rows
    below = _below(counted, answer, width)
    blank: list[list[Cell]] = [[]] if room >= ROOMY else []
    if at is not None and at >= len(rows) and below:
        place = min(at - len(rows), len(below) - 1)
        return [*blank, *_window(below, place, width, room - len(blank))]
    plan = _plan(answer, width)
    blocks = blocks_of(answer, counted.growth, counted.shrunk, width, plan)
    lines = [*blank, heading(plan, counted.order, counted.words)] if room >= 3 else []
    space = room - len(lines)
    types = max(1, len(rows))
    kept = min(types, max(LEAST_TYPES, round(TYPES_SHARE * space)))
    apart: list[list[Cell]] = list(blank)
    if room >= RULED and width >= RULED_FROM:
        apart.append([("─" * width, "rule")])
    drawn = _spaced(blocks, space - kept, apart)
    space -= len(drawn)
    if not rows:
        return [*lines, _nothing(counted, answer), *drawn][:room]
    shown = len(rows) if len(rows) <= space else max(1, space - 1)
    first = 0 if at is None else max(0, min(at - shown // 2, len(rows) - shown))
    warm = counted.sign[1] if counted.sign[1] in ("leak", "rising") else "rising"
    table = _type_lines(rows, counted.standing, plan, answer.bytes, first, shown, warm)
    if at is not None and 0 <= at - first < shown:
        table[at - first] = _under_cursor(table[at - first], width)
    return [*lines, *table, *drawn][:room]


def _spaced(blocks: Sequence[Block], room: int, apart: list[list[Cell]]) -> list[list[Cell]]:
    """What stands below the table, behind the lines that keep it `apart`."""
    lines = fitted(blocks, room - len(apart))
    return [*apart, *lines] if lines else []


def _type_lines(
    rows: Sequence[TypeRow],
    standing: Standing,
    plan: Columns,
    scale: int,
    first: int,
    shown: int,
    warm: str = "rising",
) -> list[list[Cell]]:
    """So many of the types from the `first` on, and what the others are together."""
    here = rows[first : first + shown]
    lines = [type_line(row, plan, scale, standing, warm) for row in here]
    if rest := [*rows[:first], *rows[first + shown :]]:
        lines.append(more_line(rest, plan, first))
    return lines


def _nothing(counted: Counted, answer: Objects) -> list[Cell]:
    """That no type passes the filter."""
    if not counted.words:
        return [("No objects were found.", "dim")]
    name: list[Cell] = [("No type has ", "dim"), (visible(counted.words), "text")]
    return [
        *name,
        (" in its name.   ", "dim"),
        ("Esc", "accent"),
        (" shows all ", "dim"),
        (f"{len(answer.types):,}", "dim"),
    ]


def _under_cursor(line: Sequence[Cell], width: int) -> list[Cell]:
    """The line with the edge of the cursor, to the end of the screen."""
    return [EDGE, *line, (" " * max(1, width - width_of(line) + 1), "dim")]


def _window(lines: list[list[Cell]], at: int, width: int, room: int) -> list[list[Cell]]:
    """So many of the lines as there is room for, around the one under the cursor."""
    first = max(0, min(at - room // 2, len(lines) - room))
    shown = [list(line) for line in lines[first : first + room]]
    shown[at - first] = _under_cursor(shown[at - first], width)
    return shown
