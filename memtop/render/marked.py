"""What changed from mark to mark, as a line below a chart: `├── +22.0 GiB ──├─ 0.0 MiB ─┤`.

It stands below the same columns as the chart. Sizes in KiB, times in seconds since the epoch.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from memtop import units
from memtop.model.marks import Stretch, between
from memtop.render.cells import Cell
from memtop.render.chart import LABEL_WIDTH, Mark

LABEL = "by mark"
Piece = tuple[int, list[Cell]]


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

    return between([(one.at, one.text) for one in marks], times[0], times[-1], value_at)


def change_cells(
    stretches: Sequence[Stretch], begin: float, window_s: float, columns: int
) -> list[Cell]:
    """The line below a chart of `columns` that begins at `begin`; where there is no room for a
    change there is but a rule."""

    def place(at: float) -> int:
        return max(0, min(columns - 1, int((at - begin) / window_s * columns)))

    cells: list[Cell] = [(LABEL.rjust(LABEL_WIDTH) + "  ", "dim")]
    end = 0
    for index, stretch in enumerate(stretches):
        first, last = place(stretch.begin), place(stretch.end)
        if last <= first and index < len(stretches) - 1:
            continue
        cells.append((" " * (first - end) + "├", "rule"))
        room = last - first - 1
        words = _words(stretch.change_kib)
        size = sum(len(text) for text, _ in words)
        if room >= size:
            left = (room - size) // 2
            cells += [("─" * left, "rule"), *words, ("─" * (room - size - left), "rule")]
        else:
            cells.append(("─" * max(0, room), "rule"))
        end = max(last, first + 1)
    return [*cells, ("┤", "rule")]


def _words(change_kib: int | None) -> list[Cell]:
    if change_kib is None:
        return [(f" {units.UNKNOWN} ", "dim")]
    number, unit = units.size_parts(abs(change_kib))
    if not any(digit in "123456789" for digit in number):
        return [(f" {number} {unit} ", "dim")]
    sign = "+" if change_kib > 0 else units.MINUS
    return [(f" {sign}{number}", "bright" if change_kib > 0 else "text"), (f" {unit} ", "dim")]
