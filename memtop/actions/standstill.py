"""What the threads of a process are about, as far as it decides whether an action could run.

Read from /proc/PID/task/*/status, which everybody may (proc_pid_status(5)); the threads of a
process differ in tracer and seccomp filters. Only MOST_THREADS are asked.
"""

from __future__ import annotations

import os
import re
import time
from itertools import islice
from typing import NamedTuple

from memtop.probe.handle import read, slurp

MOST_THREADS = 1024
STUCK_LOOKS, STUCK_S = 5, 0.002
_STATE = re.compile(rb"^State:\t(\S) \(([a-z -]+)\)", re.MULTILINE)
_TRACER = re.compile(rb"^TracerPid:\t(\d+)", re.MULTILINE)
_SECCOMP = re.compile(rb"^Seccomp:\t(\d)", re.MULTILINE)
_SHADOW_STACK = re.compile(rb"^x86_Thread_features:\t.*\bshstk\b", re.MULTILINE)
STRICT, FILTER = 1, 2  # SECCOMP_MODE_, include/uapi/linux/seccomp.h


class Threads(NamedTuple):
    """All threads that live, together. `states`: letters of proc_pid_stat(5), each once.

    `word`: what the first one does (`sleeping`). `tracer`: PID of who traces one of them, 0 if
    that cannot be seen, None if nobody does. `seccomp`: modes, each once.
    """

    states: frozenset[str]
    word: str
    tracer: int | None
    seccomp: frozenset[int]
    has_shadow_stack: bool


def read_threads(folder: int) -> Threads:
    """The threads of the process of an open /proc/PID folder; OSError if it is gone."""
    listing = os.open("task", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    states: set[str] = set()
    seccomp: set[int] = set()
    words: list[str] = []
    tracer: int | None = None
    has_shadow_stack = False
    try:
        with os.scandir(listing) as entries:
            names = [entry.name for entry in islice(entries, MOST_THREADS)]
        for name in names:
            try:
                status = slurp(listing, f"{name}/status")
            except OSError:
                continue  # this thread has ended
            state = _STATE.search(status)
            letter = state[1].decode() if state else "?"
            if letter in "ZX":
                continue
            states.add(letter)
            words.append(state[2].decode() if state else "in an unknown state")
            traced_by = _number(_TRACER, status)
            if traced_by or (letter == "t" and tracer is None):
                tracer = traced_by
            seccomp.add(_number(_SECCOMP, status))
            has_shadow_stack = has_shadow_stack or bool(_SHADOW_STACK.search(status))
    finally:
        os.close(listing)
    if not states:
        raise ProcessLookupError
    return Threads(frozenset(states), words[0], tracer, frozenset(seccomp), has_shadow_stack)


def are_stuck(folder: int) -> bool:
    """Whether all threads stay in state D; most are in it for a moment only, to read a file."""
    for _ in range(STUCK_LOOKS):
        if read_threads(folder).states != {"D"}:
            return False
        time.sleep(STUCK_S)
    return True


def named(root: str, pid: int) -> str:
    """`PID 4711 (strace)`; a tracer in another PID namespace has no number here."""
    if not pid:
        return "a process that cannot be seen from here"
    try:
        name = read(f"{root}/{pid}/comm").decode("utf-8", "replace").rstrip("\n")
    except OSError:
        return f"PID {pid}"
    return f"PID {pid} ({name})"


def _number(pattern: re.Pattern[bytes], status: bytes) -> int:
    found = pattern.search(status)
    return int(found[1]) if found else 0
