"""Keys that look closer at one process: the detail pane, its tabs and the window of its chart."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from textual.screen import Screen

from memtop.model.groups import Group
from memtop.model.log import Entry
from memtop.model.state import Row, State
from memtop.probe.portrait import Portrait, read_portrait
from memtop.probe.sample import Identity
from memtop.render.cells import group_of, worst_of
from memtop.render.counted import Counted
from memtop.render.finding import Reasons
from memtop.render.inside import Inside
from memtop.render.tabs import LOG, OBJECTS
from memtop.tui.widgets.detail import DetailPane
from memtop.tui.widgets.table import ProcessTable

if TYPE_CHECKING:
    from memtop.render.passage import Passage

ROOMY_ROWS = 34  # with fewer the pane takes the place of the table
TABLE_SHARE = 0.45


class Inspecting(Screen[None]):
    """The part of the main screen that shows the detail of a process."""

    table: ProcessTable
    _shown: State

    def inside_of(self, row: Row) -> Inside:
        """What is known of the inside of a process; who looks into them knows."""
        raise NotImplementedError

    def counted_of(self, row: Row) -> Counted:
        """What is known of the objects of a process; who counts them knows."""
        raise NotImplementedError

    def reasons_of(self, row: Row, group: Group | None) -> Reasons:
        """Why a process has so much memory, or a group; who finds out knows."""
        raise NotImplementedError

    def passage_of(self, row: Row, group: Group | None) -> Passage | None:
        """In a replay what the recording knows of the memory of a process or group."""
        return None

    @property
    def pane(self) -> DetailPane:
        """The detail pane."""
        return self.query_one(DetailPane)

    def _selected(self) -> Row | None:
        """The process under the cursor; of a group the member that grows most."""
        line = self.table.cursor_line
        if line is None:
            return None
        group = group_of(line, self._shown)
        if group is not None:
            keys: tuple[Identity | None, ...] = (group.worst, *group.members[:1], group.parent)
            return next((row for key in keys if key and (row := self._shown.rows.get(key))), None)
        keys = line.members if isinstance(line.key, str) else (line.key,)
        return worst_of([row for key in keys if key and (row := self._shown.rows.get(key))])

    def _selected_group(self) -> Group | None:
        """The group of workers under the cursor, if it is one."""
        line = self.table.cursor_line
        return None if line is None else group_of(line, self._shown)

    def _fit_pane(self) -> None:
        """Decide how high the pane is; on opening and on resize, never on a tick."""
        if not self.pane.is_open:
            self.table.display = True
            self.table.styles.height = "1fr"
            return
        height = self.app.size.height
        self.table.display = height >= ROOMY_ROWS
        if height >= ROOMY_ROWS:
            rows = int(self.table.virtual_size.height) + 2
            self.table.styles.height = max(6, min(rows, int(height * TABLE_SHARE)))

    def _show_pane(self) -> None:
        """Draw the pane for the process under the cursor, and read what it needs."""
        if not self.pane.is_open:
            return
        row = self._selected()
        if row is None:
            self.pane.show([[("  no process is selected", "dim")]])
            return
        root: str | None = getattr(self.app, "portrait_root", None)
        if self.pane.needs_reading(row, monotonic()) and root is not None:
            self.run_worker(
                lambda: self._read(root, row.identity),
                thread=True,
                group="portrait",
                exclusive=True,
            )
        group = self._selected_group()
        self.pane.show_process(
            row,
            self._shown,
            reading=root is not None,
            group=group,
            inside=self.inside_of(row) if group is None else None,
            counted=self.counted_of(row) if group is None and self.pane.tab == OBJECTS else None,
            reasons=self.reasons_of(row, group) if self.pane.tab != LOG else None,
            passage=self.passage_of(row, group),
        )

    def _read(self, root: str, identity: Identity) -> None:
        """On a thread: it may wait for a lock of the process."""
        portrait = read_portrait(root, identity, getattr(self.app, "mask", ()))
        self.app.call_from_thread(self._take, portrait)

    def _take(self, portrait: Portrait | None) -> None:
        self.pane.take(portrait)
        self._show_pane()

    @property
    def moment(self) -> float:
        """Now, by the clock of the samples; who takes the samples knows."""
        raise NotImplementedError

    def mark(self, text: str, whose: set[Identity] | None, *, at: float | None = None) -> None:
        """Put a mark on the charts of processes, or of all (None); it is of now, or of before."""
        now = self.moment
        self.pane.marks.add(now if at is None else min(at, now), text, whose)
        self._show_pane()

    def keep(self, entry: Entry) -> None:
        """Put something that was done into the log."""
        self.pane.logbook.add(entry)
        self.pane.skipped = 0
        self._show_pane()

    def show_log(self) -> None:
        """Open the pane on the log."""
        self.pane.tab, self.pane.skipped = LOG, 0
        if self.pane.is_open:
            self._show_pane()
        else:
            self.action_detail()

    def on_detail_pane_resized(self) -> None:
        """The pane was laid out: draw it in its new size."""
        self._show_pane()

    def action_detail(self) -> None:
        """Open the detail of the process under the cursor, or close it."""
        self.pane.display = not self.pane.display
        self._fit_pane()
        self.call_after_refresh(self._show_pane)

    def action_tab(self, by: int) -> None:
        """The next tab of the pane."""
        self.pane.turn(by)
        self._show_pane()

    def action_window(self, by: int) -> None:
        """A longer or shorter window of the chart; in the log what is older or newer."""
        self.pane.widen(by)
        self._show_pane()
