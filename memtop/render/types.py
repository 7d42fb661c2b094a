"""The table of types: name, module, how many, how much, what changed, and a bar.

Lines of cells with roles, as wide as asked; columns that there is no room for go in order of use.
Sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from memtop import units
from memtop.render.cells import Cell
from memtop.render.counted import Standing, TypeRow
from memtop.render.escape import cells as cell_width
from memtop.render.escape import fit, visible
from memtop.render.strokes import HALF, TRACK, USED, delta_cell, size_cells

NAME, MODULE, LEAST_BAR, MOST_BAR, GAP = 22, 18, 8, 40, 2
# Column, its width, and how much the name keeps before it goes: the first one goes first.
_COLUMNS = (
    ("buffers", 12, 24),
    ("rate", 9, 24),
    ("count_change", 11, 24),
    ("number", 12, 22),
    ("change", 11, 10),
    ("bytes", 11, 4),
)
_CHANGES = ("count_change", "change", "rate")
_TITLES = {
    "number": "COUNT",
    "count_change": "Δ COUNT",
    "bytes": "BYTES",
    "buffers": "IN BUFFERS",
    "change": "Δ MiB",
    "rate": "Δ/min",
}
_SORTED_BY = {"count": "number", "bytes": "bytes", "growth": "change"}


class Columns(NamedTuple):
    """The widths of the table; 0 is a column that is left out."""

    name: int
    module: int
    number: int
    count_change: int
    bytes: int
    buffers: int
    change: int
    rate: int
    bar: int


def columns(width: int, *, with_growth: bool = True, with_buffers: bool = True) -> Columns:
    """What there is room for in `width` cells."""
    sizes = {
        name: size
        for name, size, _ in _COLUMNS
        if (with_growth or name not in _CHANGES) and (with_buffers or name != "buffers")
    }
    for name, _, least in _COLUMNS:
        if width - sum(sizes.values()) < least:
            sizes.pop(name, None)
    left = max(0, width - sum(sizes.values()))
    name_width, module, bar = left, 0, 0
    if (spare := left - NAME - MODULE - GAP - LEAST_BAR) >= 0:
        bar = min(MOST_BAR, LEAST_BAR + spare * 2 // 3)
        module = MODULE + (left - NAME - MODULE - GAP - bar) // 2
        name_width = left - module - GAP - bar
    figures = {one: sizes.get(one, 0) for one in _TITLES}
    return Columns(name=name_width, module=module, bar=bar, **figures)


def heading(plan: Columns, order: str = "", words: str = "") -> list[Cell]:
    """The titles; the column of the `order` has its mark, a filter stands after the first."""
    title, role = ("TYPE", "heading") if order != "name" else ("TYPE ▼", "sorted")
    cells: list[Cell] = [(fit(title, plan.name), role)]
    if words and plan.name > 10:
        found = fit(f"/ {visible(words)}", plan.name - len(title) - 3)
        cells = [(f"{title}  ", role), (found + " ", "sorted")]
    cells.append((fit("MODULE", plan.module), "heading"))
    for name in Columns._fields[2:-1]:
        size = getattr(plan, name)
        title, is_sorted = _TITLES[name], _SORTED_BY.get(order) == name
        title += " ▼" if is_sorted and size > len(title) + 2 else ""
        cells.append((title.rjust(size) if size else "", "sorted" if is_sorted else "heading"))
    bar = " " * GAP + fit("SHARE", plan.bar) if plan.bar else ""
    return [*cells, (bar, "heading")]


def type_line(
    row: TypeRow, plan: Columns, scale: int, standing: Standing, warm: str = "rising"
) -> list[Cell]:
    """One type; the one that has most of the growth in full ink, its change in the role `warm`."""
    is_leading = standing.leading == (row.type, row.module)
    is_notable = is_leading or standing.is_notable(row)
    role = "strong" if is_leading else "text" if is_notable else "dim" if row.count else "faint"
    hot = warm if is_leading else "rising" if is_notable else role
    if row.change and not row.sure_change:
        hot = "faint"
    came = "rising" if row.has_come and not is_notable else hot
    cells = [*name_cells(row, plan, role), *_figures(row, plan, role, hot, came)]
    return [*cells, *share_bar(row.bytes, scale, plan.bar)]


def more_line(rows: Sequence[TypeRow], plan: Columns, above: int = 0) -> list[Cell]:
    """What those that are not shown are together; `above`: so many of them stand further up."""
    words = f"{len(rows):,} more type{'' if len(rows) == 1 else 's'}"
    words += f", {above:,} above" if above else ""
    is_compared = any(row.change is not None for row in rows)
    total = TypeRow(
        words,
        None,
        sum(row.count for row in rows),
        sum(row.bytes for row in rows),
        sum(row.buffer_bytes for row in rows),
        sum(row.count_change or 0 for row in rows) if is_compared else None,
        sum(row.change or 0 for row in rows) if is_compared else None,
        sum(row.per_minute or 0.0 for row in rows) if is_compared else None,
    )
    return [
        (fit(words, plan.name + plan.module), "faint"),
        *_figures(total, plan, "faint", "faint", "faint"),
    ]


def name_cells(row: TypeRow, plan: Columns, role: str) -> list[Cell]:
    """The type, and its module: in its own column, or after it as far as there is room."""
    name = visible(row.type) or "?"
    module = visible(row.module) if row.module is not None else units.UNKNOWN
    if plan.module:
        return [
            (fit(fit(name, plan.name - 2).rstrip(), plan.name), role),
            (
                fit(fit(module, plan.module - 2).rstrip(), plan.module),
                "faint" if role != "strong" else "dim",
            ),
        ]
    if row.module in (None, "builtins") or plan.name - cell_width(name) < 8:
        return [(fit(name, plan.name - 1) + " " * min(1, plan.name), role)]
    beside = fit(f" {module}", plan.name - cell_width(name) - 1).rstrip()
    return [(name, role), (fit(beside, plan.name - cell_width(name)), "faint")]


def _figures(row: TypeRow, plan: Columns, role: str, hot: str, came: str) -> list[Cell]:
    """The figures, each in its column; a change of the number in the role `came`."""
    plain = "clear" if role == "strong" else role
    rate = None if row.per_minute is None else round(row.per_minute)
    weak = hot if hot in (role, "faint") else "text"
    return [
        *number_cells(row.count, row.count_change, plan, plain, came),
        *(size_cells(row.bytes, plan.bytes, role) if plan.bytes else []),
        *(size_cells(row.buffer_bytes, plan.buffers, plain) if plan.buffers else []),
        *([delta_cell(row.change, plan.change, hot)] if plan.change else []),
        *([delta_cell(rate, plan.rate, weak)] if plan.rate else []),
    ]


def number_cells(count: int, change: int | None, plan: Columns, role: str, hot: str) -> list[Cell]:
    """How many, and by how many more."""
    cells: list[Cell] = []
    if plan.number:
        text = count_text(count, plan.number - 1).rjust(plan.number)
        cells.append((text, role if count else "faint"))
    if plan.count_change:
        cells.append(count_change_cell(change, plan.count_change, hot))
    return cells


def count_text(count: int, width: int) -> str:
    """`12,345`; in millions if there is no room for that."""
    text = f"{count:,}"
    return text if len(text) <= width else f"{count / 1e6:,.1f} M"


def count_change_cell(change: int | None, width: int, role: str) -> Cell:
    """A change of a number, with its sign; nothing and unknown are faint."""
    if change is None:
        return (units.UNKNOWN.rjust(width), "faint")
    text = units.signed(change, 0)
    if len(text) > width - 1:
        text = units.signed(change / 1e6) + " M"
    return (text.rjust(width), role if change else "faint")


def share_bar(bytes_: int, scale: int, width: int) -> list[Cell]:
    """How much that is of `scale`, as a bar after a gap."""
    if not width:
        return []
    halves = min(2 * width, round(2 * width * bytes_ / scale)) if scale > 0 else 0
    full, half = divmod(max(0, halves), 2)
    own = USED * full + HALF * half
    return [(" " * GAP, "dim"), (own, "live"), (TRACK[0] * (width - len(own)), TRACK[1])]
