"""ptrace(2) of one thread by number: requests, register sets, stops. Nothing here decides.

The tracer is the thread that calls. It never asks for PTRACE_O_EXITKILL: if it dies, the kernel
lets the tracee go on (kernel/ptrace.c: exit_ptrace). Numbers: linux/ptrace.h, linux/elf.h.
"""

from __future__ import annotations

import ctypes
import os
import signal
from typing import NamedTuple

_PEEK_SIZE = 8
_PEEKDATA, _GET_RSEQ = 2, 0x420F
_POKEDATA, _SETREGSET, _GETREGSET, _SYSCALL, _CONT = 5, 0x4205, 0x4204, 24, 7
_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17
_GETSIGMASK, _SETSIGMASK, _GET_FILTER = 0x420A, 0x420B, 0x420C
_O_TRACESYSGOOD = 1
_KCMP, _KCMP_VM = 312, 1
_WALL = 0x40000000  # __WALL: threads as well (waitpid(2))
_EVENT_STOP = 128
_SIGTRAP = 5
_ASK_TIMES = 300  # some 0.2 ms
NT_PRSTATUS, NT_X86_XSTATE = 1, 0x202
MOST_XSTATE = 1 << 15
ALL_SIGNALS = (1 << 64) - 1
INSTRUCTION_BYTES = 8  # of a seccomp filter


class _Span(ctypes.Structure):
    """struct iovec."""

    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


_libc = ctypes.CDLL(None, use_errno=True)
_call = _libc.ptrace
_call.restype = ctypes.c_long
_call.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class Ended(Exception):
    """The thread has ended, or was killed."""


class Stop(NamedTuple):
    """Why a thread stopped: at a system call, by an event (`is_event`), or for a signal."""

    is_syscall: bool
    is_event: bool
    signal: int


class Tracee:
    """One thread, traced from `seize` to `detach` or to the death of this process."""

    def __init__(self, tid: int) -> None:
        self.tid = tid

    def seize(self) -> None:
        """Begin to trace without stopping it; PermissionError, ProcessLookupError."""
        self._ask(_SEIZE, 0, _O_TRACESYSGOOD)

    def interrupt(self) -> None:
        """Have it stop; `wait` tells when it has."""
        self._ask(_INTERRUPT)

    def resume(self, number: int = 0) -> None:
        """Let it run on, with the signal that it stopped for."""
        self._ask(_CONT, 0, number)

    def run_to_syscall(self, number: int = 0) -> None:
        """Let it run to the entry or the exit of its next system call."""
        self._ask(_SYSCALL, 0, number)

    def detach(self) -> None:
        """Let it go; ProcessLookupError if it is not stopped or not there."""
        self._ask(_DETACH)

    def wait(self) -> Stop:
        """Wait for its next stop; Ended.

        First by asking again and again: it comes within microseconds, and a CPU that has gone to
        sleep takes longer than that to wake. Between, this CPU is offered to the thread itself.
        """
        try:
            for _ in range(_ASK_TIMES):
                found, status = os.waitpid(self.tid, _WALL | os.WNOHANG)
                if found:
                    break
                os.sched_yield()
            else:
                _, status = os.waitpid(self.tid, _WALL)
        except ChildProcessError:
            raise Ended from None
        if not os.WIFSTOPPED(status):
            raise Ended
        number, event = status >> 8 & 0xFF, status >> 16
        return Stop(number == _SIGTRAP | 0x80, event == _EVENT_STOP, number)

    def registers(self, kind: int = NT_PRSTATUS, size: int = 512) -> bytes:
        """A register set, as long as the kernel makes it."""
        buffer = ctypes.create_string_buffer(size)
        span = _Span(ctypes.addressof(buffer), size)
        self._ask(_GETREGSET, kind, ctypes.addressof(span))
        return buffer.raw[: span.length]

    def set_registers(self, raw: bytes, kind: int = NT_PRSTATUS) -> None:
        """Write a register set, all of it."""
        buffer = ctypes.create_string_buffer(raw, len(raw))
        span = _Span(ctypes.addressof(buffer), len(raw))
        self._ask(_SETREGSET, kind, ctypes.addressof(span))

    def signal_mask(self) -> int:
        """The signals that it blocks; while a system call has replaced them, those from before."""
        mask = ctypes.c_uint64()
        self._ask(_GETSIGMASK, 8, ctypes.addressof(mask))
        return mask.value

    def set_signal_mask(self, mask: int) -> None:
        """Block these signals."""
        value = ctypes.c_uint64(mask)
        self._ask(_SETSIGMASK, 8, ctypes.addressof(value))

    def filters(self) -> list[bytes]:
        """Its seccomp filters; PermissionError without CAP_SYS_ADMIN or under a filter oneself."""
        found: list[bytes] = []
        while True:
            try:
                count = self._ask(_GET_FILTER, len(found), 0)
            except FileNotFoundError:  # ENOENT: there are no more
                return found
            buffer = ctypes.create_string_buffer(count * INSTRUCTION_BYTES)
            self._ask(_GET_FILTER, len(found), ctypes.addressof(buffer))
            found.append(buffer.raw)

    def peek(self, address: int) -> int:
        """A word of its memory; OSError if there is none."""
        ctypes.set_errno(0)
        word: int = _call(_PEEKDATA, self.tid, address, 0)
        if word == -1 and (number := ctypes.get_errno()):
            raise OSError(number, os.strerror(number))
        return word & (1 << 64) - 1

    def has_rseq(self) -> bool:
        """Whether it has an rseq area; True as well where the kernel does not tell (< 5.13)."""
        area = (ctypes.c_uint64 * 3)()
        try:
            self._ask(_GET_RSEQ, ctypes.sizeof(area), ctypes.addressof(area))
        except OSError:
            return True
        return area[0] != 0

    def poke(self, address: int, data: bytes) -> None:
        """Write to its memory, also where it may not write itself; whole words."""
        data += bytes(-len(data) % _PEEK_SIZE)
        for offset in range(0, len(data), _PEEK_SIZE):
            word = int.from_bytes(data[offset : offset + _PEEK_SIZE], "little")
            self._ask(_POKEDATA, address + offset, word)

    def _ask(self, request: int, address: int = 0, data: int = 0) -> int:
        result: int = _call(request, self.tid, address, data)
        if result == -1:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result


def share_memory(pid: int, other: int) -> bool:
    """Whether two processes have the same memory (kcmp(2)); False as well if that is not known."""
    result: int = _libc.syscall(_KCMP, pid, other, _KCMP_VM, 0, 0)
    return result == 0


def die_in(seconds: int) -> None:
    """End this process by SIGALRM when the time is over; 0 takes that back (alarm(2)).

    Whoever started memtop may have ignored or blocked that signal, which is inherited.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    _libc.alarm(seconds)
