"""The command: where a report goes, what it leaves, and a process that is watched for it."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

from memtop.cli import main

sys.path.insert(0, str(Path(__file__).parent.parent))

from reports import record, service, told

GROWS = """
import time
kept = []
print("ready", flush=True)
while True:
    kept.append(bytearray(b"x" * 200_000))
    time.sleep(0.02)
"""


def run(*arguments, folder, **options):
    """memtop in a process of its own, with a temporary folder of its own."""
    command = [sys.executable, "-m", "memtop", "report", *map(str, arguments)]
    return subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(folder)}, **options,
    )  # fmt: skip


def test_files_are_private_and_not_overwritten(tmp_path, capsys):
    """Each form by its ending, mode 0600, pictures beside Markdown, and --force to overwrite."""
    path = record(tmp_path / "a.memtop", service(), 60)
    for name in ("out.md", "out.json", "out.txt"):
        target = tmp_path / name
        assert main(["report", path, "--save", str(target)]) == 0
        assert capsys.readouterr().err == f"{target}\n"
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
        assert main(["report", path, "--save", str(target)]) == 1
        assert "--force" in capsys.readouterr().err
        assert main(["report", path, "--save", str(target), "--force"]) == 0
        capsys.readouterr()
    assert json.loads((tmp_path / "out.json").read_text())["samples"] == 60
    written = (tmp_path / "out.md").read_text()
    assert written.startswith("# memtop report: a.memtop\n") and "](out-1.svg)" in written
    assert (tmp_path / "out-1.svg").read_text().startswith("<svg")
    assert "](out-2.svg)" in written and "replay" in (tmp_path / "out-2.svg").read_text()
    assert stat.S_IMODE((tmp_path / "out-1.svg").stat().st_mode) == 0o600


def test_a_form_that_cannot_be_is_refused(tmp_path, capsys):
    """An ending that says nothing, or something else than the option, is a usage error."""
    path = record(tmp_path / "a.memtop", service(), 10)
    assert main(["report", path, "--save", str(tmp_path / "out.doc")]) == 2
    assert main(["report", path, "--save", str(tmp_path / "out.md"), "--json"]) == 2
    assert main(["report", path, "--save", str(tmp_path / "none" / "out.md")]) == 1
    assert sorted(os.listdir(tmp_path)) == ["a.memtop"]
    assert "Traceback" not in capsys.readouterr().err


def test_a_process_is_watched_for_it(tmp_path, children):
    """`report PID` says of a real leak how fast it is, and of what; nothing is left behind."""
    child = children.ready(GROWS)
    process = run(child.pid, "--for", "6s", "--interval", "0.25", "--json", folder=tmp_path)
    out, err = process.communicate(timeout=60)
    made = json.loads(out)
    assert process.returncode == 0, err
    assert made["file"].endswith(str(child.pid)) and made["samples"] >= 16
    assert made["runs"][0]["interval_s"] == 0.25
    (seen,) = made["looks"]  # what was seen inside, too: at first and in the end
    assert seen["pid"] == child.pid and seen["first"]["parts"] and seen["difference"]["parts"]
    own = next(one for one in made["processes"] if one["pid"] == child.pid)
    assert own["grows"] and own["slope"]["bytes_per_s"] > 1 << 20
    assert made["findings"][0]["from"] == "diagnosis"
    assert os.listdir(tmp_path) == []


def test_ctrl_c_ends_the_watching_with_a_report(tmp_path, children, wait_until):
    """What is known by then is told, with exit code 130, and nothing is left behind."""
    child = children.ready(GROWS)
    process = run(child.pid, "--for", "1h", folder=tmp_path)
    wait_until(lambda: list(tmp_path.glob("*/*.memtop")))
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "what was known by then" in err
    assert "memtop report: python" in out and "WHAT GREW" in out
    assert os.listdir(tmp_path) == []


def test_killed_while_it_watches(tmp_path, children, wait_until):
    """What a report that was killed has left the next one removes, but not what is in use, new, or
    of somebody else's making."""
    child = children.ready("print('ready', flush=True); input()")
    watching = run(child.pid, "--for", "1h", folder=tmp_path)
    (in_use,) = wait_until(lambda: list(tmp_path.glob("*/*.memtop")))
    process = run(child.pid, "--for", "1h", folder=tmp_path)
    wait_until(lambda: len(list(tmp_path.glob("*/*.memtop"))) == 2)
    time.sleep(1)
    process.kill()
    process.communicate()
    (left,) = {*tmp_path.glob("*/*.memtop")} - {in_use}
    foreign = tmp_path / "memtop-report-x"
    foreign.mkdir()
    (foreign / "notes.txt").write_text("mine")
    link = tmp_path / "memtop-report-y"
    link.symlink_to(foreign)
    watching.send_signal(signal.SIGSTOP)  # so that it may be as old as the other
    for age_s, remains in ((0, True), (3600, False)):
        then = time.time() - age_s
        for one in (in_use, left, foreign / "notes.txt"):
            for path in (*one.parent.iterdir(), one.parent):
                os.utime(path, (then, then))
        again = run(child.pid, "--for", "0.5s", folder=tmp_path)
        again.communicate(timeout=60)
        assert again.returncode == 0
        assert left.parent.exists() == remains
    assert {*os.listdir(tmp_path)} == {in_use.parent.name, foreign.name, link.name}
    assert in_use.exists()
    watching.send_signal(signal.SIGCONT)
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=60)


def test_no_such_process(capsys):
    """A PID that nobody has: exit code 4 and a sentence."""
    assert main(["report", "4194303"]) == 4
    assert "there is no process 4194303" in capsys.readouterr().err
    assert main(["report", str(os.getpid())]) == 1


def test_a_copy_and_a_recorder_that_was_killed(tmp_path, capsys, wait_until):
    """A file that was copied while it was written, and that of a killed recorder, are told."""
    path = tmp_path / "a.memtop"
    arguments = ["record", str(path), "--fake", "60:20", "--interval", "2"]
    writer = subprocess.Popen(
        [sys.executable, "-m", "memtop", *arguments], stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: path.exists() and path.stat().st_size > 200_000)
        for number in range(3):
            copy = tmp_path / f"copy{number}.memtop"
            shutil.copyfile(path, copy)
            assert json.loads(told(capsys, copy, "--json"))["samples"] >= 100
            assert json.loads(told(capsys, path, "--json"))["samples"] >= 100
    finally:
        writer.kill()
        writer.wait()
    made = json.loads(told(capsys, path, "--json"))
    assert made["samples"] >= 100 and made["damage"] is None
