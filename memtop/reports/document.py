"""A report as JSON. The names of the fields are a contract; what is unknown is null.

Sizes are bytes, rates bytes per second, times UTC with milliseconds.
"""

from __future__ import annotations

import time
from typing import Any

from memtop import __version__
from memtop.anatomy.report import anatomy_json
from memtop.diagnosis.report import findings_json
from memtop.model.capacity import Capacity
from memtop.probe.parse import as_unicode
from memtop.reports.findings import Conclusion
from memtop.reports.headline import headline_of, summary_of
from memtop.reports.inside import Action, Inside
from memtop.reports.limits import Kill, Room
from memtop.reports.moments import Highest, Stretch
from memtop.reports.report import Report
from memtop.reports.slope import Final, Slope
from memtop.reports.subject import Subject
from memtop.units import iso_utc

MOST_TYPES = 20


def report_json(report: Report) -> dict[str, Any]:
    """The document of a report."""
    return {
        "memtop": __version__,
        "taken_at": iso_utc(time.time()),
        "file": as_unicode(report.name),
        "damage": as_unicode(report.damage),
        "headline": as_unicode(headline_of(report)),
        "summary": as_unicode(summary_of(report)),
        "first_sample_at": _at(report.first_at),
        "last_sample_at": _at(report.last_at),
        "samples": report.samples,
        "runs": [
            {
                "started": _at(run.at),
                "memtop": run.memtop,
                "host": as_unicode(run.host),
                "interval_s": run.interval_s,
                "exact": run.exact,
                "settings": run.settings,
            }
            for run in report.runs
        ],
        "gaps": [{"from": _at(begin), "to": _at(end)} for begin, end in report.gaps],
        "groups": [_group(one) for one in report.groups],
        "processes": [_process(one) for one in report.processes],
        "steady": len(report.steady),
        "highest": None if report.highest is None else _highest(report.highest),
        "marks": [_stretch(one) for one in report.stretches],
        "events": [
            {"at": _at(one.at), "kind": one.kind, "text": as_unicode(one.text)}
            for one in report.events
        ],
        "actions": [_action(one) for one in report.actions],
        "findings": [finding for one in report.conclusions for finding in _findings(one)],
        "looks": [_inside(one) for one in report.inside],
        "limits": [_room(one) for one in report.rooms],
        "oom_kills": [_kill(one) for one in report.kills],
    }


def slope_json(one: Slope | None) -> dict[str, Any] | None:
    """A slope with its spread."""
    if one is None:
        return None
    return {
        "bytes_per_s": round(one.kib_s * 1024, 3),
        "low_bytes_per_s": round(one.low * 1024, 3),
        "high_bytes_per_s": round(one.high * 1024, 3),
        "seconds": round(one.seconds, 3),
        "floors": one.floors,
    }


def final_json(one: Final) -> dict[str, Any]:
    """How the last quarter was; `below_bytes_per_s` is what a plateau excludes."""
    return {
        "verdict": one.word,
        "slope": slope_json(one.slope),
        "below_bytes_per_s": None if one.below is None else round(one.below * 1024, 3),
    }


def _both(one: Subject) -> dict[str, Any]:
    word, reason = one.surety
    return {
        "name": as_unicode(one.name),
        "role": one.role,
        "framework": one.framework,
        "first_seen_at": _at(one.first_at),
        "last_seen_at": _at(one.last_at),
        "first_rss_bytes": one.first_kib * 1024,
        "last_rss_bytes": one.last_kib * 1024,
        "lowest_rss_bytes": one.lowest_kib * 1024,
        "highest_rss_bytes": one.highest_kib * 1024,
        "highest_at": _at(one.highest_at),
        "change_bytes": one.change_kib * 1024,
        "grows": one.grows,
        "slope": slope_json(one.slope),
        "final_quarter": final_json(one.final),
        "steps": [
            {"from": _at(step.begin), "at": _at(step.at), "bytes": step.kib * 1024}
            for step in one.steps
        ],
        "trend": one.trend,
        "said_since": _at(one.said_since),
        "leak_like_since": _at(one.leak_at),
        "sure": word or None,
        "reason": reason or None,
    }


def _process(one: Subject) -> dict[str, Any]:
    return {
        "pid": one.pid,
        "started": _at(one.started_at),
        "ended": _at(one.ended_at),
        "command": as_unicode(one.command),
        "group": as_unicode(one.group),
        "swap_bytes": None if one.swap_kib is None else one.swap_kib * 1024,
        **_both(one),
    }


def _group(one: Subject) -> dict[str, Any]:
    made = {
        "id": as_unicode(one.group),
        "pid_parent": one.identity.pid if one.identity is not None else None,
        **_both(one),
    }
    if (members := one.members) is not None:
        made["members"] = {
            "begin": members.begin,
            "end": members.end,
            "most": members.most,
            "births": members.births,
            "deaths": members.deaths,
            "born_bytes": members.born_kib * 1024,
            "died_bytes": members.died_kib * 1024,
            "grown_bytes": members.grown_kib * 1024,
            "growing": members.growing,
        }
        made["finding"] = members.finding
    return made


def _highest(one: Highest) -> dict[str, Any]:
    return {
        "at": _at(one.at),
        "rss_bytes": one.rss_kib * 1024,
        "processes": one.processes,
        "holders": [
            {
                "name": as_unicode(each.name),
                "pid": each.pid,
                "group": as_unicode(each.group),
                "processes": each.processes,
                "average_rss_bytes": round(each.average_kib * 1024),
                "rss_bytes": each.kib * 1024,
                "since": _at(each.since_at),
            }
            for each in one.holders
        ],
    }


def _stretch(one: Stretch) -> dict[str, Any]:
    return {
        "at": _at(one.begin),
        "until": _at(one.end),
        "text": as_unicode(one.text),
        "change_bytes": _bytes(one.change_kib),
        "changes": [
            {
                "pid": each.subject.pid,
                "group": as_unicode(each.subject.group) if each.subject.members else None,
                "name": as_unicode(each.subject.name),
                "rss_before_bytes": _bytes(each.before_kib),
                "rss_after_bytes": _bytes(each.after_kib),
                "change_bytes": _bytes(each.change_kib),
                "rose_bytes": each.rose_kib * 1024,
                "fell_bytes": each.fell_kib * 1024,
            }
            for each in one.changes
        ],
    }


def _action(one: Action) -> dict[str, Any]:
    return {
        "at": _at(one.at),
        "action": one.action,
        "pid": one.pid,
        "name": as_unicode(one.name),
        "outcome": one.outcome,
        "text": as_unicode(one.meaning or one.text),
        "rss_before_bytes": one.before_bytes,
        "rss_after_bytes": one.after_bytes,
        "returned_bytes": one.returned_bytes,
        "predicted_bytes": one.predicted_bytes,
    }


def _findings(one: Conclusion) -> list[dict[str, Any]]:
    whence = "diagnosis" if one.was_asked else "recording"
    at = _at(one.at)
    return [{**each, "at": at, "from": whence} for each in findings_json(one.verdict.findings)]


def _inside(one: Inside) -> dict[str, Any]:
    difference, growth = one.difference, one.growth
    made: dict[str, Any] = {
        "pid": one.identity.pid,
        "name": as_unicode(one.name),
        "first": one.first and anatomy_json(one.first, None),
        "last": one.last and anatomy_json(one.last, None),
        "difference": None,
        "grown": None,
    }
    if difference is not None:
        made["difference"] = {
            "since": _at(difference.since_at),
            "seconds": round(difference.seconds, 3),
            "rss_bytes": difference.rss_bytes,
            "parts": [{"id": part.id, "bytes": part.bytes} for part in difference.changes],
        }
    if growth is not None:
        made["grown"] = {
            "since": _at(growth.since_at),
            "seconds": round(growth.seconds, 3),
            "types": [
                {
                    "type": as_unicode(each.type),
                    "module": as_unicode(each.module),
                    "count": each.count,
                    "bytes": each.bytes,
                }
                for each in growth.types[:MOST_TYPES]
            ],
            "containers": [
                {"name": as_unicode(each.name), "before": each.before, "after": each.after}
                for each in growth.containers[:MOST_TYPES]
            ],
        }
    return made


def _room(one: Room) -> dict[str, Any]:
    limit = one.limit
    bound = limit.bound
    return {
        "at": _at(one.at),
        "path": as_unicode(bound.path if bound is not None else limit.cgroup.path),
        "name": as_unicode(one.name),
        "limit_bytes": limit.limit_bytes,
        "used_bytes": one.used_bytes,
        "rate_bytes_per_s": limit.rate_bytes_s,
        "eta_s": limit.eta_s,
        "oom_kills": bound.oom_kills if bound is not None else None,
        "capacity": _capacity(limit.capacity),
    }


def _capacity(one: Capacity | None) -> dict[str, Any] | None:
    return None if one is None else {name: as_unicode_or(one, name) for name in one._fields}


def as_unicode_or(one: Capacity, name: str) -> Any:
    """A field, fit for JSON."""
    value = getattr(one, name)
    return as_unicode(value) if isinstance(value, str) else value


def _kill(one: Kill) -> dict[str, Any]:
    return {
        "at": _at(one.at),
        "text": as_unicode(one.text),
        "cgroup": as_unicode(one.cgroup),
        "kills": one.kills,
        "victims": [
            {
                "pid": each.pid,
                "name": as_unicode(each.name),
                "rss_bytes": _bytes(each.rss_kib),
                "fine": [{"at": _at(at), "rss_bytes": kib * 1024} for at, kib in each.fine],
            }
            for each in one.victims
        ],
    }


def _at(at: float | None) -> str | None:
    try:
        return None if at is None else iso_utc(at)
    except (OverflowError, ValueError, OSError):
        return None


def _bytes(kib: int | None) -> int | None:
    return None if kib is None else kib * 1024
