"""Watches a process and all below it into a recording that is there only until it was told.

What was seen inside and what the rules say go into that recording, too. Ctrl+C and SIGTERM end the
watching, and what is known by then is told; nothing is left behind. What one that was killed has
left, the next one removes. Times in seconds.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from memtop import named
from memtop.actions.signals import ITSELF, Target
from memtop.console import INTERRUPTED, Progress, complain
from memtop.errors import MemtopError, NoSuchProcess
from memtop.evidence.inquiry import Gathered, Inquiry
from memtop.evidence.verdict import verdict_of
from memtop.kept import kept_anatomy, kept_census, kept_verdict, verdict_from
from memtop.model.state import State
from memtop.probe.own import give_way, is_guest
from memtop.probe.procfs import ProcfsSource
from memtop.recording.opening import claim
from memtop.recording.session import Chosen, Session, boot_id_of
from memtop.sampling import interval_for, states_of

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PREFIX = "memtop-report-"
RECORDED = re.compile(r"/\d+\.memtop(-journal)?\Z")
LEFT_AFTER_S = 600.0  # a report takes less, once its recording is written


@contextmanager
def observed(pid: int, options: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    """A recording of a process that was watched for `options.watch_s`: its path, what to call it,
    and the exit code. MemtopError if the process cannot be watched."""
    target = named.find_to_look_into(pid, "report")
    if pid == os.getpid():
        raise MemtopError(f"{pid} {ITSELF.partition(';')[0]}")
    _tidy()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder, _cancelled() as cancel:
        path = os.path.join(folder, f"{pid}.memtop")
        interval_s = options.interval or interval_for(options.watch_s)
        code = _watch(target, path, options.watch_s, interval_s, cancel)
        yield path, f"{target.name} {pid}", code


def _tidy() -> None:
    """Remove what one that was killed has left: recordings of ours that nobody writes to."""
    with os.scandir(tempfile.gettempdir()) as entries:
        left = [one.path for one in entries if one.name.startswith(PREFIX)]
    for folder in left:
        try:
            info = os.lstat(folder)
            if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
                continue
            files = [os.path.join(folder, name) for name in os.listdir(folder)]
            if not all(RECORDED.search(one) for one in files):
                continue
            newest = max(os.lstat(one).st_mtime for one in [folder, *files])
            if time.time() - newest < LEFT_AFTER_S:
                continue
            for one in files:
                if one.endswith(".memtop") and (descriptor := claim(one)) is not None:
                    os.close(descriptor)
            for one in files:
                os.unlink(one)
            os.rmdir(folder)
        except (OSError, MemtopError):
            continue  # it is in use, or somebody else tidies up


def _watch(
    target: Target, path: str, for_s: float, interval_s: float, cancel: threading.Event
) -> int:
    if is_guest():
        give_way()
    progress = Progress()
    source = ProcfsSource(named.ROOT, mask=named.mask())
    settings: dict[str, object] = {"interval_s": interval_s, "pid": target.identity.pid}
    session = Session(
        path,
        settings=settings,
        chosen=Chosen(top_pid=target.identity.pid),
        boot_id=boot_id_of(named.ROOT),
    )
    try:
        gathered = Inquiry(
            target.identity,
            _recorded(states_of(source, target.identity, interval_s, cancel), session),
            for_s=for_s,
            root=named.ROOT,
            tell=lambda words: progress.show(f"{target.identity.pid}: {words}"),
            cancel=cancel,
        ).run()
        _keep(session, gathered, target)
    finally:
        source.close()
        session.close()
        progress.clear()
    return _code(gathered, target, is_cancelled=cancel.is_set())


def _recorded(
    next_state: Callable[[Collection[int]], State], session: Session
) -> Callable[[Collection[int]], State]:
    def taken(pids: Collection[int]) -> State:
        state = next_state(pids)
        session.take(state)
        return state

    return taken


def _keep(session: Session, gathered: Gathered, target: Target) -> None:
    """Add what was seen inside and what the rules say to the recording."""
    for look in gathered.looks:
        seen = [kept_anatomy(look.anatomy)] if look.anatomy is not None else []
        seen += [kept_census(look.objects)] if look.objects is not None else []
        for kept in seen:
            session.add_result(kept.kind, kept.identity, kept.document)
    if not gathered.evidences:
        return
    evidence, findings = verdict_of(gathered.evidences)
    kept = kept_verdict(verdict_from(gathered, evidence, findings), target.identity)
    session.add_result(kept.kind, kept.identity, kept.document)


def _code(gathered: Gathered, target: Target, *, is_cancelled: bool) -> int:
    """The exit code; why it is not a full answer is said."""
    if is_cancelled:
        complain("the watching was ended; this is what was known by then")
        return INTERRUPTED
    if gathered.ended:
        pid = target.identity.pid
        complain(f"{pid} has ended while it was watched; this is what was known by then")
        return NoSuchProcess.exit_code
    if (denied := gathered.denied) is not None:
        complain(f"nobody could look inside: {denied.message}", denied.command)
    return 0


@contextmanager
def _cancelled() -> Iterator[threading.Event]:
    """An event that the signals set which would otherwise leave files behind."""
    cancel = threading.Event()
    before = [signal.signal(number, lambda *_: cancel.set()) for number in SIGNALS]
    try:
        yield cancel
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)
