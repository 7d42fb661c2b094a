"""The first sentence of a report: who grows, how fast and what it is made of, or what else it is.

Every figure in it was measured in this recording; what is not known is said to be so.
"""

from __future__ import annotations

from memtop import units
from memtop.anatomy.result import Anatomy
from memtop.model.marks import NEAR_S
from memtop.render.finding import MOVES
from memtop.reports.findings import Conclusion
from memtop.reports.inside import Inside
from memtop.reports.moments import Holder
from memtop.reports.report import Report
from memtop.reports.stairs import Step
from memtop.reports.subject import Subject
from memtop.reports.words import (
    brief,
    change,
    ending,
    less_than,
    moment,
    plural,
    rate,
    resting,
    slope,
    span,
    step_moment,
    who,
)

SURE = ("almost sure", "likely")
RESTS = ("plateau", "falling")
LEAST_STEP_KIB = 4096
MOST_STEPS = 4
UNEQUAL = 1.5
ALMOST = 0.8  # sure
PARTS = 2  # that are named of what a process is made of
LEAST_SHARE = 0.1


def headline_of(report: Report) -> str:
    """What was diagnosed when it was recorded, if that tells; else what the recording says."""
    leading = leading_of(report)
    if leading is not None and leading.was_asked:
        first = leading.verdict.first
        return f"{_sentence(first.headline.rstrip('.'))} ({first.word})."
    return summary_of(report)


def leading_of(report: Report) -> Conclusion | None:
    """The conclusion that says more than what moves; None if there is none."""
    grown = {one.identity for one in report.processes if one.grows}
    telling = [one for one in report.conclusions if one.verdict.first.cause not in MOVES]
    if grown:  # then what may also be is not the answer
        telling = [
            one
            for one in telling
            if one.identity in grown or one.was_asked or one.verdict.first.confidence >= ALMOST
        ]
    # Who grows at the end is of more interest than who was asked about last.
    telling.sort(key=lambda one: (not one.was_asked, one.identity not in grown))
    return telling[0] if telling else None


def summary_of(report: Report) -> str:
    """What the recording itself says, in a sentence."""
    if report.first_at is None:
        return "Nothing was recorded: there is no sample in this file."
    growing = [one for one in report.subjects if one.kind == "process" and one.grows]
    sure = [one for one in growing if one.surety[0] in SURE]
    ways = [
        _growth(sure, report) if sure else "",
        _capacity(report),
        _crowd(report),
        _growth(growing, report) if growing else "",
        _killed(report),
        _steps(report),
        _stairs(report),
        _plateau(report),
        _steady(report),
    ]
    return _sentence(next(way for way in ways if way)) + "."


def _growth(growing: list[Subject], report: Report) -> str:
    first = growing[0]
    shown = first.shown
    how = slope(shown) if shown is not None else "how fast is not known"
    living = [one for one in growing if one.ended_at is None]
    growing = living or growing
    ended = moment(first.ended_at)
    when = "to the end" if first.ended_at is None else f"until it ended {ended}"
    if shown is not None and shown is first.final.slope and shown.seconds < first.seconds / 2:
        when = f"in its last {span(shown.seconds)}, {when}"
    sizes = f"{units.size(first.first_kib)} → {units.size(first.last_kib)}"
    grows = "grows" if first.ended_at is None else "grew"
    words = f"{who(first)} {grows} {how}, {when}: {sizes} in {span(first.seconds)}"
    if len(growing) > 1:
        rates = [one.rate_kib_s for one in growing if one.rate_kib_s is not None]
        words = (
            f"{plural(len(growing), 'process', 'processes')} "
            f"{'grow' if living else 'grew'}, together {rate(sum(rates))}; "
            f"the fastest, {who(first)}: {how}, {when}"
        )
    if not living and all(one.final.word in RESTS for one in report.processes if one.lives):
        words += "; whoever lives at the end does not grow"
    leading = leading_of(report)
    if leading is not None and leading.was_asked and leading.identity == first.identity:
        return words  # what it is made of is what was diagnosed
    return f"{words}; {made_of(report, first)}"


def made_of(report: Report, one: Subject) -> str:
    """What is known of what a process is made of."""
    seen = next((each for each in report.inside if each.identity == one.identity), None)
    if seen is None or (seen.last is None and seen.last_objects is None):
        return "what it is made of is not known, nobody looked inside"
    return "; ".join(inside_words(seen))


def inside_words(seen: Inside) -> list[str]:
    """What two looks say has come, else what one look says there is; and of objects which."""
    words = []
    difference, growth = seen.difference, seen.growth
    if difference is not None:
        came = [part for part in difference.changes if part.bytes > 0][:PARTS]
        parts = " and ".join(f"{part.label} {change(part.bytes / 1024)}" for part in came)
        whole = change(difference.rss_bytes / 1024)
        words.append(
            f"between two looks {span(difference.seconds)} apart it changed by {whole}"
            + (f": {parts}" if parts else "")
        )
    elif seen.last is not None:
        words.append(f"it is made of {_parts(seen.last)} (one look)")
    if growth is not None and growth.types:
        most = [one for one in growth.types if one.bytes > 0][:PARTS]
        if most:
            kinds = " and ".join(
                f"{one.type} {units.signed(one.count, 0)} ({change(one.bytes / 1024)})"
                for one in most
            )
            words.append(f"objects: {kinds}")
    return words or ["it was counted once, what came is not known"]


def _parts(look: Anatomy) -> str:
    parts = sorted(look.parts, key=lambda part: -part.bytes)[:PARTS]
    shown = [part for part in parts if part.bytes >= LEAST_SHARE * max(1, look.rss_bytes)]
    return " and ".join(f"{part.label} ({units.size(part.bytes / 1024)})" for part in shown)


def _capacity(report: Report) -> str:
    for room in report.rooms:
        capacity = room.limit.capacity
        if capacity is None or not capacity.warns:
            continue
        limit = units.size(capacity.limit_bytes / 1024)
        worst = units.size(capacity.worst_child_bytes / 1024)
        taken = units.size(capacity.taken_bytes / 1024)
        children = plural(capacity.children, "child", "children")
        kills = sum(one.kills for one in report.kills if one.cgroup == capacity.bound_by)
        after = f"; {plural(kills, 'OOM kill')}" if kills else ""
        return (
            f"{room.name} has a limit of {limit}: {taken} and {children} of at worst {worst} "
            f"({capacity.worst_child_from}), {capacity.fits_total} would fit, "
            f"{capacity.fits_more} more{after}"
        )
    return ""


def _crowd(report: Report) -> str:
    crowds = [
        one
        for one in report.groups
        if one.members is not None
        and one.members.finding == "many-processes"
        and one.members.growing == 0
        and one.highest_kib - one.first_kib >= max(LEAST_STEP_KIB, abs(one.first_kib) // 4)
    ]
    if not crowds:
        return ""
    first = max(crowds, key=lambda one: one.highest_kib - one.first_kib)
    assert first.members is not None
    holder = None
    if report.highest is not None:
        holder = next((one for one in report.highest.holders if one.group == first.group), None)
    most = first.members.most
    if holder is not None:
        return (
            f"many processes, none of which grows: {many(holder)} of {brief(first.name)} at "
            f"{moment(report.highest.at if report.highest else None)}"
        )
    return (
        f"many processes, none of which grows: {most} of {brief(first.name)} held "
        f"{units.size(first.highest_kib)} at {moment(first.highest_at)}"
    )


def many(one: Holder) -> str:
    """How many, and how large on average; of unequal ones, how large the largest is."""
    if one.largest_kib > UNEQUAL * one.average_kib:
        whole, most = units.size(one.kib), units.size(one.largest_kib)
        return f"{whole} in {one.processes}, the largest {most}:"
    return f"{one.processes} × {units.size(one.average_kib)} = {units.size(one.kib)}"


def _killed(report: Report) -> str:
    known = [one for one in report.kills if one.victims and one.is_near]
    if not known:
        return ""
    last = known[-1]
    victim = max(last.victims, key=lambda one: one.rss_kib or 0)
    times = plural(sum(one.kills for one in known), "OOM kill")
    size = units.size(victim.rss_kib)
    return f"{times}: {brief(victim.name)} {victim.pid} died with {size} at {moment(last.at)}"


def _steps(report: Report) -> str:
    """Which marks the largest steps came with."""
    steps = [
        (one.rose_kib, stretch.text, one, stretch.begin)
        for stretch in report.stretches
        for one in stretch.changes
        if stretch.text and one.rose_kib >= LEAST_STEP_KIB
    ]
    if not steps:
        return ""
    steps.sort(key=lambda step: -step[0])
    subject = steps[0][2].subject
    own = [step for step in steps if step[2].subject is subject]
    largest = sorted(own[:MOST_STEPS], key=lambda step: step[3])
    told = ", ".join(f"{change(kib)} with “{text}”" for kib, text, _, _ in largest)
    rose = "rose in steps" if subject.steps or len(own) > 1 else "rose"
    return f"{who(subject)} {rose}: {told}; {_in_the_end(subject)}"


def _stairs(report: Report) -> str:
    """Who rose in steps, where no mark says what came with them."""
    risen = [one for one in report.subjects if one.kind == "process" and one.steps]
    most = max(risen, key=lambda one: sum(step.kib for step in one.steps), default=None)
    if most is None or sum(step.kib for step in most.steps) < LEAST_STEP_KIB:
        return ""
    told = ", ".join(step_words(report, step) for step in most.steps[-MOST_STEPS:])
    number = len(most.steps)
    last = f", the last {MOST_STEPS}" if number > MOST_STEPS else ""
    return f"{who(most)} rose in {plural(number, 'step')}{last}: {told}; {_in_the_end(most)}"


def step_words(report: Report, step: Step) -> str:
    """How large a step is, and with which mark it came, or when."""
    near = [one for one in report.stretches if one.text and one.begin <= step.at + NEAR_S]
    size = change(step.kib)
    if near and step.at <= near[-1].end:
        return f"{size} with “{near[-1].text}”"
    return f"{size} {step_moment(step)}"


def _in_the_end(one: Subject) -> str:
    """What it has at the end, and since when."""
    end = units.size(one.last_kib)
    if one.ended_at is not None:
        return f"when it ended it had {end}"
    return f"at the end it has {end}" + (f", {rest}" if (rest := resting(one)) else "")


def _plateau(report: Report) -> str:
    risen = [one for one in report.subjects if one.kind == "process" and one.moved]
    risen = [one for one in risen if one.highest_kib - one.first_kib >= LEAST_STEP_KIB]
    if not risen:
        return ""
    most = max(risen, key=lambda one: one.highest_kib - one.first_kib)
    fell = "" if most.last_kib >= 0.9 * most.highest_kib else f", has {units.size(most.last_kib)}"
    if most.ended_at is not None:
        return (
            f"nothing grows at the end; {who(most)} went from {units.size(most.first_kib)} up to "
            f"{units.size(most.highest_kib)} and ended {moment(most.ended_at)[11:]}"
        )
    known = "nothing grows at the end"
    if most.final.word in ("unsure", "short"):
        known = "nothing is known to grow at the end"
    if most.trend == "sawtooth" and most.final.word == "unsure":
        return (
            f"{known}; {who(most)} goes up and down between {units.size(most.lowest_kib)} and "
            f"{units.size(most.highest_kib)}, its floor is {ending(most.final)}"
        )
    return (
        f"{known}; {who(most)} went from {units.size(most.first_kib)} up to "
        f"{units.size(most.highest_kib)}{fell} and is now: {ending(most.final)}"
    )


def _steady(report: Report) -> str:
    number = plural(sum(one.ended_at is None for one in report.processes), "process", "processes")
    bounds = [one.final.below for one in report.processes if one.final.below is not None]
    sure = f", {less_than(max(bounds))} each" if bounds and max(bounds) < 1024 else ""
    if report.samples < 20:
        sure = f", as far as {plural(report.samples, 'sample')} can tell"
    return (
        f"nothing grows: {number} with {units.size(report.total_kib)} together, for "
        f"{span(report.seconds)}{sure}"
    )


def _sentence(words: str) -> str:
    """With a capital, unless it begins with a name or a figure."""
    first = words.partition(" ")[0]
    plain = first.isalpha() and first in ("nothing", "many", "worker", "main")
    return words[:1].upper() + words[1:] if plain else words
