"""A look into a process under way: a thread that reads it, tells how far it is, and ends.

It posts what it has found and never waits for the screen. The thread is a daemon: reading stops
nothing and leaves nothing, so that memtop may end at any moment of it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from textual.message import Message

from memtop.errors import MemtopError
from memtop.model.state import Row
from memtop.probe.sample import Identity
from memtop.render.inside import Failure, Progress
from memtop.tui.messages import Answered, AnsweredQuickly, ReadOn

OFF = "Off: this is a recording or the /proc of another host; run memtop anatomy there."


def why_off(row: Row, *, live: bool) -> str:
    """Why a process cannot be looked into; empty if it can. `live`: it is one of this machine."""
    if not live:
        return OFF
    if row.kernel:
        return f"{row.pid} is a thread of the kernel: it has no memory of its own."
    if row.ended_at is not None:
        return f"{row.pid} has ended."
    return f"{row.pid} is a zombie: it has no memory any more." if row.state in "ZX" else ""


class Reading:
    """One look at the process of the /proc at `root`; `post` takes messages on any thread.

    With `is_quick` it is a look at the arenas alone. It begins when `before` has ended: one process
    is read at a time, because that takes memory.
    """

    def __init__(
        self,
        identity: Identity,
        name: str,
        root: str,
        post: Callable[[Message], object],
        *,
        is_quick: bool = False,
        before: Reading | None = None,
    ) -> None:
        self.identity, self.name, self.is_quick = identity, name, is_quick
        self.progress = Progress()
        self.cancel = threading.Event()
        self._root, self._post, self._before = root, post, before
        self._thread = threading.Thread(target=self._run, name="memtop-look", daemon=True)

    def start(self) -> None:
        """Begin; `Answered` or `AnsweredQuickly` is the last that is heard of it."""
        self._thread.start()

    def failure(self, error: Exception | None) -> Failure:
        """Why it came to nothing, in a sentence, and the command that helps."""
        if isinstance(error, MemtopError):
            words = error.message.rstrip(".") + "."
            return Failure(words[:1].upper() + words[1:], error.command)
        what = "no answer" if error is None else f"{type(error).__name__}: {error}"
        return Failure(f"Reading {self.identity.pid} stopped by an error of memtop's own: {what}")

    def _run(self) -> None:
        if self._before is not None:
            self._before._thread.join()
            self._before = None
        if self.is_quick:
            self._look_quickly()
        else:
            self._look()

    def _look(self) -> None:
        try:
            from memtop.anatomy.anatomy import look  # what reads is not needed for the first frame

            answer = look(
                self.identity,
                name=self.name,
                root=self._root,
                watch=self._watch,
                cancel=self.cancel,
            )
        except Exception as error:  # whatever it is, the screen must say so
            self._tell(Answered(self, None, error))
        else:
            self._tell(Answered(self, answer))

    def _look_quickly(self) -> None:
        try:
            from memtop.anatomy.anatomy import look_quickly

            answer = look_quickly(self.identity, root=self._root, cancel=self.cancel)
        except Exception:  # the next look says why
            answer = None
        self._tell(AnsweredQuickly(self, answer))

    def _watch(self, done_bytes: int, total_bytes: int) -> None:
        self._tell(ReadOn(self, Progress(done_bytes, total_bytes)))

    def _tell(self, message: Message) -> None:
        with contextlib.suppress(RuntimeError):  # the screen may have gone meanwhile
            self._post(message)
