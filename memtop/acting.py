"""The commands that run inside processes: `memtop trim PID…`, `gc PID…` and `snapshot PID`.

Naming a PID is the confirmation. Each result is printed as it comes: a line of figures and a
sentence on stdout, or the objects of a snapshot; why something was not done goes to stderr, as
does progress on a terminal.
Ctrl+C cancels what has not been done yet, and waits until the rest is safe.
"""

from __future__ import annotations

import argparse
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, TextIO

from memtop import __version__, named
from memtop.actions.remote.session import Actor
from memtop.actions.report import GOOD, error_json, exit_code, result_json
from memtop.actions.result import ActionId, Result
from memtop.actions.table import ACTIONS
from memtop.adding import Addition
from memtop.console import (
    INTERRUPTED,
    Progress,
    cancelled_by_ctrl_c,
    complain,
    fail,
    is_terminal,
    say,
    width,
    wrapped,
)
from memtop.errors import MemtopError
from memtop.render.escape import fit, visible
from memtop.units import UNKNOWN, iso_utc, size

if TYPE_CHECKING:
    from memtop.anatomy.objects import Objects

USUAL, NARROW = (16, 11), (10, 10)  # the widths of name and figures
WIDE = 91  # cells for all figures in their usual width
INDENT = 9


def run(options: argparse.Namespace) -> int:
    """Act on every process that was named, each once; returns the exit code."""
    action: ActionId = options.command
    if sys.platform != "linux":
        raise MemtopError(f"{ACTIONS[action].verb} inside of processes needs Linux")
    if action == "snapshot" and options.save:
        from memtop.listing import check_free

        check_free(options.save, force=options.force)
    addition = Addition(options.record)
    failure: MemtopError | None = None
    results: list[Result] = []
    predicts = action == "trim" and options.predict
    top = options.top if action == "snapshot" else None
    printer = _Printer(None if options.json else sys.stdout, predicts=predicts, top=top)
    with cancelled_by_ctrl_c() as cancel:
        for result in _act(action, options, printer, cancel):
            results.append(result)
            # Before it is printed: whoever reads that may have gone.
            addition.take_result(result)
            if action == "snapshot":
                failure = _keep(result, options)
            printer.result(result)
    document = _document(results, top) if options.json else {}
    failure = addition.blamed(failure)
    if failure is not None:
        code = max(fail(failure, as_json=options.json, known=document), exit_code(results))
    else:
        code = exit_code(results)
        if options.json:
            import json

            print(json.dumps(document))
    return INTERRUPTED if cancel.is_set() else code


def _keep(result: Result, options: argparse.Namespace) -> MemtopError | None:
    """Save the objects of a snapshot; the reason if that was asked for and is not possible."""
    objects = result.objects
    if objects is None or not options.save:
        return None
    from memtop.listing import keep

    return keep(objects, options.save, force=options.force)


def _act(
    action: ActionId, options: argparse.Namespace, printer: _Printer, cancel: threading.Event
) -> Iterator[Result]:
    """The results in the order in which the processes were named."""
    pids = list(dict.fromkeys(options.pids))
    found = {pid: named.find(pid) for pid in pids}
    targets = [target for target in found.values() if target is not None]

    def watch(words: str) -> None:
        printer.progress(f"{ACTIONS[action].verb} {current.identity.pid} {current.name}: {words}")

    # Started before the rest is imported: each takes as long as the other.
    with Actor() if targets else nullcontext() as actor:
        done: Iterator[Result] = iter(())
        if actor is not None:
            from memtop.actions.perform import perform

            done = perform(
                action,
                targets,
                root=named.ROOT,
                live=named.is_live(),
                force=options.force,
                predict=action == "trim" and options.predict,
                budget_s=options.budget_s if action == "snapshot" else None,
                watch=watch,
                cancel=cancel,
                actor=actor,
            )
        for pid in pids:
            target = found[pid]
            if target is None:
                yield _missing(action, pid)
                continue
            current = target
            yield next(done)


def _missing(action: ActionId, pid: int) -> Result:
    reason, command = named.why_missing(pid, action)
    return Result(
        action,
        pid,
        name="",
        at=time.time(),
        outcome="refused",
        meaning=f"{reason}.",
        reason=reason,
        command=command,
        gone=True,
    )


def _document(results: list[Result], top: int | None) -> dict[str, object]:
    """All results; of the types of a snapshot at most `top`."""
    boot_at = named.boot_at()
    made = [result_json(result, named.started(result.identity, boot_at)) for result in results]
    for one in made:
        if top is not None and one.get("types") is not None:
            one["types"] = one["types"][:top]
    document: dict[str, object] = {
        "memtop": __version__,
        "taken_at": iso_utc(time.time()),
        "results": made,
    }
    if error := error_json(results):
        document["error"] = error
    return document


class _Printer:
    """Writes results for people to `out` (None: nobody reads them), and progress to stderr.

    `predicts`: there is a column for what was predicted; `top`: so many types of a snapshot.
    """

    def __init__(self, out: TextIO | None, *, predicts: bool, top: int | None) -> None:
        self._out, self._predicts, self._top = out, predicts, top
        self._has_heading = False
        self._progress = Progress()
        is_narrow = out is not None and is_terminal(out) and width(out) < WIDE
        self._name, self._figure = NARROW if predicts and is_narrow else USUAL

    def progress(self, words: str) -> None:
        """What is being done, on one line that the next one replaces."""
        self._progress.show(words)

    def result(self, result: Result) -> None:
        """What became of one process: figures and sentence, or why it was not done."""
        self._progress.clear()
        is_touched = result.outcome in GOOD or result.held_us is not None
        if self._out is not None and result.objects is not None:
            self._objects(result.objects, result.meaning, self._out)
        elif self._out is not None and is_touched:
            self._figures(result, self._out)
        if result.outcome not in GOOD:
            _complain(result)

    def _objects(self, objects: Objects, meaning: str, out: TextIO) -> None:
        from memtop.listing import print_objects

        print_objects(objects, None, top=self._top)
        say("\n".join(wrapped(visible(meaning), out, 0)), out)
        out.flush()

    def _figures(self, result: Result, out: TextIO) -> None:
        if not self._has_heading:
            self._has_heading = True
            names = ["BEFORE", "AFTER", "RETURNED", *["PREDICTED"] * self._predicts, "HELD"]
            heading = f"{'PID':>7}  {'PROCESS':<{self._name}}"
            say(heading + "".join(n.rjust(self._figure) for n in names) + "   OUTCOME", out)
        sizes = [result.rss_before_bytes, result.rss_after_bytes, result.returned_bytes]
        sizes += [result.predicted_bytes] * self._predicts
        figures = [size(None if each is None else each / 1024) for each in sizes]
        figures.append(UNKNOWN if result.held_us is None else f"{result.held_us / 1000:.2f} ms")
        line = f"{result.pid:>7}  {fit(visible(result.name), self._name)}"
        line += "".join(figure.rjust(self._figure) for figure in figures)
        say(f"{line}   {result.outcome.replace('_', ' ')}", out)
        if result.outcome in GOOD:
            say("\n".join(wrapped(visible(result.meaning), out, INDENT)), out)
        out.flush()


def _complain(result: Result) -> None:
    """Why it was not done, and the command that helps, as the command line says it elsewhere."""
    reason = result.reason or result.meaning
    about = "" if re.search(rf"\b{result.pid}\b", reason) else f"{result.pid}: "
    complain(f"{about}{reason}", result.command)
