"""The history of one process as a chart of cells: a braille line over a grid of round numbers.

plotext draws the line; it is imported on first use, because it costs 40 ms and 5 MiB. Labels and
grid are drawn here, marks and times in `axis`, so that sizes read as everywhere else. Sizes in
KiB, times in seconds since the epoch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from memtop import units
from memtop.model.history import BUCKET_S, LONG_EVERY, TICKS, History
from memtop.model.state import State
from memtop.render.axis import (
    LABEL_WIDTH,
    UPRIGHT,
    Axis,
    Mark,
    columns_of,
    head_lines,
    places_of,
    time_line,
)
from memtop.render.cells import Cell

__all__ = ["LABEL_WIDTH", "WINDOWS_S", "Mark", "chart_cells", "columns_of", "points"]

WINDOWS_S = {"10 m": 600, "2 h": 7200, "24 h": 86_400}
LEAST_HEIGHT = 3
ROOMY_HEIGHT = 12  # from which on marks have their times
LEAST_SPAN_KIB = 16 * 1024
BLANK = " ⠀"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_NICE = (1, 2, 2.5, 5)
_DOTS = 4  # points that are enough for a column


def points(
    history: History | None, state: State, window_s: int, ended_at: float | None = None
) -> list[tuple[float, float]]:
    """The history within the window as (time, KiB), the oldest first; ranges are two points."""
    if history is None:
        return []
    end = ended_at or state.taken_at
    made: list[tuple[float, float]] = []
    if window_s > 7200:
        size, last = BUCKET_S * LONG_EVERY, state.bucket // LONG_EVERY
        spans = history.long_spans(last - window_s // size + 1, last)
    else:
        size, last = BUCKET_S, state.bucket
        spans = history.spans(last - window_s // size + 1, last)
    fine_from = _fine_from(history, state) if window_s <= 600 else math.inf
    # How far the last bucket has got; the wall clock may have jumped since buckets were aligned.
    shift = min(max(state.taken_at - last * size, 0.0), size)
    for back, span in enumerate(reversed(spans)):
        at = state.taken_at - shift - back * size
        # A bucket that reaches into what is known tick by tick would be drawn twice.
        if span is None or at + size > fine_from + 1 or at > end or _in_gap(state, at):
            continue
        made += [(at, span[1]), (at, span[0])] if span[0] != span[1] else [(at, span[0])]
    made.reverse()
    if window_s <= 600:
        oldest = max(state.tick, history.changed_tick) - TICKS + 1  # a paused state is an older one
        first = max(history.first_tick, oldest)
        for tick, kib in enumerate(history.ticks(first, state.tick), first):
            at = state.taken_at - (state.tick - tick) * state.interval_s
            if state.taken_at - window_s <= at <= end:
                made.append((at, kib))
    return made


def _fine_from(history: History, state: State) -> float:
    kept = min(TICKS, state.tick - history.first_tick + 1)
    return state.taken_at - kept * state.interval_s


def _in_gap(state: State, at: float) -> bool:
    bucket = state.bucket - int((state.taken_at - at) // BUCKET_S)
    return any(begin <= bucket <= end for begin, end in state.gaps)


def _scale(low: float, high: float, rows: int) -> tuple[float, float, int]:
    """The bottom of the axis, KiB in a row, and rows between ticks: round numbers on whole rows.

    Of the scales that hold everything the one that leaves least room empty.
    """
    span = max(high - low, LEAST_SPAN_KIB, 0.04 * high)
    top = max(high + span * 0.02, low + span * 0.9)
    best: tuple[float, float, int] | None = None
    for exponent in range(9):
        for nice in _NICE:
            step = nice * 10**exponent * 1024
            bottom = max(0.0, (low - span * 0.05) // step * step)
            for between in (2, 3, 4):
                per_row = step / between
                holds = bottom + per_row * (rows - 0.5) >= top
                if holds and (best is None or per_row < best[1]):
                    best = (bottom, per_row, between)
    assert best is not None  # 4 TiB, the most that a process can have, fit the last one
    return best


def chart_cells(
    values: Sequence[tuple[float, float]],
    window_s: float,
    now: float,
    width: int,
    height: int,
    *,
    role: str = "text",
    levels: Sequence[tuple[str, int]] = (),
    marks: Sequence[Mark] = (),
    cursor_at: float | None = None,
    ascii_only: bool = False,
) -> list[list[Cell]]:
    """The chart in `height` lines of `width` cells: marks, grid with the line, times below.

    The axis ends at `now`. `levels` are sizes with a name (peak, swap, a limit), drawn as dashed
    lines across. With a cursor what comes after it is faint, and the value there stands beside it.
    """
    if height < LEAST_HEIGHT or width < LABEL_WIDTH:
        return []
    columns = columns_of(width)
    axis = Axis(now - window_s, now, columns, width, cursor_at)
    places = places_of(marks, axis)
    heads = 2 if height >= ROOMY_HEIGHT and (places or cursor_at is not None) else 1
    rows = max(2, height - 1 - heads)
    if not values:
        blank: list[list[Cell]] = [[(" " * width, "dim")] for _ in range(height)]
        blank[height // 2] = [("  no history yet".ljust(width), "dim")]
        return blank
    low, high = min(kib for _, kib in values), max(kib for _, kib in values)
    # A level is drawn where it is near; a far one would flatten the line to nothing.
    reach = max(high - low, LEAST_SPAN_KIB) * 0.5
    near = [kib for _, kib in levels if low - reach <= kib <= high + reach]
    low, high = min([low, *near]), max([high, *near])
    bottom, per_row, between = _scale(low, high, rows)
    # A label names the middle of its row.
    edges = (bottom - per_row / 2, bottom + per_row * (rows - 0.5))
    canvas = _drawn(values, axis, edges, rows, role, ascii_only=ascii_only)
    named = {round((kib - bottom) / per_row): name for name, kib in levels}
    lines = head_lines(places, axis, heads)
    body: list[tuple[str, bool]] = []
    for index in range(rows):
        from_bottom = rows - 1 - index
        is_tick = from_bottom % between == 0
        label = units.size(bottom + from_bottom * per_row) if is_tick else ""
        filler = "┈" if is_tick else " "
        if from_bottom in named:
            filler, label = "╌", named[from_bottom]
        for column in range(columns):
            if canvas[index][column] is None:
                canvas[index][column] = (filler, "rule")
        body.append((label, is_tick))
    _draw_upright(canvas, places, axis)
    if cursor_at is not None:
        known = [kib for at, kib in values if at <= cursor_at]
        if known:
            place = rows - 1 - round((known[-1] - bottom) / per_row)
            _draw_value(canvas, axis.column(cursor_at), place, known[-1])
    for (label, is_tick), cells in zip(body, canvas, strict=True):
        pieces: list[Cell] = [
            (label.rjust(LABEL_WIDTH), "dim"),
            (" ┤" if is_tick else " │", "rule"),
        ]
        pieces += _runs(cells)
        pieces.append((" " * max(0, width - LABEL_WIDTH - 2 - columns), "faint"))
        lines.append(pieces)
    lines.append(time_line(axis))
    return lines


Canvas = list[list[Cell | None]]


def _drawn(
    values: Sequence[tuple[float, float]],
    axis: Axis,
    edges: tuple[float, float],
    rows: int,
    role: str,
    *,
    ascii_only: bool,
) -> Canvas:
    """The line, what comes after the cursor faint; None where there is none of it."""
    made: Canvas = [[None] * axis.columns for _ in range(rows)]
    values = _thinned(values, axis)
    parts: list[tuple[Sequence[tuple[float, float]], str]] = [(values, role)]
    if axis.cursor_at is not None:
        past = [one for one in values if one[0] <= axis.cursor_at]
        # It holds until the cursor, and goes on from there.
        joint = [(axis.cursor_at, past[-1][1])] if past else []
        future = [one for one in values if one[0] > axis.cursor_at]
        parts = [([*joint, *future] if future else [], "faint"), ([*past, *joint], role)]
    for points_, role_ in parts:
        if not points_:
            continue
        lines = _canvas(
            points_, axis.begin, axis.end, *edges, axis.columns, rows, ascii_only=ascii_only
        )
        for row, line in zip(made, lines, strict=True):
            for place, character in enumerate(line):
                if character not in BLANK:
                    row[place] = (_joined(character, row[place]), role_)
    return made


def _joined(character: str, before: Cell | None) -> str:
    """Two pieces of line in one cell; the dots of Braille add up."""
    both = 0x2800 <= ord(character) < 0x2900 and before is not None
    if not both or before is None or not 0x2800 <= ord(before[0]) < 0x2900:
        return character
    return chr(ord(character) | ord(before[0]))


def _thinned(values: Sequence[tuple[float, float]], axis: Axis) -> Sequence[tuple[float, float]]:
    """As many points as can be seen: of many the first, the least, the most and the last."""
    if len(values) <= 2 * _DOTS * axis.columns:
        return values
    made: list[tuple[float, float]] = []
    step_s = (axis.end - axis.begin) / axis.columns / 2
    begin = 0
    for place in range(1, len(values) + 1):
        cell = int((values[begin][0] - axis.begin) / step_s)
        if place < len(values) and int((values[place][0] - axis.begin) / step_s) == cell:
            continue
        some = values[begin:place]
        keep = {0, len(some) - 1}
        keep.add(min(range(len(some)), key=lambda one: some[one][1]))
        keep.add(max(range(len(some)), key=lambda one: some[one][1]))
        made += [some[one] for one in sorted(keep)]
        begin = place
    return made


def _draw_upright(canvas: Canvas, places: Iterable[int], axis: Axis) -> None:
    """Marks as dotted lines, the cursor as a whole one, behind the curve."""
    lines = [(column, UPRIGHT, "dim") for column in places]
    if axis.cursor_at is not None:
        lines.append((axis.column(axis.cursor_at), "│", "accent"))
    for column, character, role in lines:
        for cells in canvas:
            cell = cells[column]
            if cell is not None and (cell[1] == "rule" or cell[0] == UPRIGHT):
                cells[column] = (character, role)


def _draw_value(canvas: Canvas, column: int, place: int, kib: float) -> None:
    """The value at the cursor, beside it and near the curve, where nothing else is drawn."""
    number, unit = units.size_parts(kib)
    text = f"{number} {unit}"
    for off in (1, 2, -1, -2, 3, -3, 4, -4):
        for start in (column + 2, column - 1 - len(text)):
            row, end = place + off, start + len(text)
            if not (0 <= row < len(canvas) and start >= 1 and end < len(canvas[row])):
                continue
            around = canvas[row][start - 1 : end + 1]
            if all(cell is None or cell[1] in ("rule", "accent") for cell in around):
                cells: list[Cell] = [(one, "strong") for one in number]
                cells += [(one, "dim") for one in f" {unit}"]
                canvas[row][start:end] = cells
                return


def _canvas(
    values: Sequence[tuple[float, float]],
    begin: float,
    end: float,
    bottom: float,
    top: float,
    columns: int,
    rows: int,
    *,
    ascii_only: bool,
) -> list[str]:
    """The line alone, as `rows` strings of `columns` characters."""
    import plotext

    plotext.clear_figure()
    plotext.theme("clear")
    plotext.limit_size(False, False)  # else a chart is no wider than the terminal of memtop's start
    plotext.plotsize(columns, rows)
    plotext.frame(False)
    plotext.xaxes(False, False)
    plotext.yaxes(False, False)
    plotext.xticks([])
    plotext.yticks([])
    plotext.xlim(begin, end)
    plotext.ylim(bottom, top)
    plotext.plot(
        [at for at, _ in values],
        [kib for _, kib in values],
        marker="." if ascii_only else "braille",
    )
    lines = _ANSI.sub("", plotext.build()).split("\n")
    made = [line[:columns].ljust(columns) for line in lines[:rows]]
    return made + [" " * columns] * (rows - len(made))


def _runs(cells: Sequence[Cell | None]) -> list[Cell]:
    """A row of the canvas as runs of one role."""
    runs: list[Cell] = []
    for cell in cells:
        assert cell is not None
        if runs and runs[-1][1] == cell[1]:
            runs[-1] = (runs[-1][0] + cell[0], cell[1])
        else:
            runs.append(cell)
    return runs
