"""The key that looks into a process: what its memory is made of, and what of that has changed.

One process is read at a time, on a thread; Esc cancels that, and so does the key on another one.
While its answer is on show the arenas are read again every 15 s. Answers are kept, so that a later
look says what changed since the first, or since `r`.
"""

from __future__ import annotations

from time import monotonic

from memtop.model.groups import Group
from memtop.model.state import Row
from memtop.probe.sample import Identity
from memtop.render.above import clock
from memtop.render.cells import group_of, process_name
from memtop.render.detail import ANATOMY
from memtop.render.inside import Inside
from memtop.render.words import trend_words
from memtop.tui import keys
from memtop.tui.answers import Answers
from memtop.tui.messages import Answered, AnsweredQuickly, ReadOn
from memtop.tui.reading import Reading, why_off
from memtop.tui.screens.inspecting import Inspecting
from memtop.tui.widgets.lines import Headings

QUICK_EVERY_S = 15.0
MOST_MISSES = 2
RISEN = ("▲", "rising")


class Dissecting(Inspecting):
    """The part of the main screen that looks into processes."""

    reading: Reading | None = None
    _quick: Reading | None = None
    _is_whole = False
    _has_keys = False  # whether the last line has the keys of the anatomy
    _member: tuple[str, Identity] | None = None  # of a group, whose inside is on show

    def say(self, message: str, *, warning: bool = False) -> None:
        """Say something for a few seconds; the main screen knows where."""
        raise NotImplementedError

    def show_frame(self) -> None:
        """Draw all but table and pane; the main screen knows how."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.answers = Answers()

    # -- what is looked at -----------------------------------------------------------------

    @property
    def is_dissecting(self) -> bool:
        """Whether the pane is open on the anatomy; a group of workers has none."""
        return self.pane.is_open and self.pane.tab == ANATOMY

    @property
    def has_anatomy(self) -> bool:
        """Whether the anatomy of a process is on show."""
        return self.is_dissecting and self._selected_group() is None

    def _selected(self) -> Row | None:
        """The process under the cursor; of a group the member that was looked into."""
        line = self.table.cursor_line
        if self._member is not None and line is not None and line.key == self._member[0]:
            row = self._shown.rows.get(self._member[1])
            if row is not None and self.is_dissecting:
                return row
        return super()._selected()

    def _selected_group(self) -> Group | None:
        """The group under the cursor, unless it is one member that is looked into."""
        group = super()._selected_group()
        if group is not None and self._member is not None and self.is_dissecting:
            row = self._selected()
            if row is not None and row.identity == self._member[1]:
                return None
        return group

    def action_anatomy(self) -> None:
        """Look into the process under the cursor, or the worst of a group; again, what changed."""
        row = self._selected()
        if row is None:
            self.say("select a process to look into", warning=True)
            return
        line = self.table.cursor_line
        group = None if line is None else group_of(line, self._shown)
        self._member = None if group is None else (group.id, row.identity)
        self._open_whole()
        if self._why_off(row):
            return  # the pane says it
        if self.reading is not None:
            if self.reading.identity == row.identity:
                self.say(f"{row.pid} is being read already")
                return
            self.say(f"reading {self.reading.identity.pid} was left for {row.pid}")
            self.reading.cancel.set()
        if self._quick is not None:
            self._quick.cancel.set()
        before = self.reading or self._quick
        self.reading = self._reading(row, before=before)
        self.reading.start()
        self._show_pane()

    def _reading(
        self, row: Row, *, is_quick: bool = False, before: Reading | None = None
    ) -> Reading:
        root = getattr(self.app, "portrait_root", None) or "/proc"
        name = process_name(row, own=row.identity == self._shown.own, short=True)
        post = self.post_message
        return Reading(row.identity, name, root, post, is_quick=is_quick, before=before)

    def _why_off(self, row: Row) -> str:
        """Why a process cannot be looked into; empty if it can."""
        return why_off(row, live=bool(getattr(self.app, "live", False)))

    def cancel_reading(self) -> bool:
        """Cancel what is being read; False if nothing is."""
        reading, self.reading = self.reading, None
        if reading is None:
            return False
        reading.cancel.set()
        self._quick = reading  # until its thread has ended nothing else begins
        self.say(f"reading {reading.identity.pid} was cancelled")
        self._show_pane()
        return True

    def rebase(self) -> bool:
        """Count changes from the newest answer on; False if no anatomy is on show."""
        row = self._selected()
        if not self.has_anatomy or row is None:
            return False
        known = self.answers.known.get(row.identity)
        if known is None or known.newest is None:
            self.action_anatomy()
            return True
        known.baseline = known.newest
        self.say(f"Δ counts from {clock(known.newest.taken_at)} on: a reads again")
        self._show_pane()
        return True

    # -- what was found --------------------------------------------------------------------

    def on_read_on(self, message: ReadOn) -> None:
        """How far it has come."""
        message.reading.progress = message.progress
        if message.reading is self.reading:
            self._show_pane()

    def on_answered(self, message: Answered) -> None:
        """Keep the answer, or why there is none, if somebody still waits for it."""
        reading = message.reading
        if reading is self._quick:
            self._quick = None
        if reading is not self.reading:
            return
        self.reading = None
        known = self.answers.of(reading.identity)
        if message.answer is not None:
            known.take(message.answer)
        else:
            known.failure = reading.failure(message.error)
        known.due_s = monotonic() + QUICK_EVERY_S
        self._show_pane()

    def on_answered_quickly(self, message: AnsweredQuickly) -> None:
        """The arenas, read again."""
        reading = message.reading
        if reading is self._quick:
            self._quick = None
        known = self.answers.known.get(reading.identity)
        if known is None or reading.cancel.is_set():
            return
        row = self._shown.rows.get(reading.identity)
        kib = row.rss_kib if row is not None else None
        known.take_quick(message.answer, None if kib is None else kib * 1024)
        known.due_s = monotonic() + QUICK_EVERY_S
        self._show_pane()

    def _read_arenas_again(self) -> None:
        """Begin a quick look, if one is due and nothing else is being read."""
        row = self._selected()
        if not self.has_anatomy or row is None or self.reading or self._quick:
            return
        known = self.answers.known.get(row.identity)
        if known is None or known.newest is None or not known.newest.arenas:
            return
        if known.misses >= MOST_MISSES or monotonic() < known.due_s or self._why_off(row):
            return
        self._quick = self._reading(row, is_quick=True)
        self._quick.start()

    def inside_of(self, row: Row) -> Inside:
        """All that is known of the inside of a process."""
        known = self.answers.known.get(row.identity)
        sign, _, role = trend_words(row, self._shown)
        reading = self.reading
        is_read = reading is not None and reading.identity == row.identity
        growing = role in ("leak", "rising")
        newest = known.newest if known is not None else None
        return Inside(
            pid=row.pid,
            name=process_name(row, own=row.identity == self._shown.own, short=True),
            now=self._shown.taken_at,
            rss_bytes=None if row.rss_kib is None else row.rss_kib * 1024,
            answer=known.answer if known is not None else None,
            read_rss_bytes=newest.rss_bytes if newest is not None else None,
            deltas=known.deltas((sign, role) if growing else RISEN) if known is not None else None,
            again=known.again if known is not None else None,
            progress=reading.progress if reading is not None and is_read else None,
            failure=known.failure if known is not None and not is_read else None,
            off=self._why_off(row),
            key=self._label("anatomy"),
            trim=self._label("trim"),
            sign=(sign, role) if growing or role == "shrink" else ("", "dim"),
        )

    def _label(self, key_id: str) -> str:
        """How a key is called here; empty if there is none."""
        table = getattr(self.app, "key_table", keys.KEYS)
        return next((key.label for key in table if key.id == key_id), "")

    # -- the pane --------------------------------------------------------------------------

    def _open_whole(self) -> None:
        """Open the pane on the anatomy, over the whole area."""
        self._is_whole, self.pane.tab = True, ANATOMY
        self.pane.display = True
        self._fit_pane()
        self.call_after_refresh(self._show_pane)

    def _fit_pane(self) -> None:
        """In full the pane takes the place of table and headings."""
        super()._fit_pane()
        whole = self._is_whole and self.pane.is_open
        self.query_one(Headings).display = not whole
        if whole:
            self.table.display = False

    def _show_pane(self) -> None:
        super()._show_pane()
        self._read_arenas_again()
        if self._has_keys != self.has_anatomy:
            self._has_keys = self.has_anatomy
            self.show_frame()  # other keys are of use

    def action_detail(self) -> None:
        """Open the detail beside the table, or close it."""
        self._is_whole, self._member = False, None
        super().action_detail()
