"""Targets in which nothing may be done, or not everything: refused in words, without harm."""

import errno
import os
import shutil
import signal
import struct
import subprocess
import sys
import time

import pytest
from injecting import DONE, command, regions_of, resident, settle, status_of, tasks, threads_of
from pythons import interpreters, label

from memtop.actions.remote.seccomp import ALLOW, ERRNO, JEQ, KILL_PROCESS, LD_ABS, RET_K

CLONE, CLONE3, RSEQ = 56, 435, 334


def answering(action, *numbers):
    """A seccomp filter that answers these system calls with an action."""
    program = [(LD_ABS, 0, 0, 0)]
    program += [(JEQ, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
    program += [(RET_K, 0, 0, ALLOW), (RET_K, 0, 0, action)]
    return b"".join(struct.pack("<HBBI", *one) for one in program).hex()


def helpers(target):
    """The threads of memtop that are in a process now."""
    return [name for name in threads_of(target.pid) if name.startswith("memtop")]


def refused(result, *words):
    assert result["outcome"] == "refused", result
    assert result["exit"] in (1, 3), result
    for word in words:
        assert word in result["reason"], result["reason"]
    assert result["held_us"] is None


@pytest.mark.parametrize("action", ["trim", "gc"])
@pytest.mark.parametrize(
    ("program", "word"),
    [
        (answering(KILL_PROCESS, CLONE, CLONE3), "kills"),
        (answering(KILL_PROCESS, CLONE3), "kills"),
        (answering(ERRNO | errno.EPERM, CLONE, CLONE3), "EPERM"),
    ],
    ids=["kills", "kills clone3", "errors"],
)
def test_no_thread_by_seccomp(start, act, unharmed, action, program, word):
    """A filter that kills whoever makes a thread, or refuses it, is seen before."""
    target = start("target_limits.py", "filter", program)
    before = unharmed(target)
    refused(act(target, action), "seccomp", word)
    before.check()
    assert not regions_of(target.pid)


def test_a_container_profile(start, act, unharmed):
    """clone3 that does not exist is no obstacle."""
    target = start("target_limits.py", "filter", answering(ERRNO | errno.ENOSYS, CLONE3))
    before = unharmed(target)
    for action in ("trim", "gc"):
        assert act(target, action)["outcome"] in DONE
    before.check()


def test_rseq(start, act, unharmed):
    """A filter that came after the start and refuses rseq: glibc would abort the process."""
    target = start("target_limits.py", "filter", answering(ERRNO | errno.EPERM, RSEQ))
    before = unharmed(target)
    result = act(target)
    before.check()
    assert result["outcome"] in ("refused", *DONE)  # done where this glibc has no rseq


def test_rseq_that_never_was(start, act, unharmed):
    """The same filter before the start: no thread has rseq, and none needs it."""
    setup = (
        "import ctypes, os, sys\n"
        "libc = ctypes.CDLL(None)\n"
        f"raw = ctypes.create_string_buffer(bytes.fromhex('{answering(ERRNO | 1, RSEQ)}'))\n"
        "program = (ctypes.c_uint64 * 2)(len(raw) // 8, ctypes.addressof(raw))\n"
        "libc.prctl(38, 1, 0, 0, 0)\n"
        "if libc.prctl(22, 2, program, 0, 0): sys.exit(77)\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    target = start("target_limits.py", "stdin", prefix=(sys.executable, "-c", setup))
    before = unharmed(target)
    for action in ("trim", "gc"):
        result = act(target, action)
        assert result["outcome"] in DONE, result["reason"]
    before.check()


def test_no_more_processes(start, act, unharmed):
    """RLIMIT_NPROC is reached: said so, the memory for the thread is given back."""
    target = start("target_limits.py", "processes")
    before = unharmed(target)
    for action in ("trim", "gc"):
        result = act(target, action)
        assert result["outcome"] in ("refused", "failed"), result
        assert "thread" in result["reason"]
        assert not regions_of(target.pid)
    before.check()


@pytest.fixture
def pids_cgroup():
    """A cgroup with a limit of processes; v1 or v2, wherever one can be made."""
    folder = _cgroup_with("pids.max", ("/sys/fs/cgroup/pids", "/sys/fs/cgroup"))
    if folder is None:
        pytest.skip("no cgroup for processes can be made here")
    yield folder
    settle(lambda: _removed(folder))


def _cgroup_with(file, parents):
    """A new cgroup that has this file; None if there can be none."""
    for parent in parents:
        folder = f"{parent}/memtop-test-{os.getpid()}"
        try:
            os.mkdir(folder)
        except OSError:
            continue
        if os.path.exists(f"{folder}/{file}"):
            return folder
        os.rmdir(folder)
    return None


def _removed(folder):
    try:
        os.rmdir(folder)
    except OSError:
        return not os.path.exists(folder)
    return True


def test_no_more_processes_in_the_cgroup(pids_cgroup, start, act, unharmed):
    """pids.max is reached: the same."""
    target = start("target_limits.py", "stdin")
    with open(f"{pids_cgroup}/cgroup.procs", "w") as file:
        file.write(str(target.pid))
    with open(f"{pids_cgroup}/pids.max", "w") as file:
        file.write("1")
    before = unharmed(target)
    result = act(target)
    assert result["outcome"] in ("refused", "failed"), result
    assert "thread" in result["reason"]
    assert not regions_of(target.pid)
    before.check()
    with open(f"{pids_cgroup}/pids.max", "w") as file:
        file.write("max")
    assert act(target)["outcome"] in DONE
    target.end()


def test_no_memory_that_is_both(start, act, unharmed):
    """PR_SET_MDWE: done all the same, nothing is ever writable and executable."""
    target = start("target_limits.py", "mdwe")
    before = unharmed(target)
    for action in ("trim", "gc"):
        assert act(target, action)["outcome"] in DONE
    before.check()


@pytest.mark.parametrize(("kind", "word"), [("address", "RLIMIT_AS"), ("locked", "lock")])
def test_memory_that_has_limits(start, act, unharmed, kind, word):
    """Little address space, or memory that is locked: refused."""
    target = start("target_limits.py", kind)
    before = unharmed(target)
    refused(act(target), word)
    before.check()


def test_stopped(start, act):
    """SIGSTOP: refused; it stays stopped, and goes on when it is continued."""
    target = start("target_verify.py")
    os.kill(target.pid, signal.SIGSTOP)
    assert settle(lambda: status_of(target.pid)["State"].startswith("T"))
    refused(act(target), "stopped")
    assert status_of(target.pid)["State"].startswith("T")
    os.kill(target.pid, signal.SIGCONT)
    assert target.ask()["errors"] == []


def test_traced_by_somebody_else(start, act):
    """Under strace: refused, and it says by whom."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("there is no strace")
    target = start("target_limits.py", "stdin")
    tracer = subprocess.Popen(
        [strace, "-o", "/dev/null", "-p", str(target.pid)], stderr=subprocess.DEVNULL
    )
    try:
        assert settle(lambda: status_of(target.pid)["TracerPid"] == str(tracer.pid))
        refused(act(target), str(tracer.pid), "strace")
        assert status_of(target.pid)["TracerPid"] == str(tracer.pid)
    finally:
        tracer.terminate()
        tracer.wait()
    assert act(target)["outcome"] in DONE


def test_frozen(start, act):
    """A cgroup that is frozen: refused, in words, and at once."""
    parent = "/sys/fs/cgroup/freezer"
    folder = f"{parent}/memtop-test-{os.getpid()}"
    try:
        os.mkdir(folder)
    except OSError:
        pytest.skip("no freezer cgroup (v1) can be made here")
    target = start("target_limits.py", "stdin")
    try:
        with open(f"{folder}/cgroup.procs", "w") as file:
            file.write(str(target.pid))
        with open(f"{folder}/freezer.state", "w") as file:
            file.write("FROZEN")
        begun = time.monotonic()
        refused(act(target), "frozen")
        assert time.monotonic() - begun < 2
    finally:
        with open(f"{folder}/freezer.state", "w") as file:
            file.write("THAWED")
        target.end()
        settle(lambda: _removed(folder))


def test_a_zombie(start, act):
    """What has ended already is no process to act upon."""
    target = start("target_limits.py", "stdin")
    target.process.kill()
    assert settle(lambda: status_of(target.pid)["State"].startswith("Z"))
    result = act(target)
    assert (result["outcome"], result["exit"]) in (("refused", 4), ("failed", 4)), result


def test_no_such_process():
    """A PID that nobody has."""
    with open("/proc/sys/kernel/pid_max") as file:
        pid = int(file.read()) - 1
    done = subprocess.run(command("trim", pid), capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert str(pid) in done.stdout


def test_memtop_itself(act):
    """Never on memtop, and not on a thread of the kernel."""
    code = (
        "import os, sys; sys.argv[1:] = ['trim', str(os.getpid()), '--json']\n"
        "from memtop.cli import entry; entry()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "itself" in done.stdout


@pytest.mark.parametrize("seconds", [1.5])
def test_a_gil_that_is_held(start, act, unharmed, seconds):
    """gc waits for the GIL and is done then; trim does not need it."""
    target = start("target_limits.py", "gil", seconds)
    before = unharmed(target)
    time.sleep(0.2)
    begun = time.monotonic()
    assert act(target)["outcome"] in DONE
    assert time.monotonic() - begun < seconds
    result = act(target, "gc")
    assert result["outcome"] in DONE, result["reason"]
    before.check()


def test_waiting_for_the_gil_is_cancelled(start, unharmed):
    """Ctrl+C while it waits: cancelled, and nothing was run, also not later."""
    target = start("target_limits.py", "gil", 2.5)
    before = unharmed(target)
    collections = target.ask()["collections"]
    time.sleep(0.3)
    running = subprocess.Popen(
        command("gc", target.pid), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert settle(lambda: helpers(target))
        time.sleep(0.3)
        begun = time.monotonic()
        running.send_signal(signal.SIGINT)
        out, errors = running.communicate(timeout=10)
    finally:
        running.kill()
    assert time.monotonic() - begun < 1
    assert '"cancelled"' in out, out + errors
    assert running.returncode == 130
    assert helpers(target)  # it waits still, to find that it need not do it
    assert settle(lambda: not helpers(target), 8)
    assert target.ask()["collections"] == collections
    before.check()
    assert not regions_of(target.pid)


@pytest.mark.deep
def test_the_gil_is_held_too_long(start, act, unharmed):
    """Its own patience ends: cancelled, and nothing was run, also not later."""
    target = start("target_limits.py", "gil", 9)
    before = unharmed(target)
    collections = target.ask()["collections"]
    time.sleep(0.3)
    result = act(target, "gc")
    assert result["outcome"] == "cancelled", result
    assert "GIL" in result["reason"]
    assert settle(lambda: not helpers(target), 15)
    assert target.ask()["collections"] == collections
    before.check()


def test_python_3_6_without_threads(start, act, unharmed):
    """It has no GIL yet: gc is refused, trim is done."""
    old = [path for path in interpreters() if label(path).startswith("3.6")]
    if not old:
        pytest.skip("there is no Python 3.6 here")
    target = start("target_blocking.py", "sleep", python=old[0])  # ctypes would make a GIL
    before = unharmed(target)
    result = act(target, "gc")
    assert result["outcome"] == "refused", result
    assert "GIL" in result["reason"]
    assert act(target)["outcome"] in DONE
    before.check()


@pytest.fixture
def small_cgroup():
    """A memory cgroup (v1) with a limit of 400 MiB."""
    folder = f"/sys/fs/cgroup/memory/memtop-test-{os.getpid()}"
    try:
        os.mkdir(folder)
        with open(f"{folder}/memory.limit_in_bytes", "w") as file:
            file.write(str(400 << 20))
    except OSError:
        pytest.skip("no memory cgroup (v1) can be made here")
    yield folder
    settle(lambda: _removed(folder))


def test_a_forked_worker(small_cgroup, start, act, record_property):
    """Little room in its cgroup: gc refused with the figure, nothing copied; with --force done.

    The figure is right to 30 %.
    """
    join = f'echo $$ > {small_cgroup}/cgroup.procs && exec "$@"'
    target = start("target_limits.py", "forked", 200, prefix=("sh", "-c", join, "sh"))
    worker = target.said["child"]
    own = resident(worker, "Private_Dirty")
    result = act(worker, "gc")
    assert result["outcome"] == "refused", result
    assert result["would_unshare_bytes"] > 50 << 20
    assert "--force" in result["command"]
    assert resident(worker, "Private_Dirty") - own < 1 << 20
    assert act(worker, "trim")["outcome"] in DONE
    trimmed = resident(worker, "Private_Dirty")
    assert trimmed - own < 4 << 20
    result = act(worker, "gc", "--force")
    assert result["outcome"] in DONE, result
    copied = resident(worker, "Private_Dirty") - trimmed
    record_property("said_mib", result["would_unshare_bytes"] >> 20)
    record_property("copied_mib", copied >> 20)
    assert abs(result["would_unshare_bytes"] - copied) <= 0.3 * copied
    assert len(tasks(worker)) == 1
    target.end()
