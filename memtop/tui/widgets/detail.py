"""The detail pane on the screen: asks for the portrait of the process, draws what render makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.message import Message

from memtop.model.groups import Group
from memtop.model.log import Log
from memtop.model.state import Row, State
from memtop.probe.portrait import Portrait
from memtop.probe.sample import Identity
from memtop.render.chart import WINDOWS_S
from memtop.render.counted import Counted
from memtop.render.detail import Detail, detail_lines, room_of
from memtop.render.finding import Reasons
from memtop.render.inside import Inside
from memtop.render.tabs import LOG, TABS
from memtop.tui.keys import KEYS, acting
from memtop.tui.marks import Marks
from memtop.tui.widgets.lines import Lines

if TYPE_CHECKING:
    from memtop.render.passage import Passage

READ_AGAIN_S = 10.0
SCROLLED = 3  # entries of the log, by one key


class DetailPane(Lines):
    """Chart and facts of one process; hidden until it is opened."""

    class Resized(Message):
        """What was drawn does not fit any more."""

    def __init__(self) -> None:
        super().__init__()
        self.tab, self.window = TABS[0], next(iter(WINDOWS_S))
        self.identity: Identity | None = None
        self._tabs: tuple[str, ...] = TABS
        self.marks = Marks()
        self.logbook = Log()
        self.skipped = 0  # so many of its newest entries are scrolled away
        self._portrait: Portrait | None = None
        self._asked_at = 0.0

    def on_resize(self, event: events.Resize) -> None:
        """Only the screen knows what is to be drawn."""
        self.post_message(self.Resized())

    @property
    def is_open(self) -> bool:
        """Whether the pane is on the screen."""
        return bool(self.display)

    @property
    def room(self) -> int:
        """How many lines a tab has that ends with no finding."""
        return room_of(max(3, self.size.height))

    def turn(self, by: int) -> None:
        """The next or the previous tab."""
        place = self._tabs.index(self.tab) if self.tab in self._tabs else 0
        self.tab = self._tabs[(place + by) % len(self._tabs)]

    def widen(self, by: int) -> None:
        """A longer or shorter window of the chart; in the log older or newer entries."""
        if self.tab == LOG:
            most = max(0, len(self.logbook) - 1)
            self.skipped = max(0, min(most, self.skipped + by * SCROLLED))
            return
        names = list(WINDOWS_S)
        place = max(0, min(len(names) - 1, names.index(self.window) + by))
        self.window = names[place]

    def take(self, portrait: Portrait | None) -> None:
        """The portrait that was read, if it is of the process on show."""
        if portrait is not None and portrait.identity == self.identity:
            self._portrait = portrait

    def needs_reading(self, row: Row, now_s: float) -> bool:
        """Whether the portrait is to be read (again); remembers that it was asked for."""
        if row.identity != self.identity:
            self.identity, self._portrait, self._asked_at = row.identity, None, 0.0
        if row.ended_at is not None or now_s - self._asked_at < READ_AGAIN_S:
            return False
        self._asked_at = now_s
        return True

    def show_process(
        self,
        row: Row,
        state: State,
        *,
        reading: bool,
        group: Group | None = None,
        inside: Inside | None = None,
        counted: Counted | None = None,
        reasons: Reasons | None = None,
        passage: Passage | None = None,
    ) -> None:
        """Draw the pane for a row, or a group; `reading` says whether its portrait is to come."""
        width, height = max(10, self.size.width), max(3, self.size.height)
        detail = Detail(
            row=row,
            state=state,
            group=group,
            inside=inside,
            counted=counted,
            reasons=reasons,
            tab=self.tab,
            window=self.window,
            portrait=self._portrait,
            loading=reading and self._portrait is None,
            marks=self.marks.of((row.identity,) if group is None else group.members),
            ascii_only=getattr(self.app, "ascii_only", False),
            log=self.logbook,
            skipped=self.skipped,
            acting=acting(getattr(self.app, "key_table", KEYS)),
            passage=passage,
        )
        self._tabs = detail.tabs
        self.show(detail_lines(detail, width, height))
