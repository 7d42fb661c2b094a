"""The pieces of borrowing a thread, one by one; the whole of it is tried in tests/inject."""

import os
import re
import shutil
import struct
import subprocess
import time
from pathlib import Path

import pytest

import memtop.actions.remote
from memtop.actions.remote import job, stub
from memtop.actions.remote.frame import Registers, Saved, build, place, usable_xstate
from memtop.actions.remote.job import Call, Cancelled, Job, Result, Room, Text, Tools, Was
from memtop.actions.remote.stacks import find_stacks, room_below
from memtop.actions.remote.threads import Resume, rank_of, resume_of
from memtop.target.maps import read_maps
from memtop.target.memory import Memory
from memtop.target.symbols import Symbol

SOURCE = Path(memtop.actions.remote.__file__).with_name("stub.c")
HERE = 0x4D4500000000


@pytest.fixture
def compiler():
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    return "gcc"


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def built(compiler, tmp_path):
    """The machine code that this compiler makes of the source."""
    made, raw = tmp_path / "stub.o", tmp_path / "stub.bin"
    run(compiler, *stub.FLAGS, "-c", str(SOURCE), "-o", str(made))
    run("objcopy", "-O", "binary", "-j", ".text", str(made), str(raw))
    return raw.read_bytes(), made


def test_machine_code_is_its_source_compiled(compiler, tmp_path):
    """The bytes are what the named compiler makes of stub.c with the named flags."""
    version = run(compiler, "-dumpfullversion").strip()
    if version.rpartition(".")[0] != stub.COMPILER.split()[1]:
        pytest.skip(f"the bytes are of {stub.COMPILER}, here is gcc {version}")
    code, _ = built(compiler, tmp_path)

    assert code == stub.CODE


def test_source_calls_nothing_and_has_no_data(compiler, tmp_path):
    """Whatever the compiler: no relocations, no data, and the last thing is a jump into munmap."""
    _, made = built(compiler, tmp_path)
    sections = run("objdump", "-h", str(made))

    assert "OFFSET" not in run("objdump", "-r", str(made))
    assert all(
        int(size, 16) == 0 for size in re.findall(r"\.(?:data|bss|rodata)\s+(\w+)", sections)
    )


def test_committed_code_ends_in_a_jump():
    """munmap returns to whoever called the code, not into it: no `call` is the last thing."""
    assert bytes.fromhex("ffe0") in stub.CODE  # jmp *%rax


def test_layout_is_that_of_the_source(compiler, tmp_path):
    """job.py and stub.c agree on where each word lies."""
    names = ("made_at", "step", "cancel", "done", "ack", "go", "call")
    wanted = [f"__builtin_offsetof(struct control, {name})" for name in names]
    wanted += ["sizeof(struct call)", "__builtin_offsetof(struct call, ran)"]
    wanted += ["__builtin_offsetof(struct call, result)"]
    source = f'#include "{SOURCE}"\n#include <stdio.h>\nint main(void) {{\n'
    source += "".join(f'printf("%zu ", {expression});\n' for expression in wanted) + "}\n"
    (tmp_path / "layout.c").write_text(source)
    run(compiler, str(tmp_path / "layout.c"), "-o", str(tmp_path / "layout"))
    offsets = [int(word) for word in run(str(tmp_path / "layout")).split()]
    made = Job([Call("one", 1), Call("two", 2)], (), Tools(3, 4, 5, 6))

    assert offsets[:6] == [
        at - job.PAGE for at in (job.MADE_AT, job.STEP, job.CANCEL, job.DONE, job.ACK, job.GO)
    ]
    assert made.ran_at("one") == job.PAGE + offsets[6] + offsets[8]
    assert made.result_at("two") == job.PAGE + offsets[6] + offsets[7] + offsets[9]


def test_job_refers_to_its_own_words():
    """Texts, room, results and conditions become addresses in the region."""
    made = Job(
        [
            Call("first", 0x10, (Text(b"abc"), 7)),
            Call("second", 0x20, (Result("first"), Room("here", 16)), needs=Was("first")),
            Call("third", 0x30, needs=Result("second"), unless=Cancelled()),
        ],
        [Call("last", 0x40, needs=0x1234)],
        Tools(0x50, 0x60, 0x70, 0x80),
    )
    data = made.data(HERE, made.size, 99)

    def word(offset):
        return struct.unpack_from("<Q", data, offset - job.PAGE)[0]

    def call(name):
        return struct.unpack_from("<12Q", data, made.ran_at(name) - 32 - job.PAGE)

    assert made.size % job.PAGE == 0
    assert word(job.MADE_AT) == 99
    text = call("first")[6] - HERE - job.PAGE
    assert data[text : text + 4] == b"abc\0"
    assert call("first")[7] == 7
    second = call("second")
    assert second[1] == HERE + made.ran_at("first")
    assert second[3] == 1  # the first argument is passed by its word
    assert second[6] == HERE + made.result_at("first")
    assert second[7] == HERE + made.room_at("here")
    assert call("third")[1:3] == (HERE + made.result_at("second"), HERE + job.CANCEL)
    assert call("last")[1] == 0x1234
    assert word(job.GO + 8) == 0x50
    assert struct.unpack_from("<2Q", data, 13 * 8) == (3, 4)  # before the wait, in all


def test_job_has_a_limit():
    """What does not fit into a region is refused, not cut."""
    with pytest.raises(ValueError, match="too large"):
        Job([Call("big", 1, (Room("much", job.MOST_BYTES),))], (), Tools(1, 2, 3, 4))


def registers(**values):
    blank = Registers(*(0,) * 27)
    return blank._replace(cs=0x33, **values)


def word(number):
    return number & (1 << 64) - 1


@pytest.mark.parametrize(
    ("number", "arguments", "rank"),
    [
        (0, (3, 4, 5), 0),  # read
        (202, (1, 9 | 128 | 256, 0, 0), 0),  # FUTEX_WAIT_BITSET: condition, semaphore, GIL
        (202, (1, 0 | 128, 2, 0), None),  # FUTEX_WAIT: a lock of malloc
        (202, (1, 6 | 128, 2, 0), None),  # FUTEX_LOCK_PI
        (7, (1, 1, word(-1)), 0),  # poll without an end
        (7, (1, 1, 500), 1),
        (7, (0, 0, 2), None),  # memtop's own thread
        (230, (1, 1, 5), 0),  # clock_nanosleep until
        (230, (1, 0, 5), 1),  # clock_nanosleep for
        (35, (1, 2), 1),
        (219, (), 1),
        (232, (4, 5, 6, word(-1)), 0),
        (232, (4, 5, 6, 0xFFFFFFFF), 0),
        (232, (4, 5, 6, 100), 2),
        (281, (4, 5, 6, 100), 2),
        (45, (3, 4, 5, 0), 0),  # recvfrom
        (45, (3, 4, 5, 0x100), None),  # MSG_WAITALL: it may have a part already
        (47, (3, 4, 0x40), 0),  # recvmsg
        (47, (3, 4, 0x140), None),
        (299, (3, 4, 5, 0), None),  # recvmmsg
        (9, (0,) * 6, None),  # mmap: malloc may hold a lock
        (11, (0,) * 6, None),
        (28, (0,) * 6, None),  # madvise
        (1, (0,) * 6, None),  # write
        (56, (0,) * 6, None),  # clone
        (128, (0,) * 6, None),  # rt_sigtimedwait
        (130, (0,) * 6, None),  # rt_sigsuspend
    ],
)
def test_ranks(number, arguments, rank):
    """Calls that may be repeated are good, those that may hold a lock are left alone."""
    assert rank_of(number, arguments + (0,) * (6 - len(arguments)), False) == rank


@pytest.mark.parametrize("number", [202, 35, 230, 219])
def test_spinning_allocators_take_sleepers_away(number):
    """Where the allocator waits for its locks in such calls, whoever is in one is left alone."""
    assert rank_of(number, (1, 9, 5, 0, 0, 0), True) is None


def resumed(stopped, loop=None, *, is_main=False, is_alone=True):
    return resume_of(stopped, loop, False, is_main=is_main, is_alone=is_alone)


def test_repeats_what_the_kernel_would():
    """A call that was interrupted is made again from its two bytes."""
    stopped = registers(orig_rax=0, rax=word(-512), rip=0x1002, rdi=3)

    assert resumed(stopped) == Resume(stopped._replace(rip=0x1000, rax=0), exact=None, rank=0)


def test_main_thread_gets_its_call_back_by_hand():
    """There signals arrive that must interrupt the call, so the kernel itself makes it again."""
    stopped = registers(orig_rax=0, rax=word(-512), rip=0x1002, rdi=3)

    made = resumed(stopped, is_main=True)

    assert made.registers == stopped._replace(rip=0x1000, rax=0)
    assert made.exact == stopped._replace(rax=word(-38))


def test_main_thread_of_several_looks_for_signals():
    """Another thread may have taken the signal: a Python's call ends with EINTR, a C program's
    is repeated."""
    stopped = registers(orig_rax=0, rax=word(-512), rip=0x1002, rdi=3)
    loop = Symbol(0x5000, 0x100)

    of_python = resumed(stopped, loop, is_main=True, is_alone=False)
    of_c = resumed(stopped, None, is_main=True, is_alone=False)

    assert of_python.exact == stopped._replace(rax=word(-4), orig_rax=word(-1))
    assert of_python.registers == stopped._replace(rip=0x1000, rax=0)
    assert of_c.exact == stopped._replace(rax=word(-38))


def test_relative_sleep_keeps_its_restart_block():
    """A sleep goes on where it was, by restart_syscall, and that takes the exact way."""
    stopped = registers(orig_rax=35, rax=word(-516), rip=0x1002)

    by_hand = stopped._replace(rax=word(-38), orig_rax=219)

    assert resumed(stopped) == Resume(stopped._replace(rip=0x1000, rax=219), by_hand, rank=1)


def test_absolute_wait_is_repeated():
    """A futex with an absolute time needs no restart block."""
    stopped = registers(orig_rax=202, rax=word(-516), rip=0x1002, rsi=9 | 128)

    assert resumed(stopped) == Resume(stopped._replace(rip=0x1000, rax=202), None, rank=0)


def test_epoll_without_an_end_is_repeated_and_with_one_is_not():
    """EINTR of epoll_wait(-1) is turned into another wait; with a timeout it stays."""
    forever = registers(orig_rax=232, rax=word(-4), rip=0x1002, r10=word(-1))
    limited = forever._replace(r10=100)

    assert resumed(forever).registers.rip == 0x1000
    assert resumed(limited).registers == limited


def test_eintr_of_others_stays():
    """recv with SO_RCVTIMEO has waited in part: its EINTR is its result."""
    stopped = registers(orig_rax=45, rax=word(-4), rip=0x1002)

    assert resumed(stopped).registers == stopped


def test_result_that_is_there_stays():
    """A call that has just ended keeps its result."""
    stopped = registers(orig_rax=0, rax=17, rip=0x1002)

    assert resumed(stopped) == Resume(stopped, exact=None, rank=0)


def test_running_threads_only_in_the_evaluation_loop():
    """In user mode a thread is good inside the loop, and nowhere else."""
    loop = Symbol(0x5000, 0x100)
    inside = registers(orig_rax=word(-1), rip=0x50FF)

    assert resumed(inside, loop).registers == inside
    assert resumed(inside._replace(rip=0x5100), loop) is None
    assert resumed(inside._replace(rip=0x4FFF), loop) is None
    assert resumed(inside) is None


def xstate(size, enabled, used=3):
    raw = bytearray(size)
    raw[464:472] = enabled.to_bytes(8, "little")
    raw[512:520] = used.to_bytes(8, "little")
    return bytes(raw)


def test_frame_is_aligned_and_below():
    """The stack pointer is as at the beginning of a function, the FPU state at a multiple of 64."""
    for top in range(0x7FFF0000, 0x7FFF0000 + 200, 8):
        raw = xstate(2696, 0x2E7)
        at = place(top, len(raw))
        made = build(at, top, Saved(registers(), 0, raw, raw), 0xABC)
        (fpstate,) = struct.unpack_from("<Q", made, 8 + 40 + 8 * 23)

        assert at % 16 == 8
        assert fpstate % 64 == 0
        assert at + len(made) <= top
        assert made[fpstate - at + 464 :][:4] == struct.pack("<I", 0x46505853)
        assert made[-4:] == struct.pack("<I", 0x46505845)
        assert made[:8] == struct.pack("<Q", 0xABC)


def test_tile_data_is_left_out_unless_used():
    """AMX state is cut off where the thread has none; a thread that has some is not borrowed."""
    with_room = xstate(2816 + 8192, 1 << 18 | 1 << 17 | 0x2E7)

    assert len(usable_xstate(with_room)) == 2816
    assert usable_xstate(xstate(2816 + 8192, 1 << 18 | 0x2E7, used=1 << 18)) is None
    assert len(usable_xstate(xstate(2696, 0x2E7))) == 2696
    assert usable_xstate(b"\0" * 512) is None


def test_registers_of_another_machine_are_refused():
    """32-bit registers have another length."""
    with pytest.raises(ValueError, match="64-bit"):
        Registers.unpack(bytes(68))


THREADS = """
import ctypes, threading, time
libc = ctypes.CDLL(None)
libc.pthread_self.restype = ctypes.c_void_p
def wait():
    print(libc.pthread_self(), flush=True)
    time.sleep(1000)
threading.Thread(target=wait, daemon=True).start()
time.sleep(1000)
"""


def waiting_thread(children):
    """A thread of a child: its stack pointer, its descriptor, and the child's stacks and memory."""
    child = children.python(THREADS)
    descriptor = int(child.stdout.readline())
    (tid,) = (int(name) for name in os.listdir(f"/proc/{child.pid}/task") if int(name) != child.pid)
    pointers = {}
    for each in (child.pid, tid):
        while len(fields := Path(f"/proc/{child.pid}/task/{each}/syscall").read_text().split()) < 9:
            time.sleep(0.01)
        pointers[each] = int(fields[7], 16)
    maps = read_maps(child.pid)
    return child.pid, pointers[child.pid], pointers[tid], descriptor, find_stacks(maps)


def test_stack_of_a_thread_ends_at_its_guard(children):
    """By the guard, and by what the descriptor says where no guard can be seen."""
    pid, _, pointer, descriptor, stacks = waiting_thread(children)
    unguarded = [stack._replace(guarded=False) for stack in stacks]
    with Memory(pid) as memory:
        room = room_below(memory, stacks, pointer, descriptor)
        told = room_below(memory, unguarded, pointer, descriptor)

    assert 1 << 20 < room < 9 << 20
    # The block has the guard within it; 64 KiB are left for that.
    assert room - (64 << 10) <= told <= room - (60 << 10)


def test_main_stack_is_the_kernels(children):
    """The main thread's grows; a pointer anywhere else is not on a stack."""
    pid, pointer, _, descriptor, stacks = waiting_thread(children)
    heap = next(m for m in read_maps(pid) if m.path == "[heap]")
    with Memory(pid) as memory:
        assert room_below(memory, stacks, pointer, 0) > 1 << 20
        assert room_below(memory, stacks, heap.end - 64, descriptor) is None
        assert room_below(memory, stacks, 0x1000, descriptor) is None


def test_pointer_beyond_the_descriptor_is_on_no_stack(children):
    """Memory that the kernel has merged with a stack, above it, may be a coroutine's."""
    pid, _, pointer, descriptor, stacks = waiting_thread(children)
    with Memory(pid) as memory:
        assert room_below(memory, stacks, descriptor + 8, descriptor) is None
        assert room_below(memory, stacks, pointer, pointer - 8) is None
