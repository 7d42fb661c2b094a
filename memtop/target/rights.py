"""What memtop may do with one process, why not the rest, and the command that may.

`smaps` and `memory` (for reading and writing) are tried. `attach` is the same question to the
kernel as `memory`, except that a file's mode is not asked, and that a seccomp filter on memtop
itself may keep it from ptrace (then that is tried, too). Nothing is attached to.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import NamedTuple

from memtop.probe import parse
from memtop.probe.handle import slurp
from memtop.probe.own import SYS_PTRACE, Standing, read_standing
from memtop.probe.permission import Right, held_rights, remedy, why_refused

ALL: tuple[Right, ...] = ("smaps", "memory", "attach")
_DETACH = 17  # PTRACE_DETACH, include/uapi/linux/ptrace.h


class Rights(NamedTuple):
    """The rights that are `held`; of those that are `missing` each with the reason.

    `command` has what is missing; None if nothing is, or if no command is known to help.
    """

    held: tuple[Right, ...]
    missing: tuple[tuple[Right, str], ...] = ()
    command: str | None = None


def read_rights(
    pid: int, *, root: str = "/proc", call: str | None = None, standing: Standing | None = None
) -> Rights:
    """Try what may be done with process `pid`; `call`: how memtop is called to do this.

    ProcessLookupError if it has no memory (any more): gone, a zombie, a thread of the kernel.
    """
    standing = standing or read_standing()
    call = call or f"memtop --pid {pid}"
    try:
        folder = os.open(f"{root}/{pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH)) from None
    try:
        held = held_rights(folder, standing, flags=os.O_RDWR)
        if held is None:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        uid = _uid(folder)
        is_read_only = bool(os.fstatvfs(folder).f_flag & os.ST_RDONLY)
    finally:
        os.close(folder)
    reasons = {
        right: why_refused(right, standing, uid=uid, may_read="smaps" in held, writing=True)
        for right in ALL
        if right not in held
    }
    if is_read_only and "smaps" in held:
        reasons = dict.fromkeys(reasons, f"{root} is mounted read-only")
    if "attach" in held and standing.filtered and not _may_trace():
        reasons["attach"] = "a seccomp filter keeps memtop itself from ptrace"
        # With the capability Docker's and containerd's profiles allow it; else without a filter.
        has_all = standing.uid == 0 and standing.has(SYS_PTRACE)
        standing = standing if has_all else standing._replace(capabilities=0)
        held = tuple(right for right in held if right != "attach")
    return Rights(held, tuple(reasons.items()), remedy(reasons, standing, call))


def _uid(folder: int) -> int | None:
    try:
        return parse.parse_uid(slurp(folder, "status"))
    except (OSError, ValueError):
        return None


def _may_trace() -> bool:
    """Whether ptrace answers at all: a process that is not traced gives ESRCH."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace(_DETACH, os.getpid(), None, None)
    return ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS, errno.EACCES)
