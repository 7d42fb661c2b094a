"""What a diagnosis would be surer with: what was not measured, why, and what would measure it."""

from __future__ import annotations

from memtop.diagnosis.figures import Figures
from memtop.diagnosis.finding import Cause, Lack
from memtop.diagnosis.ranking import CACHES

# What is told without a look into the process.
AROUND: tuple[Cause, ...] = ("many_processes", "capacity", "page_cache", "shared_memory")
SHORT_S = 20.0


def lacks_of(cause: Cause, figures: Figures) -> tuple[Lack, ...]:
    """Those that whoever gathered has named, then those that follow from what is there."""
    f, subject = figures, figures.evidence.subject
    named = list(f.evidence.lacks)
    if cause in AROUND or subject.ended:
        return tuple(named)
    again = f"memtop diagnose {subject.pid} --for 60s"
    if f.evidence.watch is None:
        named.append(Lack("how RSS moves", "it was not watched", None, again))
    elif f.watched_s < SHORT_S and not subject.stopped:
        named.append(Lack("how it goes on", "it was watched for a few seconds", None, again))
    if cause in CACHES and f.rises and f.youth > 0.3 and f.watched_s >= SHORT_S:
        longer = f"memtop diagnose {subject.pid} --for 5m"
        named.append(Lack("whether it ends", "it is new", None, longer))
    if any(one.key == "a" for one in f.evidence.lacks):
        return tuple(named)  # without a look there is nothing else to be said
    if f.last is None:
        look = f"memtop anatomy {subject.pid}"
        named.append(Lack("what its memory is made of", "it was not looked into", "a", look))
    elif f.pair is None and f.rises:
        named.append(Lack("what of it grows", "it was looked into once only", "a", again))
    is_counted = f.counts is not None or any(one.key in ("o", "S") for one in named)
    if f.is_python and f.last is not None and f.rises and not is_counted:
        count = f"memtop census {subject.pid}"
        named.append(Lack("which objects grow", "they were not counted twice", "o", count))
    if f.is_python and f.is_foreign and f.share("allocator") > 0.3 and f.last is not None:
        what = f"the blocks of {f.last.allocator}"
        snapshot = f"memtop snapshot {subject.pid} --save FILE"
        named.append(Lack(what, "they are not read", "S", snapshot))
    return tuple(named)
