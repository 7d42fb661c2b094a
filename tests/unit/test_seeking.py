"""Finding a moment of a recording by what somebody types."""

import pytest

from memtop.errors import UsageError
from memtop.model.tracker import Tracker
from memtop.probe.fake import FakeSource
from memtop.probe.sample import Wanted
from memtop.recording.appending import add_event, add_mark
from memtop.recording.line import FINE_SEGMENTS
from memtop.recording.opening import make
from memtop.recording.recorder import Recorder
from memtop.recording.recording import Recording
from memtop.recording.seeking import beside, seek

MIB = 1024
MIDNIGHT = 1_795_305_600.0  # 2026-11-22


def record(path, ticks, *, now, step_s=1.0):
    """A process whose memory rises by 1 MiB every 50 s, and one that ends halfway."""

    def move(source):
        one.rss_kib = (100 + int(source.clock_s // 50)) * MIB

    source, tracker = FakeSource(now=now, step_s=step_s, before_sample=move), Tracker(step_s)
    one = source.spawn(1, rss_mib=100)
    source.spawn(2, rss_mib=7)
    recorder = Recorder(make(str(path)), str(path))
    for tick in range(ticks):
        if tick == ticks // 2:
            source.end(2)
        recorder.write(tracker.feed(source.sample(Wanted(all_usage=True))))
    recorder.close()
    return one.identity


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """From ten minutes before midnight to ten after, with events."""
    path = tmp_path_factory.mktemp("seek") / "a.memtop"
    record(path, 1200, now=MIDNIGHT - 600.4)
    add_event(str(path), "oom", "OOM kill in /pod", at=MIDNIGHT - 100)
    add_event(str(path), "oom", "OOM kill in /pod", at=MIDNIGHT + 100)
    add_mark(str(path), "level 1", at=MIDNIGHT + 200)
    add_mark(str(path), "level 10", at=MIDNIGHT + 300)
    with Recording(str(path)) as made:
        yield made


@pytest.mark.parametrize(
    ("text", "here", "at"),
    [
        ("23:55", None, -300),  # the first sample of the minute, or later
        ("00:05", None, 300),
        ("0:05:00z", 10, 300),
        ("23:59:59", None, -1),
        ("2026-11-21 23:58", 1100, -120),
        ("2026-11-22T00:01:30Z", None, 90),
        ("+5m", None, -300),
        ("-5m", None, 299),
        ("+60", 600, 60),
        ("-1h", 600, -600),
        ("+9999999999999h", 600, 599),
        ("-9999999999999h", 600, -600),
        ("oom", None, -100),
        ("oom", 600, 100),
        ("oom", 1100, -100),  # after the last one comes the first one
        ("level 1", None, 200),  # exactly that, not `level 10`
        ("LEVEL", 900, 300),
        ("start", 5, -600),
        ("end", 5, 599),
    ],
)
def test_times_and_events(recording, text, here, at):
    """Each way to say it leads to the sample that is shown with that time, or just after it."""
    found = recording.time_of(seek(recording, text, here).tick) - MIDNIGHT
    assert at - 1.0 < found <= at + 1.0


@pytest.mark.parametrize("text", ["", "12:00", "24:00", "0:61", "2026-13-01 00:00", "+", "rise x"])
def test_what_cannot_be_found_says_what_can(recording, text):
    """An error in words, never another one."""
    with pytest.raises(UsageError) as error:
        seek(recording, text)
    assert error.value.message


def test_from_event_to_event(recording):
    """Both ways through all of them, each once; past the ends there is none."""
    events, ticks = recording.events(), []
    found = beside(recording, events, 0, 1)
    while found is not None:
        ticks.append(found.tick)
        found = beside(recording, events, found.tick, 1)
    back, found = [], beside(recording, events, recording.last_tick, -1)
    while found is not None:
        back.append(found.tick)
        found = beside(recording, events, found.tick, -1)
    assert len(ticks) == 4 and back == ticks[::-1]


def test_a_line_is_what_was_recorded(tmp_path):
    """Fine or coarse, the points are in order, hold what the samples held, and end where it did."""
    path = tmp_path / "long.memtop"
    identity = record(path, 3000, now=MIDNIGHT, step_s=1.0)
    with Recording(str(path)) as made:
        made.state(2999)
        number = made.number_of(identity)
        assert len(made.segments) > FINE_SEGMENTS
        whole = made.line(number, MIDNIGHT, MIDNIGHT + 2999)
        short = made.line(number, MIDNIGHT + 1000, MIDNIGHT + 1300)
        for points in (whole, short):
            assert [at for at, _ in points] == sorted(at for at, _ in points)
        for at in range(0, 3000, 7):
            real = (100 + at // 50) * MIB
            before = [kib for moment, kib in whole if moment <= MIDNIGHT + at]
            assert abs(before[-1] - real) <= MIB  # within 15 s one step may lie
        for at in range(1000, 1300, 7):
            before = [kib for moment, kib in short if moment <= MIDNIGHT + at]
            assert abs(before[-1] - (100 + at // 50) * MIB) <= 64
        assert made.value_at(number, 1499) == pytest.approx((100 + 1499 // 50) * MIB, abs=64)
        made.state(100)
        rests = next(one for one in made.state(100).rows if one.pid == 2)
        made.state(100)
        rested = made.line(made.number_of(rests), MIDNIGHT, MIDNIGHT + 2999)
        assert {kib for _, kib in rested} == {7 * MIB}
        assert rested[0][0] < MIDNIGHT + 1 and rested[-1][0] < MIDNIGHT + 1500 + 310
