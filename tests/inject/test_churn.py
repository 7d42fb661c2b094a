"""Targets that change while they are acted upon: threads and children come and go, programs too."""

import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
from injecting import DONE, regions_of, settle, tracers_of


@pytest.mark.parametrize("times", [6, pytest.param(200, marks=pytest.mark.deep)])
def test_threads_and_children_come_and_go(start, act, times):
    """Threads that end while they are looked at, forks at any instant: no harm, no failure."""
    target = start("target_churn.py")
    last = target.ask()
    for turn in range(times):
        result = act(target, ("trim", "gc")[turn % 2])
        assert result["outcome"] in DONE, result["reason"]
        said = target.ask()
        assert said["errors"] == []
    assert said["threads"] > last["threads"]
    assert settle(lambda: target.ask()["children"] > said["children"])
    assert settle(lambda: not tracers_of(target.pid))


SELF = (
    "import os, sys, time\n"
    "time.sleep(0.004)\n"
    "count = int(sys.argv[1]) + 1\n"
    "if count % 50 == 0: print('{\"rounds\": %d}' % count, flush=True)\n"
    "again = [sys.executable, '-S', '-E', '-c', sys.argv[2], str(count), sys.argv[2]]\n"
    "os.execv(sys.executable, again)\n"
)


@pytest.mark.parametrize("times", [6, pytest.param(60, marks=pytest.mark.deep)])
def test_another_program_every_few_milliseconds(start, act, times):
    """exec at any instant of an action: it goes on, and the answer is an answer."""
    target = start(sys.executable, "-S", "-E", "-c", SELF, "0", SELF)
    rounds = target.said["rounds"]
    for _ in range(times):
        result = act(target)
        assert result["outcome"] in (*DONE, "refused", "failed", "not_applicable"), result
        assert target.is_alive
        assert not tracers_of(target.pid)
    assert settle(lambda: any(line["rounds"] > rounds for line in target.lines()))


def test_a_target_that_ends(start):
    """A process that ends while it is acted upon: an answer, at once, and no traceback."""
    for delay_s in (0.0, 0.03, 0.05, 0.07, 0.09, 0.12):
        target = start("target_limits.py", "stdin")
        running = subprocess.Popen(
            [sys.executable, "-m", "memtop", "trim", str(target.pid), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(delay_s)
        target.process.kill()
        target.process.wait()
        out, errors = running.communicate(timeout=10)
        assert running.returncode in (0, 1, 4), errors
        assert '"results"' in out
        assert "Traceback" not in errors


@pytest.mark.parametrize("times", [6, pytest.param(150, marks=pytest.mark.deep)])
def test_stopped_and_continued_all_the_time(start, act, unharmed, times):
    """SIGSTOP and SIGCONT at any instant: done or refused, and it goes on when it is continued."""
    target = start("target_verify.py")
    before, over = unharmed(target), threading.Event()

    def disturb():
        while not over.is_set():
            os.kill(target.pid, signal.SIGSTOP)
            time.sleep(random.uniform(0, 0.003))
            os.kill(target.pid, signal.SIGCONT)
            time.sleep(random.uniform(0, 0.03))

    disturber = threading.Thread(target=disturb)
    disturber.start()
    outcomes = []
    try:
        for turn in range(times):
            begun = time.monotonic()
            result = act(target, ("trim", "gc")[turn % 2])
            assert time.monotonic() - begun < 6
            outcomes.append(result["outcome"])
            assert result["outcome"] in (*DONE, "refused"), result
            assert result["outcome"] in DONE or "stopped" in result["reason"], result
    finally:
        over.set()
        disturber.join()
    assert target.ask()["errors"] == []
    before.check()
    assert settle(lambda: not regions_of(target.pid))
