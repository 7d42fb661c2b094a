"""What a recording knows of processes counts as watched when they are diagnosed."""

import pytest

from memtop import recalling
from memtop.anatomy.objects import Objects
from memtop.anatomy.result import Anatomy
from memtop.diagnosis.diagnosis import diagnose
from memtop.errors import MemtopError
from memtop.evidence.evidence import Around, evidence_of
from memtop.kept import kept_anatomy, kept_census
from memtop.model.tracker import Tracker
from memtop.probe.fake import FakeSource
from memtop.probe.sample import Identity, Wanted
from memtop.recalling import recollect
from memtop.recording.appending import write_result
from memtop.recording.resuming import GoingOn
from memtop.recording.session import Session

WANTED = Wanted(all_usage=True)
STEP_S = 2.0
SAMPLES = 1800  # an hour


@pytest.fixture
def boot(monkeypatch):
    """Made-up processes are of this boot."""
    monkeypatch.setattr(recalling, "boot_id_of", lambda root: "this boot")


def record(path, kib_at, samples=SAMPLES, **options):
    """A process that has taken so much more at each sample, and its recording."""
    taken = iter(range(10**9))

    def move(source):
        source.processes[10].rss_kib = 300 * 1024 + kib_at(next(taken))

    source = FakeSource(step_s=STEP_S, before_sample=move)
    source.spawn(10, age_s=5, command="python -m main")
    session, tracker = Session(str(path), boot_id="this boot", **options), Tracker(STEP_S)
    for _ in range(samples):
        session.take(tracker.feed(source.sample(WANTED)))
    session.close()
    source.processes[10].reported.clear()  # who comes next sees it for the first time
    return source


def watched(source, known, samples=15):
    """The evidence about the process after half a minute more."""
    tracker, sampled = Tracker(STEP_S), source
    if known is not None:
        sampled = GoingOn(source, known.resume(tracker, source.clock_s))
    for _ in range(samples):
        state = tracker.feed(sampled.sample(WANTED))
    identity = next(one for one in state.rows if one.pid == 10)
    around = Around()
    if known is not None:
        before = known.before(state)
        around = Around(before=before, watched_s=state.watched_s, is_recorded=before is not None)
    return evidence_of(state, identity, around=around)


def test_a_slow_leak_is_seen_with_the_hour_before(tmp_path, boot):
    """In half a minute it is noise; with the recording it is leak-like, with its true slope."""
    path = tmp_path / "a.memtop"
    source = record(path, lambda sample: 40 * sample)  # 1.2 MiB a minute
    known = recollect(str(path), 30.0)
    assert known.interval_s == STEP_S
    evidence = watched(source, known)
    known.close()

    assert evidence.watch.from_recording
    assert evidence.watch.seconds == pytest.approx(SAMPLES * STEP_S, abs=60)
    assert evidence.watch.change_bytes == pytest.approx(40 * 1024 * SAMPLES, rel=0.05)
    assert evidence.watch.trend == "leak-like"
    assert evidence.watch.slope_bytes_s == pytest.approx(20 * 1024, rel=0.1)
    first = diagnose(evidence)[0]
    assert "grows 1.2 MiB/min" in first.headline
    assert "in 1 h, as recorded, leak-like" in first.supporting[0]

    alone = watched(record(tmp_path / "b.memtop", lambda sample: 40 * sample), None)
    assert not alone.watch.from_recording
    assert diagnose(alone)[0].cause == "steady"


def test_a_warm_up_is_known_to_be_over(tmp_path, boot):
    """A process that grew for ten minutes and rests for fifty has warmed up, and does not leak."""
    path = tmp_path / "a.memtop"
    source = record(path, lambda sample: 400 * min(sample, 300))
    known = recollect(str(path), 30.0)
    evidence = watched(source, known)
    known.close()

    assert evidence.watch.still_s > 2400
    first = diagnose(evidence)[0]
    assert (first.cause, first.word) == ("warm_up", "almost sure")


def test_a_day_is_known_in_steps_of_five_minutes(tmp_path, boot):
    """Beyond two hours the history has coarse steps: the whole time counts all the same."""
    path = tmp_path / "a.memtop"
    source = record(path, lambda sample: 4 * sample, samples=3900)
    known = recollect(str(path), 30.0)
    evidence = watched(source, known)
    known.close()

    assert evidence.watch.seconds == pytest.approx(3900 * STEP_S, abs=600)
    assert evidence.watch.change_bytes == pytest.approx(4 * 1024 * 3900, rel=0.1)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("another boot", "is of another boot"),
        ("too slow", "has a sample every 2 s: --for 12s uses them"),
        ("empty", None),
    ],
)
def test_what_cannot_be_gone_on_with(tmp_path, boot, monkeypatch, case, words):
    """Of another boot nothing is known; what was sampled rarely tells nothing in a short time."""
    path = tmp_path / "a.memtop"
    if case == "empty":
        write_result(str(path), "anatomy", None, {})
        source = FakeSource(step_s=STEP_S)
    else:
        source = record(path, lambda sample: 0, samples=10)
    if case == "another boot":
        monkeypatch.setattr(recalling, "boot_id_of", lambda root: "another boot")
    known = recollect(str(path), 3.0 if case == "too slow" else 30.0)
    try:
        tracker = Tracker(STEP_S)
        assert known.interval_s is None
        assert known.why_not is None if words is None else words in known.why_not
        assert known.resume(tracker, source.clock_s) == frozenset()
        assert known.looks() == []
        if case != "too slow":
            assert known.before(tracker.feed(source.sample(WANTED))) is None
    finally:
        known.close()


def test_no_file_is_nothing_and_another_file_an_error(tmp_path):
    """A recording that is yet to be made is fine; what is none is said to be none."""
    assert recollect(None, 30.0) is None
    assert recollect(str(tmp_path / "none.memtop"), 30.0) is None
    other = tmp_path / "other"
    other.write_text("no recording")
    with pytest.raises(MemtopError, match="other"):
        recollect(str(other), 30.0)


def looked(identity, at, python="3.11.7"):
    return Anatomy(identity, "python", at, 0.1, 1 << 20, (), python=python)


def counted(identity, at):
    return Objects(identity, "python", at, 0.1, "census", (), python="3.11.7")


def keep(path, kept, at):
    write_result(str(path), kept.kind, kept.identity, kept.document, at=at)


def test_the_earliest_look_is_the_first(tmp_path, boot):
    """Anatomy and census that were taken together are a look; not what was taken at the start."""
    path = tmp_path / "a.memtop"
    record(path, lambda sample: 0, samples=100)
    known = recollect(str(path), 30.0)
    last = known._recording.state(known._recording.last_tick)
    identity = next(one for one in last.rows if one.pid == 10)
    known.close()
    born_at = last.rows[identity].started_at
    for age_s in (1, 60, 100, 150):
        keep(path, kept_anatomy(looked(identity, born_at + age_s)), born_at + age_s)
    for age_s in (2, 103, 152):
        keep(path, kept_census(counted(identity, born_at + age_s)), born_at + age_s)
    gone = Identity(1, 4711)
    keep(path, kept_anatomy(looked(gone, born_at + 60, None)), born_at + 60)

    known = recollect(str(path), 30.0)
    (look,) = known.looks()
    known.close()
    assert look.identity == identity
    assert look.anatomy.taken_at == pytest.approx(born_at + 100)
    assert look.objects.taken_at == pytest.approx(born_at + 103)
    assert look.command == "python -m main"
