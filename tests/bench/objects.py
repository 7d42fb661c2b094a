"""What a census costs: memtop, and the process whose objects are counted.

    python tests/bench/objects.py [MILLIONS …]

For each number (1 and 12) a target with so many million objects, of which a fresh process takes
three censuses, sampled and in full; then the heartbeat of a target of ten threads, 250 MB and
1 GB, during sampled and full ones, against the same time of rest. Prints a line of JSON for each,
with the budget.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parent.parent
HEART = TESTS / "inject" / "target_heartbeat.py"
MANY = """
import gc, sys
gc.disable()
class Message:
    __slots__ = ("number", "parts")
    def __init__(self, number):
        self.number, self.parts = number, [None]
count = int(float(sys.argv[1]) * 1e6) // 12
held = []
for number in range(count):
    message = Message(number * 1000 + 7)
    held.append((message, str(number), number + 0.5, {"a": number}, b"x" * (number % 400)))
    held.append(((number,), [number], {number}))
print("{}", flush=True)
sys.stdin.read()
"""
COUNT = """
import json, resource, sys, time
from pathlib import Path
from memtop.anatomy.census import take_census
from memtop.probe.parse import parse_stat
from memtop.probe.sample import Identity
pid, times, full = map(int, sys.argv[1:])
identity = Identity(parse_stat(Path(f"/proc/{pid}/stat").read_bytes()).start_ticks, pid)
def rss():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
before, walls, cpus = rss(), [], []
for _ in range(times):
    wall, cpu = time.perf_counter(), time.process_time()
    found = take_census(identity, full=bool(full))
    walls.append(round(time.perf_counter() - wall, 3))
    cpus.append(round(time.process_time() - cpu, 3))
print(json.dumps({
    "wall_s": walls, "cpu_s": cpus, "own_mib": rss(), "own_before_mib": before,
    "objects": found.count, "sampled": found.sampled, "coverage": round(found.coverage, 4),
    "error": found.error, "types": {one.name: one.count for one in found.types[:9]},
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


def census(pid, times, full):
    """What so many censuses of a fresh process cost."""
    done = subprocess.run(
        [sys.executable, "-c", COUNT, str(pid), str(times), str(int(full))],
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def cost(millions):
    """Wall, CPU and memory of censuses, sampled and in full."""
    target = start("-c", MANY, millions)
    try:
        for full in (False, True):
            budget = {"own_mib": 100} if full else {"wall_s": 2, "own_mib": 100}
            yield {"millions": millions, "full": full, **census(target.pid, 3, full)} | {
                "budget": budget
            }
    finally:
        target.kill()
        target.wait()


def stalls(megabytes, full, times=10):
    """The longest silence of each round during a census, and during as long a time of work."""
    target = start(HEART, "threads", megabytes)
    try:
        time.sleep(1)
        rest, looked = [], []
        for _ in range(times):
            ask(target, "reset")
            begun = time.monotonic()
            census(target.pid, 1, full)
            lasted = time.monotonic() - begun
            looked.append(ask(target, "report")["worst_ms"])
            ask(target, "reset")
            spin = (
                f"import time\nend = time.monotonic() + {lasted}\nwhile time.monotonic() < end: 0"
            )
            subprocess.run([sys.executable, "-c", spin], check=True)
            rest.append(ask(target, "report")["worst_ms"])
        return {
            "heartbeat_mb": megabytes,
            "full": full,
            "census_ms": sorted(looked),
            "noise_ms": sorted(rest),
            "budget": "noise + 2",
        }
    finally:
        target.kill()
        target.wait()


if __name__ == "__main__":
    os.environ.pop("PYTHONMALLOC", None)
    for number in [float(one) for one in sys.argv[1:]] or [1, 12]:
        for line in cost(number):
            print(json.dumps(line), flush=True)
    for size in (250, 1000):
        for whole in (False, True):
            print(json.dumps(stalls(size, whole)), flush=True)
