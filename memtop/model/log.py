"""What memtop has done to processes, one entry for each, the newest first.

Pure: entries are made by who acts and drawn by render. Sizes in bytes, times in seconds since the
epoch, `held_us` in microseconds; None is not measured.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from memtop.probe.sample import Identity

KEPT = 200


class Entry(NamedTuple):
    """One action on one process, and what became of it; or an event, with `pid` 0 if of nobody.

    `outcome` is one of the contract's, or `sent` for a signal; `command` is one that helps when it
    was refused. `is_warning`: nothing was done, and somebody should know why.
    """

    at: float
    action: str
    pid: int
    name: str
    outcome: str
    sentence: str
    identity: Identity | None = None
    before_bytes: int | None = None
    after_bytes: int | None = None
    returned_bytes: int | None = None
    predicted_bytes: int | None = None
    held_us: float | None = None
    command: str | None = None
    is_warning: bool = False

    @property
    def is_measured(self) -> bool:
        """Whether there is any figure: a signal has none."""
        figures = (self.before_bytes, self.after_bytes, self.predicted_bytes, self.held_us)
        return any(figure is not None for figure in figures)


class Log:
    """The last `kept` entries, the newest first; `total` counts those that were dropped, too."""

    def __init__(self, kept: int = KEPT) -> None:
        self._entries: deque[Entry] = deque(maxlen=kept)
        self.total = 0

    def add(self, entry: Entry) -> None:
        """Put an entry on top."""
        self._entries.appendleft(entry)
        self.total += 1

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        return len(self._entries)
