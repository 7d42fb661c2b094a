"""The command `memtop diagnose PID`: why memory grows, whose it is, and what to do about it.

It watches the process and all below it, looks into those that matter, and prints what follows. What
a recording knows of them already, how they grew and what an earlier look found, counts as watched.
Nothing in any process is changed or stopped. The answer goes to stdout, progress to stderr; Ctrl+C
ends the watching, and what is known by then is the answer. Sizes are bytes, times seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Collection
from contextlib import closing, nullcontext
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from memtop import __version__, named
from memtop.actions.signals import ITSELF, Target
from memtop.adding import Addition
from memtop.console import (
    INTERRUPTED,
    Progress,
    cancelled_by_ctrl_c,
    complain,
    fail,
    say,
    sheet_width,
)
from memtop.diagnosis.evidence import Evidence
from memtop.diagnosis.finding import Finding, Lack
from memtop.diagnosis.report import findings_json
from memtop.diagnosis.words import sentence
from memtop.errors import Denied, MemtopError, NoSuchProcess
from memtop.evidence.inquiry import Gathered, Inquiry
from memtop.evidence.verdict import verdict_of
from memtop.probe.own import give_way, is_guest
from memtop.probe.parse import as_unicode
from memtop.probe.procfs import ProcfsSource
from memtop.render.escape import visible
from memtop.sampling import interval_for, states_of
from memtop.units import duration, iso_utc

if TYPE_CHECKING:
    from memtop.recalling import Recollection

MARGIN = 10  # cells
WHY = 2  # sentences about each of the other causes


def run(options: argparse.Namespace) -> int:
    """Diagnose the process that was named; returns the exit code."""
    target = _find(options.pid)
    addition = Addition(options.record)
    progress = Progress()
    with (
        cancelled_by_ctrl_c() as cancel,
        closing(known) if (known := _recollect(options)) else nullcontext(),
    ):
        if is_guest():
            give_way()
        source = ProcfsSource(named.ROOT, mask=named.mask())
        interval_s = interval_for(options.watch_s)
        try:
            gathered = Inquiry(
                target.identity,
                states_of(source, target.identity, interval_s, cancel, known),
                for_s=options.watch_s,
                root=named.ROOT,
                tell=progress.show,
                cancel=cancel,
                known=known.looks() if known else (),
                earlier=known.before if known else None,
            ).run()
        finally:
            source.close()
            progress.clear()
        return _tell(options, gathered, target, addition, is_cancelled=cancel.is_set())


def _recollect(options: argparse.Namespace) -> Recollection | None:
    """What the recording knows that was named; what has to be read for it is imported then only."""
    if options.record is None:
        return None
    from memtop.recalling import recollect

    known = recollect(options.record, options.watch_s, root=named.ROOT)
    if known is not None and known.why_not is not None:
        complain(known.why_not)
    return known


def _tell(
    options: argparse.Namespace,
    gathered: Gathered,
    target: Target,
    addition: Addition,
    *,
    is_cancelled: bool,
) -> int:
    """Print the answer, and why it is not a full one; returns the exit code."""
    failure = _failure(gathered, target)
    document: dict[str, Any] = {}
    if gathered.evidences:
        evidence, findings = verdict_of(gathered.evidences)
        failure = failure or _blind(gathered, evidence, findings)
        full = _document(gathered, evidence, findings, target)
        addition.take_verdict(target.identity, full, gathered, evidence, findings)
        failure = addition.blamed(failure)
        if options.json:
            document = full
        else:
            for line in answer_text(gathered, evidence, findings, sheet_width(sys.stdout)):
                say(line, sys.stdout)
    if options.json and failure is None:
        print(json.dumps(document))
    sys.stdout.flush()
    code = 0 if failure is None else fail(failure, as_json=options.json, known=document)
    return INTERRUPTED if is_cancelled else code


def _find(pid: int) -> Target:
    """The process that is meant; an error if it cannot be diagnosed."""
    target = named.find_to_look_into(pid, "diagnose")
    if pid == os.getpid():
        raise MemtopError(f"{pid} {ITSELF.partition(';')[0]}")
    return target


def _failure(gathered: Gathered, target: Target) -> MemtopError | None:
    """Why there is no full answer: the process has ended."""
    if not gathered.ended:
        return None
    pid, seconds = target.identity.pid, duration(gathered.seconds)
    return NoSuchProcess(f"{pid} has ended after {seconds} of watching", command="memtop ps")


def _blind(
    gathered: Gathered, evidence: Evidence, findings: tuple[Finding, ...]
) -> MemtopError | None:
    """The right that was missing, where nothing could be told without it."""
    denied = gathered.denied
    if denied is None or evidence.last is not None or findings[0].cause != "unknown":
        return None
    command = denied.command and denied.command.replace("memtop anatomy", "memtop diagnose")
    return Denied(denied.message, right=denied.right, command=command)


# -- what is printed -----------------------------------------------------------------------


def _document(
    gathered: Gathered, evidence: Evidence, findings: tuple[Finding, ...], target: Target
) -> dict[str, Any]:
    return {
        "memtop": __version__,
        "taken_at": iso_utc(evidence.now),
        "pid": target.identity.pid,
        "started": named.started(target.identity, named.boot_at()),
        "name": as_unicode(target.name),
        "watched_s": round(gathered.seconds, 3),
        "recorded_s": _recorded_s(gathered, evidence),
        "processes": evidence.tree_processes,
        "findings": findings_json(findings),
    }


def answer_text(
    gathered: Gathered, evidence: Evidence, findings: tuple[Finding, ...], cells: int
) -> list[str]:
    """The whole answer: who it is, the likeliest cause and its proof, the others, what to do."""
    first, *others = findings
    lines = [_title(gathered, evidence, cells), ""]
    sure = "" if first.cause == "unknown" else f" ({first.word})"
    lines += wrap(visible(first.headline + sure), cells)
    lines.append("")
    lines += _listed("for", first.supporting, cells)
    lines += _listed("against", first.against, cells)
    lines += _listed("also", first.remarks, cells)
    lines += _listed("not known", [_words(one) for one in first.missing], cells)
    if others:
        lines += ["", "Other causes"]
        for one in others:
            why = (one.against or one.supporting)[:WHY]
            lines += _listed(one.word, [" ".join([sentence(one.headline), *why])], cells)
    if first.next_step:
        lines.append("")
        lines += _listed("next", [first.next_step], cells)
    return lines


def _title(gathered: Gathered, evidence: Evidence, cells: int) -> str:
    """Whose memory it is, and how it was found out, as far as there is room."""
    subject = evidence.subject
    python = subject.python and f"python {subject.python}"
    among = None
    if evidence.tree_processes > 1:
        among = f"one of {evidence.tree_processes} from {evidence.asked_pid} down"
    watched = f"watched {duration(gathered.seconds)}"
    if (recorded_s := _recorded_s(gathered, evidence)) is not None:
        watched += f", {duration(recorded_s)} recorded"
    title = f"{subject.pid} {visible(subject.name)}"
    for word in (subject.role, python, among, watched, iso_utc(evidence.now)):
        if word and len(more := f"{title}   {visible(word)}") <= cells:
            title = more
    return title


def _recorded_s(gathered: Gathered, evidence: Evidence) -> float | None:
    """For how long a recording had watched it before; None without one."""
    watch = evidence.watch
    if watch is None or not watch.from_recording:
        return None
    return round(max(0.0, watch.seconds - gathered.seconds), 3)


def _words(lack: Lack) -> str:
    return f"{lack.what}: {lack.reason}" + (f" → {lack.command}" if lack.command else "")


def _listed(label: str, sentences: Collection[str], cells: int) -> list[str]:
    """Sentences behind their label, each on lines of its own."""
    margin = " " * MARGIN
    lines: list[str] = []
    for one in sentences:
        head = f"{label:<{MARGIN}}" if not lines else margin
        lines += wrap(
            visible(one),
            cells,
            initial_indent=head,
            subsequent_indent=margin,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines
