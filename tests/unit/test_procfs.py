"""The Linux source against real and written processes that behave badly."""

import ctypes
import os
import resource
import signal
import subprocess
import sys

import pytest

from memtop.errors import MemtopError
from memtop.probe import descriptors
from memtop.probe.procfs import FACTS_EVERY_TICKS, PHASES, ProcfsSource
from memtop.probe.sample import Wanted

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc")

RENAME = (
    "import ctypes, sys; print('ready', flush=True); sys.stdin.readline();"
    "ctypes.CDLL(None).prctl(15, b'a) S (1 b', 0, 0, 0);"
    "print('renamed', flush=True); sys.stdin.read()"
)
FORK_ZOMBIE = (
    "import os, sys; pid = os.fork() or os._exit(0);print(pid, flush=True); sys.stdin.read()"
)


class Tree:
    """A /proc tree of plain files."""

    def __init__(self, root):
        self.root = root
        (root / "meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 400 kB\n")
        (root / "stat").write_text("cpu 1 2 3\nbtime 1000000000\n")

    def put(self, pid, *, ppid=0, name="python", start=100, rss=1000, flags=0, **files):
        folder = self.root / str(pid)
        folder.mkdir(exist_ok=True)
        numbers = [ppid, 1, 1, 0, -1, flags, 0, 0, 0, 0, 5, 5, 0, 0, 20, 0, 1, 0, start, 0, rss]
        tail = " ".join(map(str, numbers)) + " 0" * 28
        (folder / "stat").write_text(f"{pid} ({name}) S {tail}\n")
        (folder / "statm").write_text(f"2000 {rss} 300 10 0 100 0\n")
        (folder / "cmdline").write_bytes(files.get("cmdline", b"python\0-m\0app\0"))
        (folder / "status").write_text(files.get("status", "Name: x\nUid:\t0\t0\t0\t0\n"))
        return folder


@pytest.fixture
def tree(tmp_path):
    """A written tree with one process."""
    made = Tree(tmp_path)
    made.put(1, name="init", start=1)
    return made


@pytest.fixture
def source_of():
    """Open sources, and close them at the end."""
    opened = []

    def open_source(root="/proc"):
        opened.append(ProcfsSource(str(root)))
        return opened[-1]

    yield open_source
    for source in opened:
        source.close()


def test_a_reused_pid_is_another_process(tree, source_of):
    """The same folder with another start time is an end and a beginning."""
    tree.put(7, start=500, rss=9000)
    source = source_of(tree.root)
    first = source.sample(Wanted())
    tree.put(7, start=900, rss=10)

    both = [source.sample(Wanted()), source.sample(Wanted())]

    assert {s.identity for s in first.started} == {(1, 1), (500, 7)}
    assert [i for sample in both for i in sample.ended] == [(500, 7)]
    assert [s.identity for sample in both for s in sample.started] == [(900, 7)]


def test_a_reused_pid_of_a_real_process(source_of):
    """In a PID namespace whose next PID is forced, a successor inherits nothing."""
    if os.geteuid() != 0:
        pytest.skip("forcing the next PID needs root")
    code = """
import subprocess, time
from memtop.probe.procfs import ProcfsSource
from memtop.probe.sample import Wanted
def start():
    open('/proc/sys/kernel/ns_last_pid', 'w').write('499')
    return subprocess.Popen(['sleep', '60'])
source = ProcfsSource()
one = start()
first = source.sample(Wanted())
one.kill(); one.wait(); time.sleep(0.05)
two = start()
assert one.pid == two.pid == 500, (one.pid, two.pid)
samples = [source.sample(Wanted()) for _ in range(2)]
old = [s.identity for s in first.started if s.identity.pid == 500]
new = [s.identity for sample in samples for s in sample.started if s.identity.pid == 500]
ended = [i for sample in samples for i in sample.ended if i.pid == 500]
two.kill()
print(len(old), ended == old, len(new), new != old)
"""
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable]
    done = subprocess.run([*command, "-c", code], capture_output=True, text=True)
    if done.returncode and "unshare" in done.stderr:
        pytest.skip(f"no PID namespaces here: {done.stderr.strip()}")

    assert done.stdout == "1 True 1 True\n", done.stderr


def test_names_change(children, source_of):
    """A process that renames itself is reported with its new name, whatever is in it."""
    child = children.ready(RENAME)
    source = source_of()
    source.sample(Wanted())
    child.stdin.write("go\n")
    child.stdin.flush()
    assert child.stdout.readline() == "renamed\n"

    sample = source.sample(Wanted(pids=frozenset([child.pid])))

    assert next(a.name for a in sample.activity if a.pid == child.pid) == "a) S (1 b"


def test_exec_is_noticed(children, source_of, wait_until):
    """After exec the identity stays, and the new command line is read at once."""
    code = "import os, sys; print(1, flush=True); sys.stdin.readline();"
    code += "os.execvp('sleep', ['sleep', '77'])"
    child = children.ready(code)
    source = source_of()
    born = source.sample(Wanted())
    source.settle(5)
    source.sample(Wanted())
    child.stdin.write("go\n")
    child.stdin.flush()
    commands = []

    def seen():
        sample = source.sample(Wanted(pids=frozenset([child.pid])))
        assert not [i for i in sample.ended if i.pid == child.pid]
        commands.extend(f.command for f in sample.facts if f.identity.pid == child.pid)
        source.settle(1)
        return "sleep 77" in commands

    wait_until(seen)
    assert child.pid in {s.identity.pid for s in born.started}


def stat_of(pid):
    """What the kernel says about a process."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read()


def test_zombies_are_seen(children, source_of, wait_until):
    """A zombie is there, in state Z, and its memory is no news."""
    child = children.python(FORK_ZOMBIE)
    zombie = int(child.stdout.readline())
    wait_until(lambda: ") Z " in stat_of(zombie))
    source = source_of()

    sample = source.sample(Wanted())

    assert next(a.state for a in sample.activity if a.pid == zombie) == "Z"
    assert zombie not in {m.pid for m in sample.memory}


def test_a_dying_process_keeps_its_last_memory(children, source_of):
    """Between the end and the reaping nothing is reported as a drop to zero."""
    child = children.ready("print(1, flush=True); import sys; sys.stdin.read()")
    source = source_of()
    source.sample(Wanted())
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    sample = source.sample(Wanted())

    assert child.pid not in {m.pid for m in sample.memory}
    assert next(a.state for a in sample.activity if a.pid == child.pid) == "Z"
    assert child.pid not in {i.pid for i in sample.ended}


def test_kernel_threads_cost_nothing(tree, source_of):
    """They are listed, marked, and neither read again nor given descriptors."""
    tree.put(2, name="kthreadd", flags=0x00200000)
    source = source_of(tree.root)
    first = source.sample(Wanted())

    assert {s.identity.pid: s.kernel for s in first.started} == {1: False, 2: True}
    assert 2 not in {m.pid for m in first.memory} | {a.pid for a in first.activity}


def test_stat_is_read_in_turn(source_of, children):
    """A busy process that nobody looks at is read every fifth tick, a wanted one every tick."""
    child = children.ready("print(1, flush=True)\nwhile True: pass")
    source = source_of()
    source.sample(Wanted())

    def reads(wanted):
        samples = [source.sample(wanted) for _ in range(2 * PHASES)]
        return sum(child.pid in {a.pid for a in sample.activity} for sample in samples)

    assert reads(Wanted()) == 2
    assert reads(Wanted(pids=frozenset([child.pid]))) == 2 * PHASES
    assert reads(Wanted(all_cpu=True)) == 2 * PHASES


def test_cpu_is_measured(source_of, children, wait_until):
    """A busy loop takes about one core; a resting process none."""
    busy = children.ready("print(1, flush=True)\nwhile True: pass")
    calm = children.ready("print(1, flush=True); import sys; sys.stdin.read()")
    source = source_of()
    wanted = Wanted(pids=frozenset([busy.pid, calm.pid]))
    source.sample(wanted)
    latest = {}

    def measured():
        for activity in source.sample(wanted).activity:
            latest[activity.pid] = activity.cpu_percent
        return None not in (latest[busy.pid], latest[calm.pid])

    wait_until(measured, every_s=0.3)
    assert latest[busy.pid] > 5  # of one core, on a machine that has other work
    assert latest[busy.pid] < 150
    assert latest[calm.pid] == pytest.approx(0, abs=5)


def test_facts_are_read_again_now_and_then(tree, source_of):
    """A command line that changes without another sign is noticed within 300 ticks."""
    source = source_of(tree.root)
    source.sample(Wanted())
    source.settle(5)
    source.sample(Wanted())
    (tree.root / "1" / "cmdline").write_bytes(b"renamed\0")
    commands = []
    for _ in range(2 * FACTS_EVERY_TICKS):
        commands += [f.command for f in source.sample(Wanted()).facts]
        if commands:
            break
        if source._tick % FACTS_EVERY_TICKS == 1:
            source.settle(5)

    assert commands == ["renamed"]


@pytest.mark.parametrize("content", [b"", b"garbage", b"1 (x", b"\xff" * 500])
def test_broken_files_are_ordinary(tree, source_of, content):
    """A tree whose files are cut, empty or garbage is read as far as it goes."""
    for pid, name in ((5, "stat"), (6, "statm"), (7, "cmdline"), (8, "status")):
        folder = tree.put(pid, ppid=1)
        (folder / name).write_bytes(content)
    (tree.root / "9").mkdir()
    (tree.root / "meminfo").write_bytes(content)
    (tree.root / "stat").write_bytes(content)
    source = source_of(tree.root)

    first = source.sample(Wanted(all_usage=True))
    source.settle(5)
    second = source.sample(Wanted(all_usage=True))

    assert {1, 6, 7, 8} <= {s.identity.pid for s in first.started}
    assert 5 not in {s.identity.pid for s in first.started}
    assert first.host.total_kib is None
    assert all(s.started_at is None for s in first.started)
    assert {f.identity.pid for f in second.facts} >= {1, 7}


@pytest.mark.parametrize("btime", ["nan", "inf", "1e300", "-5", "x"])
def test_impossible_times_are_not_known(tree, source_of, btime):
    """A boot time that cannot be leaves starts unknown."""
    (tree.root / "stat").write_text(f"btime {btime}\n")

    sample = source_of(tree.root).sample(Wanted())

    assert sample.started[0].started_at is None


@pytest.mark.parametrize(("field", "value"), [("start", 10**18), ("rss", -5), ("rss", 10**15)])
def test_impossible_numbers_are_no_process(tree, source_of, field, value):
    """A stat with numbers that no kernel writes is passed over."""
    tree.put(5, **{field: value})

    sample = source_of(tree.root).sample(Wanted())

    assert {s.identity.pid for s in sample.started} == {1}


def test_a_tree_may_hold_anything(tree, source_of):
    """Odd folder names are left out, a FIFO does not hang, a missing statm is unknown memory."""
    (tree.root / "²").mkdir()
    (tree.put(5, ppid=1) / "stat").unlink()
    os.mkfifo(tree.root / "5" / "stat")
    (tree.put(6, ppid=1) / "statm").unlink()
    source = source_of(tree.root)

    first, second = source.sample(Wanted()), source.sample(Wanted())

    assert {s.identity.pid for s in first.started} == {1, 6}
    assert {m.pid for m in first.memory} == {1}
    assert second.ended == ()


def test_a_kernel_thread_that_goes_is_reported(tree, source_of):
    """Its PID may belong to an ordinary process by the time that anybody looks."""
    tree.put(2, name="kthreadd", flags=0x00200000)
    source = source_of(tree.root)
    source.sample(Wanted())
    tree.put(2, name="python", start=5000)

    samples = [source.sample(Wanted()) for _ in range(61)]

    assert [i for sample in samples for i in sample.ended] == [(100, 2)]
    assert [s.identity for sample in samples for s in sample.started] == [(5000, 2)]


def test_no_tree_at_all(tmp_path):
    """A folder without processes, or none, is an error that names it."""
    with pytest.raises(MemtopError, match="holds no process folders"):
        ProcfsSource(str(tmp_path))
    with pytest.raises(MemtopError, match="cannot read"):
        ProcfsSource(str(tmp_path / "missing"))


def test_few_descriptors_are_enough(children, monkeypatch, source_of):
    """Beyond the limit processes are read without descriptors, with the same figures."""
    kids = [children.ready("print(1, flush=True); input()") for _ in range(6)]
    monkeypatch.setattr(descriptors, "raise_limit", lambda: 6)
    source = source_of()

    first = source.sample(Wanted())

    assert source._open <= 6
    assert source._kept
    assert source._loose
    memory = {m.pid for m in first.memory}
    assert {kid.pid for kid in kids} <= memory
    kids[0].kill()
    kids[0].wait()
    assert kids[0].pid in {i.pid for i in source.sample(Wanted()).ended}


def test_children_get_their_limit_back():
    """The soft limit is raised for memtop, and put back for what it starts."""
    code = """
import resource, subprocess, sys
from memtop.probe import descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 4000))
room = descriptors.raise_limit()
own = resource.getrlimit(resource.RLIMIT_NOFILE)
child = subprocess.run(['sh', '-c', 'ulimit -Sn'], capture_output=True, text=True,
                       preexec_fn=descriptors.restore_limit).stdout.strip()
print(room, own, child)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == f"{4000 - descriptors.RESERVED} (4000, 4000) 200"


def test_an_unreadable_process_says_so(source_of):
    """Without rights on a process its facts tell which are missing; RSS is known all the same."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    code = """
import os
from memtop.probe.procfs import ProcfsSource
from memtop.probe.sample import Wanted
os.setgroups([]); os.setgid(65534); os.setuid(65534)
source = ProcfsSource()
first = source.sample(Wanted())
source.settle(5)
facts = {f.identity.pid: f for f in source.sample(Wanted()).facts}
print(facts[1].rights, facts[1].exe, facts[1].command is not None,
      any(m.pid == 1 and m.rss_kib > 0 for m in first.memory), facts[os.getpid()].rights)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    # Having changed its uid the child is not dumpable, so its own files are root's.
    assert done.stdout.startswith("() None True True")


def test_write_rates_are_measured(children, source_of, wait_until, tmp_path):
    """What a process writes a second is known for rows that are looked at."""
    code = """
import sys, time
file = open(sys.argv[1], 'wb', buffering=0)
print(1, flush=True)
while True:
    file.write(b'x' * 100_000); time.sleep(0.1)
"""
    child = children.ready(code, str(tmp_path / "out"))
    source = source_of()
    wanted = Wanted(pids=frozenset([child.pid]))
    rates = []

    def measured():
        for usage in source.sample(wanted).usage:
            if usage.written_bytes_s is not None:
                rates.append(usage.written_bytes_s)
        return len(rates) >= 2

    wait_until(measured, limit_s=30, every_s=0.3)
    assert rates[-1] == pytest.approx(1_000_000, rel=0.35)


def test_pss_is_read_on_request(source_of, wait_until):
    """Proportional memory is read only when asked for, and is at most RSS."""
    source = source_of()
    wanted = Wanted(pids=frozenset([os.getpid()]), pss=True)

    def measured():
        found = [u.pss_kib for u in source.sample(wanted).usage if u.pss_kib]
        source.settle(1)
        return found

    pss_kib = wait_until(measured)[0]
    assert 1000 < pss_kib <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert ctypes.sizeof(ctypes.c_void_p) == 8


def test_secrets_never_leave_the_probe(children, source_of, wait_until):
    """A password on a real command line is masked in the facts."""
    child = children.ready("print(1, flush=True); input()", "--password", "hunter2SECRET")
    source = source_of()
    commands = []

    def known():
        commands.extend(
            f.command for f in source.sample(Wanted()).facts if f.identity.pid == child.pid
        )
        source.settle(1)
        return commands

    wait_until(known)
    assert "hunter2SECRET" not in commands[0]
    assert "--password ***" in commands[0]
