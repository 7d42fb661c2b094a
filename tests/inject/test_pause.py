"""How long an action stops anybody: figures, against the noise of the same minute.

The short forms judge the best of some tries, of more where the machine is busy: what memtop itself
does for too long is in each of them, what another program of the machine does is not.
"""

import os
import subprocess
import time

import pytest
from injecting import DONE, act_on_all, command, percentile

MORE_MS = 5.0
TRIES = 24  # at most, where one that is good enough is enough


def gap_while(heart, pid, action):
    """The longest silence of the heart while memtop acts on a process."""
    heart.ask("reset")
    results, error, _ = act_on_all([pid], action)
    assert results[pid]["outcome"] in DONE, error
    return heart.ask("report")["worst_ms"]


@pytest.mark.parametrize("mode", ["threads", "asyncio"])
@pytest.mark.parametrize("times", [4, pytest.param(30, marks=pytest.mark.deep)])
def test_the_heart_goes_on(start, record_property, mode, times):
    """A trim of 250 MB and ten threads is no longer silence than the noise, and 5 ms.

    The noise is the same command at the same time, acting on another process.
    """
    heart = start("target_heartbeat.py", mode)
    other = start("target_limits.py", "idle")
    noise, gaps = [], []
    for number in range(max(times, TRIES)):
        noise.append(gap_while(heart, other.pid, "trim"))
        gaps.append(gap_while(heart, heart.pid, "trim"))
        if number + 1 >= times and (times >= 10 or min(gaps) <= min(noise) + MORE_MS):
            break
    for name, values in (("noise", noise), ("gap", gaps)):
        record_property(f"{name}_ms_p50", percentile(values, 0.5))
        record_property(f"{name}_ms_max", max(values))
    for share in (0.5, 0.9) if times >= 10 else (0.0,):
        assert percentile(gaps, share) <= percentile(noise, share) + MORE_MS


@pytest.mark.deep
def test_gc_is_the_collection(start, record_property):
    """The silence of gc.collect is the collection, and not more."""
    heart = start("target_heartbeat.py", "threads")
    gaps, collections = [], []
    for _ in range(10):
        heart.ask("reset")
        results, error, _ = act_on_all([heart.pid], "gc")
        assert results[heart.pid]["outcome"] in DONE, error
        gaps.append(heart.ask("report")["worst_ms"])
        seconds = [one["seconds"] for one in results[heart.pid]["generations"]]
        collections.append(1000 * sum(seconds))
    record_property("gap_ms_p50", percentile(gaps, 0.5))
    record_property("collection_ms_p50", percentile(collections, 0.5))
    assert percentile(gaps, 0.5) <= percentile(collections, 0.5) + 15


@pytest.mark.parametrize("times", [8, pytest.param(200, marks=pytest.mark.deep)])
def test_how_long_a_thread_is_held(start, record_property, times):
    """One of five threads, for a fraction of a millisecond."""
    target = start("target_heartbeat.py", "threads", 20)
    held, results = [], {}
    for number in range(max(times, TRIES)):
        results, error, _ = act_on_all([target.pid])
        assert results[target.pid]["outcome"] in DONE, error
        held.append(results[target.pid]["held_us"])
        if number + 1 >= times and (times >= 100 or min(held) <= 3000):
            break
    for share in (0.5, 0.9, 0.99, 1.0):
        record_property(f"held_us_p{100 * share:.0f}", percentile(held, share))
    if times < 100:
        assert min(held) <= 3000
    else:
        assert percentile(held, 0.5) <= 600
        assert percentile(held, 0.99) <= 2000


@pytest.mark.parametrize("most_ms", [400, pytest.param(150, marks=pytest.mark.deep)])
def test_the_whole_command_is_quick(start, record_property, most_ms):
    """`memtop trim PID --no-predict` takes a fraction of a second, its own start included."""
    target = start("target_limits.py", "idle")
    # As it is installed: with its bytecode, which the first run writes.
    environment = {**os.environ}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    taken = []
    for _ in range(TRIES):
        begun = time.monotonic()
        subprocess.run(
            [*command("trim", target.pid), "--no-predict"],
            capture_output=True,
            check=True,
            env=environment,
        )
        taken.append(1000 * (time.monotonic() - begun))
        if len(taken) >= 8 and min(taken) <= most_ms:
            break
    record_property("wall_ms_p50", percentile(taken, 0.5))
    record_property("wall_ms_min", min(taken))
    assert min(taken) <= most_ms
