"""Signals to real processes: the one that was meant, and never another."""

import errno
import os
import shutil
import signal
import subprocess
import sys

import pytest

from memtop.actions import signals
from memtop.actions.signals import Target, needs_typed_pid, parents_of, refusals, send, send_all
from memtop.probe import parse
from memtop.probe.handle import is_pid, read
from memtop.probe.sample import Identity

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc")

WAITS = "print('ready', flush=True); import sys; sys.stdin.read()"
WITH_ZOMBIE = (
    "import os, sys; pid = os.fork() or os._exit(0); print(pid, flush=True); sys.stdin.read()"
)
NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
# In a PID namespace of its own: `start` gives each process the PID 500.
SAME_PID = """
import os, signal, subprocess, sys, time
from memtop.actions import signals
from memtop.probe import parse
from memtop.probe.sample import Identity
if sys.argv[1] == 'without':
    del os.pidfd_open
def start():
    open('/proc/sys/kernel/ns_last_pid', 'w').write('499')
    return subprocess.Popen(['sleep', '60'])
def replace():
    global two
    one.kill(); one.wait(); time.sleep(0.05)
    two = start()
one, two = start(), None
stat = parse.parse_stat(open('/proc/500/stat', 'rb').read())
old = signals.Target(Identity(stat.start_ticks, 500), 'sleep')
"""
UNHARMED = """
time.sleep(0.2)
print(one.pid == two.pid == 500, two.poll(), outcome.outcome, outcome.reason, sep='|')
two.kill()
"""


def stat_of(pid):
    return parse.parse_stat(read(f"/proc/{pid}/stat"))


def target_of(pid):
    return Target(Identity(stat_of(pid).start_ticks, pid), "child")


def is_alive(child):
    return child.poll() is None and stat_of(child.pid).state != "Z"


def in_namespace(code, *arguments, command=NAMESPACE):
    """Run code as PID 1 of a PID namespace of its own; what it prints."""
    if os.geteuid() != 0:
        pytest.skip("a PID namespace, and forcing the next PID in it, need root")
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    done = subprocess.run(
        [*command, sys.executable, "-c", code, *arguments], capture_output=True, text=True
    )
    if done.returncode and "unshare" in done.stderr:
        pytest.skip(f"no PID namespaces here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def no_pidfd(error):
    def pidfd_open(pid, flags=0):
        raise OSError(error, os.strerror(error))

    return pidfd_open


@pytest.fixture(params=["pidfd", "ENOSYS", "EPERM", "not in this Python"])
def way(request, monkeypatch):
    """With pidfds, and in each of the worlds that have none."""
    if request.param == "pidfd":
        if not hasattr(os, "pidfd_open"):
            pytest.skip("this Python has no pidfds")

        def kill(pid, number):
            raise AssertionError("sent by PID although there is a pidfd")

        monkeypatch.setattr(signals.os, "kill", kill)
    elif request.param == "not in this Python":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    else:
        error = getattr(errno, request.param)
        monkeypatch.setattr(os, "pidfd_open", no_pidfd(error), raising=False)
    return request.param


@pytest.fixture
def nothing_is_sent(monkeypatch):
    """Every way of sending a signal fails the test."""

    def sent(*arguments):
        raise AssertionError(f"sent {arguments}")

    monkeypatch.setattr(signals.os, "kill", sent)
    monkeypatch.setattr(signals.signal, "pidfd_send_signal", sent, raising=False)


def test_the_table_says_what_the_system_says():
    """Names and numbers belong together, each once, TERM first, and all have a help text."""
    for number, name, text in signals.SIGNALS:
        assert signal.Signals(number).name == f"SIG{name}"
        assert text
    assert len(signals.NAMES) == len(signals.SIGNALS)
    assert signals.SIGNALS[0].name == "TERM"
    assert set("TERM INT HUP KILL STOP CONT USR1 USR2 QUIT ABRT".split()) <= {
        offered.name for offered in signals.SIGNALS
    }


# -- who may get one -----------------------------------------------------------------------

OWN = Identity(50, 40)
INIT = Target(Identity(1, 1), "init")
SHELL = Target(Identity(20, 30), "sh")
WORKER = Target(Identity(60, 70), "worker")
PARENTS = frozenset([1, 30])


def test_an_ordinary_process_is_not_refused():
    """A worker may get signals, and a key is enough."""
    assert refusals([WORKER], OWN, True, PARENTS) == []
    assert not needs_typed_pid(WORKER, PARENTS)


def test_what_does_not_live_here_gets_nothing():
    """In a recording or another host's tree every target is refused, and the reason says so."""
    found = refusals([WORKER, SHELL], None, False, frozenset())

    assert [refusal.pid for refusal in found] == [70, 30]
    assert all("recording" in refusal.reason for refusal in found)


def test_memtop_and_the_kernel_are_refused():
    """memtop's own PID and threads of the kernel are refused; the rest of the targets is not."""
    own = Target(OWN, "memtop")
    kthreadd = Target(Identity(2, 2), "kthreadd", kernel=True)

    found = refusals([own, WORKER, kthreadd], OWN, True, PARENTS)

    assert [(refusal.pid, refusal.outcome) for refusal in found] == [
        (40, "refused"),
        (2, "refused"),
    ]
    assert "memtop itself" in found[0].reason
    assert "kernel" in found[1].reason


def test_pid_1_and_parents_are_typed():
    """PID 1 and memtop's parents need their PID typed, so they are never one of several."""
    assert needs_typed_pid(INIT, frozenset())
    assert needs_typed_pid(SHELL, PARENTS)
    assert refusals([INIT], OWN, True, PARENTS) == []
    assert refusals([SHELL], OWN, True, PARENTS) == []

    found = refusals([SHELL, WORKER, INIT], OWN, True, PARENTS)

    assert [refusal.pid for refusal in found] == [30, 1]


def test_the_parents_are_those_of_the_system(children):
    """The chain goes from the parent up, without the process itself."""
    child = children.ready(WAITS)

    found = parents_of(child.pid)

    assert found == parents_of(os.getpid()) | {os.getpid()}
    assert os.getppid() in found
    assert child.pid not in found
    assert parents_of(1 << 30) == frozenset()


def test_parents_that_go_in_a_circle(tmp_path):
    """A tree that cannot be is read without end neither in time nor in memory."""
    for pid, ppid in ((5, 6), (6, 7), (7, 6)):
        (tmp_path / str(pid)).mkdir()
        numbers = " ".join(map(str, [ppid, *[0] * 30]))
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (x) S {numbers}\n")

    assert parents_of(5, root=str(tmp_path)) == {6, 7}


# -- sending -------------------------------------------------------------------------------


def test_term_ends_a_process(children, way):
    """The signal arrives, and the outcome says what was sent to whom."""
    child = children.ready(WAITS)

    outcome = send(target_of(child.pid), signal.SIGTERM)

    assert outcome == (child.pid, "done", f"TERM was sent to {child.pid}", None, None)
    assert child.wait(15) == -signal.SIGTERM


def test_stop_and_continue(children, way, wait_until):
    """STOP stops, TERM waits and says so, KILL of a stopped one ends it."""
    child = children.ready(WAITS)
    target = target_of(child.pid)

    assert send(target, signal.SIGSTOP).outcome == "done"
    wait_until(lambda: stat_of(child.pid).state == "T")
    assert send(target, signal.SIGCONT).reason == f"CONT was sent to {child.pid}"
    wait_until(lambda: stat_of(child.pid).state != "T")
    assert send(target, signal.SIGSTOP).outcome == "done"
    wait_until(lambda: stat_of(child.pid).state == "T")
    waiting = send(target, signal.SIGTERM)
    assert waiting.outcome == "done"
    assert "is stopped and needs CONT" in waiting.reason
    assert is_alive(child)
    assert send(target, signal.SIGKILL).reason == f"KILL was sent to {child.pid}"
    assert child.wait(15) in (-signal.SIGKILL, -signal.SIGTERM)


def test_a_process_that_has_ended(children, way):
    """After the end and the reaping there is nobody to send to."""
    child = children.ready(WAITS)
    target = target_of(child.pid)
    child.stdin.close()
    child.wait(15)

    assert send(target, signal.SIGTERM)[:3] == (child.pid, "refused", f"{child.pid} has ended")


def test_another_start_is_another_process(children, way, nothing_is_sent):
    """A process that began at another time is left alone, and the reason says when it began."""
    child = children.ready(WAITS)
    there = target_of(child.pid)
    target = there._replace(identity=Identity(there.identity.start_ticks - 1, child.pid))

    outcome = send(target, signal.SIGKILL)

    assert outcome.outcome == "refused"
    assert f"{child.pid} is another process now (started 20" in outcome.reason
    assert outcome.reason.endswith("Z): nothing was sent")


@pytest.mark.parametrize("pidfds", ["with", "without"])
def test_a_replaced_process_is_unharmed(pidfds):
    """A real process with the same PID as the one that was meant gets nothing."""
    code = SAME_PID + "replace(); outcome = signals.send(old, signal.SIGKILL)" + UNHARMED

    same, ended, outcome, reason = in_namespace(code, pidfds).strip().split("|")

    assert (same, ended, outcome) == ("True", "None", "refused")
    assert reason.startswith("500 is another process now (started ")


def test_a_process_replaced_between_the_look_and_the_signal():
    """Even then its successor gets nothing: the pidfd still means the one that has gone."""
    if not hasattr(os, "pidfd_open"):
        pytest.skip("this Python has no pidfds")
    code = (
        SAME_PID
        + """
read = signals.read
def look(path, limit=4096):
    raw = read(path, limit)
    if path == '/proc/500/stat':
        replace()
    return raw
signals.read = look
outcome = signals.send(old, signal.SIGKILL)"""
        + UNHARMED
    )

    assert in_namespace(code, "with") == "True|None|refused|500 has ended\n"


def test_a_process_replaced_before_the_look():
    """A pidfd of the old one and the start time of the new one are not mixed up."""
    if not hasattr(os, "pidfd_open"):
        pytest.skip("this Python has no pidfds")
    code = (
        SAME_PID
        + """
pidfd_open = os.pidfd_open
def open_and_replace(pid):
    pidfd = pidfd_open(pid)
    replace()
    return pidfd
os.pidfd_open = open_and_replace
outcome = signals.send(old, signal.SIGKILL)"""
        + UNHARMED
    )

    same, ended, outcome, reason = in_namespace(code, "with").strip().split("|")

    assert (same, ended, outcome) == ("True", "None", "refused")
    assert reason.startswith("500 is another process now (started ")


def test_the_id_of_a_thread_is_no_process(children, way, nothing_is_sent):
    """A PID that came to be a thread's belongs to no process any more."""
    code = (
        "import threading; e = threading.Event();"
        "t = threading.Thread(target=e.wait, daemon=True); t.start();"
        "print(t.native_id, flush=True); input()"
    )
    child = children.python(code)
    thread = int(child.stdout.readline())

    outcome = send(Target(Identity(1, thread), "gone"), signal.SIGTERM)

    assert outcome.outcome == "refused"
    assert "has ended" in outcome.reason or "another process now" in outcome.reason
    assert is_alive(child)


@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOENT])
def test_kernels_name_a_thread_differently(children, error, monkeypatch, nothing_is_sent):
    """Whichever error pidfd_open has for the id of a thread: the process has ended."""
    child = children.ready(WAITS)
    monkeypatch.setattr(os, "pidfd_open", no_pidfd(error), raising=False)

    outcome = send(target_of(child.pid), signal.SIGTERM)

    assert outcome[1:3] == ("refused", f"{child.pid} has ended")


def test_a_zombie_says_who_should_reap_it(children, way, nothing_is_sent, wait_until):
    """A process that has ended gets no signal; the reason names its parent."""
    parent = children.python(WITH_ZOMBIE)
    zombie = int(parent.stdout.readline())
    wait_until(lambda: stat_of(zombie).state == "Z")

    outcome = send(target_of(zombie), signal.SIGTERM)

    assert outcome.outcome == "refused"
    assert outcome.reason == (
        f"{zombie} has ended already and waits for its parent PID {parent.pid} to reap it"
    )


def test_a_process_whose_first_thread_has_left(children, way, wait_until):
    """It is in state Z, too, but it lives: signals end it."""
    code = (
        "import ctypes, threading; e = threading.Event();"
        "threading.Thread(target=e.wait).start(); print('ready', flush=True);"
        "ctypes.CDLL(None).pthread_exit(None)"
    )
    child = children.ready(code)
    wait_until(lambda: stat_of(child.pid).state == "Z")

    assert send(target_of(child.pid), signal.SIGKILL).outcome == "done"
    assert child.wait(15) == -signal.SIGKILL


def test_memtop_itself_is_never_sent_anything(way, nothing_is_sent):
    """Its own PID is refused here, too, even with another identity."""
    pid = os.getpid()
    for target in (target_of(pid), Target(Identity(1, pid), "old")):
        outcome = send(target, signal.SIGKILL)
        assert outcome[:2] == (pid, "refused")
        assert "memtop itself" in outcome.reason


@pytest.mark.parametrize("pid", [0, -1, -500])
def test_groups_are_no_target(pid, nothing_is_sent):
    """What kill(2) takes for a group or for everybody is refused."""
    outcome = send(Target(Identity(1, pid), "all"), signal.SIGTERM)

    assert outcome.outcome == "refused"
    assert "makes no sense" in outcome.reason


@pytest.mark.parametrize("number", [0, -1, 9999, int(signal.SIGSEGV)])
def test_only_offered_signals_are_sent(children, number, nothing_is_sent):
    """A number that is not in the table is refused."""
    child = children.ready(WAITS)

    assert send(target_of(child.pid), number).outcome == "refused"


def test_a_number_that_no_process_can_have(way, nothing_is_sent):
    """A PID beyond any C type is an ordinary refusal or failure."""
    assert send(Target(Identity(1, 10**30), "x"), signal.SIGTERM).outcome != "done"


def test_a_kernel_thread_is_refused(nothing_is_sent):
    """A visible thread of the kernel gets nothing, even when the target does not say it is one."""
    names = [name for name in os.listdir("/proc") if is_pid(name)]
    for pid in sorted(map(int, names)):
        try:
            if stat_of(pid).kernel:
                break
        except OSError:
            continue
    else:
        pytest.skip("no kernel thread is visible here")

    outcome = send(target_of(pid), signal.SIGCONT)

    assert outcome.outcome == "refused"
    assert "kernel" in outcome.reason


def test_without_rights(children):
    """Another user's process: it fails, and says which right and which command."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    child = children.ready(WAITS)
    code = f"""
import os
from memtop.actions.signals import Target, send
from memtop.probe.sample import Identity
os.setgroups([]); os.setgid(65534); os.setuid(65534)
target = Target(Identity({stat_of(child.pid).start_ticks}, {child.pid}), 'child')
def without(pid):
    raise OSError(38, 'none')
print(list(send(target, 15)))
os.pidfd_open = without
print(list(send(target, 15)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    command = f"sudo memtop --pid {child.pid}"
    right = "same user or CAP_KILL"
    reason = f"TERM may not be sent to {child.pid}: that needs the {right}; try {command}"
    expected = [child.pid, "failed", reason, right, command]
    assert done.stdout.splitlines() == [str(expected)] * 2, done.stderr
    assert is_alive(child)


def test_other_errors_are_outcomes(children, monkeypatch, nothing_is_sent):
    """Without a free descriptor nothing is sent, and the reason is the system's."""
    child = children.ready(WAITS)
    monkeypatch.setattr(os, "pidfd_open", no_pidfd(errno.EMFILE), raising=False)

    outcome = send(target_of(child.pid), signal.SIGTERM)

    assert outcome.outcome == "failed"
    assert "Too many open files" in outcome.reason


def test_descriptors_are_given_back(children, way):
    """No outcome leaves a descriptor behind."""
    child = children.ready(WAITS)
    target = target_of(child.pid)
    other = target._replace(identity=Identity(1, child.pid))
    before = len(os.listdir("/proc/self/fd"))

    for _ in range(5):
        send(target, signal.SIGCONT)
        send(other, signal.SIGCONT)

    assert len(os.listdir("/proc/self/fd")) == before


def test_several_in_turn(children, way):
    """Each outcome comes before the next signal goes, and one refusal does not keep the rest."""
    one, two = children.ready(WAITS), children.ready(WAITS)
    targets = [target_of(one.pid), Target(Identity(1, os.getpid()), "own"), target_of(two.pid)]

    outcomes = send_all(targets, signal.SIGTERM)

    assert next(outcomes).outcome == "done"
    assert one.wait(15) == -signal.SIGTERM
    assert is_alive(two)
    assert [outcome.outcome for outcome in outcomes] == ["refused", "done"]
    assert two.wait(15) == -signal.SIGTERM


# -- where the source is not live ----------------------------------------------------------


def test_a_recorded_tree_is_refused(children, tmp_path, nothing_is_sent):
    """A copy of /proc gets no signals sent, even one that shows memtop as it is now."""
    child = children.ready(WAITS)
    for pid in (os.getpid(), child.pid):
        (tmp_path / str(pid)).mkdir()
        for name in ("stat", "status"):
            (tmp_path / str(pid) / name).write_bytes(read(f"/proc/{pid}/{name}"))
    outcomes = [send(target_of(child.pid), signal.SIGKILL, root=str(tmp_path))]
    (tmp_path / "self").symlink_to(str(os.getpid()))
    outcomes.append(send(target_of(child.pid), signal.SIGKILL, root=str(tmp_path)))
    outcomes.append(send(target_of(child.pid), signal.SIGKILL, root=str(tmp_path / "none")))

    assert [outcome.outcome for outcome in outcomes] == ["refused"] * 3
    assert f"{tmp_path} does not show memtop" in outcomes[0].reason


def test_the_proc_of_another_namespace_is_refused():
    """Inside a PID namespace the outer /proc names other processes by the same numbers."""
    code = """
from memtop.actions.signals import Target, send
from memtop.probe.sample import Identity
print(send(Target(Identity(1, 2), 'x'), 9)[:2])
"""
    outer_proc = ["unshare", "--pid", "--fork", "--kill-child"]

    assert in_namespace(code, command=outer_proc) == "(2, 'refused')\n"


def test_the_proc_of_another_namespace_with_the_same_pid():
    """Even when memtop happens to have one PID inside and outside, nobody gets anything."""
    code = """
import os, signal
from memtop.actions import signals
from memtop.probe.host import HostReader
from memtop.probe.sample import Identity
def sent(*arguments):
    raise AssertionError(arguments)
signals.os.kill = signals.signal.pidfd_send_signal = sent
def attempt():
    if os.getpid() != int(os.readlink('/proc/self')):
        return 1
    own = HostReader('/proc').own
    outcome = signals.send(signals.Target(Identity(1, own.pid + 1), 'x'), 9)
    print(own.pid == os.getpid(), outcome.outcome, 'does not show' in outcome.reason, flush=True)
    return 0
if os.fork() == 0:  # leave PID 1 alone: its end would end the rest
    for _ in range(500):
        before = os.fork()
        if before == 0:
            with open('/proc/sys/kernel/ns_last_pid', 'w') as file:
                file.write(os.readlink('/proc/self'))
            os._exit(0)
        os.waitpid(before, 0)
        twin = os.fork()
        if twin == 0:
            os._exit(attempt())
        if os.waitpid(twin, 0)[1] == 0:
            break
    os._exit(0)
os.wait()
"""
    outer_proc = ["unshare", "--pid", "--fork", "--kill-child"]
    printed = in_namespace(code, command=outer_proc)
    if not printed:
        pytest.skip("the PIDs inside and outside did not meet")

    assert printed == "True refused True\n"
