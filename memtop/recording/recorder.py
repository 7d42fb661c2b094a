"""Writes states to a recording: one transaction a sample, of what has changed.

It keeps what was written last and compares; what moved by less than its dead band waits. At the
first sample of every five minutes of the clock all that is known is written once more, so that a
reader can begin there. If writing fails, the file holds everything up to the sample before.
"""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from memtop import __version__
from memtop.model.state import Row, State
from memtop.probe.sample import Identity
from memtop.recording import said
from memtop.recording.batch import Batch
from memtop.recording.opening import explained
from memtop.recording.others import Others
from memtop.recording.quantities import BAND_KIB, FIGURES_EVERY_S, PAGE_KIB, rate_digits
from memtop.recording.quantities import Quantity as Q
from memtop.recording.schema import BUCKETS, KEY_BITS, MINUTE
from memtop.recording.written import Noted, news, row_figures

_CALM = {ord(letter) for letter in "RSI?"} | {None}


@contextmanager
def _without_collections() -> Iterator[None]:
    """Thousands of small values come and go with a sample, none in a circle: nothing to collect."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Recorder:
    """Writes to `connection`, which it closes in the end.

    `exact` writes every change of RSS and swap. `known` are the numbers that processes have in the
    file from before. Methods raise MemtopError when the file cannot be written.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: str,
        *,
        exact: bool = False,
        boot_id: str | None = None,
        settings: Mapping[str, object] | None = None,
        known: Mapping[Identity, int] | None = None,
    ) -> None:
        self.path = path
        self.samples = 0
        self._connection = connection
        self._exact = exact
        self._boot_id = boot_id
        self._settings = dict(settings or {})
        self._unit = 1 if exact else PAGE_KIB
        self._band = 1 if exact else BAND_KIB
        self._batch = Batch(connection, path)
        self._known = dict(known or {})
        self._noted: dict[Identity, Noted] = {}
        self._numbers: dict[Identity, int] = {}
        self._others = Others(self._batch, self._numbers, exact=exact)
        self._children: object = None
        self._parents: dict[Identity, Identity] = {}
        self._run = 0
        self._minute = self._minute_tick = -1
        self._gaps: tuple[tuple[int, int], ...] = ()

    @property
    def tick(self) -> int:
        """The number of the next sample in the file."""
        return self._batch.tick

    def number_of(self, identity: Identity) -> int | None:
        """The number of a process in the file, while it is shown."""
        return self._numbers.get(identity)

    def write(self, state: State, rows: Mapping[Identity, Row] | None = None) -> None:
        """Write a state; `rows` are those of it to be recorded (all but the kernel's)."""
        with _without_collections():
            self._write(state, rows)

    def _write(self, state: State, rows: Mapping[Identity, Row] | None) -> None:
        batch, is_all = self._batch, rows is None
        if rows is None:
            rows = {one: row for one, row in state.rows.items() if not row.kernel}
        batch.begin()
        self._begin(state)
        self._note_processes(state, rows)
        self._others.note(state, rows, is_all=is_all)
        self._note_minute(state)
        for gap in state.gaps:
            if gap not in self._gaps:
                batch.add("gaps", None, batch.tick, *gap)
        self._gaps = state.gaps
        living = [row.rss_kib or 0 for row in rows.values() if row.ended_at is None]
        batch.add(
            "ticks",
            batch.tick,
            round(state.taken_at * 1000),
            round(state.clock_s * 1000),
            state.bucket,
            round(state.late_s * 1000),
            state.births,
            state.deaths,
            len(living),
            sum(living),
            int(batch.is_whole),
            batch.packed(),
        )
        batch.commit()
        batch.tick += 1
        self.samples += 1

    def add_fine(self, points: Iterable[tuple[float, Identity, int]]) -> None:
        """Write points of the ring: when, who, KiB."""
        self._batch.begin()
        for at, identity, kib in points:
            if (number := self._numbers.get(identity)) is not None:
                self._batch.add("fine", None, round(at * 1000), number, kib)
        self._batch.commit()

    def add_event(self, at: float, kind: str, text: str, detail: object = None) -> None:
        """Write an event: a mark, an action, an OOM kill."""
        self._batch.begin()
        self._batch.add("events", None, *said.event(at, kind, text, detail))
        self._batch.commit()

    def add_result(self, at: float, kind: str, identity: Identity | None, document: object) -> None:
        """Write the answer of a command."""
        self._batch.begin()
        self._batch.add("results", None, *said.result(at, kind, identity, document))
        self._batch.commit()

    def close(self) -> None:
        """Give the file back; more calls are harmless."""
        self._connection.close()

    # -- a sample --------------------------------------------------------------------------

    def _begin(self, state: State) -> None:
        """Begin a run, or a segment, where that is due."""
        batch, segment = self._batch, state.bucket // BUCKETS
        batch.is_whole = segment != batch.segment
        if not batch.is_whole:
            return
        if batch.segment < 0:
            self._begin_run(state)
        else:
            for noted in self._noted.values():
                batch.note_spans(noted.number, noted.row.history)
            self._others.end_segment()
        batch.segment, batch.segment_tick = segment, state.tick
        at_ms = round(state.taken_at * 1000)
        batch.add("segments", batch.tick, at_ms, state.bucket, self._run)

    def _begin_run(self, state: State) -> None:
        batch = self._batch
        with explained(self.path, "write"):
            self._run = 1 + batch.last("runs", "run")
        batch.turns = max(1, round(FIGURES_EVERY_S / state.interval_s))
        own = None
        if state.own is not None:
            own = self._number(state.own, state.rows.get(state.own))
        batch.add(
            "runs",
            self._run,
            batch.tick,
            round(state.taken_at * 1000),
            __version__,
            state.host.name,
            self._boot_id,
            round(state.interval_s * 1000),
            int(self._exact),
            round((state.clock_s - state.watched_s) * 1000),
            own,
            said.as_json(self._settings),
        )

    def _note_processes(self, state: State, rows: Mapping[Identity, Row]) -> None:
        batch = self._batch
        if state.children is not self._children:
            self._children = state.children
            self._parents = {
                child: parent
                for parent, below in state.children.items()
                if parent is not None
                for child in below
            }
            parents_moved = True
        else:
            parents_moved = False
        whole, noted_of, parents = batch.is_whole, self._noted, self._parents
        turn, turns = batch.tick, batch.turns
        for identity, row in rows.items():
            noted = noted_of.get(identity)
            if noted is None:
                noted = noted_of[identity] = Noted(self._number(identity, row), row)
                self._numbers[identity] = noted.number
                self._note(noted, row, parents.get(identity), True)
                continue
            parent = parents.get(identity) if parents_moved else noted.parent
            if row is noted.row and noted.is_settled and not whole:
                if parent != noted.parent:
                    self._note(noted, row, parent, False)
                continue
            is_turn = whole or (noted.number + turn) % turns == 0
            if is_turn or row is not noted.row:
                self._note(noted, row, parent, is_turn)
        if len(noted_of) > len(rows):
            for identity in [one for one in noted_of if one not in rows]:
                gone = noted_of.pop(identity)
                del self._numbers[identity], self._known[identity]
                batch.note_spans(gone.number, gone.row.history)
                self._note_minute_of(gone)
                batch.note_gone(gone.number)

    def _note(self, noted: Noted, row: Row, parent: Identity | None, is_turn: bool) -> None:
        """Write what is news of one process; `is_turn`: its figures, too."""
        batch, number = self._batch, noted.number
        changes, whole = batch.changes, batch.is_whole
        noted.row = row
        key = said.facts_key(row)
        if key != noted.facts or parent != noted.parent:
            noted.facts, noted.parent = key, parent
            values = said.facts(row, None if parent is None else self._number(parent, None))
            batch.note_words(noted, "facts", values)
        elif whole:
            batch.note_words(noted, "facts", None)
        is_settled, trend = is_turn, row.trend
        if whole or noted.trend is None or trend is not noted.trend[1]:
            is_settled = batch.note_trend(noted, trend) and is_turn
        unit, band = self._unit, self._band
        # The dead have no memory, but a history.
        rss = row.history.kib if row.history is not None else row.rss_kib
        if rss is not None and not (row.history is None and row.state == "Z"):
            old = noted.rss
            if whole or old is None or not -band < rss - old * unit < band:
                new = rss // unit
                changes[Q.RSS].append((number, new if whole or old is None else new - old))
                noted.rss = new
        swap = row.swap_kib
        if swap is not None:
            old = noted.swap
            if whole or old is None or not -band < swap - old * unit < band:
                new = swap // unit
                changes[Q.SWAP].append((number, new if whole or old is None else new - old))
                noted.swap = new
        rate_bytes_s = row.rate_bytes_s
        if whole or rate_bytes_s != noted.rate_bytes_s:
            noted.rate_bytes_s = rate_bytes_s
            rate = rate_digits(rate_bytes_s)
            if rate != noted.rate or (whole and rate is not None):
                old = None if whole else noted.rate
                changes[Q.RATE].append((number, None if rate is None else rate - (old or 0)))
                noted.rate = rate
        if row.ended_at is not None:
            ended_ms = round(row.ended_at * 1000)
            if noted.ended_ms is None:
                batch.add("ends", None, number, batch.tick, ended_ms)
            if whole or noted.ended_ms is None:
                changes[Q.ENDED].append((number, ended_ms))
            noted.ended_ms = ended_ms
        if is_turn:
            if whole:
                noted.figures = {}
            batch.note_figures(number, noted.figures, news(noted.figures, row_figures(row)))
        else:
            # Asleep or running is a figure; dead, stopped or waiting for the disk is said at once.
            letter, before_letter = ord(row.state[0]), noted.figures.get(Q.STATE)
            if letter != before_letter and not (letter in _CALM and before_letter in _CALM):
                batch.note_figures(number, noted.figures, {Q.STATE: letter})
        noted.is_settled = is_settled

    # -- for other tools -------------------------------------------------------------------

    def _note_minute(self, state: State) -> None:
        """The minute that is over, of what moved in it or was new in it, for other tools."""
        minute = state.bucket // MINUTE
        if minute == self._minute:
            return
        if self._minute >= 0:
            for noted in self._noted.values():
                self._note_minute_of(noted)
        self._minute, self._minute_tick = minute, state.tick

    def _note_minute_of(self, noted: Noted) -> None:
        row, history = noted.row, noted.row.history
        if history is None or max(history.changed_tick, history.first_tick) < self._minute_tick:
            return
        first = self._minute * MINUTE
        spans = [span for span in history.spans(first, first + MINUTE - 1) if span]
        if spans:
            low, high = min(low for low, _ in spans), max(high for _, high in spans)
            key = self._minute << KEY_BITS | noted.number
            self._batch.add("minutes", key, low, high, row.swap_kib)

    def _number(self, identity: Identity, row: Row | None) -> int:
        """The number of a process, a new one if the file does not know it yet."""
        number = self._known.get(identity)
        if number is None:
            number = self._known[identity] = self._batch.new_number()
            self._batch.add(
                "processes",
                number,
                identity.pid,
                identity.start_ticks,
                self._run,
                None if row is None or row.started_at is None else float(row.started_at),
                self._batch.tick,
            )
        return number
