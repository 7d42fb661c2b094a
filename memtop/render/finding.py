"""What a diagnosis has found, and its first finding in a line or two.

What, with the figure that proves it, then `→` the next step. Lines of cells with roles; nothing
here knows a terminal, and nothing concludes anything. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from memtop.render.cells import Cell, cut
from memtop.render.escape import cells as cell_width
from memtop.render.escape import fit, visible
from memtop.render.sight import INDENT, Sight, said
from memtop.units import clock

if TYPE_CHECKING:  # what concludes is imported when somebody asks why
    from memtop.diagnosis.finding import Finding

BRIEF_LINES = 2  # of a sentence at the end of another pane
GROWING = ("leak", "rising")
SIGNS = {
    "many_processes": ("≡", "rising"),
    "capacity": ("▲", "rising"),
    "page_cache": ("~", "text"),
    "warm_up": ("~", "text"),
    "sawtooth": ("~", "text"),
    "steady": ("=", "faint"),
}
# What a trend says as well: without a look inside these are no answer to `why`.
MOVES = frozenset(("unknown", "steady", "warm_up", "sawtooth"))
# What is about a cgroup rather than about one process.
AROUND = frozenset(("capacity", "page_cache", "shared_memory", "many_processes"))


class Verdict(NamedTuple):
    """The findings, the likeliest first, and what they come from: `looks` inside, at most two that
    are `between_s` apart, `watched_s` of watching; `taken_at` is the moment of the last of it.

    `asked`: somebody has asked, and all that could be looked at was; else it is what was known.
    """

    findings: tuple[Finding, ...]
    taken_at: float
    watched_s: float
    looks: int = 0
    between_s: float = 0.0
    processes: int = 1
    asked: bool = False

    @property
    def first(self) -> Finding:
        """The likeliest."""
        return self.findings[0]

    @property
    def tells(self) -> bool:
        """Whether it says more than the trend does."""
        cause = self.first.cause
        return self.asked or cause not in MOVES or (self.looks > 0 and cause != "unknown")


class Course(NamedTuple):
    """How far a diagnosis is: what is done now, and how long it has watched."""

    words: str
    done_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class Reasons(Sight):
    """What is known of why a process, a group or a cgroup has the memory that it has.

    `course`: it is being found out. `at` is the first line on show, `moves` the keys that move it.
    `labels`: how keys that a finding names are called here; one that is missing does not exist.
    """

    verdict: Verdict | None = None
    course: Course | None = None
    at: int = 0
    moves: str = "↑ ↓"
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def taken_at(self) -> float | None:
        """When the verdict was reached; None before there is one."""
        return None if self.verdict is None else self.verdict.taken_at


def sign_of(finding: Finding, trend: tuple[str, str] = ("", "dim")) -> tuple[str, str]:
    """The sign of a finding with its role; `trend` is that of whom it is about."""
    if sign := SIGNS.get(finding.cause):
        return sign
    if trend[1] in GROWING:
        return trend
    return ("–", "dim") if finding.cause == "unknown" else ("!", "rising")


def one_line(finding: Finding, width: int, trend: tuple[str, str] = ("", "dim")) -> list[Cell]:
    """A finding in one line of `width` cells: how sure it is goes first, then the last clauses."""
    sign, role = sign_of(finding, trend)
    room = max(1, width - INDENT)
    ways = (headline(finding), plain(finding), plain(finding).partition("; ")[0] + ".")
    words = next((one for one in map(visible, ways) if cell_width(one) <= room), visible(ways[-1]))
    return cut([(sign.ljust(INDENT), role), (fit(words, room).rstrip(), tone(finding))], width)


def brief_lines(reasons: Reasons, width: int, room: int = 4) -> list[list[Cell]]:
    """The first finding and its next step for the end of a pane; nothing if it does not tell."""
    verdict = reasons.verdict
    if verdict is None or not verdict.tells or room < 1:
        return []
    first = verdict.first
    words = headline(first)
    if verdict.asked and reasons.is_stale:
        words += f" As of {clock(verdict.taken_at)}."
    made = said(*sign_of(first, reasons.sign), words, tone(first), width)
    step = said("→", "accent", whole(first.next_step), "text", width) if first.next_step else []
    lines = [*_at_most(made, BRIEF_LINES, width), *_at_most(step, BRIEF_LINES, width)]
    if len(lines) <= room:
        return lines
    short = made if len(made) == 1 else [one_line(first, width, reasons.sign)]
    return [*short, *_at_most(step, 1, width)][:room]


def hint_line(reasons: Reasons) -> list[Cell]:
    """The key that tells why, or how far that has come; empty if there is none."""
    if reasons.off or not reasons.key:
        return []
    if reasons.course is not None:
        return [("    ", "dim"), (_course_words(reasons.course), "dim")]
    return [("→".ljust(INDENT), "accent"), (reasons.key, "accent"), (" tells why", "text")]


def _course_words(course: Course) -> str:
    done, total = min(course.done_s, course.total_s), course.total_s
    return f"{course.words}   {done:.0f} of {total:.0f} s"


def headline(finding: Finding) -> str:
    """The headline as a sentence, with how sure it is."""
    if finding.cause == "unknown":
        return plain(finding)
    return f"{plain(finding)[:-1]} ({finding.word})."


def plain(finding: Finding) -> str:
    return whole(finding.headline)


def whole(words: str) -> str:
    """With a capital and a full stop; names such as `malloc_trim` stay as they are."""
    from memtop.diagnosis.words import sentence  # is there already, where there is a finding

    return sentence(words.rstrip("."))


def tone(finding: Finding) -> str:
    return "text" if finding.cause in ("steady", "unknown") else "bright"


def _at_most(lines: list[list[Cell]], most: int, width: int) -> list[list[Cell]]:
    """The first lines of a sentence; that there is more of it is marked."""
    if len(lines) <= most:
        return lines
    sign, (text, role) = lines[most - 1]
    cut_off = fit(f"{text} …", max(1, width - INDENT)).rstrip()
    return [*lines[: most - 1], [sign, (cut_off, role)]]
