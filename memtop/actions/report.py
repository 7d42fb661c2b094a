"""What became of actions as the JSON of the command line, and as its exit code.

The names of the fields are a contract. Bytes are integers, `held_us` microseconds, other times
seconds; null is not known or not applicable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from memtop.actions.result import Result
from memtop.errors import Denied, MemtopError, NoSuchProcess
from memtop.probe.parse import as_unicode

GOOD = ("done", "returned", "nothing_to_return", "not_applicable")


def exit_code(results: Sequence[Result]) -> int:
    """That of the worst result; 0 if there is none."""
    return max(map(_code, results), default=0)


def error_json(results: Sequence[Result]) -> dict[str, Any] | None:
    """What is to be said of the worst result; None if all went well."""
    worst = max(results, key=_code, default=None)
    if worst is None or not _code(worst):
        return None
    return {
        "reason": as_unicode(worst.reason or worst.meaning),
        "right": worst.right,
        "command": worst.command,
    }


def result_json(result: Result, started: str | None) -> dict[str, Any]:
    """One process; `started` is the moment at which it began, in UTC."""
    values: dict[str, Any] = {
        "pid": result.pid,
        "started": started,
        "name": as_unicode(result.name),
        "outcome": result.outcome,
        "reason": as_unicode(result.reason),
        "meaning": as_unicode(result.meaning),
        "right": result.right,
        "command": result.command,
        "held_us": None if result.held_us is None else round(result.held_us, 1),
        "seconds": None if result.seconds is None else round(result.seconds, 4),
        "rss_before_bytes": result.rss_before_bytes,
        "rss_after_bytes": result.rss_after_bytes,
    }
    if result.action == "trim":
        for name in "returned_bytes predicted_bytes allocator in_use_bytes free_bytes".split():
            values[name] = getattr(result, name)
        return values
    if result.action == "snapshot":
        return values | _snapshot_json(result)
    known = bool(result.generations)
    values["collected"] = sum(one.collected for one in result.generations) if known else None
    values["uncollectable"] = (
        sum(one.uncollectable for one in result.generations) if known else None
    )
    values["would_unshare_bytes"] = result.would_unshare_bytes
    values["generations"] = [
        {
            "collected": one.collected,
            "uncollectable": one.uncollectable,
            "seconds": round(one.seconds, 6),
        }
        for one in result.generations
    ]
    return values


def _snapshot_json(result: Result) -> dict[str, Any]:
    """What a snapshot found; null if there is none."""
    objects = result.objects
    values: dict[str, Any] = {
        "would_unshare_bytes": result.would_unshare_bytes,
        "needs_bytes": result.needs_bytes,
    }
    if objects is None:
        return values | dict.fromkeys(("types", "objects", "containers", "tasks", "cut"))
    from memtop.anatomy.inventory import contents_json

    return values | {
        "python": as_unicode(objects.python),
        **contents_json(objects),
        "cut": objects.cut,
        "sampled": objects.sampled,
        "coverage": round(objects.coverage, 6),
        "sampling_error": None if objects.error is None else round(objects.error, 6),
        "gil_s": objects.gil_s,
        "missing": [each._asdict() for each in objects.missing],
    }


def _code(result: Result) -> int:
    if result.outcome in GOOD:
        return 0
    if result.gone:
        return NoSuchProcess.exit_code
    return Denied.exit_code if result.right else MemtopError.exit_code
