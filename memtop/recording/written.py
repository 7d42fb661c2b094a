"""What was last written of each object, so that only what is news is written again.

`Noted` is one process, `Kept` one group, cgroup, limit or the machine. Values are in the units of
`quantities`.
"""

from __future__ import annotations

from collections.abc import Mapping

from memtop.model.state import Row
from memtop.model.trends import Trend
from memtop.probe.sample import Identity
from memtop.recording.quantities import BAND_KIB, Quantity, is_other

_COUNTS = {
    Quantity.THREADS,
    Quantity.BIRTHS,
    Quantity.DEATHS,
    Quantity.WATCHED_BIRTHS,
    Quantity.PROCESSES,
    Quantity.STATE,
    Quantity.FINDING,
    Quantity.WORST,
    Quantity.GROWING,
    Quantity.RATE,
}
_ANY = -1  # of a count every change is news
_BANDS: dict[int, int] = {
    **dict.fromkeys(Quantity, BAND_KIB),
    Quantity.WRITE: 4096,
    Quantity.WRITTEN: 4096,
    Quantity.CPU: 0,
    Quantity.PRESSURE: 0,
    **dict.fromkeys(_COUNTS, _ANY),
}


class Noted:
    """One process as it was last written; `is_settled` while nothing waits for its turn."""

    __slots__ = (
        "ended_ms",
        "facts",
        "figures",
        "is_settled",
        "number",
        "parent",
        "rate",
        "rate_bytes_s",
        "row",
        "rss",
        "swap",
        "trend",
        "words_number",
    )

    def __init__(self, number: int, row: Row) -> None:
        self.number = number
        self.row = row
        self.facts: tuple[object, ...] = ()
        self.parent: Identity | None = None
        self.words_number: int | None = None  # of its row in `facts`
        self.trend: tuple[int, Trend] | None = None
        self.rss: int | None = None
        self.swap: int | None = None
        self.rate: int | None = None
        self.rate_bytes_s: float | None = None  # out of which `rate` was made
        self.ended_ms: int | None = None
        self.figures: dict[int, int | None] = {}
        self.is_settled = False


class Kept:
    """One group, cgroup or limit, or the machine, as it was last written."""

    __slots__ = ("figures", "key", "number", "seen", "trend", "value", "words_number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.value: object = None
        self.key: object = None  # what its words were made of
        self.words_number: int | None = None
        self.trend: tuple[int, Trend] | None = None
        self.figures: dict[int, int | None] = {}
        self.seen = -1


def row_figures(row: Row) -> dict[int, int | None]:
    """The figures of a process that are written in turn."""
    return {
        Quantity.CPU: None if row.cpu_percent is None else round(row.cpu_percent),
        Quantity.THREADS: row.threads,
        Quantity.SHARED: row.shared_kib,
        Quantity.PEAK: row.peak_kib,
        Quantity.PSS: row.pss_kib,
        Quantity.WRITE: None if row.write_bytes_s is None else round(row.write_bytes_s),
        Quantity.WRITTEN: None if row.written_bytes_s is None else round(row.written_bytes_s),
        Quantity.STATE: ord(row.state[0]),
    }


def news(
    before: Mapping[int, int | None], after: Mapping[int, int | None]
) -> dict[int, int | None]:
    """The figures that have moved by more than their dead band."""
    found: dict[int, int | None] = {}
    for quantity, value in after.items():
        old = before.get(quantity)
        if old == value:
            continue
        band = _BANDS[quantity]
        if band == _ANY or is_other(old, value, band):
            found[quantity] = value
    return found
