"""The commands that act inside processes: `memtop trim PID…` and `memtop gc PID…`.

Naming a PID is the confirmation. Each result is printed as it comes: a line of figures and a
sentence on stdout; why something was not done goes to stderr, as does progress on a terminal.
Ctrl+C cancels what has not been done yet, and waits until the rest is safe.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import TextIO

from memtop import __version__
from memtop.actions.remote.session import Actor
from memtop.actions.report import GOOD, error_json, exit_code, result_json
from memtop.actions.result import ActionId, Result
from memtop.actions.signals import Target
from memtop.actions.table import ACTIONS
from memtop.errors import MemtopError
from memtop.probe import parse
from memtop.probe.handle import read
from memtop.probe.sample import Identity
from memtop.render.escape import ASCII, fit, visible
from memtop.units import UNKNOWN, iso_utc, size

INTERRUPTED = 130
NAME_WIDTH, FIGURE_WIDTH, INDENT = 16, 11, 9
ROOT = "/proc"


def run(options: argparse.Namespace) -> int:
    """Act on every process that was named, each once; returns the exit code."""
    action: ActionId = options.command
    if sys.platform != "linux":
        raise MemtopError(f"{ACTIONS[action].verb} inside of processes needs Linux")
    results: list[Result] = []
    printer = _Printer(None if options.json else sys.stdout, action)
    cancel = threading.Event()
    # Ctrl+C breaks nothing off in the middle.
    before = signal.signal(signal.SIGINT, lambda *_: cancel.set())
    try:
        for result in _act(action, options, printer, cancel):
            results.append(result)
            printer.result(result)
    finally:
        signal.signal(signal.SIGINT, before)
    if options.json:
        import json

        print(json.dumps(_document(results)))
    return INTERRUPTED if cancel.is_set() else exit_code(results)


def _act(
    action: ActionId, options: argparse.Namespace, printer: _Printer, cancel: threading.Event
) -> Iterator[Result]:
    """The results in the order in which the processes were named."""
    pids = list(dict.fromkeys(options.pids))
    found = {pid: _find(pid) for pid in pids}
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
                root=ROOT,
                live=_is_live(),
                force=options.force,
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


def _find(pid: int) -> Target | None:
    """The process that has this PID now."""
    try:
        stat = parse.parse_stat(read(f"{ROOT}/{pid}/stat", 1024))
    except (OSError, ValueError):
        return None
    if _process_of(pid) != pid:
        return None
    return Target(Identity(stat.start_ticks, pid), stat.name, stat.kernel)


def _process_of(pid: int) -> int | None:
    """The process that a thread's number belongs to: /proc shows threads, too, to who asks."""
    try:
        return int(parse.parse_keyed(read(f"{ROOT}/{pid}/status", 1 << 16))["Tgid"])
    except (OSError, ValueError, KeyError):
        return None


def _missing(action: ActionId, pid: int) -> Result:
    reason, command = f"there is no process {pid}", "memtop ps"
    process = _process_of(pid)
    if process not in (None, pid):
        reason += f": that is a thread of {process}"
        command = f"memtop {action} {process}"
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


def _is_live() -> bool:
    """Whether /proc shows memtop itself, so that its PIDs are those of this process."""
    try:
        return os.readlink(f"{ROOT}/self") == str(os.getpid())
    except OSError:
        return False


def _document(results: list[Result]) -> dict[str, object]:
    boot_at = _boot_at()
    document: dict[str, object] = {
        "memtop": __version__,
        "taken_at": iso_utc(time.time()),
        "results": [result_json(result, _started(result, boot_at)) for result in results],
    }
    if error := error_json(results):
        document["error"] = error
    return document


def _boot_at() -> float | None:
    """When the host was started, as in the `started` of `ps`."""
    from memtop.probe.host import HostReader

    try:
        return HostReader(ROOT).boot_at
    except (MemtopError, OSError):
        return None


def _started(result: Result, boot_at: float | None) -> str | None:
    if result.identity is None or boot_at is None:
        return None
    return iso_utc(boot_at + result.identity.start_ticks / os.sysconf("SC_CLK_TCK"))


class _Printer:
    """Writes results for people to `out` (None: nobody reads them), and progress to stderr."""

    def __init__(self, out: TextIO | None, action: ActionId) -> None:
        self._out = out
        self._action = action
        self._has_heading = False
        self._shows_progress = _is_terminal(sys.stderr)
        self._has_progress = False

    def progress(self, words: str) -> None:
        """What is being done, on one line that the next one replaces."""
        if self._shows_progress:
            self._has_progress = True
            # No wider than the terminal, or only its last line would be replaced.
            text = fit(visible(words), _width(sys.stderr) - 1).rstrip()
            sys.stderr.write(f"\r\x1b[K{_fitting(text, sys.stderr)}")
            sys.stderr.flush()

    def result(self, result: Result) -> None:
        """What became of one process: figures and sentence, or why it was not done."""
        if self._has_progress:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._has_progress = False
        is_touched = result.outcome in GOOD or result.held_us is not None
        if self._out is not None and is_touched:
            self._figures(result, self._out)
        if result.outcome not in GOOD:
            _complain(result)

    def _figures(self, result: Result, out: TextIO) -> None:
        predicted = result.predicted_bytes is not None
        if not self._has_heading:
            self._has_heading = True
            names = ["BEFORE", "AFTER", "RETURNED", *["PREDICTED"] * predicted, "HELD"]
            heading = f"{'PID':>7}  {'PROCESS':<{NAME_WIDTH}}"
            _say(heading + "".join(n.rjust(FIGURE_WIDTH) for n in names) + "   OUTCOME", out)
        sizes = [result.rss_before_bytes, result.rss_after_bytes, result.returned_bytes]
        sizes += [result.predicted_bytes] * predicted
        figures = [size(None if each is None else each / 1024) for each in sizes]
        figures.append(UNKNOWN if result.held_us is None else f"{result.held_us / 1000:.2f} ms")
        line = f"{result.pid:>7}  {fit(visible(result.name), NAME_WIDTH)}"
        line += "".join(figure.rjust(FIGURE_WIDTH) for figure in figures)
        _say(f"{line}   {result.outcome.replace('_', ' ')}", out)
        if result.outcome in GOOD:
            _say("\n".join(_wrapped(visible(result.meaning), out)), out)
        out.flush()


def _wrapped(text: str, out: TextIO) -> list[str]:
    """A sentence below its figures; on a terminal in lines that fit."""
    indent = " " * INDENT
    if not _is_terminal(out):
        return [indent + text]
    from textwrap import wrap

    width = max(40, _width(out) - 1)
    return wrap(text, width, initial_indent=indent, subsequent_indent=indent)


def _complain(result: Result) -> None:
    """Why it was not done, and the command that helps, as the command line says it elsewhere."""
    reason = result.reason or result.meaning
    about = "" if re.search(rf"\b{result.pid}\b", reason) else f"{result.pid}: "
    _say(f"memtop: {about}{visible(reason)}", sys.stderr)
    if result.command:
        _say(f"        {visible(result.command)}", sys.stderr)


def _say(text: str, stream: TextIO) -> None:
    print(_fitting(text, stream), file=stream)


def _fitting(text: str, stream: TextIO) -> str:
    """The text in characters that the stream can show."""
    if (stream.encoding or "").lower().replace("-", "") in ("utf8", "utf8mb4"):
        return text
    return text.translate(ASCII).encode("ascii", "backslashreplace").decode()


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "")


def _width(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
