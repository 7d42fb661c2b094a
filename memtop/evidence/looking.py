"""Looks into processes on a thread of its own, one after the other: anatomy, and objects if any.

Nothing in the processes is changed, and none is stopped. A look that is not possible is one, too:
it says why. Sizes are bytes, times seconds.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from memtop.anatomy.anatomy import look
from memtop.anatomy.census import take_census
from memtop.anatomy.image import Cancelled
from memtop.anatomy.objects import Objects
from memtop.anatomy.result import Anatomy
from memtop.diagnosis.finding import Lack
from memtop.errors import Denied, MemtopError, NoSuchProcess
from memtop.evidence.files import rss_shmem
from memtop.model.state import Row
from memtop.probe.sample import Identity

CENSUS_S = 5.0  # a count takes no longer: what is left out is concluded from the rest


@dataclass(frozen=True, slots=True)
class Look:
    """What one look has found, of which program; `denied` is the right that was missing.

    `shmem_bytes`: how much of RSS was shared memory.
    """

    identity: Identity
    anatomy: Anatomy | None = None
    objects: Objects | None = None
    lacks: tuple[Lack, ...] = ()
    denied: Denied | None = None
    exe: str | None = None
    command: str | None = None
    shmem_bytes: int | None = None

    def is_of_another_program(self, row: Row) -> bool:
        """Whether the process has become another program since (as Tracked tells it)."""
        if self.exe is None or row.exe is None:
            return False
        if self.exe != row.exe:
            return True
        program = (row.command or "").partition(" ")[0]
        return self.command != row.command and ("/" in program or "python" in program)


def take_look(
    row: Row,
    *,
    root: str = "/proc",
    watch: Callable[[int, int], None] | None = None,
    cancel: threading.Event | None = None,
) -> Look:
    """Look into one process now; Cancelled when `cancel` is set, no other error.

    A target may hold anything: what memtop stumbles over there is a lack, and no end.
    """
    lacks: list[Lack] = []
    denied: Denied | None = None
    anatomy: Anatomy | None = None
    objects: Objects | None = None
    try:
        anatomy = look(row.identity, name=row.name, root=root, watch=watch, cancel=cancel)
    except MemtopError as error:
        denied = error if isinstance(error, Denied) else None
        lacks.append(_lack("what its memory is made of", error, "a"))
    except Cancelled:
        raise
    except Exception as error:
        lacks.append(_fault("what its memory is made of", error, "a"))
    # Where memory could not be read, the reason stands in the anatomy already.
    if anatomy is not None and anatomy.python is not None and anatomy.heaps is None:
        try:
            objects = take_census(
                row.identity,
                name=row.name,
                root=root,
                budget_s=CENSUS_S,
                watch=watch,
                cancel=cancel,
            )
        except MemtopError as error:
            lacks.append(_lack("its objects", error, "o"))
        except Cancelled:
            raise
        except Exception as error:
            lacks.append(_fault("its objects", error, "o"))
    return Look(
        row.identity,
        anatomy,
        objects,
        tuple(lacks),
        denied,
        row.exe,
        row.command,
        rss_shmem(row.pid, root),
    )


class Looker:
    """Looks into whom it is asked to, in that order; `looks` holds what was found so far."""

    def __init__(
        self,
        *,
        root: str = "/proc",
        tell: Callable[[str], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        self._root, self._tell, self._cancel = root, tell, cancel
        self._todo: deque[Row] = deque()
        self._wake = threading.Condition()
        self._is_closed = False
        self._is_busy = False
        self.asked: set[Identity] = set()
        self.looks: dict[Identity, Look] = {}
        self._thread: threading.Thread | None = None

    def ask(self, row: Row) -> None:
        """Queue a look, unless one was asked for before."""
        with self._wake:
            if row.identity not in self.asked:
                self.asked.add(row.identity)
                self._todo.append(row)
                self._wake.notify_all()
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._work, name="memtop-looks", daemon=True
                    )
                    self._thread.start()

    def forget(self, identity: Identity) -> None:
        """What was found is of a program that it no longer runs: it may be looked into again."""
        with self._wake:
            self.asked.discard(identity)
            self.looks.pop(identity, None)

    def drop(self) -> None:
        """Forget those that were not looked into yet."""
        with self._wake:
            self.asked -= {row.identity for row in self._todo}
            self._todo.clear()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be done."""
        with self._wake:
            is_there = self._thread is not None and self._thread.is_alive()
            return not is_there or not (self._todo or self._is_busy)

    def close(self) -> None:
        """End the thread after the look that it is at."""
        with self._wake:
            self._is_closed = True
            self._todo.clear()
            self._wake.notify_all()

    def _work(self) -> None:
        while True:
            with self._wake:
                while not (self._todo or self._is_closed):
                    self._wake.wait()
                if self._is_closed:
                    return
                row, self._is_busy = self._todo.popleft(), True
            try:
                self.looks[row.identity] = take_look(
                    row, root=self._root, watch=self._watch(row), cancel=self._cancel
                )
            except Cancelled:
                return
            finally:
                with self._wake:
                    self._is_busy = False

    def _watch(self, row: Row) -> Callable[[int, int], None] | None:
        tell = self._tell
        return None if tell is None else lambda *_: tell(f"looks into {row.pid} {row.name}")


def _fault(what: str, error: Exception, key: str) -> Lack:
    """A fault of memtop itself: what else is known is said all the same."""
    return Lack(what, f"the look failed: {type(error).__name__}: {error}", key)


def _lack(what: str, error: MemtopError, key: str) -> Lack:
    command = error.command if not isinstance(error, NoSuchProcess) else None
    return Lack(what, error.message, key, command)
