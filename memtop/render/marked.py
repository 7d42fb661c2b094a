"""What changed from mark to mark, as a line below a chart: `├── +22.0 GiB ──├─ 0.0 MiB ─┤`.

It stands below the same columns as the chart; where those are too narrow, the changes are listed
with their marks, the largest ones. Sizes in KiB, times in seconds since the epoch.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from memtop import units
from memtop.model.marks import Stretch, between
from memtop.render.cells import Cell, cut, width_of
from memtop.render.chart import LABEL_WIDTH, Mark
from memtop.render.escape import fit, visible

LABEL = "by mark"
MOST_NAME = 16  # cells of the text of a mark in a list


def changes(values: Sequence[tuple[float, float]], marks: Sequence[Mark]) -> list[Stretch]:
    """The stretches between the marks within what a chart shows: points in order of time."""
    if not values:
        return []
    times = [at for at, _ in values]
    least: dict[float, float] = {}  # of a range, which is two points, what it never fell below
    for at, kib in values:
        least[at] = min(kib, least.get(at, kib))

    def value_at(at: float) -> int:
        return round(least[times[max(0, bisect_right(times, at) - 1)]])

    divisions = [(one.at, one.text) for one in marks if one.divides]
    return between(divisions, times[0], times[-1], value_at)


def change_cells(
    stretches: Sequence[Stretch], begin: float, window_s: float, columns: int
) -> list[Cell]:
    """The line below a chart of `columns` that begins at `begin`."""
    label: Cell = (LABEL.rjust(LABEL_WIDTH) + "  ", "dim")
    made = _drawn(stretches, begin, window_s, columns) or _listed(stretches, columns)
    return cut([label, *made], LABEL_WIDTH + 2 + columns)


def _drawn(
    stretches: Sequence[Stretch], begin: float, window_s: float, columns: int
) -> list[Cell] | None:
    """Each change within its stretch; None if there is no room for one that is any."""

    def place(at: float) -> int:
        return max(0, min(columns - 1, int((at - begin) / window_s * columns)))

    made: list[Cell] = []
    end = 0
    for stretch in stretches:
        first, last = place(stretch.begin), place(stretch.end)
        words = _words(stretch.change_kib)
        size, room = width_of(words), last - first - 1
        if size > room:
            if _is_any(stretch.change_kib):
                return None
            words, size = [], 0
        if last > first:
            left = (room - size) // 2
            made += [(" " * (first - end) + "├" + "─" * left, "rule"), *words]
            made.append(("─" * (room - size - left), "rule"))
        end = last
    return [*made, ("┤", "rule")]


def _listed(stretches: Sequence[Stretch], columns: int) -> list[Cell]:
    """The largest changes that there is room for, each behind its mark, in order of time."""
    pieces: dict[int, list[Cell]] = {}
    left = columns
    changed = [(index, one) for index, one in enumerate(stretches) if _is_any(one.change_kib)]
    for index, stretch in sorted(changed, key=lambda pair: -abs(pair[1].change_kib or 0)):
        name = fit(visible(stretch.text), MOST_NAME).rstrip() or "before"
        piece: list[Cell] = [(name, "accent"), *_words(stretch.change_kib), ("  ", "dim")]
        if width_of(piece) <= left:
            pieces[index] = piece
            left -= width_of(piece)
    made = [cell for _, piece in sorted(pieces.items()) for cell in piece]
    return made or [("no change", "dim")]


def _is_any(change_kib: int | None) -> bool:
    """Whether a change is one as it is written."""
    return change_kib is not None and any(
        digit in "123456789" for digit in units.size_parts(abs(change_kib))[0]
    )


def _words(change_kib: int | None) -> list[Cell]:
    if change_kib is None:
        return [(f" {units.UNKNOWN} ", "dim")]
    number, unit = units.size_parts(abs(change_kib))
    if not _is_any(change_kib):
        return [(f" {number} {unit} ", "dim")]
    sign = "+" if change_kib > 0 else units.MINUS
    return [(f" {sign}{number}", "bright" if change_kib > 0 else "text"), (f" {unit} ", "dim")]
