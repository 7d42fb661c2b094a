"""How long threads of a target wait while it is trimmed, or its garbage is collected.

    python tests/bench/stalls.py [GIB] [MILLIONS]

Trim: a target with GIB of freed blocks in one arena, whose thread keeps allocating in that arena;
its longest wait for malloc. gc: a target with MILLIONS of objects; how long the GIL was held.
Prints a line of JSON for each.
"""

import json
import subprocess
import sys
import time

ANSWER = """
import sys, threading, time
worst = 0.0
def answer():
    global worst
    for line in sys.stdin:
        print(worst, flush=True)
        worst = 0.0
"""
TRIM = """
blocks, keep = [], []
for _ in range(int(float(sys.argv[1]) * (1 << 30) / 8192)):
    blocks.append(bytearray(8100))
    keep.append(bytes(600))
del blocks
threading.Thread(target=answer, daemon=True).start()
print("ready", flush=True)
while True:
    before = time.perf_counter()
    bytearray(3000)  # too large for the cache of the thread
    worst = max(worst, time.perf_counter() - before)
    time.sleep(0.0005)
"""
GC = """
kept = [[] for _ in range(int(float(sys.argv[1]) * 1_000_000))]
threading.Thread(target=answer, daemon=True).start()
print("ready", flush=True)
while True:
    before = time.perf_counter()
    time.sleep(0.0005)
    worst = max(worst, time.perf_counter() - before - 0.0005)
"""


def measure(action, code, amount):
    """One action on a fresh target; its own figures beside memtop's."""
    target = subprocess.Popen(
        [sys.executable, "-c", ANSWER + code, amount],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert target.stdout.readline() == "ready\n"

        def worst():
            target.stdin.write("worst\n")
            target.stdin.flush()
            return float(target.stdout.readline())

        time.sleep(1)
        worst()
        time.sleep(2)
        noise = worst()
        command = [sys.executable, "-m", "memtop", action, str(target.pid), "--json", "--force"]
        done = subprocess.run(command, capture_output=True, text=True)
        time.sleep(0.2)
        result = json.loads(done.stdout)["results"][0]
        return {
            "action": action,
            "amount": float(amount),
            "longest_wait_ms": round(worst() * 1000, 1),
            "without_ms": round(noise * 1000, 1),
            **{k: result.get(k) for k in ("outcome", "held_us", "seconds")},
            "before_mib": result["rss_before_bytes"] >> 20,
            "after_mib": result["rss_after_bytes"] >> 20,
        }
    finally:
        target.kill()
        target.wait()


if __name__ == "__main__":
    gib, millions, *_ = [*sys.argv[1:], "4", "5"] if len(sys.argv) != 2 else [sys.argv[1], "5"]
    print(json.dumps(measure("trim", TRIM, gib)), flush=True)
    print(json.dumps(measure("gc", GC, millions)), flush=True)
