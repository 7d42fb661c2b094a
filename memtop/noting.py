"""The commands `memtop record FILE` and `memtop mark FILE TEXT`.

`record` samples without a screen until it is told to end, by ctrl+c, SIGTERM or its duration; all
of them are success. What was written is on stderr. Times in seconds.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from memtop import units
from memtop.console import Progress, complain, say
from memtop.errors import MemtopError
from memtop.model.filter import Filter
from memtop.model.tracker import Tracker
from memtop.probe.own import began_at
from memtop.probe.sample import Wanted
from memtop.probe.source import Source
from memtop.recording import ring
from memtop.recording.appending import add_mark
from memtop.recording.resuming import GoingOn
from memtop.recording.session import Chosen, Session, boot_id_of
from memtop.secrets import mask_text

WANTED = Wanted(all_usage=True, all_cpu=True)


class _Ended(Exception):
    """Somebody wants it to end."""


def record(
    source: Source, tracker: Tracker, matching: Filter | None, options: argparse.Namespace
) -> int:
    """Record the source to `options.file` until it is to end; returns the exit code."""
    is_real = not options.fake
    session = Session(
        options.file,
        force=options.force,
        exact=options.exact,
        settings=_settings(options),
        chosen=Chosen(matching, python=options.python, top_pid=options.pid),
        boot_id=boot_id_of(options.procfs) if is_real else None,
        root=options.procfs if is_real else None,
    )
    progress = Progress()
    try:
        with _ended_by_signals():
            source, since = going_on(session, source, tracker, options.interval)
            _say_begin(session, since, options)
            _loop(source, tracker, session, progress, options)
    except _Ended:
        pass
    finally:
        progress.clear()
        source.close()
        session.close()
    say_end(session.path, session.samples)
    return 0


def going_on(
    session: Session, source: Source, tracker: Tracker, interval_s: float
) -> tuple[Source, float | None]:
    """Let a tracker that has seen nothing yet know what the file knows, before its first sample.

    Returns the source to be sampled then, and since when the past is known, if it is.
    """
    past = session.resume(tracker, interval_s, time.monotonic())
    return (GoingOn(source, past.living) if past.living else source), past.since


def mark(options: argparse.Namespace) -> int:
    """Add a mark to a recording; returns the exit code."""
    text = " ".join(options.text).strip()
    if not text:
        raise MemtopError("a mark needs a text", command=f'memtop mark {options.file} "level 8"')
    add_mark(options.file, text, began_at())
    return 0


def _loop(
    source: Source,
    tracker: Tracker,
    session: Session,
    progress: Progress,
    options: argparse.Namespace,
) -> None:
    deadline = time.monotonic()
    left_s = options.duration_s or float("inf")
    while True:
        state = tracker.feed(source.sample(tracker.ask(WANTED)))
        session.take(state)
        progress.show(f"{options.file}: {session.samples} samples, {_size(options.file)}")
        missed = max(0.0, (time.monotonic() - deadline) // options.interval)
        step_s = options.interval * (1 + missed)
        deadline, left_s = deadline + step_s, left_s - step_s
        if left_s < 0:
            return
        if not options.fake:  # a source with its own clock need not be waited for
            _wait(session, deadline)


def _wait(session: Session, deadline: float) -> None:
    """Until the next sample is due, reading the ring meanwhile."""
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, ring.EVERY_S))
        if left > ring.EVERY_S / 2:
            session.read_ring()


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM, SIGINT and SIGHUP end the recording as if it had been told so."""

    def end(number: int, _: object) -> None:
        raise _Ended

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.signal(number, end) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _settings(options: argparse.Namespace) -> dict[str, object]:
    """What the recording is made with, to be told by the report."""
    return {
        "filter": mask_text(" ".join(options.filter)),
        "interval_s": options.interval,
        "pid": options.pid,
        "python": options.python,
        "exact": options.exact,
        "procfs": options.procfs,
    }


def _say_begin(session: Session, since: float | None, options: argparse.Namespace) -> None:
    how = f"every {options.interval:g} s"
    until = "" if options.duration_s else "; ctrl+c ends it"
    if session.is_new:
        say(f"memtop: recording to {session.path} {how}{until}", sys.stderr)
    elif since is None:
        say(f"memtop: going on with {session.path} {how}{until}", sys.stderr)
        complain("how its processes grew before is not known here: another boot or interval")
    else:
        known = f"what was seen since {units.iso_utc(since)[:19]}Z is known"
        say(f"memtop: going on with {session.path} {how}, {known}{until}", sys.stderr)


def say_end(path: str, samples: int) -> None:
    """What was written, on stderr."""
    say(f"memtop: {path}: {samples} samples written, {_size(path)}", sys.stderr)


def _size(path: str) -> str:
    try:
        return units.size(os.stat(path).st_size / 1024)
    except OSError:
        return units.UNKNOWN
