"""Whoever waits in a system call gets what it waits for, in time, whatever is done meanwhile."""

import json
import subprocess
import sys
import time

import pytest
from injecting import DONE, HERE, act_on_all
from pythons import label

PERIOD_S = 0.3
EARLY_MS = -1.5  # the clock of asyncio and of poll counts milliseconds
KINDS = json.loads(
    subprocess.run(
        [sys.executable, HERE / "target_blocking.py", "kinds"], capture_output=True, check=True
    ).stdout
)


def watch(targets):
    """What each target has said since it was asked last."""
    return {kind: target.lines() for kind, target in targets.items()}


def worst(said):
    return max((line["late_ms"] for lines in said.values() for line in lines), default=0.0)


@pytest.mark.parametrize(
    ("times", "late_ms"), [(2, 250.0), pytest.param(20, 50.0, marks=pytest.mark.deep)]
)
def test_what_is_waited_for_comes_in_time(start, each_python, times, late_ms):
    """Every kind of blocking call of Python gives the right value at the right time.

    A call that began anew, with its whole time, would be a period late; the short form only tells
    that, because it runs on machines that do other work as well.
    """
    targets = {
        kind: start("target_blocking.py", kind, PERIOD_S, python=each_python) for kind in KINDS
    }
    watch(targets)
    time.sleep(4 * PERIOD_S)
    noise = worst(watch(targets))
    heard = {kind: [] for kind in KINDS}
    for turn in range(times):
        # Those of 3.6 have no GIL, as nobody has made a thread.
        action = "gc" if turn % 2 and not label(each_python).startswith("3.6") else "trim"
        pids = [target.pid for target in targets.values()]
        results, error, code = act_on_all(pids, action)
        refused = {
            kind: results[target.pid]
            for kind, target in targets.items()
            if results[target.pid]["outcome"] not in DONE
        }
        assert not refused, error
        assert code == 0
        for kind, lines in watch(targets).items():
            heard[kind] += lines
    time.sleep(1.5 * PERIOD_S)
    for kind, lines in watch(targets).items():
        heard[kind] += lines
    for kind, lines in heard.items():
        assert lines, f"{kind}: nothing came any more"
        assert all(line["ok"] for line in lines), (kind, lines)
        late = [line["late_ms"] for line in lines]
        assert min(late) >= EARLY_MS, (kind, min(late))
        assert max(late) <= late_ms + max(0.0, noise), (kind, max(late), noise)
