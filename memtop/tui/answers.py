"""What was found inside processes: of each the first look and the newest one, to tell them apart.

A quick look at the arenas replaces those of the newest look, and malloc's four parts. Nothing here
reads a process. Sizes are bytes, times seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from memtop.anatomy.difference import compare
from memtop.anatomy.result import PART_IDS, Anatomy, QuickArenas
from memtop.probe.sample import Identity
from memtop.render.inside import Again
from memtop.render.parts import Deltas
from memtop.render.sight import Failure

MOST = 64  # processes
Kept = TypeVar("Kept")


@dataclass(slots=True)
class Known:
    """What is known of one process.

    `rss_bytes` is what it had when the arenas were read again; `misses`: how often in a row that
    gave nothing; `due_s`: when it is to be done next, on a monotonic clock.
    """

    baseline: Anatomy | None = None
    newest: Anatomy | None = None
    quick: QuickArenas | None = None
    rss_bytes: int = 0
    failure: Failure | None = None
    misses: int = 0
    due_s: float = 0.0

    def take(self, answer: Anatomy) -> None:
        """A look in full: the first one is what later ones are compared to."""
        self.baseline = self.baseline or answer
        self.newest, self.quick, self.failure, self.misses = answer, None, None, 0

    def take_quick(self, quick: QuickArenas | None, rss_bytes: int | None) -> None:
        """A quick one, and what the process has now."""
        self.misses = 0 if quick is not None else self.misses + 1
        if quick is None or self.newest is None or quick.taken_at <= self.newest.taken_at:
            return
        self.quick, self.rss_bytes = quick, rss_bytes or self.newest.rss_bytes

    @property
    def answer(self) -> Anatomy | None:
        """The newest figures of everything."""
        if self.newest is None or self.quick is None:
            return self.newest
        return _freshened(self.newest, self.quick, self.rss_bytes)

    @property
    def again(self) -> Again | None:
        """The quick look after the newest in full; that there will be none; None before."""
        quick = self.quick
        if quick is None:
            return Again() if self.misses else None
        return Again(quick.taken_at, quick.seconds)

    def deltas(self, mark: tuple[str, str]) -> Deltas | None:
        """What changed since the first look; `mark` is the sign of the part that grew most."""
        answer, baseline = self.answer, self.baseline
        if answer is None or baseline is None:
            return None
        if self.quick is not None:
            answer = replace(answer, taken_at=self.quick.taken_at)
        difference = compare(baseline, answer)
        if difference is None:
            return None
        return Deltas(difference, is_partial=baseline is self.newest, mark=mark)


class Recent(Generic[Kept]):
    """What is kept of the processes that were looked into last; `make` begins it for one."""

    def __init__(self, make: Callable[[], Kept], most: int) -> None:
        self._make, self._most = make, most
        self._known: dict[Identity, Kept] = {}

    @property
    def known(self) -> Mapping[Identity, Kept]:
        """The processes, the one that was looked into last at the end."""
        return self._known

    def forget(self, identity: Identity) -> None:
        """Nothing is known of a process any more."""
        self._known.pop(identity, None)

    def of(self, identity: Identity) -> Kept:
        """What is known of a process; the one that was looked into least lately is forgotten."""
        known = self._known.pop(identity, None) or self._make()
        self._known[identity] = known
        while len(self._known) > self._most:
            del self._known[next(iter(self._known))]
        return known


class Answers(Recent[Known]):
    """What is known of the memory of the processes that were looked into last."""

    def __init__(self) -> None:
        super().__init__(Known, MOST)


def _freshened(answer: Anatomy, quick: QuickArenas, rss_bytes: int) -> Anatomy:
    """An answer with newer arenas; what RSS was then, so that the shares fit them."""
    newer = {part.id: part for part in quick.parts}
    parts = [newer.pop(part.id, part) for part in answer.parts]
    parts += newer.values()
    parts.sort(key=lambda part: PART_IDS.index(part.id))
    would = answer.trim_would_return_bytes
    return replace(
        answer,
        arenas=quick.arenas,
        parts=tuple(parts),
        rss_bytes=rss_bytes,
        trim_would_return_bytes=would and sum(one.trimmable_bytes for one in quick.arenas),
    )
