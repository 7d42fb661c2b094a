"""A census changes nothing in what it looks at."""

import os
import time
from pathlib import Path

import pytest
from counting import counts
from truth import keyed

HEARTBEAT = Path(__file__).parent.parent / "inject" / "target_heartbeat.py"


def counted(pid):
    """What a census might change."""
    rollup, status = keyed(pid, "smaps_rollup"), keyed(pid)
    return {
        **{name: rollup[name] for name in ("Rss", "Anonymous", "Shared_Dirty", "Private_Dirty")},
        "VmPTE": status["VmPTE"],
    }


@pytest.mark.parametrize("full", [False, True])
def test_forked_worker(start, census, full):
    """What a worker shares with its parent remains shared, for both of them."""
    target = start("target_forked.py", 60_000)
    target.ask("info")
    target.ask("info")
    pids = target.said["pid"], target.said["parent"]
    before = [counted(pid) for pid in pids]
    assert before[0]["Shared_Dirty"] > 10 << 20
    for pid in pids:
        assert counts(census(pid, full=full))["Shared"] == pytest.approx(60_000, rel=0.02)
    for old, pid in zip(before, pids, strict=True):
        new = counted(pid)
        assert 0 <= new.pop("VmPTE") - old.pop("VmPTE") <= 8 << 10
        for name in ("Shared_Dirty", "Private_Dirty"):  # it runs itself, and writes to some pages
            assert abs(new.pop(name) - old.pop(name)) <= 64 << 10
        assert new == old


def test_nothing_remains(start, census):
    """Descriptors that were opened are closed."""
    target = start("target_known.py", 100)
    census(target)
    before = sorted(os.listdir("/proc/self/fd"))
    census(target)
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.deep
def test_heartbeat(start, census, record_property):
    """Ten threads, one of which beats every millisecond: hardly held up while it is looked at.

    Against as much work that looks at nothing, because a census takes a processor, too.
    """
    target = start(str(HEARTBEAT), "threads", 250)
    time.sleep(1)
    quiet, looked = [], []
    for _ in range(10):
        target.ask("reset")
        seconds = census(target, full=True).seconds
        looked.append(target.ask("report")["worst_ms"])
        target.ask("reset")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass
        quiet.append(target.ask("report")["worst_ms"])
    quiet.sort()
    looked.sort()
    record_property("worst_ms", f"{looked[5]} against {quiet[5]}")
    assert looked[5] <= quiet[5] + 2
