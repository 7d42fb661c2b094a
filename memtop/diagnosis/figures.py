"""What follows from the evidence by arithmetic: of what a rise is made, and how RSS moves.

Sizes in bytes, times in seconds, rates in bytes per second. Nothing is judged here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from memtop.diagnosis.shares import Shares
from memtop.diagnosis.words import MIB

GROWING = frozenset({"leak-like", "rising"})
GROWS_UP_S = (180.0, 1200.0)  # so old a service has filled its caches, hardly, surely
DECAY = 0.85  # of what a quarter of the time brought comes in the next one, at most
OVER_S = 8.0  # a shorter pause says nothing
STRAIGHT_SHARE = 0.25  # of a straight rise falls into the last quarter of the time


def ramp(value: float, none: float, full: float) -> float:
    """0 up to `none`, 1 from `full` on, and a straight line between."""
    if not math.isfinite(value):
        return 0.0
    return min(1.0, max(0.0, (value - none) / (full - none)))


def finite(value: float | None) -> float | None:
    """None for what is no number."""
    return value if value is not None and math.isfinite(value) else None


@dataclass(frozen=True)
class Figures(Shares):
    """The shares, and how RSS moves."""

    @property
    def trend(self) -> str:
        """The tracker's word; `new` if it was not watched."""
        return self.evidence.watch.trend if self.evidence.watch is not None else "new"

    @property
    def is_alive(self) -> bool:
        """Whether it can do anything now: it has not ended, and nobody has stopped it."""
        return not (self.evidence.subject.ended or self.evidence.subject.stopped)

    @property
    def rss_bytes(self) -> int:
        """The newest that is known; 0 if none is."""
        subject, watch = self.evidence.subject, self.evidence.watch
        if subject.rss_bytes is not None:
            return subject.rss_bytes
        if watch is not None:
            return watch.rss_bytes
        return self.last.rss_bytes if self.last is not None else 0

    @property
    def looked_bytes(self) -> int:
        """RSS at the moment of the last look, of which its parts are shares."""
        return self.last.rss_bytes if self.last is not None else self.rss_bytes

    @property
    def noise_bytes(self) -> float:
        """A change of RSS below this says nothing by itself."""
        return max(MIB, 0.02 * self.rss_bytes)

    @property
    def change_bytes(self) -> int | None:
        """The change of RSS while it was watched, else that between the looks."""
        watch = self.evidence.watch
        return watch.change_bytes if watch is not None else self.rise_bytes

    @cached_property
    def watched_s(self) -> float:
        """How long it is known how RSS moved."""
        watch = self.evidence.watch
        return finite(watch.seconds if watch is not None else self.between_s) or 0.0

    @cached_property
    def rate_bytes_s(self) -> float | None:
        """How fast it grows or shrinks: the robust slope if there is one; None if unknown."""
        watch = self.evidence.watch
        if watch is not None and self.trend in GROWING and (slope := finite(watch.slope_bytes_s)):
            return slope
        recent = finite(watch.rate_bytes_s) if watch is not None else None
        if recent is not None and self.watched_s >= 60:
            return recent
        if self.change_bytes is None or self.watched_s <= 0:
            return None
        apart_s = finite(watch.change_s) if watch is not None else None
        return self.change_bytes / (apart_s or self.watched_s)

    @property
    def rises(self) -> bool:
        """Whether more came than noise, or the tracker calls it growing."""
        return self.trend in GROWING or (self.change_bytes or 0) > self.noise_bytes

    @property
    def step_share(self) -> float:
        """How much of the rise came at once."""
        watch = self.evidence.watch
        if watch is None or watch.largest_step_bytes is None or watch.change_bytes <= 0:
            return 0.0
        return min(1.0, watch.largest_step_bytes / watch.change_bytes)

    @cached_property
    def slowing(self) -> float:
        """0 to 1: how surely its rise bends over, as that of a warm-up does."""
        watch = self.evidence.watch
        if watch is None or self.trend == "leak-like":
            return 0.0
        share = finite(watch.recent_share)
        if self.trend == "warm-up":
            # Unless the end has brought more than a straight rise would: then it does not bend.
            return 1.0 - ramp(share or 0.0, STRAIGHT_SHARE, 1.5 * STRAIGHT_SHARE)
        if share is None or self.watched_s < 15 or (self.change_bytes or 0) <= self.noise_bytes:
            return 0.0
        if self.trend in ("steps", "sawtooth") or self.step_share > 0.5:
            return 0.0
        bend = 1.0 - ramp(share, 0.5 * STRAIGHT_SHARE, 0.95 * STRAIGHT_SHARE)
        return min(bend, self._evenly_bent, self._paused)

    @property
    def _evenly_bent(self) -> float:
        """Whether each quarter of the time brought less than the one before, as far as known.

        A table that doubles, and a heap that is collected, stand still now and then, too.
        """
        quarters = self.evidence.watch.quarters if self.evidence.watch is not None else ()
        if not quarters:
            return 1.0
        again = max(after - before for before, after in pairwise(quarters))
        late = sum(quarters[len(quarters) // 2 :])
        return (1.0 - ramp(again, 0.08, 0.2)) * (1.0 - ramp(late, 0.4, 0.5))

    @property
    def leaning(self) -> float:
        """0 to 1: whether the second half brought less than the first, if only by a little."""
        quarters = self.evidence.watch.quarters if self.evidence.watch is not None else ()
        return ramp(0.5 - sum(quarters[len(quarters) // 2 :]), 0.01, 0.05) if quarters else 0.0

    @property
    def _paused(self) -> float:
        """Of what rises in steps: whether the pause at the end is no longer one of many.

        What decays from quarter to quarter needs no pause.
        """
        watch = self.evidence.watch
        if self._decays:
            return 1.0
        pause_s = finite(watch.pause_s) if watch is not None else None
        if not pause_s or self.step_share < 0.1:
            return 1.0
        return ramp(self.still_s / pause_s, 1.0, 2.5)

    @property
    def _decays(self) -> bool:
        """Whether each quarter of the time brought clearly less, until hardly anything came."""
        quarters = self.evidence.watch.quarters if self.evidence.watch is not None else ()
        falls = [after <= max(0.05, DECAY * before) for before, after in pairwise(quarters)]
        return bool(falls) and all(falls)

    @property
    def is_over(self) -> bool:
        """Whether it rose at first, and for a long time by then no more."""
        watch = self.evidence.watch
        if watch is None or self.trend in GROWING:
            return False
        pause_s = finite(watch.pause_s) or 0.0
        return self.still_s >= max(OVER_S, 0.3 * self.watched_s, 2.5 * pause_s)

    @property
    def still_s(self) -> float:
        """For how long it has not risen any more; 0 if that is not known."""
        watch = self.evidence.watch
        return finite(watch.still_s) or 0.0 if watch is not None else 0.0

    @property
    def is_unnamed(self) -> bool:
        """Whether the shared memory that came is known to have no name in /dev/shm."""
        room = self.evidence.room
        if room is None or room.shm_bytes is None:
            return False
        return (room.shm_change_bytes or 0) < 0.3 * self.came.get("shared", 0)

    @property
    def youth(self) -> float:
        """0 to 1: how new it is. What a new process takes may be what it needs, and end."""
        uptime_s = finite(self.evidence.subject.uptime_s)
        return 0.0 if uptime_s is None else 1.0 - ramp(uptime_s, *GROWS_UP_S)

    @property
    def swing_bytes(self) -> int:
        """Between the least and the largest RSS seen."""
        watch = self.evidence.watch
        if watch is None or watch.peak_bytes is None or watch.floor_bytes is None:
            return 0
        return max(0, watch.peak_bytes - watch.floor_bytes)
