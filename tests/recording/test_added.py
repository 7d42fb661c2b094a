"""`--record FILE` of the commands that look into or act on a process, with a real one."""

import json
import os
import subprocess
import sys

import pytest

from memtop.anatomy.saved import load
from memtop.kept import recalled
from memtop.recording.recording import Recording

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="memtop looks into x86_64 only"),
]

TARGET = "kept = [bytes(400) for _ in range(50_000)]; print('ready', flush=True); input()"


@pytest.fixture
def child(children):
    return children.ready(TARGET)


def memtop(*arguments, prefix=(), **options):
    command = [*prefix, sys.executable, "-m", "memtop", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def results(path):
    with Recording(str(path)) as recording:
        return recording.results()


def events(path):
    with Recording(str(path)) as recording:
        return recording.events()


def test_both_looks_of_an_anatomy_are_added(child, tmp_path):
    """With --for the recording has two answers, whole, and as the command has printed the last."""
    path = tmp_path / "a.memtop"
    done = memtop("anatomy", child.pid, "--for", "0.2s", "--json", "--record", path)

    assert done.returncode == 0, done.stderr
    first, last = results(path)
    assert (first.kind, last.kind) == ("anatomy", "anatomy")
    assert first.identity.pid == last.identity.pid == child.pid
    printed = json.loads(done.stdout)
    assert last.json["rss_bytes"] == printed["rss_bytes"]
    assert last.json["started"] == printed["started"]
    assert recalled(last).rss_bytes == printed["rss_bytes"]
    assert recalled(first).taken_at < recalled(last).taken_at
    assert events(path) == []  # nothing was done to it


def test_census_and_diagnosis_join_the_same_file(child, tmp_path):
    """Answers of several commands stand in one recording, in the order in which they came."""
    path = tmp_path / "a.memtop"
    for command in (["census", child.pid], ["diagnose", child.pid, "--for", "1s", "--json"]):
        done = memtop(*command, "--record", path)
        assert done.returncode == 0, done.stderr

    census, diagnosis = results(path)
    assert (census.kind, diagnosis.kind) == ("census", "diagnose")
    assert "bytes" in {one.name for one in recalled(census).types}
    printed = json.loads(done.stdout)
    assert diagnosis.json["findings"] == printed["findings"]
    verdict = recalled(diagnosis)
    assert verdict.asked
    assert verdict.first.cause == printed["findings"][0]["cause"]


def test_what_was_done_is_an_event_too(child, tmp_path):
    """trim, gc and snapshot are marks by themselves, with the figures; a refusal is none."""
    path = tmp_path / "a.memtop"
    nobody = 2**22 + 1
    for command in (["trim", child.pid, nobody], ["gc", child.pid], ["snapshot", child.pid]):
        done = memtop(*command, "--record", path)
        if "ptrace" in done.stderr:
            pytest.skip(done.stderr)

    assert [one.kind for one in results(path)] == ["trim", "trim", "gc", "snapshot"]
    assert recalled(results(path)[-1]).objects is not None
    assert recalled(results(path)[1]).outcome == "refused"
    happened = events(path)
    assert {one.kind for one in happened} == {"action"}
    assert [one.text for one in happened] == [
        f"{verb} {child.pid}" for verb in ("trim", "gc", "snapshot")
    ]
    begins = [recalled(one).at for one in results(path) if recalled(one).outcome != "refused"]
    assert [one.at for one in happened] == pytest.approx(begins, abs=0.001)
    detail = happened[0].detail
    assert detail["action"] == "trim"
    assert detail["pid"] == child.pid
    assert detail["start_ticks"] == results(path)[0].identity.start_ticks
    assert detail["rss_before_bytes"] > detail["returned_bytes"] >= 0


def test_a_file_that_takes_nothing_is_said_before_anything_is_done(child, tmp_path):
    """Another file, a folder that is not there: exit 1, and the process was not touched."""
    other = tmp_path / "notes.txt"
    other.write_text("not a recording\n" * 100)
    for path in (other, tmp_path / "no" / "a.memtop"):
        done = memtop("gc", child.pid, "--record", path)
        assert done.returncode == 1
        assert done.stdout == ""
        assert str(path) in done.stderr
        assert "Traceback" not in done.stderr
    assert other.read_text() == "not a recording\n" * 100


def test_the_answer_is_printed_where_it_cannot_be_added(child, tmp_path):
    """A file that can take no more: the answer is on stdout all the same, why on stderr; exit 1."""
    path = tmp_path / "a.memtop"
    assert memtop("anatomy", child.pid, "--record", path).returncode == 0
    limit = f'ulimit -f {path.stat().st_size // 512 + 8}; exec "$@"'
    command = ["census", child.pid, "--full", "--record", path]
    done = memtop(*command, prefix=["sh", "-c", limit, "sh"])

    assert done.returncode == 1
    assert f"cannot write {path}" in done.stderr
    assert "bytes" in done.stdout
    assert [one.kind for one in results(path)] == ["anatomy"]
    done = memtop(*command, "--json", prefix=["sh", "-c", limit, "sh"])
    assert done.returncode == 1
    printed = json.loads(done.stdout)
    assert printed["types"]
    assert f"cannot write {path}" in printed["error"]["reason"]


def test_who_reads_the_answer_may_go(child, tmp_path):
    """`memtop snapshot … | head` has saved and recorded all before the pipe breaks."""
    path, saved = tmp_path / "a.memtop", tmp_path / "a.json"
    command = [sys.executable, "-m", "memtop", "snapshot", str(child.pid)]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*command, "--save", str(saved), "--record", str(path)],
        stdout=write, stderr=subprocess.PIPE, text=True, timeout=60,
    )  # fmt: skip
    os.close(write)
    if "ptrace" in done.stderr:
        pytest.skip(done.stderr)

    assert load(str(saved)).types
    assert [one.kind for one in results(path)] == ["snapshot"]
