"""The whole borrowing, first done with a copy of the acting process itself.

If anything about this machine is not as expected (a kernel that restores registers in another way,
a sandbox without ptrace or threads), it shows here, and the target is never touched. It also spares
the target's thread the time that Python takes for everything it does for the first time.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time

from memtop.actions.remote.borrow import Lent, lend
from memtop.actions.remote.frame import find_gadget
from memtop.actions.remote.hold import Refused, Target
from memtop.actions.remote.job import ACK, DONE, YES, Call, Job, Text, Tools
from memtop.actions.remote.orphans import any_tracer
from memtop.actions.remote.stacks import find_stacks
from memtop.probe import parse
from memtop.probe.handle import read
from memtop.probe.sample import Identity
from memtop.target.maps import read_maps
from memtop.target.memory import Memory

WITHIN_S = 1.0
TIMES = 3
_LOST = 1  # exit code of a copy that did not come back to where it was


def rehearse() -> None:
    """Refused if it does not work here, or changes what it must not change."""
    inlet, outlet = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(outlet)
        # The one byte that comes in the end must arrive although the wait for it was interrupted.
        os._exit(0 if os.read(inlet, 1) == b"." else _LOST)
    os.close(inlet)
    try:
        # Under strace -f the copy is traced from its birth, and cannot be borrowed.
        for _ in range(TIMES if any_tracer(pid, "/proc") is None else 0):
            _borrow(pid)
        os.write(outlet, b".")
        _, status = os.waitpid(pid, 0)
        pid = 0
        if status:
            raise Refused(f"{_FAILED}: its copy ended with status {status}")
    finally:
        os.close(outlet)
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


_FAILED = "nothing was done, because it did not work with a copy of memtop itself"


def _borrow(pid: int) -> None:
    try:
        identity = Identity(parse.parse_stat(read(f"/proc/{pid}/stat")).start_ticks, pid)
        with Memory(pid, writable=True) as memory:
            target, job = _target(identity, memory), _job()
            _check(memory, job, lend(target, job, WITHIN_S))
    except (Refused, OSError) as error:
        raise Refused(f"{_FAILED}: {error}") from None


def _target(identity: Identity, memory: Memory) -> Target:
    """A copy of this process has everything where this process has it."""
    maps = read_maps(identity.pid)
    return Target(
        identity=identity,
        root="/proc",
        memory=memory,
        stacks=find_stacks(maps),
        mmap=_address("mmap"),
        mprotect=_address("mprotect"),
        munmap=_address("munmap"),
        pthread_create=_address("pthread_create"),
        gadget=find_gadget(memory, maps, _address("sigaction")),
        loop=None,
        spinlocks=False,
        ignore_filter=True,
    )


def _job() -> Job:
    names = ("poll", "munmap", "pthread_self", "pthread_detach")
    tools = Tools(*(_address(name) for name in names))
    return Job([Call("length", _address("strlen"), (Text(b"memtop"),))], (), tools)


def _check(memory: Memory, job: Job, lent: Lent) -> None:
    """Wait for the new thread, and look at what it found."""
    deadline, region = time.monotonic() + WITHIN_S, lent.region.address
    while not memory.words(region + DONE, 1)[0]:
        if time.monotonic() > deadline:
            raise Refused("the new thread does not run")
        time.sleep(0.0002)
    (length,) = memory.words(region + job.result_at("length"), 1)
    memory.write(region + ACK, YES)
    if length != len(b"memtop"):
        raise Refused("a call gave a wrong result")


def _address(name: str) -> int:
    address = ctypes.cast(getattr(ctypes.CDLL(None), name), ctypes.c_void_p).value
    assert address is not None
    return address
