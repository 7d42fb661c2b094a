"""A report as a sheet of blocks, short for somebody tired: what grows first, what rests in a line.

Nothing is computed here. Sections that have nothing to tell are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from memtop import units
from memtop.model.trends import GROWING
from memtop.reports.blocks import Block, Head, Listed, Picture, Say, Table
from memtop.reports.headline import (
    headline_of,
    inside_words,
    many,
    step_words,
    summary_of,
)
from memtop.reports.moments import Stretch
from memtop.reports.report import Report
from memtop.reports.subject import Subject
from memtop.reports.why import why_of
from memtop.reports.words import (
    brief,
    change,
    moment,
    plural,
    rate,
    settling,
    slope,
    span,
    who,
)

MOST_LINES = 10  # subjects in the table
MOST_CHANGES = 4  # of one mark
MOST_KILLS = 5
MOST_ROOMS = 4
MOST_GAPS = 3
FINDINGS = {
    "one-grows": "one grows",
    "many-grow": "many grow",
    "many-processes": "many processes, none grows",
    "steady": "none grows",
}


def sheet_of(report: Report, pictures: Sequence[Picture] = ()) -> list[Block]:
    """All blocks of a report."""
    return [
        *_top(report),
        *why_of(report),
        *_grown(report),
        *_highest(report),
        *_marks(report),
        *_actions(report),
        *_inside(report),
        *_limits(report),
        *_kills(report),
        *_made(report),
        *_pictures(pictures),
    ]


def _top(report: Report) -> Iterator[Block]:
    yield Head(f"memtop report: {report.name}", 1)
    yield Say(when(report))
    if report.damage:
        yield Say(f"{report.damage}. This is about what could be read.", True)
    headline, summary = headline_of(report), summary_of(report)
    yield Say(headline, True)
    if summary != headline:
        yield Say(summary)


def when(report: Report) -> str:
    """When and where it was recorded."""
    if report.first_at is None:
        return "Recorded: no sample."
    host = report.runs[-1].host if report.runs else units.UNKNOWN
    return (
        f"{moment(report.first_at)} to {moment(report.last_at)} ({span(report.seconds)}), "
        f"{plural(report.samples, 'sample')}, "
        f"{plural(len(report.processes), 'process', 'processes')}, on {host}"
    )


# -- what grew -----------------------------------------------------------------------------


def _grown(report: Report) -> Iterator[Block]:
    if report.first_at is None:
        return
    subjects = report.subjects
    shown = subjects[:MOST_LINES]
    yield Head("What grew")
    if shown:
        rows = tuple(_row(one) for one in shown)
        headings = ("PID", "process", "begin → end", "said", "slope", "last quarter")
        yield Table(headings, rows, frozenset((0,)), flexible=1)
        if notes := [*_surety(shown), *_steps(report, shown), *_births(shown)]:
            yield Listed(tuple(notes))
    lines = []
    if more := subjects[MOST_LINES:]:
        growing = sum(one.grows for one in more)
        names = "grow" if growing == len(more) else f"changed, {growing} of them grow"
        lines.append(f"{len(more)} more {names}, by {change(sum(o.change_kib for o in more))}")
    if steady := report.steady:
        size = units.size(sum(one.last_kib for one in steady))
        lines.append(f"{len(steady)} {'more, all ' if shown else ''}steady ({size})")
    ended = sum(one.ended_at is not None for one in report.processes)
    if ended:
        lines.append(f"{plural(ended, 'process', 'processes')} ended meanwhile")
    if lines:
        yield Say("; ".join(lines) + ".")


def _row(one: Subject) -> tuple[str, ...]:
    pid = f"{one.members.end} ×" if one.members is not None else str(one.pid)
    shown = one.slope
    steps = plural(len(one.steps), "step")
    told = shown is not None and (one.grows or shown.low > 0 or shown.high < 0)
    if one.members is not None and _is_crowd(one):
        told = False
    return (
        pid,
        brief(one.name, 32),
        _sizes(one),
        _said(one),
        f"{steps}, no slope" if one.steps else slope(shown) if told and shown else units.UNKNOWN,
        units.UNKNOWN if _is_crowd(one) else settling(one),
    )


def _sizes(one: Subject) -> str:
    """From what to what, and how much it was at most if that is more."""
    text = f"{units.size(one.first_kib)} → {units.size(one.last_kib)}"
    is_more = one.highest_kib > 1.1 * max(one.first_kib, one.last_kib)
    return f"{text} (≤ {units.size(one.highest_kib)})" if is_more else text


def _said(one: Subject) -> str:
    if one.members is not None:
        return FINDINGS.get(one.members.finding, one.members.finding)
    words = one.trend
    if one.trend == "leak-like" and one.leak_at is not None:
        words += f" {units.duration(one.last_at - one.leak_at)}"
    return f"{words}, ended" if one.ended_at is not None else words


def _surety(subjects: Sequence[Subject]) -> Iterator[tuple[str, str]]:
    """How sure it is that they grow, or do not any more, and why; alike ones together."""
    alike: dict[tuple[str, str], list[str]] = {}
    for one in subjects:
        if one.grows or one.trend in GROWING or one.leak_at is not None:
            word, reason = one.surety
            if word:
                alike.setdefault((word, reason), []).append(str(one.pid))
    for (word, reason), pids in alike.items():
        yield word, f"{', '.join(pids)}: {reason}"
    for one in subjects:
        if (one.swap_kib or 0) >= 1024:
            yield "swap", f"{who(one)} has {units.size(one.swap_kib)} more in swap"


def _steps(report: Report, subjects: Sequence[Subject]) -> Iterator[tuple[str, str]]:
    """When each step came, how large it is, and with which mark."""
    seen = {one.group for one in subjects if one.members is None and one.steps}
    for one in subjects:
        if one.steps and (one.members is None or one.group not in seen):
            told = ", ".join(step_words(report, step) for step in one.steps)
            yield "steps", f"{one.pid or brief(one.name)}: {told}"


def _births(subjects: Sequence[Subject]) -> Iterator[tuple[str, str]]:
    """What the sums of groups have changed by."""
    for one in subjects:
        members = one.members
        if members is None or not (members.births or members.deaths):
            continue
        births, deaths = plural(members.births, "birth"), plural(members.deaths, "death")
        if members.births and not members.born_kib:
            births += ", none of which is left"
        elif members.births:
            births += f" {change(members.born_kib)}"
        if members.died_kib:
            deaths += f" {change(members.died_kib)}"
        yield (
            f"{members.end} ×",
            f"{brief(one.name)}: {members.begin} at first, {members.most} at most; "
            f"{births}, {deaths}, "
            f"growth of those who stayed {change(members.grown_kib)}",
        )


def _is_crowd(one: Subject) -> bool:
    """Whether births and deaths explain most of a group's change."""
    members = one.members
    if members is None:
        return False
    moved = max(abs(members.born_kib), abs(members.died_kib))
    return bool(members.births or members.deaths) and moved >= abs(members.grown_kib)


# -- moments -------------------------------------------------------------------------------


def _highest(report: Report) -> Iterator[Block]:
    highest = report.highest
    if highest is None:
        return
    yield Head("Highest")
    items = [
        (
            moment(highest.at)[11:],
            f"{units.size(highest.rss_kib)} in {plural(highest.processes, 'process', 'processes')}",
        )
    ]
    for number, one in enumerate(highest.holders):
        if number and one.kib < 0.05 * highest.rss_kib:
            continue
        since = f", since {moment(one.since_at)[11:]}" if one.since_at is not None else ""
        if one.group is not None:
            items.append(("", f"{many(one)} {brief(one.name)}{since}"))
        else:
            items.append(("", f"{units.size(one.kib)} {brief(one.name)} {one.pid}{since}"))
    rise = report.largest_rise
    if rise is not None and rise[1].rss_kib - rise[0].rss_kib >= 4096:
        low, high = rise
        items.append(
            (
                "fastest",
                f"{change(high.rss_kib - low.rss_kib)} in {span(high.at - low.at)} from "
                f"{moment(low.at)[11:]}",
            )
        )
    yield Listed(tuple(items))


def _marks(report: Report) -> Iterator[Block]:
    if not report.stretches:
        return
    yield Head("From mark to mark")
    rows = []
    for one in report.stretches:
        if not one.text and not one.changes and abs(one.change_kib or 0) < 1024:
            continue
        rows.append(
            (
                moment(one.begin)[11:],
                one.text or "before the first mark",
                change(one.change_kib),
                "; ".join(change_words(one)) or "nothing worth a word",
            )
        )
    yield Table(("from", "mark", "all", "which took it"), tuple(rows), frozenset((2,)), flexible=1)


def change_words(stretch: Stretch) -> list[str]:
    """What the processes and groups did in a stretch, those that did most first."""
    words = []
    for one in stretch.changes[:MOST_CHANGES]:
        if one.fell_kib >= 512 and one.rose_kib >= 512:
            what = f"{change(one.rose_kib)}, then {change(-one.fell_kib)}"
        else:
            what = change(one.change_kib)
        words.append(f"{who(one.subject)}: {what}")
    if len(stretch.changes) > MOST_CHANGES:
        words.append(f"{len(stretch.changes) - MOST_CHANGES} more")
    return words


def _actions(report: Report) -> Iterator[Block]:
    if not report.actions:
        return
    yield Head("Actions")
    rows = []
    for one in report.actions:
        before, after = (
            units.size(None if size is None else size / 1024)
            for size in (one.before_bytes, one.after_bytes)
        )
        back = units.size(None if one.returned_bytes is None else one.returned_bytes / 1024)
        name = f"{one.action} {brief(one.name or '')} {one.pid or ''}".replace("  ", " ").strip()
        rows.append((moment(one.at)[11:], name, before, after, back, one.outcome or one.text))
    headings = ("at", "action", "before", "after", "returned", "outcome")
    yield Table(headings, tuple(rows), frozenset((2, 3, 4)), flexible=1)
    meanings = [(moment(one.at)[11:], one.meaning) for one in report.actions if one.meaning]
    if meanings:
        yield Listed(tuple(meanings))


def _inside(report: Report) -> Iterator[Block]:
    if not report.inside and not report.told.lost:
        return
    yield Head("Inside")
    items = []
    for one in report.inside:
        name = f"{brief(one.name)} {one.identity.pid}"
        for number, words in enumerate(inside_words(one)):
            items.append((name if number == 0 else "", words))
        looks = [look for look in (one.first, one.last) if look is not None]
        for look in looks:
            parts = sorted(look.parts, key=lambda part: -part.bytes)[:4]
            named = ", ".join(f"{part.label} {units.size(part.bytes / 1024)}" for part in parts)
            rss = units.size(look.rss_bytes / 1024)
            items.append(("", f"{moment(look.taken_at)[11:]}: {rss}: {named}"))
        if one.growth is not None:
            for each in one.growth.containers[:2]:
                items.append(("", f"{each.name} ({each.kind}): {each.before:,} → {each.after:,}"))
    if report.told.lost:
        lost = plural(report.told.lost, "answer")
        items.append(("not shown", f"{lost} of another version of memtop"))
    yield Listed(tuple(items))


# -- around --------------------------------------------------------------------------------


def _limits(report: Report) -> Iterator[Block]:
    items = []
    for room in report.rooms[:MOST_ROOMS]:
        limit, capacity = room.limit, room.limit.capacity
        most = units.size((limit.limit_bytes or 0) / 1024)
        used = units.size(None if room.used_bytes is None else room.used_bytes / 1024)
        share = f" ({room.share:.0%})" if room.share is not None else ""
        text = f"{used} of {most}{share} at {moment(room.at)[11:]}"
        if limit.rate_bytes_s is not None and abs(limit.rate_bytes_s) >= 1024:
            text += f", {rate(limit.rate_bytes_s / 1024)}"
        if limit.eta_s is not None:
            text += f", full in ≈ {units.about(limit.eta_s)} if that goes on"
        if capacity is not None:
            worst = units.size(capacity.worst_child_bytes / 1024)
            text += f"; {capacity.fits_more} more of {worst} each fit ({capacity.worst_child_from})"
        items.append((brief(room.name), text))
    if len(report.rooms) > MOST_ROOMS:
        items.append(("", f"{plural(len(report.rooms) - MOST_ROOMS, 'more limit')}, less full"))
    if not items and report.why_no_limit:
        items.append(("none", report.why_no_limit))
    if items:
        yield Head("Limits")
        yield Listed(tuple(items))


def _kills(report: Report) -> Iterator[Block]:
    if not report.kills:
        return
    yield Head("OOM kills")
    near = [one for one in report.kills if one.is_near]
    shown = near[-MOST_KILLS:]
    items = []
    for one in shown:
        items.append((moment(one.at)[11:], one.text))
        for victim in one.victims[:3]:
            text = f"{brief(victim.name)} {victim.pid} had {units.size(victim.rss_kib)}"
            if len(victim.fine) > 1:
                (begin, low), (end, high) = victim.fine[0], victim.fine[-1]
                text += (
                    f"; {span(end - begin)} before: {units.size(low)}, then {units.size(high)} "
                    f"({plural(len(victim.fine), 'reading')})"
                )
            items.append(("", text))
    if more := len(near) - len(shown):
        items.append(("", f"{more} before"))
    if others := len(report.kills) - len(near):
        items.append(("elsewhere", f"{others}, of processes that were not recorded"))
    yield Listed(tuple(items))


def _made(report: Report) -> Iterator[Block]:
    yield Head("Recorded with")
    items = []
    for run in report.runs[-3:]:
        how = [f"memtop {run.memtop}", f"every {run.interval_s:g} s"]
        how.append("every change" if run.exact else "changes from 64 KiB on")
        chosen = str(run.settings.get("filter") or "")
        if chosen:
            how.append(f"only what matches “{chosen}” once")
        if run.settings.get("pid"):
            how.append(f"only {run.settings['pid']} and all below")
        if run.settings.get("python"):
            how.append("only Python")
        items.append((moment(run.at)[11:] if len(report.runs) > 1 else "", ", ".join(how)))
    if len(report.runs) > 3:
        items.append(("", f"{len(report.runs)} times in all"))
    for begin, end in report.gaps[:MOST_GAPS]:
        items.append(("not watched", f"{moment(begin)} to {moment(end)}"))
    if len(report.gaps) > MOST_GAPS:
        items.append(("", f"{len(report.gaps) - MOST_GAPS} more gaps"))
    for one in report.inside:
        look = one.last
        if look is not None and look.settings is not None:
            s = look.settings
            fixed = "fixed" if s.is_fixed else "moves"
            arenas = str(s.arena_max) if s.arena_max else "not set"
            items.append(
                (
                    f"malloc of {one.identity.pid}",
                    f"{look.allocator or 'glibc'}: arena_max {arenas}, mmap_threshold "
                    f"{s.mmap_threshold_bytes:,} B ({fixed}), trim_threshold "
                    f"{s.trim_threshold_bytes:,} B",
                )
            )
    yield Listed(tuple(items))


def _pictures(pictures: Sequence[Picture]) -> Iterator[Block]:
    if pictures:
        yield Head("Pictures")
        yield from pictures
