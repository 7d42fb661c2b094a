"""What travels up to the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

from textual.message import Message

from memtop.model.state import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memtop.actions.result import Plan, Result
    from memtop.anatomy.objects import Objects
    from memtop.anatomy.result import Anatomy, QuickArenas
    from memtop.recording.session import Added
    from memtop.render.sight import Progress
    from memtop.tui.job import Job
    from memtop.tui.reading import Reading
    from memtop.tui.verdicts import Concluded

Answer = Union["Anatomy", "QuickArenas", "Objects", "Concluded", None]


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


class Planned(Message):
    """What an action would meet; `job` says whose answer it is."""

    def __init__(self, job: Job, plans: list[Plan], error: Exception | None = None) -> None:
        super().__init__()
        self.job, self.plans, self.error = job, plans, error


class Watched(Message):
    """What an action does at the moment, in short words."""

    def __init__(self, job: Job, words: str) -> None:
        super().__init__()
        self.job, self.words = job, words


class Acted(Message):
    """What became of one process."""

    def __init__(self, job: Job, result: Result) -> None:
        super().__init__()
        self.job, self.result = job, result


class ActingEnded(Message):
    """Nothing more will be done; `error` is one of memtop's own."""

    def __init__(self, job: Job, error: Exception | None = None) -> None:
        super().__init__()
        self.job, self.error = job, error


class ReadOn(Message):
    """How far a reading has come."""

    def __init__(self, reading: Reading, progress: Progress) -> None:
        super().__init__()
        self.reading, self.progress = reading, progress

    def can_replace(self, message: Message) -> bool:
        """Whether this message makes a waiting one needless."""
        return isinstance(message, ReadOn) and message.reading is self.reading


class Answered(Message):
    """What was found in a process; None and an error, or None alone, if nothing was."""

    def __init__(
        self,
        reading: Reading,
        answer: Answer,
        error: Exception | None = None,
    ) -> None:
        super().__init__()
        self.reading, self.answer, self.error = reading, answer, error


class Taped(Message):
    """Recording has begun (at `path`) or ended (None), in words."""

    def __init__(self, path: str | None, words: str, *, warning: bool = False) -> None:
        super().__init__()
        self.path, self.words, self.warning = path, words, warning


class NewMarks(Message):
    """What others have added to the file that is being recorded, or was in it before."""

    def __init__(self, events: Sequence[Added]) -> None:
        super().__init__()
        self.events = events
