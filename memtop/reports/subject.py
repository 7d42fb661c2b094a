"""A process or a group over a whole recording: its memory, its slope, what was said of it.

Pure values. `grows` is about the end: its floor still rose in the last quarter of the time, which
births do not. Sizes in KiB, times in seconds since the epoch, rates in KiB a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from memtop.model.trends import GROWING
from memtop.model.window import RISE_KIB
from memtop.probe.sample import Identity
from memtop.reports.slope import Final, Slope
from memtop.reports.stairs import Step

MATTERS_KIB, MATTERS_SHARE = 1024, 0.02  # a change that is listed: as much as this,
HEIGHT_SHARE = 0.1  # or a height that went again
BENT = 0.2  # of a slope: it is another one at the end


class Members(NamedTuple):
    """Who was in a group: how many at the begin, at the end and at most, births and deaths.

    The sum changed by what came with the born, went with those who died, and by what those grew
    who were there all the time. `finding` is what was said of it, `growing` how many grow.
    """

    begin: int
    end: int
    most: int
    births: int
    deaths: int
    born_kib: int
    died_kib: int
    grown_kib: int
    finding: str
    growing: int = 0


@dataclass(frozen=True, slots=True)
class Subject:
    """One of them. `identity` is that of a group's parent; `group` the id of its group, or its own.

    `change_kib` is that of its floor, without how it came up if it was born meanwhile; `trend` what
    was said last, `said_since` since when, `leak_at` when `leak-like` was said first. `ended_at`
    None: it lived at the end of the recording. `steps`: the few in which it rose; then it has no
    slope.
    """

    kind: Literal["process", "group"]
    number: int
    identity: Identity | None
    group: str | None
    name: str
    command: str | None
    role: str | None
    framework: str | None
    started_at: float | None
    ended_at: float | None
    first_at: float
    last_at: float
    first_kib: int
    last_kib: int
    lowest_kib: int
    highest_kib: int
    highest_at: float
    change_kib: int
    slope: Slope | None
    final: Final
    trend: str
    said_since: float | None = None
    leak_at: float | None = None
    swap_kib: int | None = None
    members: Members | None = None
    steps: tuple[Step, ...] = ()

    @property
    def lives(self) -> bool:
        """Whether it did at the end of the recording."""
        return self.ended_at is None

    @property
    def seconds(self) -> float:
        """How long it was watched."""
        return self.last_at - self.first_at

    @property
    def pid(self) -> int | None:
        """Its PID; None of a group."""
        return self.identity.pid if self.identity is not None and self.kind == "process" else None

    @property
    def grows(self) -> bool:
        """Whether it still did at the end; of a group: members that were there all the time."""
        if self.members is not None:
            return self.members.growing > 0
        if self.steps:
            return False
        if self.final.word == "short":
            slope = self.slope
            rises = slope is not None and slope.low > 0 and self.change_kib >= MATTERS_KIB
            return self.trend in GROWING or rises
        if self.final.word == "unsure":  # the end alone is too short for what moves so much
            rises = self.slope is not None and self.slope.low > 0
            return rises and self.trend == "leak-like"
        return self.final.word == "growing" and self.change_kib >= RISE_KIB

    @property
    def moved(self) -> bool:
        """Whether its change is worth a line."""
        least = max(MATTERS_KIB, MATTERS_SHARE * max(self.first_kib, self.last_kib))
        height = self.highest_kib - min(self.first_kib, self.last_kib)
        return (
            self.grows
            or self.trend in GROWING
            or abs(self.change_kib) >= least
            or (self.kind == "group" and height >= max(4 * least, HEIGHT_SHARE * self.highest_kib))
        )

    @property
    def rate_kib_s(self) -> float | None:
        """The slope that is meant where only one is told: of the end if it grows there."""
        chosen = self.final.slope if self.grows and self._bent else self.slope
        return None if chosen is None else chosen.kib_s

    @property
    def shown(self) -> Slope | None:
        """The slope with its spread that goes with `rate_kib_s`."""
        return self.final.slope if self.grows and self._bent else self.slope

    @property
    def _bent(self) -> bool:
        """Whether the slope of the end is another one than that of the whole time."""
        whole, last = self.slope, self.final.slope
        if whole is None or last is None:
            return whole is None
        return abs(whole.kib_s - last.kib_s) > BENT * abs(last.kib_s)

    @property
    def surety(self) -> tuple[str, str]:
        """How sure it is that it grows without end, or that it does not: a word, and why.

        Empty of a group: it is told by its members.
        """
        return _surety(self)


SURE = ("almost sure", "likely", "possible")


def order(one: Subject) -> tuple[int, int, float, int]:
    """For sorting: those that grow, then those that grew until they ended, then the others.

    Of each the surest first, of these the fastest, then those with the largest change.

    Rates that are alike to a digit are alike.
    """
    if not one.grows:
        return 2, 0, 0.0, -abs(one.change_kib)
    word, _ = one.surety
    rate = 0.0 if one.members is not None else float(f"{one.rate_kib_s or 0.0:.1g}")
    surely = SURE.index(word) if word in SURE else len(SURE)
    return int(one.ended_at is not None), surely, -rate, -abs(one.change_kib)


def _surety(one: Subject) -> tuple[str, str]:
    said, word = one.trend, one.final.word
    if one.members is not None or one.steps:
        return ("", "")
    if said == "leak-like":
        if word in ("growing", "short"):
            return "almost sure", "it was leak-like to the end, its steps are even"
        if word == "unsure":
            return "likely", "it was leak-like to the end, but moves up and down"
        return "doubtful", "leak-like was said to the end, but in the last quarter its floor rests"
    if said == "rising":
        if word == "growing":
            return "likely", "its floor rises, not yet long enough to be called leak-like"
        return "possible", "it was rising, too young to tell"
    if word == "growing" and one.grows:
        what = f"what was said is {said}" if said != "new" else "nothing was said yet"
        before = "; leak-like was said before" if one.leak_at is not None else ""
        return "possible", f"its floor rose in the last quarter, but {what}{before}"
    if word == "short":
        if one.grows:
            return "possible", "its floor rises, but it was watched too short to tell more"
        return "not known", "it was watched too short to tell"
    if word == "unsure":
        return "not known", "it moves too much to tell"
    if one.leak_at is not None:
        return "likely", "leak-like was said before, its floor rests now"
    return "almost sure", "its floor does not rise any more"
