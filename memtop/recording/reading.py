"""The rows of a recording as they lie in the file, each one checked; what is damaged is said.

It knows which samples there are, when they were taken, and where a reader can begin. Times in
seconds since the epoch unless a name says otherwise.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, NamedTuple

from memtop.errors import MemtopError
from memtop.recording.codec import unpack
from memtop.recording.opening import Damaged, look, reason_of
from memtop.recording.quantities import PAGE_KIB, Quantity
from memtop.recording.schema import BUCKETS, TABLES, check_of, width
from memtop.units import iso_utc

_MOST_TICK = 1 << 39
_MOST_AT = 1e12  # no moment is later; SQLite has no larger numbers than 63 bits


class Run(NamedTuple):
    """One time that somebody recorded; `number` of its first sample is `first_tick`."""

    number: int
    first_tick: int
    at: float
    memtop: str
    host: str
    boot_id: str | None
    interval_s: float
    exact: bool
    first_clock_s: float
    own: int | None
    settings: dict[str, Any]


class Segment(NamedTuple):
    """A sample that says everything; those up to the next one only say what changed."""

    tick: int
    at: float
    bucket: int
    run: int

    @property
    def number(self) -> int:
        """Which five minutes since the epoch it belongs to."""
        return self.bucket // BUCKETS


class Tick(NamedTuple):
    """One sample as it was written."""

    tick: int
    at: float
    clock_s: float
    bucket: int
    late_s: float
    births: int
    deaths: int
    processes: int
    rss_kib: int
    is_whole: bool
    changes: bytes


class Shelf:
    """The file. Methods raise Damaged where it cannot be read, other MemtopErrors at the start.

    `damage` says what was missing when it was opened. It may be asked by several threads.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.damage: str | None = None
        self._lock = threading.Lock()
        self._connection, is_cut = look(path)
        if is_cut:
            self.damage = f"{path} was cut off: what it held at the end is missing"
        self.runs: list[Run] = []
        self.segments: list[Segment] = []
        self.gaps: list[tuple[int, int, int]] = []
        self.first_tick = 0
        self.last_tick = -1
        self._indices: dict[int, range] = {}
        self._starts: dict[int, dict[int, int]] = {}
        try:
            self.refresh()
        except MemtopError:
            self.close()
            raise

    def close(self) -> None:
        """Give the file back; more calls are harmless."""
        self._connection.close()

    def refresh(self) -> bool:
        """Look for what was written since; True if there is more than before."""
        before = self.last_tick
        self.last_tick = self._find_last()
        if self.last_tick == before:
            return False
        self.runs = [_run(row) for row in self.readable("runs")]
        self.segments = self._find_segments()
        self._starts.clear()
        self._indices = {}
        for index, one in enumerate(self.segments):
            begin = self._indices.get(one.number, range(index, index)).start
            self._indices[one.number] = range(begin, index + 1)
        gaps: dict[tuple[int, int], int] = {}
        for tick, first, last in [*self._pauses(), *(row[1:4] for row in self.readable("gaps"))]:
            gaps.setdefault((first, last), tick)
        self.gaps = sorted((tick, *span) for span, tick in gaps.items())
        self.first_tick = self.segments[0].tick if self.segments else 0
        if not self.runs or not self.segments:
            if self.damage is not None:
                raise Damaged(self.damage + ", and nothing is left that can be read")
            if self.last_tick >= 0:
                raise Damaged(f"{self.path} is damaged: where its samples begin cannot be read")
        return True

    # -- rows ------------------------------------------------------------------------------

    def rows(self, table: str, where: str, *values: object) -> list[tuple[Any, ...]]:
        """The checked rows of a table in the order of their keys; Damaged if they are wrong."""
        columns = ",".join(_columns(table))
        query = f"SELECT {columns} FROM {table} WHERE {where} ORDER BY {TABLES[table][0]}"
        try:
            with self._lock:
                found = self._connection.execute(query, values).fetchall()
        except (sqlite3.Error, OverflowError) as error:
            raise self._damaged(error) from None
        before = None
        for row in found:
            is_ordered, before = before is None or row[0] > before, row[0]
            if not is_ordered or row[-1] != check_of(row[1:-1]):
                wrong = f"{self.path} is damaged: a row of {table} has changed"
                raise Damaged(self.damage or wrong)
        return found

    def readable(self, table: str) -> list[tuple[Any, ...]]:
        """The rows of a table as far as they can be read; `damage` says if some cannot."""
        found: list[tuple[Any, ...]] = []
        try:
            query = f"SELECT {','.join(_columns(table))} FROM {table} ORDER BY {TABLES[table][0]}"
            with self._lock:
                for row in self._connection.execute(query):
                    is_ordered = not found or row[0] > found[-1][0]
                    if is_ordered and row[-1] == check_of(row[1:-1]):
                        found.append(row)
                    else:
                        self.damage = self.damage or f"{self.path} is damaged in {table}"
        except (sqlite3.Error, OverflowError):
            self.damage = self.damage or f"{self.path} is damaged in {table}"
        return found

    def row(self, table: str, key: int) -> tuple[Any, ...] | None:
        """One row by its key."""
        found = self.rows(table, f"{TABLES[table][0]} = ?", key)
        return found[0] if found else None

    def ticks(self, first: int, last: int) -> Iterator[Tick]:
        """The samples from `first` to `last`; Damaged if one is missing."""
        expected = first
        for row in self.rows("ticks", "tick BETWEEN ? AND ?", first, last):
            if row[0] != expected:
                break
            expected += 1
            yield _tick(row)
        if expected <= last:
            raise Damaged(f"{self.path} is damaged: samples are missing{self._when(expected)}")

    def ticks_of(self, index: int, last: int) -> Iterator[Tick]:
        """The samples of a segment up to `last`; Damaged if the first does not say everything."""
        begin = self.segments[index].tick
        for one in self.ticks(begin, last):
            if one.tick == begin and not one.is_whole:
                raise Damaged(f"{self.path} is damaged: a row of segments has changed")
            yield one

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of a query of one's own, unchecked; Damaged if that cannot be read."""
        try:
            with self._lock:
                return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._damaged(error) from None

    # -- time ------------------------------------------------------------------------------

    def segment_at(self, tick: int) -> int:
        """The index of the segment that a sample lies in."""
        return max(0, bisect_right(self.segments, tick, key=lambda one: one.tick) - 1)

    def last_of(self, index: int) -> int:
        """The last sample of a segment."""
        if index + 1 < len(self.segments):
            return self.segments[index + 1].tick - 1
        return self.last_tick

    def tick_at(self, at: float) -> int:
        """The last sample that was taken at this time or before, else the first one."""
        at = min(max(at, 0.0), _MOST_AT)
        index = len(self.segments) - 1
        while index > 0 and self.segments[index].at > at:
            index -= 1
        first, last = self.segments[index].tick, self.last_of(index)
        sql = "SELECT max(tick) FROM ticks WHERE tick BETWEEN ? AND ? AND at_ms <= ?"
        found = self.query(sql, first, last, int(at * 1000 + 0.5))[0][0]
        return first if found is None else int(found)

    def run_of(self, tick: int) -> Run:
        """The run that a sample belongs to."""
        index = bisect_right(self.runs, tick, key=lambda one: one.first_tick) - 1
        return self.runs[max(0, index)]

    def indices_of(self, segment: int) -> range:
        """The segments of this number: several where a recording was begun anew, none in a gap."""
        return self._indices.get(segment, range(0))

    def is_complete(self, segment: int) -> bool:
        """Whether the ranges of a segment were written: its run went on after it."""
        indices = self.indices_of(segment)
        if not indices or indices[-1] + 1 >= len(self.segments):
            return False
        return self.segments[indices[-1]].run == self.segments[indices[-1] + 1].run

    def rss_at_start(self, index: int) -> dict[int, int]:
        """The memory of all at the sample with which a segment begins, in KiB by object."""
        if index not in self._starts:
            if len(self._starts) > 300:
                self._starts.clear()
            tick = self.segments[index].tick
            unit = 1 if self.run_of(tick).exact else PAGE_KIB
            found: dict[int, int] = {}
            for quantity, objects, steps in unpack(next(self.ticks_of(index, tick)).changes):
                if quantity == Quantity.RSS:
                    pairs = zip(objects, steps, strict=True)
                    found.update(
                        (number, step * unit) for number, step in pairs if step is not None
                    )
            self._starts[index] = found
        return self._starts[index]

    def _when(self, tick: int) -> str:
        segment = self.segments[self.segment_at(tick)] if self.segments else None
        return f" in the five minutes from {iso_utc(segment.at)}" if segment else ""

    def _damaged(self, error: Exception) -> MemtopError:
        if isinstance(error, sqlite3.Error) and "locked" in str(error):
            return reason_of(error, self.path, "read")
        return Damaged(self.damage or f"{self.path} is damaged: a part of it cannot be read")

    # -- the start -------------------------------------------------------------------------

    def _find_last(self) -> int:
        """The last sample that can be read."""
        try:
            found = self.query("SELECT max(tick) FROM ticks")[0][0]
            if found is not None and found < self.last_tick:
                return self.last_tick
            return -1 if found is None else int(found)
        except Damaged:
            self.damage = self.damage or f"{self.path} is damaged: its end cannot be read"
        low, high = -1, _MOST_TICK  # the end of a table may be missing, not what is before
        while high - low > 1:
            middle = (low + high) // 2
            try:
                found = self.query("SELECT max(tick) FROM ticks WHERE tick < ?", middle)[0][0]
            except Damaged:
                high = middle
                continue
            low = middle
        found = self.query("SELECT max(tick) FROM ticks WHERE tick < ?", low)[0][0] if low else None
        if found is None:
            raise Damaged(f"{self.path} is damaged: no sample can be read")
        return int(found)

    def _find_segments(self) -> list[Segment]:
        rows = self.readable("segments")
        found = [Segment(row[0], row[1] / 1000, row[2], row[3]) for row in rows]
        if self.damage is not None:  # every sample tells whether a segment begins with it
            known = {one.tick for one in found}
            query = "SELECT tick, at_ms, bucket FROM ticks WHERE is_whole AND tick <= ?"
            try:
                for tick, at_ms, bucket in self.query(query, self.last_tick):
                    if tick not in known:
                        run = self.run_of(tick).number if self.runs else 0
                        found.append(Segment(tick, at_ms / 1000, bucket, run))
            except Damaged:
                pass
        return sorted(one for one in found if one.tick <= self.last_tick)

    def _pauses(self) -> list[tuple[int, int, int]]:
        """Between two runs nobody looked."""
        pauses: list[tuple[int, int, int]] = []
        for run in self.runs[1:]:
            try:
                ends = self.query(
                    "SELECT tick, bucket FROM ticks WHERE tick IN (?, ?)",
                    run.first_tick - 1,
                    run.first_tick,
                )
            except Damaged:
                continue
            if len(ends) == 2 and ends[1][1] - ends[0][1] > 2:
                pauses.append((run.first_tick, ends[0][1] + 1, ends[1][1] - 1))
        return pauses


def _columns(table: str) -> list[str]:
    key, columns = TABLES[table]
    names = [one.split()[0] for one in columns.split(", ")]
    assert len(names) + 2 == width(table)
    return [key, *names, '"check"']


def _run(row: tuple[Any, ...]) -> Run:
    return Run(
        number=row[0],
        first_tick=row[1],
        at=row[2] / 1000,
        memtop=row[3],
        host=row[4],
        boot_id=row[5],
        interval_s=row[6] / 1000,
        exact=bool(row[7]),
        first_clock_s=row[8] / 1000,
        own=row[9],
        settings=json.loads(row[10]),
    )


def _tick(row: tuple[Any, ...]) -> Tick:
    return Tick(
        tick=row[0],
        at=row[1] / 1000,
        clock_s=row[2] / 1000,
        bucket=row[3],
        late_s=row[4] / 1000,
        births=row[5],
        deaths=row[6],
        processes=row[7],
        rss_kib=row[8],
        is_whole=bool(row[9]),
        changes=row[10],
    )
