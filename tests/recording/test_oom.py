"""A real OOM kill while it is recorded: who died, and the last seconds of it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memtop.recording.recording import Recording

LIMIT_MIB = 80
FILES_MIB = 16  # of the interpreter, in its RSS but charged to whoever read them first
JOIN = 'echo $$ > "$1"; shift; exec "$@"'
EATER = """
import os, time
kept = []
while True:
    kept.append(os.urandom(4096) * 256 * 4)
    time.sleep(0.2)
"""


@pytest.fixture
def group():
    """A memory cgroup with a limit of 80 MiB and no swap."""
    old, new = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    folder = (old if old.is_dir() else new) / f"memtop-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error.strerror}")
    try:
        name = "memory.limit_in_bytes" if old.is_dir() else "memory.max"
        if not (folder / name).exists():
            pytest.skip("no memory controller in this cgroup")
        (folder / name).write_text(str(LIMIT_MIB << 20))
        if (folder / "memory.swap.max").exists():
            (folder / "memory.swap.max").write_text("0")
        yield folder
    finally:
        folder.rmdir()


def test_an_oom_kill_leaves_its_last_seconds(tmp_path, group):
    """The kill is an event that names who died; of its last seconds there are five values each."""
    path = tmp_path / "a.memtop"
    command = [sys.executable, "-m", "memtop", "record", str(path), "--interval", "0.5"]
    recorder = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        while not path.exists():
            assert recorder.poll() is None, recorder.stderr.read()
            time.sleep(0.05)
        joined = ["sh", "-c", JOIN, "sh", str(group / "cgroup.procs")]
        eater = subprocess.run([*joined, sys.executable, "-c", EATER], timeout=60, check=False)
        assert eater.returncode == -9
        time.sleep(2)
    finally:
        recorder.terminate()
        recorder.communicate()
    with Recording(str(path)) as recording:
        kills = [event for event in recording.events() if event.kind == "oom"]
        (kill,) = (event for event in kills if group.name in event.text)
        (ended,) = kill.detail["ended"]
        fine = [
            kib
            for at, number, kib in recording.fine()
            if recording.identity_of(number).pid == ended["pid"]
        ]
    assert len(fine) >= 5
    assert fine == sorted(fine)
    assert 0.8 * LIMIT_MIB < fine[-1] / 1024 <= LIMIT_MIB + FILES_MIB
