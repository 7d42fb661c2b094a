"""The sentences of a finding: its headline, what speaks for the cause, and what against.

Sentences without a figure that was measured are left out, doubts about the evidence itself are
added to what speaks against the first cause.
"""

from __future__ import annotations

from collections.abc import Iterator

from memtop import units
from memtop.diagnosis import around, heap, motion, owned
from memtop.diagnosis.figures import GROWING, Figures
from memtop.diagnosis.finding import Cause
from memtop.diagnosis.phrases import moved
from memtop.diagnosis.ranking import CACHES
from memtop.diagnosis.saying import Saying
from memtop.diagnosis.words import change, percent, sentence, size

SAYINGS: dict[Cause, Saying] = {
    **owned.SAYINGS,
    **heap.SAYINGS,
    **around.SAYINGS,
    **motion.SAYINGS,
}
# Whom people suspect, by the kinds of what came.
ABOUT: dict[Cause, tuple[str, ...]] = {
    "python_objects": ("objects",),
    "arena_fragmentation": ("trapped",),
    "arena_retention": ("trimmable", "tops"),
    "native": ("native", "other"),
}
LITTLE = 0.1  # of what came
UNREAD = 0.2  # of what came: so much may be anything


def headline(cause: Cause, figures: Figures) -> str:
    """What is to be said first, without a full stop."""
    return SAYINGS[cause].headline(figures)


def denial(cause: Cause, figures: Figures) -> str:
    """The same of a cause that people suspect, and for which nothing speaks."""
    what, share = SAYINGS[cause].suspect or cause.replace("_", " "), share_of(cause, figures)
    of = f"of the {size(max(0, figures.rise_bytes or 0))} that came"
    if share < LITTLE:
        return f"{what}: hardly any {of}"
    return f"{what}: {percent(share)} {of}"


def share_of(cause: Cause, figures: Figures) -> float:
    """How much of what came a cause that people suspect is about."""
    if cause == "big_blocks":
        return max(0, figures.big_came) / max(1, figures.all_that_came)
    return figures.share(*ABOUT[cause])


def was_measured(cause: Cause, figures: Figures) -> bool:
    """Whether it can be told that it is not a cause that people suspect."""
    if cause in ("arena_fragmentation", "arena_retention"):
        return not (figures.is_foreign or figures.is_blind)
    if cause == "python_objects" and not figures.is_python:
        return False  # nobody suspects it
    return figures.share("allocator", "unowned") < UNREAD


def supporting(cause: Cause, figures: Figures) -> tuple[str, ...]:
    """Why it may be this cause."""
    made = [*SAYINGS[cause].supporting(figures)]
    if cause in owned.SAYINGS or cause in heap.SAYINGS:
        made.append(moved(figures))
    return _whole(made)


def against(cause: Cause, figures: Figures, *, is_first: bool) -> tuple[str, ...]:
    """Why it may not be, or why it is less likely than the first one."""
    made = [*SAYINGS[cause].against(figures)]
    if is_first and cause in (*owned.SAYINGS, *heap.SAYINGS, "unknown"):
        made += _doubts(cause, figures)
    elif cause in owned.SAYINGS and figures.slowing > 0.3:
        made.append("the rise slows down, as that of a warm-up does")
    return _whole(made)


def why_not(cause: Cause, figures: Figures) -> tuple[str, ...]:
    """The same of a cause that people suspect, and for which nothing speaks: one sentence."""
    return _whole([*SAYINGS[cause].against(figures)])[:1]


def _doubts(cause: Cause, f: Figures) -> Iterator[str]:
    """What makes the evidence itself less sure."""
    watch, rise = f.evidence.watch, f.rise_bytes
    if cause in CACHES and f.rises and f.youth > 0.3:
        yield (
            f"it was started {units.duration(f.evidence.subject.uptime_s or 0.0)} ago: what fills "
            "up and then stays looks the same at first"
        )
    if 0 < f.between_s < 10:
        yield f"the looks are {units.span(f.between_s)} apart only"
    if watch is not None and rise is not None and rise > f.noise_bytes:
        is_peak = watch.change_bytes < 0.4 * rise and watch.seconds <= 2 * f.between_s
        if is_peak and f.trend not in GROWING:
            yield (
                f"the looks differ by {change(rise)}, but its floor moved by "
                f"{change(watch.change_bytes)} only: part of it may be a peak"
            )
    if f.contradiction_bytes > 0.4 * max(1, rise or 0) and f.rises:
        yield (
            f"the parts and the count of objects differ by {size(f.contradiction_bytes)}: they are "
            "of different moments"
        )
    if f.last is not None and f.last.confidence < 0.97:
        yield f"{percent(1 - f.last.confidence)} of malloc's memory could not be followed"


def _whole(sentences: list[str | None]) -> tuple[str, ...]:
    made: dict[str, None] = {}
    for one in sentences:
        if one is not None:
            made[sentence(one)] = None
    return tuple(made)
