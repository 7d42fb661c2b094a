"""What a process's seccomp filters say to the system calls that an action makes in it.

The filters are classic BPF programs, the bytes that PTRACE_SECCOMP_GET_FILTER gives: they are
checked and run here as kernel/seccomp.c and net/core/filter.c would. A filter that kills, traps
or asks somebody is an objection, and so is an error where glibc could not do without the call.
Only x86_64. Filters that look at addresses are asked with plausible ones: the true addresses are
not known before. Nothing is read from a process here.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence
from typing import Literal, NamedTuple

ARCHITECTURE = 0xC000003E  # AUDIT_ARCH_X86_64
MOST_INSTRUCTIONS = 4096  # BPF_MAXINSNS

# include/uapi/linux/seccomp.h
KILL_PROCESS = 0x80000000
KILL_THREAD = 0x00000000
TRAP = 0x00030000
ERRNO = 0x00050000
USER_NOTIF = 0x7FC00000
TRACE = 0x7FF00000
LOG = 0x7FFC0000
ALLOW = 0x7FFF0000
ACTION = 0xFFFF0000
DATA = 0x0000FFFF
MOST_ERRNO = 4095  # MAX_ERRNO: larger values are cut to it

# The opcodes that seccomp_check_filter allows (include/uapi/linux/bpf_common.h).
LD_IMM, LD_ABS, LD_MEM, LD_LEN = 0x00, 0x20, 0x60, 0x80
LDX_IMM, LDX_MEM, LDX_LEN = 0x01, 0x61, 0x81
ST, STX, RET_K, RET_A, TAX, TXA = 0x02, 0x03, 0x06, 0x16, 0x07, 0x87
JA, JEQ, JGT, JGE, JSET = 0x05, 0x15, 0x25, 0x35, 0x45
ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, NEG, XOR = (
    0x04, 0x14, 0x24, 0x34, 0x44, 0x54, 0x64, 0x74, 0x84, 0xA4,
)  # fmt: skip
X = 0x08  # the operand is X, not k
_JUMPS = frozenset(jump | source for jump in (JEQ, JGT, JGE, JSET) for source in (0, X))
_BINARY = frozenset(
    one | source for one in (ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, XOR) for source in (0, X)
)
_ALLOWED = (
    frozenset((LD_IMM, LD_ABS, LD_MEM, LD_LEN, LDX_IMM, LDX_MEM, LDX_LEN, ST, STX, RET_K, RET_A))
    | frozenset((TAX, TXA, JA, NEG))
    | _JUMPS
    | _BINARY
)
_INSTRUCTION = struct.Struct("<HBBI")  # struct sock_filter
_DATA_SIZE = 64  # struct seccomp_data
_WORDS = 16  # of the scratch memory, BPF_MEMWORDS; by chance also of struct seccomp_data
_MASK = 0xFFFFFFFF

Instruction = tuple[int, int, int, int]


def decode(program: bytes) -> list[Instruction]:
    """The instructions (code, jt, jf, k); ValueError for a program that the kernel would refuse.

    All jumps go forward and the last instruction returns, so that every program ends.
    """
    if not program or len(program) % 8 or len(program) > 8 * MOST_INSTRUCTIONS:
        raise ValueError("a seccomp filter has a length that cannot be")
    instructions = list(_INSTRUCTION.iter_unpack(program))
    behind = len(instructions)
    for position, (code, on_true, on_false, k) in enumerate(instructions):
        left = behind - position - 1
        if code not in _ALLOWED:
            raise ValueError("a seccomp filter has an unknown instruction")
        if code in _JUMPS:
            possible = on_true < left and on_false < left
        elif code == JA:
            possible = k < left
        elif code == LD_ABS:
            possible = k < _DATA_SIZE and not k & 3
        elif code in (LD_MEM, LDX_MEM, ST, STX):
            possible = k < _WORDS
        elif code in (LSH, RSH):
            possible = k < 32
        else:
            possible = code != DIV or k != 0
        if not possible:
            raise ValueError("a seccomp filter has an instruction that leads nowhere")
    if instructions[-1][0] not in (RET_K, RET_A):
        raise ValueError("a seccomp filter does not return")
    return instructions


def data_of(number: int, arguments: Sequence[int], instruction_pointer: int = 0) -> list[int]:
    """struct seccomp_data as sixteen 32-bit words."""
    words = [number & _MASK, ARCHITECTURE]
    for value in (instruction_pointer, *arguments, *(0,) * (6 - len(arguments))):
        words += (value & _MASK, value >> 32 & _MASK)
    return words


def run(instructions: Sequence[Instruction], data: Sequence[int]) -> int:
    """What a decoded program returns."""
    a = x = at = 0
    scratch = [0] * _WORDS
    while True:
        code, on_true, on_false, k = instructions[at]
        at += 1
        if code == JEQ:
            at += on_true if a == k else on_false
        elif code == LD_ABS:
            a = data[k >> 2]
        elif code in _JUMPS:
            other = x if code & X else k
            test = code & ~X
            if test == JGT:
                met = a > other
            elif test == JGE:
                met = a >= other
            else:
                met = bool(a & other) if test == JSET else a == other
            at += on_true if met else on_false
        elif code == RET_K:
            return k
        elif code == RET_A:
            return a
        elif code == JA:
            at += k
        elif code in _BINARY:
            other = x if code & X else k
            if code == DIV | X and not x:
                return 0  # as bpf_convert_filter does it: the program ends there
            a = _compute(code & ~X, a, other)
        elif code == NEG:
            a = -a & _MASK
        elif code == LD_IMM:
            a = k
        elif code == LDX_IMM:
            x = k
        elif code == LD_LEN:
            a = _DATA_SIZE
        elif code == LDX_LEN:
            x = _DATA_SIZE
        elif code == LD_MEM:
            a = scratch[k]
        elif code == LDX_MEM:
            x = scratch[k]
        elif code == ST:
            scratch[k] = a
        elif code == STX:
            scratch[k] = x
        elif code == TAX:
            x = a
        else:
            a = x  # TXA


def _compute(operation: int, a: int, other: int) -> int:
    """The arithmetic on unsigned 32-bit words."""
    if operation == ADD:
        a += other
    elif operation == SUB:
        a -= other
    elif operation == MUL:
        a *= other
    elif operation == DIV:
        a //= other
    elif operation == AND:
        a &= other
    elif operation == OR:
        a |= other
    elif operation == XOR:
        a ^= other
    elif operation == LSH:
        a <<= other & 31
    else:
        a >>= other & 31
    return a & _MASK


def evaluate(
    program: bytes, number: int, arguments: Sequence[int], instruction_pointer: int = 0
) -> int:
    """What one program returns (SECCOMP_RET_*) for a system call; ValueError as `decode`."""
    return run(decode(program), data_of(number, arguments, instruction_pointer))


def strictest(decoded: Sequence[Sequence[Instruction]], data: Sequence[int]) -> int:
    """What the filters of a process say together; in the order of PTRACE_SECCOMP_GET_FILTER.

    The smallest action wins, compared as a signed number; among equals the filter that was
    installed last, which PTRACE_SECCOMP_GET_FILTER gives last (kernel/seccomp.c:
    seccomp_run_filters, get_nth_filter).
    """
    result = ALLOW
    for instructions in reversed(decoded):
        one = run(instructions, data)
        if _signed(one) < _signed(result):
            result = one
    return result


def _signed(value: int) -> int:
    action = value & ACTION
    return action - (1 << 32) if action >> 31 else action


Kind = Literal["needed", "optional", "new", "old"]
Version = tuple[int, int]


class Call(NamedTuple):
    """A system call that an action makes in its target.

    `needed`: an error does harm, or the action is impossible; `optional`: glibc and CPython do
    without; `new`: after ENOSYS the `old` one is made instead. `does` follows "when it"; `since`
    and `until` (excluded) are versions of glibc, `libc` "" is any.
    """

    name: str
    number: int
    arguments: tuple[int, ...]
    kind: Kind
    does: str
    libc: Literal["", "glibc", "musl"] = ""
    since: Version = (0, 0)
    until: Version = (1000, 0)


_AT = 0x7F5A3C9E1000  # stands for an address
_STACK = 0x801000  # 8 MiB and a guard page
_R, _RW, _RX = 1, 3, 5
_PRIVATE, _STACK_FLAG, _NORESERVE = 0x22, 0x20022, 0x4022  # with MAP_ANONYMOUS
_NO_FILE = 0xFFFFFFFF
_THREAD = 0x3D0F00  # VM FS FILES SIGHAND THREAD SYSVSEM SETTLS PARENT_SETTID CHILD_CLEARTID
_MAKES = "makes a thread"
_ENDS = "ends a thread"
_LOCKS = "waits for a lock"
_MAPS = "maps memory"

# Sources: glibc 2.26 to 2.43 (nptl/pthread_create.c, nptl/allocatestack.c, malloc/malloc.c,
# malloc/arena.c), musl 1.2 (src/thread/pthread_create.c), CPython 3.6 to 3.15.
CALLS = (
    # The borrowed thread: memory for the stub, and back to what it did.
    Call("mmap", 9, (0, 0x3000, _RX, _PRIVATE, _NO_FILE, 0), "needed", "maps executable memory"),
    Call("mprotect", 10, (_AT, 0x1000, _RW), "needed", "makes memory writable"),
    Call("munmap", 11, (_AT, 0x3000), "needed", "unmaps memory"),
    Call("rt_sigreturn", 15, (), "needed", "returns from a signal"),
    # An interrupted relative sleep is taken up by it (kernel/signal.c).
    Call("restart_syscall", 219, (), "needed", "goes on sleeping"),
    # pthread_create. Errors of rt_sigaction are ignored (once, at the first thread, since 2.34).
    Call("rt_sigaction", 13, (33, _AT, 0, 8), "optional", _MAKES, "glibc", (2, 34)),
    Call("mmap", 9, (0, _STACK, 0, _STACK_FLAG, _NO_FILE, 0), "needed", _MAKES),
    # Readable at once and guarded afterwards: before 2.27, and again since 2.42.
    Call("mmap", 9, (0, _STACK, _RW, _STACK_FLAG, _NO_FILE, 0), "needed", _MAKES),
    Call("madvise", 28, (_AT, 0x1000, 102), "optional", _MAKES, "glibc", (2, 42)),  # GUARD_INSTALL
    Call("mprotect", 10, (_AT, 0x1000, 0), "needed", _MAKES),
    Call("mprotect", 10, (_AT, _STACK - 0x1000, _RW), "needed", _MAKES),
    Call("rt_sigprocmask", 14, (0, _AT, _AT, 8), "needed", "blocks signals"),
    Call("rt_sigprocmask", 14, (2, _AT, 0, 8), "needed", "blocks signals"),
    # Only ENOSYS makes glibc take clone instead (sysdeps/unix/sysv/linux/clone-internal.c).
    Call("clone3", 435, (_AT, 88), "new", _MAKES, "glibc", (2, 34)),
    Call("clone", 56, (_THREAD, _AT, _AT, _AT, _AT), "old", _MAKES, "glibc"),
    Call("clone", 56, (_THREAD | 0x400000, _AT, _AT, _AT, _AT), "needed", _MAKES, "musl"),
    # The new thread. An error of rseq aborts the process if the borrowed thread has an rseq area
    # ("Fatal glibc error: rseq registration failed"); those of set_robust_list are ignored.
    Call("rseq", 334, (_AT, 32, 0, 0x53053053), "needed", _MAKES, "glibc", (2, 35)),
    Call("set_robust_list", 273, (_AT, 24), "optional", _MAKES),
    Call("prctl", 157, (15, _AT), "optional", "names a thread"),  # PR_SET_NAME
    Call("poll", 7, (0, 0, 2), "needed", "waits"),
    # malloc_trim: madvise for what is free inside, brk for the top. glibc takes any answer of brk
    # for the new end of the heap (sysdeps/unix/sysv/linux/brk.c), also an error.
    Call("madvise", 28, (_AT, 0x1000, 4), "optional", "gives memory back"),  # MADV_DONTNEED
    Call("brk", 12, (_AT,), "needed", "gives memory back"),
    # malloc in a new thread makes an arena: PROT_NONE, cut to its alignment, the number of CPUs;
    # without one it takes another thread's. free may shrink one, and looks at overcommit_memory.
    Call("mmap", 9, (0, 0x8000000, 0, _NORESERVE, _NO_FILE, 0), "optional", _MAPS),
    Call("sched_getaffinity", 204, (0, 128, _AT), "optional", "asks for its CPUs"),
    Call("openat", 257, (0xFFFFFF9C, _AT, 0x80000, 0), "optional", "opens a file of /proc or /sys"),
    Call("read", 0, (9, _AT, 1), "optional", "reads a file of /proc or /sys"),
    Call("close", 3, (9,), "optional", "closes a file"),
    Call("mremap", 25, (_AT, 0x40000, 0x80000, 1), "optional", _MAPS),
    # CPython: arenas of pymalloc, the GIL (glibc aborts at unknown errors of futex), thread ids.
    Call("mmap", 9, (0, 0x100000, _RW, _PRIVATE, _NO_FILE, 0), "needed", _MAPS),
    Call("futex", 202, (_AT, 128, 2, 0), "needed", _LOCKS),  # WAIT_PRIVATE
    Call("futex", 202, (_AT, 129, 1), "needed", _LOCKS),  # WAKE_PRIVATE
    Call("futex", 202, (_AT, 137, 0, _AT, 0, _NO_FILE), "needed", _LOCKS),  # WAIT_BITSET_PRIVATE
    Call("futex", 202, (_AT, 393, 0, _AT, 0, _NO_FILE), "needed", _LOCKS),  # + CLOCK_REALTIME
    Call("gettid", 186, (), "optional", "asks for its thread id"),
    Call("sched_yield", 24, (), "optional", _LOCKS),
    Call("clock_gettime", 228, (1, _AT), "optional", "asks for the time"),  # where the vDSO cannot
    # The end. The stack goes into glibc's cache; an error of exit would be retried for ever.
    Call("madvise", 28, (_AT, 0x7FB000, 4), "optional", _ENDS),
    Call("exit", 60, (0,), "needed", _ENDS),
)


def calls(
    libc: Literal["", "glibc", "musl"] = "", version: Version | None = None, *, rseq: bool = True
) -> tuple[Call, ...]:
    """What the C library of a target makes of it; "" or None if it is not known: all of them.

    `rseq`: whether the thread that is to be borrowed has an rseq area, which new threads of glibc
    then insist upon (PTRACE_GET_RSEQ_CONFIGURATION; a filter that was there before the process
    began has denied it to all).
    """
    made = []
    for call in CALLS:
        if libc and call.libc not in ("", libc):
            continue
        if version is not None and not call.since <= version < call.until:
            continue
        if call.name == "rseq" and not rseq:
            call = call._replace(kind="optional")
        elif call.kind == "old" and (version is None or version < (2, 34)):
            call = call._replace(kind="needed")
        made.append(call)
    return tuple(made)


def repeated(number: int, arguments: Sequence[int]) -> Call:
    """The call in which the borrowed thread waits: it makes it again, perhaps under a filter that
    came later."""
    return Call("", number, tuple(arguments), "needed", "goes on waiting")


def objection(programs: Sequence[bytes], wanted: Sequence[Call] | None = None) -> str | None:
    """Why the filters of a process forbid to act in it, in words for people; None if they do not.

    `programs` in the order of PTRACE_SECCOMP_GET_FILTER; ValueError for one that is unreadable.
    """
    decoded = [decode(program) for program in programs]
    old = False
    for call in calls() if wanted is None else wanted:
        if call.kind == "old" and not old:
            continue
        answer = strictest(decoded, data_of(call.number, call.arguments))
        action, error = answer & ACTION, min(answer & DATA, MOST_ERRNO)
        if action in (ALLOW, LOG):
            continue
        if action == TRACE:  # memtop's ptrace does not ask for these stops: ENOSYS
            action, error = ERRNO, errno.ENOSYS
        if action == ERRNO and call.kind == "new" and error == errno.ENOSYS:
            old = True
        elif action != ERRNO or call.kind != "optional" or not error:
            return f"its seccomp filter {_words(action, error)} when it {call.does}: {_NOTHING}"
    return None


_NOTHING = "nothing was done"


def _words(action: int, error: int) -> str:
    if action == ERRNO:
        return f"refuses ({errno.errorcode.get(error, error)})" if error else "pretends to act"
    if action == KILL_THREAD:
        return "kills the thread"
    if action == TRAP:
        return "sends SIGSYS"
    # The kernel takes an action that it does not know for a kill of the process.
    return "asks another process" if action == USER_NOTIF else "kills the process"
