"""A look changes nothing in what it looks at."""

import os

import pytest
from truth import HERE, keyed, residence, resident, shared_with_relatives

HEARTBEAT = HERE.parent / "inject" / "target_heartbeat.py"


def counted(pid):
    """What a look might change."""
    rollup, status = keyed(pid, "smaps_rollup"), keyed(pid)
    return {
        **{name: rollup[name] for name in ("Rss", "Anonymous", "Shared_Dirty", "Private_Dirty")},
        "VmPTE": status["VmPTE"],
    }


def check_unchanged(before, after):
    grown = {name: after[name] - before[name] for name in before}
    assert 0 <= grown.pop("VmPTE") <= 8 << 10
    assert not any(grown.values()), grown


@pytest.mark.parametrize("megabytes", [40, pytest.param(300, marks=pytest.mark.deep)])
def test_forked_child(start, look, record_property, megabytes):
    """What a child shares with its parent remains shared, for both of them."""
    target = start("target_places.py", "child", megabytes)
    target.ask("info")
    target.ask("info")
    pids = target.said["pid"], target.said["parent"]
    before = [counted(pid) for pid in pids]
    assert before[0]["Shared_Dirty"] > megabytes << 19
    child, parent = look(pids[0]), look(pids[1])
    for old, pid in zip(before, pids, strict=True):
        check_unchanged(old, counted(pid))
    for found, pid in zip((child, parent), pids, strict=True):
        shared = sum(part.shared_bytes or 0 for part in found.parts if part.id != "files")
        real = shared_with_relatives(pid)
        record_property("shared", f"{shared >> 10} of {real >> 10} kB")
        # Data of libraries that begins as zeros is anonymous for the kernel, of the file for us.
        assert shared == pytest.approx(real, rel=0.03)


def test_never_touched(start, look):
    """Memory that was never touched, only read, or given back: remains so, and counts nothing."""
    target = start("target_places.py", "untouched")
    target.ask("info")
    places = [(target.said["never"], 256 << 20), (target.said["emptied"], 16 << 20)]
    before = counted(target.pid)
    was = [residence(target.pid, *place) for place in places]
    assert not any(map(any, was))
    found = look(target)
    check_unchanged(before, counted(target.pid))
    assert [residence(target.pid, *place) for place in places] == was
    assert found.rss_bytes == pytest.approx(resident(target.pid), rel=0.01)
    assert found.explained_bytes <= 1.005 * found.rss_bytes


@pytest.mark.parametrize("kind", ["huge", "stacks", "shared", "blocked", "forged"])
def test_other_memory(start, look, kind):
    """Huge pages stay huge, stacks as deep as they were, files as they are."""
    target = start("target_places.py", kind)
    target.ask("info")
    before = counted(target.pid)
    huge = keyed(target.pid, "smaps_rollup")["AnonHugePages"]
    look(target)
    check_unchanged(before, counted(target.pid))
    assert keyed(target.pid, "smaps_rollup")["AnonHugePages"] == huge


def test_nothing_remains(start, look):
    """Descriptors that were opened are closed, whatever the answer was."""
    target = start("target_heap.py", "frames", 2, 4)
    look(target)
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(3):
        look(target)
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.deep
def test_heartbeat(start, look, record_property):
    """Ten threads, one of which beats every millisecond: hardly held up while it is looked at."""
    target = start(str(HEARTBEAT), "threads", 250)
    import time

    time.sleep(1)
    quiet, looked = [], []
    for _ in range(10):
        target.ask("reset")
        time.sleep(0.5)
        quiet.append(target.ask("report")["worst_ms"])
        target.ask("reset")
        look(target)
        looked.append(target.ask("report")["worst_ms"])
    quiet.sort()
    looked.sort()
    record_property("worst_ms", f"{looked[5]} against {quiet[5]}")
    assert looked[5] <= quiet[5] + 2
