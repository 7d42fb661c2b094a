"""The lines around the table: who and how much, what is shown, the keys. Cells with roles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from memtop import units
from memtop.model.filter import is_growing
from memtop.model.query import View
from memtop.model.state import HostRow, State
from memtop.render.cells import Cell, width_of
from memtop.render.escape import cells as cell_width
from memtop.render.escape import visible

BAR_FULL, BAR_TRACK = "━", "─"
SORT_WORDS = {"rate": "growth", "rss": "memory", "cpu": "CPU", "pid": "PID", "name": "name"}
LAYOUT_WORDS = {
    "tree": "tree by",
    "container": "by container,",
    "user": "by user,",
    "flat": "flat by",
}


@dataclass(frozen=True, slots=True)
class Notice:
    """What the second line says besides: the filter in force, paused since when, a message."""

    matched: int = 0
    filter: str = ""
    paused_at: float | None = None
    tagged: int = 0
    message: str = ""
    warning: bool = False


def host_cells(state: State, width: int) -> list[Cell]:
    """Line 1: the machine, its memory in use as numbers and bar, how fast the floor moves."""
    host = state.host
    left: list[Cell] = [("host ", "strong"), (visible(host.name), "strong")]
    right = _rate_cells(host, narrow=width < 96)
    middle: list[Cell] = []
    if host.total_kib and host.used_kib is not None:
        total, unit = units.size_parts(host.total_kib)
        used = host.used_kib / (1024 if unit == "MiB" else 1024**2 if unit == "GiB" else 1024**3)
        decimals = len(total.partition(".")[2])
        middle = [
            (f"{used:.{decimals}f}", "bright"),
            (" of ", "dim"),
            (total, "bright"),
            (f" {unit}", "dim"),
        ]
        cells = 50 if width >= 160 else 25 if width >= 112 else 18 if width >= 96 else 10
        if width >= 60:
            full = round(cells * min(1.0, host.used_kib / host.total_kib))
            middle += [("  ", "dim"), (BAR_FULL * full, "text")]
            middle += [(BAR_TRACK * (cells - full), "rule")]
    return _spread(left, middle, right, width)


def _rate_cells(host: HostRow, *, narrow: bool) -> list[Cell]:
    if host.rate_bytes_s is None:
        return [("rate after 20 s", "dim")]
    text = units.rate_mib_min(host.rate_bytes_s)
    role = "bright" if text.startswith("+") else "dim"
    return [(text, role), ("/min" if narrow else " MiB/min", "dim")]


def view_cells(state: State, view: View, notice: Notice, width: int) -> list[Cell]:
    """Line 2: counts at left, then only what is not zero; order, interval, clock at right."""
    living = state.living()
    left: list[Cell] = [(f"{len(living):,}", "text"), (" processes", "dim")]
    extras: list[list[Cell]] = []
    if notice.filter:
        extras.append(
            [(f"filter {visible(notice.filter)}", "accent"), (f" {notice.matched}", "text")]
        )
    if notice.tagged:
        extras.append([(f"{notice.tagged} tagged", "accent")])
    python = sum(row.python for row in living)
    if python and width >= 96:
        extras.append([(f"{python:,}", "text"), (" python", "dim")])
    if growing := sum(is_growing(row) for row in living):
        extras.append([(f"{growing} growing", "rising")])
    closed = sum(row.rights == () for row in living)
    if closed and width >= 96:
        extras.append([(f"{closed:,}", "text"), (" closed to memtop", "dim")])
    if width >= 140 and (state.births or state.deaths):
        extras.append([(f"{state.births} born, {state.deaths} ended in 10 m", "dim")])
    right = _right_cells(state, view, notice, width)
    room = width - 2 - width_of(left) - width_of(right) - 2
    for extra in extras:
        if (need := width_of(extra) + 3) <= room:
            left += [("   ", "dim"), *extra]
            room -= need
    return _spread(left, [], right, width)


def _right_cells(state: State, view: View, notice: Notice, width: int) -> list[Cell]:
    clock = datetime.fromtimestamp(state.taken_at, timezone.utc)
    time = clock.strftime("%Y-%m-%d %H:%M:%SZ" if width >= 112 else "%H:%M:%SZ")
    if notice.message:
        return [(visible(notice.message), "rising" if notice.warning else "accent")]
    if notice.paused_at is not None:
        at = datetime.fromtimestamp(notice.paused_at, timezone.utc).strftime("%H:%M:%SZ")
        word = [("   sampling goes on", "dim")] if width >= 80 else []
        return [(f"paused {at}", "accent"), *word, ("   " + time, "text")]
    if width < 60:
        return [(time, "text")]
    order = f"{LAYOUT_WORDS[view.layout]} {SORT_WORDS.get(view.sort, view.sort)}"
    pieces: list[Cell] = [(order, "dim")]
    if width >= 112:
        interval = f"{state.interval_s:g} s"
        pieces += [(f"   {interval}   watched {units.duration(state.watched_s)}", "dim")]
    return [*pieces, ("   " if width >= 96 else "  ", "dim"), (time, "text")]


def empty_cells(state: State, view: View) -> list[Cell]:
    """What stands in the table when nothing does."""
    if not view.filter:
        return [
            (" Nothing to show. ", "dim"),
            ("memtop ps", "accent"),
            (" lists everything.", "dim"),
        ]
    running = len(state.living())
    return [
        (" No process matches  ", "dim"),
        (visible(view.filter.text.strip()), "bright"),
        (".   ", "dim"),
        ("Esc", "accent"),
        (f" clears the filter, {running:,} are running.", "dim"),
    ]


def key_cells(
    keys: Sequence[tuple[str, str, bool]],
    own_rss_kib: float | None,
    own_cpu: float | None,
    width: int,
) -> list[Cell]:
    """The last line: keys with their words, as many as fit, and what memtop itself takes.

    Each key comes with whether it never drops; the others drop from the right.
    """
    cost = ""
    if own_rss_kib is not None:
        cost = f"{units.size(own_rss_kib)} {own_cpu or 0:.0f} %"
        if width >= 112:
            cost = "memtop " + cost
    gap = 2
    room = width - 2 - (len(cost) + 2 if width >= 60 else 0)
    shown = list(keys)
    while shown and sum(cell_width(k) + 1 + len(w) + gap for k, w, _ in shown) - gap > room:
        droppable = [index for index, key in enumerate(shown) if not key[2]]
        shown.pop(droppable[-1] if droppable else -1)
    left: list[Cell] = []
    for index, (key, word, _) in enumerate(shown):
        left += [(" " * gap if index else "", "dim"), (key, "accent"), (f" {word}", "dim")]
    right = [(cost, "faint")] if width >= 60 else []
    return _spread(left, [], right, width)


def _spread(left: list[Cell], middle: list[Cell], right: list[Cell], width: int) -> list[Cell]:
    """Left, middle and right parts over a line with a margin of one; middle goes first if tight."""
    inner = max(0, width - 2)
    if width_of(left) + width_of(middle) + width_of(right) + 2 > inner:
        middle = []
    if width_of(left) + width_of(right) + 1 > inner:
        right = []
    left = _cut(left, inner)
    free = max(0, inner - width_of(left) - width_of(middle) - width_of(right))
    # The middle stands at two thirds of the free room, so that it hardly moves with the name.
    before = free if not middle else max(2, free * 2 // 3) if free > 4 else free // 2
    pieces = [(" ", "dim"), *left, (" " * before, "dim"), *middle, (" " * (free - before), "dim")]
    return _cut([*pieces, *right, (" ", "dim")], width)


def _cut(pieces: list[Cell], width: int) -> list[Cell]:
    cut: list[Cell] = []
    for text, role in pieces:
        room = width - width_of(cut)
        while cell_width(text) > room:
            text = text[:-1]
        cut.append((text, role))
    return cut
