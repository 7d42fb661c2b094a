"""The key that says what the memory of a process is made of, and what of that has changed.

While its answer is on show the arenas are read again every 15 s. Answers are kept, so that a later
look says what changed since the first, or since `r`.
"""

from __future__ import annotations

from time import monotonic

from memtop.anatomy.result import Anatomy, QuickArenas
from memtop.model.state import Row
from memtop.render.inside import Inside
from memtop.render.tabs import ANATOMY
from memtop.render.words import trend_words
from memtop.tui.answers import Answers
from memtop.tui.messages import Answered
from memtop.tui.screens.fetching import Fetching
from memtop.units import clock

QUICK_EVERY_S = 15.0
MOST_MISSES = 2
RISEN = ("▲", "rising")


class Dissecting(Fetching):
    """The part of the main screen that looks into the memory of processes."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = Answers()
        self._takes["anatomy"] = self._take_anatomy
        self._takes["arenas"] = self._take_arenas

    def action_anatomy(self) -> None:
        """Look into the process under the cursor, or the worst of a group; again, what changed."""
        row = self.open_inside(ANATOMY)
        if row is not None:
            self.read("anatomy", row)

    def rebase(self) -> bool:
        """Count changes from the newest answer on; False if no anatomy is on show."""
        row = self._selected()
        if self.inside_tab != ANATOMY or row is None:
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

    def _take_anatomy(self, message: Answered) -> None:
        """A look in full."""
        known = self.answers.of(message.reading.identity)
        if isinstance(message.answer, Anatomy):
            known.take(message.answer)
        else:
            known.failure = message.reading.failure(message.error)
        known.due_s = monotonic() + QUICK_EVERY_S

    def _take_arenas(self, message: Answered) -> None:
        """The arenas, read again; why they could not be the next look says."""
        known = self.answers.known.get(message.reading.identity)
        if known is None:
            return
        row = self._shown.rows.get(message.reading.identity)
        kib = row.rss_kib if row is not None else None
        answer = message.answer if isinstance(message.answer, QuickArenas) else None
        known.take_quick(answer, None if kib is None else kib * 1024)
        known.due_s = monotonic() + QUICK_EVERY_S

    def _read_arenas_again(self) -> None:
        """Begin a quick look, if one is due and nothing else is being read."""
        row = self._selected()
        if self.inside_tab != ANATOMY or row is None or self.reading or self._ending:
            return
        known = self.answers.known.get(row.identity)
        if known is None or known.newest is None or not known.newest.arenas:
            return
        if known.misses >= MOST_MISSES or monotonic() < known.due_s or self._why_off(row):
            return
        self._ending = self.reading_of("arenas", row)
        self._ending.start()

    def inside_of(self, row: Row) -> Inside:
        """All that is known of the inside of a process."""
        known = self.answers.known.get(row.identity)
        sign, _, role = trend_words(row, self._shown)
        reading = self.reading
        is_read = (
            reading is not None and reading.identity == row.identity and reading.kind == "anatomy"
        )
        growing = role in ("leak", "rising")
        newest = known.newest if known is not None else None
        return Inside(
            pid=row.pid,
            name=self.title_of(row),
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
            census=self.census_of(row.identity),
            trim=self._label("trim"),
            objects=self._label("objects"),
            sign=(sign, role) if growing or role == "shrink" else ("", "dim"),
        )

    def _show_pane(self) -> None:
        super()._show_pane()
        self._read_arenas_again()
