"""The thread that plays a recording: what it was told last counts, however fast keys come.

It stands where the sampler stands over living processes: it posts states, and nothing else knows
the time cursor. A file that is still written is looked at now and then. Times in seconds.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from memtop.errors import MemtopError
from memtop.model.state import State
from memtop.probe.sample import Wanted
from memtop.recording.recording import Event, Recording, Result

FRAME_S = 0.15  # between two states while it plays
REFRESH_S = 1.0  # between two looks at the end of the file
PAUSE_S = 60.0  # in which nobody recorded: longer ones are passed over
FASTEST = 1024
ELSEWHERE = "was removed or replaced; what it held is still shown"
LIVE_WITHIN_S = 15.0  # of the last growth: the file is still written


class Standing(NamedTuple):
    """Where it stands: sample on show, whether and how fast it plays, where the file ends."""

    tick: int
    is_playing: bool
    speed: int
    first_at: float
    last_at: float
    is_growing: bool = False


class _Stamp(NamedTuple):
    """What tells that a file was written to, or that another one has taken its place."""

    file: tuple[int, int] | None
    size: int
    mtime_ns: int


class Player(threading.Thread):
    """Plays `recording` from sample `tick` on; `post` gets each state, on any thread.

    `told` gets what cannot be read. Without `start` (tests, pictures) each order is carried out at
    once by who gives it, and nothing plays.
    """

    def __init__(
        self,
        recording: Recording,
        tick: int,
        post: Callable[[State], object],
        told: Callable[[str], object],
    ) -> None:
        super().__init__(name="memtop-player", daemon=True)
        self.wanted = Wanted()  # as a sampler has it; all that there is was recorded
        self._recording, self._post, self._told = recording, post, told
        self._orders = threading.Condition()
        self._target = tick
        self._shown: int | None = tick
        self._is_playing = False
        self._speed = 1
        self._anchor = (0.0, 0.0)  # while it plays: a moment of the clock, and of the recording
        self._is_over = False
        self._first_at = recording.time_of(recording.first_tick)
        self._last_at = recording.time_of(recording.last_tick)
        self._stamp, self._looked_s, self._grown_s = _stamp(recording.path), 0.0, float("-inf")
        self._file = self._stamp.file
        self.events: list[Event] = []
        self.results: list[Result] = []
        self._read_happenings()

    # -- orders, on the thread of the screen -----------------------------------------------

    @property
    def standing(self) -> Standing:
        """Where it stands after the newest order."""
        return Standing(
            self._target,
            self._is_playing,
            self._speed,
            self._first_at,
            self._last_at,
            time.monotonic() - self._grown_s < LIVE_WITHIN_S,
        )

    @property
    def is_elsewhere(self) -> bool:
        """Whether the file was removed, or another one has taken its place."""
        return _stamp(self._recording.path).file != self._file

    def go(self, tick: int) -> None:
        """Show this sample; if it plays it goes on from there."""
        with self._orders:
            self._target = max(self._recording.first_tick, min(tick, self._recording.last_tick))
            self._begin()
        self._obey()

    def step(self, by: int) -> None:
        """Show the next sample or one before, paused; steps that were not shown yet add up."""
        with self._orders:
            self._is_playing = False
        self.go(self._target + by)

    def play(self, on: bool) -> None:
        """Play or pause; at the end of what nobody writes to any more it begins again."""
        with self._orders:
            at_end = self._target >= self._recording.last_tick
            if on and at_end and not self.standing.is_growing:
                self._target = self._recording.first_tick
            self._is_playing = on
            self._begin()
        self._obey()

    def set_speed(self, speed: int) -> None:
        """Play so many times as fast as it was."""
        with self._orders:
            self._speed = max(1, min(speed, FASTEST))
            self._begin()
        self._obey()

    def look_again(self) -> None:
        """Something was written to the file from here: show it."""
        self._looked_s = 0.0
        if not self.is_alive():
            self._look_for_more()
            self._turn()

    def stop(self) -> None:
        """End the thread and give the file back."""
        with self._orders:
            self._is_over = True
            self._orders.notify()
        if self.is_alive():
            self.join(timeout=2.0)
        if not self.is_alive():
            self._recording.close()

    def _begin(self) -> None:
        """Count the time of playing from here."""
        if self._is_playing:
            self._anchor = (time.monotonic(), self._recording.time_of(self._target))

    def _obey(self) -> None:
        if self.is_alive():
            with self._orders:
                self._orders.notify()
        elif not self._is_over:
            self._turn()

    # -- playing ---------------------------------------------------------------------------

    def run(self) -> None:
        """Show what was ordered, play, look for more; until `stop`."""
        while not self._is_over:
            self._look_for_more()
            self._advance()
            self._turn()
            with self._orders:
                if not self._is_over and self._target == self._shown:
                    self._orders.wait(FRAME_S if self._is_playing else REFRESH_S)

    def _turn(self) -> None:
        """Post the state of the sample that is wanted now, unless it is on show."""
        tick = self._target
        if tick == self._shown:
            return
        self._shown = tick
        try:
            state = self._recording.state(tick)
        except MemtopError as error:
            self._told(error.message)
        except Exception as error:  # whatever it is, the screen must say so
            self._told(f"this sample cannot be shown: {type(error).__name__}: {error}")
        else:
            self._post(state)

    def _advance(self) -> None:
        """Move to where it has come by playing."""
        with self._orders:
            if not self._is_playing or self._target != self._shown:
                return
            recording = self._recording
            begin_s, begin_at = self._anchor
            at = begin_at + (time.monotonic() - begin_s) * self._speed
            try:
                tick = max(self._target, recording.tick_at(at))
                if tick == self._target < recording.last_tick:
                    following_at = recording.time_of(tick + 1)
                    if following_at - recording.time_of(tick) > PAUSE_S:
                        tick += 1
                        self._anchor = (time.monotonic(), following_at)
            except MemtopError as error:
                self._is_playing = False
                self._told(error.message)
                return
            self._target = min(tick, recording.last_tick)
            if self._target >= recording.last_tick:
                self._anchor = (time.monotonic(), self._last_at)
                self._is_playing = self.standing.is_growing

    def _look_for_more(self) -> None:
        """Whether somebody has written more."""
        now_s = time.monotonic()
        if now_s - self._looked_s < REFRESH_S:
            return
        self._looked_s = now_s
        stamp = _stamp(self._recording.path)
        if stamp == self._stamp:
            return
        before, self._stamp = self._stamp, stamp
        if stamp.file != self._file:
            if before.file == self._file:
                self._told(f"{os.path.basename(self._recording.path)} {ELSEWHERE}")
            return
        try:
            if self._recording.refresh():
                self._last_at = self._recording.time_of(self._recording.last_tick)
                self._grown_s = now_s
            self._read_happenings()
        except MemtopError as error:
            self._told(error.message)
        self._shown = None  # the same sample again, with another end and other marks

    def _read_happenings(self) -> None:
        """What happened, and what was found out; the lists are made anew."""
        self.events, self.results = self._recording.events(), self._recording.results()


def _stamp(path: str) -> _Stamp:
    try:
        info = os.stat(path)
    except OSError:
        return _Stamp(None, 0, 0)
    return _Stamp((info.st_dev, info.st_ino), info.st_size, info.st_mtime_ns)
