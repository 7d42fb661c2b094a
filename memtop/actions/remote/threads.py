"""Which thread of the target can be borrowed: where it waits, told before and checked once stopped.

A thread is good if it holds no lock of the C library and does not notice that it was stopped. A
blocked one is judged by its system call. A running one is good only inside the interpreter's
evaluation loop: there it is in no C function at all. All others are left alone.

Ranks, the best first: 0 the call is repeated and nothing is seen; 1 the same for calls with a
relative timeout, if the kernel's restart block is kept ("exact", see `borrow`); 2 the call ends
with EINTR, as after SIGSTOP and SIGCONT; 9 running in the evaluation loop. Numbers of system calls:
asm/unistd_64.h; what is restarted how: signal(7).
"""

from __future__ import annotations

import os
from typing import NamedTuple

from memtop.actions.remote.frame import Registers, signed
from memtop.probe.handle import read
from memtop.target.symbols import Symbol

READ, POLL, READV, NANOSLEEP, RECVFROM, RECVMSG, WAIT4, FUTEX = 0, 7, 19, 35, 45, 47, 61, 202
ACCEPT, SELECT, PAUSE, RESTART, CLOCK_NANOSLEEP = 43, 23, 34, 219, 230
EPOLL_WAIT, WAITID, PSELECT6, PPOLL, EPOLL_PWAIT, ACCEPT4 = 232, 247, 270, 271, 281, 288
EPOLL_PWAIT2 = 441
_REPEATED = frozenset((READ, READV, ACCEPT, ACCEPT4, WAIT4, WAITID, SELECT, PSELECT6, PPOLL, PAUSE))
_RESUMED = frozenset((NANOSLEEP, RESTART))
_EPOLLS = (EPOLL_WAIT, EPOLL_PWAIT, EPOLL_PWAIT2)
_FLAGS_AT, _MSG_WAITALL = {RECVFROM: 3, RECVMSG: 2}, 0x100
_FUTEX_WAIT_BITSET, _FUTEX_COMMAND = 9, 0x7F
_TIMER_ABSTIME = 1
_FOREVER = 0xFFFFFFFF  # an int of -1 in a register
RUNNING = 9
MOST_THREADS = 512  # looked at; any of them will do
# Results that only the kernel sees (linux/errno.h), and EINTR; as they stand in a register.
ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND = -512, -513, -514
ERESTART_RESTARTBLOCK, EINTR = -516, -4
SYSCALL_BYTES = 2  # the length of the instruction
_EINTR, _NO_CALL = (1 << 64) - 4, (1 << 64) - 1
_ENOSYS = (1 << 64) - 38  # what stands in rax when a system call begins (entry_64.S)


class Thread(NamedTuple):
    """A thread that may be borrowed, and its stack pointer; 0 while it runs."""

    tid: int
    rank: int
    stack: int


def candidates(pid: int, *, root: str, spinlocks: bool, can_run: bool) -> list[Thread]:
    """The threads to try, the best first, random among equals, the main thread last of all: while
    it is held, signals to the process go to another one, and do not interrupt it.

    `spinlocks`: the allocator waits for its locks in nanosleep or futex, so that such a thread may
    hold one. `can_run`: running threads may be tried, because the evaluation loop is known.
    OSError if /proc/PID cannot be read.
    """
    names = [name for name in os.listdir(f"{root}/{pid}/task") if name.isdigit()]
    names.sort(key=lambda _: os.urandom(2))  # in no order; `random` takes longer to import
    found = []
    for name in names[:MOST_THREADS]:
        try:
            fields = read(f"{root}/{pid}/task/{name}/syscall").split()
        except OSError:
            continue  # it has ended
        thread = _judge(int(name), fields, spinlocks)
        if thread is not None and (thread.rank != RUNNING or can_run):
            found.append(thread)
    return sorted(found, key=lambda thread: (thread.tid == pid, thread.rank))


def waits_for_gil(pid: int, name: bytes, *, root: str) -> bool:
    """Whether a thread of this name, lent by an action that was cancelled, still waits inside."""
    for tid in os.listdir(f"{root}/{pid}/task"):
        folder = f"{root}/{pid}/task/{tid}"
        try:
            if read(f"{folder}/comm").rstrip(b"\n") == name:
                number, _, _ = read(f"{folder}/syscall").partition(b" ")
                if number == b"%d" % FUTEX:
                    return True
        except OSError:
            continue  # it has ended
    return False


def _judge(tid: int, fields: list[bytes], spinlocks: bool) -> Thread | None:
    """By a line of /proc/PID/task/TID/syscall: `running`, or number, arguments, sp and pc."""
    if fields[:1] == [b"running"] or fields[:1] == [b"-1"]:
        return Thread(tid, RUNNING, 0)
    try:
        number, *arguments, stack, _ = (int(field, 0) for field in fields[:9])
    except ValueError:
        return None
    rank = rank_of(number, tuple(arguments), spinlocks)
    return None if rank is None else Thread(tid, rank, stack)


def rank_of(number: int, arguments: tuple[int, ...], spinlocks: bool) -> int | None:
    """The rank of a thread that waits in this system call; None: leave it alone.

    Of a futex only WAIT_BITSET counts: conditions, semaphores and the GIL wait there, while
    malloc and plain mutexes use WAIT. memtop's own thread waits in poll(NULL, 0, 2).
    """
    if number in _REPEATED:
        return 0
    if number in _FLAGS_AT:
        # It may have a part already, and would come back short.
        return None if arguments[_FLAGS_AT[number]] & _MSG_WAITALL else 0
    if number == FUTEX:
        is_lock = arguments[1] & _FUTEX_COMMAND != _FUTEX_WAIT_BITSET
        return None if is_lock or spinlocks else 0
    if number == POLL:
        if arguments[:2] == (0, 0):
            return None
        return 0 if arguments[2] & _FOREVER == _FOREVER else 1
    if number == CLOCK_NANOSLEEP:
        if spinlocks:
            return None
        return 0 if arguments[1] & _TIMER_ABSTIME else 1
    if number in _RESUMED:
        return None if spinlocks else 1
    if number in (EPOLL_WAIT, EPOLL_PWAIT):
        return 0 if arguments[3] & _FOREVER == _FOREVER else 2
    if number == EPOLL_PWAIT2:
        return 0 if arguments[3] == 0 else 2
    return None


class Resume(NamedTuple):
    """How a stopped thread goes on.

    `registers` stand in its frame. `exact`: what to give it by hand instead, at the entry of a
    system call: there the kernel makes the call `orig_rax`, or none if that is -1. None: the frame
    does as well.
    """

    registers: Registers
    exact: Registers | None
    rank: int


def resume_of(
    stopped: Registers, loop: Symbol | None, spinlocks: bool, *, is_main: bool, is_alone: bool
) -> Resume | None:
    """What a thread that has just stopped is to go on with; None if it cannot be borrowed.

    Judged from the registers alone: it may have moved since it was chosen. What the kernel would
    have done to repeat the system call is done here (arch/x86/kernel/signal.c:
    arch_do_signal_or_restart), because the frame must lead to the same place by itself.

    A signal that arrives meanwhile would run its handler before the call is repeated, which then
    would not be interrupted any more. Python waits for that in its main thread, and there signals
    go to first; so that one always gets its call back by hand, when signals are let in again.
    If it is not the only thread, another one may have taken the signal. Then the call of a Python
    ends with EINTR, after which Python looks for signals and repeats it (PEP 475).
    """
    number, result = signed(stopped.orig_rax), signed(stopped.rax)
    if number < 0:
        in_loop = loop is not None and 0 <= stopped.rip - loop.address < loop.size
        return Resume(stopped, None, RUNNING) if in_loop else None
    rank = rank_of(number, stopped.arguments, spinlocks)
    if rank is None:
        return None
    again = stopped._replace(rip=stopped.rip - SYSCALL_BYTES, rax=stopped.orig_rax)
    repeated = Resume(again, stopped._replace(rax=_ENOSYS) if is_main else None, rank)
    is_repeated = result in (ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK)
    if is_repeated and is_main and not is_alone and loop is not None:
        return Resume(again, stopped._replace(rax=_EINTR, orig_rax=_NO_CALL), rank)
    if result in (ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND):
        return repeated
    if result == ERESTART_RESTARTBLOCK:
        if rank == 0:  # with an absolute time, or none, the call itself can be repeated
            return repeated
        by_hand = stopped._replace(rax=_ENOSYS, orig_rax=RESTART)
        return Resume(again._replace(rax=RESTART), by_hand, rank)
    if result == EINTR and rank == 0 and number in _EPOLLS:  # which the kernel never repeats
        return repeated
    return Resume(stopped, None, rank)  # the call is over: its result stands in the registers
