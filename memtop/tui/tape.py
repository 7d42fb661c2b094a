"""What is recorded beside the screen: the recorder of the sampling thread, and orders to it.

Any thread may give orders: begin, end, an event, an answer. They are carried out on the thread that
samples, to which the file belongs, because a slow disk must not hold up the screen. When writing
fails the recording ends, the screen goes on, and a message says why. Times are seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from textual.message import Message

from memtop.errors import MemtopError
from memtop.model.state import State
from memtop.paths import folders
from memtop.probe.sample import Identity, Wanted
from memtop.tui.messages import NewMarks, Taped

if TYPE_CHECKING:
    from memtop.kept import Kept
    from memtop.recording.session import Session

# As recording.ring and recording.quantities have them, which are not needed for the first frame.
RING_EVERY_S, FIGURES_EVERY_S = 0.2, 15.0


class _Order(NamedTuple):
    """Something to do; an `addition` waits until there is a sample, and is nothing without file."""

    do: Callable[[], None]
    is_addition: bool = False


class Ended(NamedTuple):
    """A recording that was made: where it is, and how many samples were written."""

    path: str
    samples: int


class Tape:
    """Records while it is on. `open_` opens a recording at a path; `session` is one already open.

    `post` takes messages on any thread, `wake` makes the sampling thread call `work` soon.
    `selected` is the process that somebody looks at.
    """

    def __init__(self, open_: Callable[[str], Session], session: Session | None = None) -> None:
        self.post: Callable[[Message], object] = lambda message: None
        self.wake: Callable[[], None] = lambda: None
        self.selected: Identity | None = None
        self.ended: list[Ended] = []
        self._open = open_
        self._session = session
        self._given = None if session is None else session.path
        self._state: State | None = None
        self._orders: deque[_Order] = deque()

    # -- on any thread ---------------------------------------------------------------------

    @property
    def path(self) -> str | None:
        """The file that is written; None if none is."""
        session = self._session
        return None if session is None else session.path

    def begin(self, name: str) -> None:
        """Record to the file that was given in the beginning, or to a new one with this name."""
        self._order(_Order(partial(self._begin, name)))

    def end(self) -> None:
        """Record no more."""
        self._order(_Order(self._end))

    def add_event(self, at: float, kind: str, text: str, detail: object = None) -> None:
        """Write an event: a mark, an action."""

        def add() -> None:
            if self._session is not None:
                self._session.add_event(kind, text, detail, at=at)

        self._order(_Order(add, is_addition=True))

    def add_result(self, at: float, make: Callable[[], Kept]) -> None:
        """Write an answer, which is only made into a document if it is recorded."""

        def add() -> None:
            if self._session is not None:
                self._session.add_result(*make(), at=at)

        self._order(_Order(add, is_addition=True))

    def _order(self, order: _Order) -> None:
        self._orders.append(order)
        self.wake()

    # -- on the thread that samples --------------------------------------------------------

    def wanted(self, wanted: Wanted) -> Wanted:
        """What is to be sampled: for a recording also who is not on show, some at each sample.

        Figures are written every 15 s; to read those of all each time would double the cost of a
        sample.
        """
        state = self._state
        if self._session is None or state is None:
            return wanted
        turns = max(1, round(FIGURES_EVERY_S / state.interval_s))
        turn = (state.tick + 1) % turns
        due = [row.pid for row in state.rows.values() if row.pid % turns == turn]
        return wanted._replace(pids=frozenset(wanted.pids).union(due))

    def take(self, state: State) -> None:
        """Write a state, and whatever else there is to do."""
        self._state = state
        self.work()
        if self._session is not None:
            self._guarded(partial(self._write, state))
            self.work()

    def work(self) -> None:
        """Carry out the orders."""
        while self._orders:
            order, session = self._orders[0], self._session
            if order.is_addition and session is not None and not session.samples:
                return
            self._orders.popleft()
            if session is not None or not order.is_addition:
                self._guarded(order.do, is_addition=order.is_addition)

    def rest_s(self, left_s: float) -> float:
        """How long to wait until there may be something to do, if the sample is so far away."""
        return left_s if self._session is None else min(left_s, RING_EVERY_S)

    def read_ring(self, left_s: float) -> None:
        """Read what is read more often than samples are taken, unless the next one is near."""
        if self._session is not None and left_s > RING_EVERY_S / 2:
            self._guarded(self._session.read_ring)

    def close(self) -> None:
        """Carry out what was ordered, and give the file back."""
        self.work()
        if self._session is not None:
            self._close()

    def _write(self, state: State) -> None:
        session = self._session
        assert session is not None
        session.take(state, self.selected)
        if added := session.news():
            self.post(NewMarks(added))

    def _begin(self, name: str) -> None:
        if self._session is not None:
            return
        if self._given is not None:
            session = self._open(self._given)
            self._session = session
            session.recognise()
        else:
            self._session = self._open_somewhere(name)
        path = Path(self._session.path)
        self.post(Taped(str(path), f"recording {path.name} in {path.absolute().parent}"))

    def _open_somewhere(self, name: str) -> Session:
        failure: MemtopError | None = None
        for folder in folders():
            try:
                return self._open(str(folder / name))
            except MemtopError as error:
                failure = failure or error
        raise failure or MemtopError("there is no folder to record to")

    def _end(self) -> None:
        if self._session is None:
            return
        ended = self._close()
        count = f"{ended.samples} sample{'' if ended.samples == 1 else 's'}"
        name = Path(ended.path).name
        self.post(Taped(None, f"{count} written: memtop replay {name}"))

    def _close(self) -> Ended:
        session = self._session
        assert session is not None
        self._session = None
        ended = Ended(session.path, session.samples)
        self.ended.append(ended)
        session.close()
        return ended

    def _guarded(self, do: Callable[[], None], *, is_addition: bool = False) -> None:
        """Do it; what fails ends the recording, and not the sampling."""
        try:
            do()
        except MemtopError as error:
            self._fail(error.message)
        except Exception as error:  # whatever it is, the screen must say so
            words = f"an error of memtop's own: {type(error).__name__}: {error}"
            if is_addition and self._session is not None:  # an answer that makes no document
                self.post(Taped(self.path, f"not recorded: {words}", warning=True))
            else:
                self._fail(words)

    def _fail(self, why: str) -> None:
        head = "nothing is recorded"
        if self._session is not None:
            head = "recording has ended"
            self._close()
        self.post(Taped(None, f"{head}: {why}", warning=True))
