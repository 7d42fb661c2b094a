"""Of several processes whose memory it may be: the one about which most can be said.

Pure. The order in which they come counts: who grows most, or has most, comes first.
"""

from __future__ import annotations

from collections.abc import Sequence

from memtop.diagnosis.diagnosis import diagnose
from memtop.diagnosis.evidence import Evidence
from memtop.diagnosis.finding import Cause, Finding
from memtop.diagnosis.shares import shared_of
from memtop.evidence.choosing import COMPARABLE

LATER = 0.75  # what a later one counts, of the one before it
OWN_BYTES = 2 << 20
OF_NOBODY: tuple[Cause, ...] = ("page_cache", "shared_memory")  # may be in nobody's RSS
OF_HEAPS: tuple[Cause, ...] = ("arena_retention", "arena_fragmentation")
MUCH_BYTES, UNEXPLAINED = 16 << 20, 0.4
NO_NEWS: dict[Cause, float] = {"unknown": 0.1, "steady": 0.2, "warm_up": 0.5, "sawtooth": 0.7}


def verdict_of(evidences: Sequence[Evidence]) -> tuple[Evidence, tuple[Finding, ...]]:
    """The evidence that matters, and its findings; ValueError without any evidence."""
    made = [(one, diagnose(one)) for one in evidences]
    weights = [_news(one, findings[0]) * LATER**place for place, (one, findings) in enumerate(made)]
    best = made[weights.index(max(weights))]
    evidence, (first, *_) = best
    whose = first.pid
    if first.cause in OF_NOBODY and not _is_in_rss(evidence):
        whose = evidence.asked_pid
    same = [pair for pair in made if pair[1][0].cause == first.cause]
    if first.cause in OF_HEAPS and evidence.subject.role != "worker":
        # What a parent hands to its worker it has had itself; the worker is who can be replaced.
        best = next((pair for pair in same if _is_its_own_heap(pair[0], evidence)), best)
        whose = best[1][0].pid
    return next((pair for pair in same if pair[0].subject.pid == whose), best)


def _is_its_own_heap(worker: Evidence, parent: Evidence) -> bool:
    """Whether a worker holds about as much as another one, and not just shares it."""
    size, last = worker.subject.rss_bytes or 0, worker.last
    if worker.subject.role != "worker" or last is None:
        return False
    shared = shared_of(last) / max(1, last.rss_bytes)
    return size >= COMPARABLE * (parent.subject.rss_bytes or 0) and shared < COMPARABLE


def _is_in_rss(evidence: Evidence) -> bool:
    """Whether the files or the shared memory that came are in RSS of this process."""
    watch = evidence.watch
    return watch is not None and (watch.shared_change_bytes or 0) >= OWN_BYTES


def _news(evidence: Evidence, finding: Finding) -> float:
    """How much it says, and how surely: that nothing happens is said of whoever does nothing."""
    watch = evidence.watch
    if finding.cause == "unknown" and watch is not None and watch.change_bytes >= MUCH_BYTES:
        return UNEXPLAINED
    return NO_NEWS.get(finding.cause, 1.0) * finding.confidence
