"""What ends every tab of the detail pane: the likeliest cause, and `→` what comes next.

Where no cause is known it is what was measured, and the key that tells why; then what could not
be read, and what helps. Lines of cells with roles; sizes come in KiB, times in seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memtop import units
from memtop.model.state import Row, State
from memtop.model.timeline import RATE_FROM_S
from memtop.probe.portrait import advice
from memtop.render.cells import Cell
from memtop.render.escape import visible
from memtop.render.finding import AROUND, brief_lines, hint_line
from memtop.render.group import group_finding
from memtop.render.grown import grown_lines
from memtop.render.inside import finding_lines
from memtop.render.limits import kill_lines, limit_finding
from memtop.render.tabs import ANATOMY, INSIDE, LOG, OBJECTS, WHY
from memtop.render.words import trend_words

if TYPE_CHECKING:
    from memtop.render.detail import Detail

MOST_LINES, LOW_ROWS = 4, 12


def ending_lines(detail: Detail, width: int, height: int) -> list[list[Cell]]:
    """The lines, without a margin, that end a pane of this size; none in the log, nor in `why`."""
    row, tab = detail.row, detail.shown_tab
    if tab in (WHY, LOG):
        return []
    if tab in INSIDE and row.ended_at is None:
        return _inside(detail, width, height)
    why = _why(detail, width, MOST_LINES if height >= LOW_ROWS else 2)
    if tab == "cgroup" and (lines := _of_limit(detail, why)):
        return lines
    if detail.group is not None:
        return why or [*group_finding(detail.group, detail.state), *_hint(detail)]
    if row.ended_at is not None:
        return _ended(row)
    return [*(why or [_measured(detail), *_hint(detail)]), *_unread(detail)]


def _inside(detail: Detail, width: int, height: int) -> list[list[Cell]]:
    """Why, and what an answer says, in at most a quarter of the pane; why it failed comes first."""
    room = max(1, (height - 2) // 4)
    inside = detail.inside if detail.shown_tab == ANATOMY else None
    counted = detail.counted if detail.shown_tab == OBJECTS else None
    failed = any(one is not None and one.failure is not None for one in (inside, counted))
    why = [] if failed else _why(detail, width, room)
    room -= len(why)
    made: list[list[Cell]] = []
    if inside is not None:
        made = finding_lines(inside, width - 2, room)
    elif counted is not None:
        made = grown_lines(counted, width - 2, room)
    if why and made:  # one sign is enough
        (sign, _), *words = made[0]
        made[0] = [(" " * len(sign), "dim"), *words]
    return [*why, *made]


def _why(detail: Detail, width: int, room: int) -> list[list[Cell]]:
    """The likeliest cause and what comes next; nothing if that is not known."""
    return [] if detail.reasons is None else brief_lines(detail.reasons, width - 2, room)


def _of_limit(detail: Detail, why: list[list[Cell]]) -> list[list[Cell]]:
    """What follows from the figures of a cgroup; empty if nothing does."""
    verdict = detail.reasons.verdict if detail.reasons is not None else None
    if why and verdict is not None and verdict.first.cause in AROUND:
        return [*why, *kill_lines(detail.limit)]
    return limit_finding(detail.limit)


def _hint(detail: Detail) -> list[list[Cell]]:
    """The key that tells why; not of who has no memory of its own."""
    if detail.reasons is None or detail.row.kernel or detail.row.state in "ZX":
        return []
    line = hint_line(detail.reasons)
    return [line] if line else []


def _ended(row: Row) -> list[list[Cell]]:
    """When it ended, how large, how old."""
    ended_at = row.ended_at or 0.0
    at = units.clock(ended_at)
    lived = "" if row.started_at is None else f", after {units.duration(ended_at - row.started_at)}"
    words = f"Ended {at} at {units.size(row.rss_kib)}{lived}."
    return [[("×   ", "dim"), (words, "bright")]]


def _measured(detail: Detail) -> list[Cell]:
    """What its trend is."""
    if detail.row.rate_bytes_s is None:
        return [("–   ", "dim"), (_why_no_rate(detail.row, detail.state), "text")]
    return _trend_sentence(detail.row, detail.state)


def _unread(detail: Detail) -> list[list[Cell]]:
    """What of it could not be read, and what helps."""
    portrait, lines = detail.portrait, []
    if portrait is not None and portrait.missing:
        what = ", ".join(dict.fromkeys(one[0] for one in portrait.missing))
        help_ = advice(portrait)
        lines.append([("–   ", "dim"), (f"Not readable: {what}.", "text")])
        if help_:
            lines.append([("→   ", "accent"), (visible(help_), "text")])
    elif detail.loading and portrait is None:
        lines.append([("    ", "dim"), (f"reading {detail.row.pid} …", "dim")])
    return lines


def _why_no_rate(row: Row, state: State) -> str:
    """Why there is no rate."""
    if row.kernel:
        return "A kernel thread has no memory of its own."
    if row.state == "Z":
        return "A zombie: it has no memory any more, and waits for its parent to notice."
    if state.watched_s >= RATE_FROM_S and row.history is None:
        return "Its memory cannot be read."
    return "Watched too short for a rate: it comes after 20 s."


def _trend_sentence(row: Row, state: State) -> list[Cell]:
    """What the trend is, with the figures that prove it."""
    trend, size = row.trend, units.size(row.rss_kib)
    sign, _, role = trend_words(row, state)
    head = (sign.ljust(4), role)
    if trend.is_growing and (trend.since_s is None or trend.grown_bytes is None):
        rate = units.rate_mib_min(row.rate_bytes_s).lstrip("+")
        words = f"Rising, too young to tell from a leak: {rate} MiB a minute, it is {size} now."
        return [head, (words, "bright")]
    if trend.is_growing and trend.since_s is not None and trend.grown_bytes is not None:
        since = units.duration(state.clock_s - trend.since_s)
        grown = units.size(trend.grown_bytes / 1024)
        slope = units.rate_mib_min(trend.slope_bytes_s).lstrip("+")
        what = "Leak-like" if trend.word == "leak-like" else "Rising, too young to tell from a leak"
        words = f"{what}: {slope} MiB a minute, {grown} in {since}."
        return [head, (words, "bright")]
    sentence = {
        "shrinking": f"The floor of RSS falls; it is {size} now.",
        "warm-up": f"Warming up: RSS has risen to {size} and bends over.",
        "sawtooth": f"RSS goes up and down, {size} now; its floor does not rise.",
        "steps": f"RSS moved in steps, {size} now; between them it is level.",
        "steady": f"RSS is {size} and steady.",
    }.get(trend.word, f"RSS is {size}; too few samples for a trend.")
    return [head, (sentence, "dim" if trend.word == "steady" else "text")]
