"""The main screen over a recording: a time cursor, keys that move it, and the chart of all of it.

It shows what the live screen showed then. Times in seconds since the epoch, sizes in KiB.
"""

from __future__ import annotations

import bisect
import os
from collections import OrderedDict
from functools import partial

from memtop.errors import MemtopError
from memtop.model.groups import Group
from memtop.model.marks import Stretch, before_mark, between
from memtop.model.query import View
from memtop.model.state import Row, State
from memtop.probe.sample import Identity
from memtop.recording.appending import add_mark
from memtop.recording.recalled import Recalled
from memtop.recording.recording import Event, Recording
from memtop.recording.seeking import WAYS, beside, seek
from memtop.render.axis import Mark
from memtop.render.cells import Cell
from memtop.render.chart import WINDOWS_S
from memtop.render.passage import WHOLE, Passage, Place, place_cells
from memtop.render.summary import Notice
from memtop.render.tabs import LOG, WHY
from memtop.tui import keys
from memtop.tui.owncost import OwnCost
from memtop.tui.player import FASTEST, Player
from memtop.tui.screens.entering import ENDINGS
from memtop.tui.screens.main import WARNING_STAYS_S
from memtop.tui.screens.recalling import Recalling

STANDS_OUT = ("mark", "action", "oom", "leak-like")
NOTED = ("mark", "action", "oom")  # what may have changed how much memory there is
AT_ONCE = 3  # values that are read at once; more are read on a thread
KEPT_CURVES, KEPT_VALUES = 16, 5000


class Replaying(Recalling, inherit_bindings=False):
    """The table with its summary and keys, at a time of a recording."""

    BINDINGS = [
        *keys.bindings("replay"),
        *ENDINGS,
    ]

    def __init__(self, state: State, view: View, recording: Recording, player: Player) -> None:
        super().__init__(state, view)
        self.recording, self.player = recording, player
        self._window = WHOLE
        self._wish: object = None  # who was looked at last, wherever he is now
        self._curves: OrderedDict[tuple[object, ...], list[tuple[float, int]]] = OrderedDict()
        self._values: dict[tuple[int, int], int | None] = {}
        self._ends: dict[Identity, float | None] = {}
        self._ends_until = -1
        self._is_reading = False
        self._own_cost = OwnCost()

    def on_mount(self) -> None:
        """What of the file is missing is said once."""
        super().on_mount()
        if self.recording.damage:
            path = self.recording.path  # line 2 has the name, and no room for folders
            words = self.recording.damage.replace(path, os.path.basename(path))
            self.say(words, warning=True, stays_s=WARNING_STAYS_S)

    # -- states ----------------------------------------------------------------------------

    def show_state(self, state: State) -> None:
        """Show a moment; after a jump in the order that belongs to it."""
        if not self._is_ready or self._is_behind:
            super().show_state(state)
            return
        if not self.player.standing.is_playing:
            self._sorted_at = self._touched_at = float("-inf")
        if abs(state.tick - self._shown.tick) > 1:
            self.table.forget()
        super().show_state(state)
        if self._wish is not None and self.table.cursor != self._wish:
            self.table.put_cursor(self._wish)  # type: ignore[arg-type]

    def on_process_table_looked(self) -> None:
        """Who is under the cursor is looked for again after a jump."""
        super().on_process_table_looked()
        if self.table.cursor is not None:
            self._wish = self.table.cursor

    @property
    def place(self) -> Place:
        """Where the cursor is, and the recording around it."""
        standing, run = self.player.standing, self.recording.run_of(self._shown.tick)
        return Place(
            at=self._shown.taken_at,
            first_at=standing.first_at,
            last_at=max(standing.last_at, self._shown.taken_at),
            path=self.recording.path,
            written_by=run.memtop,
            interval_s=run.interval_s,
            is_playing=standing.is_playing,
            speed=standing.speed,
            is_growing=standing.is_growing,
        )

    def second_line(self, notice: Notice, width: int) -> list[Cell]:
        """What plays, and where the cursor is."""
        return place_cells(self.place, notice, width)

    def cost(self) -> tuple[float | None, float | None]:
        """What showing it takes; nothing in a picture, which is the same everywhere."""
        return self._own_cost.now() if self.player.is_alive() else (None, None)

    # -- keys ------------------------------------------------------------------------------

    def action_play(self) -> None:
        """Play, or pause."""
        self.player.play(not self.player.standing.is_playing)
        self._show_frame()

    def action_step(self, by: int) -> None:
        """One sample on or back."""
        self.player.step(by)
        self._show_frame()

    def action_speed(self, by: int) -> None:
        """Twice or half as fast."""
        speed = self.player.standing.speed
        self.player.set_speed(min(FASTEST, speed * 2) if by > 0 else speed // 2)
        self._show_frame()

    def action_event(self, by: int) -> None:
        """To the next thing that happened, or the one before."""
        events_ = [one for one in self.player.events if one.kind in STANDS_OUT]
        try:
            found = beside(self.recording, events_, self.player.standing.tick, by)
        except MemtopError as error:
            self.say(error.message, warning=True)
            return
        if found is None:
            where = "after" if by > 0 else "before"
            words = f"nothing happened {where} this" if events_ else "no mark, no OOM kill, no leak"
            self.say(words)
            return
        self.say(f"▼ {found.words}")
        self.player.go(found.tick)

    def action_jump(self) -> None:
        """Ask for a time to go to."""
        self.ask("go to", WAYS, self._jump_to)

    def action_mark(self) -> None:
        """Ask what to note at this moment."""
        self.ask("mark", "what to note at this moment, such as: level 8", self._note)

    def _jump_to(self, text: str) -> None:
        if not text:
            return
        found = seek(self.recording, text, self.player.standing.tick)
        self.player.go(found.tick)
        self.say(found.words)

    def _note(self, text: str) -> None:
        if not text:
            return
        add = partial(self._add_mark, text, self._shown.taken_at)
        if self.player.is_alive():
            self.run_worker(add, thread=True)  # somebody else may be writing
        else:
            add()

    def _add_mark(self, text: str, at: float) -> None:
        words, warning = f"▼ {text}", False
        try:
            if self.player.is_elsewhere:
                raise MemtopError("not marked: the recording was removed or replaced")
            add_mark(self.recording.path, text, at=at)
        except MemtopError as error:
            words, warning = error.message, True
        self.player.look_again()
        if self.player.is_alive():
            self.app.call_from_thread(partial(self.say, words, warning=warning))
        else:
            self.say(words, warning=warning)

    # -- the chart -------------------------------------------------------------------------

    @property
    def windows(self) -> list[str]:
        """The windows of the chart, the shortest first; the last one is the whole recording."""
        place = self.place
        total_s = place.last_at - place.first_at
        return [*(name for name, seconds in WINDOWS_S.items() if seconds < total_s), WHOLE]

    def action_window(self, by: int) -> None:
        """A longer or shorter window around the cursor."""
        if self.pane.tab in (LOG, WHY):
            super().action_window(by)
            return
        names = self.windows
        here = names.index(self._window) if self._window in names else len(names) - 1
        self._window = names[max(0, min(len(names) - 1, here + by))]
        self._show_pane()

    def _show_pane(self) -> None:
        if self.pane.is_open:
            self.note_log()
        super()._show_pane()

    def passage_of(self, row: Row, group: Group | None) -> Passage | None:
        """The memory of a process or group over the window on show."""
        place = self.place
        window = self._window if self._window in self.windows else WHOLE
        begin, end = place.first_at, place.last_at
        if window != WHOLE:
            size = WINDOWS_S[window]
            begin = max(begin, min(place.at - size / 2, end - size))
            end = min(end, begin + size)
        history = group.history if group is not None else row.history
        if not isinstance(history, Recalled):
            return Passage(place.at, begin, end, window, ())
        noted = [one for one in self.player.events if self._concerns(one, row, group)]
        number = history.number
        ended_at = None if group is not None else self._ended_at(row.identity)
        values = self._curve(number, begin, end)
        if ended_at is not None:
            values = values[: bisect.bisect_right(values, ended_at, key=lambda one: one[0])]
        shown = tuple(Mark(one.at, _short(one)) for one in noted)
        born_at = row.started_at if group is None else None
        life = (born_at or begin, ended_at or place.last_at)
        stretches = self._stretches(number, noted, begin, end, life)
        return Passage(place.at, begin, end, window, values, shown, stretches)

    def _concerns(self, event: Event, row: Row, group: Group | None) -> bool:
        """Whether an event is one of the process or group on show, or of what holds for it."""
        if event.kind == "mark":
            return True
        detail = event.detail if isinstance(event.detail, dict) else {}
        pids = {row.pid} if group is None else {one.pid for one in group.members}
        if event.kind == "oom":
            path, own = str(detail.get("cgroup")), row.cgroup or ""
            killed = {one.get("pid") for one in detail.get("ended", ())}
            return f"{own}/".startswith(path.rstrip("/") + "/") or not pids.isdisjoint(killed)
        return detail.get("pid") in pids

    def _curve(self, number: int, begin: float, end: float) -> list[tuple[float, int]]:
        """Its memory between two times; around a moving cursor more is read than is shown."""
        is_whole = self._window == WHOLE
        half_s = max((end - begin) / 2, 1.0)
        first = begin if is_whole else begin // half_s * half_s
        last = end if is_whole else first + 3 * half_s
        key = (number, first, last, self.player.standing.last_at)
        if key not in self._curves:
            try:
                self._curves[key] = self.recording.line(number, first, last)
            except MemtopError:
                self._curves[key] = []
            while len(self._curves) > KEPT_CURVES:
                self._curves.popitem(last=False)
        points = self._curves[key]
        if is_whole:
            return points
        times = [at for at, _ in points]
        low, high = bisect.bisect_left(times, begin), bisect.bisect_right(times, end)
        return [*([(begin, points[low - 1][1])] if low else []), *points[low:high]]

    def _ended_at(self, identity: Identity) -> float | None:
        """When a process ended, also if that is still to come."""
        if self._ends_until < self.recording.last_tick and identity not in self._ends:
            self._ends_until = self.recording.last_tick
            self._ends = {one.identity: one.ended_at for one in self.recording.processes()}
        return self._ends.get(identity)

    def _stretches(
        self,
        number: int,
        noted: list[Event],
        begin: float,
        end: float,
        life: tuple[float, float],
    ) -> tuple[Stretch, ...]:
        """What changed from mark to mark; nothing while many values are still being read."""
        marks = [(one.at, _short(one)) for one in noted if one.kind in NOTED]
        if not any(begin < at < end for at, _ in marks):
            return ()
        moments = {begin, end} | {at for at, _ in marks if begin < at < end}
        moments |= {near for at in moments for near in before_mark(at)}
        ticks = {at: self.recording.tick_at(at) for at in moments}
        missing = [tick for tick in ticks.values() if (number, tick) not in self._values]
        if len(missing) > AT_ONCE and self.player.is_alive():
            if not self._is_reading:
                self._is_reading = True
                self.run_worker(partial(self._read_later, number, missing), thread=True)
            return ()
        self._read_values(number, missing)

        def value_at(at: float) -> int | None:
            if not life[0] <= at <= life[1]:
                return 0  # it did not live
            return self._values.get((number, ticks[at]))

        return tuple(between(marks, begin, end, value_at))

    def _read_values(self, number: int, ticks: list[int]) -> None:
        if len(self._values) > KEPT_VALUES:
            self._values.clear()
        for tick in ticks:
            self._values[number, tick] = self.recording.value_at(number, tick)

    def _read_later(self, number: int, ticks: list[int]) -> None:
        """On a thread: the table of each value's five minutes is decoded for it."""
        try:
            self._read_values(number, ticks)
        finally:
            self._is_reading = False
        self.app.call_from_thread(self._show_pane)

    def _rss_bytes(self, identity: Identity, at: float) -> int | None:
        row = self._shown.rows.get(identity)
        if row is None or not isinstance(row.history, Recalled):
            return None
        kib = self.recording.value_at(row.history.number, self.recording.tick_at(at))
        return None if kib is None else kib * 1024


def _short(event: Event) -> str:
    """What an event is called above a chart."""
    if event.kind == "oom":
        return "OOM kill"
    if event.kind == "leak-like":
        return "leak-like"
    if event.kind == "action" and isinstance(event.detail, dict):
        return str(event.detail.get("action") or event.text)
    return event.text
