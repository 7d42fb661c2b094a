"""The last two minutes of a few processes, five times a second, in memory.

What kills a process is often over between two samples. Of those that grow and the largest RSS is
read more often; the values are written only when something happens. It asks statm, which costs
some microseconds a process, through descriptors that never answer for another process, also when
a PID is in use again. Times in seconds since the epoch, sizes in KiB.
"""

from __future__ import annotations

import os
from collections import deque

from memtop.model.state import State
from memtop.probe.handle import Handle, open_process
from memtop.probe.parse import parse_statm
from memtop.probe.sample import Identity

EVERY_S = 0.2
KEPT_S = 120.0
MOST = 32
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024

Point = tuple[float, Identity, int]


class Ring:
    """The ring of one source; `root` is its /proc."""

    def __init__(self, root: str = "/proc") -> None:
        self._root = root
        self._chosen: tuple[Identity, ...] = ()
        self._handles: dict[Identity, Handle] = {}
        self._points: dict[Identity, deque[tuple[float, int]]] = {}
        self._read_until = 0.0

    @property
    def chosen(self) -> tuple[Identity, ...]:
        """Who is read."""
        return self._chosen

    def choose(self, state: State, selected: Identity | None = None) -> None:
        """Take the selected one, those that grow and the largest; forget who ended long ago."""
        rows = [row for row in state.rows.values() if row.ended_at is None and row.rss_kib]
        rows.sort(
            key=lambda row: (row.identity != selected, not row.is_growing, -(row.rss_kib or 0))
        )
        self._chosen = tuple(row.identity for row in rows[:MOST])
        for one in self._handles.keys() - set(self._chosen):
            self._handles.pop(one).close()
        oldest = state.taken_at - KEPT_S
        for one, points in list(self._points.items()):
            while points and one not in self._chosen and points[0][0] < oldest:
                points.popleft()
            if not points:
                del self._points[one]

    def read(self, at: float) -> None:
        """Read those that were chosen, now."""
        for one in self._chosen:
            try:
                kib = _PAGE_KIB * parse_statm(os.pread(self._fd_of(one), 256, 0)).rss_pages
            except (OSError, ValueError):
                continue  # it is gone
            if not kib:
                continue  # it is dead: its memory was taken from it before it goes
            points = self._points.setdefault(one, deque())
            # A value holds until the next one: what rests takes no room.
            if not points or points[-1][1] != kib:
                points.append((at, kib))
            while len(points) > 1 and points[1][0] < at - KEPT_S:
                points.popleft()

    def take(self) -> list[Point]:
        """What was read in the last two minutes and not been taken yet, in order of time."""
        found = [(at, one, kib) for one, points in self._points.items() for at, kib in points]
        found = [point for point in found if point[0] > self._read_until]
        self._read_until = max((at for at, _, _ in found), default=self._read_until)
        return sorted(found)

    def close(self) -> None:
        """Give the descriptors back; more calls are harmless."""
        for handle in self._handles.values():
            handle.close()
        self._handles.clear()

    def _fd_of(self, identity: Identity) -> int:
        """An open statm of this very process; OSError if it is gone."""
        handle = self._handles.get(identity)
        if handle is None:
            folder = f"{self._root}/{identity.pid}"
            handle, _, _ = open_process(folder, identity.pid, keep_statm=True, keep_stat=False)
            if handle.identity != identity:
                handle.close()
                raise ProcessLookupError
            self._handles[identity] = handle
        return handle.statm_fd
