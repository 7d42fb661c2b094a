"""Acting on targets with the real command line, and looking at what it left in them.

Bytes are integers. Nothing here is a test or a fixture.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
# Where the region of an action is asked for (memtop.actions.remote.borrow).
WINDOW = range(0x4D45_0000_0000, 0x4D46_0000_0000)


def command(action, *pids, prefix=()):
    """The command line that acts on these processes."""
    return [*prefix, sys.executable, "-m", "memtop", action, *map(str, pids), "--json"]


def act_on_all(pids, action="trim", *options, prefix=(), timeout=60.0):
    """Act on several processes: their results by PID, and the exit code."""
    done = subprocess.run(
        [*command(action, *pids, prefix=prefix), *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    try:
        said = json.loads(done.stdout)
    except ValueError:
        raise AssertionError(f"no JSON ({done.returncode}): {done.stdout}{done.stderr}") from None
    results = {result["pid"]: {**result, "exit": done.returncode} for result in said["results"]}
    return results, said.get("error"), done.returncode


DONE = ("done", "returned", "nothing_to_return")


# Looking at targets


def tasks(pid):
    """The threads of a process."""
    try:
        return sorted(map(int, os.listdir(f"/proc/{pid}/task")))
    except FileNotFoundError:
        return []


def status_of(pid, tid=None):
    """/proc/PID/task/TID/status as a dictionary; empty if the thread has ended."""
    try:
        with open(f"/proc/{pid}/task/{tid or pid}/status") as file:
            return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    except (FileNotFoundError, ProcessLookupError):
        return {}


def threads_of(pid):
    """The names of the threads, memtop's own among them while they live."""
    found = (status_of(pid, tid).get("Name") for tid in tasks(pid))
    return sorted(name for name in found if name)


def tracers_of(pid):
    """Who traces any thread of a process; those that are not traced are left out."""
    found = (status_of(pid, tid).get("TracerPid", "0") for tid in tasks(pid))
    return {int(tracer) for tracer in found if tracer != "0"}


def descriptors_of(pid):
    """What each open file descriptor is."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            continue
    return found


def maps_of(pid):
    """(start, end, permissions, path) of each mapping."""
    found = []
    with open(f"/proc/{pid}/maps") as file:
        for line in file:
            fields = line.split(None, 5)
            start, end = (int(part, 16) for part in fields[0].split("-"))
            found.append((start, end, fields[1], fields[5].strip() if len(fields) > 5 else ""))
    return found


def regions_of(pid):
    """Mappings that lie where memtop asks for its region."""
    return [mapping for mapping in maps_of(pid) if mapping[0] in WINDOW]


def resident(pid, key="Rss"):
    """Resident bytes, exactly (smaps_rollup, not the counters that lag behind).

    `Anonymous`: of those, what is not in the page cache for everybody.
    """
    with open(f"/proc/{pid}/smaps_rollup") as file:
        lines = dict(line.split(":", 1) for line in file if ":" in line and "-" not in line)
    return int(lines[key].split()[0]) << 10


def settle(condition, limit_s=6.0, every_s=0.01):
    """Wait until something is so; whether it became so."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True


class Unharmed:
    """What a target was like before, to be compared with what it is like after."""

    def __init__(self, target):
        self.target = target
        self.threads = len(tasks(target.pid))
        self.descriptors = descriptors_of(target.pid)

    def check(self):
        """It lives, nobody traces it, and there is nothing in it that was not there before."""
        pid = self.target.pid
        assert self.target.is_alive, f"the target has ended: {self.target.complaints()}"
        assert settle(lambda: not tracers_of(pid)), f"traced by {tracers_of(pid)}"
        settle(lambda: len(tasks(pid)) == self.threads)
        assert len(tasks(pid)) == self.threads, threads_of(pid)
        assert descriptors_of(pid) == self.descriptors
        assert status_of(pid).get("State", "X")[0] not in "tTZX"


def percentile(values, share):
    """The value below which so much of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def kill(pid):
    """SIGKILL to a process that may be gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
