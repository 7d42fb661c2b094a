"""Bars and figures of the tables about memory: strokes that tell kinds apart without colour.

In use is heavy, freed but kept is dashed, what trim would return is dotted, no heap is thin, and
what other processes share is double. Pieces of a line with roles. Sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from memtop import units
from memtop.anatomy.result import FREED, LIVE, Part, PartId
from memtop.render.cells import Cell

MIB = 1 << 20
USED, HALF, KEPT, TRIMMABLE, REST, SHARED = "━", "╸", "╍", "┄", "─", "═"
TRACK: Cell = ("─", "rule")
SHOWN_BYTES = MIB // 20  # less is written 0.0


def size_cells(bytes_: int | None, width: int, role: str) -> list[Cell]:
    """A size, right-aligned; its unit is a step dimmer, nothing and unknown are faint."""
    number, unit = units.size_parts(None if bytes_ is None else bytes_ / 1024)
    if not unit or (number == "0.0" and role == "dim"):
        role = "faint"
    weak = "dim" if role in ("strong", "clear", "text") else "faint"
    if not unit:
        return [(number.rjust(width - 4) + "    ", "faint")]
    return [(number.rjust(width - 4), role), (f" {unit}", weak)]


def delta_cell(change: int | None, width: int, role: str) -> Cell:
    """A change in MiB with its sign; nothing and unknown are faint."""
    if change is None:
        return (units.UNKNOWN.rjust(width), "faint")
    mib = change / MIB
    text = units.signed(mib) if abs(mib) < 99.95 else units.signed(mib, 0) + "  "
    if len(text) > width:
        text = text.strip()
    if len(text) > width:  # a hundred GiB and more
        text = units.signed(mib / MIB) + " TiB"
    return (text.rjust(width), "faint" if text == "0.0" else role)


def bar(part: Part, scale: int, width: int) -> list[Cell]:
    """How much a part is of the largest one, what other processes share of it drawn lighter."""
    stroke, role = stroke_of(part.id)
    size = part.bytes / scale * width if scale > 0 else 0.0
    halves = min(2 * width, round(2 * size)) if stroke == USED else 2 * min(width, round(size))
    if part.bytes >= SHOWN_BYTES:
        halves = max(halves, 1 if stroke == USED else 2)
    full, half = divmod(halves, 2)
    shared = 0
    if part.shared_bytes and part.bytes:
        shared = round((full + half) * min(1.0, part.shared_bytes / part.bytes))
    own = full + half - shared
    end = HALF if half and own else ""
    track = " " if stroke == REST else TRACK[0]
    cells: list[Cell] = [(stroke * (own - len(end) if not shared else own), role)]
    cells += [(end, role)] if not shared else [(SHARED * shared, "faint")]
    return [*cells, (track * (width - full - half), TRACK[1])]


def stroke_of(part: PartId) -> Cell:
    """The stroke of a part, and its role."""
    if part == "malloc_trimmable":
        return (TRIMMABLE, "accent")
    if part in FREED:
        return (KEPT, "rising")
    return (USED, "live") if part in LIVE else (REST, "dim")


def stacked(strokes: Sequence[tuple[str, str, int]], scale: int, width: int) -> list[Cell]:
    """Strokes one behind the other, with role and size; the ends are rounded, not the pieces."""
    cells: list[Cell] = []
    done, upto = 0, 0
    for stroke, role, size in strokes:
        upto += max(0, size)
        end = min(width, round(width * upto / scale)) if scale > 0 else 0
        cells.append((stroke * max(0, end - done), role))
        done = max(done, end)
    return [*cells, (" " * (width - done), "dim")]
