"""The history of one process as a chart of cells: a braille line over a grid of round numbers.

plotext draws the line; it is imported on first use, because it costs 40 ms and 5 MiB. Labels,
grid, marks and times are drawn here, so that sizes read as everywhere else. Sizes in KiB, times
in seconds since the epoch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from memtop import units
from memtop.model.history import BUCKET_S, LONG_EVERY, TICKS, History
from memtop.model.state import State
from memtop.render.cells import Cell
from memtop.render.escape import cells, fit, visible

WINDOWS_S = {"10 m": 600, "2 h": 7200, "24 h": 86_400}
LABEL_WIDTH = 9
LEAST_HEIGHT = 3
LEAST_TEXT = 4  # cells that a cut text of a mark has
MARKED = "┊"
LEAST_SPAN_KIB = 16 * 1024
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_NICE = (1, 2, 2.5, 5)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a moment, or that somebody has marked.

    One that `divides` parts what came before it from what came after.
    """

    at: float
    text: str
    divides: bool = True


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


def columns_of(width: int) -> int:
    """How many cells of a chart of this width are between the labels and its right edge."""
    return max(8, width - LABEL_WIDTH - 3)


def chart_cells(
    values: Sequence[tuple[float, float]],
    window_s: int,
    now: float,
    width: int,
    height: int,
    *,
    role: str = "text",
    levels: Sequence[tuple[str, int]] = (),
    marks: Sequence[Mark] = (),
    ascii_only: bool = False,
) -> list[list[Cell]]:
    """The chart in `height` lines of `width` cells: marks, grid with the line, times below.

    `levels` are sizes with a name (peak, swap, a limit), drawn as dashed lines across.
    """
    if height < LEAST_HEIGHT or width < LABEL_WIDTH:
        return []
    rows, columns = max(2, height - 2), columns_of(width)
    if not values:
        blank: list[list[Cell]] = [[(" " * width, "dim")] for _ in range(height)]
        blank[height // 2] = [("  no history yet".ljust(width), "dim")]
        return blank
    begin = now - window_s
    low, high = min(kib for _, kib in values), max(kib for _, kib in values)
    # A level is drawn where it is near; a far one would flatten the line to nothing.
    reach = max(high - low, LEAST_SPAN_KIB) * 0.5
    near = [kib for _, kib in levels if low - reach <= kib <= high + reach]
    low, high = min([low, *near]), max([high, *near])
    bottom, per_row, between = _scale(low, high, rows)
    # A label names the middle of its row.
    low_edge, high_edge = bottom - per_row / 2, bottom + per_row * (rows - 0.5)
    canvas = _canvas(values, begin, now, low_edge, high_edge, columns, rows, ascii_only)
    named = {round((kib - bottom) / per_row): name for name, kib in levels}
    places = places_of(marks, begin, window_s, columns)
    lines = [_mark_line(places, columns, width)]
    for index in range(rows):
        from_bottom = rows - 1 - index
        is_tick = from_bottom % between == 0
        label = units.size(bottom + from_bottom * per_row) if is_tick else ""
        drawn = canvas[index]
        filler = "┈" if is_tick else " "
        if from_bottom in named:
            filler, label = "╌", named[from_bottom]
        pieces: list[Cell] = [
            (label.rjust(LABEL_WIDTH), "dim"),
            (" ┤" if is_tick else " │", "rule"),
        ]
        pieces += _runs(drawn, filler, role, places)
        pieces.append((" " * max(0, width - LABEL_WIDTH - 2 - columns), "faint"))
        lines.append(pieces)
    lines.append(_time_line(begin, now, columns, width))
    return lines


def _canvas(
    values: Sequence[tuple[float, float]],
    begin: float,
    end: float,
    bottom: float,
    top: float,
    columns: int,
    rows: int,
    ascii_only: bool,
) -> list[str]:
    """The line alone, as `rows` strings of `columns` characters."""
    import plotext

    plotext.clear_figure()
    plotext.theme("clear")
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


def _runs(drawn: str, filler: str, role: str, marked: Container[int]) -> list[Cell]:
    """A row of the canvas as runs of line, of grid, and of the columns that are marked."""
    runs: list[Cell] = []
    for column, character in enumerate(drawn):
        piece = (character, role)
        if character in " ⠀":
            piece = (MARKED, "dim") if column in marked else (filler, "rule")
        if runs and runs[-1][1] == piece[1]:
            runs[-1] = (runs[-1][0] + piece[0], piece[1])
        else:
            runs.append(piece)
    return runs


def places_of(marks: Sequence[Mark], begin: float, window_s: float, columns: int) -> dict[int, str]:
    """The columns that have marks, from left to right, each with its texts."""
    found: dict[int, list[str]] = {}
    for mark in sorted(marks, key=lambda one: one.at):
        place = min(int((mark.at - begin) // (window_s / columns)), columns - 1)
        if place >= 0:
            texts = found.setdefault(place, [])
            if mark.text not in texts:
                texts.append(mark.text)
    return {place: visible(", ".join(texts)) for place, texts in found.items()}


def _mark_line(places: Mapping[int, str], columns: int, width: int) -> list[Cell]:
    """Signs above the columns that have marks, and their texts as far as there is room.

    A text stands behind its sign; where that is too narrow, before it.
    """
    line: list[str] = [" "] * columns
    taken = -1  # the last cell that is not free
    signs = [*places, columns + 1]
    for (place, text), following in zip(places.items(), signs[1:], strict=True):
        line[place] = "▼"
        size, right, left = cells(text), following - place - 3, place - taken - 2
        if size <= right or (right >= min(size, LEAST_TEXT) and right >= left):
            shown, at = fit(text, min(size, right)), place + 2
        elif left >= min(size, LEAST_TEXT):
            shown = fit(text, min(size, left))
            at = place - 1 - cells(shown)
        else:
            shown, at = "", place
        if shown:
            # A wide character takes the cell behind it as well.
            line[at : at + cells(shown)] = [*shown, *[""] * (cells(shown) - len(shown))]
        taken = max(place, at + cells(shown) - 1)
    text = " " * (LABEL_WIDTH + 2) + "".join(line)
    return [(fit(text, width), "accent")]


def _time_line(begin: float, end: float, columns: int, width: int) -> list[Cell]:
    def clock(at: float) -> str:
        return datetime.fromtimestamp(at, timezone.utc).strftime("%H:%M")

    line = " " * (LABEL_WIDTH + 2) + clock(begin).ljust(columns)
    middle = LABEL_WIDTH + 2 + columns // 2 - 2
    line = line[:middle] + clock((begin + end) / 2) + line[middle + 5 :]
    line = line[: LABEL_WIDTH + 2 + columns - 5] + clock(end)
    return [(line.ljust(width)[:width], "dim")]
