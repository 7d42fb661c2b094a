"""From evidence to findings: the likeliest cause first, the others after it, never nothing.

Where no cause is told apart from guessing the first finding is `unknown`, with what is missing.
Hypotheses that people have of any growing Python service are answered also where nothing speaks
for them: why they are less likely is half of the answer.
"""

from __future__ import annotations

from memtop.diagnosis.advice import next_step
from memtop.diagnosis.evidence import Evidence
from memtop.diagnosis.figures import Figures
from memtop.diagnosis.finding import Cause, Finding
from memtop.diagnosis.lacks import lacks_of
from memtop.diagnosis.owned import NOBODY, main_owner
from memtop.diagnosis.phrases import grown_type, main_type
from memtop.diagnosis.ranking import TELL, Weighed, weigh
from memtop.diagnosis.remarks import remarks_of
from memtop.diagnosis.sentences import (
    against,
    denial,
    headline,
    supporting,
    was_measured,
    why_not,
)

WORTH_SAYING = 0.1
# What everybody suspects first.
ASKED: tuple[Cause, ...] = (
    "python_objects",
    "arena_fragmentation",
    "arena_retention",
    "native",
    "big_blocks",
)


def diagnose(evidence: Evidence) -> tuple[Finding, ...]:
    """The findings, the likeliest first; never empty. Nothing is read and nothing changed."""
    figures = Figures(evidence)
    weighed = [one for one in weigh(figures) if one.confidence >= WORTH_SAYING]
    best = weighed[0].confidence if weighed else 0.0
    if best < TELL:
        weighed.insert(0, Weighed("unknown", round(max(best, 1.0 - best), 3), ()))
    leading = weighed[0]
    named = {one.cause for one in weighed}
    if figures.rises and figures.came:
        low = Weighed("unknown", 0.0, ())
        asked = [one for one in ASKED if one not in named and was_measured(one, figures)]
        weighed += [low._replace(cause=one) for one in asked]
    return tuple(_finding(one, leading.cause, figures) for one in weighed)


def _finding(one: Weighed, leading: Cause, figures: Figures) -> Finding:
    subject, crowd = figures.evidence.subject, figures.evidence.crowd
    cause, is_first = one.cause, one.cause == leading
    pid, role = subject.pid, subject.role
    if cause in ("many_processes", "capacity") and crowd is not None and crowd.parent_pid != pid:
        pid, role = crowd.parent_pid, crowd.parent_role
    if not (is_first or one.rules):
        return Finding(
            cause, denial(cause, figures), 0.0, pid, role, against=why_not(cause, figures)
        )
    return Finding(
        cause=cause,
        headline=headline(cause, figures),
        confidence=one.confidence,
        pid=pid,
        role=role,
        type=_type(cause, figures),
        supporting=supporting(cause, figures),
        against=against(cause, figures, is_first=is_first),
        missing=lacks_of(cause, figures) if is_first else (),
        next_step=next_step(cause, figures),
        remarks=remarks_of(cause, figures) if is_first else (),
    )


def _type(cause: Cause, figures: Figures) -> str | None:
    """The Python type that dominates, of causes that are about objects."""
    if cause in ("python_objects", "warm_up", "sawtooth"):
        if figures.counts is not None and (grown := grown_type(figures)):
            return grown.name
        most = main_type(figures) if cause == "python_objects" else None
        return most.name if most is not None else None
    if cause == "big_blocks" and (owner := main_owner(figures)) is not None:
        return owner.name if owner.name != NOBODY else None
    return None
