"""What malloc_trim(0) would give back, told before it is called; read-only, like everything here.

The arenas are walked, the rest of the process is left alone. The figure holds for the moment:
threads that allocate or free meanwhile change it. Sizes are bytes, times seconds.
"""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

from memtop.anatomy.heap import read_heap
from memtop.anatomy.image import Cancelled
from memtop.anatomy.subject import Subject


class Prediction(NamedTuple):
    """What is expected; None is not known, and `reason` says why.

    `freed_bytes`: freed memory that malloc keeps resident, of which `trapped_bytes` lie in holes
    that have no whole page, those in so many `arenas`.
    """

    returns_bytes: int | None = None
    freed_bytes: int | None = None
    trapped_bytes: int | None = None
    arenas: int = 0
    reason: str | None = None
    seconds: float = 0.0


class _TooLate(Exception):
    """The time is over."""


def predict_trim(
    pid: int,
    *,
    root: str = "/proc",
    cancel: threading.Event | None = None,
    most_s: float | None = None,
) -> Prediction:
    """What trimming process `pid` would return; it takes a fraction of a second for each GiB.

    Nothing is raised for what the process does. `most_s`: for how long this may go on.
    """
    begin = time.monotonic()

    def step(_: int) -> None:
        if cancel is not None and cancel.is_set():
            raise Cancelled
        if most_s is not None and time.monotonic() > begin + most_s:
            raise _TooLate

    reason = None
    try:
        with Subject(pid, root=root, sized=False, step=step) as subject:
            malloc = subject.find_malloc()
            if malloc is None:
                return Prediction(reason="the arenas of glibc were not found")
            if malloc.trouble:
                return Prediction(reason=malloc.trouble[0])
            heap = read_heap(subject, malloc)
            subject.expect_alive()
            if len(heap.arenas) < len(malloc.places):
                return Prediction(reason=heap.doubts[-1])
        trapped = sum(arena.trapped_bytes for arena in heap.arenas)
        returns = heap.trim_would_return_bytes
        return Prediction(
            returns_bytes=returns,
            freed_bytes=trapped + returns + sum(arena.top_bytes for arena in heap.arenas),
            trapped_bytes=trapped,
            arenas=sum(arena.trapped_bytes > 0 for arena in heap.arenas),
            seconds=time.monotonic() - begin,
        )
    except Cancelled:
        reason = "cancelled"
    except _TooLate:
        reason = "left out: there was not time enough for it"
    except (ProcessLookupError, FileNotFoundError):
        reason = "it has ended"
    except (OSError, OverflowError) as error:
        reason = f"its memory cannot be read: {error}"
    return Prediction(reason=reason, seconds=time.monotonic() - begin)
