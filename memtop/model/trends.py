"""What a growth detector says, made fit to be shown: one `Growth` a process, group or cgroup.

It feeds its detector only when there is something to say, and lets it catch up on what was passed
over; a series that never moved needs no detector at all. It keeps back the word `leak-like` until
an exact reading has confirmed the rise, because statm is a sum of counters that may be off by
some pages for each CPU (lib/percpu_counter.c). Sizes in bytes, times in seconds of the sample's
clock. What grows and what does not is decided in `growth`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from memtop.model.growth import GrowthDetector

GROWING = frozenset({"leak-like", "rising"})
CLASS = {"leak-like": 2, "rising": 1, "shrinking": -1}  # for ordering; every other word is 0

ANSWER_WITHIN_S = 5.0  # an exact reading that takes longer will not come
ASK_AGAIN_S = 60.0
AT_MOST_S = 30 * 86400.0  # a limit that is further away than this is no news
SEEN_BYTES_S = 2**20 / 60  # growth that is seen within the minute over which a rate is taken
RESTS = 0.1  # with less than this share of its slope growth rests


class Trend(NamedTuple):
    """A trend word and its evidence.

    `since_s` is when the growth began, by the clock of the samples; `slope_bytes_s` with `low` and
    `high` is robust and may differ from the rate over the last minute; `sure` is 0 to 1.
    """

    word: str
    since_s: float | None = None
    slope_bytes_s: float | None = None
    low_bytes_s: float | None = None
    high_bytes_s: float | None = None
    grown_bytes: float | None = None
    sure: float | None = None

    @property
    def is_growing(self) -> bool:
        """Whether it is leak-like or rising."""
        return self.word in GROWING


NEW = Trend("new")
STEADY = Trend("steady")


class Growth:
    """The trend of one series. `count` numbers the moments at which all series are looked at."""

    __slots__ = (
        "_asked_at",
        "_confirmed",
        "_detector",
        "_exact",
        "_fed",
        "_last",
        "_tested_at",
        "_verdict",
        "trend",
    )

    def __init__(
        self, phase: int, count: int, clock_s: float, value: int, *, exact: bool = False
    ) -> None:
        """`exact`: the values need no confirmation."""
        self._detector = GrowthDetector(phase)
        self._detector.add(clock_s, value)
        self._fed = count
        self._last = value
        self._exact = self._confirmed = exact
        self._asked_at = math.nan
        self._tested_at = -math.inf
        self._verdict: object = None
        self.trend = NEW

    def feed(self, count: int, clock_s: float, value: int, step_s: float) -> bool:
        """Take the value of moment `count`; those since the last one had the last value.

        Returns whether the trend has another word now. Asked for the same moment again it does
        nothing.
        """
        passed = count - self._fed
        if passed <= 0:
            return False
        detector = self._detector
        if value == self._last:
            detector.repeat(passed, clock_s)
        else:
            if passed > 1:
                detector.repeat(passed - 1, clock_s - step_s)
            detector.add(clock_s, value)
            self._last = value
        self._fed = count
        return self._judge(clock_s)

    def _judge(self, clock_s: float) -> bool:
        verdict = self._detector.verdict()
        if verdict is self._verdict and not self.is_unconfirmed:
            return False
        self._verdict = verdict
        word: str = verdict["kind"]
        if word == "leak-like":
            if not self._confirmed:
                if math.isnan(self._asked_at):
                    self._asked_at = clock_s
                word = "rising"
        elif not math.isnan(self._asked_at) and word != "rising":
            self._asked_at, self._confirmed = math.nan, self._exact  # the next rise is another one
        before = self.trend
        slope, spread, grown = (
            verdict["slope_mib_h"],
            verdict["spread_mib_h"],
            verdict["grown_mib"],
        )
        since_s = verdict["since_s"]
        if since_s is None and word in GROWING:  # a young climb: since it has been called that
            since_s = before.since_s if before.is_growing else clock_s
        self.trend = Trend(
            word,
            since_s,
            None if slope is None else slope * _PER_HOUR,
            None if spread is None else spread[0] * _PER_HOUR,
            None if spread is None else spread[1] * _PER_HOUR,
            None if grown is None else grown * 1024**2,
            verdict["confidence"],
        )
        return word != before.word

    @property
    def is_unconfirmed(self) -> bool:
        """Whether it would be called leak-like if its last value were known to be exact."""
        return not self._confirmed and not math.isnan(self._asked_at)

    def wants_reading(self, clock_s: float) -> bool:
        """Whether an exact reading is due."""
        return (
            self.is_unconfirmed
            and (clock_s - self._asked_at) % ASK_AGAIN_S < ANSWER_WITHIN_S
            and clock_s - self._tested_at > ANSWER_WITHIN_S
        )

    def confirm(self, clock_s: float, exact: float) -> bool:
        """Compare an exact reading with the last value; True if the word changes by that.

        At least half of the rise has to be there. A reading that refutes is repeated later.
        """
        if not self.is_unconfirmed:
            return False
        self._tested_at = clock_s
        rise = self.trend.grown_bytes or 0.0
        self._confirmed, self._verdict = exact >= self._last - rise / 2, None
        return self._confirmed and self._judge(clock_s)

    def settle_without(self, clock_s: float, error: float) -> bool:
        """No exact reading came in time: believe a rise of twice the possible error, else ask on.

        True if the word changes by that.
        """
        if not self.is_unconfirmed or clock_s - self._asked_at < ANSWER_WITHIN_S:
            return False
        if self._tested_at >= self._asked_at:
            return False  # it did come, and did not confirm
        self._confirmed = (self.trend.grown_bytes or 0.0) >= 2 * error
        self._verdict = None
        return self._confirmed and self._judge(clock_s)


def statm_error_kib(cpus: int) -> int:
    """By how much RSS in statm may be off: what each CPU has not yet added to the sum.

    Since Linux 6.2 three counters (anonymous, file, shared) are summed up per CPU in batches of
    max(32, 2 x CPUs) pages (lib/percpu_counter.c: compute_batch_value).
    """
    return 3 * cpus * max(32, 2 * cpus) * 4


def time_to(
    limit_bytes: int | None,
    floor_bytes: int | None,
    trend: Trend,
    rate_bytes_s: float | None = None,
) -> tuple[float | None, float | None, float | None]:
    """Seconds until the floor meets the limit, the soonest and the latest; None without a trend.

    None also while growth that would be seen within a minute rests, as the rate then tells.
    """
    nothing = (None, None, None)
    if limit_bytes is None or floor_bytes is None or not trend.is_growing:
        return nothing
    if not trend.slope_bytes_s or trend.slope_bytes_s <= 0:
        return nothing
    is_seen = rate_bytes_s is not None and trend.slope_bytes_s > SEEN_BYTES_S
    if is_seen and (rate_bytes_s or 0.0) < RESTS * trend.slope_bytes_s:
        return nothing
    left = max(0, limit_bytes - floor_bytes)
    eta_s = left / trend.slope_bytes_s
    if eta_s > AT_MOST_S:
        return nothing
    high, low = trend.high_bytes_s, trend.low_bytes_s
    soonest = left / high if high and high > 0 else None
    latest = left / low if low and low > 0 else None
    return eta_s, soonest, latest


_PER_HOUR = 1024**2 / 3600
