"""The thread that samples: at absolute deadlines, so that work does not stretch the interval."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from memtop.model.state import State
from memtop.model.tracker import Tracker
from memtop.probe.sample import Wanted
from memtop.probe.source import Source

FIRST_AFTER_S = 0.25


class Sampler(threading.Thread):
    """Samples `source` every `interval_s` into `tracker` and hands each state to `post`.

    `wanted` may be set by any thread; it counts from the next sample on. A source that fails as a
    whole ends the thread, and `failed` is told why.
    """

    def __init__(
        self,
        source: Source,
        tracker: Tracker,
        interval_s: float,
        post: Callable[[State], object],
        failed: Callable[[Exception], object],
    ) -> None:
        super().__init__(name="memtop-sampler", daemon=True)
        self.wanted = Wanted()
        self._source = source
        self._tracker = tracker
        self._interval_s = interval_s
        self._post = post
        self._failed = failed
        self._stop_asked = threading.Event()

    def run(self) -> None:
        """Sample until `stop`; a deadline that was missed by more than an interval is left out.

        The first sample comes soon, for the command lines that the first frame did not wait for.
        """
        deadline = time.monotonic() + min(self._interval_s, FIRST_AFTER_S)
        while not self._stop_asked.wait(max(0.0, deadline - time.monotonic())):
            try:
                state = self._tracker.feed(self._source.sample(self._tracker.ask(self.wanted)))
            except Exception as error:  # whatever it is, the screen must say so
                self._failed(error)
                return
            self._post(state)
            missed = (time.monotonic() - deadline) // self._interval_s
            deadline += self._interval_s * (1 + max(0.0, missed))

    def stop(self) -> None:
        """End the thread and close the source."""
        self._stop_asked.set()
        if self.is_alive():
            self.join(timeout=2.0)
        if not self.is_alive():
            self._source.close()
