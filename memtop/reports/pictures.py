"""Which moments of a recording a report shows, and the chart of all of its time.

The chart has the rows that changed most, with their marks. A picture of the screen at a moment
takes a whole application: it is made by whoever has one. Times in seconds since the epoch.
"""

from __future__ import annotations

from typing import NamedTuple

from memtop.recording.courses import UNKNOWN, Courses
from memtop.recording.recording import Recording
from memtop.render.cells import Cell, cut
from memtop.render.chart import Mark, chart_cells
from memtop.render.escape import visible
from memtop.render.picture import svg_of_cells
from memtop.reports.report import Report
from memtop.reports.subject import Subject
from memtop.reports.words import moment, who

WIDTH, HEIGHT, ROWS = 120, 13, 3
MOST_POINTS = 400
APART_S = 2.0
BACKGROUND = "#14171c"
COLORS = {
    "dim": "#8b94a1",
    "rule": "#333a45",
    "accent": "#7fb8d8",
    "text": "#b9c1cc",
    "leak": "#ff6f61",
    "bright": "#f1f4f8",
}


class Shot(NamedTuple):
    """A moment that is worth a picture of the screen: when, and what it shows."""

    at: float
    text: str


def telling_shots(report: Report) -> list[Shot]:
    """The highest sum, the end of the largest rise, and the end; each only once."""
    if report.last_at is None:
        return []
    shots: list[Shot] = []
    if report.highest is not None:
        shots.append(Shot(report.highest.at, "the highest total"))
    if report.largest_rise is not None:
        shots.append(Shot(report.largest_rise[1].at, "after the largest rise"))
    shots.append(Shot(report.last_at, "the end"))
    kept: list[Shot] = []
    for one in shots:
        if all(abs(one.at - other.at) >= APART_S for other in kept):
            kept.append(Shot(one.at, f"{one.text}, {moment(one.at)}"))
    return kept


def chart_of(recording: Recording, report: Report) -> str:
    """The memory of those that changed most over all of the recording, as SVG."""
    courses = recording.courses()
    marks = [Mark(one.at, visible(one.text)) for one in report.events if one.kind == "mark"]
    begin, end = courses.times[0], courses.times[-1]
    lines: list[list[Cell]] = [[(visible(report.name), "bright"), (f"   {moment(end)}", "dim")]]
    for one in (report.subjects or list(report.processes))[:ROWS]:
        lines += [[], cut([(visible(who(one)), "accent")], WIDTH)]
        lines += chart_cells(
            _points(courses, one),
            max(1, round(end - begin)),
            end,
            WIDTH,
            HEIGHT,
            role="leak" if one.grows else "text",
            marks=marks,
        )
    return svg_of_cells(lines, WIDTH, COLORS, BACKGROUND)


def _points(courses: Courses, one: Subject) -> list[tuple[float, float]]:
    """Its least and largest values, in about as many steps as can be drawn."""
    course = courses.by_number[one.number]
    lows, highs = course.lows, course.highs
    every = max(1, len(lows) // MOST_POINTS)
    made: list[tuple[float, float]] = []
    for place in range(0, len(lows), every):
        known = [low for low in lows[place : place + every] if low != UNKNOWN]
        if known:
            at = courses.times[course.first + place]
            made += [(at, min(known)), (at, max(highs[place : place + every]))]
    return made
