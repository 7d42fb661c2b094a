"""What speaks against an action in one process, found without touching it.

Each rule is a way in which an action would harm the process, hang, or do nothing; the first that
holds is the Refusal, what was looked at before are the Checks. The one that somebody may insist
against counts only if no other holds, so that nothing else is left when it is forced. Bytes and
seconds.
"""

from __future__ import annotations

import os
import re
import sys

from memtop import units
from memtop.actions import standstill
from memtop.actions.interior import look_inside
from memtop.actions.remote.snapshot_code import BUDGET_S, stride_of
from memtop.actions.result import ActionId, Check, Plan, Refusal
from memtop.actions.signals import Target
from memtop.actions.table import ACTIONS, ITSELF, KERNEL, elsewhere
from memtop.probe import parse
from memtop.probe.freezer import is_frozen
from memtop.probe.handle import slurp
from memtop.probe.host import HostReader, own_host
from memtop.probe.own import Standing, read_standing
from memtop.probe.permission import remedy_for_filters
from memtop.target.rights import read_rights
from memtop.target.sharing import would_unshare_bytes
from memtop.target.tracked import count_tracked

MIB, GIB = 1 << 20, 1 << 30
# Address space that a thread takes in glibc: 8 MiB of stack, and an arena, for which 128 MiB are
# reserved before they are cut to 64 (malloc/arena.c: new_heap); with what is left for others.
THREAD_ROOM_BYTES = 160 * MIB
# Estimates per GiB of anonymous memory: malloc_trim walks the free lists and gives pages back,
# a full collection visits every tracked object three times.
TRIM_S_PER_GIB = 0.25
GC_S_PER_GIB = 1.0
# Of a snapshot: the code itself, each object that the collector tracks, and each of those that are
# asked for what they refer to (0.4 to 2 µs, by how much that is).
SNAPSHOT_S, S_PER_OBJECT, S_PER_FOLLOWED = 0.02, 3e-7, 1.0e-6
S_PER_LISTED = 3e-8  # to list an object and to let it go: that cannot be cut off by a budget
LIST_BYTES = 26  # for each object: in two lists that grow by an eighth, and what counts it
LITTLE_BYTES = 1 << 20  # copied by anything that a process does
MACHINE = "x86_64"


class _Objection(Exception):
    """Ends the examination."""

    def __init__(self, refusal: Refusal, check: str | None = None) -> None:
        super().__init__(refusal.reason)
        self.refusal, self.check = refusal, check


def leaves_shared(would_unshare_bytes: int | None) -> bool:
    """Whether a snapshot does not ask for what containers refer to: much is shared, or may be.

    That would be copied, too: each object that is asked for is written to.
    """
    return would_unshare_bytes is None or would_unshare_bytes >= LITTLE_BYTES


def examine(
    action: ActionId, target: Target, *, root: str = "/proc", budget_s: float = BUDGET_S
) -> Plan:
    """What an action would meet in a process; whatever that does, the answer is a Plan.

    `budget_s`: for how long a snapshot may hold the interpreter.

    It takes some milliseconds, for gc and a snapshot 50 more if much is shared with relatives, and
    for a snapshot 50 more. Whether there is room for what they would copy is not judged here,
    because several targets share it.
    """
    look = _Examination(action, target, root, budget_s)
    refusal: Refusal | None = None
    try:
        look.run()
        refusal = look.warning
    except _Objection as objection:
        refusal = objection.refusal
        if objection.check is not None:
            look.checks.append(Check(objection.check, False))
    except (ProcessLookupError, FileNotFoundError):
        refusal = Refusal(f"{target.identity.pid} has ended", gone=True)
    except PermissionError as error:
        refusal = Refusal(f"no right to examine it: {error.strerror}", right="memory")
    except (OSError, ValueError) as error:
        refusal = Refusal(f"it could not be examined: {error}")
    return Plan(
        action=action,
        identity=target.identity,
        name=target.name,
        rss_bytes=look.rss_bytes,
        checks=tuple(look.checks),
        refusal=refusal,
        stall_s=look.stall_s,
        would_unshare_bytes=look.would_unshare_bytes,
        needs_bytes=look.needs_bytes,
        allocator=look.allocator,
        python=look.python,
    )


class _Examination:
    """One look at one process; what is known stays, even if an objection ends it."""

    def __init__(self, action: ActionId, target: Target, root: str, budget_s: float) -> None:
        self._action, self._target, self._root = action, target, root
        self._budget_s = budget_s
        self._pid = target.identity.pid
        self._call = f"memtop {action} {self._pid}"
        self._status: dict[str, str] = {}
        self.checks: list[Check] = []
        self.warning: Refusal | None = None
        self.rss_bytes: int | None = None
        self.stall_s: float | None = None
        self.would_unshare_bytes: int | None = None
        self.needs_bytes = 0
        self.allocator: str | None = None
        self.python: str | None = None
        self._has_heads = True

    def run(self) -> None:
        """Look at everything; _Objection at the first thing that nobody may insist against."""
        host = own_host(self._root)
        if host is None:
            raise _Objection(Refusal(elsewhere(ACTIONS[self._action])))
        if os.uname().machine != MACHINE or sys.maxsize < 1 << 32:
            raise _Objection(Refusal(f"memtop can act on {MACHINE} only, as a program of 64 bits"))
        try:
            folder = os.open(f"{self._root}/{self._pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            raise ProcessLookupError from None
        try:
            self._identify(folder, host)
            self._measure(folder)
            standing = read_standing()
            self._check_rights(standing)
            self._look_inside()
            threads = standstill.read_threads(folder)
            self._check_threads(threads, folder)
            self._check_filter(threads, standing)
            self._check_room(folder)
            self.checks.append(Check(threads.word, True))
            if ACTIONS[self._action].python_only:
                self.would_unshare_bytes = would_unshare_bytes(
                    self._pid, root=self._root, heads=self._has_heads
                )
            if self._action == "snapshot":
                self._estimate_snapshot()
            # What was read by PID was of this very process only if that still lives.
            self._expect_alive(parse.parse_stat(slurp(folder, "stat")))
        finally:
            os.close(folder)

    def _identify(self, folder: int, host: HostReader) -> None:
        """Whether it is the process that was meant, and alive."""
        stat = parse.parse_stat(slurp(folder, "stat"))
        if stat.start_ticks != self._target.identity.start_ticks:
            began = host.begun(stat.start_ticks)
            reason = f"{self._pid} is another process now (started {began})"
            raise _Objection(Refusal(reason, gone=True), "same process")
        if self._pid == os.getpid():
            raise _Objection(Refusal(f"{self._pid} {ITSELF}"))
        if stat.kernel:
            raise _Objection(Refusal(f"{self._pid} {KERNEL}: it has no memory of its own"))
        self._expect_alive(stat)
        self.checks.append(Check("same process", True))

    def _expect_alive(self, stat: parse.Stat) -> None:
        # A process whose first thread has left is Z as well, but its other threads live.
        if stat.state in "ZX" and stat.threads <= 1:
            reason = f"{self._pid} has ended already and waits for its parent PID {stat.ppid}"
            raise _Objection(Refusal(f"{reason} to reap it", gone=True))

    def _measure(self, folder: int) -> None:
        self._status = parse.parse_keyed(slurp(folder, "status"))
        rss_kib = parse.kib_of(self._status, "VmRSS")
        anonymous_kib = parse.kib_of(self._status, "RssAnon")
        self.rss_bytes = None if rss_kib is None else rss_kib * 1024
        if anonymous_kib is not None and self._action != "snapshot":
            per_gib = TRIM_S_PER_GIB if self._action == "trim" else GC_S_PER_GIB
            self.stall_s = anonymous_kib * 1024 / GIB * per_gib

    def _check_rights(self, standing: Standing) -> None:
        rights = read_rights(self._pid, root=self._root, call=self._call, standing=standing)
        for right, why in rights.missing:
            if right == "smaps":
                continue  # then the others are missing, too
            reason = f"no right to act in {self._pid} ({why})"
            raise _Objection(Refusal(reason, right, rights.command), "rights")
        self.checks.append(Check("rights", True))

    def _look_inside(self) -> None:
        inside = look_inside(self._action, self._pid, self._root)
        self.allocator, self.python = inside.allocator, inside.python
        self._has_heads = inside.has_heads
        words = self.allocator or "no C library"
        if ACTIONS[self._action].python_only:
            words = f"python {self.python}" if self.python else "no python"
        if inside.refusal is not None:
            raise _Objection(inside.refusal, words)
        self.checks.append(Check(words, True))

    def _estimate_snapshot(self) -> None:
        """For how long a snapshot holds the interpreter, and what its list of objects takes."""
        version = re.match(r"(\d+)\.(\d+)", self.python or "")
        if version is None:
            return
        tracked = count_tracked(self._pid, (int(version[1]), int(version[2])), root=self._root)
        if tracked is None:
            return
        follows = not leaves_shared(self.would_unshare_bytes)
        followed = tracked / stride_of(tracked) if follows else 0
        seconds = SNAPSHOT_S + tracked * S_PER_OBJECT + followed * S_PER_FOLLOWED
        least = SNAPSHOT_S + tracked * S_PER_LISTED
        self.stall_s = min(seconds, max(self._budget_s, least))
        self.needs_bytes = tracked * LIST_BYTES

    def _check_room(self, folder: int) -> None:
        """Whether a thread more does harm by its stack and its arena."""
        limit = parse.parse_address_space(slurp(folder, "limits"))
        size_kib = parse.kib_of(self._status, "VmSize") or 0
        if limit is not None and size_kib * 1024 + THREAD_ROOM_BYTES > limit:
            left = units.size(max(0, limit - size_kib * 1024) / 1024)
            reason = (
                f"its address space is limited (RLIMIT_AS), {left} of it are left, and one more"
                " thread may take 160 MiB for good: its own next allocation could fail"
            )
            raise _Objection(Refusal(reason), "address space")
        locked_kib = parse.kib_of(self._status, "VmLck")
        if locked_kib:
            reason = (
                f"it keeps {units.size(locked_kib)} locked in memory (mlock): the stack of one"
                " more thread could be locked, too, 8 MiB at once"
            )
            raise _Objection(Refusal(reason), "locked memory")

    def _check_filter(self, threads: standstill.Threads, standing: Standing) -> None:
        """A filter may kill at clone; it is evaluated when a thread is held, if memtop may."""
        if standstill.FILTER not in threads.seccomp:
            self.checks.append(Check("no seccomp", True))
        elif standing.may_read_filters:
            self.checks.append(Check("seccomp is read when a thread is held", None))
        else:
            lack = "runs under seccomp itself" if standing.filtered else "lacks CAP_SYS_ADMIN"
            if standing.nested and not standing.filtered:
                lack += " outside of its user namespace"
            reason = (
                "a seccomp filter judges its system calls, which memtop may not read because it"
                f" {lack}: if it kills for a new thread or mapping, the process dies"
            )
            command = remedy_for_filters(standing, self._call)
            self._warn(reason, "seccomp", right="CAP_SYS_ADMIN", command=command)

    def _check_threads(self, threads: standstill.Threads, folder: int) -> None:
        """Whether one of its threads can be held, and a new one would run."""
        if threads.tracer is not None:
            who = standstill.named(self._root, threads.tracer)
            reason = f"it is traced by {who}: only one may trace a process at a time"
            raise _Objection(Refusal(reason), "traced")
        if "T" in threads.states:
            reason = "it is stopped (SIGSTOP or ctrl+z): nothing in it can run until it continues"
            raise _Objection(Refusal(reason, command=f"kill -CONT {self._pid}"), "stopped")
        if is_frozen(folder):
            reason = "its cgroup is frozen: nothing in it can run until that is thawed"
            raise _Objection(Refusal(reason), "frozen")
        if threads.states == {"D"} and standstill.are_stuck(folder):
            reason = (
                "all its threads wait in the kernel without a way to interrupt them (state D),"
                " as for a disk or a network file system: try again when it goes on"
            )
            raise _Objection(Refusal(reason), "disk sleep")
        if standstill.STRICT in threads.seccomp:
            reason = "seccomp lets it read, write and exit only: another system call would end it"
            raise _Objection(Refusal(reason), "seccomp")
        if threads.has_shadow_stack:
            reason = "its threads have shadow stacks (CET), which memtop cannot keep in step"
            raise _Objection(Refusal(reason), "shadow stack")

    def _warn(
        self, reason: str, check: str, *, right: str | None = None, command: str | None = None
    ) -> None:
        """Object, unless somebody insists; the command is another way, or the one that insists."""
        self.checks.append(Check(check, False))
        command = command or f"{self._call} --force"
        self.warning = self.warning or Refusal(reason, right, command, forceable=True)
