"""The marks on the charts: by hand, by scripts, of what was done, of what happened by itself.

A mark is about some processes, and stands on the charts of their groups as well, or about all.
Times are seconds since the epoch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from memtop.probe.sample import Identity
from memtop.recording.happenings import Happening
from memtop.render.chart import Mark

if TYPE_CHECKING:
    from memtop.recording.session import Added

KEPT = 500


class Marks:
    """The last marks."""

    def __init__(self) -> None:
        self._marks: deque[tuple[Mark, frozenset[Identity] | None]] = deque(maxlen=KEPT)

    def add(
        self,
        at: float,
        text: str,
        whose: Collection[Identity] | None = None,
        *,
        divides: bool = True,
    ) -> None:
        """Put a mark on the charts of processes; None: of all."""
        mark = Mark(at, text, divides)
        self._marks.append((mark, None if whose is None else frozenset(whose)))

    def of(self, identities: Iterable[Identity]) -> tuple[Mark, ...]:
        """The marks on a chart that is about these processes, the earliest first."""
        about = frozenset(identities)
        found = [
            mark for mark, whose in self._marks if whose is None or not about.isdisjoint(whose)
        ]
        return tuple(sorted(found, key=lambda mark: mark.at))

    def add_happening(self, at: float, one: Happening | Added) -> None:
        """Put what happened on the charts: of one process where it is about one, else of all."""
        identity = _identity_in(one.detail)
        if identity is None or one.kind in ("mark", "oom"):
            self.add(at, one.text)
        elif one.kind == "leak-like":
            self.add(at, f"{identity.pid} leak-like", {identity}, divides=False)
        else:
            self.add(at, one.text, {identity})


def _identity_in(detail: object) -> Identity | None:
    """Whom an event is about, if it is about a process."""
    if not isinstance(detail, dict):
        return None
    pid, start_ticks = detail.get("pid"), detail.get("start_ticks")
    if not isinstance(pid, int) or not isinstance(start_ticks, int):
        return None
    return Identity(start_ticks, pid)
