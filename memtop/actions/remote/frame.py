"""The signal frame that gives a borrowed thread back: rt_sigreturn restores every register from it.

A function that is called with the stack pointer at the frame returns into two instructions of the
C library, `mov $15, %rax; syscall`: rt_sigreturn, which takes the frame that follows. That needs
nobody: if memtop is gone by then, the thread goes on where it was all the same.

x86_64. Layouts: struct user_regs_struct (asm/user_64.h), struct rt_sigframe and struct ucontext
(asm/sigframe.h, asm/ucontext.h), struct sigcontext_64 and struct _fpx_sw_bytes
(uapi/asm/sigcontext.h). What restores it: arch/x86/kernel/signal_64.c, fpu/signal.c.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from memtop.target.maps import Mapping
from memtop.target.memory import Memory

GADGET = bytes.fromhex("48c7c00f0000000f05")  # mov $15, %rax; syscall
NONCE = 30 * 8  # offset in a frame
_BESIDE = 512  # bytes before and after sigaction that are looked at first
RED_ZONE = 128  # bytes below the stack pointer that belong to the thread (System V ABI, 3.2.2)
USER_CODE, USER_STACK = 0x33, 0x2B  # segment selectors of 64-bit user mode

_REGISTERS = struct.Struct("<27Q")
_UC_FLAGS = 7  # UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS
# Flags that the kernel refuses, on purpose: it then leaves the thread's own sigaltstack alone.
_NO_ALTSTACK = 0x7FFF
_CONTEXT_BYTES = 304  # uc_flags, uc_link, stack_t, 23 registers and 8 spare words, signal mask
_MAGIC1, _MAGIC2 = 0x46505853, 0x46505845  # FP_XSTATE_MAGIC1, FP_XSTATE_MAGIC2
_SW_BYTES, _XSTATE_BV = 464, 512  # sw_reserved of the FXSAVE area; the header of the XSAVE area
_TILE_DATA, _TILE_DATA_BYTES = 18, 8192  # AMX, the one part that a thread has to ask for
_DIRECTION_AND_TRAP = 0x400 | 0x100


class Registers(NamedTuple):
    """The registers of a thread in the order of NT_PRSTATUS."""

    r15: int
    r14: int
    r13: int
    r12: int
    rbp: int
    rbx: int
    r11: int
    r10: int
    r9: int
    r8: int
    rax: int
    rcx: int
    rdx: int
    rsi: int
    rdi: int
    orig_rax: int
    rip: int
    cs: int
    eflags: int
    rsp: int
    ss: int
    fs_base: int
    gs_base: int
    ds: int
    es: int
    fs: int
    gs: int

    @classmethod
    def unpack(cls, raw: bytes) -> Registers:
        """Of NT_PRSTATUS; ValueError if its length is that of another machine's."""
        if len(raw) != _REGISTERS.size:
            raise ValueError("the registers are not those of a 64-bit thread")
        return cls(*_REGISTERS.unpack(raw))

    def pack(self) -> bytes:
        """As NT_PRSTATUS takes them."""
        return _REGISTERS.pack(*self)

    @property
    def arguments(self) -> tuple[int, ...]:
        """The six arguments of a system call."""
        return self.rdi, self.rsi, self.rdx, self.r10, self.r8, self.r9

    def calling(self, function: int, arguments: tuple[int, ...], stack: int) -> Registers:
        """These registers about to call a C function whose return address lies at `stack`.

        `orig_rax` -1: the kernel is not to restart the system call that was interrupted.
        """
        given = dict(zip(("rdi", "rsi", "rdx", "rcx", "r8", "r9"), arguments, strict=False))
        flags = self.eflags & ~_DIRECTION_AND_TRAP
        return self._replace(
            rip=function, rsp=stack, rax=0, orig_rax=(1 << 64) - 1, eflags=flags, **given
        )


def signed(word: int) -> int:
    """A register as a signed number."""
    return word - (1 << 64) if word >> 63 else word


class Saved(NamedTuple):
    """Everything of a thread that a frame restores; `mask` is its signal mask.

    `xstate` is the part of `whole_xstate`, NT_X86_XSTATE, that rt_sigreturn takes.
    """

    registers: Registers
    mask: int
    xstate: bytes
    whole_xstate: bytes


def usable_xstate(xstate: bytes) -> bytes | None:
    """The part of NT_X86_XSTATE that rt_sigreturn takes from this thread; None if it cannot be.

    A thread that has not asked for AMX may not restore its tile data (arch_prctl(2),
    ARCH_REQ_XCOMP_PERM), but the register set always has room for it, at its end. Who uses it is
    left alone.
    """
    if len(xstate) < _XSTATE_BV + 64:
        return None
    enabled = int.from_bytes(xstate[_SW_BYTES : _SW_BYTES + 8], "little")
    if not enabled >> _TILE_DATA & 1:
        return xstate
    used = int.from_bytes(xstate[_XSTATE_BV : _XSTATE_BV + 8], "little")
    return None if used >> _TILE_DATA & 1 else xstate[:-_TILE_DATA_BYTES]


def place(below: int, xstate_bytes: int) -> int:
    """The highest address at or below `below` for a frame: 8 above a multiple of 16, as the stack
    pointer is when a function begins."""
    return ((_xstate_at(below, xstate_bytes) - 8 - _CONTEXT_BYTES) & ~15) - 8


def build(at: int, below: int, saved: Saved, gadget: int, nonce: int = 0) -> bytes:
    """The frame for `at` = place(below, …): a return address, then what rt_sigreturn restores.

    `nonce` lies at NONCE, in a word that the kernel does not look at.
    """
    r, n = saved.registers, len(saved.xstate)
    xstate_at = _xstate_at(below, n)
    words = [gadget, _UC_FLAGS, 0, 0, _NO_ALTSTACK, 0]
    words += (r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi, r.rsi, r.rbp, r.rbx)
    words += (r.rdx, r.rax, r.rcx, r.rsp, r.rip, r.eflags, USER_CODE | USER_STACK << 48)
    words += (0, 0, 0, 0, xstate_at, nonce, *(0,) * 7, saved.mask)
    context = struct.pack(f"<{len(words)}Q", *words)
    enabled = int.from_bytes(saved.xstate[_SW_BYTES : _SW_BYTES + 8], "little")
    if n < _TILE_DATA_BYTES:
        enabled &= ~(1 << _TILE_DATA)
    described = struct.pack("<IIQI28x", _MAGIC1, n + 4, enabled, n)
    xstate = saved.xstate[:_SW_BYTES] + described + saved.xstate[_SW_BYTES + 48 :]
    gap = bytes(xstate_at - at - len(context))
    return context + gap + xstate + struct.pack("<I", _MAGIC2)


def is_of_handler(raw: bytes, at: int) -> bool:
    """Whether what follows the return address at `at` looks like the frame of a signal handler,
    and is none that `build` has left."""
    if at + 8 + _CONTEXT_BYTES > len(raw):
        return False
    flags, link, _, altstack = struct.unpack_from("<4Q", raw, at + 8)
    (selectors,) = struct.unpack_from("<H", raw, at + 8 * 24)
    is_own = altstack & 0xFFFFFFFF == _NO_ALTSTACK
    return flags <= _UC_FLAGS and not link and selectors == USER_CODE and not is_own


def _xstate_at(below: int, xstate_bytes: int) -> int:
    return (below - xstate_bytes - 4) & ~63


def find_gadget(memory: Memory, maps: Iterable[Mapping], sigaction: int) -> int:
    """The address of GADGET, which the C library has as the return address of signal handlers.

    In glibc it stands beside `sigaction`, which is looked at first: reading all of the code would
    make all of it resident. LookupError if it is nowhere in the code around; OSError.
    """
    for mapping in maps:
        if "x" in mapping.perms and mapping.start <= sigaction < mapping.end:
            for reach in (_BESIDE, mapping.end - mapping.start):
                begin = max(mapping.start, sigaction - reach)
                end = min(mapping.end, sigaction + reach)
                place = memory.read(begin, end - begin).find(GADGET)
                if place >= 0:
                    return begin + place
    raise LookupError("the C library has no rt_sigreturn")
