"""Replay is what was shown, whatever happens: births, deaths, exec, groups, limits, OOM kills."""

import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memtop.model.tracker import Tracker
from memtop.probe.fake import FakeSource
from memtop.probe.sample import Cgroup, Pod, Wanted
from memtop.recording.opening import make
from memtop.recording.recorder import Recorder
from memtop.recording.recording import Recording

sys.path.insert(0, str(Path(__file__).parent))

from test_recording_both_ways import assert_same, rates_of, spans_of

MIB = 1024
POD = Pod("c" * 64, "app", "u-1", "shop-1", "shop", "Burstable")
PIDS = range(10, 16)
# What may happen between two samples: to which PID, what, and how large it is.
HAPPENINGS = st.lists(
    st.tuples(
        st.sampled_from(PIDS),
        st.sampled_from(("born", "ends", "exec", "grows", "falls", "zombie", "kill", "limit")),
        st.integers(0, 300),
    ),
    max_size=3,
)


def happen(source, pid, what, size, limits):
    """One of them."""
    process = source.processes.get(pid)
    if what == "born" and process is None:
        source.spawn(
            pid, 1, "python3", 20 + size, command="python -m shop.main",
            exe="/usr/bin/python3.11", cgroup="/pod", pod=POD,
        )  # fmt: skip
    elif what == "limit":
        limits[0] = (400 + 8 * size) << 20
    elif process is None:
        return
    elif what == "exec":
        process.name, process.command, process.exe = "sh", f"sh -c {size}", "/bin/sh"
    elif what == "grows":
        process.rss_kib += size * 40
    elif what == "falls":
        process.rss_kib = max(4, process.rss_kib - size * 40)
    elif what == "zombie":
        process.state = "Z"
    else:  # it ends, or it is killed for its memory
        limits[1] += what == "kill"
        source.end(pid)


def live_and_kept(path, story, step_s, *, exact):
    """The states that were live, and the recording's."""
    source, tracker = FakeSource(step_s=step_s), Tracker(step_s)
    source.spawn(1, 0, "python3", 80, command="python -m shop.main", exe="/usr/bin/python3.11")
    recorder = Recorder(make(path), path, exact=exact)
    limits, live = [1 << 30, 0], []
    for happenings in story:
        for pid, what, size in happenings:
            happen(source, pid, what, size, limits)
        inside = [one.rss_kib for one in source.processes.values() if one.cgroup == "/pod"]
        used = sum(inside) << 10
        source.cgroups = [
            Cgroup(
                "/pod", None, POD, limits[0], False, limit_file="memory.max", current_bytes=used,
                working_set_bytes=used, floor_bytes=used, anon_bytes=used, oom_kills=limits[1],
            )
        ]  # fmt: skip
        state = tracker.feed(source.sample(Wanted(all_usage=True)))
        recorder.write(state)
        live.append((state, spans_of(state), rates_of(state)))
    recorder.close()
    return live


@pytest.mark.parametrize("exact", [False, True])
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_story_is_told_again(exact, data):
    """At every sample the rows, trends, groups and limits are those that were live."""
    story = data.draw(st.lists(HAPPENINGS, min_size=3, max_size=60))
    # What goes on evenly for a while is what trends, groups and times to a limit come from.
    grow = data.draw(st.integers(0, 100))
    story = [[*one, (10, "born", 50), (10, "grows", grow)] for one in story]
    step_s = data.draw(st.sampled_from((0.5, 1.0, 5.0)))
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/a.memtop"
        live = live_and_kept(path, story, step_s, exact=exact)
        with Recording(path) as recording:
            assert recording.damage is None
            for tick, kept in reversed(list(enumerate(live))):
                then = recording.state(tick)
                assert_same(*kept, then, **({"band": 0} if exact else {}))
                for place, limit in kept[0].limits.items():
                    eta_s, copy = limit.eta_s, then.limits[place]
                    assert (copy.eta_s is None) == (eta_s is None)
                    assert eta_s is None or copy.eta_s == pytest.approx(eta_s, rel=0.02, abs=2)
                    assert copy.capacity == limit.capacity or not exact
                    assert copy.bound.oom_kills == limit.bound.oom_kills
