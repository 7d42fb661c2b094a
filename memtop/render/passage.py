"""A recording on the screen: where the time cursor stands, and the chart of all that is known.

Lines of cells with roles. Times in seconds since the epoch, sizes in KiB.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from memtop import units
from memtop.model.marks import Stretch
from memtop.render.axis import Mark
from memtop.render.cells import Cell, width_of
from memtop.render.chart import LABEL_WIDTH, ROOMY_HEIGHT, chart_cells, columns_of
from memtop.render.escape import fit, visible
from memtop.render.marked import change_cells
from memtop.render.summary import Notice, chosen_cells, spread

WHOLE = "whole"
LEAST_NAME = 8
LEAST_FOR_CHANGES = 8  # a lower chart has no line for what changed from mark to mark
WEAKER = {"strong": "dim", "bright": "dim", "clear": "dim", "text": "dim", "dim": "faint"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a replay stands: the time of the cursor, and the recording around it.

    `written_by` is the version of memtop that recorded last, every `interval_s`.
    """

    at: float
    first_at: float
    last_at: float
    path: str
    written_by: str
    interval_s: float
    is_playing: bool = False
    speed: int = 1
    is_growing: bool = False


@dataclass(frozen=True, slots=True)
class Passage:
    """What a recording knows of the memory of one process or group, also after the cursor.

    `begin` to `end` is the window on show, which is called `window`; `stretches` is None while
    what changed from mark to mark is being read.
    """

    cursor_at: float
    begin: float
    end: float
    window: str
    values: Sequence[tuple[float, float]]
    marks: tuple[Mark, ...] = ()
    stretches: tuple[Stretch, ...] = ()


def passage_lines(
    passage: Passage,
    slope: list[Cell],
    width: int,
    room: int,
    *,
    role: str,
    levels: Sequence[tuple[str, int]] = (),
    ascii_only: bool = False,
) -> list[list[Cell]]:
    """The chart tab in at most `room` lines, without a margin; `slope` is its first line."""
    window_s = max(passage.end - passage.begin, 1.0)
    stretches, height = passage.stretches, max(0, room - 1)
    below: list[list[Cell]] = []
    if stretches and passage.values and height >= LEAST_FOR_CHANGES:
        below = [[]] if height >= ROOMY_HEIGHT else []
        line = change_cells(stretches, passage.begin, window_s, columns_of(width))
        at = (
            LABEL_WIDTH
            + 2
            + int((passage.cursor_at - passage.begin) / window_s * columns_of(width))
        )
        below.append(_receding(line, at))
    chart = chart_cells(
        passage.values,
        window_s,
        passage.end,
        width,
        height - len(below),
        role=role,
        levels=levels,
        marks=passage.marks,
        cursor_at=passage.cursor_at,
        ascii_only=ascii_only,
    )
    return [slope, *chart, *below]


def _receding(line: list[Cell], column: int) -> list[Cell]:
    """The line with what begins behind a column weaker than what is before it."""
    made: list[Cell] = []
    used = 0
    for text, role in line:
        begin = used + len(text) - len(text.lstrip())
        used += len(text)
        made.append((text, WEAKER.get(role, role) if begin > column else role))
    return made


def place_cells(place: Place, notice: Notice, width: int) -> list[Cell]:
    """Line 2 of a replay: what plays how fast, which file; at right where the cursor is.

    What is said for a moment takes the place of all but the time of the cursor.
    """
    sign = "▶" if place.is_playing else "‖"
    left: list[Cell] = [(f"{sign} replay", "accent")]
    if place.speed > 1 or place.is_playing:
        left.append((f" ×{place.speed}", "text"))
    if notice.message:
        role = "rising" if notice.warning else "accent"
        time = units.clock(place.at)
        room = max(1, width - 2 - width_of(left) - 3 - (len(time) + 3 if width >= 60 else 0))
        right = [(fit(visible(notice.message), room).rstrip(), role)]
        if width >= 60:
            right += [("   ", "dim"), (time, "strong")]
        return spread(left, [], right, width)
    right = _where(place, width)
    name = visible(os.path.basename(place.path))
    extras = chosen_cells(notice)
    if place.is_growing:
        extras.append([("still written", "accent")])
    every = f"{place.interval_s:g} s"
    extras.append([(f"recorded by {visible(place.written_by)}, {every}", "dim")])
    extras.append([(f"by {visible(place.written_by)}, {every}", "dim")])
    room = width - 2 - width_of(left) - width_of(right) - 2
    if room >= 3 + min(len(name), LEAST_NAME):
        shown = fit(name, min(room - 3, max(len(name), 1))).rstrip()
        left += [("   ", "dim"), (shown, "text")]
        room -= 3 + len(shown)
    for extra in extras:
        if (need := width_of(extra) + 3) <= room:
            left += [("   ", "dim"), *extra]
            room -= need
            if extra[0][0].startswith("recorded"):
                break
    return spread(left, [], right, width)


def _where(place: Place, width: int) -> list[Cell]:
    """The time of the cursor, how far that is, and the date."""
    passed, total = place.at - place.first_at, place.last_at - place.first_at
    date = datetime.fromtimestamp(place.at, timezone.utc).strftime("%Y-%m-%d")
    cells: list[Cell] = []
    if width >= 112:
        cells.append(("cursor ", "dim"))
    cells.append((units.clock(place.at), "strong"))
    if width >= 72:
        cells.append((f"   {fine_duration(passed)} of {fine_duration(total)}", "dim"))
    else:
        cells.append((f"   {fine_duration(passed)}", "dim"))
    if width >= 96:
        cells.append((f"   {date}", "dim"))
    return cells


def fine_duration(seconds: float) -> str:
    """`48 s`, `16 m 08 s`, `2 h 51 m`: below an hour to the second, as steps of one need it."""
    whole = max(0, int(seconds + 0.0005))
    if 60 <= whole < 3600:
        return f"{whole // 60} m {whole % 60:02} s"
    return units.duration(whole)
