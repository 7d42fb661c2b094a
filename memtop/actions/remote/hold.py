"""One thread of the target, stopped: whether it may be borrowed, and having it call C functions.

From the moment that its registers are changed, its own way back (the frame that `prepare` writes)
is complete: whoever lets it go at any time, or dies, leaves a thread that returns to where it was.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Literal, NamedTuple

from memtop.actions.remote import frame
from memtop.actions.remote.frame import Registers, Saved, signed
from memtop.actions.remote.ptrace import ALL_SIGNALS, MOST_XSTATE, NT_X86_XSTATE, Ended, Tracee
from memtop.actions.remote.seccomp import Version, calls, objection, repeated
from memtop.actions.remote.stacks import Stack, has_handler, room_below
from memtop.actions.remote.threads import RUNNING, Resume, resume_of
from memtop.probe import parse
from memtop.probe.handle import read
from memtop.probe.sample import Identity
from memtop.target.memory import Memory
from memtop.target.symbols import Symbol

MMAP, MPROTECT, MUNMAP, RT_SIGRETURN, CLONE, CLONE3 = 9, 10, 11, 15, 56, 435
STACK_BYTES = 48 << 10  # wanted below the stack pointer: two frames, and what pthread_create takes
SLOT_BYTES = 64  # for the pthread_t: on the borrowed thread's stack, which outlives the new thread
ANOTHER_PROGRAM = "it runs another program now: nothing was done"
WAITING_OR_RUNNING = ("S", "R", "I")  # not D: it would not stop; not T, Z, X
REALTIME = (1, 2, 6)  # SCHED_FIFO, SCHED_RR, SCHED_DEADLINE: the new thread would inherit it
_POLICY = 38  # field 41 of proc_pid_stat(5), counted after the name
STOPPING = (19, 20, 21, 22)  # SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU
# Of NT_PRSTATUS: orig_rax, rax, rsp.
_NUMBER_RESULT_STACK = itemgetter(15, 10, 19)


class Refused(Exception):
    """Nothing was done, and why, in words for people; `forceable` as in actions.result.Refusal."""

    def __init__(self, reason: str, *, forceable: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.forceable = reason, forceable


class Target(NamedTuple):
    """The process, and the addresses in it that borrowing takes.

    `memory` was opened for this very program; `Held.prepare` makes sure that it is still its.
    `stacks`: see stacks. `loop`: the interpreter's evaluation loop.
    `spinlocks`: see threads. `ignore_filter`: somebody insists although a seccomp filter cannot be
    read. `libc` and its version: what it calls is judged by a filter; all of them if not known.
    """

    identity: Identity
    root: str
    memory: Memory
    stacks: tuple[Stack, ...]
    mmap: int
    mprotect: int
    munmap: int
    pthread_create: int
    gadget: int
    loop: Symbol | None
    spinlocks: bool
    ignore_filter: bool
    libc: Literal["", "glibc", "musl"] = ""
    libc_version: Version | None = None


class Held:
    """A thread that is stopped and may be borrowed; leaving the context lets it go."""

    def __init__(
        self, target: Target, tracee: Tracee, resume: Resume, saved: Saved, began: float
    ) -> None:
        self._target, self.tracee, self.resume, self.saved = target, tracee, resume, saved
        self.tid, self.stopped, self._began = tracee.tid, saved.registers, began
        self.slot = (self.stopped.rsp - frame.RED_ZONE - SLOT_BYTES) & ~63
        self.frame = frame.place(self.slot, len(saved.xstate))
        self._masked = self._gone = False

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()

    def let_go(self) -> float:
        """Detach; how many seconds it was held, 0 when asked again."""
        if self._gone:
            return 0.0
        self._gone = True
        detach(self.tracee)
        return time.perf_counter() - self._began

    def prepare(self) -> None:
        """Write frame F: from now on the thread can find its way back by itself.

        Refused if it is not there for the thread: after an exec the memory that was opened is
        another one's, if a relative keeps it alive (CLONE_VM).
        """
        saved = self.saved._replace(registers=self.resume.registers)
        nonce = int.from_bytes(os.urandom(8), "little")
        raw = frame.build(self.frame, self.slot, saved, self._target.gadget, nonce)
        self._target.memory.write(self.frame, raw)
        try:
            found = self.tracee.peek(self.frame + frame.NONCE)
        except OSError:
            found = None
        if found != nonce:
            raise Refused(ANOTHER_PROGRAM)

    def frame_calling(self, function: int, arguments: Sequence[int]) -> int:
        """Write frame F2, which calls a function that returns into F; its address."""
        registers = self.stopped.calling(function, tuple(arguments), self.frame)
        saved = self.saved._replace(registers=registers, mask=ALL_SIGNALS)
        at = frame.place(self.frame, len(self.saved.xstate))
        self._target.memory.write(at, frame.build(at, self.frame, saved, self._target.gadget))
        return at

    def begin(self, function: int, arguments: Sequence[int], stack: int) -> None:
        """Set it up to call a function that returns into the frame at `stack`."""
        registers = self.stopped.calling(function, tuple(arguments), stack)
        self.tracee.set_registers(registers.pack())
        if not self._masked:
            # After the registers, so that the frame undoes it even if memtop dies here.
            self.tracee.set_signal_mask(ALL_SIGNALS)
            self._masked = True

    def call(self, number: int, function: int, arguments: Sequence[int], stack: int) -> int:
        """Have it make system call `number` through its C function; the result, negative is an
        error. Refused if the function makes another one first."""
        self.begin(function, arguments, stack)
        self._next_stop()
        self._next_stop()
        now = Registers.unpack(self.tracee.registers())
        if now.orig_rax != number:
            raise Refused(f"its C library made system call {now.orig_rax} instead of {number}")
        return signed(now.rax)

    def finish(self) -> bool | None:
        """If the frame would not do: stay until it is about to return into F, and give it its
        registers back by hand.

        Whether clone succeeded meanwhile; None if that was not seen.
        """
        if self.resume.exact is None or not self._masked:
            return None
        created: bool | None = None
        while True:
            self._next_stop()
            number, result, stack = _NUMBER_RESULT_STACK(Registers.unpack(self.tracee.registers()))
            if number in (CLONE, CLONE3):
                created = signed(result) > 0  # at its entry this is -ENOSYS
            if number == RT_SIGRETURN and stack == self.frame + 8:
                break
        self.tracee.set_registers(self.saved.whole_xstate, NT_X86_XSTATE)
        self.tracee.set_signal_mask(self.saved.mask)
        # It stands at the entry of rt_sigreturn; the kernel makes the call that is set here.
        self.tracee.set_registers(self.resume.exact.pack())
        return created

    def _next_stop(self) -> None:
        """Let it run to the next entry or exit of a system call."""
        self.tracee.run_to_syscall()
        while not (stop := self.tracee.wait()).is_syscall:
            # All signals are blocked but SIGSTOP, which takes effect when the thread is let go.
            self.tracee.run_to_syscall(0 if stop.is_event else stop.signal)


def is_in_handler(target: Target, stack_pointer: int) -> bool:
    """Whether a thread with this stack pointer may be within a signal handler."""
    return has_handler(target.memory, target.stacks, stack_pointer, target.gadget)


def hold(target: Target, tid: int, looked_at: int = 0) -> Held | None:
    """Stop a thread; None, and it runs on, if it cannot be borrowed now. Refused.

    `looked_at`: the stack pointer with which it was not in a handler, to do that only once.
    """
    tracee = Tracee(tid)
    folder = f"{target.root}/{target.identity.pid}/task/{tid}"
    try:
        status = parse.parse_keyed(read(f"{folder}/status"))
        policy = int(read(f"{folder}/stat").rpartition(b")")[2].split()[_POLICY])
        if status.get("State", "?")[0] not in WAITING_OR_RUNNING or policy in REALTIME:
            return None
        began = time.perf_counter()
        tracee.seize()
    except (ProcessLookupError, FileNotFoundError):
        return None
    except PermissionError:
        reason = "tracing it was refused: it is traced already, or a right is missing"
        raise Refused(reason) from None
    held = None
    try:
        tracee.interrupt()
        held = _judge(target, tracee, began, status, looked_at)
    except (Ended, ProcessLookupError, FileNotFoundError):
        return None
    finally:
        if held is None:
            detach(tracee)
    return held


def _judge(
    target: Target, tracee: Tracee, began: float, status: Mapping[str, str], looked_at: int
) -> Held | None:
    """Wait until the thread has stopped; whether it may be borrowed there."""
    while not (stop := tracee.wait()).is_event:
        tracee.resume(stop.signal)
    if stop.signal in STOPPING:
        raise Refused("it is stopped (SIGSTOP); continue it first")
    # A thread that ended lends its number to any process; one that is traced keeps it.
    os.stat(f"{target.root}/{target.identity.pid}/task/{tracee.tid}")
    try:
        stopped = Registers.unpack(tracee.registers())
    except ValueError:
        raise Refused("it is a 32-bit process, which is not supported") from None
    if stopped.cs != frame.USER_CODE:
        return None
    resume = resume_of(
        stopped,
        target.loop,
        target.spinlocks,
        is_main=tracee.tid == target.identity.pid,
        is_alone=status.get("Threads") == "1",
    )
    if resume is None:
        return None
    room = room_below(target.memory, target.stacks, stopped.rsp, stopped.fs_base)
    if room is None or room < STACK_BYTES:
        return None
    # Where it was looked at before nothing above the stack pointer has changed since; and the
    # evaluation loop does not run in a handler.
    is_known = stopped.rsp == looked_at or resume.rank == RUNNING
    if not is_known and is_in_handler(target, stopped.rsp):
        return None
    if (mode := status.get("Seccomp", "0")) != "0":
        _check_filters(target, tracee, mode, stopped)
    whole = tracee.registers(NT_X86_XSTATE, MOST_XSTATE)
    xstate = frame.usable_xstate(whole)
    if xstate is None:
        return None
    saved = Saved(stopped, tracee.signal_mask(), xstate, whole)
    return Held(target, tracee, resume, saved, began)


def _check_filters(target: Target, tracee: Tracee, mode: str, stopped: Registers) -> None:
    if mode == "1":
        raise Refused("seccomp lets it read, write and exit only")
    try:
        wanted = calls(target.libc, target.libc_version, rseq=tracee.has_rseq())
        if signed(stopped.orig_rax) >= 0:  # a filter may have come after the call that it waits in
            wanted = (*wanted, repeated(stopped.orig_rax, stopped.arguments))
        why = objection(tracee.filters(), wanted)
    except PermissionError:
        if target.ignore_filter:
            return
        why = "its seccomp filter cannot be read: that takes CAP_SYS_ADMIN and no filter oneself"
        raise Refused(why, forceable=True) from None
    except ValueError:
        why = "its seccomp filter is not understood"
    except OSError:  # EINVAL: this thread has none
        return
    if why is not None:
        raise Refused(why)


def detach(tracee: Tracee) -> None:
    """Let a thread run on; one that has ended, or has not stopped yet, is nobody's business."""
    try:
        tracee.detach()
    except OSError:
        pass
