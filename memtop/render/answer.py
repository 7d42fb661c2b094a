"""The whole answer to why memory is what it is: the cause, what comes next, what speaks for it.

Then what speaks against it, what is not known and what would tell, and the other causes. Lines of
cells with roles; a screen that is too low for it is scrolled. Times are seconds.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from memtop import units
from memtop.render.above import age_ways, apart_ways, dimmed, margined
from memtop.render.cells import Cell, cut, width_of
from memtop.render.escape import fit, visible
from memtop.render.finding import (
    Course,
    Reasons,
    Verdict,
    headline,
    hint_line,
    plain,
    sign_of,
    tone,
    whole,
)
from memtop.render.sight import failure_lines, said

if TYPE_CHECKING:  # what concludes is imported when somebody asks why
    from memtop.diagnosis.finding import Finding, Lack

LABEL = 11  # cells before a sentence, for what it is about
BAR_CELLS = 24


def reasons_lines(reasons: Reasons, width: int, room: int) -> list[list[Cell]]:
    """The body of the pane in at most `room` lines of `width` cells, with a margin of one."""
    inner = max(1, width - 2)
    answer = _answer(reasons, inner)
    lines = [_head(reasons, inner), *([[], *answer] if answer else [])]
    if len(lines) > room > 2:
        first = max(0, min(reasons.at, len(lines) - 1 - (room - 2)))
        more = len(lines) - 1 - first - (room - 2)
        here = lines[1 + first : 1 + first + room - 2]
        lines = [lines[0], *here, _more(reasons.moves, first, more)]
    return [margined(line, width) if line else [] for line in lines[: max(0, room)]]


def most_at(reasons: Reasons, width: int, room: int) -> int:
    """The last line that can be the first on show."""
    below = 1 + len(_answer(reasons, max(1, width - 2)))
    return max(0, below - (room - 2)) if below + 1 > room else 0


def _more(keys: str, above: int, below: int) -> list[Cell]:
    """How many lines are not on show, and which keys move to them."""
    number, where = (below, "below") if below else (above, "above")
    return [(keys, "accent"), (f"   {number} more line{'' if number == 1 else 's'} {where}", "dim")]


def _head(reasons: Reasons, width: int) -> list[Cell]:
    """What the answer comes from and how old it is; while it is found out, how far that is."""
    if reasons.course is not None:
        return _course_line(reasons, reasons.course, width)
    verdict = reasons.verdict
    if reasons.off and (verdict is None or not verdict.asked):
        return [(reasons.off, "dim")]
    right = [[(reasons.key, "accent"), (" watches and looks inside", "dim")], []]
    if verdict is None:
        return apart_ways([[("Nothing is known yet.", "dim")]], right, width)
    if not verdict.asked:
        took = f"watched {units.duration(verdict.watched_s)}, {_looks(verdict)}"
        return apart_ways([[(took, "dim")]], right, width)
    took = f"watched {units.duration(verdict.watched_s)}, {_looks(verdict)}"
    ways = [way for words in (took, _looks(verdict)) for way in age_ways(reasons, words)]
    again = [[(reasons.key, "accent"), (" asks again", "dim")], []]
    is_said = reasons.is_stale or reasons.off or not reasons.key
    return apart_ways(ways, [[]] if is_said else again, width)


def _looks(verdict: Verdict) -> str:
    if verdict.looks == 0:
        return "nobody looked inside"
    if verdict.looks == 1:
        return "one look inside"
    return f"two looks {units.duration(verdict.between_s)} apart"


def _course_line(reasons: Reasons, course: Course, width: int) -> list[Cell]:
    """What is done now, how far it has come, and the key that ends it."""
    done, total = min(course.done_s, course.total_s), course.total_s
    tail: list[Cell] = [(f"   {done:.0f}", "text"), (" of ", "dim"), (f"{total:.0f}", "text")]
    tail += [(" s", "dim"), ("   ", "dim"), ("Esc", "accent"), (" cancel", "dim")]
    words = fit(visible(course.words), min(40, max(12, width // 3))).rstrip()
    size = max(0, min(BAR_CELLS, width - len(words) - width_of(tail) - 4))
    full = round(size * done / total) if total > 0 else 0
    bar: list[Cell] = [("   ", "dim"), ("━" * full, "accent"), ("─" * (size - full), "rule")]
    return cut([(words, "text"), *bar, *tail], width)


def _answer(reasons: Reasons, width: int) -> list[list[Cell]]:
    """All that is to be said, in as many lines as it takes."""
    lines = [] if reasons.failure is None else [*failure_lines(reasons.failure, width), []]
    verdict = reasons.verdict
    if verdict is None:
        return lines
    first, *others = verdict.findings
    sign = sign_of(first, reasons.sign)
    lines += said(*sign, headline(first), tone(first), width)
    if verdict.tells and first.next_step:
        lines += said("→", "accent", whole(first.next_step), "text", width)
    elif reasons.course is None and (hint := hint_line(reasons)):
        lines.append(hint)  # who asks gets to know more than any step could tell
    lines += _sections(first, reasons, width)
    if others:
        lines += [[], [("other causes", "dim")]]
        for one in others:
            lines += _listed(one.word, [_other(one)], width, "dim")
    is_old = reasons.course is not None and verdict.asked
    return [dimmed(line) for line in lines] if is_old or reasons.off else lines


def _sections(finding: Finding, reasons: Reasons, width: int) -> Iterator[list[Cell]]:
    """What speaks for a finding, what against, what else is to be said, what is not known."""
    known = (
        ("for", finding.supporting),
        ("against", finding.against),
        ("also", finding.remarks),
    )
    begun = False
    for label, sentences in known:
        if sentences:
            yield from [] if begun else [[]]
            begun = True
            yield from _listed(label, sentences, width)
    if finding.missing:
        yield []
        for index, lack in enumerate(finding.missing):
            yield from _lack_lines("not known" if index == 0 else "", lack, reasons, width)


def _other(finding: Finding) -> str:
    """Another cause in a sentence or two: what it would be, and why it is less likely."""
    why = " ".join(finding.against) or " ".join(finding.supporting)
    return f"{plain(finding)} {why}".rstrip()


def _listed(
    label: str, sentences: Sequence[str], width: int, role: str = "text"
) -> list[list[Cell]]:
    """Sentences behind their label, each on lines of its own."""
    lines: list[list[Cell]] = []
    for sentence in sentences:
        for piece in _wrapped(sentence, width):
            lines.append([((label if not lines else "").ljust(LABEL), "dim"), (piece, role)])
    return lines


def _lack_lines(label: str, lack: Lack, reasons: Reasons, width: int) -> list[list[Cell]]:
    """What is not known, why, and the key, or else the command, that would tell."""
    lines = _listed(label, [whole(f"{lack.what}: {lack.reason}")], width)
    key = reasons.labels.get(lack.key) if lack.key is not None and not reasons.off else None
    helps = key or lack.command
    if not helps:
        return lines
    arrow: list[Cell] = [(" " * LABEL, "dim"), ("→ ", "accent")]
    if key:
        return [*lines, [*arrow, (key, "accent"), (" would tell", "dim")]]
    pieces = _wrapped(helps, width - 2)
    rest: list[list[Cell]] = [[(" " * (LABEL + 2), "dim"), (one, "text")] for one in pieces[1:]]
    return [*lines, [*arrow, (pieces[0], "text")], *rest]


def _wrapped(words: str, width: int) -> list[str]:
    room = max(8, width - LABEL)
    return textwrap.wrap(visible(words), room, break_on_hyphens=False) or [""]
