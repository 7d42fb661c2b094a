"""Several processes at one file: marks from a script, results of commands, a restart."""

import os
import subprocess
import sys
import time

from memtop.errors import MemtopError
from memtop.probe.sample import Identity
from memtop.recording.appending import write_result
from memtop.recording.recording import Recording

# Grows by 1 MiB a second, in small steps.
LEAK = (
    "import sys, time; print('ready', flush=True); kept = []\n"
    "while True: kept.append(bytearray(b'x') * (100 << 10)); time.sleep(0.1)"
)


def memtop(*arguments):
    command = [sys.executable, "-m", "memtop", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_mark_while_somebody_records(tmp_path, writers):
    """`memtop mark` from another process lands in the file that is being written at full speed."""
    path = tmp_path / "a.memtop"
    child = writers.start(path)
    begin = time.time() - 0.02  # a mark is of the command's begin, which is known to 10 ms
    for level in (1, 2, 4):
        done = memtop("mark", path, "level", level)
        assert (done.returncode, done.stderr) == (0, "")
    assert child.poll() is None
    child.kill()
    child.communicate()
    with Recording(str(path)) as recording:
        marks = [one for one in recording.events() if one.kind == "mark"]
        assert [one.text for one in marks] == ["level 1", "level 2", "level 4"]
        assert all(begin <= one.at <= time.time() for one in marks)


def test_a_mark_needs_a_recording(tmp_path):
    """A mark in a file that does not exist is an error, and makes no file."""
    done = memtop("mark", tmp_path / "none.memtop", "level 8")

    assert done.returncode == 1
    assert "none.memtop" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_many_marks_at_once(tmp_path, writers):
    """Ten scripts that mark at the same time wait for each other."""
    path = tmp_path / "a.memtop"
    writers.start(path, 1).communicate()
    command = [sys.executable, "-m", "memtop", "mark", str(path)]
    running = [subprocess.Popen([*command, f"m{number}"]) for number in range(10)]
    assert [one.wait(timeout=60) for one in running] == [0] * 10
    with Recording(str(path)) as recording:
        texts = {one.text for one in recording.events()}
        assert texts == {f"m{number}" for number in range(10)}


def test_a_result_joins(tmp_path, writers):
    """The answer of another command is kept with its process, its time and all that it said."""
    path = tmp_path / "a.memtop"
    child = writers.start(path)
    document = {"pid": 7, "parts": [{"id": "other", "bytes": 5}], "name": "caf\udce9 ☕"}
    write_result(str(path), "anatomy", Identity(123, 7), document)
    child.kill()
    child.communicate()
    with Recording(str(path)) as recording:
        (result,) = recording.results()
        assert (result.kind, result.identity) == ("anatomy", Identity(123, 7))
        assert result.json == document
        assert abs(result.at - time.time()) < 60


def test_a_result_makes_the_file(tmp_path, writers):
    """A result may be there before anybody records; the recorder goes on with that file."""
    path = tmp_path / "a.memtop"
    write_result(str(path), "trim", None, {"results": []})
    writers.start(path, 3).communicate()
    with Recording(str(path)) as recording:
        assert [one.kind for one in recording.results()] == ["trim"]
        assert recording.last_tick == 2


def test_two_recorders_at_one_file(tmp_path, writers):
    """A second recorder at a file is sent away, and the first goes on undisturbed."""
    path = tmp_path / "a.memtop"
    first = writers.start(path)
    for _ in range(3):
        done = memtop("record", path, "--interval", "0.2", "--duration", "2s")
        assert done.returncode == 1
        assert f"another memtop records to {path}" in done.stderr
    # Not even who is told to overwrite it takes it away from under the first.
    done = memtop("record", path, "--force", "--interval", "0.2", "--duration", "2s")
    assert done.returncode == 1
    assert f"another memtop records to {path}" in done.stderr
    assert first.poll() is None
    first.kill()
    first.communicate()
    with Recording(str(path)) as recording:
        assert recording.damage is None
        assert len(recording.runs) == 1
    # What was claimed is free again when its owner is gone.
    assert memtop("record", path, "--interval", "0.2", "--duration", "1s").returncode == 0


def trend_of(path, pid):
    """What was last said of a process; an empty word before anything was."""
    try:
        with Recording(str(path)) as recording:
            state = recording.state(recording.last_tick)
            return next((row.trend.word for row in state.rows.values() if row.pid == pid), "")
    except MemtopError:
        return ""


def test_a_restart_knows_what_grew(tmp_path, children, wait_until):
    """After a restart a process that grows is said to at once, since when that was said before."""
    child = children.ready(LEAK)
    path = tmp_path / "a.memtop"
    record = ("record", path, "--pid", child.pid, "--interval", "0.2")
    first = subprocess.Popen([sys.executable, "-m", "memtop", *map(str, record)])
    try:
        wait_until(lambda: trend_of(path, child.pid) == "rising", limit_s=90, every_s=0.5)
    finally:
        first.terminate()
        assert first.wait(timeout=30) == 0
    with Recording(str(path)) as recording:
        known = recording.last_tick
        (row,) = [r for r in recording.state(known).rows.values() if r.pid == child.pid]
        assert row.trend.word == "rising"
    done = memtop(*record, "--duration", "1s")
    assert done.returncode == 0
    assert "what was seen since" in done.stderr
    with Recording(str(path)) as recording:
        assert len(recording.runs) == 2
        for tick in (known + 2, recording.last_tick):
            after = recording.state(tick).rows[row.identity]
            assert after.trend.word == "rising"
            assert abs(after.trend.since_s - row.trend.since_s) < 2
        assert len([one for one in recording.processes() if one.identity == row.identity]) == 1


def test_who_ended_while_nobody_looked(tmp_path, children):
    """A process that ended between two runs has ended in the second, not only vanished."""
    child = children.ready("print('ready', flush=True); input()")
    path = tmp_path / "a.memtop"
    pid = child.pid
    record = ("record", path, "--pid", os.getpid(), "--interval", "0.3", "--duration", "1s")
    assert memtop(*record).returncode == 0
    children.end()
    assert memtop(*record).returncode == 0
    with Recording(str(path)) as recording:
        run = recording.runs[1]
        (row,) = [r for r in recording.state(run.first_tick).rows.values() if r.pid == pid]
        assert row.ended_at is not None
        (process,) = [one for one in recording.processes() if one.identity == row.identity]
        assert process.ended_at is not None


def test_secrets_stay_out(tmp_path, children):
    """Neither a password of a command line nor anything of an environment gets into the file."""
    code = "import sys; print('ready', flush=True); sys.stdin.read()"
    env = {**os.environ, "SECRET_TOKEN": "env-sesame-4711"}
    child = children.python(
        code, "--password=sesame-1", "--token", "sesame-2", "https://joe:sesame-3@db/x", env=env
    )
    assert child.stdout.readline()
    path = tmp_path / "a.memtop"
    assert memtop("record", path, "--interval", "0.3", "--duration", "3s").returncode == 0
    with Recording(str(path)) as recording:
        state = recording.state(recording.last_tick)
        (row,) = [one for one in state.rows.values() if one.pid == child.pid]
        assert "--password" in row.command
    assert b"sesame" not in path.read_bytes()
