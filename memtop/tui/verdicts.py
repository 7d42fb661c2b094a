"""What the rules say of what is known: of a process, a group, a cgroup, and of an inquiry.

Nothing is read here. The rules are imported on a thread when a pane is opened for the first time,
because that takes a few dozen milliseconds; until then there is no verdict. Sizes are bytes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from memtop.anatomy.objects import Objects
from memtop.anatomy.result import Anatomy
from memtop.model import forest
from memtop.model.groups import Group
from memtop.model.limits import Limit
from memtop.model.state import State
from memtop.probe.sample import Identity
from memtop.render.finding import Verdict
from memtop.render.sight import Failure

if TYPE_CHECKING:
    from memtop.actions.result import Result
    from memtop.diagnosis.evidence import Evidence
    from memtop.evidence.evidence import Around
    from memtop.evidence.inquiry import Gathered

MOST_BELOW = 200  # processes; the sum over more takes too long for a frame
_loaded = threading.Event()


def is_loaded() -> bool:
    """Whether the rules can be asked."""
    return _loaded.is_set()


def load() -> None:
    """Import the rules."""
    import memtop.evidence.evidence
    import memtop.evidence.verdict
    import memtop.kept  # noqa: F401

    _loaded.set()


class Seen(NamedTuple):
    """What was looked at in one process before: the first and the last of each, what was done."""

    anatomies: tuple[Anatomy | None, Anatomy | None] = (None, None)
    objects: tuple[Objects | None, Objects | None] = (None, None)
    results: Iterable[Result] = ()


class Concluded(NamedTuple):
    """What came of an inquiry: the verdict, whose memory it is, and what was in the way."""

    verdict: Verdict | None
    whose: Identity | None = None
    failure: Failure | None = None


def of_process(state: State, identity: Identity, seen: Seen, before: State | None) -> Verdict:
    """From what was watched of a process, and seen in it."""
    from memtop.evidence.evidence import evidence_of

    evidence = evidence_of(
        state,
        identity,
        anatomies=seen.anatomies,
        objects=seen.objects,
        results=seen.results,
        around=_around(state, identity, before),
    )
    return _verdict(state, evidence)


def of_group(state: State, group: Group, before: State | None) -> Verdict:
    """From what was watched of the workers of one parent."""
    from memtop.evidence.evidence import evidence_of_group

    around = _around(state, group.parent, before)
    return _verdict(state, evidence_of_group(state, group, around=around))


def of_limit(state: State, limit: Limit, before: State | None) -> Verdict | None:
    """From what was watched of a cgroup; None if nobody lives there."""
    from memtop.evidence.evidence import Around, evidence_of_limit

    try:
        evidence = evidence_of_limit(state, limit, around=Around(before=before))
    except KeyError:
        return None
    return _verdict(state, evidence)


def conclude(gathered: Gathered, asked: Identity) -> Concluded:
    """What the rules say of all that an inquiry has gathered."""
    from memtop.evidence.verdict import verdict_of
    from memtop.kept import verdict_from

    failure = None
    if gathered.ended:
        failure = Failure(f"{asked.pid} has ended, and all below it.")
    elif (denied := gathered.denied) is not None:
        command = denied.command and denied.command.replace("memtop anatomy", "memtop diagnose")
        failure = Failure(
            denied.message[:1].upper() + denied.message[1:].rstrip(".") + ".", command
        )
    if not gathered.evidences:
        return Concluded(None, None, failure)
    evidence, findings = verdict_of(gathered.evidences)
    state, pid = gathered.state, findings[0].pid or evidence.subject.pid
    whose = next((one for one in state.with_pid(pid) if state.rows[one].ended_at is None), None)
    return Concluded(verdict_from(gathered, evidence, findings), whose, failure)


def _verdict(state: State, evidence: Evidence) -> Verdict:
    from memtop.diagnosis.diagnosis import diagnose
    from memtop.kept import looks_of

    watched_s = evidence.watch.seconds if evidence.watch is not None else state.watched_s
    return Verdict(diagnose(evidence), state.taken_at, watched_s, *looks_of(evidence))


def _around(state: State, identity: Identity, before: State | None) -> Around:
    """What is known besides; of a large tree only who was asked for."""
    from memtop.evidence.evidence import Around

    below = sum(1 for _ in islice(forest.subtree(state.children, identity), MOST_BELOW + 1))
    is_large = below > MOST_BELOW
    return Around(before=before, tree=(identity,) if is_large else ())
