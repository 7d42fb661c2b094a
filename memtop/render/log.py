"""The log tab: what memtop has done, its figures, and below them what they mean.

Lines of cells with roles. Only whole entries are shown; what was dropped for want of room is told.
The newest entry has the cursor's edge. Narrow screens lose what is least asked for first.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from memtop import units
from memtop.model.log import Entry, Log
from memtop.model.state import State
from memtop.render.cells import EDGE, Cell
from memtop.render.escape import fit, visible
from memtop.render.question import command_lines

INDENT = 10  # a sentence begins below the action
NAME_WIDTH, LEAST_NAME_WIDTH = 12, 5
WIDE, NARROW = 112, 60
_FIGURES = (("BEFORE", 11), ("AFTER", 11), ("RETURNED", 12), ("PREDICTED", 12), ("HELD", 11))
_FIRST_TO_GO = ("PREDICTED", "HELD", "BEFORE", "AFTER")
OUTCOMES = {
    "nothing_to_return": "nothing",
    "not_applicable": "not for it",
}


class Plan(NamedTuple):
    """Which figures there is room for, how wide names are (0: left out), and outcomes."""

    figures: tuple[tuple[str, int], ...]
    name_width: int
    outcome_width: int


def log_title(log: Log, state: State, *, is_replay: bool = False) -> list[Cell]:
    """How many actions, since when; in a replay also what happened, up to when."""
    if is_replay:
        count = f"{log.total} entr{'y' if log.total == 1 else 'ies'}"
        return [("log", "strong"), (f"   {count} up to {units.clock(state.taken_at)}", "dim")]
    count = f"{log.total} action{'' if log.total == 1 else 's'}"
    if log.total > len(log):
        count = f"the last {len(log)} of {count}"
    since = units.clock(state.taken_at - state.watched_s)
    return [("log", "strong"), (f"   {count} since {since}", "dim")]


def log_lines(
    log: Log, keys: Sequence[tuple[str, str]] | None, width: int, room: int, skip: int = 0
) -> list[list[Cell]]:
    """The tab in at most `room` lines, without the `skip` newest entries.

    `keys` act on processes: each with the word for what it does; None in a replay.
    """
    if room <= 0:
        return []
    if not log.total:
        return _empty_lines(keys)[:room]
    plan = _plan(width)
    lines = [_heading(plan, width)]
    entries = list(log)
    shown = 0
    rest: list[list[Cell]] = []
    for index, entry in enumerate(entries[skip:], skip):
        made = _entry_lines(entry, plan, width, is_newest=index == 0)
        left = len(entries) - index - 1
        if shown and len(lines) + len(made) + (2 if left or skip else 0) > room:
            break
        shown += 1
        # What is said of several in a row is said once, below the last of them.
        lines.append(made[0])
        rest = [*made[1:], []]
        if not (left and _says_the_same(entry, entries[index + 1])):
            lines, rest = lines + rest, []
    lines += rest
    if skip or skip + shown < len(entries):
        lines = [*lines[: room - 1], _more(len(entries) - skip - shown, skip)]
    return lines[:room]


def _says_the_same(newer: Entry, older: Entry) -> bool:
    same = (newer.action, newer.outcome, newer.sentence, newer.command)
    return same == (older.action, older.outcome, older.sentence, older.command)


def _plan(width: int) -> Plan:
    outcome_width = 15 if width >= WIDE else 10
    figures = list(_FIGURES)
    for name in (*_FIRST_TO_GO, "RETURNED", ""):
        rest = width - 28 - sum(size for _, size in figures) - 3 - outcome_width - 1
        least = NAME_WIDTH if name in _FIRST_TO_GO else LEAST_NAME_WIDTH
        if rest >= least:
            return Plan(tuple(figures), rest, outcome_width)
        figures = [figure for figure in figures if figure[0] != name]
    return Plan((), 0, outcome_width)


def _heading(plan: Plan, width: int) -> list[Cell]:
    text = " TIME      ACTION      PID"
    if plan.name_width:
        text += "  " + fit("PROCESS", plan.name_width)
    text += "".join(name.rjust(size) for name, size in plan.figures)
    return [(fit(text + "   OUTCOME", width), "heading")]


def _entry_lines(entry: Entry, plan: Plan, width: int, *, is_newest: bool) -> list[list[Cell]]:
    """The figures of an action, what they mean, and the command that helps."""
    edge: Cell = EDGE if is_newest else (" ", "dim")
    lines = [[edge, *_figure_cells(entry, plan, is_newest=is_newest)]]
    role = "rising" if entry.is_warning else "text" if is_newest else "dim"
    indent = INDENT if width >= NARROW else 0
    size = max(8, width - indent - 2)
    for piece in textwrap.wrap(visible(entry.sentence), size, break_on_hyphens=False):
        lines.append([edge, (" " * indent, "dim"), (piece, role)])
    if entry.command:
        for cells in command_lines(entry.command, size):
            lines.append([edge, (" " * indent, "dim"), *cells])
    return lines


def _figure_cells(entry: Entry, plan: Plan, *, is_newest: bool) -> list[Cell]:
    head, number = ("strong", "clear") if is_newest else ("text", "dim")
    if entry.is_warning:
        head = "rising"
    cells: list[Cell] = [
        (units.clock(entry.at), "dim"),
        (" " + fit(entry.action, 6), head),
        (str(entry.pid or "").rjust(9), "text" if is_newest else "dim"),
    ]
    if plan.name_width:
        cells += [("  ", "dim"), (fit(visible(entry.name), plan.name_width), number)]
    sizes = {
        "BEFORE": entry.before_bytes,
        "AFTER": entry.after_bytes,
        "RETURNED": entry.returned_bytes,
        "PREDICTED": entry.predicted_bytes,
    }
    for name, width in plan.figures:
        if not entry.is_measured:
            cells.append((" " * width, "dim"))
        elif name == "HELD":
            cells += _pair(*_milliseconds(entry.held_us), width, number)
        else:
            returned = name == "RETURNED" and bool(entry.returned_bytes) and is_newest
            cells += _pair(*_size(sizes[name]), width, "strong" if returned else number)
    outcome = fit(OUTCOMES.get(entry.outcome, entry.outcome), plan.outcome_width)
    role = "rising" if entry.is_warning else "text" if is_newest else "dim"
    return [*cells, ("   ", "dim"), (outcome, role)]


def _pair(number: str, unit: str, width: int, role: str) -> list[Cell]:
    """A number with its unit, which is a step dimmer; nothing and unknown are faint."""
    if number in ("0", units.UNKNOWN):
        role = "faint"
    size = width - (len(unit) + 1 if unit else 0)
    cells: list[Cell] = [(number.rjust(size), role)]
    return (
        [*cells, (" " + unit, "dim" if role in ("clear", "strong") else "faint")] if unit else cells
    )


def _size(bytes_: int | None) -> tuple[str, str]:
    if bytes_ is None:
        return units.UNKNOWN, ""
    number, unit = units.size_parts(bytes_ / 1024)
    return ("0" if number == "0.0" else number), unit


def _milliseconds(us: float | None) -> tuple[str, str]:
    if us is None:
        return units.UNKNOWN, ""
    ms = us / 1000
    return f"{ms:.{2 if ms < 9.995 else 1 if ms < 99.95 else 0}f}", "ms"


def _more(older: int, newer: int) -> list[Cell]:
    """That there are more entries than fit, and the keys that show them."""
    cells: list[Cell] = []
    for key, number, word in (("]", older, "older"), ("[", newer, "newer")):
        if number > 0:
            cells += [
                ("   " if cells else " ", "dim"),
                (key, "accent"),
                (f" {number} {word}", "dim"),
            ]
    return cells


def _empty_lines(keys: Sequence[tuple[str, str]] | None) -> list[list[Cell]]:
    """What is missing, and the keys that fill it."""
    if keys is None:
        return [[(" Nothing was done or noted up to here.", "dim")]]
    if not keys:
        return [[(" memtop acts on no process: it was started with --read-only.", "dim")]]
    words: list[Cell] = [(" Nothing has been done to any process.  ", "dim")]
    for key, word in keys:
        words += [(" ", "dim"), (key, "accent"), (f" {word}  ", "dim")]
    return [words, [(" Each asks before it does anything.", "dim")]]
