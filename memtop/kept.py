"""Answers about processes as recordings keep them: a document, and the answer itself.

The document is what the command prints with --json, so that any reader understands it; under
`value` it has the answer in full, so that replay and report show what was shown then. Sizes are
bytes, times seconds since the epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from memtop import __version__
from memtop.actions.result import Result
from memtop.anatomy.objects import Objects
from memtop.anatomy.result import Anatomy
from memtop.plain import as_plain, from_plain
from memtop.probe.sample import Identity
from memtop.recording.happenings import Happening
from memtop.render.finding import Verdict
from memtop.units import iso_utc

if TYPE_CHECKING:
    from memtop.diagnosis.evidence import Evidence
    from memtop.diagnosis.finding import Finding
    from memtop.evidence.inquiry import Gathered
    from memtop.recording.recording import Result as Row

Answer = Anatomy | Objects | Result | Verdict
TOUCHES = ("done", "returned", "nothing_to_return")  # outcomes of what ran inside a process
TOP = 50  # types in a document; the value has all of them


class Kept(NamedTuple):
    """What is written of an answer: its kind, whose it is, and the document."""

    kind: str
    identity: Identity | None
    document: dict[str, Any]


def kept_anatomy(anatomy: Anatomy, started: str | None = None) -> Kept:
    """A look at one process; `started` is the moment at which it began, in UTC."""
    from memtop.anatomy.report import anatomy_json

    return _kept("anatomy", anatomy.identity, anatomy_json(anatomy, started), anatomy)


def kept_census(objects: Objects, started: str | None = None) -> Kept:
    """A census; a snapshot is the result of an action."""
    from memtop.anatomy.inventory import objects_json

    return _kept("census", objects.identity, objects_json(objects, started, top=TOP), objects)


def kept_result(result: Result, started: str | None = None) -> Kept:
    """What became of trim, gc or a snapshot in one process."""
    from memtop.actions.report import result_json

    row = result_json(result, started)
    if row.get("types") is not None:
        row["types"] = row["types"][:TOP]
    document = {"memtop": __version__, "taken_at": iso_utc(result.at), "results": [row]}
    return _kept(result.action, result.identity, document, result)


def verdict_from(gathered: Gathered, evidence: Evidence, findings: tuple[Finding, ...]) -> Verdict:
    """What the rules say of all that an inquiry has gathered, as screens and recordings have it."""
    watched_s = evidence.watch.seconds if evidence.watch is not None else gathered.seconds
    return Verdict(
        findings,
        evidence.now,
        watched_s,
        *looks_of(evidence),
        processes=evidence.tree_processes,
        asked=True,
    )


def looks_of(evidence: Evidence) -> tuple[int, float]:
    """How many looks inside there were, and how far apart."""
    first, last = evidence.first, evidence.last
    if first is None or last is None:
        return int(first is not None or last is not None), 0.0
    return 2, last.taken_at - first.taken_at


def kept_verdict(
    verdict: Verdict, identity: Identity, document: dict[str, Any] | None = None
) -> Kept:
    """Why a process has so much, `identity` being who was asked about."""
    from memtop.diagnosis.report import findings_json

    made = document or {
        "memtop": __version__,
        "taken_at": iso_utc(verdict.taken_at),
        "pid": identity.pid,
        "watched_s": round(verdict.watched_s, 3),
        "processes": verdict.processes,
        "findings": findings_json(verdict.findings),
    }
    return _kept("diagnose", identity, made, verdict)


def happening_of(result: Result) -> Happening | None:
    """An action as an event, which is a mark; None if it has not touched the process."""
    is_touched = result.outcome in TOUCHES or result.held_us is not None
    if not is_touched or result.identity is None:
        return None
    detail: dict[str, object] = {
        "pid": result.pid,
        "start_ticks": result.identity.start_ticks,
        "action": result.action,
        "outcome": result.outcome,
        "rss_before_bytes": result.rss_before_bytes,
        "rss_after_bytes": result.rss_after_bytes,
        "returned_bytes": result.returned_bytes,
    }
    return Happening("action", f"{result.action} {result.pid}", detail)


def happening_of_signal(name: str, identity: Identity) -> Happening:
    """The same for a signal that was sent."""
    detail: dict[str, object] = {
        "pid": identity.pid,
        "start_ticks": identity.start_ticks,
        "action": name,
        "outcome": "sent",
    }
    return Happening("action", f"{name} {identity.pid}", detail)


def recalled(row: Row) -> Answer | None:
    """The answer out of a row of a recording; None if it has none, or none of this version."""
    plain = row.json.get("value") if isinstance(row.json, dict) else None
    try:
        return None if plain is None else _recalled(row.kind, plain)
    except ValueError:
        return None


def _recalled(kind: str, plain: Any) -> Answer | None:
    made: Answer | None = None
    if kind == "anatomy":
        made = from_plain(Anatomy, plain, "anatomy")
    elif kind == "census":
        made = from_plain(Objects, plain, "objects")
    elif kind in ("trim", "gc", "snapshot"):
        made = from_plain(Result, plain, "result", {"Objects": Objects})
    elif kind == "diagnose":
        from memtop.diagnosis.finding import Finding

        made = from_plain(Verdict, plain, "verdict", {"Finding": Finding})
    return made


def _kept(kind: str, identity: Identity | None, document: dict[str, Any], value: Answer) -> Kept:
    return Kept(kind, identity, {**document, "value": as_plain(value)})
