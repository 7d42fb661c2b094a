"""What RSS is made of, part by part: bars, sizes, shares and what changed, in groups with sums.

One scale for all bars of a table; the stroke says what kind of memory it is, so that it works
without colour. Lines of cells with roles, as wide as asked or narrower. Sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from memtop import units
from memtop.anatomy.difference import Difference
from memtop.anatomy.result import FREED, LIVE, MALLOC, Anatomy, Part, PartId
from memtop.render.cells import Cell
from memtop.render.escape import fit, visible
from memtop.render.strokes import MIB, SHOWN_BYTES, bar, delta_cell, size_cells

INDENT, LABEL, LEAST_BAR = 2, 19, 5
MARK, MARK_WIDE, WIDE = 3, 4, 70
NOW, SHARE, DELTA = 10, 8, 9


class Deltas(NamedTuple):
    """What changed since an earlier look; with `is_partial` only malloc's own parts are known.

    `mark` is the sign of a part that has grown by most of it, with its role.
    """

    difference: Difference
    is_partial: bool = False
    mark: tuple[str, str] = ("▲", "rising")

    def of(self, ids: Iterable[PartId]) -> int | None:
        """The change of some parts together; None if that of one is not known."""
        wanted = frozenset(ids)
        if self.is_partial and not wanted <= frozenset(MALLOC):
            return None
        return sum(one.bytes for one in self.difference.changes if one.id in wanted)

    @property
    def leading(self) -> PartId | None:
        """The part that has grown by at least half of the growth, and by a MiB; if there is one."""
        known = (one for one in self.difference.changes if self.of([one.id]) is not None)
        most = max(known, key=lambda one: one.bytes, default=None)
        if most is None or most.bytes < max(MIB, self.difference.rss_bytes / 2):
            return None
        return most.id


class Group(NamedTuple):
    """Parts of one kind."""

    label: str
    parts: tuple[Part, ...]

    @property
    def bytes(self) -> int:
        """Their sum."""
        return sum(part.bytes for part in self.parts)


class Columns(NamedTuple):
    """The widths of a table; 0 is a column that is left out."""

    label: int
    bar: int
    now: int
    share: int
    delta: int
    mark: int


def groups_of(anatomy: Anatomy) -> tuple[Group, ...]:
    """The parts in use, those that are freed, and what is no heap; only groups that exist.

    Parts of a heap stay in their order, so that no row moves when it is read again.
    """
    rest = [part for part in anatomy.parts if part.id not in (*LIVE, *FREED)]
    kinds = (
        ("live", _in_order(anatomy, LIVE)),
        ("freed, not returned", _in_order(anatomy, FREED)),
        ("not heap", sorted(rest, key=lambda part: (part.id == "other", -part.bytes))),
    )
    return tuple(Group(label, tuple(parts)) for label, parts in kinds if parts)


def _in_order(anatomy: Anatomy, ids: Sequence[PartId]) -> list[Part]:
    return [part for one in ids for part in anatomy.parts if part.id == one]


def columns(width: int, *, with_delta: bool = True) -> Columns:
    """What there is room for: the share goes first, then the bar, the mark, the change."""
    delta, mark = (DELTA, MARK_WIDE if width >= WIDE else MARK) if with_delta else (0, 0)
    if (bar := width - LABEL - NOW - SHARE - delta - mark) >= LEAST_BAR:
        return Columns(LABEL, bar, NOW, SHARE, delta, mark)
    if (bar := width - LABEL - NOW - delta - mark) >= LEAST_BAR:
        return Columns(LABEL, bar, NOW, 0, delta, mark)
    if width >= NOW + delta + 8:
        return Columns(width - NOW - delta, 0, NOW, 0, delta, 0)
    return Columns(max(0, width - NOW), 0, NOW, 0, 0, 0)


def heading(plan: Columns) -> list[Cell]:
    """The titles of the columns."""
    text = fit("PART", plan.label + plan.bar) + "NOW".rjust(plan.now)
    text += "SHARE".rjust(plan.share) if plan.share else ""
    text += "Δ MiB".rjust(plan.delta) if plan.delta else ""
    return [(text + " " * plan.mark, "heading")]


def part_lines(
    anatomy: Anatomy, deltas: Deltas | None, plan: Columns, room: int
) -> list[list[Cell]]:
    """The table in at most `room` lines: groups with sums if they fit, else the largest parts."""
    made: list[list[Cell]] = []
    for build in (_grouped, _tight):
        made = build(anatomy, deltas, plan)
        if len(made) <= room:
            return made
    return _largest(anatomy, deltas, plan, room)


def _grouped(anatomy: Anatomy, deltas: Deltas | None, plan: Columns) -> list[list[Cell]]:
    lines: list[list[Cell]] = []
    for block in _blocks(anatomy, deltas, plan, lambda part: True):
        lines += [*([[]] if lines else []), *block]
    rule: list[Cell] = [("─" * (sum(plan) - plan.mark), "rule")]
    return [heading(plan), *lines, rule, rss_line(anatomy, deltas, plan)]


def _tight(anatomy: Anatomy, deltas: Deltas | None, plan: Columns) -> list[list[Cell]]:
    """Without blank lines, and without parts that are nothing and were nothing."""

    def counts(part: Part) -> bool:
        change = deltas.of([part.id]) if deltas is not None else 0
        return part.bytes >= SHOWN_BYTES or abs(change or 0) >= SHOWN_BYTES

    blocks = _blocks(anatomy, deltas, plan, counts)
    lines = [line for block in blocks for line in block]
    return [heading(plan), *lines, rss_line(anatomy, deltas, plan)]


def _blocks(
    anatomy: Anatomy, deltas: Deltas | None, plan: Columns, counts: Callable[[Part], bool]
) -> list[list[list[Cell]]]:
    blocks = []
    leading = deltas.leading if deltas is not None else None
    for group in groups_of(anatomy):
        rows = [
            _row(anatomy, part, deltas, plan, is_leading=part.id == leading)
            for part in group.parts
            if counts(part)
        ]
        blocks.append([_sum_row(anatomy, group, deltas, plan), *rows])
    return blocks


def _largest(anatomy: Anatomy, deltas: Deltas | None, plan: Columns, room: int) -> list[list[Cell]]:
    """The largest parts alone, whatever they are, and what the others are together."""
    lines = [heading(plan)] if room >= 4 else []
    parts = sorted(anatomy.parts, key=lambda part: -part.bytes)
    space = room - len(lines)
    shown = parts if len(parts) <= space else parts[: max(0, space - 1)]
    leading = deltas.leading if deltas is not None else None
    for part in shown:
        lines.append(_row(anatomy, part, deltas, plan, is_leading=part.id == leading, indent=0))
    if (left := parts[len(shown) :]) and len(lines) < room:
        size = sum(part.bytes for part in left)
        change = deltas.of(part.id for part in left) if deltas is not None else None
        label: Cell = (fit(f"{len(left)} more", plan.label + plan.bar), "faint")
        cells = [label, *_figures(anatomy, size, change, deltas, plan, "faint")]
        lines.append(cells)
    return lines


def _sum_row(anatomy: Anatomy, group: Group, deltas: Deltas | None, plan: Columns) -> list[Cell]:
    ids = LIVE if group.label == "live" else FREED if group.label.startswith("freed") else None
    change = None
    if deltas is not None:
        gone = (one.id for one in deltas.difference.changes if one.id not in (*LIVE, *FREED))
        change = deltas.of(gone if ids is None else ids)
    label: Cell = (fit(group.label, plan.label + plan.bar), "text")
    return [label, *_figures(anatomy, group.bytes, change, deltas, plan, "text")]


def _row(
    anatomy: Anatomy,
    part: Part,
    deltas: Deltas | None,
    plan: Columns,
    *,
    is_leading: bool = False,
    indent: int = INDENT,
) -> list[Cell]:
    label = " " * indent + visible(part.label)
    cells: list[Cell] = [(fit(label, max(0, plan.label - 1)), "strong" if is_leading else "dim")]
    cells.append((" " * min(1, plan.label), "dim"))
    if plan.bar:
        scale = max((one.bytes for one in anatomy.parts), default=0)
        cells += bar(part, scale, plan.bar)
    change = deltas.of([part.id]) if deltas is not None else None
    role = "strong" if is_leading else "dim"
    return [*cells, *_figures(anatomy, part.bytes, change, deltas, plan, role)]


def rss_line(anatomy: Anatomy, deltas: Deltas | None, plan: Columns) -> list[Cell]:
    """The whole, as the kernel counts it."""
    change = deltas.difference.rss_bytes if deltas is not None else None
    label: Cell = (fit("RSS", plan.label + plan.bar), "clear")
    return [label, *_figures(anatomy, anatomy.rss_bytes, change, deltas, plan, "clear")]


def _figures(
    anatomy: Anatomy,
    bytes_: int,
    change: int | None,
    deltas: Deltas | None,
    plan: Columns,
    role: str,
) -> list[Cell]:
    """Size, share of RSS and change, each in its column; `strong` is the part that grew most."""
    cells = size_cells(bytes_, plan.now, role)
    if plan.share:
        share = f"{100 * bytes_ / anatomy.rss_bytes:.0f}" if anatomy.rss_bytes else units.UNKNOWN
        weak = "faint" if share == "0" or role == "faint" else "dim"
        cells += [(share.rjust(plan.share - 2), "text" if role == "strong" else weak)]
        cells += [(" %", "faint")]
    if plan.delta:
        warm = deltas.mark[1] if deltas is not None and role == "strong" else role
        cells.append(delta_cell(change, plan.delta, warm))
    if plan.mark:
        sign, warm = deltas.mark if deltas is not None and role == "strong" else ("", "dim")
        cells.append((sign.rjust(plan.mark), warm))
    return cells
