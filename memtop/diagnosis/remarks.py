"""What is worth knowing beside the cause: that a worker is used again, when the limit is met."""

from __future__ import annotations

from collections.abc import Iterator

from memtop import units
from memtop.diagnosis.figures import Figures, finite
from memtop.diagnosis.finding import Cause
from memtop.diagnosis.shares import shared_of
from memtop.diagnosis.words import MIB, percent, sentence, size, who
from memtop.diagnosis.workers import recycling

# What a worker that is used again carries from one task to the next.
KEPT: tuple[Cause, ...] = (
    "arena_retention",
    "arena_fragmentation",
    "python_objects",
    "pymalloc_fragmentation",
    "big_blocks",
    "huge_pages",
)


def remarks_of(cause: Cause, figures: Figures) -> tuple[str, ...]:
    """Sentences, the most important first."""
    return tuple(sentence(one) for one in _remarks(cause, figures))


def _remarks(cause: Cause, f: Figures) -> Iterator[str]:
    subject, room, last = f.evidence.subject, f.evidence.room, f.last
    name = who(subject)
    if subject.ended:
        yield f"{name} has ended since: this is what was known of it"
    if subject.stopped and cause != "unknown":
        yield f"{name} is stopped: what it would do if it ran is not known"
    eta_s = finite(room.eta_s) if room is not None else None
    if room is not None and room.limit_bytes and eta_s is not None and f.rises and f.is_alive:
        yield f"at this rate the limit of {size(room.limit_bytes)} is met in ≈ {units.about(eta_s)}"
    crowd = f.evidence.crowd
    if (
        crowd is not None
        and 1 < crowd.growing <= crowd.processes
        and crowd.grown_bytes > MIB
        and f.rises
        and crowd.parent_pid != subject.pid
    ):
        yield (
            f"{crowd.growing:,} of the {crowd.processes:,} siblings grow, by "
            f"{size(crowd.grown_bytes)} together; only some of them were looked into"
        )
    if cause in KEPT and subject.role == "worker" and (bound := recycling(f.evidence)):
        yield (
            f"{name} is used again and keeps its high-water mark: a new worker now and then bounds "
            f"it, {bound}"
        )
    if last is None:
        return
    if last.swapped_bytes > MIB:
        yield f"{size(last.swapped_bytes)} more are swapped out, and were not looked at"
    share = shared_of(last) / max(1, last.rss_bytes)
    if subject.forked and share > 0.1:
        yield (
            f"{size(shared_of(last))} of its RSS ({percent(share)}) it shares with the process it "
            "was forked from: that is counted in both"
        )
    if "musl" in (last.allocator or ""):
        yield "there is no malloc_trim in musl, and its blocks are not read"
