"""What the memory of a process is made of, drawn: the pane, its summary beside a chart, a text.

Lines of cells with roles; nothing here knows a terminal. A screen of any size has something of
it: what is least asked for goes first. Sizes are bytes, times seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Sequence

from memtop import units
from memtop.anatomy.difference import Difference
from memtop.anatomy.result import Anatomy
from memtop.render.above import (
    apart,
    bar_lines,
    empty_line,
    explained,
    head_line,
    margined,
    note,
    progress_line,
    since,
    sizes,
)
from memtop.render.arenas import arenas_sentence, beside_lines, settings_line
from memtop.render.cells import Cell, cut, width_of
from memtop.render.escape import fit, visible
from memtop.render.inside import Inside, measured_lines
from memtop.render.parts import Columns, Deltas, columns, groups_of, part_lines, rss_line
from memtop.render.sight import failure_lines
from memtop.render.strokes import SHOWN_BYTES, bar, delta_cell, size_cells

BESIDE_FROM = 94  # cells within the margins, from which on arenas stand beside the parts
GAP = 3
LEAST_TABLE = 3
SIDE, SIDE_WIDE = 42, 56
ALL = 1000  # lines: as many as there are
_WEAKER = {"faint": "faint", "rule": "rule", "ink": "ink", "live": "faint", "heading": "heading"}


def inside_lines(inside: Inside, width: int, room: int) -> list[list[Cell]]:
    """The body of the pane in at most `room` lines of `width` cells, with a margin of one."""
    inner = max(1, width - 2)
    lines: list[list[Cell]] = []
    if inside.answer is not None:
        head = progress_line(inside, inner) if inside.progress else head_line(inside, inner)
        lines = [head, *_body(inside.answer, inside.deltas, note(inside), inner, room - 1)]
        if inside.progress is not None or inside.off:
            lines[1:] = [dimmed(line) for line in lines[1:]]
    elif inside.progress is not None:
        lines = [progress_line(inside, inner)]
    elif inside.failure is not None:
        lines = failure_lines(inside.failure, inner)
    else:
        lines = [empty_line(inside, "reads what its memory is made of")]
    return [margined(line, width) if line else [] for line in lines[: max(0, room)]]


def anatomy_text(
    anatomy: Anatomy, difference: Difference | None = None, width: int = 100
) -> list[list[Cell]]:
    """An answer in full for the command line: as many lines as it needs, no ages, no keys."""
    deltas = Deltas(difference) if difference is not None else None
    left: list[Cell] = [*sizes(anatomy), (f"   read in {units.span(anatomy.seconds)}", "dim")]
    right = since(deltas, None) if deltas is not None else []
    lines = [apart(left, right, width), *bar_lines(anatomy, width), []]
    if width >= BESIDE_FROM:
        plan = columns(width - GAP - SIDE, with_delta=deltas is not None)
        table = part_lines(anatomy, deltas, plan, ALL)
        lines += _beside(table, beside_lines(anatomy, SIDE, ALL), sum(plan))
    else:
        lines += part_lines(anatomy, deltas, columns(width, with_delta=deltas is not None), ALL)
        made = beside_lines(anatomy, min(width, SIDE), ALL)
        lines += [[], *made] if made else []
    lines += [[], *measured_lines(anatomy, deltas, width)]
    return [cut(line, width) for line in lines]


def compact_lines(inside: Inside, width: int) -> list[list[Cell]]:
    """The parts beside the chart: bars, sizes, changes, and RSS with the age of all that."""
    answer = inside.answer
    if answer is None:
        return []
    label, now, delta = 17, 11, 10 if inside.deltas is not None else 0
    plan = Columns(label, max(0, width - label - now - delta), now, 0, delta, 0)
    over = ""
    if inside.deltas is not None:
        over = f"Δ {units.duration(inside.now - inside.deltas.difference.since_at)}"
        over = over if len(over) <= delta else "Δ MiB"
    title = fit("made of", plan.label + plan.bar) + "now".rjust(now) + over.rjust(delta)
    lines: list[list[Cell]] = [[(title, "dim")]]
    scale = max((part.bytes for part in answer.parts), default=0)
    leading = inside.deltas.leading if inside.deltas is not None else None
    for group in groups_of(answer):
        for part in group.parts:
            change = inside.deltas.of([part.id]) if inside.deltas is not None else None
            if part.bytes < SHOWN_BYTES and not change:
                continue
            role = "strong" if part.id == leading else "dim"
            cells: list[Cell] = [(fit(visible(part.label), label), role)]
            cells += [*bar(part, scale, plan.bar), *size_cells(part.bytes, now, role)]
            if inside.deltas is not None:
                warm = inside.deltas.mark[1] if role == "strong" else role
                cells.append(delta_cell(change, delta, warm))
            lines.append(cells)
    lines.append([("─" * width, "rule")])
    words = f"{explained(answer)}, {units.duration(inside.age_s)} ago"
    rss = rss_line(answer, inside.deltas, plan)
    rss[0] = ("RSS   ", "clear")
    rss.insert(1, (fit(words, plan.label + plan.bar - 6), "faint"))
    return [*lines, rss]


def dimmed(line: Sequence[Cell]) -> list[Cell]:
    """The line without anything that draws the eye: it is about to be replaced."""
    return [(text, _WEAKER.get(role, "dim" if role in _LOUD else "faint")) for text, role in line]


_LOUD = frozenset(("text", "clear", "bright", "strong", "dim"))


def _body(
    anatomy: Anatomy, deltas: Deltas | None, age: Sequence[Cell], width: int, room: int
) -> list[list[Cell]]:
    """Bar, parts and arenas below the head; on narrow screens the arenas in a line."""
    beside = width >= BESIDE_FROM
    below: list[list[Cell]] = []
    if not beside:
        below = [line for line in (arenas_sentence(anatomy, width, age),) if line]
    if room - len(below) < LEAST_TABLE:
        below = []
    top = bar_lines(anatomy, width)
    space = room - len(top) - len(below)
    if space < 6:
        top, space = [], room - len(below)
    if beside:
        right = SIDE if width < 138 else SIDE_WIDE
        left = columns(width - GAP - right + (0 if width >= 110 else 6))
        right = width - sum(left) - GAP
        if space >= 14:
            top, space = [*top, []], space - 1
        table = part_lines(anatomy, deltas, left, space)
        age = [("arenas ", "faint"), *age] if age else []
        return [*top, *_beside(table, beside_lines(anatomy, right, space, age), sum(left))]
    plan = columns(width)
    if space >= 20:
        top, space = [*top, []], space - 1
    table = part_lines(anatomy, deltas, plan, space)
    if below and len(table) < space:
        below = [[], *below]
    more = settings_line(anatomy, width)
    if more and len(top) + len(table) + len(below) < room:
        below.append(more)
    return [*top, *table, *below][:room]


def _beside(left: list[list[Cell]], right: list[list[Cell]], width: int) -> list[list[Cell]]:
    """Two blocks beside each other, the left one `width` cells wide."""
    lines: list[list[Cell]] = []
    for index in range(max(len(left), len(right))):
        first = left[index] if index < len(left) else []
        second = right[index] if index < len(right) else []
        gap = max(0, width - width_of(first)) + GAP
        role = "heading" if index == 0 else "dim"
        lines.append([*first, *([(" " * gap, role), *second] if second else [])])
    return lines
