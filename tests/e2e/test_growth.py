"""Real services that grow, or only seem to: what memtop says about them while they run.

All of them run at the same time and are watched once, from two trackers: one from the start, and
one that comes when the storm of processes is over.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import defaultdict

import pytest

from memtop.model.tracker import Tracker
from memtop.probe.procfs import ProcfsSource
from memtop.probe.sample import Wanted

WATCHED_S = 62
LATE_S = 20

STORM = """
    import subprocess, sys, time
    child = "import time; kept = b'x' * (6 << 20); time.sleep(600)"
    time.sleep(3)
    for number in range(40):
        subprocess.Popen([sys.executable, "-c", child, f"--job={number}"])
        time.sleep(0.1)
    time.sleep(600)
"""
POOL = """
    import multiprocessing, time
    from concurrent.futures import ProcessPoolExecutor

    def work(number):
        kept = []
        while True:
            if number == 2:
                kept.append(b"x" * 700_000)  # 40 MiB a minute
            time.sleep(1)

    if __name__ == "__main__":
        context = multiprocessing.get_context("forkserver")
        with ProcessPoolExecutor(4, mp_context=context) as pool:
            for number in range(4):
                pool.submit(work, number)
            time.sleep(600)
"""
PLATEAU = """
    import random, time
    cache = {}
    begin = time.monotonic()
    while True:
        room = min(1.0, (time.monotonic() - begin) / 15) * 400
        cache[random.randrange(int(room) + 1)] = bytes(random.randrange(50_000, 110_000))
        time.sleep(0.01)
"""
SAWTOOTH = """
    import time
    while True:
        kept = []
        for _ in range(60):
            kept.append(b"x" * 250_000)
            time.sleep(0.1)
"""
STEPS = """
    import time
    frames = []
    for streams in (1, 2, 4, 8):
        frames = [b"x" * 4_900_000 for _ in range(2 * streams)]
        time.sleep(14)
    frames.clear()
    time.sleep(600)
"""
SERVICES = {
    "storm": STORM,
    "pool": POOL,
    "plateau": PLATEAU,
    "sawtooth": SAWTOOTH,
    "steps": STEPS,
}


class Watch:
    """What was said: trend words by PID and second, and the groups' findings."""

    def __init__(self, pids):
        self.pids = pids
        self.words = defaultdict(list)
        self.members = defaultdict(set)
        self.findings = defaultdict(list)
        self.worst = {}

    def note(self, state, second):
        whose = {pid: name for name, pid in self.pids.items()}
        for row in state.living():
            name = self._service(state, row, whose)
            if name is not None:
                self.members[name].add(row.pid)
                self.words[row.pid].append(row.trend.word)
        for group in state.groups.values():
            parent = state.rows.get(group.parent)
            name = parent and self._service(state, parent, whose)
            if name is not None:
                self.findings[name].append((second, group.finding, group))

    @staticmethod
    def _service(state, row, whose):
        by_pid = {one.pid: one for one in state.rows.values()}
        while row is not None:
            if row.pid in whose:
                return whose[row.pid]
            row = by_pid.get(row.ppid)
        return None

    def said(self, name):
        """Every word that was said about a service's processes."""
        return {word for pid in self.members[name] for word in self.words[pid]}


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("services")
    started = {}
    for name, code in SERVICES.items():
        path = folder / f"{name}.py"
        path.write_text(textwrap.dedent(code))
        started[name] = subprocess.Popen([sys.executable, str(path)], start_new_session=True)
    pids = {name: process.pid for name, process in started.items()}
    early, late = Watch(pids), Watch(pids)
    sources = [ProcfsSource()]
    trackers = [Tracker(1.0)]
    watches = [early]
    try:
        begin = time.monotonic()
        for second in range(WATCHED_S):
            if second == LATE_S:
                sources.append(ProcfsSource())
                trackers.append(Tracker(1.0))
                watches.append(late)
            for source, tracker, watch in zip(sources, trackers, watches, strict=True):
                state = tracker.feed(source.sample(tracker.ask(Wanted())))
                watch.note(state, second)
            time.sleep(max(0.0, begin + second + 1 - time.monotonic()))
    finally:
        for source in sources:
            source.close()
        for process in started.values():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return early, late


def test_the_one_that_grows_is_named_within_40_seconds(watched):
    """Of four pool workers one leaks 40 MiB a minute: `one-grows`, and it is that one."""
    early, _ = watched
    found = [
        (second, group)
        for second, finding, group in early.findings["pool"]
        if finding == "one-grows"
    ]

    assert found, "nothing was found"
    second, group = found[0]
    assert second <= 40
    assert len(group.members) == 4
    last = found[-1][1]
    assert last.worst.pid == group.worst.pid
    assert last.largest_kib == max(last.largest_kib, last.smallest_kib + 20 * 1024)
    words = early.words[group.worst.pid]
    assert words[-1] in ("rising", "leak-like")


@pytest.mark.parametrize("which", ["from the start", "after the storm"])
def test_many_processes_are_no_leak(watched, which):
    """40 equal children within seconds: `many-processes`, none grows, also if seen afterwards."""
    watch = watched[which == "after the storm"]
    _, finding, group = watch.findings["storm"][-1]

    assert finding == "many-processes"
    assert len(group.members) == 40
    assert group.births == 40
    assert group.growing == 0
    assert not watch.said("storm") & {"leak-like", "rising"}


@pytest.mark.parametrize("name", ["plateau", "sawtooth", "steps"])
def test_the_healthy_are_never_called_a_leak(watched, name):
    """A cache that fills, a saw and steps of concurrency are not leak-like at any moment."""
    for watch in watched:
        assert "leak-like" not in watch.said(name)


def test_calm_members_are_steady(watched):
    """The other workers of the pool and its main process are steady at the end."""
    early, _ = watched
    grower = early.findings["pool"][-1][2].worst.pid
    last = {pid: early.words[pid][-1] for pid in early.members["pool"]}

    assert {word for pid, word in last.items() if pid != grower} == {"steady"}
