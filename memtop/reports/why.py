"""Why, as a section of a report: the conclusion that leads with its reasons, and what is besides.

Nothing is concluded here. That nobody looked inside is said as that, and not as a cause.
"""

from __future__ import annotations

from collections.abc import Iterator

from memtop.diagnosis.words import sentence
from memtop.render.finding import MOVES
from memtop.reports.blocks import Block, Head, Listed
from memtop.reports.findings import Conclusion
from memtop.reports.headline import leading_of
from memtop.reports.report import Report
from memtop.reports.words import moment

WHY = 2  # sentences for and against
LIKELY = 0.6


def why_of(report: Report) -> Iterator[Block]:
    """The conclusion that leads, with its reasons, and the headlines of the others."""
    if not report.conclusions:
        return
    leading = leading_of(report) or report.conclusions[0]
    first = leading.verdict.first
    yield Head("Why")
    is_told = leading.was_asked and leading is leading_of(report)  # the headline of the report
    items = [("", f"D{_whence(leading)[1:]}:" if is_told else _claim(leading))]
    is_unseen = first.cause == "unknown" and not leading.was_asked and not leading.verdict.looks
    supporting = () if is_unseen else first.supporting[:WHY]
    items += [("for" if n == 0 else "", text) for n, text in enumerate(supporting)]
    items += [("against" if n == 0 else "", text) for n, text in enumerate(first.against[:WHY])]
    items += [("also" if n == 0 else "", text) for n, text in enumerate(first.remarks[:WHY])]
    for number, lack in enumerate(() if is_unseen else first.missing[:WHY]):
        items.append(("not known" if number == 0 else "", f"{lack.what}: {lack.reason}"))
    if first.next_step:
        items.append(("next", first.next_step))
    for one in report.conclusions:
        other = one.verdict.first
        if one is not leading and other.cause not in MOVES and other.confidence >= LIKELY:
            items.append(("besides", _claim(one)))
    yield Listed(tuple(items))


def _claim(one: Conclusion) -> str:
    """What is concluded, how surely, and from what; that nobody looked is no conclusion."""
    first = one.verdict.first
    words = sentence(first.headline.rstrip("."))[:-1]
    if first.cause == "unknown" and not one.was_asked and not one.verdict.looks:
        return f"{words}."
    return f"{words} ({first.word}), {_whence(one)}"


def _whence(one: Conclusion) -> str:
    if one.was_asked:
        return f"diagnosed {moment(one.at)[11:]}"
    return "from the recording"
