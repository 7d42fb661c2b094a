"""Signals: which are offered, who may get one, and sending one to the very process that was meant.

A PID alone names nobody: it may belong to another process by the time that somebody presses a
key. So the process is held by a pidfd where the kernel has one, then its start time is compared,
then the signal goes through the pidfd. Without pidfds (Linux < 5.3, some sandboxes, some builds
of Python) the comparison comes right before the kill.

Nothing here asks, shows or waits; no text holds anything that a process can choose.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from memtop.probe import parse
from memtop.probe.handle import close, read
from memtop.probe.host import HostReader, own_host
from memtop.probe.sample import Identity


class Signal(NamedTuple):
    """A signal that is offered; `name` without SIG, as kill(1) takes it."""

    number: int
    name: str
    help: str


_OFFERED = (  # most useful first
    ("TERM", "asks it to end; it may tidy up first"),
    ("INT", "what ctrl+c sends; Python raises KeyboardInterrupt"),
    ("HUP", "many servers read their configuration again, others end"),
    ("KILL", "ends it at once; it can neither tidy up nor refuse"),
    ("STOP", "stops it where it is until CONT; it keeps its memory"),
    ("CONT", "lets a stopped process go on"),
    ("USR1", "what the program says it means; ends those that say nothing"),
    ("USR2", "the same, for something else"),
    ("QUIT", "ends it, with a core dump where those are on"),
    ("ABRT", "the same; faulthandler prints the Python stacks first"),
    ("TTIN", "gunicorn: one worker more; stops programs that say nothing"),
    ("TTOU", "gunicorn: one worker less; stops programs that say nothing"),
)
SIGNALS = tuple(
    Signal(int(getattr(signal, f"SIG{name}")), name, text)
    for name, text in _OFFERED
    if hasattr(signal, f"SIG{name}")  # some systems have few
)
NAMES = {offered.number: offered.name for offered in SIGNALS}
AT_ONCE = ("KILL", "STOP", "CONT")  # act on a stopped process, too

ELSEWHERE = "signals are off: this is a recording or the /proc of another host; run memtop there"
ITSELF = "is memtop itself; q ends it"
KERNEL = "is a thread of the kernel, which takes no signals"


class Target(NamedTuple):
    """The process that is meant; `name` is for the question that the screen asks."""

    identity: Identity
    name: str
    kernel: bool = False


class Outcome(NamedTuple):
    """What became of one target. When a right was missing: its name, and a command that has it."""

    pid: int
    outcome: Literal["done", "refused", "failed"]
    reason: str
    right: str | None = None
    command: str | None = None


def refusals(
    targets: Sequence[Target], own: Identity | None, live: bool, parents: frozenset[int]
) -> list[Outcome]:
    """Which targets get no signal, whatever is confirmed; `own` and `live` as the source says."""
    if not live:
        return [Outcome(target.identity.pid, "refused", ELSEWHERE) for target in targets]
    found = []
    for target in targets:
        pid = target.identity.pid
        if own is not None and pid == own.pid:
            reason = f"{pid} {ITSELF}"
        elif target.kernel:
            reason = f"{pid} {KERNEL}"
        elif len(targets) > 1 and needs_typed_pid(target, parents):
            reason = f"{pid} is PID 1 or a parent of memtop: choose it alone and type its PID"
        else:
            continue
        found.append(Outcome(pid, "refused", reason))
    return found


def needs_typed_pid(target: Target, parents: frozenset[int]) -> bool:
    """Whether a key is not enough: its end may take the container, or memtop, along."""
    return target.identity.pid == 1 or target.identity.pid in parents


def parents_of(pid: int, *, root: str = "/proc") -> frozenset[int]:
    """The parent of a process, its parent, and so on, as far as they can be seen."""
    parents: list[int] = []
    try:
        while (pid := parse.parse_stat(read(f"{root}/{pid}/stat")).ppid) not in (0, *parents):
            parents.append(pid)
    except (OSError, ValueError):
        pass
    return frozenset(parents)


def send_all(targets: Iterable[Target], number: int, *, root: str = "/proc") -> Iterator[Outcome]:
    """Send a signal to one target after the other; one that fails does not keep the rest."""
    for target in targets:
        yield send(target, number, root=root)


def send(target: Target, number: int, *, root: str = "/proc") -> Outcome:
    """Send one signal to one process, if it is still the one that was meant; never raises."""
    pid = target.identity.pid
    if pid == os.getpid():
        return Outcome(pid, "refused", f"{pid} {ITSELF}")
    # kill(2) takes 0 and less for a whole group, or for everybody.
    if pid <= 0 or number not in NAMES:
        return Outcome(pid, "refused", f"signal {number} to PID {pid} makes no sense: not sent")
    host = own_host(root)
    if host is None:
        return Outcome(pid, "refused", f"{root} does not show memtop, so nothing was sent to {pid}")
    name, pidfd = NAMES[number], -1
    try:
        pidfd = _open_pidfd(pid)
        # Read after the pidfd is open: if it is the right process now, it was then.
        stat = parse.parse_stat(read(f"{root}/{pid}/stat"))
        if objection := _objection(target, stat, host):
            return Outcome(pid, "refused", objection)
        if pidfd >= 0:
            signal.pidfd_send_signal(pidfd, number)
        else:
            os.kill(pid, number)
    except (ProcessLookupError, FileNotFoundError):
        return Outcome(pid, "refused", f"{pid} has ended")
    except PermissionError:
        right, command = "same user or CAP_KILL", f"sudo memtop --pid {pid}"
        reason = f"{name} may not be sent to {pid}: that needs the {right}; try {command}"
        return Outcome(pid, "failed", reason, right, command)
    except (OSError, ValueError, OverflowError) as error:
        return Outcome(pid, "failed", f"nothing was sent to {pid}: {error}")
    finally:
        close(pidfd)
    if stat.state == "T" and name not in AT_ONCE:
        return Outcome(pid, "done", f"{name} was sent to {pid}; it is stopped and needs CONT")
    return Outcome(pid, "done", f"{name} was sent to {pid}")


def _open_pidfd(pid: int) -> int:
    """A pidfd, -1 where there are none; ProcessLookupError when no process has this PID."""
    if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
        return -1
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):  # the id of somebody's thread by now
            raise ProcessLookupError from None
        if error.errno in (errno.ENOSYS, errno.EPERM):  # EPERM: older sandboxes of Docker
            return -1
        raise


def _objection(target: Target, stat: parse.Stat, host: HostReader) -> str | None:
    """Why the process that has this PID now must not get the signal."""
    pid = target.identity.pid
    if stat.start_ticks != target.identity.start_ticks:
        started = host.begun(stat.start_ticks)
        return f"{pid} is another process now (started {started}): nothing was sent"
    if stat.kernel:
        return f"{pid} {KERNEL}"
    # A process whose first thread has left is Z as well, but its other threads live.
    if stat.state in "ZX" and stat.threads <= 1:
        return f"{pid} has ended already and waits for its parent PID {stat.ppid} to reap it"
    return None
