"""One time of recording, beside the screen or alone: file, ring, and what happens by itself.

It is fed with the states of a tracker. A file that exists is gone on with if it is a recording of
this version, and never overwritten unless that was said.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import NamedTuple

from memtop.errors import MemtopError
from memtop.model import forest
from memtop.model.filter import Filter
from memtop.model.state import Row, State
from memtop.model.tracker import Tracker
from memtop.probe.handle import read
from memtop.probe.sample import Identity
from memtop.recording.happenings import Happenings
from memtop.recording.opening import claim, explained, extend, make
from memtop.recording.recorder import Recorder
from memtop.recording.resuming import NOTHING, Past, recognise, resume
from memtop.recording.ring import Ring


class Added(NamedTuple):
    """An event that somebody else has added, or that was in the file before."""

    at: float
    kind: str
    text: str
    detail: object


class Chosen:
    """Which processes are recorded: those that matched once, until they end, and who is above."""

    def __init__(
        self, matching: Filter | None = None, *, python: bool = False, top_pid: int | None = None
    ) -> None:
        self._filter, self._python, self._top_pid = matching, python, top_pid
        self._chosen: set[Identity] = set()

    @property
    def is_all(self) -> bool:
        """Whether nobody is left out."""
        return not (self._filter or self._python or self._top_pid is not None)

    def rows(self, state: State) -> dict[Identity, Row] | None:
        """The rows to be recorded; None for all."""
        if self.is_all:
            return None
        self._chosen &= state.rows.keys()
        candidates = [
            row for one, row in state.rows.items() if one not in self._chosen and not row.kernel
        ]
        if self._top_pid is not None:
            tops = state.with_pid(self._top_pid)
            below = {one for top in tops for one in forest.subtree(state.children, top)}
            candidates = [row for row in candidates if row.identity in below]
        for row in candidates:
            if self._python and not row.python:
                continue
            if self._filter and not self._filter.matches(row, state):
                continue
            self._chosen.add(row.identity)
        parents = {
            child: parent
            for parent, below in state.children.items()
            if parent is not None
            for child in below
        }
        found: dict[Identity, Row] = {}
        for one in self._chosen:
            at: Identity | None = one
            while at is not None and at not in found and not state.rows[at].kernel:
                found[at] = state.rows[at]
                at = parents.get(at)
        return found


class Session:
    """Records to `path`; MemtopError when that is not possible (any more).

    `root` is the /proc of the ring; None: no ring. Whoever has a new tracker calls `resume` before
    the first state. All of it belongs to one thread.
    """

    def __init__(
        self,
        path: str,
        *,
        force: bool = False,
        exact: bool = False,
        settings: Mapping[str, object] | None = None,
        chosen: Chosen | None = None,
        boot_id: str | None = None,
        root: str | None = None,
    ) -> None:
        self.path = path
        self.ring = None if root is None else Ring(root)
        self.is_new = force or not os.path.lexists(path)
        connection = make(path, force=force) if self.is_new else extend(path, thorough=True)
        self._connection = connection
        try:
            self._claim = claim(path)
        except MemtopError:
            connection.close()
            raise
        self._exact, self._settings, self._boot_id = exact, settings, boot_id
        self._chosen = chosen or Chosen()
        self._happenings = Happenings()
        self._recorder: Recorder | None = None
        self._past: Past = NOTHING
        self._read_events = 0  # the number of the last event that was read
        self._own_events: set[tuple[int, str, str]] = set()

    @property
    def samples(self) -> int:
        """How many were written."""
        return self._recorder.samples if self._recorder else 0

    @property
    def tick(self) -> int:
        """The number of the last sample that was written; -1 before any."""
        return self._recorder.tick - 1 if self._recorder else -1

    def resume(self, tracker: Tracker, interval_s: float, clock_s: float) -> Past:
        """Let a new tracker know what the file knows, where that is of this boot."""
        if not self.is_new:
            self._past = resume(self.path, tracker, self._boot_id, interval_s, clock_s)
        return self._past

    def recognise(self) -> None:
        """Know the processes of the file by their numbers; how they grew the tracker knows."""
        if not self.is_new:
            self._past = recognise(self.path, self._boot_id)

    def take(self, state: State, selected: Identity | None = None) -> None:
        """Write a state, and what has happened; `selected` is whom somebody looks at."""
        if self._recorder is None:
            self._recorder = Recorder(
                self._connection,
                self.path,
                exact=self._exact,
                boot_id=self._boot_id,
                settings=self._settings,
                known=self._past.known,
            )
        rows = self._chosen.rows(state)
        self._recorder.write(state, rows)
        happened = self._happenings.look(state, rows)
        for one in happened:
            self.add_event(one.kind, one.text, one.detail, at=state.taken_at)
        if self.ring is None:
            return
        if happened:
            self._recorder.add_fine(self.ring.take())
        self.ring.choose(state, selected)

    def read_ring(self) -> None:
        """Read the few that are read more often; to be called every `ring.EVERY_S`."""
        if self.ring is not None:
            self.ring.read(time.time())

    def add_event(
        self, kind: str, text: str, detail: object = None, *, at: float | None = None
    ) -> None:
        """Write a mark or an action, of now."""
        if self._recorder is not None:
            moment = time.time() if at is None else at
            self._own_events.add((round(moment * 1000), kind, text))
            self._recorder.add_event(moment, kind, text, detail)

    def add_result(
        self,
        kind: str,
        identity: Identity | None,
        document: object,
        *,
        at: float | None = None,
    ) -> None:
        """Write the answer of a command, of now."""
        if self._recorder is not None:
            moment = time.time() if at is None else at
            self._recorder.add_result(moment, kind, identity, document)

    def news(self) -> list[Added]:
        """Events that this session has not written and not told of yet; it costs one short query.

        The first time these are all of the file.
        """
        query = "SELECT number, at_ms, kind, text, detail FROM events WHERE number > ?"
        with explained(self.path, "read"):
            rows = self._connection.execute(query, (self._read_events,)).fetchall()
        found: list[Added] = []
        for number, at_ms, kind, text, detail in rows:
            self._read_events = number
            if (at_ms, kind, text) in self._own_events:
                self._own_events.discard((at_ms, kind, text))
            else:
                found.append(Added(at_ms / 1000, kind, text, detail and json.loads(detail)))
        return found

    def close(self) -> None:
        """Give the file back; more calls are harmless."""
        if self.ring is not None:
            self.ring.close()
        self._connection.close()
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None


def beside_screen(path: str, interval_s: float, root: str | None) -> Session:
    """A recording of all that is sampled for a screen, whatever is on show.

    `root` is the /proc that is sampled; None: no real one.
    """
    settings = {"filter": "", "interval_s": interval_s, "pid": None, "python": False}
    settings |= {"exact": False, "procfs": root, "beside": "screen"}
    boot_id = None if root is None else boot_id_of(root)
    return Session(path, settings=settings, boot_id=boot_id, root=root)


def boot_id_of(root: str = "/proc") -> str | None:
    """Which boot of which machine this is; None if /proc does not tell."""
    try:
        return read(f"{root}/sys/kernel/random/boot_id").decode("ascii", "replace").strip()
    except OSError:
        return None
