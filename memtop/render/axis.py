"""The time axis of a chart: named marks and the time cursor above it, times below.

A text that has no room before the next mark is cut, or left to its sign alone. Times in seconds
since the epoch. Lines of cells with roles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import NamedTuple

from memtop.render.cells import Cell
from memtop.render.escape import cells as cell_width
from memtop.render.escape import fit, visible
from memtop.units import clock

LABEL_WIDTH = 9
BEFORE = LABEL_WIDTH + 2  # cells of a line before the axis begins
LEAST_TEXT = 4  # cells that a cut text of a mark has
APART = 2  # cells between two texts
UPRIGHT = "┊"
LABELS_APART = 22  # cells
HOURS_S, DAY_S = 7200.0, 86_400.0


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a moment, or that somebody has marked.

    One that `divides` parts what came before it from what came after.
    """

    at: float
    text: str
    divides: bool = True


class Axis(NamedTuple):
    """From when to when, in how many columns of a line of `width` cells; where the cursor is."""

    begin: float
    end: float
    columns: int
    width: int
    cursor_at: float | None = None

    def holds(self, at: float) -> bool:
        """Whether a moment is on the axis; without a cursor what is newer stands at its end."""
        return self.begin <= at and (self.cursor_at is None or at <= self.end)

    def column(self, at: float) -> int:
        """The column of a moment."""
        share = (at - self.begin) / max(self.end - self.begin, 1e-9)
        return max(0, min(int(share * self.columns), self.columns - 1))


class Place(NamedTuple):
    """The marks of one column: when the first one was, and what all of them say."""

    at: float
    text: str


def columns_of(width: int) -> int:
    """How many cells of a chart of this width are between the labels and its right edge."""
    return max(8, width - LABEL_WIDTH - 3)


def places_of(marks: Sequence[Mark], axis: Axis) -> dict[int, Place]:
    """The columns that have marks, from left to right."""
    found: dict[int, list[Mark]] = {}
    for mark in sorted(marks, key=lambda one: one.at):
        if axis.holds(mark.at):
            found.setdefault(axis.column(mark.at), []).append(mark)
    return {
        column: Place(here[0].at, visible(", ".join(dict.fromkeys(one.text for one in here))))
        for column, here in found.items()
    }


class _Line:
    """A line of the axis that is filled piece by piece."""

    def __init__(self, axis: Axis) -> None:
        self._cells: list[Cell] = [(" ", "dim")] * max(0, axis.width)
        self._taken: set[int] = set()

    def put(self, column: int, text: str, role: str, *, gap: int = 1) -> bool:
        """Write from a column on, if that and `gap` cells around it are free."""
        start = BEFORE + column
        end = start + cell_width(text)
        if start < BEFORE or end > len(self._cells):
            return False
        if self._taken & set(range(start - gap, end + gap)):
            return False
        # A wide character takes the cell behind it as well.
        self._cells[start:end] = [
            *((character, role) for character in text),
            *[("", role)] * (end - start - len(text)),
        ]
        self._taken.update(range(start, end))
        return True

    @property
    def cells(self) -> list[Cell]:
        """The line as runs of one role."""
        runs: list[Cell] = []
        for character, role in self._cells:
            if runs and (runs[-1][1] == role or character in ("", " ")):
                runs[-1] = (runs[-1][0] + character, runs[-1][1])
            else:
                runs.append((character, role))
        return runs


def head_lines(places: Mapping[int, Place], axis: Axis, rows: int) -> list[list[Cell]]:
    """Above the chart: signs of marks with their texts, as far as there is room; with two rows
    also their times. The time of the cursor stands above it, or beside where a mark is.

    A text stands behind its sign; where that is too narrow, before it.
    """
    lines = [_Line(axis) for _ in range(rows)]
    taken = -1 - APART  # the last cell that is not free
    signs = [*places, axis.columns + 1]
    for (column, place), following in zip(places.items(), signs[1:], strict=True):
        lines[0].put(column, "▼", "accent", gap=0)
        size = cell_width(place.text)
        right, left = following - column - 3, column - taken - 1 - APART - 1
        shown, at = "", column
        if size <= right or (right >= min(size, LEAST_TEXT) and right >= left):
            shown, at = fit(place.text, min(size, right)), column + 2
        elif left >= min(size, LEAST_TEXT):
            shown = fit(place.text, min(size, left))
            at = column - 1 - cell_width(shown)
        if shown:
            lines[0].put(at, shown, "text", gap=0)
        taken = max(column, at + cell_width(shown) - 1)
        for line in lines[1:]:
            time = clock(place.at)
            line.put(column, UPRIGHT, "dim", gap=0)
            if len(time) <= right:
                line.put(column + 2, time, "dim", gap=0)
    if axis.cursor_at is not None:
        column = axis.column(axis.cursor_at)
        _put_cursor(lines, clock(axis.cursor_at), column)
        for line in lines[1:]:
            line.put(column, "╷", "accent", gap=0)
    return [line.cells for line in lines]


def _put_cursor(lines: Sequence[_Line], time: str, column: int) -> None:
    for line in lines:
        for start in (column - len(time) // 2, column + 2, column - len(time) - 1):
            if line.put(start, time, "accent"):
                return


def time_line(axis: Axis) -> list[Cell]:
    """Times below the chart: its ends, and between them as many as there is room for."""
    span_s = axis.end - axis.begin
    ends, inner = "%H:%M", "%H:%M"
    if axis.cursor_at is not None:
        ends = "%m-%d %H:%M" if span_s > DAY_S else "%H:%M:%S" if span_s < HOURS_S else "%H:%M"
        inner = "%H:%M:%S" if span_s < 600 else "%H:%M"
    count = max(2, min(6, axis.columns // LABELS_APART)) if axis.cursor_at is not None else 2
    line = _Line(axis)
    for number in range(count + 1):
        at = axis.begin + span_s * number / count
        is_end = number in (0, count)
        text = datetime.fromtimestamp(at, timezone.utc).strftime(ends if is_end else inner)
        place = round(axis.columns * number / count) - len(text) // 2
        line.put(max(0, min(place, axis.columns - len(text))), text, "dim")
    return line.cells
