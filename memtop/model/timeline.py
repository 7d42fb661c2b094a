"""The clock of a tracker: ticks, buckets, gaps, and the rates that follow from them.

A tick is a sample, a bucket is 15 s. Both go with a clock that never jumps; the wall clock counts
only at the start, when it decides where buckets begin.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque

from memtop.model.history import BUCKET_S, TICKS, History

RATE_OVER_S = 60.0  # Δ is the change of the floor over this long,
RATE_FROM_S = 20.0  # or over what there is, but not before this,
FLOOR_S = 10.0  # the floor being the least value within this long
GAP_BUCKETS = 2
TREND_EVERY_S = 0.9  # trends are judged once a second where samples come more often


class Timeline:
    """Counts ticks and buckets; times in seconds."""

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        self.every = max(1, math.ceil(TREND_EVERY_S / interval_s))  # ticks of a moment
        self.tick = -1
        self.bucket = self.before_bucket = 0
        self.late_s = 0.0
        self.gaps: deque[tuple[int, int]] = deque(maxlen=64)
        self.first_clock_s = 0.0
        self._clocks: list[float] = []  # of the last ticks, as many as a history keeps
        self._wall_minus_clock = 0.0

    def advance(self, clock_s: float, taken_at: float) -> None:
        """Move to the next tick, taken at `clock_s` by the steady and `taken_at` by the wall clock.

        Several buckets without a tick, where ticks come more often than that, are a gap.
        """
        self.tick += 1
        if self.tick == 0:
            self._wall_minus_clock = taken_at - clock_s
            self.first_clock_s = clock_s
        bucket = int((clock_s + self._wall_minus_clock) // BUCKET_S)
        self.before_bucket = self.bucket if self.tick else bucket
        self.bucket = bucket
        if self.tick:
            elapsed_s = clock_s - self._clocks[-1]
            self.late_s = max(0.0, elapsed_s - self.interval_s)
            missed = bucket - self.before_bucket - 1
            if missed >= GAP_BUCKETS and elapsed_s > 3 * self.interval_s:
                self.gaps.append((self.before_bucket + 1, bucket - 1))
        self._clocks.append(clock_s)
        if len(self._clocks) > TICKS:
            del self._clocks[0]

    @property
    def moment(self) -> int:
        """Counts the ticks at which trends are judged."""
        return self.tick // self.every

    @property
    def moment_s(self) -> float:
        """How long it is from one moment to the next."""
        return self.interval_s * self.every

    @property
    def clock_s(self) -> float:
        """The clock of the newest tick."""
        return self._clocks[-1]

    def tick_since(self, seconds: float) -> int:
        """The first tick that is at most `seconds` old, as far as ticks are kept."""
        place = bisect_left(self._clocks, self._clocks[-1] - seconds - 1e-6)
        return self.tick - len(self._clocks) + 1 + place

    def clock_of(self, tick: int) -> float:
        """The clock of a tick; of one that is not kept any more, about what it was."""
        place = tick - self.tick - 1 + len(self._clocks)
        if place < 0:
            return self._clocks[0] + place * self.interval_s
        return self._clocks[place]

    def rate_bytes_s(self, history: History) -> float | None:
        """Bytes a second by which the floor of a history moves; None before 20 s."""
        over_s = max(RATE_OVER_S, 2 * self.interval_s)
        first = max(history.first_tick, self.tick_since(over_s))
        now_s, first_s = self._clocks[-1], self.clock_of(first)
        slack_s = min(1.0, self.interval_s / 4)  # deadlines are met a bit late
        if first == self.tick or now_s - first_s < RATE_FROM_S - slack_s:
            return None
        if history.changed_tick <= first:
            return 0.0
        last_begin = max(self.tick_since(FLOOR_S), first + 1)
        # The first window is as long as the last one.
        floor_s = now_s - self.clock_of(last_begin)
        first_end = self.tick_since(now_s - first_s - floor_s - 2e-6) - 1
        then = history.minimum(first, first_end)
        now = history.minimum(last_begin, self.tick)
        return 1024.0 * (now - then) / (self.clock_of(last_begin) - first_s)
