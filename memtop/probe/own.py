"""memtop's own place: what it may do, whether it is a guest in a pod, and how it makes way there.

A guest's memory counts in the pod of its host. If that runs full, the kernel is to kill the guest:
raising one's own oom_score_adj needs no right (fs/proc/base.c: only lowering does).
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from memtop.probe import parse
from memtop.probe.handle import read
from memtop.probe.pods import container_of

# include/uapi/linux/capability.h
DAC_OVERRIDE, DAC_READ_SEARCH, SYS_PTRACE, SYS_ADMIN = 1, 2, 19, 21
# PROC_PID_INIT_INO and PROC_USER_INIT_INO, include/linux/proc_ns.h
_INITIAL_PIDS, _INITIAL_USERS = "pid:[4026531836]", "user:[4026531837]"
LONGEST_START_S = 5.0  # a program that has run for longer does not mean its start by now
GIVES_WAY = 1000  # OOM_SCORE_ADJ_MAX, include/uapi/linux/oom.h


class Standing(NamedTuple):
    """What memtop itself may do: its user, capabilities (bits), Yama's ptrace_scope, where it is.

    `container`: `kubernetes`, `docker` (or the like) or None; `node`: it sees the host's PIDs.
    `filtered`: its own system calls pass seccomp; `nested`: it is in a user namespace, whose
    capabilities are void where the kernel asks for those of the host.
    """

    uid: int
    capabilities: int
    yama: int = 0
    container: str | None = None
    node: bool = False
    filtered: bool = False
    nested: bool = False

    @property
    def may_read_filters(self) -> bool:
        """Whether it may read the seccomp filters of others (kernel/seccomp.c)."""
        return self.has(SYS_ADMIN) and not self.filtered and not self.nested

    def has(self, capability: int) -> bool:
        """Whether a capability is effective."""
        return bool(self.capabilities >> capability & 1)


def read_standing() -> Standing:
    """The standing of this process; what cannot be read counts as not there."""
    status = parse.parse_keyed(_own("/proc/self/status"))
    capabilities = int(status.get("CapEff", "0"), 16)
    yama = _scope(_own("/proc/sys/kernel/yama/ptrace_scope"))
    container = None
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        container = "kubernetes"
    elif any(map(os.path.exists, ("/.dockerenv", "/run/.containerenv"))) or container_of(
        parse.parse_cgroup(_own("/proc/self/cgroup"))
    ):
        container = "docker"
    return Standing(
        os.geteuid(),
        capabilities,
        yama,
        container,
        node=_namespace("pid") == _INITIAL_PIDS,
        filtered=status.get("Seccomp", "0") != "0",
        nested=_namespace("user") not in ("", _INITIAL_USERS),
    )


def is_guest(standing: Standing | None = None) -> bool:
    """Whether memtop runs in a container: by its environment, cgroup, or PID namespace."""
    standing = standing or read_standing()
    return standing.container is not None or not standing.node


def give_way(path: str = "/proc/self/oom_score_adj") -> bool:
    """Make memtop the first to be killed when memory runs out; False if that was not possible."""
    try:
        with open(path, "r+b", buffering=0) as file:
            if int(file.read()) < GIVES_WAY:
                file.seek(0)
                file.write(b"%d" % GIVES_WAY)
    except (OSError, ValueError):
        return False
    return True


def _scope(raw: bytes) -> int:
    word = raw.strip()
    return int(word) if word.isdigit() else 0


def _namespace(kind: str) -> str:
    """memtop's own namespace of a kind, empty if that is not known."""
    try:
        return os.readlink(f"/proc/self/ns/{kind}")
    except OSError:
        return ""


def _own(path: str) -> bytes:
    try:
        return read(path)
    except OSError:
        return b""


def began_at() -> float:
    """When this process was started, in seconds since the epoch, to 10 ms; now if that is unknown.

    A command means the moment at which it was typed, not that at which Python was ready.
    """
    now = time.time()
    try:
        ticks = parse.parse_stat(read("/proc/self/stat")).start_ticks
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (AttributeError, OSError, ValueError):
        return now
    return now - age_s if 0 <= age_s < LONGEST_START_S else now
