"""An action under way: the thread that plans it, then the thread that does it.

They post what happens and never wait for the screen. The threads are daemons, so that one which
hangs does not keep memtop from ending; `stop` waits for them before that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from textual.message import Message

from memtop.actions.result import Result
from memtop.actions.signals import Target
from memtop.actions.table import Action
from memtop.tui.messages import Acted, ActingEnded, Planned, Watched

WORDS_S = 0.1  # between two words about looking: nobody reads faster


class Job:
    """One action on some processes of the /proc at `root`; `post` takes messages on any thread."""

    def __init__(
        self,
        action: Action,
        targets: Sequence[Target],
        root: str,
        live: bool,
        post: Callable[[Message], object],
    ) -> None:
        self.action, self.targets = action, tuple(targets)
        self.root, self.live = root, live
        self.results: list[Result] = []
        self.words = ""
        self.is_acting = False
        self.cancel = threading.Event()
        self._post = post
        self._thread: threading.Thread | None = None

    def plan(self) -> None:
        """Look at the processes; `Planned` tells what was found."""
        self._start(self._plan)

    def act(self, targets: Sequence[Target], *, force: bool) -> None:
        """Do it to these of them: an `Acted` for each, then `ActingEnded`."""
        self.targets, self.is_acting, self.words = tuple(targets), True, ""
        self._start(lambda: self._act(force))

    def stop(self, within_s: float) -> None:
        """Cancel it, and wait so long for its end."""
        self.cancel.set()
        if self._thread is not None:
            self._thread.join(within_s)

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it runs any more."""
        return self._thread is None or not self._thread.is_alive()

    def _start(self, work: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=work, name="memtop-action", daemon=True)
        self._thread.start()

    def _plan(self) -> None:
        from memtop.actions.perform import plan_all  # what acts is not needed for the first frame

        said_at = time.monotonic()

        def watch(number: int, total: int) -> None:
            nonlocal said_at
            if time.monotonic() - said_at >= WORDS_S:
                said_at = time.monotonic()
                self._post(Watched(self, f"{number} of {total}"))

        try:
            plans = plan_all(
                self.action.id,
                self.targets,
                root=self.root,
                live=self.live,
                watch=watch,
                cancel=self.cancel,
            )
        except Exception as error:  # whatever it is, the screen must say so
            self._post(Planned(self, [], error))
        else:
            self._post(Planned(self, plans))

    def _act(self, force: bool) -> None:
        from memtop.actions.perform import perform

        def watch(words: str) -> None:
            self._post(Watched(self, words))

        failure: Exception | None = None
        try:
            for result in perform(
                self.action.id,
                self.targets,
                root=self.root,
                live=self.live,
                force=force,
                watch=watch,
                cancel=self.cancel,
            ):
                self._post(Acted(self, result))
        except Exception as error:
            failure = error
        self._post(ActingEnded(self, failure))
