"""The application over a recording: it plays instead of sampling, and nothing can be done in it."""

from __future__ import annotations

from collections.abc import Mapping

from memtop.errors import MemtopError
from memtop.model.query import View
from memtop.model.state import State
from memtop.model.tracker import Tracker
from memtop.probe.sample import Identity, Sample, Wanted
from memtop.recording.recording import Recording
from memtop.tui import keys
from memtop.tui.app import MemtopApp
from memtop.tui.messages import Sampled
from memtop.tui.player import Player
from memtop.tui.screens.main import WARNING_STAYS_S
from memtop.tui.screens.replaying import Replaying


class Recorded:
    """In the place of a source: there is nothing to be sampled."""

    own: Identity | None = None
    live = False

    def sample(self, wanted: Wanted) -> Sample:
        """Not of a recording."""
        raise MemtopError("a recording cannot be sampled")

    def settle(self, timeout_s: float) -> None:
        """Nothing is under way."""

    def close(self) -> None:
        """The player gives the file back."""


class ReplayApp(MemtopApp):
    """memtop over a recording, beginning at a sample.

    Without `playing` (tests, pictures) there is no thread, and each order is carried out at once.
    """

    COMMAND_PALETTE_BINDING = "ctrl+p"
    WHERE = "replay"

    def __init__(
        self,
        recording: Recording,
        tick: int,
        view: View,
        *,
        theme: str | None = None,
        ascii_only: bool = False,
        playing: bool = True,
        rebind: Mapping[str, str] | None = None,
        speed: int = 1,
    ) -> None:
        state = recording.state(tick)
        self._recording = recording
        self._player = Player(recording, tick, self._post, self._tell)
        self._player.set_speed(speed)
        super().__init__(
            Recorded(),
            Tracker(state.interval_s),
            state,
            view,
            theme=theme,
            ascii_only=ascii_only,
            sampling=playing,
            rebind=keys.in_replay(rebind or {}),
        )

    def first_screen(self, state: State, view: View, *, is_guest: bool) -> Replaying:
        """The screen with a time cursor."""
        self._replaying = Replaying(state, view, self._recording, self._player)
        return self._replaying

    def feeder(self) -> Player:
        """The thread that plays."""
        return self._player

    def feed(self) -> None:
        """Nothing comes by itself."""

    def _post(self, state: State) -> None:
        if self._player.is_alive():
            self.post_message(Sampled(state))
        else:
            self._replaying.show_state(state)

    def _tell(self, words: str) -> None:
        """What cannot be read is said."""
        if self._player.is_alive():
            self.call_from_thread(self._replaying.say, words, warning=True)
        else:
            self._replaying.say(words, warning=True, stays_s=WARNING_STAYS_S)
