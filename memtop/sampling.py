"""Samples of a process that somebody asked about, and of all others, for as long as it takes.

They come at absolute deadlines, and do not wait on when somebody has pressed ctrl+c. Times in
seconds.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from memtop.model.state import State
from memtop.model.tracker import Tracker
from memtop.model.trends import statm_error_kib
from memtop.probe.sample import Identity, Wanted
from memtop.probe.source import Source

if TYPE_CHECKING:
    from memtop.recalling import Recollection

INTERVAL_S, LONG_INTERVAL_S, LONG_S = 0.5, 1.0, 120.0
GLANCE_S = 0.1  # between two looks at whether somebody has pressed ctrl+c
ROLE_KNOWN = 3  # samples
SETTLE_S = 1.0  # for command lines that a process's own lock holds back


def interval_for(watch_s: float) -> float:
    """Between two samples, where so long is watched."""
    return INTERVAL_S if watch_s <= LONG_S else LONG_INTERVAL_S


def states_of(
    source: Source,
    asked: Identity,
    interval_s: float,
    cancel: threading.Event,
    known: Recollection | None = None,
) -> Callable[[Collection[int]], State]:
    """Samples at absolute deadlines; the second one waits for command lines.

    A server's worker is one also where nobody asks for the server; any other is taken by itself.
    What is `known` already, the trackers are told.
    """
    error_kib = statm_error_kib(os.cpu_count() or 1)
    interval_s = (known and known.interval_s) or interval_s
    tracker, alone = (
        Tracker(interval_s, source.own, statm_error_kib=error_kib, top_pid=top_pid)
        for top_pid in (None, asked.pid)
    )
    if known is not None:
        from memtop.recording.resuming import GoingOn

        known.resume(tracker, time.monotonic())
        source = GoingOn(source, known.resume(alone, time.monotonic()))
    begin, ticks = time.monotonic(), 0

    def next_state(pids: Collection[int]) -> State:
        nonlocal ticks, tracker, alone
        # Not by waiting for the event: a signal may not set it while this thread holds its lock.
        while (left := begin + ticks * interval_s - time.monotonic()) > 0 and not cancel.is_set():
            time.sleep(min(left, GLANCE_S))
        if ticks == 2:
            source.settle(SETTLE_S)
        ticks += 1
        wanted = Wanted(pids=frozenset(pids), pss=True)
        sample = source.sample(tracker.ask(wanted))
        state = tracker.feed(sample)
        if alone is tracker:
            return state
        by_itself = alone.feed(sample)
        if ticks < ROLE_KNOWN:
            return by_itself
        row = state.rows.get(asked)
        if row is None or row.role != "worker" or row.framework is None:
            tracker = alone  # whoever started it is of no matter
            return by_itself
        alone = tracker
        return state

    return next_state
