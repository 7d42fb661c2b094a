"""The time axis of a chart: named marks above it, times below, what changed from mark to mark.

A name that has no room before the next mark is cut, or left to its sign alone. Times in seconds
since the epoch, sizes in KiB. Lines of cells with roles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import NamedTuple

from memtop import units
from memtop.model.marks import Stretch
from memtop.render.cells import Cell
from memtop.render.escape import cells as cell_width
from memtop.render.escape import fit, visible

LABEL_WIDTH = 9
BEFORE = LABEL_WIDTH + 2  # cells of a line before the axis begins
LEAST_NAME = 4
LABELS_APART = 22  # cells
HOURS_S, DAY_S = 7200.0, 86_400.0


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a moment: a signal sent, a baseline, what somebody noted."""

    at: float
    text: str


class Axis(NamedTuple):
    """From when to when, in how many columns of a line of `width` cells; where the cursor is."""

    begin: float
    end: float
    columns: int
    width: int
    cursor_at: float | None = None

    def holds(self, at: float) -> bool:
        """Whether a moment is on the axis."""
        return self.begin <= at <= self.end

    def column(self, at: float) -> int:
        """The column of a moment."""
        share = (at - self.begin) / max(self.end - self.begin, 1e-9)
        return max(0, min(int(share * self.columns), self.columns - 1))


class _Line:
    """A line of the axis that is filled piece by piece."""

    def __init__(self, axis: Axis) -> None:
        self._cells: list[Cell] = [(" ", "dim")] * max(0, axis.width)
        self._taken: set[int] = set()

    def put(self, column: int, text: str, role: str, *, gap: int = 1) -> bool:
        """Write from a column on, if that and `gap` cells around it are free."""
        start = BEFORE + column
        end = start + len(text)
        if start < 0 or end > len(self._cells):
            return False
        if self._taken & set(range(start - gap, end + gap)):
            return False
        for place, character in enumerate(text, start):
            self._cells[place] = (character, role)
        self._taken.update(range(start, end))
        return True

    @property
    def cells(self) -> list[Cell]:
        """The line as runs of one role."""
        runs: list[Cell] = []
        for character, role in self._cells:
            if runs and (runs[-1][1] == role or character == " "):
                runs[-1] = (runs[-1][0] + character, runs[-1][1])
            else:
                runs.append((character, role))
        return runs


def head_lines(marks: Sequence[Mark], axis: Axis, rows: int) -> list[list[Cell]]:
    """Above the chart: names of marks, with two rows also their times, and that of the cursor."""
    lines = [_Line(axis) for _ in range(rows)]
    here = sorted((mark for mark in marks if axis.holds(mark.at)), key=lambda mark: mark.at)
    places = [axis.column(mark.at) for mark in here]
    cursor = None if axis.cursor_at is None else axis.column(axis.cursor_at)
    for index, (mark, place) in enumerate(zip(here, places, strict=True)):
        following = next((one for one in places[index + 1 :] if one > place), None)
        _put_mark(lines, mark, place, axis.columns if following is None else following - 1, axis)
    if cursor is not None and axis.cursor_at is not None:
        _put_cursor(lines, clock(axis.cursor_at), cursor)
        if rows > 1:
            lines[1].put(cursor, "╷", "accent", gap=0)
    return [line.cells for line in lines]


def _put_mark(lines: list[_Line], mark: Mark, place: int, until: int, axis: Axis) -> None:
    """The sign of a mark above its line, and its name as far as there is room for it."""
    name = visible(mark.text)
    room = until - place - 2
    if not lines[0].put(place, "▼", "accent", gap=0):
        return
    if cell_width(name) != len(name):
        name = ""  # of letters that take two cells the sign is enough
    if (
        until >= axis.columns
        and len(name) > room
        and lines[0].put(place - 1 - len(name), name, "text", gap=0)
    ):
        name = ""  # near the right edge the name goes before its sign
    elif name and (len(name) <= room or room >= LEAST_NAME):
        lines[0].put(place + 2, fit(name, min(room, len(name))), "text", gap=0)
    if len(lines) > 1:
        time = clock(mark.at)
        lines[1].put(place, "┊", "dim", gap=0)
        if len(time) <= room:
            lines[1].put(place + 2, time, "dim", gap=0)


def _put_cursor(lines: list[_Line], time: str, column: int) -> None:
    """The time of the cursor above it, or beside where something else stands."""
    for line in lines:
        for start in (column - len(time) // 2, column + 2, column - len(time) - 1):
            if line.put(start, time, "accent"):
                return


def clock(at: float) -> str:
    """A moment of the day to the second."""
    return datetime.fromtimestamp(at, timezone.utc).strftime("%H:%M:%SZ")


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


def stretch_line(stretches: Sequence[Stretch], axis: Axis) -> list[Cell]:
    """What changed from mark to mark: what comes after the cursor recedes."""
    line = _Line(axis)
    line.put(-BEFORE + 2, "by mark", "dim")
    for stretch in stretches:
        if stretch.end < axis.begin or stretch.begin > axis.end:
            continue
        first, last = axis.column(stretch.begin), axis.column(stretch.end)
        is_future = axis.cursor_at is not None and stretch.begin >= axis.cursor_at
        _put_stretch(line, stretch, first, last, is_future=is_future)
    line.put(axis.columns - 1, "┤", "faint", gap=0)
    return line.cells


def _put_stretch(line: _Line, stretch: Stretch, first: int, last: int, *, is_future: bool) -> None:
    number, unit = _change(stretch.change_kib)
    room = last - first - 1
    line.put(first, "├", "faint", gap=0)
    long, short = f" {number} {unit} ", f"{number}"
    words = long if len(long) <= room else short if len(short) <= room else ""
    if not words:
        line.put(first + 1, "─" * room, "faint", gap=0)
        return
    before = (room - len(words)) // 2
    line.put(first + 1, "─" * before, "faint", gap=0)
    calm = stretch.change_kib is None or number in ("0.0", "0")
    role = "dim" if is_future or calm else "strong"
    start = first + 1 + before
    blank = words.startswith(" ")
    line.put(start, " " * blank + number, role, gap=0)
    rest = words[blank + len(number) :]
    line.put(start + blank + len(number), rest, "faint" if is_future or calm else "dim", gap=0)
    end = start + len(words)
    line.put(end, "─" * max(0, last - end), "faint", gap=0)


def _change(kib: int | None) -> tuple[str, str]:
    """A change with its sign, in the unit of its size."""
    if kib is None:
        return units.UNKNOWN, ""
    number, unit = units.size_parts(abs(kib))
    if not any(digit in "123456789" for digit in number):
        return "0.0", unit
    return ("+" if kib > 0 else units.MINUS) + number, unit
