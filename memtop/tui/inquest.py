"""Finding out why, under way: a look at a process and all below it that takes a while.

It watches with the states that the screen is given, so that nothing is sampled twice, and looks
inside on threads of its own. Nothing in any process is changed, and none is stopped.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from textual.message import Message

from memtop.model.state import State
from memtop.probe.sample import Identity
from memtop.render.finding import Course
from memtop.render.sight import Failure
from memtop.tui.messages import ReadOn
from memtop.tui.reading import Reading

if TYPE_CHECKING:  # what looks is not needed for the first frame
    from memtop.evidence.looking import Look
    from memtop.tui.verdicts import Concluded

WAKES_S = 0.1  # to see that it was cancelled


class Inquest(Reading):
    """Watching `identity` and all below it for `for_s` seconds; it begins at `state`.

    `known`: looks that were taken before. `pids` are those that it wants to be sampled.
    """

    def __init__(
        self,
        identity: Identity,
        name: str,
        root: str,
        post: Callable[[Message], object],
        state: State,
        *,
        for_s: float,
        known: Callable[[], Collection[Look]],
        before: Reading | None = None,
    ) -> None:
        super().__init__("diagnosis", identity, name, root, post, before=before)
        self.for_s = for_s
        self.pids: frozenset[int] = frozenset((identity.pid,))
        self._known = known
        self._words = f"watches {identity.pid} {name}"
        self._begun_s: float | None = None
        self._latest = state
        self._states: queue.SimpleQueue[State] = queue.SimpleQueue()
        self._states.put(state)

    @property
    def course(self) -> Course:
        """How far it is."""
        passed_s = 0.0 if self._begun_s is None else time.monotonic() - self._begun_s
        return Course(self._words, passed_s, self.for_s)

    def feed(self, state: State) -> None:
        """A new state; called on the thread of the screen, and never waits."""
        self._states.put(state)

    def failure(self, error: Exception | None) -> Failure:
        """Why it came to nothing."""
        failure = super().failure(error)
        command = failure.command and failure.command.replace("memtop anatomy", "memtop diagnose")
        return failure._replace(command=command)

    def _look(self) -> Concluded:
        from memtop.evidence.inquiry import Inquiry
        from memtop.tui.verdicts import conclude

        self._begun_s = time.monotonic()
        gathered = Inquiry(
            self.identity,
            self._next,
            for_s=self.for_s,
            root=self.root,
            tell=self._say,
            cancel=self.cancel,
            known=self._known(),
        ).run()
        return conclude(gathered, self.identity)

    def _next(self, pids: Collection[int]) -> State:
        """Wait for the next state, and take the newest; once it is cancelled, the last one."""
        self.pids = frozenset(pids)
        while not self.cancel.is_set():
            try:
                self._latest = self._states.get(timeout=WAKES_S)
            except queue.Empty:
                continue
            while not self._states.empty():
                self._latest = self._states.get()
            break
        return self._latest

    def _say(self, words: str) -> None:
        """What is done now; how long it still takes is on show by itself."""
        if words.startswith("watches"):
            words = f"watches {self.identity.pid} {self.name}"
        if words != self._words:
            self._words = words
            self._tell(ReadOn(self, self.progress))
