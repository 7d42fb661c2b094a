"""What travels up to the screen."""

from __future__ import annotations

from textual.message import Message

from memtop.model.state import State


class Sampled(Message):
    """A new state; it replaces one that still waits, so that a slow screen never lags."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self.state = state

    def can_replace(self, message: Message) -> bool:
        """Whether this message makes a waiting one needless."""
        return isinstance(message, Sampled)


class SamplingFailed(Message):
    """The source as a whole cannot be read any more."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
