"""The detail pane of one process: title with identity and tabs, chart, facts, what follows.

Only what was measured is said. What could not be read names the right that is missing, and the
command that has it. Lines of cells with roles; nothing here knows a terminal.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from memtop import units
from memtop.model.groups import Group
from memtop.model.limits import Limit
from memtop.model.log import Log
from memtop.model.state import Row, State
from memtop.model.timeline import RATE_OVER_S
from memtop.model.trends import Trend
from memtop.probe.portrait import Portrait
from memtop.render.anatomy import compact_lines, inside_lines
from memtop.render.cells import Cell, cut, process_name, width_of
from memtop.render.chart import WINDOWS_S, Mark, chart_cells, columns_of, points
from memtop.render.counted import Counted
from memtop.render.ending import ending_lines
from memtop.render.escape import cells as cell_width
from memtop.render.escape import fit, visible
from memtop.render.facts import fact_lines, peak_kib, swap_kib, why_unknown
from memtop.render.finding import Reasons
from memtop.render.group import group_facts, group_title
from memtop.render.inside import Inside
from memtop.render.limits import limit_lines
from memtop.render.log import log_lines, log_title
from memtop.render.objects import objects_lines
from memtop.render.tabs import ANATOMY, GROUP_TABS, INSIDE, LOG, OBJECTS, TABS, WHY
from memtop.render.words import WARM, tone

if TYPE_CHECKING:
    from memtop.model.marks import Stretch
    from memtop.render.passage import Passage

NARROW = 70
CHANGES_HEIGHT = 8  # a lower chart has no line for what changed from mark to mark
ROOMY, ROOMY_ROWS = 96, 30  # from this size on a rule stands above what an answer means
FACTS_WIDTH, FACTS_WIDTH_WIDE = 52, 66


@dataclass(frozen=True, slots=True)
class Detail:
    """What the pane shows: whose, which tab, which window, what was read, what happened.

    With a `group` it is about that group, and `row` is the member that grows most; without one
    `inside` is what is known of its memory, `counted` of its objects. `reasons` is why it has so
    much: the process, the group, or on the tab of the cgroup that. The log is about everything that
    was done; `acting` are the keys that act, each with its word. In a replay `passage` is what the
    recording knows of it, also after the moment on show.
    """

    row: Row
    state: State
    group: Group | None = None
    inside: Inside | None = None
    counted: Counted | None = None
    reasons: Reasons | None = None
    tab: str = "chart"
    window: str = "10 m"
    portrait: Portrait | None = None
    loading: bool = False
    marks: tuple[Mark, ...] = ()
    ascii_only: bool = False
    log: Log = field(default_factory=Log)
    skipped: int = 0
    acting: tuple[tuple[str, str], ...] = ()
    passage: Passage | None = None

    @property
    def tabs(self) -> tuple[str, ...]:
        """The tabs that there are."""
        return GROUP_TABS if self.group is not None else TABS

    @property
    def shown_tab(self) -> str:
        """The tab that is shown; the first one where the chosen one does not exist."""
        return self.tab if self.tab in self.tabs else self.tabs[0]

    @property
    def limit(self) -> Limit | None:
        """The limit that holds for it."""
        return self.state.limit_of(self.row)


def detail_lines(detail: Detail, width: int, height: int) -> list[list[Cell]]:
    """The pane in `height` lines of `width` cells."""
    lines = [_rule(detail, width), _title(detail, width)]
    finding = ending_lines(detail, width, height)
    finding = [cut([(" ", "dim"), *pieces], width) for pieces in finding]
    if detail.shown_tab in INSIDE and finding and width >= ROOMY and height >= ROOMY_ROWS:
        finding = [[("─" * width, "rule")], [], *finding, []]
    room = room_of(height, len(finding))
    if detail.shown_tab == "process":
        body = _process_tab(detail, width, room)
    elif detail.shown_tab == "cgroup":
        made = limit_lines(detail.row, detail.limit, detail.state, width, room)
        body = [cut(line, width) for line in made]
    elif detail.shown_tab == ANATOMY and detail.inside is not None:
        body = inside_lines(detail.inside, width, room)
    elif detail.shown_tab == OBJECTS and detail.counted is not None:
        body = objects_lines(detail.counted, width, room)
    elif detail.shown_tab == WHY and detail.reasons is not None:
        from memtop.render.answer import reasons_lines  # not needed for the first frame

        body = reasons_lines(detail.reasons, width, room)
    elif detail.shown_tab == LOG:
        keys = None if detail.passage is not None else detail.acting
        made = log_lines(detail.log, keys, width, room, detail.skipped)
        body = [cut(line, width) for line in made]
    else:
        body = _chart_tab(detail, width, room)
    lines += [[], *body[:room]]
    lines += [[]] * (height - len(lines) - len(finding))
    return [*lines, *finding][:height]


def room_of(height: int, finding: int = 0) -> int:
    """How many lines there are between the title and what ends a pane of this height."""
    return max(0, height - 2 - finding - 2)


def _rule(detail: Detail, width: int) -> list[Cell]:
    """A rule, heavy above the active tab."""
    tabs = _gap(width).join(_tabs(detail, width))
    begin = width - 1 - len(tabs) + tabs.index(detail.shown_tab)
    end = begin + len(detail.shown_tab)
    begin, end = max(0, begin - 1), min(width, end + 1)
    return [("─" * begin, "rule"), ("━" * (end - begin), "accent"), ("─" * (width - end), "rule")]


def _tabs(detail: Detail, width: int) -> tuple[str, ...]:
    """The tabs to name; where there is little room the one that is shown."""
    return detail.tabs if width >= NARROW else (detail.shown_tab,)


def _gap(width: int) -> str:
    """What stands between two tabs."""
    return " " * (3 if width >= ROOMY else 2)


def _title(detail: Detail, width: int) -> list[Cell]:
    """Who it is, as much as fits; the tabs at right."""
    tabs: list[Cell] = []
    for tab in _tabs(detail, width):
        role = "strong" if tab == detail.shown_tab else "dim"
        tabs += [(_gap(width) if tabs else "", "dim"), (tab, role)]
    room = width - 5 - width_of(tabs)
    if detail.shown_tab == LOG:
        is_replay = detail.passage is not None
        left = cut(log_title(detail.log, detail.state, is_replay=is_replay), room)
    elif detail.group is not None:
        left = cut(group_title(detail.group, detail.state), room)
    else:
        left = _who(detail, room)
    gap = max(1, width - 2 - width_of(left) - width_of(tabs))
    return cut([(" ", "dim"), *left, (" " * gap, "dim"), *tabs], width)


def _who(detail: Detail, room: int) -> list[Cell]:
    """A process with what is to be known of it, the last parts only where there is room."""
    row, portrait = detail.row, detail.portrait
    parts: list[Cell] = []
    if row.user:
        parts.append((f"user {visible(row.user)}", "dim"))
    if portrait is not None:
        if portrait.python_version:
            parts.append((f"python {portrait.python_version}", "dim"))
        if portrait.allocator:
            parts.append((portrait.allocator, "dim"))
    if row.ended_at is not None:
        parts.append((f"ended {units.duration(detail.state.taken_at - row.ended_at)} ago", "text"))
    elif row.started_at is not None:
        parts.append((f"up {units.duration(detail.state.taken_at - row.started_at)}", "dim"))
    if row.rights is not None and detail.passage is None:  # those of who recorded
        words = {3: "all rights", 0: "no rights to look inside"}
        parts.append((words.get(len(row.rights), "rights: " + " ".join(row.rights)), "dim"))
    name = process_name(row, own=row.identity == detail.state.own, short=True)
    head = f"{row.pid} "
    # A long name gives way to the other parts, down to 16 cells; then the last of those go.
    others = sum(cell_width(text) + 3 for text, _ in parts)
    longest = max(16, min(40, room - len(head) - others))
    left: list[Cell] = [
        (head, "strong"),
        (fit(name, max(1, min(longest, room - len(head)))).rstrip(), "strong"),
    ]
    for part in parts:
        if width_of(left) + 3 + cell_width(part[0]) <= room:
            left += [("   ", "dim"), part]
    return left


def _chart_tab(detail: Detail, width: int, room: int) -> list[list[Cell]]:
    if detail.passage is not None:
        from memtop.render.passage import passage_lines  # only in a replay

        made = passage_lines(
            detail.passage,
            _slope(detail),
            width - 2,
            room,
            role=_line_role(detail),
            levels=_levels(detail),
            ascii_only=detail.ascii_only,
        )
        return [cut([(" ", "dim"), *line], width) for line in made]
    facts_width = FACTS_WIDTH_WIDE if width >= 140 else FACTS_WIDTH
    beside = width >= 96
    chart_width = width - 2 - (facts_width + 3 if beside else 0)
    if detail.group is not None:
        facts = group_facts(detail.group, detail.state)
    else:
        facts = fact_lines(detail.row, detail.portrait, facts_width if beside else width - 2)
        parts = compact_lines(detail.inside, facts_width) if detail.inside is not None else []
        if beside and parts and len(parts) <= room:
            facts = [*parts, [], *facts]
    chart_height = max(0, room - 1) if beside else max(6, room - 1 - min(len(facts), 7))
    row, state = detail.row, detail.state
    window_s = WINDOWS_S[detail.window]
    chart = [_slope(detail)]
    history = detail.group.history if detail.group is not None else row.history
    ended_at = row.ended_at if detail.group is None else None
    values = points(history, state, window_s, ended_at)
    stretches: list[Stretch] = []
    if detail.marks and (chart_height >= CHANGES_HEIGHT or not beside):
        from memtop.render.marked import change_cells, changes  # not needed for the first frame

        stretches = changes(values, detail.marks)
        if beside:  # else the last of the facts makes room
            chart_height -= bool(stretches)
    chart += chart_cells(
        values,
        window_s,
        state.taken_at,
        chart_width,
        chart_height,
        role=_line_role(detail),
        levels=_levels(detail),
        marks=detail.marks,
        ascii_only=detail.ascii_only,
    )
    if stretches:
        begin = state.taken_at - window_s
        chart.append(change_cells(stretches, begin, window_s, columns_of(chart_width)))
    if not beside:
        return [cut([(" ", "dim"), *line], width) for line in [*chart, *facts]]
    lines = []
    for index in range(max(len(chart), min(len(facts), room))):
        left = chart[index] if index < len(chart) else []
        used = width_of(left)
        pieces = [(" ", "dim"), *left, (" " * (chart_width - used + 3), "dim")]
        lines.append(cut([*pieces, *(facts[index] if index < len(facts) else [])], width))
    return lines


def _levels(detail: Detail) -> list[tuple[str, int]]:
    """What is drawn across the chart: the limit if it is near, the peak, swap if there is any."""
    limit = detail.limit.limit_bytes if detail.limit is not None else None
    near = [("limit", limit // 1024)] if limit is not None and _is_near(detail, limit) else []
    if detail.group is not None:
        return near
    levels = [
        ("peak", peak_kib(detail.row, detail.portrait)),
        ("swap", swap_kib(detail.row, detail.portrait)),
    ]
    return near + [(name, kib) for name, kib in levels if kib]


def _is_near(detail: Detail, limit_bytes: int) -> bool:
    """Whether a limit is near enough to be drawn without making the line flat."""
    kib = detail.group.rss_kib if detail.group is not None else detail.row.rss_kib or 0
    return kib * 1024 >= limit_bytes / 2


def _line_role(detail: Detail) -> str:
    role = tone(_trend_of(detail).word)
    return role if role in WARM else "live"


def _trend_of(detail: Detail) -> Trend:
    return detail.group.trend if detail.group is not None else detail.row.trend


def _slope(detail: Detail) -> list[Cell]:
    """Above the chart: what is drawn, and how it has changed of late."""
    what = detail.group if detail.group is not None else detail.row
    rate = what.rate_bytes_s
    pieces: list[Cell] = [(" " * 11, "dim")]
    if detail.group is not None:
        pieces.append((f"RSS of all {len(detail.group.members)}   ", "text"))
    if rate is not None:
        role = tone(_trend_of(detail).word)
        is_warm = role in WARM and rate > 0
        number_role = role if is_warm or role == "shrink" else "text"
        seconds = min(RATE_OVER_S, detail.state.watched_s)
        over = "" if detail.group is not None else f" over the last {seconds:.0f} s"
        pieces += [(units.rate_mib_min(rate), number_role), (f" MiB/min{over}", "dim")]
    else:
        pieces.append(("rate after 20 s", "dim"))
    window = detail.window if detail.passage is None else detail.passage.window
    return [*pieces, (f"   window {window}  ", "dim"), ("[ ]", "accent")]


def _process_tab(detail: Detail, width: int, room: int) -> list[list[Cell]]:
    """The command line in full and the names of the environment."""
    portrait, row = detail.portrait, detail.row
    command = (portrait.command if portrait else None) or row.command or row.name
    lines: list[list[Cell]] = [[(" command", "dim")]]
    lines += _wrapped(visible(command), width, "text", room // 2)
    for label, value in (
        ("exe", row.exe),
        ("folder", portrait.cwd if portrait else None),
        ("cgroup", row.cgroup),
    ):
        shown = visible(value) if value else units.UNKNOWN
        lines.append([(f" {label}".ljust(13), "dim"), (fit(shown, max(1, width - 14)), "text")])
    lines.append([])
    if portrait is None or portrait.environ_names is None:
        reason = "being read" if detail.loading else why_unknown(portrait, "environment")
        lines.append([(" environment  ", "dim"), (f"{units.UNKNOWN}   {reason}", "dim")])
        return lines
    lines.append([(f" environment, {len(portrait.environ_names)} names", "dim")])
    lines += _wrapped(visible("  ".join(portrait.environ_names)), width, "text", room)
    return lines


def _wrapped(text: str, width: int, role: str, most: int) -> list[list[Cell]]:
    size = max(8, width - 2)
    pieces = textwrap.wrap(text, size, break_on_hyphens=False) or [""]
    if len(pieces) > max(1, most):
        pieces = pieces[: max(1, most)]
        pieces[-1] = pieces[-1][:-1] + "…"
    return [[(" " + fit(piece, size), role)] for piece in pieces]
