"""The process that a PID on the command line names: found once, so that no other can be meant.

A thread's number is no PID, although /proc shows threads to who asks for them.
"""

from __future__ import annotations

import os
import re
import sys

from memtop.actions.signals import Target
from memtop.actions.table import KERNEL
from memtop.errors import MemtopError, NoSuchProcess
from memtop.probe import parse
from memtop.probe.handle import read
from memtop.probe.sample import Identity
from memtop.units import iso_utc

ROOT = "/proc"


def find(pid: int) -> Target | None:
    """The process that has this PID now."""
    try:
        stat = parse.parse_stat(read(f"{ROOT}/{pid}/stat", 1024))
    except (OSError, ValueError):
        return None
    if _process_of(pid) != pid:
        return None
    return Target(Identity(stat.start_ticks, pid), stat.name, stat.kernel)


def find_to_look_into(pid: int, command: str) -> Target:
    """The process that `memtop COMMAND PID` is to look into; an error if that cannot be done."""
    from memtop.probe.host import own_host

    if sys.platform != "linux":
        raise MemtopError(f"{command} needs Linux")
    if own_host(ROOT) is None:
        raise MemtopError(
            f"{command} is off: {ROOT} does not show memtop itself, so that it may be that"
            " of another host or container; run memtop there"
        )
    target = find(pid)
    if target is None:
        reason, helps = why_missing(pid, command)
        raise NoSuchProcess(reason, command=helps)
    if target.kernel:
        raise MemtopError(f"{pid} {KERNEL}: it has no memory of its own")
    return target


def why_missing(pid: int, command: str) -> tuple[str, str]:
    """Why a PID names no process, and the command that helps whoever called `memtop COMMAND`."""
    process = _process_of(pid)
    if process in (None, pid):
        return f"there is no process {pid}", "memtop ps"
    reason = f"there is no process {pid}: that is a thread of {process}"
    return reason, f"memtop {command} {process}"


def is_live() -> bool:
    """Whether /proc shows memtop itself, so that its PIDs are those of this process."""
    try:
        return os.readlink(f"{ROOT}/self") == str(os.getpid())
    except OSError:
        return False


def boot_at() -> float | None:
    """When the host was started, as `ps` counts it, in seconds since the epoch."""
    from memtop.probe.host import HostReader

    try:
        return HostReader(ROOT).boot_at
    except (MemtopError, OSError):
        return None


def started(identity: Identity | None, boot_at: float | None) -> str | None:
    """The moment at which a process began, as the JSON has it; None if that is not known."""
    if identity is None or boot_at is None:
        return None
    return iso_utc(boot_at + identity.start_ticks / os.sysconf("SC_CLK_TCK"))


def mask() -> tuple[re.Pattern[str], ...]:
    """What the user's settings hide in command lines besides; MemtopError if they are wrong."""
    from memtop.config import find, load

    return load(find(os.environ), os.environ).mask


def _process_of(pid: int) -> int | None:
    """The process that a number belongs to: its own, or that of a thread."""
    try:
        return int(parse.parse_keyed(read(f"{ROOT}/{pid}/status", 1 << 16))["Tgid"])
    except (OSError, ValueError, KeyError):
        return None
