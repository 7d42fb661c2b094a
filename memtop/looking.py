"""The commands that look inside a process: `memtop anatomy PID`.

Nothing in the process is changed or stopped. The answer goes to stdout; what could not be read, for
want of a right, is named on stderr, and an answer without it is an answer. Ctrl+C ends the looking.
Sizes are bytes, times seconds.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from memtop import named, units
from memtop.actions.signals import Target
from memtop.actions.table import KERNEL
from memtop.console import INTERRUPTED, Progress, complain, fail, say, width
from memtop.errors import MemtopError, NoSuchProcess
from memtop.probe.host import own_host
from memtop.render.escape import fit, visible

if TYPE_CHECKING:
    from memtop.anatomy.difference import Difference
    from memtop.anatomy.result import Anatomy

PIPED_WIDTH = 100  # cells of a line where no terminal says how many it has
GLANCE_S = 0.2  # between two looks at whether somebody has pressed ctrl+c


def run(options: argparse.Namespace) -> int:
    """Run the command on the process that was named; returns the exit code."""
    command = options.command
    if sys.platform != "linux":
        raise MemtopError(f"{command} needs Linux")
    if own_host(named.ROOT) is None:
        raise MemtopError(
            f"{command} is off: {named.ROOT} does not show memtop itself, so that it may be that"
            " of another host or container; run memtop there"
        )
    target = named.find(options.pid)
    if target is None:
        reason, helps = named.why_missing(options.pid, command)
        raise NoSuchProcess(reason, command=helps)
    if target.kernel:
        raise MemtopError(f"{options.pid} {KERNEL}: it has no memory of its own")
    with _cancelled_by_ctrl_c() as cancel:
        return _COMMANDS[command](options, target, cancel)


@contextmanager
def _cancelled_by_ctrl_c() -> Iterator[threading.Event]:
    cancel = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: cancel.set())
    try:
        yield cancel
    finally:
        signal.signal(signal.SIGINT, before)


def _run_anatomy(options: argparse.Namespace, target: Target, cancel: threading.Event) -> int:
    from memtop.anatomy.anatomy import look
    from memtop.anatomy.difference import compare
    from memtop.anatomy.image import Cancelled

    progress = Progress()
    answers: list[Anatomy] = []
    failure: MemtopError | None = None

    def watch(done: int, total: int) -> None:
        progress.show(f"reading {_of(done, total)}")

    def look_now() -> None:
        answers.append(
            look(target.identity, name=target.name, root=named.ROOT, watch=watch, cancel=cancel)
        )

    try:
        look_now()
        if options.wait_s:
            _wait(options.wait_s, target, cancel, progress)
            look_now()
    except Cancelled:
        failure = MemtopError("cancelled")
    except MemtopError as error:
        failure = error
    finally:
        progress.clear()
    if not answers:
        assert failure is not None
        code = fail(failure, as_json=options.json)
    else:
        difference = compare(answers[0], answers[1]) if len(answers) == 2 else None
        code = _tell(answers[-1], difference, failure, as_json=options.json)
    return INTERRUPTED if cancel.is_set() else code


def _tell(
    anatomy: Anatomy,
    difference: Difference | None,
    failure: MemtopError | None,
    *,
    as_json: bool,
) -> int:
    """Print the answer; `failure` is why there is no second one."""
    if as_json:
        from memtop.anatomy.report import anatomy_json

        started = named.started(anatomy.identity, named.boot_at())
        document = anatomy_json(anatomy, started, difference)
        if failure is None:
            import json

            print(json.dumps(document))
    else:
        from memtop.render.anatomy import anatomy_text

        cells = width(sys.stdout) if sys.stdout.isatty() else PIPED_WIDTH
        say(fit(_title(anatomy), cells).rstrip(), sys.stdout)
        for line in anatomy_text(anatomy, difference, cells):
            say("".join(text for text, _ in line).rstrip(), sys.stdout)
        sys.stdout.flush()
        document = {}
    if as_json or not sys.stdout.isatty():  # the text says it, too
        _complain(anatomy)
    return 0 if failure is None else fail(failure, as_json=as_json, known=document)


def _title(anatomy: Anatomy) -> str:
    """Which process it is, and when it was looked at."""
    python = anatomy.python and f"python {anatomy.python}"
    known = (python, anatomy.allocator, units.iso_utc(anatomy.taken_at))
    words = "   ".join(visible(one) for one in known if one)
    return f"{anatomy.identity.pid} {visible(anatomy.name)}   {words}"


def _complain(anatomy: Anatomy) -> None:
    """What a right would allow to read, once for each reason, and the command that has it."""
    groups: dict[tuple[str, str | None], list[str]] = {}
    for missing in anatomy.missing:
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


_COMMANDS: dict[str, Callable[[argparse.Namespace, Target, threading.Event], int]] = {
    "anatomy": _run_anatomy,
}
