"""The main screen: what is looked at and how. It alone knows the widgets.

States come in by `show_state`; keys change the view. The order of rows changes at most every 5 s
unless a key asks, and never within 2 s of a key.
"""

from __future__ import annotations

import heapq
from dataclasses import replace
from time import monotonic

from textual import events
from textual.app import ComposeResult

from memtop import units
from memtop.model.filter import EVERYTHING
from memtop.model.limits import headroom_bytes
from memtop.model.query import Arrangement, View, arrange
from memtop.model.state import State
from memtop.probe.sample import Identity, Wanted
from memtop.render.cells import Cell, heading_cells
from memtop.render.summary import Notice, head_cells, key_cells, view_cells
from memtop.tui import keys
from memtop.tui.screens.arranging import Arranging
from memtop.tui.screens.diagnosing import Diagnosing
from memtop.tui.screens.entering import ENDINGS
from memtop.tui.screens.keeping import Keeping
from memtop.tui.screens.marking import Marking
from memtop.tui.screens.signalling import Signalling
from memtop.tui.widgets.askbar import AskBar
from memtop.tui.widgets.detail import DetailPane
from memtop.tui.widgets.filterbar import FilterBar
from memtop.tui.widgets.lines import Headings, KeyBar, Summary
from memtop.tui.widgets.table import ProcessTable

REORDER_EVERY_S = 5.0
HANDS_OFF_S = 2.0
MANY_ROWS = 2500
MOST_LINES = 1 << 30
MESSAGE_STAYS_S, WARNING_STAYS_S = 4.0, 20.0
HEADROOM_TIMES = 3  # a guest wants so many times its own RSS left in the pod
TINY_ROWS = 14
# While a group is looked at, the shared memory of so many members is read, of others in turn.
TEAM_READ, TEAM_EVERY_TICKS = 200, 20
GROWING_READ = 32  # write rates of this many growing rows are read, also out of sight


class MainScreen(Marking, Arranging, Diagnosing, Signalling, Keeping):
    """The table with its summary and keys."""

    BINDINGS = [
        *keys.bindings(),
        *ENDINGS,
    ]

    def __init__(self, state: State, view: View, *, is_guest: bool = False) -> None:
        super().__init__()
        self._state = state  # the newest one
        self._shown = state  # the one on show: an older one while paused
        self._view = view
        self._arrangement = arrange(state, view)
        self._sorted_at = monotonic()
        self._touched_at = 0.0
        self._follow = False
        self._paused = False
        self._is_behind = False
        self._is_ready = False  # a sample may come before there is a table
        self._is_guest = is_guest  # in somebody's pod, and nothing was said about it yet
        self._message = ("", False, 0.0)

    def compose(self) -> ComposeResult:
        """Summary, headings, table, filter or keys."""
        yield Summary()
        yield Headings()
        yield ProcessTable()
        yield DetailPane()
        yield FilterBar()
        yield AskBar()
        yield KeyBar()

    def on_mount(self) -> None:
        """The first frame has the first sample."""
        self.table = self.query_one(ProcessTable)
        self.table.focus()
        self._fit(self.app.size.height)
        self._is_ready = True
        self._show()

    def on_resize(self, event: events.Resize) -> None:
        """Small screens lose what is not needed."""
        self._fit(event.size.height)
        self._fit_pane()
        self._show_frame()
        self.call_after_refresh(self._show_pane)

    def on_screen_suspend(self) -> None:
        """Behind another screen nothing moves."""
        self._is_behind = True
        self.add_class("-behind")

    def on_screen_resume(self) -> None:
        """In front again: with what has come meanwhile."""
        self.remove_class("-behind")
        if self._is_behind:
            self._is_behind = False
            self.show_state(self._state)

    def _fit(self, height: int) -> None:
        self.set_class(height < TINY_ROWS, "-tiny")

    # -- states ----------------------------------------------------------------------------

    def show_state(self, state: State) -> None:
        """Take a new state; while paused only the clock moves, behind a dialog nothing."""
        self._state = state
        if not self._is_ready:
            return
        self.note(state)
        self.note_happenings(state)
        if self._is_behind:
            return
        if self._paused:
            self._show_frame()
            return
        self.app.look(self.wanted())  # type: ignore[attr-defined]
        self._warn_of_headroom()
        before, self._shown = self._shown, state
        now = monotonic()
        # Thousands of rows take some 20 ms to sort: they are sorted half as often.
        rest_s = REORDER_EVERY_S * (1 + len(self._arrangement.lines) // MANY_ROWS)
        if now - self._sorted_at >= rest_s and now - self._touched_at >= HANDS_OFF_S:
            self._arrange(sort=True)
        elif state.children is not before.children or self._view.filter or self._view.python:
            self._arrange(sort=False)
        self._show()

    def _warn_of_headroom(self) -> None:
        """Once, as a guest: that the pod has hardly room for memtop itself."""
        state = self._state
        own = state.rows.get(state.own) if state.own else None
        if not self._is_guest or own is None or not own.rss_kib or not state.limits:
            return
        self._is_guest = False
        left = headroom_bytes(state.limits.values(), state.limit_of(own))
        if left is not None and left < HEADROOM_TIMES * own.rss_kib * 1024:
            words = f"only {units.size(max(0, left) / 1024)} left in this pod"
            taken = f"memtop takes {units.size(own.rss_kib)} and is killed first"
            self.say(f"{words}; {taken}", warning=True, stays_s=WARNING_STAYS_S)

    def wanted(self) -> Wanted:
        """What the sampler is to read every tick."""
        rising = ((row.rate_bytes_s or 0.0, row.pid) for row in self._state.growing)
        growing = heapq.nlargest(GROWING_READ, rising)
        team = self._selected_group() if self.pane.is_open else None
        members = {one.pid for one in self._turn(team.members)} if team is not None else set()
        members |= self.watched_pids
        return Wanted(
            pids=self.table.visible_pids() | {pid for _, pid in growing} | members,
            all_cpu="cpu" in (self._view.filter.columns | {self._view.sort}),
            all_usage=bool(self._view.dear),
            pss="pss" in self._view.dear or bool(members),
        )

    def _turn(self, members: tuple[Identity, ...]) -> tuple[Identity, ...]:
        """Of many members those whose turn it is."""
        begin = self._state.tick // TEAM_EVERY_TICKS * TEAM_READ % max(1, len(members))
        return (members + members)[begin : begin + min(TEAM_READ, len(members))]

    def _arrange(self, *, sort: bool) -> None:
        before: Arrangement | None = None if sort else self._arrangement
        if sort:
            self._sorted_at = monotonic()
        made = arrange(self._shown, self._held_view(), before)
        if made.lines != self._arrangement.lines or made.matched != self._arrangement.matched:
            self._arrangement = made

    def _held_view(self) -> View:
        """The view; the group of the selected process does not fold itself under the cursor."""
        cursor = self.table.cursor
        row = self._shown.rows.get(cursor) if isinstance(cursor, Identity) else None
        if row is None or row.group is None or row.group in self._view.folded:
            return self._view
        return replace(self._view, unfolded=self._view.unfolded | {row.group})

    def _change(self, view: View, *, sort: bool = True) -> None:
        """Look in another way, at once; then rows do not move under the hands for a while."""
        self._touched_at = monotonic()
        self._view = view
        self._arrange(sort=sort)
        self._show()
        self.table.scroll_to_cursor()
        self.app.look(self.wanted())  # type: ignore[attr-defined]

    def _show(self) -> None:
        self.table.show(self._shown, self._view, self._arrangement)
        if self._follow:
            self.table.scroll_to_cursor()
        self._show_pane()
        self._show_frame()

    def _show_frame(self) -> None:
        """Everything but the table."""
        if not self.is_mounted:
            return
        width, state = max(1, self.app.size.width), self._state
        lines = [
            head_cells(state, self._selected(), width),
            self.second_line(self._notice(), width),
        ]
        if self.has_class("-tiny"):
            del lines[0]
        self.query_one(Summary).show(lines)
        self.query_one(Headings).show([heading_cells(self.table.plan, self._view)])
        table = getattr(self.app, "key_table", keys.KEYS)
        footer = keys.footer(table, self.inside_tab, getattr(self.app, "WHERE", "live"))
        self.query_one(KeyBar).show([key_cells(footer, *self.cost(), width)])

    def second_line(self, notice: Notice, width: int) -> list[Cell]:
        """What is shown of how much, and what is said for a moment."""
        return view_cells(self._state, self._view, notice, width)

    def cost(self) -> tuple[float | None, float | None]:
        """What memtop itself takes: KiB, and per cent of a CPU."""
        own = self._state.rows.get(self._state.own) if self._state.own else None
        return (own.rss_kib, own.cpu_percent) if own else (None, None)

    def _notice(self) -> Notice:
        message, warning, until = self._message
        return Notice(
            matched=self._arrangement.matched,
            filter=self._view.filter.text.strip() if self._view.filter else "",
            paused_at=self._shown.taken_at if self._paused else None,
            tagged=sum(one in self._state.rows for one in self.table.tags),
            message=message if monotonic() < until else "",
            warning=warning,
            progress=self.progress(),
            recording=self.recording_path or "",
        )

    def say(self, message: str, *, warning: bool = False, stays_s: float = MESSAGE_STAYS_S) -> None:
        """Say something in the second line for a few seconds."""
        self._message = (message, warning, monotonic() + stays_s)
        self._show_frame()

    def show_progress(self) -> None:
        """Draw the second line anew."""
        self._show_frame()

    def show_frame(self) -> None:
        """Draw everything but table and pane anew."""
        self._show_frame()

    # -- keys ------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No key that acts on processes where nothing is to be changed."""
        if action in keys.ACTING and getattr(self.app, "read_only", False):
            return False
        return super().check_action(action, parameters)

    def on_process_table_looked(self) -> None:
        """Other rows are looked at: the sampler reads those every tick, and they stay put."""
        self._touched_at = monotonic()
        self._show_pane()
        self._show_frame()  # its first line is about the selected process
        self.app.look(self.wanted())  # type: ignore[attr-defined]

    def action_move(self, by: int) -> None:
        """Rows up or down."""
        if not (self.move_in_types(by) or self.move_in_answer(by)):
            self.table.move(by)

    def action_page(self, direction: int) -> None:
        """Windows up or down."""
        if self.move_in_types(direction * self.types_page):
            return
        if not self.move_in_answer(direction * self.answer_page):
            self.table.page(direction)

    def action_edge(self, direction: int) -> None:
        """First or last row."""
        lines = direction * MOST_LINES
        if self.move_in_types(lines) or self.move_in_answer(lines):
            return
        self.table.go_to(0 if direction < 0 else len(self._arrangement.lines))

    def action_choose_sort(self) -> None:
        """Ask what to sort by: types while they are on show, else processes."""
        if not self.choose_order():
            super().action_choose_sort()

    def action_filter(self) -> None:
        """Type a filter: for types while they have the whole area, else for processes."""
        self.query_one(KeyBar).display = False
        if self.is_listing:
            self.query_one(FilterBar).open(self.types_filter, plain=True)
        else:
            self.query_one(FilterBar).open(self._view.filter.text)

    def on_filter_bar_changed(self, message: FilterBar.Changed) -> None:
        """Each key of the filter counts at once."""
        self._change(replace(self._view, filter=message.made), sort=False)

    def on_filter_bar_typed(self, message: FilterBar.Typed) -> None:
        """So does each letter of the name of a type."""
        self.find_types(message.words)

    def action_end_filter(self, keep: bool) -> None:
        """Back to the table, with the filter as it was typed or without one."""
        bar = self.query_one(FilterBar)
        typed = bar.read() if keep else EVERYTHING
        words = bar.text if keep else ""
        self.end_typing(bar)
        if bar.is_plain:
            self.find_types(words)
        elif typed is not None and typed != self._view.filter:
            self._change(replace(self._view, filter=typed), sort=False)

    def action_escape(self) -> None:
        """One level up: an action under way, a filter for types, the detail, the pause, the
        filter, then the tags."""
        if self.cancel_job() or self.cancel_reading() or self.clear_types():
            return
        if self.pane.is_open:
            self.action_detail()
        elif self._paused:
            self.action_pause()
        elif self._view.filter:
            self._change(replace(self._view, filter=EVERYTHING), sort=False)
        elif self.table.tags:
            self.action_untag()

    def action_follow(self) -> None:
        """Keep the process under the cursor in sight, wherever its row goes."""
        self._follow = not self._follow
        self.table.scroll_to_cursor()
        self.say("following the selected process" if self._follow else "not following any more")

    def action_pause(self) -> None:
        """Hold the view; samples are taken all the same."""
        self._paused = not self._paused
        if not self._paused:
            self._shown = self._state
            self._arrange(sort=False)
        self._show()

    def action_tag(self) -> None:
        """Tag the row, or the members of a group, and go down."""
        line = self.table.cursor_line
        if line is None:
            return
        keys_here = set(line.members) if isinstance(line.key, str) else {line.key}
        tags = self.table.tags
        self.table.tags = tags - keys_here if keys_here <= tags else tags | keys_here
        self.table.move(1)
        self.table.redraw()
        self._show_frame()

    def action_untag(self) -> None:
        """Forget all tags."""
        self.table.tags = frozenset()
        self.table.redraw()
        self._show_frame()

    def action_baseline(self) -> None:
        """From now on a column shows the change since now; asked again, start from now again."""
        if self.rebase() or self.rebase_objects():
            return
        self.table.baseline = {
            identity: row.rss_kib
            for identity, row in self._shown.rows.items()
            if row.rss_kib is not None and isinstance(identity, Identity)
        }
        self.table.redraw()
        self.say("Δ SINCE R counts from now")

    def action_palette(self) -> None:
        """Every action, column and theme by name."""
        self.app.action_command_palette()

    def action_help(self) -> None:
        """Keys and signs."""
        from memtop.tui.screens.help import HelpScreen  # not needed for the first frame

        self.app.push_screen(HelpScreen())
