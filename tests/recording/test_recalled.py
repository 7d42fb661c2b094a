"""The command `memtop diagnose PID --record FILE` over a real process that was recorded before."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memtop.anatomy.anatomy import look
from memtop.anatomy.census import take_census
from memtop.errors import MemtopError
from memtop.kept import kept_anatomy, kept_census
from memtop.probe.parse import parse_stat
from memtop.probe.sample import Identity
from memtop.recording.appending import write_result

GROWING = """
import sys, time
kept = []
print("ready", flush=True)
while True:
    kept += [bytes(3000) for _ in range(60)]  # 3.5 MiB a second
    time.sleep(0.05)
"""
MEMTOP = (sys.executable, "-m", "memtop")


def keep(path, kept, at):
    write_result(str(path), kept.kind, kept.identity, kept.document, at=at)


def test_what_was_recorded_counts(tmp_path, children):
    """Hardly watched itself, it is diagnosed by how it grew before and by a look of back then."""
    path = tmp_path / "a.memtop"
    child = children.ready(GROWING)
    stat = parse_stat(Path(f"/proc/{child.pid}/stat").read_bytes())
    identity = Identity(stat.start_ticks, child.pid)
    command = (*MEMTOP, "record", str(path), "--pid", str(child.pid), "--interval", "0.5")
    recorder = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    time.sleep(6)
    try:
        anatomy = look(identity)
        objects = take_census(identity)
    except MemtopError as error:
        pytest.skip(f"it cannot be looked into here: {error}")
    finally:
        time.sleep(6)
        recorder.send_signal(signal.SIGTERM)
        recorder.wait()
    keep(path, kept_anatomy(anatomy), anatomy.taken_at)
    keep(path, kept_census(objects), objects.taken_at)

    done = subprocess.run(
        (*MEMTOP, "diagnose", str(child.pid), "--for", "3s", "--record", str(path), "--json"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["recorded_s"] >= 9
    first = said["findings"][0]
    assert first["cause"] == "python_objects"
    rise = next(one for one in first["for"] if one.startswith("RSS moved"))
    assert "as recorded" in rise
    came = float(rise.split("+")[1].split()[0])
    assert came >= 25  # of twelve seconds or more, and not of three
