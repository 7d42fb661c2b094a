"""A recording goes on, leaves out what is not wanted, and notes what happens by itself."""

import os
import random
import sqlite3
import subprocess

import pytest

from memtop.errors import MemtopError
from memtop.model.filter import parse
from memtop.model.tracker import Tracker
from memtop.probe.fake import FakeSource
from memtop.probe.handle import read
from memtop.probe.parse import parse_stat
from memtop.probe.sample import Cgroup, Identity, Pod, Wanted
from memtop.recording.appending import add_mark
from memtop.recording.recording import Recording
from memtop.recording.resuming import GoingOn
from memtop.recording.ring import KEPT_S, MOST, Ring
from memtop.recording.session import Chosen, Session

MIB = 1024
WANTED = Wanted(all_usage=True)


def record(path, source, ticks, *, tracker=None, step_s=1.0, **options):
    """Record some samples; the last live state."""
    session = Session(str(path), boot_id="this boot", **options)
    tracker = tracker or Tracker(step_s)
    past = session.resume(tracker, step_s, source.clock_s)
    source = GoingOn(source, past.living)
    for _ in range(ticks):
        state = tracker.feed(source.sample(tracker.ask(WANTED)))
        session.take(state)
    session.close()
    return state


def anew(source):
    """What a new process would see of the same machine: everybody for the first time."""
    for process in source.processes.values():
        process.reported.clear()


def leaking(kib_s=200):
    """A source with a leak below noise, a noisy process and one that rests."""
    roll = random.Random(1)

    def move(source):
        leak.rss_kib += kib_s
        leak.rss_kib += roll.randrange(-200, 200)
        noisy.rss_kib = 100 * MIB + 4 * roll.randrange(2000)

    source = FakeSource(before_sample=move)
    leak = source.spawn(10, rss_mib=300)
    noisy = source.spawn(11, rss_mib=100)
    source.spawn(12, rss_mib=50)
    return source


def row(state, pid):
    return next(one for one in state.rows.values() if one.pid == pid)


def test_a_restart_goes_on_with_what_grew(tmp_path):
    """Who goes on says leak-like at once, with the evidence of before, and the others' words."""
    path, source = tmp_path / "a.memtop", leaking()
    before = record(path, source, 900)
    assert row(before, 10).trend.word == "leak-like"
    anew(source)
    source.step(30.0)
    after = record(path, source, 8)

    for pid in (10, 11, 12):
        assert row(after, pid).trend.word == row(before, pid).trend.word
    trend, old = row(after, 10).trend, row(before, 10).trend
    assert trend.since_s == pytest.approx(old.since_s, abs=30)
    assert trend.slope_bytes_s == pytest.approx(old.slope_bytes_s, rel=0.1)
    with Recording(str(path)) as recording:
        assert [run.first_tick for run in recording.runs] == [0, 900]
        assert len(recording.processes()) == 3
        assert row(recording.state(901), 10).trend.word == "leak-like"
        # Nobody looked for 30 s.
        (gap,) = recording.state(905).gaps
        assert gap[1] - gap[0] in (0, 1)


def test_without_the_past_it_would_be_new(tmp_path):
    """The same restart into another file knows nothing: it is the past that makes it leak-like."""
    source = leaking()
    record(tmp_path / "a.memtop", source, 900)
    anew(source)
    after = record(tmp_path / "b.memtop", source, 8)

    assert row(after, 10).trend.word == "new"


def test_another_boot_is_another_machine(tmp_path):
    """After a reboot the same PID and start are somebody else."""
    path, source = tmp_path / "a.memtop", leaking()
    record(path, source, 300)
    anew(source)
    session = Session(str(path), boot_id="next boot")
    tracker = Tracker(1.0)
    assert not session.resume(tracker, 1.0, source.clock_s).known
    session.take(tracker.feed(source.sample(WANTED)))
    session.close()
    with Recording(str(path)) as recording:
        assert len(recording.processes()) == 6
        assert recording.runs[1].boot_id == "next boot"
        assert len(recording.state(300).rows) == 3


def test_another_interval_knows_the_processes_only(tmp_path):
    """With another interval a process keeps its number; how it grows is found out anew."""
    path, source = tmp_path / "a.memtop", leaking()
    record(path, source, 300)
    anew(source)
    after = record(path, source, 5, step_s=5.0)
    assert row(after, 10).trend.word == "new"
    with Recording(str(path)) as recording:
        assert len(recording.processes()) == 3


def test_only_what_matches_is_recorded(tmp_path):
    """A filter picks processes from their first match on, with those above them."""
    source = FakeSource()
    source.spawn(1, name="init")
    source.spawn(10, 1, "main", command="python -m main")
    worker = source.spawn(11, 10, "worker", 40, command="python -m worker")
    source.spawn(12, 1, "bash")
    session, tracker = (
        Session(str(tmp_path / "a.memtop"), chosen=Chosen(parse("rss>100m"))),
        Tracker(),
    )
    for tick in range(20):
        worker.rss_kib = (150 if 5 <= tick < 9 else 40) * MIB
        session.take(tracker.feed(source.sample(WANTED)))
    session.close()
    with Recording(str(tmp_path / "a.memtop")) as recording:
        assert not recording.state(4).rows
        for tick in (5, 8, 12, 19):
            assert {one.pid for one in recording.state(tick).rows.values()} == {1, 10, 11}
        assert row(recording.state(19), 11).rss_kib == 40 * MIB


def test_only_a_subtree_or_python(tmp_path):
    """`--pid` and `--python` leave the others out, too."""
    source = FakeSource()
    source.spawn(1, name="init")
    source.spawn(10, 1, "python3", command="python -m main", exe="/usr/bin/python3")
    source.spawn(11, 10, "python3", command="python -m worker", exe="/usr/bin/python3")
    source.spawn(12, 10, "ffmpeg")
    source.spawn(20, 1, "python3", command="python -m other", exe="/usr/bin/python3")
    state = Tracker().feed(source.sample(WANTED))

    def pids(**options):
        return {one.pid for one in Chosen(**options).rows(state).values()}

    assert Chosen().rows(state) is None
    assert pids(top_pid=10) == {1, 10, 11, 12}
    assert pids(python=True) == {1, 10, 11, 20}
    assert pids(python=True, top_pid=10) == {1, 10, 11}
    assert pids(matching=parse("ffmpeg")) == {1, 10, 12}


def test_an_oom_kill_is_an_event(tmp_path):
    """A kill is marked where it was, once, with who ended then; what was before is no event."""
    source = FakeSource()
    pod = Pod("c" * 64, "app", "u-1", "shop-1", "shop", "Burstable")
    for pid in (10, 11):
        source.spawn(pid, name="worker", rss_mib=400, cgroup="/pods/shop/app", pod=pod)
    kills = 3

    def cgroups():
        return [
            Cgroup("/pods/shop/app", "/pods/shop", pod, 1 << 30, False, oom_kills=kills),
            Cgroup("/pods/shop", None, pod, 1 << 30, False, oom_kills=kills),
        ]

    session, tracker = Session(str(tmp_path / "a.memtop")), Tracker()
    for tick in range(30):
        if tick == 12:
            source.end(11)
            kills = 4
        source.cgroups = cgroups()
        session.take(tracker.feed(source.sample(WANTED)))
    session.close()
    with Recording(str(tmp_path / "a.memtop")) as recording:
        (event,) = recording.events()
        assert event.kind == "oom"
        assert event.text == "OOM kill in shop-1 app: worker 11"
        assert event.detail["ended"] == [{"pid": 11, "name": "worker", "rss_kib": 400 * MIB}]
        assert recording.time_of(12) == event.at


@pytest.mark.parametrize("case", ["not recorded", "memtop itself"])
def test_a_leak_of_nobody_here_is_no_event(tmp_path, case):
    """Who is not recorded, and memtop that knows more and more, become leak-like without a word."""
    path, source = tmp_path / "a.memtop", leaking()
    chosen = Chosen(top_pid=12) if case == "not recorded" else None
    own = source.processes[10].identity if case == "memtop itself" else None
    session, tracker = Session(str(path), chosen=chosen), Tracker(1.0, own)
    for _ in range(200):
        state = tracker.feed(source.sample(tracker.ask(WANTED)))
        session.take(state)
    session.close()
    assert row(state, 10).trend.word == "leak-like"
    with Recording(str(path)) as recording:
        assert recording.events() == []


def test_a_leak_is_an_event_and_its_last_minutes_are_kept(tmp_path):
    """When a process becomes leak-like that is marked, and what the ring saw is in the file."""
    path, source = tmp_path / "a.memtop", leaking()
    own = source.spawn(os.getpid(), rss_mib=10)
    own.identity = Identity(parse_stat(read("/proc/self/stat")).start_ticks, os.getpid())
    session, tracker = Session(str(path), root="/proc"), Tracker()
    for tick in range(200):
        session.take(tracker.feed(source.sample(tracker.ask(WANTED))))
        if tick < 5:
            session.read_ring()
    session.close()
    with Recording(str(path)) as recording:
        (event,) = recording.events()
        assert (event.kind, event.text) == ("leak-like", "python 10 is leak-like")
        at = recording.tick_at(event.at)
        assert row(recording.state(at), 10).trend.word == "leak-like"
        assert row(recording.state(at - 1), 10).trend.word != "leak-like"
        numbers = {number for _, number, _ in recording.fine()}
        assert {recording.identity_of(number).pid for number in numbers} >= {os.getpid()}


def test_the_ring_reads_the_selected_the_growing_and_the_largest():
    """At most 32 are read more often: the selected one first, then who grows, then by size."""
    source = leaking()
    for pid in range(100, 160):
        source.spawn(pid, rss_mib=400 + pid)
    small = source.spawn(99, rss_mib=1).identity
    tracker, ring = Tracker(), Ring()
    for _ in range(150):
        state = tracker.feed(source.sample(tracker.ask(WANTED)))
    ring.choose(state, small)

    pids = [one.pid for one in ring.chosen]
    assert len(pids) == MOST
    assert pids[:3] == [99, 10, 159]


def write_stat(path, identity):
    """A `stat` as the kernel writes it (proc_pid_stat(5))."""
    fields = ["S", "1", *["0"] * 17, str(identity.start_ticks), "0", "10", *["0"] * 28]
    path.write_text(f"{identity.pid} (python) {' '.join(fields)}\n")


def test_the_ring_forgets(tmp_path):
    """The ring holds two minutes, only changes take room, and nothing is taken twice."""
    (tmp_path / "7").mkdir()
    statm = tmp_path / "7" / "statm"
    statm.touch()
    source = FakeSource()
    identity = source.spawn(7, rss_mib=10).identity
    write_stat(tmp_path / "7" / "stat", identity)
    state = Tracker().feed(source.sample(WANTED))
    ring = Ring(str(tmp_path))
    ring.choose(state)
    for tick in range(1000):
        statm.write_text(f"1 {1000 + tick // 5} 0 0 0 0 0\n")
        ring.read(1000 + tick * 0.2)
    found = ring.take()

    assert found[0][0] <= 1000 + 1000 * 0.2 - KEPT_S
    assert len(found) <= KEPT_S + 2
    assert ring.take() == []


def test_the_ring_never_reads_another_process(tmp_path):
    """Nothing is said of a process whose PID is in use again, whether it was held or not."""
    source = FakeSource()
    identity = source.spawn(os.getpid(), rss_mib=10).identity
    state = Tracker().feed(source.sample(WANTED))
    ring = Ring()
    ring.choose(state)
    ring.read(1000.0)
    assert identity.start_ticks != parse_stat(read("/proc/self/stat")).start_ticks
    assert ring.take() == []

    child = subprocess.Popen(["sleep", "60"])
    started = parse_stat(read(f"/proc/{child.pid}/stat")).start_ticks
    ended = source.spawn(child.pid, rss_mib=10)
    ended.identity = Identity(started, child.pid)
    ring.choose(Tracker().feed(source.sample(WANTED)))
    ring.read(1001.0)
    assert [one for _, one, _ in ring.take()] == [ended.identity]
    child.kill()
    child.wait()
    ring.read(1002.0)
    assert ring.take() == []
    opened = len(os.listdir("/proc/self/fd"))
    ring.close()
    assert len(os.listdir("/proc/self/fd")) == opened - 1


def test_any_tool_reads_the_main_facts(tmp_path):
    """Plain SQL tells who there was, how large each was by the minute, and what was said."""
    path, source = tmp_path / "a.memtop", leaking()
    last = record(path, source, 400)
    connection = sqlite3.connect(path)
    names = dict(connection.execute("SELECT pid, name FROM processes JOIN facts USING (object)"))
    minutes = connection.execute(
        "SELECT high_kib FROM rss_by_minute WHERE pid = 10 ORDER BY minute_at"
    ).fetchall()
    sums = connection.execute("SELECT rss_kib, processes FROM ticks ORDER BY tick").fetchall()
    words = connection.execute(
        "SELECT word FROM trends JOIN processes USING (object) WHERE pid = 10 ORDER BY number"
    ).fetchall()
    connection.close()

    assert names == {10: "python", 11: "python", 12: "python"}
    assert len(minutes) in (6, 7) and minutes == sorted(minutes)
    assert sums[-1] == (sum(one.rss_kib for one in last.rows.values()), 3)
    assert words[0] == ("new",) and words[-1] == ("leak-like",)


def test_a_name_that_is_no_text(tmp_path):
    """A name in bytes that are no UTF-8 comes back as it was."""
    source = FakeSource()
    source.spawn(10, name="caf\udce9", command="caf\udce9 ☕ \x1b[31m")
    record(tmp_path / "a.memtop", source, 3)
    with Recording(str(tmp_path / "a.memtop")) as recording:
        assert row(recording.state(2), 10).name == "caf\udce9"
        assert row(recording.state(2), 10).command == "caf\udce9 ☕ \x1b[31m"
        assert recording.processes()[0].name == "caf\udce9"


def test_a_reader_sees_what_comes(tmp_path):
    """Who reads while it is recorded finds new samples when it asks again."""
    path, source = tmp_path / "a.memtop", leaking()
    session, tracker = Session(str(path)), Tracker()
    session.take(tracker.feed(source.sample(WANTED)))
    with Recording(str(path)) as recording:
        assert recording.last_tick == 0 and not recording.refresh()
        for _ in range(400):
            state = tracker.feed(source.sample(WANTED))
            session.take(state)
        assert recording.refresh()
        assert recording.last_tick == 400
        assert abs(row(recording.state(400), 10).rss_kib - row(state, 10).rss_kib) < 64
    session.close()


def test_the_memory_of_one(tmp_path):
    """`memory` has every change of one process beyond the dead band, over all segments."""
    path, source = tmp_path / "a.memtop", leaking(kib_s=300)
    session, tracker, live = Session(str(path)), Tracker(), []
    for _ in range(700):
        state = tracker.feed(source.sample(WANTED))
        live.append(row(state, 10).rss_kib)
        session.take(state)
    session.close()
    with Recording(str(path)) as recording:
        recording.state(699)
        number = recording.number_of(row(state, 10).identity)
        for first, last in ((0, 699), (350, 420)):
            points = recording.memory(number, first, last)
            held = dict(points)
            assert points[0][0] == first and points[-1][0] <= last
            value = None
            for tick in range(first, last + 1):
                value = held.get(tick, value)
                assert abs(value - live[tick]) < 64


@pytest.mark.parametrize("moved", [False, True])
def test_a_file_that_is_taken_away(tmp_path, moved):
    """It is said that the file is gone, and nothing is written to where it was."""
    path, source = tmp_path / "a.memtop", leaking()
    session, tracker = Session(str(path), boot_id="b"), Tracker(1.0)
    session.take(tracker.feed(source.sample(Wanted())))
    path.rename(tmp_path / "b.memtop") if moved else path.unlink()
    with pytest.raises(MemtopError, match="it was removed or moved away"):
        session.take(tracker.feed(source.sample(Wanted())))
    session.close()
    assert not path.exists()


def test_an_unnamed_file():
    """No name is no file."""
    with pytest.raises(MemtopError):
        Session("")


def test_what_is_typed_is_masked(tmp_path):
    """A mark may be the command line that a script is about to run: its secrets are not written."""
    path = tmp_path / "a.memtop"
    source = leaking()
    record(path, source, 3)
    add_mark(str(path), "deploy --password=hunter2 --level 8")
    with Recording(str(path)) as recording:
        (event,) = recording.events()
    assert event.text == "deploy --password=*** --level 8"
    assert b"hunter2" not in path.read_bytes()
