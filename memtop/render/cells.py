"""One row of the table as cells: pieces of text, each with the role of its style.

Roles are names (`dim`, `rising`, …); colours are the theme's. Nothing here knows a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from memtop import units
from memtop.columns import BY_ID, Column
from memtop.model.filter import number_of
from memtop.model.groups import Group
from memtop.model.history import BUCKET_S
from memtop.model.query import Line, View
from memtop.model.state import Row, State
from memtop.model.trends import CLASS
from memtop.probe.sample import Identity
from memtop.render.escape import cells as cell_width
from memtop.render.escape import fit, visible
from memtop.render.layout import Layout, Slot
from memtop.render.sparkline import heights_kib, sparkline
from memtop.render.words import WARM, group_words, tone, trend_words

Cell = tuple[str, str]  # text, role
EDGE: Cell = ("▌", "accent")  # the left edge of what is selected

_INTERPRETER = re.compile(r"\A\S*python[\d.]*\s+(?:-m\s+)?(?=[^-\s])", re.ASCII)


def width_of(pieces: Sequence[Cell]) -> int:
    """How many terminal cells some pieces take."""
    return sum(cell_width(text) for text, _ in pieces)


def cut(pieces: Sequence[Cell], width: int) -> list[Cell]:
    """The pieces up to `width` cells; what does not fit whole ends in an ellipsis."""
    made: list[Cell] = []
    used = 0
    for text, role in pieces:
        size = cell_width(text)
        if used + size > width:
            text = fit(text, max(0, width - used))
            size = cell_width(text)
        made.append((text, role))
        used += size
    return made


@dataclass(frozen=True, slots=True)
class Scene:
    """What a row is drawn against: the state, the view, tags and the baseline of `r`."""

    state: State
    view: View
    layout: Layout
    baseline: Mapping[Identity, int] | None = None


def heading_cells(plan: Layout, view: View) -> list[Cell]:
    """The heading row; the sort column is in accent, with its direction."""
    pieces: list[Cell] = []
    x = 0
    for slot in plan.slots:
        pieces.append((" " * (slot.x - x), "dim"))
        title = slot.title
        role = "dim"
        if BY_ID.get(slot.id) is view.column or (slot.id, view.sort) == ("command", "name"):
            falling = view.column.descending != view.inverted
            mark = "▼" if falling else "▲"
            role = "accent"
            if slot.width >= len(title) + 2:
                title += " " + mark
            elif slot.width > len(title):
                title += mark
        fitted = fit(title, slot.width)
        pieces.append((title.rjust(slot.width) if slot.right else fitted, role))
        x = slot.x + slot.width
    pieces.append((" " * (plan.width - x), "dim"))
    return pieces


def row_cells(line: Line, scene: Scene, mark: str = " ") -> list[Cell]:
    """The cells of one line, from the left edge to the right one.

    The pieces of a column always stay the same in number, so that a change of one of them can be
    drawn alone. `mark` is the cursor's edge or the tag.
    """
    # Of a group everything is known without its members, who may be thousands.
    members = [] if group_of(line, scene.state) else _members(line, scene.state)
    row = None if isinstance(line.key, str) else scene.state.rows.get(line.key)
    pieces: list[Cell] = [(mark, "accent")]
    x = 1
    for slot in scene.layout.slots:
        if slot.x > x:
            pieces.append((" " * (slot.x - x), "dim"))
        pieces += _CELLS.get(slot.id, _value_cells)(slot, line, row, members, scene)
        x = slot.x + slot.width
    if scene.layout.width > x:
        pieces.append((" " * (scene.layout.width - x), "dim"))
    if line.dimmed:
        return [
            (text, "faint" if role not in ("accent", "rule") else role) for text, role in pieces
        ]
    return pieces


def _members(line: Line, state: State) -> list[Row]:
    """The rows that a group or folded line speaks for; of an ordinary one just itself."""
    keys = line.members or ((line.key,) if not isinstance(line.key, str) else ())
    return [row for key in keys if (row := state.rows.get(key)) is not None]


def group_of(line: Line, state: State) -> Group | None:
    """The group of workers that a line is, if it is one."""
    return state.groups.get(line.key) if isinstance(line.key, str) else None


def _sum(members: list[Row], get: Callable[[Row], float | None]) -> float | None:
    values = [value for row in members if (value := get(row)) is not None]
    return sum(values) if values else None


def _rss_kib(line: Line, members: list[Row], state: State) -> float | None:
    if (group := group_of(line, state)) is not None:
        return group.rss_kib
    if len(members) == 1:
        return members[0].rss_kib
    return _sum([row for row in members if row.ended_at is None], lambda row: row.rss_kib)


def _rate(line: Line, members: list[Row], state: State) -> float | None:
    if (group := group_of(line, state)) is not None:
        return group.rate_bytes_s
    if len(members) == 1:
        return members[0].rate_bytes_s
    return _sum(members, lambda row: row.rate_bytes_s)


def worst_of(members: Sequence[Row]) -> Row | None:
    """The one that a folded line speaks for: which leaks, rises, or else grows fastest."""
    return max(
        members,
        key=lambda one: (
            CLASS.get(one.trend.word, 0) if one.ended_at is None else -2,
            one.rate_bytes_s or 0,
            one.rss_kib or 0,
        ),
        default=None,
    )


def _tone(line: Line, members: list[Row], state: State) -> str:
    """The colour of a line: that of its own trend, or of the worst that it speaks for."""
    if (group := group_of(line, state)) is not None:
        return group_words(group, state)[2]
    worst = worst_of(members)
    if worst is None or worst.ended_at is not None or worst.rate_bytes_s is None:
        return "ink"
    return tone(worst.trend.word)


def _pid(slot: Slot, line: Line, row: Row | None, members: list[Row], scene: Scene) -> list[Cell]:
    if row is None:
        group = group_of(line, scene.state)
        number = len(group.members) if group is not None else len(members)
        return [(f"{number} ×".rjust(slot.width)[-slot.width :], "dim")]
    return [(str(row.pid).rjust(slot.width), "dim")]


def _process(
    slot: Slot, line: Line, row: Row | None, members: list[Row], scene: Scene
) -> list[Cell]:
    guide = line.guide
    if line.foldable:
        guide += "▸ " if line.folded else "▾ "
    elif guide:
        guide += " "
    if row is None:
        group = group_of(line, scene.state)
        name = visible(group.label if group else str(line.key))
    else:
        name = process_name(row, own=row.identity == scene.state.own, short=True)
    # Where the tree is deeper than the column is wide, its outer levels go.
    guide = guide[max(0, len(guide) - max(4, slot.width - 12)) :]
    total = f"  Σ {len(members)}" if line.folded and row is not None else ""
    if row is None and group is not None and line.folded and group.members:
        total = "  each ≈ " + units.size(group.median_kib).removesuffix(" MiB")
    room = slot.width - len(guide) - len(total)
    shown = fit(name, max(1, room)).rstrip()
    if total and room < cell_width(name):
        room, total = slot.width - len(guide), ""
    role = "bright" if _tone(line, members, scene.state) in WARM else "dim"
    return [(guide, "faint"), (fit(shown + total, slot.width - len(guide)), role)]


def process_name(row: Row, *, own: bool = False, short: bool = False) -> str:
    """What a row is called: its command line without the interpreter's folder, made visible.

    `short`: its title, if it has one, in place of a command line that is not its own.
    """
    if row.kernel:
        return f"[{visible(row.name)}]"
    if own:
        return "memtop (this)"
    if short and row.title and row.state != "Z":
        return visible(row.title)
    command = row.command or row.name
    if short and row.role == "worker" and row.python:
        command = _INTERPRETER.sub("", command, count=1)  # which one it is, its parent tells
    first, blank, rest = command.partition(" ")
    if first.startswith("/") and not first.endswith("/"):
        command = first.rsplit("/", 1)[1] + blank + rest
    if row.command and _is_renamed(row):
        command = f"{row.name} ({command})"
    name = visible(command) if command.strip() else "(no name)"
    return f"{name} (defunct)" if row.state == "Z" else name


def _is_renamed(row: Row) -> bool:
    """Whether a process has given itself a name that its command line does not tell.

    A name is the base name of the program or script, cut to 15 bytes (TASK_COMM_LEN), until
    somebody sets another: forked workers do, which have the command line of their parent.
    """
    name, command = row.name.strip(), row.command or ""
    if not name or name[:15] in command or (row.exe or "").rsplit("/", 1)[-1].startswith(name):
        return False
    return not name.startswith(("python", "pypy"))


def _rss(slot: Slot, line: Line, row: Row | None, members: list[Row], scene: Scene) -> list[Cell]:
    growing = _tone(line, members, scene.state) in WARM
    return _size_cells(_rss_kib(line, members, scene.state), slot, growing=growing)


def _size_cells(kib: float | None, slot: Slot, *, growing: bool = False) -> list[Cell]:
    number, unit = units.size_parts(kib)
    if not unit:
        return [(number.rjust(slot.width - 4), "faint"), ("    ", "faint")]
    return [
        (number.rjust(slot.width - 4), "bright" if growing else "dim"),
        (f" {unit}", "dim" if growing else "faint"),
    ]


def _delta(slot: Slot, line: Line, row: Row | None, members: list[Row], scene: Scene) -> list[Cell]:
    rate = _rate(line, members, scene.state)
    text = units.rate_mib_min(rate)
    if "." not in text and rate is not None and len(text) + 2 <= slot.width:
        text += "  "  # so that the digits stand above those of rates with decimals
    role = _tone(line, members, scene.state)
    if role not in ("leak", "rising", "shrink") or (role in WARM and (rate or 0) <= 0):
        role = "faint" if text in ("0.0", units.UNKNOWN) else "dim"
    return [(text.rjust(slot.width), role)]


def _since(slot: Slot, line: Line, row: Row | None, members: list[Row], scene: Scene) -> list[Cell]:
    baseline = scene.baseline or {}
    members = members or _members(line, scene.state)
    pairs = [
        (one.rss_kib, baseline[one.identity])
        for one in members
        if one.rss_kib is not None and one.identity in baseline
    ]
    if not pairs:
        return [(units.UNKNOWN.rjust(slot.width), "faint")]
    mib = sum(now - then for now, then in pairs) / 1024
    text = units.signed(mib, 1 if abs(mib) < 9.95 else 0) + " MiB"
    return [(text.rjust(slot.width), "faint" if text.startswith("0") else "dim")]


def _spark(slot: Slot, line: Line, row: Row | None, members: list[Row], scene: Scene) -> list[Cell]:
    """The line of the row or of a group's sum; of a folded one that of its worst member."""
    state, ended = scene.state, None
    group = group_of(line, state)
    history = group.history if group is not None else None
    worst = worst_of(members) if group is None else None
    if worst is not None and worst.state != "Z":
        history = worst.history
        if worst.ended_at is not None:
            ended = int(state.bucket - (state.taken_at - worst.ended_at) // BUCKET_S)
    if history is None:
        return [(" " * (slot.width - 1), "rule"), (" ", "rule")]
    text = sparkline(heights_kib(history, state.bucket, slot.width, state.gaps, ended))
    role = _tone(line, members, state)
    role = role if role in ("leak", "rising", "rule") else "ink"
    # The last cell is a piece of its own, because it alone changes from tick to tick.
    return [(text[:-1], role), (text[-1], role)]


def _trend(slot: Slot, line: Line, row: Row | None, members: list[Row], scene: Scene) -> list[Cell]:
    room = max(0, slot.width - 3)
    group = group_of(line, scene.state)
    speaker = row if row is not None and not line.folded else worst_of(members)
    if group is not None:
        sign, words, role = group_words(group, scene.state, room)
    elif speaker is not None:
        sign, words, role = trend_words(speaker, scene.state, room)
    else:
        sign, words, role = "", "", "faint"
    return [(fit(sign, 2), role), (fit(" " + words, max(0, slot.width - 2)), role)]


def _role(slot: Slot, line: Line, row: Row | None, members: list[Row], scene: Scene) -> list[Cell]:
    group = group_of(line, scene.state)
    role = row.role if row is not None else group.role if group is not None else ""
    if role is None:
        role = units.UNKNOWN
    return [(fit(role, slot.width), "faint" if role in ("other", units.UNKNOWN) else "dim")]


def _value_cells(
    slot: Slot, line: Line, row: Row | None, members: list[Row], scene: Scene
) -> list[Cell]:
    """Any other column, by its kind."""
    column = BY_ID[slot.id]
    members = members or _members(line, scene.state)
    if column.kind == "text":
        value = column.get(row) if row is not None else None
        return [(fit(visible(value or (units.UNKNOWN if row else "")), slot.width), "faint")]
    if row is None and column.kind in ("count", "duration") and column.id != "threads":
        return [(" " * slot.width, "faint")]
    alive = [one for one in members if one.ended_at is None] if len(members) > 1 else members
    value = (
        number_of(column, members[0], scene.state)
        if len(members) == 1
        else _sum(alive, lambda one: number_of(column, one, scene.state))
    )
    if column.kind == "size":
        return _size_cells(value, slot)
    text = write_value(column, value)
    return [(text.rjust(slot.width)[-slot.width :], "dim" if value else "faint")]


def write_value(column: Column, value: float | None) -> str:
    """A number as its column writes it."""
    if value is None:
        return units.UNKNOWN
    if column.kind == "size":
        return units.size(value)
    if column.kind == "bytes_s":
        return units.size(value / 1024)
    if column.kind == "percent":
        return f"{value:.0f}"
    if column.kind == "duration":
        return units.duration(value)
    if column.kind == "rate":
        return units.rate_mib_min(value)
    return str(int(value))


_CELLS = {
    "pid": _pid,
    "command": _process,
    "rss": _rss,
    "rate": _delta,
    "since": _since,
    "spark": _spark,
    "role": _role,
    "trend": _trend,
}
