"""Keys about Python's objects: a census from outside, a snapshot from inside, what has grown.

Answers are kept by process and by source, so that a later one says what grew since the first, the
last, or `r`. While the pane has the whole area its types are scrolled, ordered and searched.
"""

from __future__ import annotations

from memtop.actions.result import ActionId
from memtop.actions.signals import Target
from memtop.anatomy.objects import Objects
from memtop.model.state import Row
from memtop.probe.sample import Identity
from memtop.render.counted import CALM, ORDERS, Counted
from memtop.render.objects import count_of_lines
from memtop.render.tabs import OBJECTS
from memtop.render.words import trend_words
from memtop.tui.messages import Acted, Answered
from memtop.tui.screens.acting import Acting
from memtop.tui.screens.arranging import LEAST_DIALOG_WIDTH
from memtop.tui.screens.fetching import Fetching
from memtop.tui.tallies import AllTallies
from memtop.units import clock

LEAST_PAGE = 3


class Counting(Fetching, Acting):
    """The part of the main screen that counts objects."""

    _order = ORDERS[0][0]
    _words = ""  # of a filter for types
    _at = 0
    _to_last: Identity | None = None  # whose next answer is compared to the last one
    _arrived: Identity | None = None  # whose snapshot has come, and is not on show yet

    def __init__(self) -> None:
        super().__init__()
        self.tallies = AllTallies()
        self._takes["census"] = self._take_census

    # -- keys ------------------------------------------------------------------------------

    def action_objects(self) -> None:
        """Count the objects of a process from outside; again, what grew since the first time."""
        self._count()

    def _count(self, *, to_last: bool = False) -> None:
        row = self.open_inside(OBJECTS)
        if row is not None and self.read("census", row):
            self.tallies.of(row.identity).source = "census"
            self._to_last = row.identity if to_last else None
            self._show_pane()

    def action_act(self, action_id: ActionId) -> None:
        """Act; a snapshot by its own key is compared to the first one."""
        self._to_last = None
        super().action_act(action_id)

    def action_difference(self) -> None:
        """Ask again whoever was asked last, and compare to that answer."""
        row = self._selected()
        known = None if row is None else self.tallies.known.get(row.identity)
        if row is None or known is None or known.source == "census":
            self._count(to_last=True)
            return
        if not self._label("snapshot"):
            self.say("with --read-only there is no snapshot to compare to", warning=True)
            return
        self.open_inside(OBJECTS)
        self.action_act("snapshot")
        self._to_last = row.identity

    def rebase_objects(self) -> bool:
        """Count changes from the newest answer on; False if no objects are on show."""
        row = self._selected()
        if self.inside_tab != OBJECTS or row is None:
            return False
        known = self.tallies.known.get(row.identity)
        if known is None or known.shown.newest is None:
            self.action_objects()
            return True
        known.shown.rebase()
        key = self._label("objects" if known.source == "census" else "snapshot")
        again = f": {key} reads again" if key else ""
        self.say(f"Δ counts from {clock(known.shown.newest.taken_at)} on{again}")
        self._show_pane()
        return True

    # -- what was found --------------------------------------------------------------------

    def _take_census(self, message: Answered) -> None:
        identity = message.reading.identity
        if isinstance(message.answer, Objects):
            self.take_objects(identity, message.answer)
        else:
            self.tallies.of(identity).failure = message.reading.failure(message.error)

    def on_acted(self, message: Acted) -> None:
        """A snapshot has its objects with it."""
        result = message.result
        objects = result.objects
        if objects is None or result.identity is None:
            return
        self.take_objects(result.identity, objects)
        if len(message.job.targets) == 1:
            self._arrived = result.identity

    def take_objects(self, identity: Identity, answer: Objects) -> None:
        """Keep an answer, from either source, and show it."""
        row = self._shown.rows.get(identity)
        kib = row.rss_kib if row is not None else None
        to_last = self._to_last == identity
        self._to_last, self._at = None, 0
        known = self.tallies.of(identity)
        known.take(answer, None if kib is None else kib * 1024, to_last=to_last)

    def show_log(self) -> None:
        """Open the pane on the log; after the snapshot of the selected process on its objects."""
        arrived, self._arrived = self._arrived, None
        row = self._selected()
        if row is not None and row.identity == arrived:
            self.open_inside(OBJECTS)
        else:
            super().show_log()

    def targets(self, *, members: bool) -> list[Target]:
        """Who is meant; a member of a group whose objects are on show stands for itself."""
        row = self._selected()
        if self._member is None or self.inside_tab != OBJECTS or row is None or self.table.tags:
            return super().targets(members=members)
        return self._living([row.identity])

    def census_of(self, identity: Identity) -> Objects | None:
        """The newest census of a process."""
        known = self.tallies.known.get(identity)
        return None if known is None else known.census.newest

    def counted_of(self, row: Row) -> Counted:
        """All that is known of the objects of a process."""
        known = self.tallies.known.get(row.identity)
        sign, _, role = trend_words(row, self._shown)
        reading = self.reading
        is_read = (
            reading is not None and reading.identity == row.identity and reading.kind == "census"
        )
        tally = known.shown if known is not None else None
        rows, standing = ((), CALM) if known is None else known.rows(self._order, self._words)
        is_snapshot = known is not None and known.source == "snapshot"
        return Counted(
            pid=row.pid,
            name=self.title_of(row),
            now=self._shown.taken_at,
            rss_bytes=None if row.rss_kib is None else row.rss_kib * 1024,
            read_rss_bytes=tally.rss_bytes if tally is not None else None,
            progress=reading.progress if reading is not None and is_read else None,
            failure=known.failure if known is not None and not is_read else None,
            off=self._why_off(row),
            key=self._label("snapshot" if is_snapshot else "objects"),
            sign=(sign, role) if role in ("leak", "rising", "shrink") else ("", "dim"),
            answer=tally.newest if tally is not None else None,
            growth=tally.growth if tally is not None else None,
            since=tally.since if tally is not None else "",
            rows=rows,
            standing=standing,
            shrunk=tally.shrunk if tally is not None else frozenset(),
            order=self._order,
            words=self._words,
            at=self._at if self._is_whole else None,
            counts=self._label("objects"),
            asks=self._label("snapshot"),
            other=self._label("anatomy"),
        )

    # -- the list of types -----------------------------------------------------------------

    @property
    def is_listing(self) -> bool:
        """Whether types have the whole area, and keys that move are about them."""
        return self._is_whole and self.inside_tab == OBJECTS

    @property
    def types_page(self) -> int:
        """About how many types there is room for."""
        return max(LEAST_PAGE, self.pane.size.height // 3)

    def move_in_types(self, by: int) -> bool:
        """Move the cursor over types, and what stands below them; False if none are on show."""
        row = self._selected()
        if not self.is_listing or row is None:
            return False
        lines = count_of_lines(self.counted_of(row), max(1, self.pane.size.width))
        self._at = max(0, min(lines - 1, self._at + by))
        self._show_pane()
        return True

    @property
    def types_filter(self) -> str:
        """The words that the types on show have in their name."""
        return self._words

    def find_types(self, words: str) -> None:
        """Show the types that have these words in their name."""
        self._words, self._at = words.strip(), 0
        self._show_pane()

    def clear_types(self) -> bool:
        """Show all types again; False if all are shown, or none are on show."""
        if self.inside_tab != OBJECTS or not self._words:
            return False
        self.find_types("")
        return True

    def choose_order(self) -> bool:
        """Ask what to order types by; False if none are on show."""
        if self.inside_tab != OBJECTS or self.app.size.width < LEAST_DIALOG_WIDTH:
            return False
        from memtop.tui.screens.pick import PickScreen  # not needed for the first frame

        def chosen(order: str | None) -> None:
            if order is not None:
                self._order, self._at = order, 0
                self._show_pane()

        self.app.push_screen(PickScreen("Sort types by", ORDERS, self._order, "sorts"), chosen)
        return True
