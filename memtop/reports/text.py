"""A sheet as plain text in lines of at most so many cells; text of others is made visible."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from memtop.render.escape import cells, fit, visible
from memtop.reports.blocks import Block, Head, Listed, Picture, Say, Table
from memtop.units import UNKNOWN

MARGIN = 12  # cells for labels that are no longer
GAP = 2
LEAST_WIDTH = 40
NARROWEST = 12  # cells to which a column may be cut
LAST = 24  # cells that the last column gets, whose lines are wrapped


def write(sheet: Sequence[Block], width: int) -> str:
    """The sheet as text; every line ends with a newline."""
    width = max(LEAST_WIDTH, width)
    lines: list[str] = []
    for block in sheet:
        if isinstance(block, Head):
            if block.level > 1:
                lines += ["", visible(block.text).upper()]
            else:
                lines.append(fit(visible(block.text), width).rstrip())
        elif isinstance(block, Say):
            if block.strong:
                lines.append("")
            lines += _wrapped(visible(block.text), width)
        elif isinstance(block, Listed):
            lines += _listed(block, width)
        elif isinstance(block, Table):
            lines += _table(block, width)
        elif isinstance(block, Picture):
            lines += [f"{visible(block.file)}  {visible(block.text)}"]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _wrapped(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    return wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
    ) or [first.rstrip()]


def _listed(block: Listed, width: int) -> list[str]:
    lines: list[str] = []
    margin = " " * MARGIN
    for label, text in block.items:
        shown = visible(label)
        if cells(shown) > MARGIN - GAP:
            lines += _wrapped(f"{shown}: {visible(text)}", width, "", margin)
            continue
        lines += _wrapped(visible(text), width, fit(shown, MARGIN), margin)
    return lines


def _table(block: Table, width: int) -> list[str]:
    rows = [block.headings, *block.rows]
    shown = [[visible(value) for value in row] for row in rows]
    sizes = [max(cells(row[place]) for row in shown) for place in range(len(block.headings))]
    last = len(sizes) - 1
    room = width - GAP * last
    over = sum(sizes[:last]) + min(sizes[last], LAST) - room
    if over > 0:
        sizes[block.flexible] = max(NARROWEST, sizes[block.flexible] - over)
    sizes[last] = max(NARROWEST, min(sizes[last], room - sum(sizes[:last])))
    if sum(sizes) > room:
        return _stacked(block, width)
    lines = []
    for row in shown:
        pieces = wrap(row[last], sizes[last], break_on_hyphens=False) or [""]
        begin = "".join(
            _aligned(value, size, place in block.right) + " " * GAP
            for place, (value, size) in enumerate(zip(row[:last], sizes[:last], strict=True))
        )
        lines.append((begin + pieces[0]).rstrip())
        lines += [" " * cells(begin) + piece for piece in pieces[1:]]
    return lines


def _stacked(block: Table, width: int) -> list[str]:
    """A table that is too wide: each row as two paragraphs, the second one is set in."""
    lines: list[str] = []
    head = {0, block.flexible}
    for row in block.rows:
        name = "  ".join(visible(row[place]).strip() for place in sorted(head))
        rest = [
            f"{heading}: {visible(value)}" if heading else visible(value)
            for place, (heading, value) in enumerate(zip(block.headings, row, strict=True))
            if place not in head and value and value != UNKNOWN
        ]
        lines += _wrapped(name, width, "", " " * MARGIN)
        lines += _wrapped("; ".join(rest), width, " " * MARGIN, " " * MARGIN) if rest else []
    return lines


def _aligned(value: str, size: int, right: bool) -> str:
    value = fit(value, size) if cells(value) > size else value
    blanks = " " * (size - cells(value))
    return blanks + value if right else value + blanks
