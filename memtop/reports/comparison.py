"""Two recordings side by side, before and after a fix: who grew then, and whether it still does.

PIDs differ between them, so processes are matched by role and name, groups by their label; the only
main process or worker is matched whatever it is called. Of several that are called alike the one
that grew most stands for all. Sizes in KiB, rates in KiB a
second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from memtop.reports.report import Report
from memtop.reports.slope import Slope
from memtop.reports.subject import Subject
from memtop.reports.words import brief, change, ending, less_than, plural, rate, slope

Outcome = Literal[
    "fixed", "slower", "not fixed", "worse", "new", "not known", "lower", "higher", "steady", "gone"
]  # fmt: skip
ORDER: tuple[Outcome, ...] = (
    "not fixed", "slower", "worse", "new", "higher",
    "not known", "fixed", "lower", "gone", "steady",
)  # fmt: skip
SAME = 0.8  # of a rate: no less is no change
EXCLUDES = 0.5  # of the rate before: a plateau that excludes no more than that proves nothing
LEAST_KIB, HALF = 4096, 0.5  # a rise that does not go on matters; the other one is so much less
LONGEST_KEY = 60
NAMED_BY_ROLE = ("main", "worker")
_Key = tuple[bool, str | None, str]


class Pair(NamedTuple):
    """One that is in both recordings, or in one of them: None is not there.

    `rate_before` and `rate_after` are the slopes that count.
    """

    name: str
    role: str | None
    is_group: bool
    before: Subject | None
    after: Subject | None
    outcome: Outcome

    @property
    def rate_before(self) -> Slope | None:
        """How fast it grew before, if it did."""
        return self.before.shown if self.before is not None and self.before.grows else None

    @property
    def rate_after(self) -> Slope | None:
        """How fast it grows after, if it does."""
        return self.after.shown if self.after is not None and self.after.grows else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both reports, and the pairs, those first of which something is to be said.

    `is_swapped`: what is called before was recorded after the other one.
    """

    before: Report
    after: Report
    pairs: tuple[Pair, ...]
    is_swapped: bool

    @property
    def headline(self) -> str:
        """Whether the fix helped, in a sentence with figures."""
        return _headline(self)


def compare(before: Report, after: Report) -> Comparison:
    """Match who is in them, and judge each pair."""
    old, new = _by_key(before), _by_key(after)
    renamed = _renamed(old, new)
    pairs = [_pair(key, one, new.pop(renamed.get(key, key), None)) for key, one in old.items()]
    pairs += [_pair(key, None, one) for key, one in new.items()]
    pairs.sort(key=_order)
    begin, end = before.first_at, after.last_at
    swapped = begin is not None and end is not None and begin >= end
    return Comparison(before, after, tuple(pairs), swapped)


def _renamed(old: dict[_Key, Subject], new: dict[_Key, Subject]) -> dict[_Key, _Key]:
    """Who has another name after: the only one of its role, in both, that has no namesake."""
    made: dict[_Key, _Key] = {}
    for role in NAMED_BY_ROLE:
        gone = [key for key in old if key[:2] == (False, role) and key not in new]
        come = [key for key in new if key[:2] == (False, role) and key not in old]
        if len(gone) == len(come) == 1:
            made[gone[0]] = come[0]
    return made


def _by_key(report: Report) -> dict[_Key, Subject]:
    found: dict[_Key, Subject] = {}
    subjects: Iterable[Subject] = (*report.groups, *report.processes)
    for one in subjects:
        key = (one.kind == "group", one.role, brief(one.name, LONGEST_KEY))
        known = found.get(key)
        if known is None or _weight(one) > _weight(known):
            found[key] = one
    return found


def _weight(one: Subject) -> tuple[bool, float, int]:
    return one.grows, one.rate_kib_s or 0.0 if one.grows else 0.0, one.change_kib


def _pair(key: _Key, before: Subject | None, after: Subject | None) -> Pair:
    is_group, role, name = key
    if before is not None and after is not None and brief(after.name, LONGEST_KEY) != name:
        name = f"{name} → {brief(after.name, LONGEST_KEY)}"
    return Pair(name, role, is_group, before, after, _outcome(before, after))


def _outcome(before: Subject | None, after: Subject | None) -> Outcome:
    if before is None:
        return "new" if after is not None and after.grows else "steady"
    if after is None:
        return "gone" if before.grows else "steady"
    if after.grows:
        if not before.grows:
            return "worse"
        then, now = before.shown, after.shown
        if then is None or now is None:
            return "not fixed"
        slower = now.kib_s < SAME * then.kib_s and now.high < then.low
        return "slower" if slower else "not fixed"
    if not before.grows:
        return _risen(_rise(before), _rise(after))
    if after.final.word == "falling":
        return "fixed"
    then = before.shown
    if after.final.word != "plateau" or after.final.below is None or then is None:
        return "not known"
    return "fixed" if after.final.below <= EXCLUDES * then.kib_s else "not known"


def _rise(one: Subject) -> int:
    return one.highest_kib - one.first_kib


def _risen(then: int, now: int) -> Outcome:
    """Of one that does not grow in the end: whether it rose less far, as a stair of a test does."""
    if then >= LEAST_KIB and now <= HALF * then:
        return "lower"
    return "higher" if now >= LEAST_KIB and then <= HALF * now else "steady"


def _order(pair: Pair) -> tuple[int, bool, float]:
    rates = [one.kib_s for one in (pair.rate_before, pair.rate_after) if one is not None]
    return ORDER.index(pair.outcome), pair.is_group, -max(rates, default=0.0)


def _headline(comparison: Comparison) -> str:
    if comparison.before.first_at is None or comparison.after.first_at is None:
        which = "before" if comparison.before.first_at is None else "after"
        return f"Nothing can be compared: the recording of {which} has no sample."
    telling = [one for one in comparison.pairs if one.outcome != "steady" and not one.is_group]
    telling = telling or [one for one in comparison.pairs if one.outcome != "steady"]
    if not telling:
        return _alike(comparison)
    first = max(telling, key=_loudness)
    text = _judgement(first)
    others = [one for one in telling if one is not first and one.outcome != "gone"]
    if not others:
        return text
    counts: dict[str, int] = {}
    for one in others:
        counts[one.outcome] = counts.get(one.outcome, 0) + 1
    besides = ", ".join(f"{number} {outcome}" for outcome, number in counts.items())
    return f"{text.rstrip('.')}; besides {besides}."


def _alike(comparison: Comparison) -> str:
    """That nothing differs; and by how much it rose both times, if it did."""
    text = "No difference: nothing grows in either recording"
    both = [(one.name, one.before, one.after) for one in comparison.pairs if not one.is_group]
    risen = [
        (name, _rise(then), _rise(now))
        for name, then, now in both
        if then is not None and now is not None and min(_rise(then), _rise(now)) >= LEAST_KIB
    ]
    if not risen:
        return f"{text}."
    name, then, now = max(risen, key=lambda one: one[2])
    words = [change(one).lstrip("+") for one in (then, now)]
    return f"{text}; {name} rose by {words[0]} then, by {words[1]} now."


def _loudness(pair: Pair) -> float:
    rates = [one.kib_s for one in (pair.rate_before, pair.rate_after) if one is not None]
    return max(rates, default=0.0)


def _judgement(pair: Pair) -> str:
    name = f"{pair.role} {pair.name}" if pair.role not in (None, "other") else pair.name
    was = "" if pair.rate_before is None else rate(pair.rate_before.kib_s)
    still = "" if pair.rate_after is None else slope(pair.rate_after)
    texts = {
        "fixed": f"Fixed: {name} was {was}, now {_now(pair)}.",
        "slower": f"Slower, not fixed: {name} was {was}, still {still}.",
        "not fixed": f"Not fixed: {name} was {was}, still {still or 'growing'}.",
        "worse": f"Worse: {name} did not grow before, now {still or 'it does'}.",
        "new": f"{name} grows {still}; before there was none of that name.",
        "not known": f"Not known whether it is fixed: {name} was {was}, now {_now(pair)}.",
        "lower": f"Lower: {name} {_rose(pair.before)}, now by {_by(pair.after)}; neither goes on.",
        "higher": f"Higher: {name} rose by {_by(pair.before)}, now it {_rose(pair.after)}.",
        "gone": f"{name} was {was}; after there is none of that name.",
    }
    return texts.get(pair.outcome, "")


def _by(one: Subject | None) -> str:
    return change(_rise(one)).lstrip("+") if one is not None else ""


def _rose(one: Subject | None) -> str:
    """By how much, and in how many steps if it was in steps."""
    steps = f" in {plural(len(one.steps), 'step')}" if one is not None and one.steps else ""
    return f"rose by {_by(one)}{steps}"


def _now(pair: Pair) -> str:
    if pair.after is None:
        return ""
    final = pair.after.final
    if final.word == "plateau" and final.below is not None:
        short = "" if pair.outcome == "fixed" else ", which is too coarse to tell"
        return f"a plateau ({less_than(final.below)}{short})"
    return ending(final)


def lines_of(comparison: Comparison, most: int) -> Sequence[Pair]:
    """The pairs that are worth a line."""
    return [one for one in comparison.pairs if one.outcome != "steady"][:most]
