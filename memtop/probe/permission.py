"""Which rights memtop has on a process, why one is missing, and which command would have it.

`smaps` takes PTRACE_MODE_READ, `memory` and `attach` PTRACE_MODE_ATTACH, which Yama restricts
further; `owner` is for files that only their owner may open (kernel/ptrace.c: ptrace_may_access,
fs/proc/base.c). Everything is tried, nothing is attached to; what to say depends on who memtop is.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Collection
from functools import lru_cache
from typing import Literal

from memtop.probe.own import DAC_OVERRIDE, DAC_READ_SEARCH, SYS_ADMIN, SYS_PTRACE, Standing

Right = Literal["smaps", "memory", "attach", "owner"]
_KUBECTL = "kubectl debug -it POD -n NS --image=IMAGE --target=CONTAINER"


def held_rights(
    folder: int, standing: Standing, *, flags: int = os.O_RDONLY
) -> tuple[Right, ...] | None:
    """Those of `smaps`, `memory`, `attach` that memtop has on the process of a /proc/PID folder.

    None if it has no memory to have rights on: a zombie, a kernel thread, or gone. `flags`: how
    mem is to be opened. PTRACE_SEIZE asks the same question as that, but not for the file's mode.
    """
    rights: list[Right] = []
    try:
        os.readlink("exe", dir_fd=folder)
        rights.append("smaps")
    except PermissionError:
        pass
    except OSError:
        return None
    try:
        os.close(os.open("mem", flags | os.O_CLOEXEC, dir_fd=folder))
        rights += ["memory", "attach"]
    except PermissionError:
        if rights and standing.has(SYS_PTRACE):
            rights.append("attach")
    except OSError:
        pass
    return tuple(rights)


def why_refused(
    right: Right,
    standing: Standing,
    *,
    uid: int | None,
    may_read: bool,
    writing: bool = False,
) -> str:
    """Why memtop lacks a right on a process of user `uid`; None: of whom is not known.

    `may_read`: it has `smaps`. `writing`: memory was to be opened for writing, too.
    """
    owner = "another user" if uid is None else user_name(uid)
    modes = DAC_OVERRIDE if writing else DAC_READ_SEARCH
    is_mode = standing.has(SYS_PTRACE) and standing.uid != uid and not standing.has(modes)
    if right in ("memory", "attach") and may_read and standing.yama:
        return f"kernel.yama.ptrace_scope is {standing.yama}"
    if right == "owner" or (right == "memory" and may_read and is_mode):
        name = "CAP_DAC_OVERRIDE" if writing else "CAP_DAC_READ_SEARCH"
        return f"belongs to {owner}; needs that user or {name}"
    if standing.has(SYS_PTRACE):
        return "refused although CAP_SYS_PTRACE is held: security module or user namespace"
    if standing.uid == uid:
        return "has capabilities that memtop has not, or is not dumpable"
    return f"belongs to {owner}; needs CAP_SYS_PTRACE"


def remedy(rights: Collection[Right], standing: Standing, call: str) -> str | None:
    """The command that has these rights; None without any, or if no command helps.

    `call`: how memtop is to be called where it runs now: `memtop trim 4711`. Words in capitals are
    to be filled in. Sources: kubectl's debug profiles, kubectl issue 1650 (capabilities are void
    for users other than root), Yama (scope 3 lasts until the next boot).
    """
    rights = set(rights)
    if standing.yama >= 3:
        rights -= {"memory", "attach"}
    if not rights or (standing.uid == 0 and standing.has(SYS_ADMIN)):
        return None
    if standing.container is None:
        return f"sudo {call}" if standing.uid else None
    refused = standing.uid == 0 and standing.has(SYS_PTRACE)  # by AppArmor, seccomp, a namespace
    if standing.container != "kubernetes":
        return _docker("--privileged" if refused else "--user=0 --cap-add=SYS_PTRACE")
    if standing.node or refused:
        return "kubectl debug node/NODE -it --image=IMAGE --profile=sysadmin -- memtop"
    custom = """ --custom=<(echo '{"securityContext":{"runAsUser":0,"runAsNonRoot":false}}')"""
    return f"{_KUBECTL} --profile=general{custom if standing.uid else ''} -- memtop"


def remedy_for_filters(standing: Standing, call: str) -> str | None:
    """The command that may read seccomp filters: CAP_SYS_ADMIN, and no filter on memtop itself.

    kernel/seccomp.c: seccomp_get_filter. None if memtop may, or no command is known.
    """
    if standing.may_read_filters:
        return None
    if standing.container is None:
        return f"sudo {call}" if standing.uid else None
    if standing.container != "kubernetes":
        return _docker("--user=0 --privileged")
    if standing.node:
        return "kubectl debug node/NODE -it --image=IMAGE --profile=sysadmin -- memtop"
    return f"{_KUBECTL} --profile=sysadmin -- memtop"


@lru_cache(maxsize=4096)
def user_name(uid: int) -> str:
    """The name of a user; the number if it has none here."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)


def _docker(grant: str) -> str:
    return f"docker run --rm -it --pid=container:CONTAINER {grant} IMAGE memtop"
