"""The numbers of a recording: which there are, their units, and when a change is worth writing.

Three classes: what is watched (memory) is written as soon as it moves by more than its dead band;
what is said (rates, references to words) at each change; the rest, in turn, at most every 15 s.
The numbers that name them are part of the file format: new ones may be added, none changed.
"""

from __future__ import annotations

from enum import IntEnum

FIGURES_EVERY_S = 15.0
EVIDENCE_EVERY = 4  # times that: of a trend whose word stays
FINDINGS = ("steady", "one-grows", "many-grow", "many-processes")
BAND_KIB = 64  # 16 pages
COARSE = 1024  # sums may be off by this part of them, which is less than a digit that is shown
PAGE_KIB = 4
RATE_UNIT = 1024**2 / 600  # 0.1 MiB a minute, the last digit that is shown


class Quantity(IntEnum):
    """What a column of changes is about; see the README for the units."""

    WORDS = 0  # the number of the row in `facts` or `words` that holds now; unknown: it is gone
    TREND = 1  # the number of the row in `trends` that holds now
    RSS = 2  # in the unit of the run: 4 KiB, or 1 KiB if it is exact; of groups the sum
    SWAP = 3  # in the same unit
    RATE = 4  # 0.1 MiB a minute
    ENDED = 5  # ms since the epoch
    CPU = 6  # per cent of one core
    THREADS = 7
    SHARED = 8  # KiB
    PEAK = 9
    PSS = 10
    WRITE = 11  # bytes a second
    WRITTEN = 12
    STATE = 13  # the code of a letter
    LARGEST = 20  # of the members of a group, KiB
    MEDIAN = 21
    SMALLEST = 22
    BIRTHS = 23
    DEATHS = 24
    WATCHED_BIRTHS = 25
    BORN = 26  # KiB
    DIED = 27
    GROWN = 28
    MOVED = 29
    LARGEST_CHILD = 30
    FINDING = 31  # the place of its word in FINDINGS
    WORST = 32  # the number of a process
    GROWING = 33
    CURRENT = 40  # of a cgroup, KiB
    WORKING_SET = 41
    FLOOR = 42
    ANON = 43
    FILE = 44
    KERNEL = 45
    CGROUP_SWAP = 46
    CGROUP_PEAK = 47
    PRESSURE = 48  # a hundredth of a per cent
    ETA = 49  # seconds
    ETA_LOW = 50
    ETA_HIGH = 51
    PROCESSES = 52
    TAKEN = 53  # KiB
    TOTAL = 60  # of the machine, KiB
    USED = 61


def rate_digits(rate_bytes_s: float | None) -> int | None:
    """A rate in tenths of a MiB a minute, as it is shown: from 100 on without decimals."""
    if rate_bytes_s is None:
        return None
    mib_min = rate_bytes_s * 60 / 1024**2
    # As it is rounded when it is written, which is not the same as rounding ten times as much.
    return round(10 * round(mib_min, 1)) if -99.95 < mib_min < 99.95 else 10 * round(mib_min)


def rate_of(tenths: int | None) -> float | None:
    """The rate in bytes a second of so many tenths of a MiB a minute."""
    return None if tenths is None else tenths * RATE_UNIT


def is_other(before: int | None, after: int | None, band: int) -> bool:
    """Whether a figure has moved by its dead band, or by a thousandth if that is more."""
    if before is None or after is None:
        return before is not after
    return abs(after - before) > max(band, abs(before) // COARSE)
