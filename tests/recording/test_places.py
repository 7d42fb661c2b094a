"""Where a recording cannot be written, or only be read: what is said, and that nothing is lost."""

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys

import pytest

from memtop.cli import main
from memtop.errors import MemtopError
from memtop.recording.opening import NoRecording, make
from memtop.recording.recording import Recording

RECORD = [sys.executable, "-m", "memtop", "record"]
FAKE = ["--fake", "300:200", "--interval", "2"]


def record(*arguments, prefix=(), **options):
    return subprocess.run(
        [*prefix, *RECORD, *map(str, arguments)],
        capture_output=True, text=True, timeout=60, **options,
    )  # fmt: skip


def needs_root():
    if os.geteuid():
        pytest.skip("needs root to mount a small disk")
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("no mount namespaces here")


def integrity(path):
    connection = sqlite3.connect(path)
    try:
        return connection.execute("PRAGMA integrity_check").fetchone()[0]
    finally:
        connection.close()


def test_a_full_disk(tmp_path):
    """On a full disk the recorder says so and exits with 1; all samples before it can be read."""
    needs_root()
    disk = tmp_path / "disk"
    disk.mkdir()
    script = (
        f"mount -t tmpfs -o size=400k tmpfs {disk} && "
        f"{' '.join(RECORD)} {disk}/a.memtop {' '.join(FAKE)}; code=$?; "
        f"cp {disk}/a.memtop* {tmp_path}/; exit $code"
    )
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=120
    )

    assert done.returncode == 1, done.stderr
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    kept = tmp_path / "a.memtop"
    assert not (tmp_path / "a.memtop-journal").exists()
    assert integrity(kept) == "ok"
    with Recording(str(kept)) as recording:
        assert recording.damage is None
        assert recording.last_tick > 50
        assert len(recording.state(recording.last_tick).rows) == 301


def test_a_limit_on_the_size_of_files(tmp_path):
    """`ulimit -f` ends a recording as a full disk does."""
    path = tmp_path / "a.memtop"
    done = record(path, *FAKE, prefix=["sh", "-c", 'ulimit -f 400; exec "$@"', "sh"])

    assert done.returncode == 1, done.stderr
    assert f"cannot write {path}" in done.stderr
    assert "Traceback" not in done.stderr
    with Recording(str(path)) as recording:
        assert recording.last_tick > 10


def test_a_folder_that_cannot_be_written_to(tmp_path):
    """Where no file can be made that is said, with its name, and nothing is sampled in vain."""
    done = record(tmp_path / "none" / "a.memtop", "--duration", "1h")

    assert done.returncode == 1
    assert f"cannot write {tmp_path}/none/a.memtop" in done.stderr


def test_media_that_can_only_be_read(tmp_path, day):
    """A recording on a read-only disk can be read, also with the journal of a killed writer."""
    needs_root()
    disk = tmp_path / "disk"
    disk.mkdir()
    code = (
        "import sys; from memtop.recording.recording import Recording; r = Recording(sys.argv[1]);"
        "print(r.last_tick, len(r.state(r.last_tick).rows))"
    )
    script = (
        f"mount -t tmpfs tmpfs {disk} && cp {day} {disk}/a.memtop && "
        f"head -c 600 /dev/zero > {disk}/a.memtop-journal && mount -o remount,ro {disk} && "
        f"{sys.executable} -c '{code}' {disk}/a.memtop && "
        f"{' '.join(RECORD)} {disk}/a.memtop {' '.join(FAKE)}"
    )
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=60
    )

    with Recording(str(day)) as recording:
        last = recording.last_tick
    assert done.stdout.split()[:1] == [str(last)], done.stderr
    assert done.returncode == 1
    assert "cannot be written" in done.stderr or "cannot write" in done.stderr


def test_a_file_without_the_right_to_write(tmp_path, day):
    """Who may only read a recording can read it."""
    copy = tmp_path / "a.memtop"
    shutil.copy(day, copy)
    copy.chmod(0o444)
    tmp_path.chmod(0o555)
    prefix = ["setpriv", "--reuid=65534", "--clear-groups"] if not os.geteuid() else []
    if prefix:
        for folder in (tmp_path, *tmp_path.parents[:3]):
            if str(folder) != "/tmp":
                folder.chmod(0o755)
    code = (
        "import sys; from memtop.recording.recording import Recording; r = Recording(sys.argv[1]);"
        "print(r.last_tick)"
    )
    done = subprocess.run(
        [*prefix, sys.executable, "-c", code, str(copy)], capture_output=True, text=True, timeout=60
    )

    if prefix and "No module" in done.stderr:
        pytest.skip("the other user cannot read memtop itself")
    with Recording(str(day)) as recording:
        assert done.stdout.strip() == str(recording.last_tick), done.stderr


def test_a_file_without_the_right_to_read(tmp_path, day, monkeypatch, capsys):
    """Who may not read a recording is told that, not that it cannot be written to."""
    copy = tmp_path / "a.memtop"
    shutil.copy(day, copy)
    # Root may read everything.
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.R_OK)
    assert main(["report", str(copy)]) == 1
    assert f"cannot read {copy}: Permission denied" in capsys.readouterr().err


def test_names_of_files_are_shown_safely(tmp_path, capsys):
    """What could deceive a terminal in the name of a file is escaped."""
    assert main(["report", str(tmp_path / "a\x1b[31m.memtop")]) == 1
    said = capsys.readouterr().err
    assert "\x1b" not in said and "a\\x1b[31m.memtop" in said


def test_an_empty_name_of_a_file(monkeypatch, capsys):
    """`--record "$FILE"` with nothing in FILE is an error, not a screen that records nothing."""
    monkeypatch.setattr("memtop.watching._is_terminal", lambda: True)
    assert main(["--record", "", "--fake", "3"]) == 2
    assert "no file was named" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"hello\n" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_recording(tmp_path, content):
    """Something else is left as it is, by who reads and by who records."""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)

    with pytest.raises(MemtopError):
        Recording(str(path))
    done = record(path, *FAKE)

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert path.read_bytes() == content


def test_a_database_of_somebody_else(tmp_path):
    """An SQLite file of another program is no recording, and stays as it is."""
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE ticks (tick)")
    connection.commit()
    connection.close()
    before = path.read_bytes()

    with pytest.raises(NoRecording, match="no recording of memtop"):
        Recording(str(path))
    assert record(path, *FAKE).returncode == 1
    assert path.read_bytes() == before


def test_a_newer_version(tmp_path, day):
    """A file of a newer version is left alone, and it is said what helps."""
    path = tmp_path / "a.memtop"
    shutil.copy(day, path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(NoRecording, match="newer memtop"):
        Recording(str(path))
    done = record(path, *FAKE)
    assert done.returncode == 1
    assert "version 99" in done.stderr
    assert path.read_bytes() == before


def test_a_damaged_file_is_not_added_to(tmp_path, day):
    """A recorder does not go on with a file that is damaged, so that nothing is lost on top."""
    data = bytearray(day.read_bytes())
    path = tmp_path / "a.memtop"
    path.write_bytes(data[: len(data) * 8 // 10])
    before = path.read_bytes()
    done = record(path, *FAKE)

    assert done.returncode == 1
    assert "damaged" in done.stderr
    assert path.read_bytes() == before


def test_links_and_modes(tmp_path):
    """A new file is for its owner only; no symbolic link is followed, none is replaced."""
    target, link = tmp_path / "target", tmp_path / "link.memtop"
    link.symlink_to(target)
    done = record(link, *FAKE, "--duration", "4s")
    assert done.returncode == 1
    assert not target.exists()
    assert record(link, *FAKE, "--duration", "4s", "--force").returncode == 1
    assert not target.exists()

    path = tmp_path / "a.memtop"
    done = record(path, *FAKE, "--duration", "4s", prefix=["sh", "-c", 'umask 0; exec "$@"', "sh"])
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir() if "journal" in one.name] == []


def test_force_begins_anew(tmp_path, day):
    """`--force` overwrites; without it a recording is gone on with."""
    path = tmp_path / "a.memtop"
    shutil.copy(day, path)
    assert record(path, *FAKE, "--duration", "20s", "--force").returncode == 0
    with Recording(str(path)) as recording:
        assert recording.last_tick == 10
    assert record(path, *FAKE, "--duration", "20s").returncode == 0
    with Recording(str(path)) as recording:
        assert recording.last_tick == 21
        assert len(recording.runs) == 2


def test_a_journal_of_another_file_is_no_trap(tmp_path):
    """A left journal is neither played back into a new recording nor removed."""
    journal = tmp_path / "a.memtop-journal"
    journal.write_bytes(b"x" * 1000)

    with pytest.raises(MemtopError, match="journal"):
        make(str(tmp_path / "a.memtop"))
    assert journal.read_bytes() == b"x" * 1000


def has_samples(path):
    try:
        with Recording(str(path)) as recording:
            return recording.last_tick >= 1
    except MemtopError:
        return False


def test_ended_by_a_signal(tmp_path, wait_until):
    """SIGTERM and ctrl+c end a recording well: exit code 0, and how much was written."""
    for number in (signal.SIGTERM, signal.SIGINT):
        path = tmp_path / f"{number}.memtop"
        child = subprocess.Popen(
            [*RECORD, str(path), "--interval", "0.2"], stderr=subprocess.PIPE, text=True
        )
        assert "recording to" in child.stderr.readline()
        wait_until(lambda path=path: has_samples(path))
        child.send_signal(number)
        assert child.wait(timeout=30) == 0
        assert "samples written" in child.stderr.read()
        child.stderr.close()
        with Recording(str(path)) as recording:
            assert recording.damage is None
            assert recording.last_tick >= 0
