"""The evaluator of seccomp filters: against hand-made programs, the kernel, and what is asked."""

import ctypes
import errno
import json
import os
import platform
import random
import signal
import struct
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtop.actions.remote import seccomp
from memtop.actions.remote.seccomp import (
    ALLOW,
    CALLS,
    ERRNO,
    JA,
    JEQ,
    JGE,
    JGT,
    JSET,
    KILL_PROCESS,
    KILL_THREAD,
    LD_ABS,
    LD_IMM,
    LD_LEN,
    LD_MEM,
    LDX_IMM,
    LDX_LEN,
    LDX_MEM,
    LOG,
    NEG,
    RET_A,
    RET_K,
    ST,
    STX,
    TAX,
    TRACE,
    TRAP,
    TXA,
    USER_NOTIF,
    X,
    calls,
    decode,
    evaluate,
    objection,
    repeated,
)

ARITHMETIC = (0x04, 0x14, 0x24, 0x34, 0x44, 0x54, 0x64, 0x74, 0xA4)
DIV, AND, OR, LSH, RSH, SUB = 0x34, 0x54, 0x44, 0x64, 0x74, 0x14
FIRST_TESTED = 600  # no system call has such a number: those that are let through give ENOSYS
ACTIONS = (ALLOW, LOG, TRACE, ERRNO | 1, ERRNO | 38, ERRNO | 4095, ERRNO, KILL_PROCESS)
NUMBERS = {call.name: call.number for call in CALLS}


def program(*instructions):
    """Bytes of (code, k) or (code, jt, jf, k)."""
    return b"".join(
        struct.pack("<HBBI", *(one if len(one) == 4 else (one[0], 0, 0, one[1])))
        for one in instructions
    )


def answering(action, *numbers, otherwise=ALLOW, only_if=()):
    """Answers the system calls of these numbers with an action.

    `only_if`: (argument, bits) of which at least one must be set.
    """
    tail = []
    for argument, bits in only_if:
        tail += [(LD_ABS, 16 + 8 * argument), (JSET, 1, 0, bits), (RET_K, otherwise)]
    tail += [(RET_K, action)]
    tests = [(JEQ, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
    return program((LD_ABS, 0), *tests, (RET_K, otherwise), *tail)


def tree(actions, otherwise):
    """A binary tree over the numbers, as libseccomp makes it for long profiles."""

    def branch(pairs):
        if len(pairs) == 1:
            number, action = pairs[0]
            return [(JEQ, 0, 1, number), (RET_K, action), (RET_K, otherwise)]
        middle = len(pairs) // 2
        low, high = branch(pairs[:middle]), branch(pairs[middle:])
        if len(low) < 256:
            return [(JGE, len(low), 0, pairs[middle][0]), *low, *high]
        return [(JGE, 1, 0, pairs[middle][0]), (JA, len(high)), *high, *low]

    architecture = [(LD_ABS, 4), (JEQ, 1, 0, 0xC000003E), (RET_K, KILL_PROCESS)]
    return program(*architecture, (LD_ABS, 0), *branch(sorted(actions.items())))


# Hand-made programs


@pytest.mark.parametrize(
    ("instructions", "answer"),
    [
        ([(LD_ABS, 0), (RET_A, 0)], 600),
        ([(LD_ABS, 4), (RET_A, 0)], 0xC000003E),
        ([(LD_ABS, 8), (RET_A, 0)], 0x55667788),
        ([(LD_ABS, 12), (RET_A, 0)], 0x11223344),
        ([(LD_ABS, 16), (RET_A, 0)], 0xFFFFFFFF),
        ([(LD_ABS, 20), (RET_A, 0)], 0xFFFFFFFF),
        ([(LD_ABS, 24), (RET_A, 0)], 2),
        ([(LD_ABS, 28), (RET_A, 0)], 1),
        ([(LD_ABS, 60), (RET_A, 0)], 0),
        ([(LD_LEN, 0), (RET_A, 0)], 64),
        ([(LDX_LEN, 0), (TXA, 0), (RET_A, 0)], 64),
        ([(LD_IMM, 7), (ST, 15), (LD_IMM, 0), (LD_MEM, 15), (RET_A, 0)], 7),
        ([(LDX_IMM, 9), (STX, 0), (LDX_IMM, 0), (LDX_MEM, 0), (TXA, 0), (RET_A, 0)], 9),
        ([(LD_IMM, 5), (TAX, 0), (LD_IMM, 0), (TXA, 0), (RET_A, 0)], 5),
        ([(LD_IMM, 1), (NEG, 0), (RET_A, 0)], 0xFFFFFFFF),
        ([(LD_IMM, 0), (SUB, 1), (RET_A, 0)], 0xFFFFFFFF),
        ([(LD_IMM, 7), (DIV, 2), (RET_A, 0)], 3),
        ([(LD_IMM, 7), (LDX_IMM, 0), (DIV | X, 0), (RET_K, ALLOW)], KILL_THREAD),
        ([(LD_IMM, 1), (LDX_IMM, 33), (LSH | X, 0), (RET_A, 0)], 2),
        ([(LD_IMM, 4), (LDX_IMM, 33), (RSH | X, 0), (RET_A, 0)], 2),
        ([(LD_IMM, 0x80000000), (JGT, 0, 1, 1), (RET_K, 1), (RET_K, 2)], 1),
        ([(LD_IMM, 3), (LDX_IMM, 3), (JGE | X, 0, 1, 0), (RET_K, 1), (RET_K, 2)], 1),
        ([(LD_IMM, 3), (LDX_IMM, 4), (JEQ | X, 0, 1, 0), (RET_K, 1), (RET_K, 2)], 2),
        ([(LD_IMM, 6), (LDX_IMM, 4), (JSET | X, 0, 1, 0), (RET_K, 1), (RET_K, 2)], 1),
        ([(JA, 1), (RET_K, 1), (RET_K, 2)], 2),
    ],
)
def test_one_program(instructions, answer):
    """Loads, arithmetic, jumps and returns are the kernel's, on unsigned words of 32 bits."""
    found = evaluate(program(*instructions), 600, (-1, 1 << 32 | 2), 0x1122334455667788)
    assert found == answer


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x06\0\0\0",
        program((LD_IMM, 1)),  # does not return
        program((0x94, 2), (RET_K, ALLOW)),  # MOD, which seccomp does not allow
        program((0x28, 0), (RET_K, ALLOW)),  # a half word
        program((LD_ABS, 64), (RET_K, ALLOW)),
        program((LD_ABS, 2), (RET_K, ALLOW)),
        program((LD_MEM, 16), (RET_K, ALLOW)),
        program((LSH, 32), (RET_K, ALLOW)),
        program((DIV, 0), (RET_K, ALLOW)),
        program((JEQ, 1, 0, 0), (RET_K, ALLOW)),
        program((JEQ, 0, 255, 0), (RET_K, ALLOW)),
        program((JA, 0xFFFFFFFF), (RET_K, ALLOW)),
        program(*[(LD_IMM, 0)] * 4096, (RET_K, ALLOW)),
    ],
)
def test_what_the_kernel_would_refuse_is_unreadable(raw):
    """A program that cannot be one is no permission."""
    with pytest.raises(ValueError, match="seccomp filter"):
        evaluate(raw, 9, ())
    with pytest.raises(ValueError, match="seccomp filter"):
        objection([program((RET_K, ALLOW)), raw])


WORD = st.one_of(st.integers(0, 0xFFFFFFFF), st.integers(0, 70), st.sampled_from((ALLOW, ERRNO)))


WORDS_OF_DATA = tuple(range(0, 64, 4))


@st.composite
def programs(draw, loads=WORDS_OF_DATA):
    """Valid programs of all instructions; the scratch memory is written before it is read."""
    returns = st.sampled_from(ACTIONS)
    length = draw(st.integers(1, 40))
    made = [(LD_IMM, 0, 0, draw(WORD)), (ST, 0, 0, 0), (LDX_IMM, 0, 0, draw(WORD)), (STX, 0, 0, 1)]
    for left in range(length, 0, -1):
        kind = draw(st.sampled_from("load load jump jump calculate move move return".split()))
        if kind == "jump":
            code = draw(st.sampled_from((JEQ, JGT, JGE, JSET))) | draw(st.sampled_from((0, X)))
            far = st.integers(0, min(255, left - 1))
            made.append((code, draw(far), draw(far), draw(WORD)))
        elif kind == "calculate":
            code, k = draw(st.sampled_from(ARITHMETIC)), draw(WORD)
            if draw(st.booleans()):
                made.append((code | X, 0, 0, 0))
            else:
                made.append((code, 0, 0, k % 32 if code in (LSH, RSH) else max(1, k)))
        elif kind == "load":
            made.append((LD_ABS, 0, 0, draw(st.sampled_from(loads))))
        elif kind == "move":
            code = draw(st.sampled_from((LD_IMM, LDX_IMM, TAX, TXA, NEG, LD_LEN, LDX_LEN)))
            code = draw(st.sampled_from((code, LD_MEM, LDX_MEM, ST, STX, JA)))
            most = left - 1 if code == JA else 1
            k = draw(WORD) if code in (LD_IMM, LDX_IMM) else draw(st.integers(0, most))
            made.append((code, 0, 0, k))
        elif left > 2:
            made.append((RET_K, 0, 0, draw(returns)))
    # What was computed is seen in the error.
    return program(*made, (AND, 0xFFF), (OR, ERRNO), (RET_A, 0))


@given(programs(), st.integers(0, (1 << 64) - 1))
def test_a_program_ends(raw, argument):
    """Whatever the instructions: a program that is accepted returns a word."""
    assert 0 <= evaluate(raw, 600, (argument,)) <= 0xFFFFFFFF


@given(st.binary(max_size=160))
def test_any_bytes(raw):
    """Bytes are a program, or unreadable."""
    try:
        instructions = decode(raw)
    except ValueError:
        return
    assert len(instructions) == len(raw) // 8


# The kernel

HOST = """\
import ctypes, json, mmap, os, resource, struct, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("at", ctypes.c_void_p)]
def install(raw):
    held = ctypes.create_string_buffer(raw, len(raw))
    filter = Program(len(raw) // 8, ctypes.addressof(held))
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(filter), 0, 0):
        return ctypes.get_errno()
    return 0
answers = mmap.mmap(-1, 4096)
for line in sys.stdin:
    asked = json.loads(line)
    if asked.get("stay"):
        print([install(bytes.fromhex(one)) for one in asked["filters"]], flush=True)
        sys.stdin.read()
        break
    found = []
    for number, *arguments in asked["calls"]:
        answers[:8] = struct.pack("q", -99999)
        child = os.fork()
        if not child:
            failed = [code for code in map(install, map(bytes.fromhex, asked["filters"])) if code]
            if failed:
                os._exit(failed[0])
            result = libc.syscall(ctypes.c_long(number), *map(ctypes.c_ulong, arguments))
            if result == -1:
                result = -ctypes.get_errno()
            answers[:8] = struct.pack("q", result)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        result = struct.unpack("q", answers[:8])[0]
        found.append([result, status])
    print(json.dumps(found), flush=True)
"""


class Kernel:
    """A process that tries filters, each in a fork of its own."""

    def __init__(self):
        # -S: it has nothing to import, and the forks are small.
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", HOST],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, filters, tried, **more):
        request = {"filters": [raw.hex() for raw in filters], "calls": tried, **more}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def start_kernel():
    if platform.machine() != "x86_64":
        pytest.skip("filters are evaluated for x86_64 only")
    kernel = Kernel()
    [[result, status]] = kernel.ask([program((RET_K, ALLOW))], [[FIRST_TESTED]])
    if result != -errno.ENOSYS:
        kernel.end()
        pytest.skip(f"this kernel installs no seccomp filter here ({result}, {status})")
    return kernel


@pytest.fixture(scope="module")
def kernel():
    started = start_kernel()
    yield started
    started.end()


def expected(filters, number, arguments):
    """(result, signal) as the evaluator sees it; nobody traces, and nobody is notified."""
    decoded = [decode(raw) for raw in filters]
    answer = seccomp.strictest(decoded, seccomp.data_of(number, arguments))
    action = answer & seccomp.ACTION
    if action == ERRNO:
        return -min(answer & 0xFFFF, 4095), 0
    if action in (ALLOW, LOG, TRACE, USER_NOTIF):
        return -errno.ENOSYS, 0
    return None, signal.SIGSYS


def guarded(raw):
    """The same, for the calls that are tried only: the process that tries makes others, too."""
    return program((LD_ABS, 0), (JGE, 1, 0, FIRST_TESTED), (RET_K, ALLOW)) + raw


def compare(kernel, filters, tried):
    answers = kernel.ask(filters, tried)
    for (number, *arguments), (result, status) in zip(tried, answers, strict=True):
        wanted, death = expected(filters, number, arguments)
        assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0, "it was not installed"
        assert (status & 0x7F) == death
        if wanted is not None:
            assert result == wanted


# Its own address is unknown to the test: no loads of the instruction pointer.
KNOWN = tuple(k for k in WORDS_OF_DATA if k not in (8, 12))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(programs(loads=KNOWN), min_size=1, max_size=3),
    st.lists(
        st.tuples(st.integers(FIRST_TESTED, 1 << 29), *[st.integers(0, (1 << 64) - 1)] * 6),
        min_size=1,
        max_size=3,
    ),
)
def test_random_programs_in_the_kernel(kernel, made, tried):
    """Random filters answer system calls as the evaluator says, one or several of them."""
    compare(kernel, [guarded(raw) for raw in made], [list(one) for one in tried])


@pytest.mark.parametrize("first", [*ACTIONS, KILL_THREAD, TRAP, 0x12340000])
def test_which_filter_wins(kernel, first):
    """Of two filters the stricter action counts; of two errors, that of the later filter."""
    for second in (*ACTIONS, KILL_THREAD, TRAP, ERRNO | 7):
        filters = [answering(first, FIRST_TESTED), answering(second, FIRST_TESTED)]
        compare(kernel, filters, [[FIRST_TESTED]])


def test_random_profiles_in_the_kernel(kernel):
    """Trees of hundreds of numbers, as container runtimes install them."""
    chance = random.Random(5)
    for _ in range(5):
        actions = {chance.randrange(FIRST_TESTED, 1200): chance.choice(ACTIONS) for _ in range(300)}
        profile = tree({**dict.fromkeys(range(450), ALLOW), **actions}, ERRNO | 1)
        compare(kernel, [profile], [[n] for n in chance.sample(range(FIRST_TESTED, 1200), 25)])


PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
PTRACE_SECCOMP_GET_FILTER = 0x420C


def filters_of(pid):
    """The filters of a process as the kernel gives them; OSError."""
    call = ctypes.CDLL(None, use_errno=True).ptrace
    call.restype = ctypes.c_long
    call.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

    def ask(request, address=0, data=0):
        result = call(request, pid, address, data)
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return result

    ask(PTRACE_SEIZE)
    try:
        ask(PTRACE_INTERRUPT)
        os.waitpid(pid, 0x40000000)
        found = []
        while True:
            try:
                length = ask(PTRACE_SECCOMP_GET_FILTER, len(found))
            except FileNotFoundError:
                return found
            buffer = ctypes.create_string_buffer(8 * length)
            ask(PTRACE_SECCOMP_GET_FILTER, len(found), ctypes.addressof(buffer))
            found.append(buffer.raw)
    finally:
        ask(PTRACE_DETACH)


def test_filters_of_a_process():
    """What PTRACE_SECCOMP_GET_FILTER gives is what was installed, the first one first."""
    kernel = start_kernel()
    filters = [
        answering(ERRNO | errno.EPERM, 700),
        tree(dict.fromkeys(range(500), ALLOW), ERRNO | errno.EPERM),
        answering(ERRNO | errno.ESRCH, NUMBERS["clone3"]),
    ]
    try:
        assert kernel.ask(filters, [], stay=True) == [0, 0, 0]
        try:
            found = filters_of(kernel.process.pid)
        except PermissionError:
            pytest.skip("reading seccomp filters takes CAP_SYS_ADMIN, and no filter oneself")
        except OSError as error:
            pytest.skip(f"this kernel does not tell seccomp filters ({error})")
    finally:
        kernel.end()
    assert found == filters
    assert objection(found) == (
        "its seccomp filter refuses (ESRCH) when it makes a thread: nothing was done"
    )


# The calls of an action


def test_no_filter_no_objection():
    """Filters that let everything through, or log it, are no objection; nor are none."""
    assert objection([]) is None
    assert objection([program((RET_K, ALLOW)), program((RET_K, LOG))]) is None


NEEDED = sorted({call.number for call in CALLS if call.kind == "needed"})
OPTIONAL = sorted({call.number for call in CALLS if call.kind == "optional"} - set(NEEDED))


@pytest.mark.parametrize("number", NEEDED)
def test_needed(number):
    """An error where the C library needs the call is an objection that names the error."""
    said = objection([answering(ERRNO | errno.EACCES, number)])
    assert said.startswith("its seccomp filter refuses (EACCES) when it ")
    assert said.endswith(": nothing was done")


@pytest.mark.parametrize("number", OPTIONAL)
def test_optional(number):
    """An error is none where nobody minds it; a pretended success is."""
    assert objection([answering(ERRNO | errno.EPERM, number)]) is None
    assert objection([answering(TRACE, number)]) is None
    assert "pretends to act" in objection([answering(ERRNO, number)])


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (KILL_PROCESS, "kills the process"),
        (KILL_THREAD, "kills the thread"),
        (TRAP, "sends SIGSYS"),
        (USER_NOTIF, "asks another process"),
        (0x12340000, "kills the process"),
    ],
)
@pytest.mark.parametrize("number", sorted({call.number for call in CALLS}))
def test_what_is_never_harmless(number, action, words):
    """A filter that kills, traps or asks at any of the calls is an objection in its own words."""
    assert f"its seccomp filter {words} when it " in objection([answering(action, number)])


def test_kill_in_the_order_of_the_calls():
    """The sentence is about the first call that would be answered so."""
    said = objection([answering(KILL_PROCESS, NUMBERS["clone"], NUMBERS["clone3"])])
    assert said == "its seccomp filter kills the process when it makes a thread: nothing was done"


CONTAINER = {
    **dict.fromkeys((*range(156), *range(157, 335), *range(424, 448)), ALLOW),
    **dict.fromkeys((165, 166, 169, 175, 246, 272, 308), ERRNO | errno.EPERM),  # mount, unshare …
    NUMBERS["clone3"]: ERRNO | errno.ENOSYS,
}


def test_a_profile_of_a_container():
    """clone3 answered with ENOSYS, as container runtimes do it, is no objection."""
    assert objection([tree(CONTAINER, ERRNO | errno.EPERM)]) is None


def test_clone3_and_clone():
    """clone3 may be missing if clone is there; another error of it is taken for the answer."""
    new, old = NUMBERS["clone3"], NUMBERS["clone"]
    absent = answering(ERRNO | errno.ENOSYS, new)
    recent, early = calls("glibc", (2, 36)), calls("glibc", (2, 31))
    assert objection([absent], recent) is None
    assert objection([answering(TRACE, new)], recent) is None
    assert "EPERM" in objection([absent, answering(ERRNO | errno.EPERM, old)], recent)
    assert "EPERM" in objection([answering(ERRNO | errno.EPERM, new)], recent)
    # This glibc never calls clone while there is clone3, the other one never clone3.
    assert objection([answering(KILL_PROCESS, old)], recent) is None
    assert objection([answering(KILL_PROCESS, new)], early) is None
    assert "kills" in objection([answering(KILL_PROCESS, old)], early)


def test_flags_of_a_thread():
    """Filters that forbid new namespaces only let a thread be made, in glibc's way and musl's."""
    namespaces = 0x7E020000
    only_threads = answering(ERRNO | 1, NUMBERS["clone"], only_if=[(0, namespaces)])
    for wanted in (None, calls("glibc", (2, 31)), calls("musl")):
        assert objection([only_threads], wanted) is None
    no_threads = answering(ERRNO | 1, NUMBERS["clone"], only_if=[(0, 0x10000)])
    for wanted in (None, calls("glibc", (2, 31)), calls("musl")):
        assert "makes a thread" in objection([no_threads], wanted)


def test_memory_that_is_never_both():
    """A filter that forbids memory to be writable and executable is no obstacle."""
    # mmap with both, mprotect with the latter: what systemd's MemoryDenyWriteExecute installs.
    first = program(
        *((LD_ABS, 0), (JEQ, 0, 4, NUMBERS["mmap"]), (LD_ABS, 32), (AND, 6)),
        *((JEQ, 0, 1, 6), (RET_K, ERRNO | 1), (RET_K, ALLOW)),
    )
    second = answering(ERRNO | 1, NUMBERS["mprotect"], only_if=[(2, 4)])
    assert objection([first, second]) is None
    no_execution = answering(ERRNO | 1, NUMBERS["mmap"], only_if=[(2, 4)])
    assert "maps executable memory" in objection([no_execution])


def test_rseq():
    """An error of rseq matters only if new threads must have an area because the old ones do."""
    refused = [answering(ERRNO | 1, NUMBERS["rseq"])]
    assert "EPERM" in objection(refused, calls("glibc", (2, 36)))
    assert objection(refused, calls("glibc", (2, 36), rseq=False)) is None
    assert objection(refused, calls("glibc", (2, 34))) is None
    killed = [answering(KILL_PROCESS, NUMBERS["rseq"])]
    assert "kills" in objection(killed, calls("glibc", (2, 36), rseq=False))


def test_the_call_that_is_made_again():
    """A thread may wait in a call that a later filter forbids: it could not go on waiting."""
    accept = 43
    forbidden = [answering(KILL_PROCESS, accept)]
    assert objection(forbidden) is None
    said = objection(forbidden, [*calls(), repeated(accept, (3, 0, 0))])
    assert said == "its seccomp filter kills the process when it goes on waiting: nothing was done"
    only_other = [answering(KILL_PROCESS, accept, only_if=[(0, 4)])]
    assert objection(only_other, [*calls(), repeated(accept, (3, 0, 0))]) is None


THREADS = """\
import ctypes, sys, threading
libc = ctypes.CDLL(None)
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("at", ctypes.c_void_p)]
raw = bytes.fromhex(sys.argv[1])
held = ctypes.create_string_buffer(raw, len(raw))
installed = Program(len(raw) // 8, ctypes.addressof(held))
libc.prctl(38, 1, 0, 0, 0)
if libc.prctl(22, 2, ctypes.byref(installed), 0, 0):
    sys.exit(77)
thread = threading.Thread(target=list)
thread.start()
thread.join()
"""


@pytest.mark.parametrize("name", ["rseq", "clone3", "set_robust_list", "rt_sigprocmask", "madvise"])
def test_what_an_error_does_to_threads_here(name):
    """Where the table says that a new thread can do without a call, this C library can."""
    raw = answering(ERRNO | errno.EPERM, NUMBERS[name])
    ran = subprocess.run(
        [sys.executable, "-c", THREADS, raw.hex()], capture_output=True, check=False, timeout=30
    )
    if ran.returncode == 77:
        pytest.skip("this kernel installs no seccomp filter here")
    if objection([raw]) is None:
        assert ran.returncode == 0, ran.stderr


def test_a_long_profile_is_quick():
    """All calls against a profile of hundreds of numbers take about a millisecond."""
    profile = tree(CONTAINER, ERRNO | errno.EPERM)
    taken = []
    for _ in range(20):
        begun = time.perf_counter()
        assert objection([profile]) is None
        taken.append(time.perf_counter() - begun)
    assert min(taken) < 0.002
