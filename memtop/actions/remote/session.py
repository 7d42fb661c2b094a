"""The process that acts (`child`), seen from memtop: started, given one request, told to cancel.

It is started anew for each target, without site packages and without the user's environment for
Python, so that it is up in some 40 ms; it may be started before the request is known. If it dies,
nothing is lost but its answer.
"""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

import memtop
from memtop.errors import MemtopError
from memtop.probe.sample import Identity

if TYPE_CHECKING:  # it is not run here, and takes long to import
    from memtop.actions.remote.child import Reply as Message
    from memtop.actions.remote.child import Request

PATIENCE_S = 5.0  # for the GIL or the allocator's locks, before the action is cancelled
WORDS = {
    "begin": "starting a thread in it",
    "gil": "waiting for the GIL",
    "trim": "trimming",
}
RUNNING = {"gc": "collecting", "snapshot": "counting its objects"}
_ENDED = "the acting process ended before it could answer; the target goes on"
_ENDINGS = {-14: "a thread did not stop in time and was let go"}  # SIGALRM
_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    "from memtop.actions.remote.child import main; main()"
)


class Reply(NamedTuple):
    """How it went. `done`: the calls were made; `results` of those, by name. `gone`: it has ended.

    `held_s`: how long one thread was held, None if none was. `room`: mallinfo2; `payload`: what
    the Python code had to say, None if it was not run or failed to answer.
    """

    outcome: Literal["done", "refused", "cancelled", "failed"]
    reason: str | None = None
    forceable: bool = False
    gone: bool = False
    held_s: float | None = None
    results: dict[str, int] = {}
    room: bytes | None = None
    payload: bytes | None = None


class Actor:
    """One such process, from its start to its end; a context manager."""

    def __init__(self) -> None:
        """Start it; MemtopError if no process can be started."""
        home = os.path.dirname(os.path.dirname(os.path.abspath(memtop.__file__)))
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _PROGRAM, home],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # ctrl+c in the terminal is for memtop, which then cancels
            )
        except OSError as error:
            raise MemtopError(
                f"{sys.executable} cannot be started, which acts on the process: {error.strerror}"
            ) from error
        assert self._process.stdin is not None and self._process.stdout is not None
        self._inlet, self._outlet = self._process.stdin, self._process.stdout
        self._closing = threading.Lock()

    def __enter__(self) -> Actor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Cancel what has not begun, and wait until it has ended."""
        self._cancel()
        self._process.wait()
        self._outlet.close()

    def run(
        self,
        action: str,
        identity: Identity,
        *,
        root: str = "/proc",
        force: bool = False,
        watch: Callable[[str], None] | None = None,
        cancel: threading.Event | None = None,
        patience_s: float = PATIENCE_S,
        budget_s: float = 0.0,
        follows: bool = True,
    ) -> Reply:
        """Do an action in one process, once; `watch` gets short words for people on the way.

        When `cancel` is set it is left undone if it has not begun; what has begun goes to its end.
        `budget_s` and `follows` are for a snapshot: for how long it may hold the interpreter, and
        whether it asks for what containers refer to.
        """
        request: Request = {
            "pid": identity.pid,
            "start_ticks": identity.start_ticks,
            "root": root,
            "action": action,
            "ignore_filter": force,
            "patience_s": patience_s,
            "budget_s": budget_s,
            "follows": follows,
        }
        over = threading.Event()
        try:
            marshal.dump(dict(request), self._inlet)
            self._inlet.flush()
            if cancel is not None:
                threading.Thread(target=self._pass_on, args=(cancel, over), daemon=True).start()
            return _reply(self._listen(watch, {**WORDS, "run": RUNNING.get(action, "")}))
        except (BrokenPipeError, EOFError, ValueError, TypeError):
            return Reply("failed", _ENDINGS.get(self._process.wait(), _ENDED))
        finally:
            over.set()

    def _listen(self, watch: Callable[[str], None] | None, words: dict[str, str]) -> Message:
        """Its last message; EOFError if there is none."""
        while True:
            message: Message = marshal.load(self._outlet)
            if message.get("outcome"):
                return message
            if watch is not None and (said := words.get(message.get("word", ""))):
                watch(said)

    def _pass_on(self, cancel: threading.Event, over: threading.Event) -> None:
        while not over.is_set():
            if cancel.wait(0.05):
                self._cancel()
                return

    def _cancel(self) -> None:
        """Close its stdin, which it takes for that."""
        with self._closing:
            try:
                self._inlet.close()
            except BrokenPipeError:
                pass


def _reply(message: Message) -> Reply:
    return Reply(
        cast(Literal["done", "refused", "cancelled", "failed"], message["outcome"]),
        message.get("reason"),
        message.get("forceable", False),
        message.get("gone", False),
        message.get("held_s"),
        message.get("results", {}),
        message.get("room"),
        message.get("payload"),
    )
