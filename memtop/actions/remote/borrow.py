"""Borrowing one thread of the target for well under a millisecond, to start a thread of memtop's.

The order, and what happens if memtop is killed right after each step (the kernel then lets the
thread run on by itself):

1. The thread is stopped where it waits. Killed: it waits on.
2. Frame F is written below its stack: all its registers, as rt_sigreturn restores them. Killed:
   bytes that nobody looks at.
3. It calls mmap, whose return address is F. Killed: it returns to where it was; three pages of
   address space stay mapped until the next action unmaps them (`orphans`).
4. It calls mprotect on the pages for data; the return address is frame F2, which calls munmap and
   then returns into F. Killed: the pages are gone, and the thread is where it was.
5. The code and the list of calls are written, and it calls pthread_create, whose return address is
   F. Killed: the new thread waits three seconds for the word to go, and removes every trace.
6. The word to go is given. Killed: the new thread does its work, waits three seconds for somebody
   to read the results, and removes every trace.

The new thread does everything that may take time. Signals wait until the borrowed one is back. The
code page is never writable for the target: it is written from outside, so that rules against
memory that is both (PR_SET_MDWE, SELinux) are kept.

If the kernel was in the middle of a relative sleep, rt_sigreturn would make that end early; and the
main thread must not miss a signal that comes meanwhile. Then memtop stays until the thread is about
to call it, and puts the registers back itself (`Resume.exact`).
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from memtop.actions.remote.frame import signed
from memtop.actions.remote.hold import (
    MMAP,
    MPROTECT,
    MUNMAP,
    Held,
    Refused,
    Target,
    hold,
    is_in_handler,
)
from memtop.actions.remote.job import GO, PAGE, YES, Job
from memtop.actions.remote.stub import CODE
from memtop.actions.remote.threads import candidates

_READ_EXECUTE, _READ_WRITE = 5, 3
_PRIVATE_ANONYMOUS = 0x22
# Regions are asked for in this window, so that one which was left behind is known by its place.
WINDOW, WINDOW_END = 0x4D45_0000_0000, 0x4D46_0000_0000
RETRY_S = 0.001


class Region(NamedTuple):
    """Memory of the new thread in the target."""

    address: int
    size: int


class Lent(NamedTuple):
    """What came of it: which thread was held for how long, and where the job lies.

    `threads`: those that there were before. `number` and `stack`: the system call and the stack
    pointer of the borrowed thread. `created`: whether the new thread could be made; None if that
    was not waited for.
    """

    tid: int
    held_s: float
    region: Region
    threads: frozenset[str]
    number: int
    stack: int
    created: bool | None


def lend(target: Target, job: Job, within_s: float) -> Lent:
    """Start the job's thread in the target; Refused, or an OSError of a target that is gone."""
    deadline, tries, pid = time.monotonic() + within_s, 0, target.identity.pid
    while True:
        threads = frozenset(os.listdir(f"{target.root}/{pid}/task"))
        # Laid out for where it will lie nearly always, before anybody is held.
        likely = Region(WINDOW + int.from_bytes(os.urandom(3), "little") // 16 * PAGE, job.size)
        data = _data(job, likely)
        for thread in candidates(
            pid, root=target.root, spinlocks=target.spinlocks, can_run=target.loop is not None
        ):
            tries += 1
            # Looked at before it is stopped: stopping alone can cost a signal its effect.
            if thread.stack and is_in_handler(target, thread.stack):
                continue
            held = hold(target, thread.tid, thread.stack)
            if held is not None:
                with held:
                    return _start(target, held, job, likely, data, threads)
        if time.monotonic() > deadline:
            raise Refused(
                f"no thread could be borrowed in {within_s:.0f} s ({tries} tries): none was met in"
                " a system call that may be repeated or in Python's evaluation loop, on a stack of"
                " its own, outside of signal handlers and without real-time priority"
            )
        time.sleep(RETRY_S)


def _start(
    target: Target,
    held: Held,
    job: Job,
    likely: Region,
    data: bytes,
    threads: frozenset[str],
) -> Lent:
    """Steps 2 to 5 with a thread that is stopped."""
    held.prepare()
    asked = (*likely, _READ_EXECUTE, _PRIVATE_ANONYMOUS, (1 << 64) - 1, 0)
    address = held.call(MMAP, target.mmap, asked, held.frame)
    if address <= 0:
        raise Refused(f"the target cannot map memory: {os.strerror(-address)}")
    region = Region(address, job.size)
    if region != likely:
        data = _data(job, region)
    back = held.frame_calling(target.munmap, region)
    data_at = address + PAGE
    writable = (data_at, job.size - PAGE, _READ_WRITE)
    result = held.call(MPROTECT, target.mprotect, writable, back)
    if result:
        raise Refused(f"the target cannot protect memory: {os.strerror(-result)}")
    try:
        target.memory.write(address, CODE)
    except OSError:  # proc_mem.force_override=never (fs/proc/base.c)
        held.tracee.poke(address, CODE)
    target.memory.write(data_at, data)
    held.begin(target.pthread_create, (held.slot, 0, address, data_at), held.frame)
    created = held.finish()
    held_s = held.let_go()
    target.memory.write(address + GO, YES)
    number, stack = signed(held.stopped.orig_rax), held.stopped.rsp
    return Lent(held.tid, held_s, region, threads, number, stack, created)


def _data(job: Job, region: Region) -> bytes:
    return job.data(region.address, region.size, time.clock_gettime_ns(time.CLOCK_BOOTTIME))


def take_back(target: Target, lent: Lent) -> bool:
    """Unmap the region of a job whose thread could not be made; False if that is not sure.

    The thread that was borrowed is asked again: it waits where it waited before, which proves that
    it has come back. If there is no thread then that was not there before, none was made.
    """
    held = None if has_new_thread(target, lent) else hold(target, lent.tid)
    if held is None:
        return False
    with held:
        if (signed(held.stopped.orig_rax), held.stopped.rsp) != (lent.number, lent.stack):
            return False
        if has_new_thread(target, lent):
            return False
        held.prepare()
        is_gone = held.call(MUNMAP, target.munmap, lent.region, held.frame) == 0
        held.finish()
        return is_gone


def has_new_thread(target: Target, lent: Lent) -> bool:
    """Whether there is a thread that was not there before the job was lent."""
    folder = f"{target.root}/{target.identity.pid}/task"
    # Twice: a listing may leave out threads while others end (fs/proc/base.c: proc_task_readdir).
    return not lent.threads.issuperset((*os.listdir(folder), *os.listdir(folder)))
