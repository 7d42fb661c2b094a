"""Recording beside the screen and marks, in a real terminal over real processes.

The fixtures `terminal` and `family` are in conftest.py.
"""

import os
import subprocess
import sys

import pytest

from memtop import watching
from memtop.arguments import parse
from memtop.probe.sample import Wanted
from memtop.recording.recording import Recording


def test_recorded_from_the_beginning(terminal, family, tmp_path):
    """--record FILE, a mark by hand and one by a script: on the chart, and in the file."""
    path = tmp_path / "shop.memtop"
    arguments = ("--pid", str(family.pid), "--record", str(path))
    terminal.run(*arguments, size=(120, 40))
    terminal.wait("family.py", "● rec shop.memtop")
    terminal.keys("m")
    terminal.wait("mark", "Enter marks the moment of m")
    terminal.keys("b", "y", "Space", "m", "e", "Enter")
    terminal.wait("marked on all charts and in shop.memtop: by me")
    command = [sys.executable, "-m", "memtop", "mark", str(path), "by a script"]
    assert subprocess.run(command, timeout=30).returncode == 0
    terminal.keys("Enter")
    terminal.wait("by me", "by a script", "▼")
    terminal.keys("q")
    assert terminal.exit_code() == 0
    terminal.wait("shop.memtop: ", "samples written")

    with Recording(str(path)) as recording:
        assert [one.text for one in recording.events()] == ["by me", "by a script"]
        assert recording.last_tick >= 1
    assert not os.path.exists(f"{path}-journal")


def test_a_recording_that_exists_is_gone_on_with(tmp_path):
    """The screen begins with what the recording knows: who lives, and what was watched of them."""
    path = str(tmp_path / "shop.memtop")
    command = [sys.executable, "-m", "memtop", "record", path, "--duration", "2s"]
    assert subprocess.run([*command, "--interval", "0.5"], timeout=60).returncode == 0
    options = parse(["--record", path, "--interval", "0.5"])
    watching._settle(options)
    session = watching._open_session(options)
    source, tracker, state, _ = watching._start_screen(options, session)
    try:
        assert state.watched_s > 1.5
        session.take(state)
        session.take(tracker.feed(source.sample(Wanted())))
    finally:
        source.close()
        session.close()
    with Recording(path) as recording:
        assert len(recording.runs) == 2
        identities = [one.identity for one in recording.processes()]
        assert len(identities) == len(set(identities))


@pytest.mark.parametrize("file", ["notes.txt", "no/such/folder.memtop"])
def test_a_file_that_takes_no_recording_is_said_at_once(terminal, tmp_path, file):
    """No screen is drawn; the sentence names the file, which is left as it is."""
    (tmp_path / "notes.txt").write_text("my notes\n" * 99)
    terminal.run("--record", str(tmp_path / file))
    assert terminal.exit_code() == 1
    terminal.wait("memtop: ", file.rpartition("/")[2])
    assert (tmp_path / "notes.txt").read_text() == "my notes\n" * 99


def test_without_a_terminal_there_is_nothing_to_record_beside(tmp_path):
    """It is an error that names the command for that; no file is made."""
    path = tmp_path / "a.memtop"
    command = [sys.executable, "-m", "memtop", "--record", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)

    assert done.returncode == 2
    assert f"memtop record {path}" in done.stderr
    assert not path.exists()


def test_a_process_that_is_not_there_leaves_no_file(terminal, tmp_path):
    """What was begun for a screen that cannot be shown is taken away again."""
    path = tmp_path / "a.memtop"
    terminal.run("--pid", str(2**22 + 1), "--record", str(path))
    assert terminal.exit_code() == 4
    assert not path.exists()
