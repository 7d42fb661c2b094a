"""The lines around the table: who and how much, what is shown, the keys. Cells with roles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import NamedTuple

from memtop import units
from memtop.model.forest import subtree
from memtop.model.limits import MAX_DEPTH, Limit
from memtop.model.query import View
from memtop.model.state import Row, State
from memtop.probe.sample import Cgroup
from memtop.render.cells import Cell, cut, width_of
from memtop.render.escape import cells as cell_width
from memtop.render.escape import fit, visible

BAR_FULL, BAR_TRACK, BAR_CLAIM = "━", "─", "╌"
RECORDING = "● rec"
URGENT_S = 600.0
LEAST_NAME = 8
SORT_WORDS = {"rate": "growth", "rss": "memory", "cpu": "CPU", "pid": "PID", "name": "name"}
LAYOUT_WORDS = {
    "tree": "tree by",
    "container": "by container,",
    "user": "by user,",
    "flat": "flat by",
}


class Progress(NamedTuple):
    """How far an action has come: `trimming 2 of 5:`, a name, what it does now, what Esc does."""

    doing: str
    name: str
    words: str
    escape: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What the second line says besides: filter, paused since when, a message, an action.

    `recording` is the path of the file that is written, empty if none is.
    """

    matched: int = 0
    filter: str = ""
    paused_at: float | None = None
    tagged: int = 0
    message: str = ""
    warning: bool = False
    progress: Progress | None = None
    recording: str = ""


def head_cells(state: State, row: Row | None, width: int) -> list[Cell]:
    """Line 1: who, how much of which limit, as numbers and bar, how fast, when it is full.

    It follows the cgroup of the selected process; without a limit it is the machine's memory.
    """
    limit = state.limit_of(row) if row is not None else None
    if row is None or limit is None or limit.bound is None:
        return _host_cells(state, limit, width)
    host = ("  " + visible(state.host.name), "dim")
    left: list[Cell] = [(limit_name(limit.measured), "strong")]
    if width >= 96:
        left.append(host)
    used = limit.measured.current_bytes
    middle = _use_cells(used, limit.limit_bytes, limit, width)
    return spread(left, middle, _pace_cells(limit, width), width)


def limit_name(cgroup: Cgroup) -> str:
    """The name of a cgroup: namespace/pod, container, or the last part of its path."""
    pod = cgroup.pod
    if pod is not None and (pod.name or pod.uid):
        namespace = f"{pod.namespace}/" if pod.namespace else ""
        name = pod.name or f"pod {(pod.uid or '')[:8]}"
        container = f" {pod.container}" if pod.container else ""
        return visible(f"{namespace}{name}{container}")
    if pod is not None and pod.container_id:
        return visible(f"container {pod.container or pod.container_id[:12]}")
    return visible("cgroup " + (cgroup.path.rsplit("/", 1)[-1] or "/"))


def _host_cells(state: State, limit: Limit | None, width: int) -> list[Cell]:
    host = state.host
    left: list[Cell] = [("host ", "strong"), (visible(host.name), "strong")]
    if limit is not None and width >= 112:
        word = "limit not known" if limit.why else "no limit"
        name = limit_name(limit.cgroup) + ": " if limit.cgroup.pod is not None else "cgroup: "
        left.append((f"   {name}{word}", "dim"))
    used = None if host.used_kib is None else host.used_kib * 1024
    total = None if host.total_kib is None else host.total_kib * 1024
    right = _rate_cells(host.rate_bytes_s, narrow=width < 96)
    if host.eta_s is not None:
        right += _full_cells(host.eta_s, width)
    return spread(left, _use_cells(used, total, None, width), right, width)


def _use_cells(used: int | None, total: int | None, limit: Limit | None, width: int) -> list[Cell]:
    """Use of a limit: numbers in its unit, and a bar.

    The bar is heavy to the floor, faint up to the use, which the kernel can take back, dashed for
    what the children that run may still claim, thin to the limit.
    """
    if not total or used is None:
        return []
    number, unit = units.size_parts(total / 1024)
    decimals = len(number.partition(".")[2])
    scale = {"MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}[unit]
    cells: list[Cell] = [
        (f"{used / scale:.{decimals}f}", "bright"),
        (" of ", "dim"),
        (number, "bright"),
        (f" {unit}", "dim"),
    ]
    if width < 60:
        return cells
    size = 50 if width >= 160 else 25 if width >= 112 else 18 if width >= 96 else 10
    floor = limit.measured.floor_bytes if limit is not None else used
    heavy = round(size * min(1.0, (used if floor is None else min(floor, used)) / total))
    faint = max(0, round(size * min(1.0, used / total)) - heavy)
    claim = 0
    capacity = limit.capacity if limit is not None else None
    if capacity is not None and capacity.warns:
        worst = capacity.taken_bytes + capacity.children_at_worst_bytes
        claim = max(0, round(size * min(1.0, worst / total)) - heavy - faint)
    track = size - heavy - faint - claim
    return [
        *cells,
        ("  ", "dim"),
        (BAR_FULL * heavy, "text"),
        (BAR_FULL * faint, "rule"),
        (BAR_CLAIM * claim, "rising"),
        (BAR_TRACK * track, "rule"),
    ]


def _pace_cells(limit: Limit, width: int) -> list[Cell]:
    """How many more fit where that is the question, else the rate and when it is full."""
    capacity = limit.capacity
    if capacity is not None and capacity.warns:
        pieces: list[Cell] = [("▲ ", "rising"), (f"{capacity.fits_more} more fit", "rising")]
        if width >= 96:
            left = capacity.left_bytes
            words = f"{units.size(abs(left) / 1024)} {'left' if left >= 0 else 'over'} at worst"
            pieces.append(("   " + words, "dim" if left >= 0 else "rising"))
        if limit.eta_s is not None and limit.eta_s < URGENT_S:
            pieces += _full_cells(limit.eta_s, width)
        return pieces
    pieces = _rate_cells(limit.rate_bytes_s, narrow=width < 96)
    if limit.eta_s is not None:
        pieces += _full_cells(limit.eta_s, width)
    return pieces


def _full_cells(eta_s: float, width: int) -> list[Cell]:
    word = "full in ≈ " if width >= 96 else "full ≈ "
    role = "leak" if eta_s < URGENT_S else "bright"
    return [("   ", "dim"), (word, "dim"), (units.about(eta_s), role)]


def _rate_cells(rate_bytes_s: float | None, *, narrow: bool) -> list[Cell]:
    if rate_bytes_s is None:
        return [("rate after 20 s", "dim")]
    text = units.rate_mib_min(rate_bytes_s)
    role = "bright" if text.startswith("+") else "dim"
    return [(text, role), ("/min" if narrow else " MiB/min", "dim")]


def view_cells(state: State, view: View, notice: Notice, width: int) -> list[Cell]:
    """Line 2: counts at left, then only what is not zero; order, interval, clock at right."""
    living, growing = state.living(), list(state.growing)
    groups = list(state.groups.values())
    if view.top_pid is not None:
        tops = state.with_pid(view.top_pid)
        below = {one for top in tops for one in subtree(state.children, top)}
        living = [row for row in living if row.identity in below]
        growing = [row for row in growing if row.identity in below]
        groups = [group for group in groups if group.parent in below]
    left: list[Cell] = [(f"{len(living):,}", "text"), (" processes", "dim")]
    extras = chosen_cells(notice)
    python = sum(row.python for row in living)
    pythons: list[Cell] = [(f"{python:,}", "text"), (" python", "dim")]
    if python and width >= 96:
        extras.append(pythons)
    words = Counter(row.trend.word for row in growing)
    for word, sign, role in (("leak-like", "▲▲", "leak"), ("rising", "▲", "rising")):
        if words[word]:
            extras.append([(f"{sign} {words[word]} {word}", role)])
    if many := sum(group.finding == "many-processes" for group in groups):
        extras.append([(f"≡ {many} group{'s' if many > 1 else ''} of many", "rising")])
    if kills := oom_kills(state):
        extras.append([(f"{kills} OOM kill{'s' if kills > 1 else ''}", "leak")])
    recording = _recording_cells(notice.recording, width) if notice.recording else []
    if recording:
        extras.append(recording)
    closed = sum(row.rights == () for row in living)
    if closed and width >= 96:
        extras.append([(f"{closed:,}", "text"), (" closed to memtop", "dim")])
    if width >= 140 and (state.births or state.deaths):
        extras.append([(f"{state.births} born, {state.deaths} ended in 10 m", "dim")])
    right = _right_cells(state, view, notice, width)
    if (notice.message or notice.progress) and width_of(left) + width_of(right) + 5 > width:
        left = []  # what is said is read in full; the count comes back in a moment
    room = width - 2 - width_of(left) - width_of(right) - 2
    if recording:
        # That it records is less known than how rows are ordered, and how many are Python's.
        before = extras[: extras.index(recording)]
        need = sum(width_of(extra) + 3 for extra in (*before, recording[:1]))
        if need > room and right[0][0] == order_words(view):
            room += width_of(right[:1])
            right = right[1:]
        if need > room and pythons in extras:
            extras.remove(pythons)
    for extra in extras:
        need = width_of(extra) + 3
        if need > room and extra is recording:
            need = width_of(extra := extra[:1]) + 3  # the name goes before the sign does
        if need <= room:
            left += [("   ", "dim"), *extra]
            room -= need
    return spread(left, [], right, width)


def chosen_cells(notice: Notice) -> list[list[Cell]]:
    """What was chosen out of all processes: the filter with how many match, how many are tagged."""
    made: list[list[Cell]] = []
    if notice.filter:
        made.append(
            [(f"filter {visible(notice.filter)}", "accent"), (f" {notice.matched}", "text")]
        )
    if notice.tagged:
        made.append([(f"{notice.tagged} tagged", "accent")])
    return made


def _recording_cells(path: str, width: int) -> list[Cell]:
    """That it is recorded, and where there is room to which file."""
    name = visible(path.rpartition("/")[2])
    most = 40 if width >= 112 else 20
    return [(RECORDING, "accent"), (" " + fit(name, min(most, cell_width(name))), "dim")]


def oom_kills(state: State) -> int:
    """OOM kills in all cgroups that are known.

    A cgroup of v2 counts those below it, too, also of containers that are gone; v1 its own only.
    """
    below: dict[str | None, list[Limit]] = {}
    for limit in state.limits.values():
        parent = limit.cgroup.parent
        known = parent if parent in state.limits and parent != limit.cgroup.path else None
        below.setdefault(known, []).append(limit)

    def total(limit: Limit, depth: int = 0) -> int:
        under = below.get(limit.cgroup.path, ()) if depth < MAX_DEPTH else ()
        return max(limit.cgroup.oom_kills or 0, sum(total(one, depth + 1) for one in under))

    return sum(total(limit) for limit in below.get(None, ()))


def _right_cells(state: State, view: View, notice: Notice, width: int) -> list[Cell]:
    clock = datetime.fromtimestamp(state.taken_at, timezone.utc)
    time = clock.strftime("%Y-%m-%d %H:%M:%SZ" if width >= 112 else "%H:%M:%SZ")
    if notice.message:
        role = "rising" if notice.warning else "accent"
        return [(fit(visible(notice.message), width - 3).rstrip(), role)]
    if notice.progress is not None:
        return _progress_cells(notice.progress, width - 3)
    if notice.paused_at is not None:
        at = units.clock(notice.paused_at)
        word = [("   sampling goes on", "dim")] if width >= 80 else []
        return [(f"paused {at}", "accent"), *word, ("   " + time, "text")]
    if width < 60:
        return [(time, "text")]
    pieces: list[Cell] = [(order_words(view), "dim")]
    if width >= 112:
        interval = f"{state.interval_s:g} s"
        pieces += [(f"   {interval}   watched {units.duration(state.watched_s)}", "dim")]
    return [*pieces, ("   " if width >= 96 else "  ", "dim"), (time, "text")]


def order_words(view: View) -> str:
    """How the rows are laid out and ordered: `tree by growth`."""
    return f"{LAYOUT_WORDS[view.layout]} {SORT_WORDS.get(view.sort, view.sort)}"


def _progress_cells(progress: Progress, width: int) -> list[Cell]:
    """An action under way; the name gives way to what is being done with it."""
    tail: list[Cell] = [(f"   {progress.words}" if progress.words else "", "text")]
    tail += [("   ", "dim"), ("Esc", "accent"), (f" {progress.escape}", "dim")]
    head = f"{progress.doing} "
    room = width - cell_width(head) - width_of(tail)
    if room < LEAST_NAME:
        tail, room = [], width - cell_width(head)
    name = visible(progress.name)
    return [(head, "accent"), (fit(name, max(1, room)).rstrip(), "accent"), *tail]


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
    return spread(left, [], right, width)


def spread(left: list[Cell], middle: list[Cell], right: list[Cell], width: int) -> list[Cell]:
    """Left, middle and right parts over a line with a margin of one; middle goes first if tight."""
    inner = max(0, width - 2)
    if width_of(left) + width_of(middle) + width_of(right) + 2 > inner:
        middle = []
    if width_of(left) + width_of(right) + 1 > inner:
        right = []
    left = cut(left, inner)
    free = max(0, inner - width_of(left) - width_of(middle) - width_of(right))
    # The middle stands at two thirds of the free room, so that it hardly moves with the name.
    before = free if not middle else max(2, free * 2 // 3) if free > 4 else free // 2
    pieces = [(" ", "dim"), *left, (" " * before, "dim"), *middle, (" " * (free - before), "dim")]
    return cut([*pieces, *right, (" ", "dim")], width)
