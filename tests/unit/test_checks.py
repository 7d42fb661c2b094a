"""What speaks against an action: each rule with a real process that breaks it."""

import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

import pytest

from memtop.actions import checks, interior
from memtop.actions.checks import examine
from memtop.actions.result import Check
from memtop.actions.signals import Target
from memtop.actions.standstill import read_threads
from memtop.probe import parse
from memtop.probe.own import read_standing
from memtop.probe.sample import Identity
from memtop.target.allocator import Allocator

sys.path.insert(0, str(Path(__file__).parent.parent))
from pythons import interpreters, label
from users import (
    DAC_OVERRIDE,
    NOBODY,
    SYS_PTRACE,
    as_user,
    in_child,
    with_capabilities,
)

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="memtop acts on x86_64 only"),
]

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
PYTHONS = interpreters() or [sys.executable]
PYTHON_2 = next(Path("~/.pyenv/versions").expanduser().glob("2.7*/bin/python"), None)
FREEZER_V1 = Path("/sys/fs/cgroup/freezer")
MIB = 1 << 20
ATTACH, DETACH, SEIZE = 16, 17, 0x4206
END = "print('ready'); import sys; sys.stdout.flush(); sys.stdin.read()"
THREADS = """
import sys, threading, time
for _ in range(int(sys.argv[1])):
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
""" + END.replace("'ready'", "*__import__('os').listdir('/proc/self/task')")
# A filter that allows everything: it need not forbid anything to be in the way.
FILTER = """
import ctypes, struct
program = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000))
header = struct.pack("=HxxxxxxQ", 1, ctypes.addressof(program))
def install():
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, header, 0, 0) == 0, ctypes.get_errno()
"""
FILTERED = FILTER + "install()\n" + END
ONE_THREAD_FILTERED = (
    FILTER
    + """
import threading, time
def sleep():
    install()
    done.set()
    time.sleep(1000)
done = threading.Event()
threading.Thread(target=sleep, daemon=True).start()
done.wait()
"""
    + END
)
STRICT = r"""
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(void) {
    char byte;
    write(1, "ready\n", 6);
    prctl(PR_SET_SECCOMP, 1);
    read(0, &byte, 1);
    _exit(0);
}
"""
# The parent of a vfork waits in state D until its child has ended or called exec.
VFORK = r"""
#include <unistd.h>
int main(void) {
    char byte;
    if (vfork() == 0) {
        write(1, "ready\n", 6);
        read(0, &byte, 1);
        _exit(0);
    }
    return 0;
}
"""
# An allocator that is good enough for sleep(1); NAME is what makes it known.
ALLOCATOR = r"""
#include <stddef.h>
static char heap[1 << 22];
static size_t used;
void *malloc(size_t size) { used = (used + 15) & ~15UL; used += size; return heap + used - size; }
void free(void *block) { (void)block; }
void *calloc(size_t number, size_t size) { return malloc(number * size); }
void *realloc(void *block, size_t size) {
    char *made = malloc(size);
    for (size_t at = 0; block && at < size; at++) made[at] = ((char *)block)[at];
    return made;
}
int NAME(void) { return 0; }
"""
FORKS = """
import os, sys
keep = [[i, []] for i in range(100_000)]
pid = os.fork()
if pid:
    print(pid, flush=True)
    os.waitpid(pid, 0)
else:
    sys.stdin.read()
os._exit(0)
"""


def stat_of(pid):
    return parse.parse_stat(Path(f"/proc/{pid}/stat").read_bytes())


def target_of(pid):
    return Target(Identity(stat_of(pid).start_ticks, pid), "child")


def plan_for(pid, action="trim", **options):
    return examine(action, target_of(pid), **options)


def words(plan):
    return {check.words: check.passed for check in plan.checks}


def wait_for_state(pid, state):
    deadline = time.monotonic() + 10
    while stat_of(pid).state != state:
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def child(children):
    """A Python that waits."""
    return children.ready(END)


@pytest.fixture
def program(tmp_path):
    """Compiles a C program and starts it; both end with the test."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    started = []

    def start(code, *flags, name="program", run=None, **environ):
        source, made = tmp_path / f"{name}.c", tmp_path / name
        source.write_text(code)
        subprocess.run([compiler, "-w", "-O1", *flags, "-o", made, source], check=True)
        command = run or [str(made)]
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **{key: str(made) for key in environ}},
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.stdin.close()
        child.kill()
        child.wait()
        child.stdout.close()


@pytest.fixture
def tracer():
    """Traces a thread from a process of its own, called `spy`, until the test ends."""
    started = []

    def trace(tid, request):
        code = (
            "import ctypes, os, sys; request, tid = map(int, sys.argv[1:])\n"
            "open('/proc/self/comm', 'w').write('spy')\n"
            "libc = ctypes.CDLL(None, use_errno=True)\n"
            "libc.ptrace.argtypes = [ctypes.c_long] * 4\n"
            "print(libc.ptrace(request, tid, 0, 0), flush=True)\n"
            "sys.stdin.read()"
        )
        spy = subprocess.Popen(
            [sys.executable, "-c", code, str(request), str(tid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(spy)
        if spy.stdout.readline().strip() != "0":
            pytest.skip("ptrace is not permitted here")
        return spy

    yield trace
    for spy in started:
        spy.communicate()


# -- nothing speaks against it --------------------------------------------------------------


@pytest.mark.parametrize("python", PYTHONS, ids=label)
def test_an_ordinary_python(python):
    """Every check passes in each version of Python, and what was found out has names."""
    child = subprocess.Popen([python, "-c", END], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        child.stdout.readline()
        wait_for_state(child.pid, "S")
        trim, gc = plan_for(child.pid), plan_for(child.pid, "gc")
    finally:
        child.communicate()

    assert (trim.refusal, gc.refusal) == (None, None)
    libc = " ".join(os.confstr("CS_GNU_LIBC_VERSION").split())
    assert list(words(trim)) == ["same process", "rights", libc, "no seccomp", "sleeping"]
    assert all(check.passed for check in (*trim.checks, *gc.checks))
    assert trim.allocator == gc.allocator == libc
    assert f"python {gc.python}" in words(gc)
    assert re.match(r"3\.\d+", gc.python)
    assert trim.would_unshare_bytes is None
    assert gc.would_unshare_bytes < 64 << 10
    assert 0 < trim.stall_s < gc.stall_s < 0.1
    assert trim.rss_bytes > MIB


def test_nothing_is_touched(child):
    """An examination leaves no descriptor open here and changes nothing there."""

    def state():
        text = Path(f"/proc/{child.pid}/status").read_text()
        sizes = dict(re.findall(r"^(Vm\w+|RssAnon):\s+(\d+)", text, re.M))
        return sizes, Path(f"/proc/{child.pid}/maps").read_text()

    examine("gc", target_of(child.pid))  # imports and caches
    before, descriptors = state(), len(os.listdir("/proc/self/fd"))
    for action in ("trim", "gc"):
        plan_for(child.pid, action)

    assert state() == before
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_it_is_quick(children):
    """100 threads take some 10 ms of CPU; the best of five, five times that at most."""
    child = children.ready(THREADS, "100")
    took_s = []
    for _ in range(5):
        begin = time.thread_time()
        assert plan_for(child.pid).refusal is None
        took_s.append(time.thread_time() - begin)

    assert min(took_s) < 0.05


def test_what_gc_would_copy_is_in_the_plan(children):
    """A forked worker shares its parent's heap, and the plan says how much gc would un-share."""
    parent = children.python(FORKS)
    worker = int(parent.stdout.readline())

    plan = plan_for(worker, "gc")

    assert plan.refusal is None
    assert 4 * MIB < plan.would_unshare_bytes < plan.rss_bytes
    assert plan_for(worker).would_unshare_bytes is None


# -- who it is ------------------------------------------------------------------------------


def test_a_recording_or_another_host(tmp_path, child):
    """Where /proc is not that of this machine nothing is even looked at."""
    folder = tmp_path / str(child.pid)
    folder.mkdir()
    (folder / "stat").write_bytes(Path(f"/proc/{child.pid}/stat").read_bytes())

    plan = plan_for(child.pid, root=str(tmp_path))

    assert "another host" in plan.refusal.reason
    assert not plan.refusal.forceable
    assert plan.checks == ()


def test_memtop_itself():
    """memtop does not act in itself."""
    assert "memtop itself" in plan_for(os.getpid()).refusal.reason


def test_a_kernel_thread():
    """Threads of the kernel have nothing to act in."""
    if not os.path.exists("/proc/2/comm") or Path("/proc/2/comm").read_text() != "kthreadd\n":
        pytest.skip("kernel threads are not visible here")

    assert "thread of the kernel" in plan_for(2).refusal.reason


def test_gone_replaced_and_zombie(child):
    """A process that is not there any more is gone, whatever has its PID now."""
    target = target_of(child.pid)
    older = target._replace(identity=target.identity._replace(start_ticks=1))

    replaced = examine("trim", older)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    zombie = examine("trim", target)
    child.wait()
    gone = examine("trim", target)

    assert "is another process now (started 20" in replaced.refusal.reason
    assert replaced.checks == (Check("same process", False),)
    assert "waits for its parent" in zombie.refusal.reason
    assert gone.refusal.reason == f"{child.pid} has ended"
    assert all(plan.refusal.gone for plan in (replaced, zombie, gone))


@pytest.mark.parametrize("after_ms", [0, 1, 2, 3, 5])
def test_it_ends_while_it_is_examined(children, after_ms):
    """Whenever it dies, the answer is a plan, and at last that it has ended."""
    child = children.ready(THREADS, "20")
    target = target_of(child.pid)
    timer = threading.Timer(after_ms / 1000, child.kill)
    timer.start()
    deadline = time.monotonic() + 10
    while (plan := examine("gc", target)).refusal is None:
        assert time.monotonic() < deadline
    timer.join()

    assert plan.refusal.gone or plan_for(child.pid, "gc").refusal.gone


# -- rights ---------------------------------------------------------------------------------


@pytest.fixture
def on_a_host(monkeypatch):
    """memtop is in no container, whatever this machine is."""
    monkeypatch.setattr(checks, "read_standing", lambda: read_standing()._replace(container=None))


@ROOT_ONLY
def test_without_the_right(child, on_a_host):
    """Another user is told the right, why it is missing, and the command that has it."""
    plan = as_user(NOBODY, lambda: plan_for(child.pid))

    assert plan.refusal.right == "memory"
    assert "belongs to root; needs CAP_SYS_PTRACE" in plan.refusal.reason
    assert plan.refusal.command == f"sudo memtop trim {child.pid}"
    assert not plan.refusal.forceable
    assert plan.checks[-1] == Check("rights", False)
    assert plan.rss_bytes > MIB  # what everybody may know is known


# -- what is inside -------------------------------------------------------------------------


def test_gc_where_there_is_no_python(program):
    """A program without an interpreter has nothing to collect; trim is fine there."""
    child = program(STRICT.replace("prctl(PR_SET_SECCOMP, 1);", ""))
    child.stdout.readline()

    plan = plan_for(child.pid, "gc")

    assert plan.refusal.verdict == "not_applicable"
    assert "no CPython" in plan.refusal.reason
    assert plan_for(child.pid).refusal is None


@pytest.mark.skipif(PYTHON_2 is None, reason="there is no Python 2.7")
def test_gc_in_a_python_that_is_too_old():
    """Python 2 has other internals: nothing is run in it."""
    child = subprocess.Popen(
        [str(PYTHON_2), "-c", END], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        child.stdout.readline()
        plan = plan_for(child.pid, "gc")
    finally:
        child.communicate()

    assert plan.refusal.verdict == "not_applicable"
    assert "2.7" in plan.refusal.reason


@pytest.mark.parametrize(
    ("name", "mark"),
    [("jemalloc", "mallctl"), ("tcmalloc", "tc_malloc"), ("mimalloc", "mi_malloc")],
)
def test_trim_where_another_allocator_serves(program, name, mark):
    """malloc_trim would return 0 there: not done, and what gives memory back is named."""
    child = program(
        ALLOCATOR.replace("NAME", mark),
        *("-shared", "-fPIC"),
        name=f"lib{name}.so.2",
        run=["sleep", "1000"],
        LD_PRELOAD=True,
    )
    time.sleep(0.1)

    plan = plan_for(child.pid)

    assert plan.refusal.verdict == "not_applicable"
    assert plan.refusal.reason.startswith(f"{name} serves its malloc")
    assert plan.allocator == name


def test_trim_where_nobody_known_serves(program):
    """An allocator without a name is told by the file that has it."""
    child = program(
        ALLOCATOR.replace("NAME", "nothing"),
        *("-shared", "-fPIC"),
        name="libours.so",
        run=["sleep", "1000"],
        LD_PRELOAD=True,
    )
    time.sleep(0.1)

    plan = plan_for(child.pid)

    assert plan.refusal.verdict == "not_applicable"
    assert plan.refusal.reason.startswith("libours.so serves its malloc")


def test_trim_with_musl():
    """musl has no malloc_trim, and that is no failure."""
    musl = Allocator("musl", None, None, None, "ld-musl-x86_64.so.1")

    assert interior._object_to_allocator(musl).verdict == "not_applicable"
    assert "musl" in interior._object_to_allocator(musl).reason


def test_a_static_program(program):
    """Nothing in it can be called by name."""
    child = program(STRICT.replace("prctl(PR_SET_SECCOMP, 1);", ""), "-static")
    child.stdout.readline()

    assert "linked statically" in plan_for(child.pid).refusal.reason


def test_a_program_of_32_bits(tmp_path):
    """It is refused by the class in its ELF header; it waits in pause(2)."""
    code = bytes.fromhex("b81d000000cd80ebf7")
    start, size = 0x8048000, 84 + len(code)
    header = b"\x7fELF\x01\x01\x01" + bytes(9)
    header += struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, start + 84, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    header += struct.pack("<8I", 1, 0, start, start, size, size, 5, 4096)
    path = tmp_path / "tiny"
    path.write_bytes(header + code)
    path.chmod(0o755)
    try:
        child = subprocess.Popen([str(path)])
    except OSError as error:
        pytest.skip(f"programs of 32 bits cannot run here: {error}")
    try:
        time.sleep(0.1)
        plan = plan_for(child.pid)
    finally:
        child.kill()
        child.wait()

    assert "32 bits" in plan.refusal.reason


def test_another_machine(monkeypatch, child):
    """Where memtop has no machine code for it, it says so."""
    monkeypatch.setattr(checks, "MACHINE", "riscv64")

    assert "riscv64 only" in plan_for(child.pid).refusal.reason


def test_gc_where_tcl_is_loaded(children, tmp_path):
    """Its objects must be freed by their own thread; trim frees no objects."""
    folder = Path(sysconfig.get_config_var("DESTSHARED"))
    library = next(folder.glob("_*.so"), None)
    if library is None:
        pytest.skip("this Python has no extension modules to copy")
    copied = tmp_path / "_tkinter.cpython-311-x86_64-linux-gnu.so"
    shutil.copy(library, copied)
    child = children.ready("import ctypes, sys; ctypes.PyDLL(sys.argv[1])\n" + END, str(copied))

    plan = plan_for(child.pid, "gc")

    assert "tkinter" in plan.refusal.reason
    assert not plan.refusal.forceable
    assert plan_for(child.pid).refusal is None


# -- what its threads are about ----------------------------------------------------------------


def test_a_stopped_process(child):
    """Nothing runs until CONT, which is the command that helps."""
    os.kill(child.pid, signal.SIGSTOP)
    wait_for_state(child.pid, "T")

    plan = plan_for(child.pid)

    assert "stopped" in plan.refusal.reason
    assert plan.refusal.command == f"kill -CONT {child.pid}"
    os.kill(child.pid, signal.SIGCONT)
    wait_for_state(child.pid, "S")
    assert plan_for(child.pid).refusal is None


@pytest.mark.parametrize("request_number", [ATTACH, SEIZE], ids=["stopped", "running"])
def test_a_traced_process(child, tracer, request_number):
    """The tracer is named, whether it has stopped the process or not."""
    spy = tracer(child.pid, request_number)

    assert f"traced by PID {spy.pid} (spy)" in plan_for(child.pid).refusal.reason


def test_a_traced_thread(children, tracer):
    """One thread that is traced is enough, also if it is not the first."""
    child = children.python(THREADS, "3")
    tids = [int(word) for word in child.stdout.readline().split()]
    spy = tracer(next(tid for tid in tids if tid != child.pid), SEIZE)

    assert f"traced by PID {spy.pid} (spy)" in plan_for(child.pid).refusal.reason


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_under_strace(child):
    """strace is the usual one."""
    strace = subprocess.Popen(["strace", "-p", str(child.pid)], stderr=subprocess.PIPE)
    try:
        if b"attached" not in strace.stderr.readline():
            pytest.skip("strace may not trace here")
        plan = plan_for(child.pid, "gc")
    finally:
        strace.terminate()
        strace.communicate()

    assert "(strace)" in plan.refusal.reason


def v2_root():
    """Where the cgroup v2 hierarchy is mounted."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if " - cgroup2 " in line:
            return Path(line.split()[4])
    return None


@ROOT_ONLY
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("shown", [True, False], ids=["shown", "hidden"])
def test_a_frozen_cgroup(child, monkeypatch, version, shown):
    """Frozen processes are told by the files of their cgroup, or else by where they sleep."""
    top = FREEZER_V1 if version == 1 else v2_root()
    state, frozen, thawed = ("freezer.state", "FROZEN", "THAWED")
    if version == 2:
        state, frozen, thawed = ("cgroup.freeze", "1", "0")
    folder = top / f"memtop-test-{os.getpid()}" if top else None
    try:
        folder.mkdir()
    except (OSError, AttributeError) as error:
        pytest.skip(f"no freezer of version {version} here: {error}")
    if not shown:
        monkeypatch.setattr("memtop.probe.freezer.KINDS", {1: "none", 2: "none"})
    try:
        (folder / "cgroup.procs").write_text(str(child.pid))
        (folder / state).write_text(frozen)
        time.sleep(0.2)
        plan = plan_for(child.pid)
        (folder / state).write_text(thawed)
        time.sleep(0.1)
        later = plan_for(child.pid)
    finally:
        (folder / state).write_text(thawed)
        (top / "cgroup.procs").write_text(str(child.pid))
        folder.rmdir()

    expected = "state D" if version == 1 and not shown else "frozen"
    assert expected in plan.refusal.reason
    assert later.refusal is None


def test_all_threads_wait_in_the_kernel(program):
    """A process in state D cannot be held; this one waits for its vforked child."""
    child = program(VFORK)
    child.stdout.readline()
    wait_for_state(child.pid, "D")

    assert "state D" in plan_for(child.pid).refusal.reason


def test_shadow_stacks(tmp_path):
    """They are told by the features of any thread (arch/x86/kernel/proc.c)."""
    for tid, features in ((7, ""), (8, "shstk wrss")):
        folder = tmp_path / "task" / str(tid)
        folder.mkdir(parents=True)
        (folder / "status").write_text(
            f"State:\tS (sleeping)\nTracerPid:\t0\nSeccomp:\t0\nx86_Thread_features:\t{features}\n"
            "x86_Thread_features_locked:\tshstk wrss\n"
        )
    fd = os.open(tmp_path, os.O_PATH)
    try:
        assert read_threads(fd).has_shadow_stack
        (tmp_path / "task" / "8" / "status").unlink()
        assert not read_threads(fd).has_shadow_stack
    finally:
        os.close(fd)


# -- seccomp, address space, locked memory ----------------------------------------------------


@pytest.mark.parametrize("code", [FILTERED, ONE_THREAD_FILTERED], ids=["all", "one thread"])
@ROOT_ONLY
def test_a_filter_that_can_be_read(children, code):
    """Who may read filters looks when a thread is held: nothing is refused before."""
    if not read_standing().may_read_filters:
        pytest.skip("memtop may not read filters here")
    child = children.ready(code)

    plan = plan_for(child.pid)

    assert plan.refusal is None
    assert [check.passed for check in plan.checks if "seccomp" in check.words] == [None]


@ROOT_ONLY
@pytest.mark.parametrize("who", ["without CAP_SYS_ADMIN", "filtered itself"])
def test_a_filter_that_cannot_be_read(children, on_a_host, who):
    """It might kill the process, so only who insists may act; the rest is examined all the same."""
    child = children.ready(FILTERED)
    namespace = {}
    exec(FILTER, namespace)

    def look():
        return plan_for(child.pid, "gc")

    if who == "filtered itself":
        plan = in_child(namespace["install"], look)
        expected = "runs under seccomp itself"
    else:
        plan = with_capabilities(SYS_PTRACE | DAC_OVERRIDE, look)
        expected = "lacks CAP_SYS_ADMIN"

    assert expected in plan.refusal.reason
    assert plan.refusal.forceable
    assert plan.refusal.right == "CAP_SYS_ADMIN"
    assert plan.refusal.command == f"memtop gc {child.pid} --force"  # root has no other way
    assert plan.would_unshare_bytes is not None
    assert words(plan)["seccomp"] is False


def test_strict_seccomp(program):
    """Any other system call ends such a process: nobody may insist."""
    child = program(STRICT)
    child.stdout.readline()
    wait_for_state(child.pid, "S")
    time.sleep(0.05)

    plan = plan_for(child.pid)

    assert "seccomp" in plan.refusal.reason
    assert not plan.refusal.forceable


@pytest.mark.parametrize(("room_mib", "is_refused"), [(40, True), (400, False)])
def test_a_limited_address_space(children, room_mib, is_refused):
    """A new thread takes address space for good: with little left it is refused."""
    limited = (
        "import re, resource, sys\n"
        "size = int(re.search(r'VmSize:\\s+(\\d+)', open('/proc/self/status').read())[1]) << 10\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + (int(sys.argv[1]) << 20),) * 2)\n"
    )
    child = children.ready(limited + END, str(room_mib))

    refusal = plan_for(child.pid).refusal

    assert (refusal is not None) == is_refused
    if is_refused:
        assert "RLIMIT_AS" in refusal.reason
        assert not refusal.forceable


def test_locked_memory(children):
    """The stack of a new thread could be locked as well, all of it resident."""
    code = (
        "import ctypes, mmap\n"
        "memory = mmap.mmap(-1, 1 << 16)\n"
        "address = ctypes.addressof(ctypes.c_char.from_buffer(memory))\n"
        "assert ctypes.CDLL(None).mlock(ctypes.c_void_p(address), 1 << 16) == 0\n"
    )
    child = children.python(code + END, stderr=subprocess.DEVNULL)
    if not child.stdout.readline():
        pytest.skip("memory may not be locked here")

    refusal = plan_for(child.pid).refusal

    assert "locked" in refusal.reason
    assert not refusal.forceable


def test_what_nobody_may_insist_against_comes_first(children):
    """A stopped process with locked memory is refused because it is stopped."""
    code = (
        "import ctypes, mmap\n"
        "memory = mmap.mmap(-1, 1 << 16)\n"
        "address = ctypes.addressof(ctypes.c_char.from_buffer(memory))\n"
        "ctypes.CDLL(None).mlock(ctypes.c_void_p(address), 1 << 16)\n"
    )
    child = children.ready(code + END)
    os.kill(child.pid, signal.SIGSTOP)
    wait_for_state(child.pid, "T")

    refusal = plan_for(child.pid).refusal

    assert "stopped" in refusal.reason
    assert not refusal.forceable
