"""memtop dies at any instant: the target does not notice, and nothing is left in it.

strace kills the process that acts right before its ptrace call number N, for every N. The second
kind of test kills it, and memtop with it, at random instants while a thread is held or the job
runs; strace makes those instants last longer. strace does not follow forks here: the rehearsal
traces a copy itself.
"""

import os
import random
import shutil
import subprocess
import sys
import time

import pytest
from injecting import DONE, kill, regions_of, settle, tasks, tracers_of

STRACE = shutil.which("strace")
# memtop that starts its acting process through a script.
MEMTOP = "import sys; sys.executable = sys.argv.pop(1); from memtop.cli import entry; entry()"
SCRIPT = (
    '#!/bin/sh\nexec {strace} -qq -o {log} -e trace=ptrace -e inject=ptrace:{what} {python} "$@"\n'
)

# What is acted upon, and what it says that shows that all is well. The first has many threads of
# all kinds; the others one, which sits in a call that is resumed in a way of its own.
TARGETS = {
    "verify": ("target_verify.py",),
    "sleep": ("target_blocking.py", "sleep", 0.2),
    "poll": ("target_blocking.py", "poll_timed", 0.2),
    "epoll": ("target_blocking.py", "epoll_timed", 0.2),
    "busy": ("target_limits.py", "busy"),
}


class Killer:
    """Runs memtop under strace."""

    def __init__(self, folder):
        if STRACE is None:
            pytest.skip("there is no strace to kill at the right instant")
        self.script, self.log = folder / "python", folder / "log"

    def begin(self, pid, action, what):
        """Start memtop; `what` strace does at ptrace calls."""
        text = SCRIPT.format(strace=STRACE, log=self.log, what=what, python=sys.executable)
        self.script.write_text(text)
        self.script.chmod(0o700)
        self.log.unlink(missing_ok=True)
        return subprocess.Popen(
            [sys.executable, "-c", MEMTOP, self.script, action, str(pid), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def was_killed(self):
        return "killed by SIGKILL" in self.log.read_text()

    def calls(self):
        return self.log.read_text().count("ptrace(")


@pytest.fixture
def killer(tmp_path):
    return Killer(tmp_path)


def check(target, kind):
    """What the target says: all results right."""
    assert target.is_alive, f"the target has ended: {target.complaints()}"
    if kind == "verify":
        assert target.ask()["errors"] == []
    elif kind != "busy":
        assert all(line["ok"] and line["late_ms"] >= -1.5 for line in target.lines())


def survives(target, kind):
    assert settle(lambda: not tracers_of(target.pid), 2.0), tracers_of(target.pid)
    check(target, kind)


def runs_on(target, kind):
    """It goes on with what it did."""
    if kind == "verify":
        rounds = target.ask()["rounds"]
        assert settle(lambda: all(target.ask()["rounds"][name] > rounds[name] for name in rounds))
    elif kind == "busy":

        def ticks():
            with open(f"/proc/{target.pid}/stat") as file:
                return int(file.read().rsplit(")", 1)[1].split()[11])

        begun = ticks()
        assert settle(lambda: ticks() > begun)
    else:
        target.lines()
        assert target.read(5.0)["ok"]


def swept(target, act, kind):
    """The next actions are done, and then nothing of memtop is in the target."""
    for _ in range(12):
        result = act(target, "trim")
        assert result["outcome"] in DONE, result["reason"]
        if not regions_of(target.pid):
            return
    if kind != "verify":  # there the main thread, which has to be borrowed for that, may be busy
        assert not regions_of(target.pid)


QUICK = {("verify", "trim"), ("sleep", "gc")}


@pytest.mark.parametrize(
    ("kind", "action", "step"),
    [
        pytest.param(
            kind,
            action,
            step,
            marks=() if step > 1 else pytest.mark.deep,
            id=f"{kind}-{action}{'-some' if step > 1 else ''}",
        )
        for kind in TARGETS
        for action in ("trim", "gc")
        for step in (1, 19)
        if step == 1 or (kind, action) in QUICK
    ],
)
def test_killed_before_every_call(
    start, act, unharmed, killer, record_property, kind, action, step
):
    """Right before each ptrace call of a run: no death, no wrong result, nothing left."""
    file, *arguments = TARGETS[kind]
    target = start(file, *arguments)
    before = unharmed(target)
    killed, number = 0, random.randrange(1, step + 1)
    while True:
        running = killer.begin(target.pid, action, f"signal=KILL:when={number}")
        out, errors = running.communicate(timeout=60)
        survives(target, kind)
        if not killer.was_killed():
            break
        killed += 1
        assert running.returncode == 1, (number, out, errors)
        assert '"failed"' in out, (number, out)
        number += step
    # The last run was longer than its number of calls: nobody was killed in it.
    assert running.returncode == 0, (out, errors)
    record_property("killed", killed)
    assert killed >= 40 // step
    runs_on(target, kind)
    before.check()
    swept(target, act, kind)
    before.check()
    check(target, kind)


@pytest.mark.parametrize(
    ("kind", "times"),
    [
        ("verify", 6),
        pytest.param("verify", 200, marks=pytest.mark.deep),
        pytest.param("sleep", 200, marks=pytest.mark.deep),
        pytest.param("epoll", 60, marks=pytest.mark.deep),
        pytest.param("busy", 60, marks=pytest.mark.deep),
    ],
)
def test_killed_at_random_instants(start, act, unharmed, killer, record_property, kind, times):
    """Between the first stop and the end of the job, half of the times with slow calls."""
    file, *arguments = TARGETS[kind]
    target = start(file, *arguments)
    before, killed = unharmed(target), 0
    for turn in range(3 * times):
        if killed >= times:
            break
        slow = turn % 2
        running = killer.begin(
            target.pid, ("trim", "gc")[turn // 2 % 2], f"delay_enter={2000 if slow else 1}"
        )
        tracer = None
        while running.poll() is None and tracer is None:
            tracer = next(iter(tracers_of(target.pid)), None)
        # A run is some 20 calls: until the end of its job.
        until = time.perf_counter() + random.random() * (0.06 if slow else 0.006)
        while time.perf_counter() < until:
            pass
        killed += running.poll() is None
        if tracer is not None:
            kill(tracer)
        kill(running.pid)
        running.communicate()
        survives(target, kind)
    record_property("killed", killed)
    assert killed >= times / 2
    runs_on(target, kind)
    before.check()
    swept(target, act, kind)
    before.check()


def test_memtop_alone_dies(start, act, unharmed):
    """The command is killed, the process that acts is not: it comes to its end by itself."""
    target = start("target_verify.py")
    before = unharmed(target)
    for _ in range(6):
        running = subprocess.Popen(
            [sys.executable, "-m", "memtop", "gc", str(target.pid), "--json"],
            stdout=subprocess.PIPE,
        )
        time.sleep(random.uniform(0.05, 0.15))
        running.kill()
        running.communicate()
        survives(target, "verify")
    runs_on(target, "verify")
    before.check()
    assert settle(lambda: not regions_of(target.pid))
    assert settle(lambda: not _actors()), _actors()


def _actors():
    """Processes that act, of any memtop that was started from here."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    line = file.read()
            except OSError:
                continue
            if b"memtop.actions.remote.child" in line and tasks(int(name)):
                found.append(int(name))
    return found
