"""CPU of the sampler, the tracker and the order, with N idle processes (root: own namespace)."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from memtop.model.query import View, arrange
from memtop.model.tracker import Tracker
from memtop.probe.procfs import ProcfsSource
from memtop.probe.sample import Wanted

ROUNDS = 20
SLEEPERS = """
import os, signal, sys
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        signal.pause()
print('ready', flush=True)
signal.pause()
"""


def isolated() -> None:
    """Start again in a PID namespace, so that nothing else is measured."""
    if os.environ.get("MEMTOP_BENCH") or os.geteuid():
        return
    os.environ["MEMTOP_BENCH"] = "1"
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable]
    os.execvp(command[0], [*command, *sys.argv])


def median_ms(times: list[float]) -> str:
    """The median of some times in seconds, in milliseconds."""
    return f"{sorted(times)[len(times) // 2] * 1e3:8.2f} ms"


def measure(count: int) -> None:
    """Print one table for `count` processes."""
    population = subprocess.Popen(
        [sys.executable, "-S", "-c", SLEEPERS, str(count)],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert population.stdout is not None
    population.stdout.readline()
    clock = time.thread_time
    source = ProcfsSource()
    tracker = Tracker(1.0, source.own)
    begin = clock()
    first = source.sample(Wanted())
    print(f"N={count}: first sample {(clock() - begin) * 1e3:.1f} ms")
    state = tracker.feed(first)
    source.settle(60)
    steps: dict[str, list[float]] = {"sample": [], "feed": [], "arrange": []}
    for _ in range(ROUNDS):
        t0 = clock()
        sample = source.sample(Wanted())
        t1 = clock()
        state = tracker.feed(sample)
        t2 = clock()
        arrange(state, View())
        t3 = clock()
        for name, spent in zip(steps, (t1 - t0, t2 - t1, t3 - t2), strict=True):
            steps[name].append(spent)
    for name, times in steps.items():
        print(f"  {name:10} {median_ms(times)}")
    kept = list(source._processes.values())
    for name, read in (
        ("statm", lambda: source._sweep_memory([], [])),
        ("stat", lambda: source._sweep_stat(kept, [], [], time.monotonic())),
    ):
        begin = clock()
        for _ in range(ROUNDS):
            read()
        print(f"  {name:10} {(clock() - begin) / ROUNDS / len(kept) * 1e6:8.2f} us a read")
    source.close()
    os.killpg(population.pid, 9)
    population.wait()


if __name__ == "__main__":
    isolated()
    for argument in sys.argv[1:] or ["1000", "4000"]:
        measure(int(argument))
