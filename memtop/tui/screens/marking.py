"""Keys that mark a moment and record: what happens stands on the charts, and in the recording.

Marks are on the charts of all processes whether something is recorded or not. Answers and actions
join the recording that is on. Times are seconds since the epoch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from memtop.anatomy.objects import Objects
from memtop.anatomy.result import Anatomy
from memtop.model.state import State
from memtop.probe.sample import Identity
from memtop.recording.happenings import Happening, Happenings
from memtop.tui.messages import Acted, Answered, NewMarks, Taped
from memtop.tui.screens.entering import Entering
from memtop.tui.screens.inspecting import Inspecting
from memtop.tui.screens.keeping import file_name
from memtop.tui.screens.targeting import Targeting
from memtop.tui.tape import Tape
from memtop.tui.verdicts import Concluded
from memtop.units import clock, iso_utc

if TYPE_CHECKING:
    from memtop.kept import Kept

STAYS_S = 8.0  # a path takes a while to read
MOST_TEXT = 200
HINT = "Enter marks the moment of m, Esc leaves"


class Marking(Entering, Inspecting, Targeting):
    """The part of the main screen that marks and records."""

    _is_wanted = False  # a recording: it has begun, or will in a moment
    _marked_at = 0.0
    _came_at = 0.0  # when the newest state came, on a monotonic clock
    recording_path: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self._happenings = Happenings()

    def on_mount(self) -> None:
        """It may be recorded from the beginning."""
        self.recording_path = self.tape.path
        self._is_wanted = self.recording_path is not None

    def show_frame(self) -> None:
        """Draw all but table and pane; the main screen knows how."""
        raise NotImplementedError

    def say(self, message: str, *, warning: bool = False, stays_s: float = STAYS_S) -> None:
        """Say something for a few seconds; the main screen knows where."""
        raise NotImplementedError

    @property
    def tape(self) -> Tape:
        """What is recorded beside the screen."""
        tape: Tape = self.app.tape  # type: ignore[attr-defined]
        return tape

    @property
    def moment(self) -> float:
        """Now, by the clock of the samples, also while older ones are on show."""
        return self._state.taken_at + (monotonic() - self._came_at if self._came_at else 0.0)

    # -- keys ------------------------------------------------------------------------------

    def action_record(self) -> None:
        """Begin to record, or end it."""
        if self._is_wanted:
            self.tape.end()
        else:
            self.tape.begin(f"{file_name(self._state, time.time())}.memtop")
        self._is_wanted = not self._is_wanted

    def action_mark(self) -> None:
        """Ask for a few words; the mark is of the moment at which the key was pressed."""
        self._marked_at = self.moment
        self.ask("mark", HINT, self.take_mark)

    def take_mark(self, text: str) -> None:
        """Put the mark on the charts, and into the recording; without words it is called by its
        time."""
        at = self._marked_at
        words = text[:MOST_TEXT] or clock(at)
        self.mark(words, None, at=at)
        self.tape.add_event(at, "mark", words)
        where = f" and in {_name(self.recording_path)}" if self.recording_path else ""
        self.say(f"marked on all charts{where}: {words}", stays_s=STAYS_S / 2)

    # -- what happens ----------------------------------------------------------------------

    def note_happenings(self, state: State) -> None:
        """OOM kills and processes that have become leak-like, as marks."""
        self._came_at = monotonic()
        for one in self._happenings.look(state):
            self.pane.marks.add_happening(state.taken_at, one)

    def on_new_marks(self, message: NewMarks) -> None:
        """What scripts and other shells have added to the file."""
        if not self.app.is_running:
            return  # its widgets are being taken away
        for one in message.events:
            self.pane.marks.add_happening(one.at, one)
        self._show_pane()

    def on_taped(self, message: Taped) -> None:
        """A recording has begun, or ended: by the key, or because it could not go on."""
        self.recording_path = message.path
        self._is_wanted = message.path is not None
        if self.app.is_running:
            self.say(message.words, warning=message.warning, stays_s=STAYS_S)

    def on_acted(self, message: Acted) -> None:
        """What became of an action, as an answer and, if it touched the process, as an event."""
        from memtop.kept import happening_of, kept_result

        result = message.result
        self.tape.add_result(
            self.moment, partial(kept_result, result, self._started(result.identity))
        )
        # When it began: what it brought comes after its mark.
        self._note_action(happening_of(result), min(result.at, self.moment))

    def note_signal(self, name: str, whose: set[Identity]) -> None:
        """Signals that were sent, as events."""
        from memtop.kept import happening_of_signal

        for identity in sorted(whose):
            self._note_action(happening_of_signal(name, identity), self.moment)

    def _note_action(self, event: Happening | None, at: float) -> None:
        if event is not None:
            self.tape.add_event(at, event.kind, event.text, event.detail)

    def on_answered(self, message: Answered) -> None:
        """The answer of a look inside, of a census, of why."""
        from memtop.kept import kept_anatomy, kept_census, kept_verdict

        answer, identity = message.answer, message.reading.identity
        started = self._started(identity)
        make: Callable[[], Kept] | None = None
        if isinstance(answer, Anatomy):
            make = partial(kept_anatomy, answer, started)
        elif isinstance(answer, Objects):
            make = partial(kept_census, answer, started)
        elif isinstance(answer, Concluded) and answer.verdict is not None:
            make = partial(kept_verdict, answer.verdict, identity)
        if make is not None:
            self.tape.add_result(self.moment, make)

    def _started(self, identity: Identity | None) -> str | None:
        row = None if identity is None else self._state.rows.get(identity)
        return None if row is None or row.started_at is None else iso_utc(row.started_at)


def _name(path: str) -> str:
    return path.rpartition("/")[2]
