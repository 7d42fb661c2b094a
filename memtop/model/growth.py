"""Whether the memory of one process grows without end, judged sample by sample.

Levels of 16 floors each: a floor is the least RSS of 5 samples, on the next level of 10, of 20
and so on, so that what comes and goes drops out. A level is judged only when it gets a new floor,
and what does not climb leaves at the first test. Times in seconds, floors in KiB, slopes in MiB
an hour. It knows no clock, does no I/O, and knows one series only: groups are not its business.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from memtop.model.window import (
    KEEPS,
    WOBBLES,
    Climb,
    climb_of,
    deepest_fall,
    falls,
    pace,
    rate_of,
    shape_of,
    slopes_of,
)

SAMPLES = 5  # in a floor of the finest level
RING = 16  # floors that a level keeps,
CELLS = RING + 2  # and its deepest fall and its pace, once somebody asked for them
LEVELS = 12  # the last one covers 45 hours at one sample a second
FIRST_FLOORS = 4  # 20 samples, before which nothing is said
YOUNG_FLOORS = 5  # a young climb on the finest level,
COARSE_FLOORS = 8  # and on others
CYCLE_FALLS = 2  # so many falls are a cycle; a single one is an event
GROWN_FLOORS = 12  # a leak, which besides
SPREAD = 4  # consists of at least as many equal steps, as a young one does
EVEN = 3 / 4  # of so many of its steps
FINEST_SHAPE = 1
SHAPES = 7  # levels that tell a shape: 85 minutes at one sample a second
PAST_FLOORS = 5  # so many make a past
COARSER = 4  # levels above one on which the rise must not have been given back before,
FELL = 1 / 3  # not even by this share

_UNKNOWN = -1
_NO_FLOOR = float("inf")
_MOST_KIB = (1 << 31) - 1
_KIB_A_FLOOR_S = 3600 / 1024  # to MiB an hour


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a series; also readable like a mapping.

    `since_s` is when the growth began and `grown_mib` by how much the floor has risen since then.
    `slope_mib_h` is the median of the slopes between floors far apart, `spread_mib_h` the least
    and the greatest of them; the true slope of a leak lies between them in about 3 of 4 cases.
    `confidence` is the share of those slopes that are positive, less the share of negative ones,
    times n / (n + 1) where n windows of different length agree. Where nothing climbs it says how
    much has been seen of the shortest time that could show a leak.
    """

    growing: bool
    kind: str
    slope_mib_h: float | None = None
    since_s: float | None = None
    grown_mib: float | None = None
    spread_mib_h: tuple[float, float] | None = None
    confidence: float = 0.0

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError:
            raise KeyError(name) from None

    def get(self, name: str, default: Any = None) -> Any:
        """The same, with a default."""
        return getattr(self, name, default)

    def keys(self) -> Iterator[str]:
        """The names, so that dict(verdict) works."""
        return iter(self.__slots__)


_SHAPES = ("steady", "warm-up", "steps", "sawtooth", "shrinking")
_NEW = Verdict(False, "new")
# Shared, because most series rest: (word, floors seen) -> verdict.
_PLAIN = {
    (word, floors): Verdict(False, word, confidence=floors / GROWN_FLOORS)
    for word in _SHAPES
    for floors in range(GROWN_FLOORS + 1)
}


class GrowthDetector:
    """Feeds on samples at about equal distances; `phase` (a pid) staggers the work of many."""

    __slots__ = (
        "_before_s",
        "_cells",
        "_closed_at",
        "_count",
        "_floor_s",
        "_from_kib",
        "_left",
        "_looked_at",
        "_low",
        "_offset",
        "_passing",
        "_rising",
        "_rss",
        "_since_s",
        "_stale",
        "_starts",
        "_t",
        "_told",
        "_top_kib",
        "_verdict",
        "_words",
        "_young",
    )

    def __init__(self, phase: int = 0) -> None:
        # Where in the cycle of the coarsest level it begins. Multiplicative hashing (Knuth) puts
        # pids far apart that are next to each other or at any stride. The binary digits of the
        # count say which levels get a floor.
        place = (phase * 2654435769 & 0xFFFFFFFF) * (SAMPLES << LEVELS - 1) >> 32
        self._count, longer = divmod(place, SAMPLES)
        self._offset, self._left = self._count, SAMPLES + longer  # until the floor is complete
        self._cells = array("i")  # level after level, as far as they exist
        self._low: float = _NO_FLOOR
        self._rss: float | None = None
        self._t = 0.0
        self._closed_at: float | None = None
        self._floor_s = self._before_s = 0.0  # how long a floor takes: usually, and the last one
        self._passing = self._rising = 0  # a bit for each level
        self._looked_at = -1
        self._young: Verdict | None = None
        self._starts = 0  # four bits for each level: the floor with which its climb begins
        self._since_s = 0.0
        self._from_kib = self._top_kib = 0  # the floors where the growth began, and the highest
        self._verdict = _NEW
        self._stale = False
        self._told = -1  # the count at which shapes were last looked at
        self._words = 0  # three bits for each level: its shape then

    def add(self, t_seconds: float, rss_bytes: float) -> None:
        """Take one sample."""
        self._t = t_seconds
        self._rss = rss_bytes
        if rss_bytes < self._low:
            self._low = rss_bytes
        self._left -= 1
        if not self._left:
            self._close(t_seconds)

    def repeat(self, n: int, t_seconds: float) -> None:
        """Take `n` samples equal to the last one, the last of them at `t_seconds`.

        The same as adding them one by one at equal distances, but quick: a level that holds
        nothing else than that value is at rest and need not be looked at.
        """
        rss = self._rss
        if n <= 0 or rss is None:
            return
        at, step = self._t, (t_seconds - self._t) / n
        while n and (self._low != _NO_FLOOR or n < SAMPLES):
            at += step
            self.add(at, rss)
            n -= 1
        floors, rest = divmod(n, SAMPLES)
        kib, resting = _kib(rss), 0
        while floors:
            while resting < LEVELS - 1 and self._rests(resting, kib):
                resting += 1
            aligned = (self._count & -self._count).bit_length() - 1 if self._count else resting
            level = min(resting, aligned, floors.bit_length() - 1)
            at += step * (SAMPLES << level)
            self._tell_time(at, 1 << level)
            self._push(kib, level)
            floors -= 1 << level
        for left in range(rest, 0, -1):
            self.add(t_seconds - step * (left - 1), rss)
        self._t = t_seconds

    def verdict(self) -> Verdict:
        """What can be said now; free while no floor was completed."""
        if self._stale:
            self._stale = False
            self._verdict = self._conclude()
        return self._verdict

    def _close(self, t_seconds: float) -> None:
        kib = _kib(self._low)
        self._low, self._left = _NO_FLOOR, SAMPLES
        self._tell_time(t_seconds, 1)
        self._push(kib, 0)

    def _tell_time(self, t_seconds: float, floors: int) -> None:
        """Learn how long a floor takes, from the last so many ones."""
        closed_at, self._closed_at = self._closed_at, t_seconds
        if closed_at is None:
            return
        took = (t_seconds - closed_at) / floors
        if took == self._before_s == self._floor_s:
            return
        if not self._floor_s:
            self._floor_s = self._before_s = took
        # A single long one is a gap in the samples and does not count.
        usual = sorted((took, self._before_s, self._floor_s))[1]
        self._before_s = took
        self._floor_s += (usual - self._floor_s) / 8
        if floors > 1:
            self._floor_s += (took - self._floor_s) * (1 - (7 / 8) ** (floors - 1))

    def _push(self, kib: int, first: int) -> None:
        """Give a floor to a level, and to coarser ones what is complete there, and judge them."""
        count, cells, level, newest = self._count, self._cells, first, kib
        self._count = count + (1 << first)
        while True:
            base = level * CELLS
            if len(cells) <= base:
                self._cells = cells = cells + array("i", bytes(4 * CELLS))
            place = count >> level
            cells[base + place % RING] = kib
            cells[base + RING] = _UNKNOWN
            if not place & 1 or level == LEVELS - 1:
                break
            if place > self._offset >> level:
                kib = min(kib, cells[base + (place - 1) % RING])
            level += 1
        for judged in range(first, level + 1):
            self._judge(judged)
        if self._passing or self._rising:
            # Coarse levels learn late that all was given back.
            self._top_kib = max(self._top_kib, newest)
            if self._top_kib - newest > WOBBLES * (self._top_kib - self._from_kib):
                self._passing = self._rising = 0
        self._stale = True

    def _rests(self, level: int, kib: int) -> bool:
        """Whether a level is full and holds nothing else."""
        ring = self._cells[level * CELLS : level * CELLS + RING]
        full = (self._count >> level) - (self._offset >> level) >= RING
        return full and ring.count(kib) == RING

    def _window(self, level: int) -> list[int]:
        """The floors of a level, the oldest first."""
        begin, end = self._offset >> level, self._count >> level
        ring = self._cells[level * CELLS : level * CELLS + RING].tolist()
        if end - begin >= RING:
            split = end % RING
            return ring[split:] + ring[:split]
        first, last = begin % RING, end % RING
        return ring[first:last] if first <= last else ring[first:] + ring[:last]

    def _judge(self, level: int) -> None:
        """See what a level says that got a floor."""
        bit = 1 << level
        was = self._passing or self._rising
        self._passing &= ~bit
        self._rising &= ~bit
        window = self._window(level)
        # Fewer floors of a coarser level lie within the next finer one, which sees them better.
        climb = climb_of(window, COARSE_FLOORS if level else YOUNG_FLOORS)
        if climb is None or self._contradicted(level, climb):
            return
        if climb.spread < min(SPREAD, EVEN * (climb.floors - 1)):
            return
        self._rising |= bit
        self._starts = self._starts & ~(15 << 4 * level) | climb.start << 4 * level
        if climb.floors >= GROWN_FLOORS:
            self._passing |= bit
        span_s = (climb.floors - 1 << level) * self._floor_s
        since_s = (self._closed_at or 0.0) - span_s
        if not was:
            self._top_kib = window[-1]
        if not was or since_s < self._since_s:
            self._since_s, self._from_kib = since_s, window[climb.start]

    def _contradicted(self, level: int, climb: Climb, *, by_falls: bool = True) -> bool:
        """Whether a longer past shows that a climb will not go on."""
        given_back, rate = FELL * climb.rise_kib, climb.rate / KEEPS
        cells = self._cells
        for coarser in range(level + 1, len(cells) // CELLS):
            if (self._count >> coarser) - (self._offset >> coarser) < PAST_FLOORS:
                break
            note = coarser * CELLS + RING
            if cells[note] == _UNKNOWN:
                past = self._window(coarser)
                cells[note] = min(_MOST_KIB, deepest_fall(past))
                cells[note + 1] = max(-_MOST_KIB, min(_MOST_KIB, int(pace(past))))
            # What was given back before will be given back again: a cycle.
            if by_falls and coarser <= level + COARSER and cells[note] > given_back:
                return True
            # What was faster before is bending over.
            rate *= 2
            if cells[note + 1] > rate:
                return True
        return False

    def _conclude(self) -> Verdict:
        floors = self._count - self._offset
        if floors < FIRST_FLOORS:
            return _NEW
        flags = self._passing or self._rising
        if flags and self._floor_s > 0:
            return self._growth(flags)
        shape = self._shape()
        if shape == "warm-up" and floors < COARSE_FLOORS:
            return _NEW  # whether it bends over cannot be told from so few
        if shape in ("warm-up", "shrinking"):
            turn = self._count >> 2
            if turn != self._looked_at:  # with every fourth floor: it costs more than the rest
                self._looked_at, self._young = turn, self._young_climb()
            if self._young is not None:
                return self._young
        return _PLAIN[shape, min(floors, GROWN_FLOORS)]

    def _young_climb(self) -> Verdict | None:
        """A climb after a fall, such as that of a start-up: no leak yet, but no warm-up either.

        What was given back once may be given back again; that it climbs now is true all the same.
        """
        window = self._window(0)
        if window[-1] <= window[len(window) // 2]:
            return None
        climb = climb_of(window, COARSE_FLOORS)
        if climb is None or climb.spread < min(SPREAD, EVEN * (climb.floors - 1)):
            return None
        if self._contradicted(0, climb, by_falls=False):
            return None
        for level in range(COARSER, min(SHAPES, len(self._cells) // CELLS)):
            if falls(self._window(level), FELL * climb.rise_kib) >= CYCLE_FALLS:
                return None
        slopes = slopes_of(window[climb.start :])
        scale = _KIB_A_FLOOR_S / self._floor_s if self._floor_s > 0 else 0.0
        spread = (slopes[0] * scale, slopes[-1] * scale)
        return Verdict(False, "rising", slopes[len(slopes) // 2] * scale, spread_mib_h=spread)

    def _shape(self) -> str:
        """The word of the longest window, up to an hour or so, in which anything happens."""
        count, told, begin = self._count, self._told, self._offset
        self._told = count
        word = 0
        # The finest levels are noisy: they are asked only while there is nothing else.
        finest = min(FINEST_SHAPE, max(0, (count - begin >> 2).bit_length() - 1))
        for level in range(finest, min(SHAPES, len(self._cells) // CELLS)):
            if count >> level != told >> level:
                window = self._window(level)
                if len(window) < FIRST_FLOORS:
                    break
                shape = _SHAPES.index(shape_of(window, count - begin >> level <= RING))
                self._words = self._words & ~(7 << 3 * level) | shape << 3 * level
            word = self._words >> 3 * level & 7 or word
        return _SHAPES[word]

    def _growth(self, flags: int) -> Verdict:
        level = flags.bit_length() - 1
        floors = self._climb(level)
        rate = rate_of(floors)
        # Where it has become faster, the shorter window knows better.
        for finer in range(level - 1, -1, -1):
            if flags >> finer & 1:
                shorter = self._climb(finer)
                faster = rate_of(shorter) * (1 << level - finer)
                if KEEPS * faster <= rate:
                    break
                floors, rate, level = shorter, faster / (1 << level - finer), finer
        slopes = slopes_of(floors)
        count = len(slopes)
        scale = _KIB_A_FLOOR_S / (self._floor_s * (1 << level))
        trend = (count - bisect_right(slopes, 0) - bisect_left(slopes, 0)) / count
        agreeing = flags.bit_count()
        growing = bool(self._passing)
        return Verdict(
            growing,
            "leak-like" if growing else "rising",
            slopes[count // 2] * scale,
            self._since_s if growing else None,
            max(0, self._window(0)[-1] - self._from_kib) / 1024 if growing else None,
            (slopes[0] * scale, slopes[-1] * scale),
            max(0.0, trend) * agreeing / (agreeing + 1),
        )

    def _climb(self, level: int) -> list[int]:
        """The floors of the climb that was found on a level."""
        return self._window(level)[self._starts >> 4 * level & 15 :]


def _kib(rss: float) -> int:
    """Whole KiB that fit into a cell: a sum of changes may be negative."""
    return max(-_MOST_KIB, min(_MOST_KIB, int(rss) >> 10))
