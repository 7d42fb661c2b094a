"""A look at one process: what its resident memory is made of.

All of it, or quickly the arenas alone; without the right to read memory it is what smaps tells.
Nothing is stopped, written or faulted in. That the process is the one that was meant is made sure
of before and after. Sizes are bytes, times seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from memtop.anatomy.gathering import Gathering
from memtop.anatomy.heap import read_heap_quickly
from memtop.anatomy.image import Cancelled
from memtop.anatomy.outside import look_from_outside
from memtop.anatomy.result import Anatomy, QuickArenas
from memtop.anatomy.subject import Subject
from memtop.errors import Denied, MemtopError, NoSuchProcess
from memtop.probe import parse
from memtop.probe.handle import read
from memtop.probe.own import read_standing
from memtop.probe.permission import remedy, why_refused
from memtop.probe.sample import Identity
from memtop.target.rights import read_rights

WATCH_S = 0.1  # between two words of progress


def look(
    identity: Identity,
    *,
    name: str = "",
    root: str = "/proc",
    watch: Callable[[int, int], None] | None = None,
    cancel: threading.Event | None = None,
) -> Anatomy:
    """What the process is made of now; about a second for each GiB.

    `watch` gets how much of how much was read, some times a second. Cancelled when `cancel` is set;
    NoSuchProcess if the process has ended, or has become another one meanwhile; Denied if not even
    smaps may be read.
    """
    begin, taken_at = time.monotonic(), time.time()
    status = expect(identity, root)
    pace = Pace((parse.kib_of(status, "RssAnon") or 0) * 1024, watch, cancel)
    draft = Anatomy(
        identity=identity,
        name=name or status.get("Name", ""),
        taken_at=taken_at,
        seconds=0.0,
        rss_bytes=0,
        parts=(),
        threads=int(status.get("Threads", "0")) or None,
    )
    try:
        try:
            with Subject(identity.pid, root=root, step=pace.step) as subject:
                made = Gathering(subject).run(draft)
                subject.expect_alive()
        except PermissionError as error:
            made = _from_outside(draft, root, error)
        except OverflowError as error:
            made = look_from_outside(draft, root, f"{error} before Linux 6.7 (PAGEMAP_SCAN)")
    except (ProcessLookupError, FileNotFoundError):
        raise NoSuchProcess(
            f"{identity.pid} has ended, or has become another program, while it was read"
        ) from None
    except OSError as error:
        raise MemtopError(f"{identity.pid} cannot be read: {error.strerror}") from error
    expect(identity, root)
    return replace(made, seconds=time.monotonic() - begin)


def look_quickly(
    identity: Identity,
    *,
    root: str = "/proc",
    cancel: threading.Event | None = None,
    most_s: float = 0.5,
) -> QuickArenas | None:
    """The arenas by their free lists alone; None if they are too long, or glibc is not there.

    The same errors as of `look`, but Denied also without the right to read memory.
    """
    begin, taken_at = time.monotonic(), time.time()
    expect(identity, root)
    pace = Pace(0, None, cancel)
    try:
        with Subject(identity.pid, root=root, sized=False, step=pace.step) as subject:
            malloc = subject.find_malloc()
            heap = malloc and read_heap_quickly(subject, malloc, begin + most_s)
            subject.expect_alive()
    except PermissionError as error:
        raise no_right(identity, root, "memory") from error
    except OverflowError:
        return None
    except (ProcessLookupError, FileNotFoundError):
        raise NoSuchProcess(f"{identity.pid} has ended while it was read") from None
    except OSError as error:
        raise MemtopError(f"{identity.pid} cannot be read: {error.strerror}") from error
    if not heap:
        return None
    seconds = time.monotonic() - begin
    return QuickArenas(identity, taken_at, seconds, heap.arenas, heap.parts)


class Pace:
    """Tells how far the reading is, and ends it when nobody waits any more."""

    def __init__(
        self,
        total: int,
        watch: Callable[[int, int], None] | None,
        cancel: threading.Event | None,
    ) -> None:
        self.total, self._watch, self._cancel = total, watch, cancel
        self._done, self._next_at = 0, 0.0

    def plan(self, size: int) -> None:
        """So many bytes are still to be read, and no more."""
        self.total = self._done + size

    def step(self, size: int) -> None:
        """So many bytes more were read."""
        self._done += size
        if self._cancel is not None and self._cancel.is_set():
            raise Cancelled
        if self._watch is not None and time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + WATCH_S
            self._watch(min(self._done, self.total), self.total)


def expect(identity: Identity, root: str) -> dict[str, str]:
    """The status of the process; NoSuchProcess if it is not that one any more."""
    pid = identity.pid
    try:
        stat = parse.parse_stat(read(f"{root}/{pid}/stat", 1024))
        status = parse.parse_keyed(read(f"{root}/{pid}/status", 1 << 16))
    except (OSError, ValueError):
        raise NoSuchProcess(f"{pid} has ended") from None
    if stat.start_ticks != identity.start_ticks:
        raise NoSuchProcess(f"{pid} is another process now")
    if stat.kernel:
        raise MemtopError(f"{pid} is a thread of the kernel: it has no memory of its own")
    if parse.kib_of(status, "VmRSS") is None:
        if status.get("Threads", "1") != "1":
            raise MemtopError(
                f"the main thread of {pid} has ended, and others go on: Linux does not show the"
                " memory of such a process"
            )
        raise NoSuchProcess(f"{pid} has ended and waits for its parent to reap it")
    return status


def _from_outside(draft: Anatomy, root: str, error: PermissionError) -> Anatomy:
    """What smaps alone tells; Denied if not even that may be read."""
    try:
        denied = no_right(draft.identity, root, "memory")
        return look_from_outside(draft, root, denied.message, denied.right, denied.command)
    except PermissionError:
        raise no_right(draft.identity, root, "smaps") from error


def no_right(identity: Identity, root: str, right: str, verb: str = "anatomy") -> Denied:
    """Which right is missing, why, and the command `verb` that has it."""
    call = f"memtop {verb} {identity.pid}"
    rights = read_rights(identity.pid, root=root, call=call)
    why = dict(rights.missing).get(right)  # type: ignore[call-overload]
    if why is None:
        standing = read_standing()
        why = why_refused("memory", standing, uid=None, may_read=right != "smaps")
        command = remedy(["memory"], standing, call)
    else:
        command = rights.command
    return Denied(f"no right to look into {identity.pid} ({why})", right=right, command=command)
