"""The commands that look inside a process: `memtop anatomy PID` and `memtop census PID`.

Nothing in the process is changed or stopped. The answer goes to stdout; what could not be read, for
want of a right, is named on stderr, and an answer without it is an answer. Ctrl+C ends the looking.
Sizes are bytes, times seconds.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from memtop import named, units
from memtop.actions.signals import Target
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
from memtop.errors import MemtopError, NoSuchProcess
from memtop.render.escape import fit, visible

if TYPE_CHECKING:
    from memtop.anatomy.result import Anatomy, Missing

GLANCE_S = 0.2  # between two looks at whether somebody has pressed ctrl+c

_Answer = TypeVar("_Answer")
_Watch = Callable[[int, int], None]


def run(options: argparse.Namespace) -> int:
    """Run the command on the process that was named; returns the exit code."""
    command = options.command
    target = named.find_to_look_into(options.pid, command)
    addition = Addition(options.record)
    with cancelled_by_ctrl_c() as cancel:
        return _COMMANDS[command](options, target, addition, cancel)


def _run_anatomy(
    options: argparse.Namespace, target: Target, addition: Addition, cancel: threading.Event
) -> int:
    from memtop.anatomy.anatomy import look
    from memtop.anatomy.difference import compare

    def take(watch: _Watch) -> Anatomy:
        identity, name = target.identity, target.name
        anatomy = look(identity, name=name, root=named.ROOT, watch=watch, cancel=cancel)
        addition.take_anatomy(anatomy)
        return anatomy

    def tell() -> dict[str, Any]:
        difference = compare(answers[0], answers[1]) if len(answers) == 2 else None
        if options.json:
            from memtop.anatomy.report import anatomy_json

            started = named.started(target.identity, named.boot_at())
            return anatomy_json(answers[-1], started, difference)
        from memtop.render.anatomy import anatomy_text

        cells = sheet_width(sys.stdout)
        say(fit(_title(answers[-1]), cells).rstrip(), sys.stdout)
        for line in anatomy_text(answers[-1], difference, cells):
            say("".join(text for text, _ in line).rstrip(), sys.stdout)
        return {}

    answers, failure = _ask(take, options.wait_s, target, cancel)
    failure = addition.blamed(failure)
    missing = answers[-1].missing if answers else ()
    return _finish(tell, missing, failure, cancel, known=bool(answers), as_json=options.json)


def _run_census(
    options: argparse.Namespace, target: Target, addition: Addition, cancel: threading.Event
) -> int:
    from memtop import listing
    from memtop.anatomy.census import take_census
    from memtop.anatomy.objects import Objects, compare

    if options.save:
        listing.check_free(options.save, force=options.force)

    def take(watch: _Watch) -> Objects:
        objects = take_census(
            target.identity,
            name=target.name,
            root=named.ROOT,
            full=options.full,
            budget_s=options.budget_s,
            watch=watch,
            cancel=cancel,
        )
        addition.take_census(objects)
        return objects

    def tell() -> dict[str, Any]:
        growth = compare(answers[0], answers[1]) if len(answers) == 2 else None
        if options.json:
            from memtop.anatomy.inventory import objects_json

            started = named.started(target.identity, named.boot_at())
            return objects_json(answers[-1], started, growth, top=options.top)
        listing.print_objects(answers[-1], growth, top=options.top)
        return {}

    answers, failure = _ask(take, options.wait_s, target, cancel)
    failure = addition.blamed(failure)
    missing = answers[-1].missing if answers else ()
    if answers and options.save:
        failure = listing.keep(answers[-1], options.save, force=options.force) or failure
    return _finish(tell, missing, failure, cancel, known=bool(answers), as_json=options.json)


def _ask(
    take: Callable[[_Watch], _Answer], wait_s: float, target: Target, cancel: threading.Event
) -> tuple[list[_Answer], MemtopError | None]:
    """An answer, a second one `wait_s` later if that is not 0; and why there is no further one."""
    from memtop.anatomy.image import Cancelled

    progress = Progress()
    answers: list[_Answer] = []

    def watch(done: int, total: int) -> None:
        progress.show(f"reading {_of(done, total)}")

    try:
        answers.append(take(watch))
        if wait_s:
            _wait(wait_s, target, cancel, progress)
            answers.append(take(watch))
    except Cancelled:
        return answers, MemtopError("cancelled")
    except MemtopError as error:
        return answers, error
    finally:
        progress.clear()
    return answers, None


def _finish(
    tell: Callable[[], dict[str, Any]],
    missing: Sequence[Missing],
    failure: MemtopError | None,
    cancel: threading.Event,
    *,
    known: bool,
    as_json: bool,
) -> int:
    """Print the answer, as far as one is `known`; `failure` is why there is no further one.

    `tell` prints the text, or makes the document.
    """
    document: dict[str, Any] = {}
    if known:
        document = tell()
        if as_json and failure is None:
            import json

            print(json.dumps(document))
        sys.stdout.flush()
        if as_json or not sys.stdout.isatty():  # the text says it, too
            _complain(missing)
    code = 0 if failure is None else fail(failure, as_json=as_json, known=document)
    return INTERRUPTED if cancel.is_set() else code


def _title(anatomy: Anatomy) -> str:
    """Which process it is, and when it was looked at."""
    python = anatomy.python and f"python {anatomy.python}"
    known = (python, anatomy.allocator, units.iso_utc(anatomy.taken_at))
    words = "   ".join(visible(one) for one in known if one)
    return f"{anatomy.identity.pid} {visible(anatomy.name)}   {words}"


def _complain(unknown: Sequence[Missing]) -> None:
    """What a right would allow to read, once for each reason, and the command that has it."""
    groups: dict[tuple[str, str | None], list[str]] = {}
    for missing in unknown:
        if missing.right is not None:
            groups.setdefault((missing.reason, missing.command), []).append(missing.what)
    for (reason, command), missed in groups.items():
        complain(f"not known: {', '.join(dict.fromkeys(missed))}: {reason}", command)


def _wait(seconds: float, target: Target, cancel: threading.Event, progress: Progress) -> None:
    """Until it is time for the second look, or the process has ended; Cancelled at ctrl+c."""
    from memtop.anatomy.image import Cancelled

    until = time.monotonic() + seconds
    # Not by waiting for the event: a signal may not set it while this very thread holds its lock.
    while (left := until - time.monotonic()) > 0:
        progress.show(f"looks again in {units.duration(left + 1)}")
        time.sleep(min(left, GLANCE_S))
        if cancel.is_set():
            raise Cancelled
        now = named.find(target.identity.pid)
        if now is None or now.identity != target.identity:
            raise NoSuchProcess(f"{target.identity.pid} has ended", command="memtop ps")


def _of(done: int, total: int) -> str:
    """How far it has come, in one unit: `0.8 of 1.8 GiB`."""
    number, unit = units.size_parts(total / 1024)
    scale = {"MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}[unit]
    decimals = len(number.partition(".")[2])
    return f"{min(done, total) / scale:.{decimals}f} of {number} {unit}"


_COMMANDS: dict[str, Callable[[argparse.Namespace, Target, Addition, threading.Event], int]] = {
    "anatomy": _run_anatomy,
    "census": _run_census,
}
