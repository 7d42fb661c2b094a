"""What a look at a process costs: memtop, and the process that is looked at.

    python tests/bench/anatomy.py [MB …]

For each size (600 and 4096) a target of 12 threads with fragmented heaps, at which a fresh process
looks three times; then the heartbeat of a target of ten threads, 250 MB and 600 MB, while it is
looked at, against the same time of rest. Prints a line of JSON for each, with the budget.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parent.parent
HEAP = TESTS / "anatomy" / "target_heap.py"
HEART = TESTS / "inject" / "target_heartbeat.py"
LOOK = """
import json, resource, sys, time
from pathlib import Path
from memtop.anatomy.anatomy import look, look_quickly
from memtop.probe.parse import parse_stat
from memtop.probe.sample import Identity
pid, times = map(int, sys.argv[1:])
identity = Identity(parse_stat(Path(f"/proc/{pid}/stat").read_bytes()).start_ticks, pid)
def rss():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
before, walls, cpus, quick = rss(), [], [], []
for _ in range(times):
    wall, cpu = time.perf_counter(), time.process_time()
    found = look(identity)
    walls.append(round(time.perf_counter() - wall, 3))
    cpus.append(round(time.process_time() - cpu, 3))
    wall = time.perf_counter()
    if look_quickly(identity, most_s=5.0) is not None:
        quick.append(round(time.perf_counter() - wall, 3))
print(json.dumps({
    "wall_s": walls, "cpu_s": cpus, "quick_s": quick, "own_mib": rss(), "own_before_mib": before,
    "rss_mib": found.rss_bytes >> 20, "arenas": len(found.arenas),
    "explained": round(found.explained_bytes / found.rss_bytes, 4),
}))
"""


def start(*command):
    """A target after its first line."""
    target = subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert target.stdout.readline(), "the target has ended"
    return target


def ask(target, line):
    """Its answer to a line."""
    target.stdin.write(line + "\n")
    target.stdin.flush()
    return json.loads(target.stdout.readline())


def look(pid, times):
    """What so many looks of a fresh process cost."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(pid), str(times)],
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def cost(kind, megabytes):
    """Wall, CPU and memory of a look at fragmented heaps."""
    target = start(HEAP, kind, 12, megabytes)
    try:
        budget = {"wall_s": 0.8, "cpu_s": 0.5} if megabytes <= 600 else {"own_mib": 100}
        return {"kind": kind, "megabytes": megabytes, **look(target.pid, 3), "budget": budget}
    finally:
        target.kill()
        target.wait()


def stalls(megabytes, times=10):
    """The longest silence of each round while nothing happens, and while it is looked at."""
    target = start(HEART, "threads", megabytes)
    try:
        time.sleep(1)
        rest, looked = [], []
        for _ in range(times):
            ask(target, "reset")
            begun = time.monotonic()
            look(target.pid, 1)
            lasted = time.monotonic() - begun
            looked.append(ask(target, "report")["worst_ms"])
            # The same with a process that has as much to do, but does not look.
            ask(target, "reset")
            spin = (
                f"import time\nend = time.monotonic() + {lasted}\nwhile time.monotonic() < end: 0"
            )
            subprocess.run([sys.executable, "-c", spin], check=True)
            rest.append(ask(target, "report")["worst_ms"])
        return {
            "heartbeat_mb": megabytes,
            "looked_ms": sorted(looked),
            "noise_ms": sorted(rest),
            "budget": "noise + 2",
        }
    finally:
        target.kill()
        target.wait()


if __name__ == "__main__":
    os.environ.pop("PYTHONMALLOC", None)
    for size in [int(one) for one in sys.argv[1:]] or [600, 4096]:
        for kind in ("frames", "buffers"):
            print(json.dumps(cost(kind, size)), flush=True)
    for size in (250, 600):
        print(json.dumps(stalls(size)), flush=True)
