"""The thread that samples: at absolute deadlines, so that work does not stretch the interval."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from memtop.model.state import State
from memtop.model.tracker import Tracker
from memtop.probe.sample import Wanted
from memtop.probe.source import Source
from memtop.tui.tape import Tape

FIRST_AFTER_S = 0.25


class Sampler(threading.Thread):
    """Samples `source` every `interval_s` into `tracker` and hands each state to `post`.

    `wanted` may be set by any thread; it counts from the next sample on. `tape` records each
    state, if somebody wants that. A source that fails as a whole ends the thread, and `failed` is
    told why.
    """

    def __init__(
        self,
        source: Source,
        tracker: Tracker,
        interval_s: float,
        post: Callable[[State], object],
        failed: Callable[[Exception], object],
        tape: Tape,
    ) -> None:
        super().__init__(name="memtop-sampler", daemon=True)
        self.wanted = Wanted()
        self._source = source
        self._tracker = tracker
        self._interval_s = interval_s
        self._post = post
        self._failed = failed
        self._tape = tape
        self._stop_asked = False
        self._woken = threading.Event()
        tape.wake = self._woken.set

    def run(self) -> None:
        """Sample until `stop`; a deadline that was missed by more than an interval is left out.

        The first sample comes soon, for the command lines that the first frame did not wait for.
        """
        tape = self._tape
        deadline = time.monotonic() + min(self._interval_s, FIRST_AFTER_S)
        try:
            while self._wait(deadline):
                try:
                    wanted = tape.wanted(self._tracker.ask(self.wanted))
                    state = self._tracker.feed(self._source.sample(wanted))
                except Exception as error:  # whatever it is, the screen must say so
                    self._failed(error)
                    return
                self._post(state)
                tape.take(state)
                missed = (time.monotonic() - deadline) // self._interval_s
                deadline += self._interval_s * (1 + max(0.0, missed))
        finally:
            tape.close()

    def _wait(self, deadline: float) -> bool:
        """Until the next sample is due, with what there is to do meanwhile; False: no more."""
        tape = self._tape
        while not self._stop_asked:
            left = deadline - time.monotonic()
            if left <= 0:
                return True
            if self._woken.wait(tape.rest_s(left)):
                self._woken.clear()
                tape.work()
            else:
                tape.read_ring(deadline - time.monotonic())
        return False

    def stop(self) -> None:
        """End the thread, give back what it records to, and close the source."""
        self._stop_asked = True
        self._woken.set()
        if self.is_alive():
            self.join(timeout=2.0)
        if not self.is_alive():
            self._tape.close()
            self._source.close()
