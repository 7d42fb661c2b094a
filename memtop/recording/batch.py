"""One transaction of a recording: the rows and the changes that one sample adds.

It knows the numbers that come next in the file, and how values become changes: what is written
whole at the first sample of a segment, and as steps after that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from memtop.model.trends import Trend
from memtop.recording import said
from memtop.recording.codec import Change, pack, pack_spans
from memtop.recording.opening import explained
from memtop.recording.quantities import EVIDENCE_EVERY
from memtop.recording.quantities import Quantity as Q
from memtop.recording.schema import BUCKETS, KEY_BITS, bindable, check_of, insert
from memtop.recording.written import Kept, Noted

_SQL: dict[str, str] = {}


class Batch:
    """What is to be written next to `connection`; it begins anew with each sample.

    `tick` is the number of the sample, `is_whole` whether it says everything, `turns` how many
    samples there are between two turns of a figure; `segment` counts five minutes since the epoch
    and began at the tracker's `segment_tick`.
    """

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        self.path = path
        self.is_whole = True
        self.turns = 1
        self.segment = self.segment_tick = -1
        self._connection = connection
        self.changes: dict[int, list[Change]] = {}
        self._rows: dict[str, list[tuple[object, ...]]] = {}
        with explained(path, "write"):
            self.tick = 1 + self.last("ticks", "tick")
            self._next = 1 + max(self.last("objects", "object"), self.last("processes", "object"))
            self._next_row = {
                name: 1 + self.last(name, "number") for name in ("facts", "words", "trends")
            }

    def last(self, table: str, key: str) -> int:
        """The last key of a table, -1 if it is empty."""
        found = self._connection.execute(f"SELECT max({key}) FROM {table}").fetchone()[0]
        return -1 if found is None else int(found)

    def begin(self) -> None:
        """Forget what was written or could not be."""
        self.changes = {quantity: [] for quantity in Q}
        self._rows = {}

    def new_number(self) -> int:
        """The number of an object that the file does not know yet."""
        self._next += 1
        return self._next - 1

    def is_turn(self, number: int) -> bool:
        """Whether the figures of an object are written now."""
        return self.is_whole or (number + self.tick) % self.turns == 0

    # -- rows ------------------------------------------------------------------------------

    def add(self, table: str, key: int | None, *values: object) -> None:
        """A row; without a key it is the next one."""
        bound = [bindable(value) for value in values]
        self._rows.setdefault(table, []).append((key, *bound, check_of(bound)))

    def add_numbered(self, table: str, number: int, values: Iterable[object]) -> int:
        """A row of `facts`, `words` or `trends` of an object; returns the row's number."""
        key = self._next_row[table]
        self._next_row[table] = key + 1
        self.add(table, key, self.tick, number, *values)
        return key

    def packed(self) -> bytes:
        """All changes so far."""
        return pack({quantity: pairs for quantity, pairs in self.changes.items() if pairs})

    def commit(self) -> None:
        """Write all rows, or none of them; MemtopError says why not."""
        connection = self._connection
        with explained(self.path, "write"):
            connection.execute("BEGIN IMMEDIATE")
            try:
                for table, rows in self._rows.items():
                    sql = _SQL.get(table) or _SQL.setdefault(table, insert(table))
                    connection.executemany(sql, rows)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    # -- changes ---------------------------------------------------------------------------

    def note_words(self, kept: Noted | Kept, table: str, values: Iterable[object] | None) -> None:
        """Other words hold for an object from now on, or (None) the same as before."""
        before = kept.words_number
        if values is not None:
            kept.words_number = self.add_numbered(table, kept.number, values)
            if not self.is_whole:
                self.changes[Q.WORDS].append((kept.number, kept.words_number - (before or 0)))
        if self.is_whole and kept.words_number is not None:
            self.changes[Q.WORDS].append((kept.number, kept.words_number))

    def note_gone(self, number: int) -> None:
        """An object is not shown any more."""
        if not self.is_whole:
            self.changes[Q.WORDS].append((number, None))

    def note_trend(self, kept: Noted | Kept, trend: Trend) -> bool:
        """Write a trend if it is news, once a while also if it is refined; False: it waits."""
        before, whole = kept.trend, self.is_whole
        is_settled = True
        if before is None or trend != before[1]:
            is_turn = (kept.number + self.tick) % (EVIDENCE_EVERY * self.turns) == 0
            if (
                before is None
                or said.is_news(before[1], trend)
                or ((is_turn or whole) and said.is_refined(before[1], trend))
            ):
                row = self.add_numbered("trends", kept.number, said.trend_values(trend))
                kept.trend = (row, trend)
                if not whole:
                    self.changes[Q.TREND].append((kept.number, row - (before[0] if before else 0)))
            else:
                is_settled = is_turn
        if whole and kept.trend is not None:
            self.changes[Q.TREND].append((kept.number, kept.trend[0]))
        return is_settled

    def note_figures(
        self, number: int, before: dict[int, int | None], after: dict[int, int | None]
    ) -> None:
        """Write these values; `before`, which takes them, is what was written of them."""
        for quantity, value in after.items():
            old = before.get(quantity)
            step = None if value is None else value - (old or 0)
            self.changes[quantity].append((number, step))
            before[quantity] = value

    def note_spans(self, number: int, history: Any) -> None:
        """Write the ranges of the segment that is over, of what moved in it or was new in it."""
        if history is None or max(history.changed_tick, history.first_tick) < self.segment_tick:
            return
        first = self.segment * BUCKETS
        spans = history.spans(first, first + BUCKETS - 1)
        self.add("spans", self.segment << KEY_BITS | number, pack_spans(spans))
