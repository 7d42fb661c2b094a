"""The short-lived process that acts: all of ptrace happens here, under an alarm.

It reads one request from stdin and writes what happens to stdout, both as marshal: they are two
ends of one program, and it starts twice as fast so. When stdin is closed, which happens too if
memtop dies, it cancels. Its own death at any time harms nobody (see `borrow`). Times in seconds.
"""

from __future__ import annotations

import gc
import marshal
import os
import sys
import time
from typing import TypedDict

from memtop.actions.remote import calls
from memtop.actions.remote.borrow import Lent, has_new_thread, lend, take_back
from memtop.actions.remote.frame import find_gadget
from memtop.actions.remote.hold import ANOTHER_PROGRAM, Refused, Target
from memtop.actions.remote.job import ACK, CANCEL, DONE, STEP, YES, Job
from memtop.actions.remote.orphans import sweep
from memtop.actions.remote.ptrace import Ended, die_in, share_memory
from memtop.actions.remote.rehearsal import rehearse
from memtop.actions.remote.stacks import find_stacks
from memtop.actions.remote.threads import waits_for_gil
from memtop.probe import parse
from memtop.probe.handle import read
from memtop.probe.sample import Identity
from memtop.target.allocator import find_allocator
from memtop.target.maps import modules, read_maps
from memtop.target.memory import Memory
from memtop.target.python import find_python

PRIORITY = -10  # nice(2); of this short-lived process only
ALARM_S = 4  # ends this process if it hangs while a thread is held
BORROW_S = 3.0  # how long a thread is looked for
BEGIN_S = 0.1  # after which it is asked whether there is a new thread at all
QUICK_S, SLOW_S = 0.0005, 0.01  # between looks at the results
GRACE_S = 3.0  # that an action which has begun is waited for when nobody wants to wait
GOES_ON = "it had begun and goes on in the process; it is not waited for any more"
LOST = "its thread ended before it was done"
CLEAN_S = 0.05  # for the new thread to be gone
MOST_RESULT = 64 << 20  # bytes of a result that are read


class Request(TypedDict):
    """What is wanted. `patience_s`: for the GIL, or for malloc's locks, before it cancels.

    Of a snapshot, `budget_s`: for how long it may hold the interpreter; `follows`: whether it asks
    for what containers refer to, too.
    """

    pid: int
    start_ticks: int
    root: str
    action: str
    ignore_filter: bool
    patience_s: float
    budget_s: float
    follows: bool


class Reply(TypedDict, total=False):
    """One message: a `word` of progress, or at last an `outcome`.

    Of what was cancelled the `reason` is `asked`, or the word for what was waited for in vain.
    `held_s`: how long the thread was held. `results` of the calls that were made, by name; `room`:
    mallinfo2; `payload`: what Python code had to say.
    """

    word: str
    outcome: str
    reason: str
    forceable: bool
    gone: bool
    held_s: float
    results: dict[str, int]
    room: bytes
    payload: bytes


def main() -> None:
    """Rehearse, then serve one request, if there comes one."""
    _hurry()
    trouble = _rehearse()
    try:
        request: Request = marshal.load(sys.stdin.buffer)
    except EOFError:
        return  # nothing is wanted any more
    os.set_blocking(sys.stdin.fileno(), False)
    try:
        if trouble is not None:
            raise trouble
        reply = _act(request)
    except Refused as refused:
        reply = {
            "outcome": "refused",
            "reason": refused.reason,
            "forceable": refused.forceable,
        }
    except LookupError as missing:
        reply = {"outcome": "refused", "reason": str(missing)}
    except (Ended, ProcessLookupError, FileNotFoundError):
        reply = _end_of(request)
    except PermissionError:
        reply = {"outcome": "refused", "reason": "a right to trace it is missing"}
    except OSError as error:
        reply = {"outcome": "failed", "reason": f"its memory: {error.strerror}"}
    _say(reply)


def _hurry() -> None:
    """While a thread is held, this process must neither collect garbage nor wait for a CPU."""
    gc.disable()
    try:
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    except PermissionError:
        pass  # it takes CAP_SYS_NICE


def _rehearse() -> Refused | None:
    """What went wrong with a copy of this process."""
    die_in(ALARM_S)
    try:
        rehearse()
    except Refused as refused:
        return refused
    finally:
        die_in(0)
    return None


def _end_of(request: Request) -> Reply:
    """What became of a process whose memory is gone: it may have begun another program."""
    try:
        stat = parse.parse_stat(read(f"{request['root']}/{request['pid']}/stat"))
        lives = stat.start_ticks == request["start_ticks"] and stat.state not in "ZX"
    except (OSError, ValueError):
        lives = False
    reason = ANOTHER_PROGRAM if lives else "it has ended"
    return {"outcome": "failed", "reason": reason, "gone": not lives}


def _act(request: Request) -> Reply:
    identity = Identity(request["start_ticks"], request["pid"])
    with Memory(identity.pid, writable=True, root=request["root"]) as memory:
        # Compared after the memory was opened, which stays with this very program.
        stat = parse.parse_stat(read(f"{request['root']}/{identity.pid}/stat"))
        if stat.start_ticks != identity.start_ticks:
            raise Refused(f"{identity.pid} is another process now")
        if stat.ppid and share_memory(identity.pid, stat.ppid):
            raise Refused("it still has its parent's memory (vfork): it is about to run another")
        maps = read_maps(identity.pid, request["root"])
        loaded = modules(maps)
        allocator = find_allocator(memory, loaded)
        python = find_python(memory, loaded)
        functions = calls.Functions(
            [allocator.symbols, allocator.thread_symbols, python.symbols if python else None]
        )
        target = Target(
            identity=identity,
            root=request["root"],
            memory=memory,
            stacks=find_stacks(maps),
            mmap=functions.get("mmap"),
            mprotect=functions.get("mprotect"),
            munmap=functions.get("munmap"),
            pthread_create=functions.get("pthread_create"),
            gadget=find_gadget(memory, maps, functions.get("sigaction")),
            loop=python.symbols.find("_PyEval_EvalFrameDefault") if python else None,
            spinlocks=allocator.name not in ("glibc", "musl"),
            ignore_filter=request["ignore_filter"],
            libc="glibc" if allocator.name == "glibc" else "",
            libc_version=_numbers(allocator.version),
        )
        if request["action"] == "snapshot":
            job = calls.snapshot(functions, request["budget_s"], request["follows"])
        else:
            job = {"trim": calls.trim, "gc": calls.collect}[request["action"]](functions)
        if calls.IS_RUN in job.index and waits_for_gil(
            identity.pid, calls.NAME, root=request["root"]
        ):
            raise Refused("an earlier action was cancelled and still waits for the GIL in it")
        die_in(ALARM_S)
        sweep(target, maps)
        lent = lend(target, job, BORROW_S)
        die_in(0)
        return _follow(target, job, lent, request["patience_s"])


def _numbers(version: str | None) -> tuple[int, int] | None:
    """`2.36` as numbers."""
    major, _, minor = (version or "").partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None


def _follow(target: Target, job: Job, lent: Lent, patience_s: float) -> Reply:
    """Watch the new thread until it is done, read the results, and have it clean up."""
    memory, region = target.memory, lent.region.address
    reply: Reply = {"held_s": lent.held_s}
    # The call that cannot be taken back any more: the first that may be left out, then Python's.
    last_gate = job.index.get(calls.IS_RUN, job.index.get("trim", 0))
    began, nap_s, said, cancelled_at = time.monotonic(), QUICK_S, -1, 0.0
    while True:
        step, _, done = memory.words(region + STEP, 3)
        now = time.monotonic()
        if done:
            break
        if not cancelled_at and _is_cancelled():
            cancelled_at = now
        if step == 0 and now - began > BEGIN_S and lent.created is not True:
            _check_created(target, lent)
        if step <= last_gate and (cancelled_at or now - began > patience_s):
            memory.write(region + CANCEL, YES)
            (step,) = memory.words(region + STEP, 1)
            if step <= last_gate:
                memory.write(region + ACK, YES)  # it need not wait for a reader
                by = "asked" if cancelled_at else _word(job, step)
                return reply | {"outcome": "cancelled", "reason": by}
        if cancelled_at and now - cancelled_at > GRACE_S:
            return reply | {"outcome": "failed", "reason": GOES_ON}
        if step and nap_s == SLOW_S and not has_new_thread(target, lent):
            (done,) = memory.words(region + DONE, 1)
            if not done:
                return reply | {"outcome": "failed", "reason": LOST}
        if step != said:
            _say({"word": _word(job, step)})
            said = step
        time.sleep(nap_s)
        nap_s = min(nap_s * 1.3, SLOW_S)
    reply |= _read_results(target, job, lent)
    memory.write(region + ACK, YES)
    deadline = time.monotonic() + CLEAN_S
    try:
        while time.monotonic() < deadline:
            memory.words(region + STEP, 1)
            time.sleep(QUICK_S)
    except OSError:
        pass  # it has unmapped itself
    return reply


def _check_created(target: Target, lent: Lent) -> None:
    """Refused if the new thread could not be made."""
    die_in(ALARM_S)
    is_back = take_back(target, lent)
    die_in(0)
    if is_back:
        raise Refused("it may make no more threads (RLIMIT_NPROC of its user, or pids.max)")


def _word(job: Job, step: int) -> str:
    """What the new thread is about: the name of the call, `begin` before the first one."""
    return next((name for name, place in job.index.items() if place + 1 == step), "begin")


def _read_results(target: Target, job: Job, lent: Lent) -> Reply:
    memory, region = target.memory, lent.region.address
    results: dict[str, int] = {}
    for name in job.index:
        if memory.words(region + job.ran_at(name), 1)[0]:
            (results[name],) = memory.words(region + job.result_at(name), 1)
    reply: Reply = {"outcome": "done", "results": results}
    if "mallinfo" in results:
        reply["room"] = memory.read(region + job.room_at("mallinfo"), calls.MALLINFO_BYTES)
    if results.get(calls.BYTES_AT) and results[calls.BYTES_SIZE] <= MOST_RESULT:
        reply["payload"] = memory.read(results[calls.BYTES_AT], results[calls.BYTES_SIZE])
    return reply


def _is_cancelled() -> bool:
    try:
        return not os.read(sys.stdin.fileno(), 1)
    except BlockingIOError:
        return False


def _say(reply: Reply) -> None:
    try:
        marshal.dump(dict(reply), sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        pass  # memtop has died; the action goes to its end all the same


if __name__ == "__main__":
    main()
