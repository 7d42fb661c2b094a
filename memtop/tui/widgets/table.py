"""The table of processes, drawn line by line and only where it changed.

It holds what is a matter of looking (cursor, scroll, tags) and draws what it is given; which
processes are shown in which order is the arrangement's business. A cursor names a process, not
a line. Text is made for visible lines only, so the cost does not grow with the processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from memtop.model.query import Arrangement, Key, Line, View
from memtop.model.state import State
from memtop.probe.sample import Identity
from memtop.render.cells import Cell, Scene, group_of, row_cells
from memtop.render.layout import Layout, layout
from memtop.render.sparkline import bin_of
from memtop.render.summary import empty_cells
from memtop.render.words import is_newborn
from memtop.tui.widgets.lines import Roles, changed_spans

CURSOR, TAG = "▌", "•"


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What stands on one line of the screen: the facts it was made of, and how it looks."""

    token: tuple[object, ...]
    pieces: Sequence[Cell]
    mark: str
    strip: Strip


class ProcessTable(Roles, ScrollView, can_focus=True):
    """The rows of an arrangement, over the state they are read from."""

    class Looked(Message):
        """Other rows came into view, or the cursor moved to another process."""

    class FoldAsked(Message):
        """The line under the cursor is to be folded or unfolded."""

    def __init__(self) -> None:
        super().__init__()
        self.cursor: Key | None = None
        self.tags: frozenset[Identity] = frozenset()
        self.baseline: Mapping[Identity, int] | None = None
        self._state: State | None = None
        self._view = View()
        self._arrangement = Arrangement((), 0)
        self._places: dict[Key, int] = {}
        self._scene: Scene | None = None
        self._drawn: dict[int, _Drawn] = {}
        self._pid_width = 5
        self.lines_made = 0  # counted for the budgets

    # -- what is shown ---------------------------------------------------------------------

    @property
    def plan(self) -> Layout:
        """The columns at the present width."""
        width = max(1, self.size.width or self.app.size.width)
        view = self._view
        return layout(width, view.sort, self._pid_width, self.baseline is not None, view.columns)

    def show(self, state: State, view: View, arrangement: Arrangement) -> None:
        """Show a state; paints the visible lines that differ from what is on the screen."""
        if arrangement is not self._arrangement:
            self._places = {line.key: place for place, line in enumerate(arrangement.lines)}
            self._keep_cursor(arrangement)
            pids = (len(str(key.pid)) for key in self._places if isinstance(key, Identity))
            self._pid_width = max(self._pid_width, max(pids, default=0))
        self._state, self._view, self._arrangement = state, view, arrangement
        self._scene = Scene(state, view, self.plan, self.baseline)
        size = Size(self.size.width, len(arrangement.lines))
        if size != self.virtual_size:
            # Without the reactive's layout pass, which would repaint the whole screen.
            self.set_reactive(ProcessTable.virtual_size, size)
            if self.scroll_offset.y > self.max_scroll_y:
                self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
        self._paint_changes()

    def _keep_cursor(self, arrangement: Arrangement) -> None:
        """The cursor stays on its process; if that is gone, on the line where it was."""
        if self.cursor in self._places:
            return
        lines = arrangement.lines
        place = next(
            (p for p, line in enumerate(self._arrangement.lines) if line.key == self.cursor), 0
        )
        self.cursor = lines[min(place, len(lines) - 1)].key if lines else None

    def _paint_changes(self) -> None:
        top = self.scroll_offset.y
        for y in range(self.size.height):
            drawn = self._drawn.get(y)
            if drawn is None:
                self.refresh(Region(0, y, self.size.width, 1))
                continue
            token = self._token(top + y)
            if token == drawn.token:
                continue
            fresh = self._make(top + y, token)
            self._drawn[y] = fresh
            spans = changed_spans(drawn.pieces, fresh.pieces)
            if drawn.mark != fresh.mark and CURSOR in (drawn.mark, fresh.mark):
                spans = [(0, self.size.width)]
            for x, width in spans:
                self.refresh(Region(x, y, width, 1))

    def _token(self, place: int) -> tuple[object, ...]:
        """Everything that the look of a line depends on."""
        lines, scene = self._arrangement.lines, self._scene
        if not lines and place == 1 and scene is not None:
            return (scene.view.filter.text, len(scene.state.rows))
        if place >= len(lines) or scene is None:
            return ()
        line = lines[place]
        state = scene.state
        mark = self._mark(line)
        cells_moved = bin_of(state.bucket, scene.layout.spark_cells)
        if (group := group_of(line, state)) is not None:
            worst = state.rows.get(group.worst) if group.worst else None
            moves = (group.version, group.rss_kib, worst and worst.version)
            return (line.key, line.folded, line.guide, scene.layout, mark, cells_moved, *moves)
        if line.members or isinstance(line.key, str):
            return (line, scene.layout, mark, cells_moved, state.tick)
        row = state.rows.get(line.key)
        if row is None:
            return (line, scene.layout, mark)
        by_clock = (
            state.tick
            if is_newborn(row, state)
            or row.ended_at
            or state.late_s
            or "age" in (scene.view.sort, *scene.view.columns)
            else 0
        )
        since = self.baseline and row.rss_kib
        return (line, scene.layout, mark, cells_moved, row.version, by_clock, since)

    def _mark(self, line: Line) -> str:
        if line.key == self.cursor:
            return CURSOR
        return TAG if line.key in self.tags else " "

    def _make(self, place: int, token: tuple[object, ...]) -> _Drawn:
        self.lines_made += 1
        lines, scene = self._arrangement.lines, self._scene
        if place >= len(lines) or scene is None:
            pieces: list[Cell] = [("", "dim")]
            if token and scene is not None:
                pieces = empty_cells(scene.state, scene.view)
            strip = self.strip(pieces).adjust_cell_length(self.size.width, self.role_style("dim"))
            return _Drawn(token, pieces, " ", strip)
        line, mark = lines[place], self._mark(lines[place])
        pieces = row_cells(line, scene, mark)
        slot = scene.layout.slots[1]
        strip = self.strip(
            pieces, cursor=line.key == self.cursor, head_end=slot.x + slot.width
        ).adjust_cell_length(self.size.width, self.role_style("dim"))
        return _Drawn(token, pieces, mark, strip)

    def render_line(self, y: int) -> Strip:
        """One line of the window, as the compositor asks for it."""
        place = y + self.scroll_offset.y
        token = self._token(place)
        drawn = self._drawn.get(y)
        if drawn is None or drawn.token != token or drawn.strip.cell_length != self.size.width:
            drawn = self._drawn[y] = self._make(place, token)
        return drawn.strip

    def notify_style_update(self) -> None:
        """The theme changed."""
        super().notify_style_update()
        self._drawn.clear()

    def forget(self) -> None:
        """Nothing of what was drawn can be told from what is to come: time went back, or far."""
        self._drawn.clear()

    def redraw(self) -> None:
        """Draw every line anew: tags, marks or columns changed."""
        if self._state is not None:
            self.show(self._state, self._view, self._arrangement)

    def on_resize(self, event: events.Resize) -> None:
        """Another width has other columns."""
        self._drawn.clear()
        self.redraw()
        self.post_message(self.Looked())

    # -- where one looks -------------------------------------------------------------------

    @property
    def cursor_line(self) -> Line | None:
        """The line under the cursor."""
        place = self._places.get(self.cursor) if self.cursor is not None else None
        return None if place is None else self._arrangement.lines[place]

    def visible_pids(self) -> frozenset[int]:
        """The processes in the window, and the selected one."""
        top = self.scroll_offset.y
        lines = self._arrangement.lines[top : top + self.size.height]
        keys = {line.key for line in lines} | {self.cursor}
        return frozenset(key.pid for key in keys if isinstance(key, Identity))

    def move(self, by: int) -> None:
        """Move the cursor by lines."""
        place = self._places.get(self.cursor, 0) if self.cursor is not None else 0
        self.go_to(place + by)

    def page(self, direction: int) -> None:
        """Move the cursor by a window."""
        self.move(direction * max(1, self.size.height - 1))

    def go_to(self, place: int) -> None:
        """Put the cursor on a line, counted from 0; past the ends is the end."""
        lines = self._arrangement.lines
        if not lines:
            return
        self.put_cursor(lines[max(0, min(place, len(lines) - 1))].key)

    def put_cursor(self, key: Key) -> None:
        """Put the cursor on a process or group that is shown, and scroll there."""
        if key not in self._places:
            return
        moved, self.cursor = self.cursor != key, key
        self.scroll_to_cursor()
        if moved:
            self._paint_changes()
            self.post_message(self.Looked())

    def scroll_to_cursor(self) -> None:
        """Bring the cursor into the window."""
        place = self._places.get(self.cursor) if self.cursor is not None else None
        if place is None:
            return
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if place < top:
            self.scroll_to(y=place, animate=False, force=True)
        elif place >= top + height:
            self.scroll_to(y=place - height + 1, animate=False, force=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Another window: every line of it is drawn anew."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.post_message(self.Looked())

    def on_click(self, event: events.Click) -> None:
        """A click selects; on the tree's strokes and fold sign it folds."""
        place = event.y + self.scroll_offset.y
        if place >= len(self._arrangement.lines):
            return
        self.go_to(place)
        line, begin = self._arrangement.lines[place], self.plan.slots[1].x
        if line.foldable and begin <= event.x <= begin + len(line.guide) + 1:
            self.post_message(self.FoldAsked())
