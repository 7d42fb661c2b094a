"""A look into a process under way: a thread that reads it, tells how far it is, and ends.

It posts what it has found and never waits for the screen. The thread is a daemon: reading stops
nothing and leaves nothing, so that memtop may end at any moment of it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import Literal

from textual.message import Message

from memtop.anatomy.objects import Objects
from memtop.anatomy.result import Anatomy, QuickArenas
from memtop.errors import MemtopError
from memtop.model.state import Row
from memtop.probe.sample import Identity
from memtop.render.sight import Failure, Progress
from memtop.tui.messages import Answer, Answered, ReadOn

Kind = Literal["anatomy", "arenas", "census", "diagnosis"]
OFF = "Off: this is a recording or the /proc of another host; run memtop {} there."


def why_off(row: Row, *, live: bool, command: str) -> str:
    """Why a process cannot be looked into; empty if it can.

    `live`: it is one of this machine; `command` does the same where it is.
    """
    if not live:
        return OFF.format(command)
    if row.kernel:
        return f"{row.pid} is a thread of the kernel: it has no memory of its own."
    if row.ended_at is not None:
        return f"{row.pid} has ended."
    return f"{row.pid} is a zombie: it has no memory any more." if row.state in "ZX" else ""


class Reading:
    """One look at the process of the /proc at `root`; `post` takes messages on any thread.

    `kind`: in full, its arenas alone, its objects, or all of it and of those below it to tell why.
    It begins when `before` has ended: one process is read at a time, because that takes memory.
    """

    def __init__(
        self,
        kind: Kind,
        identity: Identity,
        name: str,
        root: str,
        post: Callable[[Message], object],
        *,
        before: Reading | None = None,
    ) -> None:
        self.kind, self.identity, self.name, self.root = kind, identity, name, root
        self.progress = Progress()
        self.cancel = threading.Event()
        self._post, self._before = post, before
        self._thread = threading.Thread(target=self._run, name="memtop-look", daemon=True)

    def start(self) -> None:
        """Begin; `Answered` is the last that is heard of it."""
        self._thread.start()

    def failure(self, error: Exception | None) -> Failure:
        """Why it came to nothing, in a sentence, and the command that helps."""
        if isinstance(error, MemtopError):
            words = error.message.rstrip(".") + "."
            return Failure(words[:1].upper() + words[1:], error.command)
        what = "no answer" if error is None else f"{type(error).__name__}: {error}"
        return Failure(f"Reading {self.identity.pid} stopped by an error of memtop's own: {what}")

    def watch(self, done_bytes: int, total_bytes: int) -> None:
        """Tell how far it has come."""
        self._tell(ReadOn(self, Progress(done_bytes, total_bytes)))

    def _run(self) -> None:
        if self._before is not None:
            self._before._thread.join()
            self._before = None
        try:
            answer = self._look()
        except Exception as error:  # whatever it is, the screen must say so
            self._tell(Answered(self, None, error))
        else:
            self._tell(Answered(self, answer))

    def _look(self) -> Answer:
        return _LOOKS[self.kind](self)

    def _tell(self, message: Message) -> None:
        with contextlib.suppress(RuntimeError):  # the screen may have gone meanwhile
            self._post(message)


def _look(reading: Reading) -> Anatomy:
    from memtop.anatomy.anatomy import look  # what reads is not needed for the first frame

    return look(
        reading.identity,
        name=reading.name,
        root=reading.root,
        watch=reading.watch,
        cancel=reading.cancel,
    )


def _look_quickly(reading: Reading) -> QuickArenas | None:
    from memtop.anatomy.anatomy import look_quickly

    return look_quickly(reading.identity, root=reading.root, cancel=reading.cancel)


def _count(reading: Reading) -> Objects:
    from memtop.anatomy.census import take_census

    return take_census(
        reading.identity,
        name=reading.name,
        root=reading.root,
        watch=reading.watch,
        cancel=reading.cancel,
    )


_LOOKS: Mapping[Kind, Callable[[Reading], Answer]] = {
    "anatomy": _look,
    "arenas": _look_quickly,
    "census": _count,
}
