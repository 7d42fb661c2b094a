"""Signals that arrive while a thread is borrowed do what they would have done without that."""

import os
import random
import signal
import threading
import time

import pytest

from memtop.actions.perform import perform
from memtop.actions.signals import Target as Process
from memtop.probe import parse
from memtop.probe.handle import read
from memtop.probe.sample import Identity

CALLS = ("read", "sleep", "select", "pause", "poll", "lock")


def process(pid):
    stat = parse.parse_stat(read(f"/proc/{pid}/stat"))
    return Process(Identity(stat.start_ticks, pid), stat.name)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("actions", [8, pytest.param(100, marks=pytest.mark.deep)])
def test_no_wakeup_is_lost(start, call, actions):
    """Each signal ends the call that the main thread blocks in, however it meets the borrowing."""
    target = start("target_signalled.py", call)
    outcomes = []

    def act():
        for _ in range(actions):
            outcomes.extend(one.outcome for one in perform("trim", [process(target.pid)]))

    worker = threading.Thread(target=act)
    worker.start()
    count = 0
    while worker.is_alive():
        # Python itself misses one that comes between its last look and the system call.
        while read(f"/proc/{target.pid}/syscall").startswith(b"running"):
            pass
        os.kill(target.pid, signal.SIGUSR1)
        count += 1
        assert target.read(5.0) == {"count": count}
        time.sleep(random.uniform(0, 0.003))
    worker.join()

    assert count > actions
    assert set(outcomes) <= {"returned", "nothing_to_return"}
