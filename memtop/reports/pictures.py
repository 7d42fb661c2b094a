"""Which moments of a recording a report shows, and a plain chart of each as SVG.

The charts are those of the main rows; a picture of the real screen, which takes a whole application
to make, is for whoever has one. Times in seconds since the epoch, sizes in KiB.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from memtop.recording.courses import UNKNOWN, Courses
from memtop.recording.recording import Recording
from memtop.render.chart import Mark, chart_cells
from memtop.render.picture import svg
from memtop.reports.report import Report
from memtop.reports.subject import Subject
from memtop.reports.words import moment, who

CELLS, LINES, ROWS = 100, 12, 3
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
    """A moment that is worth a picture: when, what it shows, and who is to be selected in it."""

    at: float
    text: str
    pid: int | None = None


def telling_shots(report: Report) -> list[Shot]:
    """The highest sum, the end of the largest rise, and the end; each only once."""
    if report.last_at is None:
        return []
    first = next((one for one in report.subjects if one.kind == "process"), None)
    pid = first.pid if first is not None else None
    shots: list[Shot] = []
    if report.highest is not None:
        shots.append(Shot(report.highest.at, "the highest total", pid))
    if report.largest_rise is not None:
        shots.append(Shot(report.largest_rise[1].at, "after the largest rise", pid))
    shots.append(Shot(report.last_at, "the end", pid))
    kept: list[Shot] = []
    for one in shots:
        if all(abs(one.at - other.at) >= APART_S for other in kept):
            kept.append(one._replace(text=f"{one.text}, {moment(one.at)}"))
    return kept


def chart_of(path: str, shot: Shot) -> str:
    """The memory of those that changed most up to a moment, as SVG."""
    from rich.text import Text

    from memtop.reports.report import report_of

    with Recording(path) as recording:
        report, courses = report_of(recording), recording.courses()
        marks = [Mark(one.at, one.text) for one in recording.events() if one.kind == "mark"]
    screen = Text()
    lines = 1
    screen.append(f"{report.name}   {shot.text}\n", style=COLORS["bright"])
    begin = report.first_at or shot.at
    for one in _main(report):
        screen.append(f"{who(one)}\n", style=COLORS["accent"])
        window_s = max(1, int(shot.at - begin))
        for row in chart_cells(
            _points(courses, one, shot.at), window_s, shot.at, CELLS, LINES, marks=marks,
            role="leak" if one.grows else "text",
        ):  # fmt: skip
            for piece, role in row:
                screen.append(piece, style=COLORS.get(role, COLORS["dim"]))
            screen.append("\n")
        lines += LINES + 1
    return svg(screen, CELLS, lines, BACKGROUND)


def _main(report: Report) -> Sequence[Subject]:
    chosen = report.subjects or list(report.processes)
    return chosen[:ROWS]


def _points(courses: Courses, one: Subject, end: float) -> list[tuple[float, float]]:
    course = courses.by_number[one.number]
    last = min(len(course.lows), max(1, bisect_left(courses.times, end + 0.002) - course.first))
    every = max(1, last // MOST_POINTS)
    return [
        (courses.times[course.first + place], max(course.highs[place : place + every]))
        for place in range(0, last, every)
        if course.highs[place] != UNKNOWN
    ]
