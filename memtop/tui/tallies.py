"""What was counted in processes: of each and by each source the answers that others compare to.

A census and a snapshot count differently, and are never compared. Nothing here reads a process.
Sizes are bytes, times seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from memtop.anatomy.objects import Growth, Objects, Source, compare
from memtop.render.counted import CALM, Standing, TypeRow, matching, rows_of, standing_of
from memtop.render.sight import Failure
from memtop.tui.answers import Recent

MOST = 12  # processes: an answer has thousands of types


@dataclass(slots=True)
class Tally:
    """The answers of one source: the first, which `r` replaces, the last but one and the newest.

    `rss_bytes` is what the process had at the newest; `shrunk` are containers that were shorter in
    some answer than in the one before.
    """

    first: Objects | None = None
    newest: Objects | None = None
    rss_bytes: int | None = None
    growth: Growth | None = None
    since: str = "the first"
    shrunk: frozenset[str] = frozenset()
    _is_rebased: bool = False

    def take(self, answer: Objects, rss_bytes: int | None, *, to_last: bool = False) -> None:
        """A new answer; what changed is since the first one, or `to_last` since the last."""
        before = self.newest
        if before is not None:
            lengths = {one.name: one.length for one in before.containers}
            shorter = (
                one.name for one in answer.containers if one.length < lengths.get(one.name, 0)
            )
            self.shrunk |= frozenset(shorter)
        base = before if to_last else self.first
        self.growth = None if base is None else compare(base, answer)
        self.since = "the last" if to_last else "r" if self._is_rebased else "the first"
        self.first, self.newest = self.first or answer, answer
        self.rss_bytes = rss_bytes

    def rebase(self) -> None:
        """Count changes from the newest answer on."""
        self.first, self.growth, self.shrunk = self.newest, None, frozenset()
        self._is_rebased = True


@dataclass(slots=True)
class Tallies:
    """What was counted in one process, from outside and from inside; `source` is on show."""

    census: Tally = field(default_factory=Tally)
    snapshot: Tally = field(default_factory=Tally)
    source: Source = "census"
    failure: Failure | None = None
    _rows: tuple[TypeRow, ...] = ()
    _standing: Standing = CALM
    _made_of: tuple[object, ...] = (None, None, None, None)

    @property
    def shown(self) -> Tally:
        """The answers of the source on show."""
        return self.of(self.source)

    def of(self, source: Source) -> Tally:
        """The answers of a source."""
        return self.census if source == "census" else self.snapshot

    def take(self, answer: Objects, rss_bytes: int | None, *, to_last: bool = False) -> None:
        """A new answer, which is on show from now on."""
        self.source, self.failure = answer.source, None
        self.shown.take(answer, rss_bytes, to_last=to_last)

    def rows(self, order: str, words: str) -> tuple[tuple[TypeRow, ...], Standing]:
        """The types of the answer on show, and what stands out of all of them.

        Made again only when something has changed.
        """
        tally = self.shown
        made_of = (tally.newest, tally.growth, order, words)
        if any(new is not old for new, old in zip(made_of, self._made_of, strict=True)):
            rows = () if tally.newest is None else rows_of(tally.newest, tally.growth, order)
            self._rows, self._standing = matching(rows, words), standing_of(rows)
            self._made_of = made_of
        return self._rows, self._standing


class AllTallies(Recent[Tallies]):
    """What was counted in the processes that were looked into last."""

    def __init__(self) -> None:
        super().__init__(Tallies, MOST)
