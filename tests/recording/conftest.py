"""Real recorders in processes of their own, at full speed, and what they print."""

import subprocess
import sys

import pytest

# Records made-up services without waiting, and says after each sample that it is in the file.
WRITER = """
import random, sys
from memtop.model.tracker import Tracker
from memtop.probe.fake import FakeSource
from memtop.probe.sample import Wanted
from memtop.recording.session import Session

path, count = sys.argv[1], int(sys.argv[2])
roll = random.Random(1)
def move(source):
    for pid, process in list(source.processes.items()):
        if pid % 3:
            process.rss_kib += 4 * roll.randrange(-40, 60)
    if roll.random() < 0.3:
        command = "python -m job" + "x" * roll.randrange(300)
        source.spawn(1000 + len(seen), 1, "python", 30, command=command)
        seen.append(1)
        if len(seen) > 20:
            source.processes.get(980 + len(seen)) and source.end(980 + len(seen))
seen = []
source = FakeSource(step_s=2.0, before_sample=move)
source.spawn(1, 0, "python", 50, command="python -m main")
for pid in range(2, 60):
    source.spawn(pid, 1, "python", 50, command="python -m main")
tracker, session = Tracker(2.0), Session(path)
if not session.is_new:
    session.resume(tracker, 2.0, 0.0)
for _ in range(count):
    session.take(tracker.feed(source.sample(Wanted(all_usage=True))))
    print(session.tick, flush=True)
session.close()
"""


class Writers:
    def __init__(self):
        self._running = []

    def start(self, path, count=10**9):
        """A recorder at full speed, after its first sample."""
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(count)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._running.append(child)
        first = child.stdout.readline()
        assert first, child.stderr.read()
        child.first_tick = int(first)
        return child

    def end(self):
        for child in self._running:
            child.kill()
            child.communicate()


@pytest.fixture
def writers():
    """Starts recorders, and ends them with the test."""
    made = Writers()
    yield made
    made.end()


@pytest.fixture(scope="session")
def day(tmp_path_factory):
    """A finished recording of 500 samples; it is not to be changed."""
    path = tmp_path_factory.mktemp("day") / "day.memtop"
    made = Writers()
    child = made.start(path, 500)
    child.communicate(timeout=60)
    assert child.returncode == 0
    yield path
    made.end()
