"""Recordings for the tests of reports, made of samples that were made up, and what they say."""

import json

from memtop.cli import main
from memtop.model.tracker import Tracker
from memtop.probe.fake import FakeSource
from memtop.probe.sample import Wanted
from memtop.recording.recording import Recording
from memtop.recording.session import Session
from memtop.reports.report import report_of

MIB = 1024
BEGIN = 1_795_269_600.0  # of a FakeSource
WANTED = Wanted(all_usage=True)


def record(path, source, ticks, *, step_s=1.0, at=None, **options):
    """Record so many samples; `at` maps a sample to what is done after it, with the session."""
    session = Session(str(path), boot_id="this boot", **options)
    tracker = Tracker(step_s)
    for tick in range(ticks):
        session.take(tracker.feed(source.sample(tracker.ask(WANTED))))
        if at is not None:
            at(tick, session)
    session.close()
    return str(path)


def python(source, pid, name, mib, *, parent=1, **fields):
    """A Python process of a service."""
    command, exe = f"python -m {name}", "/usr/bin/python3.11"
    return source.spawn(pid, parent, "python3", mib, command=command, exe=exe, **fields)


def service(move=None, *, step_s=1.0, age_s=5000.0):
    """An old service that rests; `move(source, tick)` may change it before each sample."""
    ticks = iter(range(10**9))
    source = FakeSource(
        step_s=step_s, before_sample=lambda source: move and move(source, next(ticks))
    )
    python(source, 1, "shop.main", 80, parent=0, age_s=age_s)
    python(source, 20, "shop.feed", 120, age_s=age_s)
    for pid in range(30, 36):
        source.spawn(pid, 0, "sshd", 5, age_s=age_s)
    return source


def climbing(kib_a_sample=200):
    """A service whose feed process grows evenly."""

    def move(source, tick):
        source.processes[20].rss_kib = 120 * MIB + kib_a_sample * tick

    return service(move)


def read(path):
    """The report of a recording."""
    with Recording(str(path)) as recording:
        return report_of(recording)


def told(capsys, *arguments, code=0):
    """What `memtop report` prints."""
    assert main(["report", *map(str, arguments)]) == code
    return capsys.readouterr().out


def document(capsys, *arguments, code=0):
    """The same as JSON."""
    return json.loads(told(capsys, *arguments, "--json", code=code))


def subject(report, pid):
    """One process of a report."""
    return next(one for one in report.processes if one.pid == pid)


def mib_min(kib_s):
    """A rate as it is shown."""
    return kib_s * 60 / 1024
