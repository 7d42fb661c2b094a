"""What keys that look into a process have in common: whose inside is on show, and reading it.

One process is read at a time, on a thread; Esc cancels that, and so does a key that reads
something else.
"""

from __future__ import annotations

from collections.abc import Callable

from memtop.anatomy.objects import Objects
from memtop.model.groups import Group
from memtop.model.state import Row
from memtop.probe.sample import Identity
from memtop.render.cells import group_of, process_name
from memtop.render.tabs import INSIDE, WHY
from memtop.tui import keys
from memtop.tui.messages import Answered, ReadOn
from memtop.tui.reading import Kind, Reading, why_off
from memtop.tui.screens.inspecting import Inspecting
from memtop.tui.widgets.lines import Headings


class Fetching(Inspecting):
    """The part of the main screen that reads the inside of processes."""

    reading: Reading | None = None
    _ending: Reading | None = None  # a quick one, or one that was cancelled
    _is_whole = False
    _keys_of = ""  # the tab whose keys the last line has
    _member: tuple[str, Identity] | None = None  # of a group, whose inside is on show

    def say(self, message: str, *, warning: bool = False) -> None:
        """Say something for a few seconds; the main screen knows where."""
        raise NotImplementedError

    def show_frame(self) -> None:
        """Draw all but table and pane; the main screen knows how."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self._takes: dict[Kind, Callable[[Answered], None]] = {}

    # -- what is looked at -----------------------------------------------------------------

    @property
    def is_inside(self) -> bool:
        """Whether the pane is open on the inside of a process; of a group only `why` is one."""
        return self.pane.is_open and self.pane.tab in INSIDE

    @property
    def inside_tab(self) -> str:
        """The tab on show if it is about the inside of a process; else empty."""
        if not self.is_inside or (self.pane.tab != WHY and self._selected_group() is not None):
            return ""
        return self.pane.tab

    def _selected(self) -> Row | None:
        """The process under the cursor; of a group the member that was looked into."""
        line = self.table.cursor_line
        if self._member is not None and line is not None and line.key == self._member[0]:
            row = self._shown.rows.get(self._member[1])
            if row is not None and self.is_inside:
                return row
        return super()._selected()

    def _selected_group(self) -> Group | None:
        """The group under the cursor, unless it is one member that is looked into."""
        group = super()._selected_group()
        if group is not None and self._member is not None and self.is_inside:
            row = self._selected()
            if row is not None and row.identity == self._member[1]:
                return None
        return group

    def open_inside(self, tab: str) -> Row | None:
        """Open the pane on the inside of the process under the cursor, or the worst of a group.

        Why is asked of the group itself, unless one member is on show already. None if there is
        nothing to look into; then the pane says why.
        """
        row = self._selected()
        if row is None:
            self.say("select a process to look into", warning=True)
            return None
        line = self.table.cursor_line
        group = None if line is None else group_of(line, self._shown)
        if tab != WHY:
            self._member = None if group is None else (group.id, row.identity)
        elif not self.inside_tab or self._selected_group() is not None:
            self._member = None
        self._is_whole, self.pane.tab = True, tab
        self.pane.display = True
        self._fit_pane()
        self.call_after_refresh(self._show_pane)
        return None if self._why_off(row) else row

    # -- reading ---------------------------------------------------------------------------

    def read(self, kind: Kind, row: Row) -> bool:
        """Begin to read a process; what was being read is left. False if it is read already."""
        reading = self.reading
        if reading is not None:
            if (reading.kind, reading.identity) == (kind, row.identity):
                self.say(f"{row.pid} is being read already")
                return False
            if reading.identity != row.identity or reading.kind == "diagnosis":
                self.say(f"{self._what(reading)} was left for {row.pid}")
            reading.cancel.set()
        if self._ending is not None:
            self._ending.cancel.set()
        self.reading = self.reading_of(kind, row, before=reading or self._ending)
        self.reading.start()
        self._show_pane()
        return True

    def reading_of(self, kind: Kind, row: Row, before: Reading | None = None) -> Reading:
        """A look at a process that has not begun."""
        return Reading(
            kind, row.identity, self.title_of(row), self.root, self.post_message, before=before
        )

    @property
    def root(self) -> str:
        """The /proc in which processes are read."""
        return getattr(self.app, "portrait_root", None) or "/proc"

    def _what(self, reading: Reading) -> str:
        verb = "the diagnosis of" if reading.kind == "diagnosis" else "reading"
        return f"{verb} {reading.identity.pid}"

    def cancel_reading(self) -> bool:
        """Cancel what is being read; False if nothing is."""
        reading, self.reading = self.reading, None
        if reading is None:
            return False
        reading.cancel.set()
        self._ending = reading  # until its thread has ended nothing else begins
        self.say(f"{self._what(reading)} was cancelled")
        self._show_pane()
        return True

    def on_read_on(self, message: ReadOn) -> None:
        """How far it has come."""
        message.reading.progress = message.progress
        if message.reading is self.reading:
            self._show_pane()

    def on_answered(self, message: Answered) -> None:
        """Keep the answer, or why there is none, if somebody still waits for it."""
        reading = message.reading
        if reading is self._ending:
            self._ending = None
        if reading is self.reading:
            self.reading = None
        elif reading.cancel.is_set():
            return
        self._takes[reading.kind](message)
        self._show_pane()

    # -- for the panes ---------------------------------------------------------------------

    def census_of(self, identity: Identity) -> Objects | None:
        """The newest census of a process; whoever takes them knows."""
        raise NotImplementedError

    def title_of(self, row: Row) -> str:
        """What a process is called in its pane."""
        return process_name(row, own=row.identity == self._shown.own, short=True)

    def _why_off(self, row: Row) -> str:
        """Why a process cannot be looked into; empty if it can."""
        live = bool(getattr(self.app, "live", False))
        return why_off(row, live=live, command=INSIDE.get(self.pane.tab, "anatomy"))

    def _label(self, key_id: str) -> str:
        """How a key is called here; empty if there is none."""
        table = getattr(self.app, "key_table", keys.KEYS)
        return next((key.label for key in table if key.id == key_id), "")

    def _fit_pane(self) -> None:
        """In full the pane takes the place of table and headings."""
        super()._fit_pane()
        whole = self._is_whole and self.pane.is_open
        self.query_one(Headings).display = not whole
        if whole:
            self.table.display = False

    def _show_pane(self) -> None:
        super()._show_pane()
        if self._keys_of != self.inside_tab:
            self._keys_of = self.inside_tab
            self.show_frame()  # other keys are of use

    def action_detail(self) -> None:
        """Open the detail beside the table, or close it."""
        self._is_whole, self._member = False, None
        super().action_detail()
