"""What a report says besides growth: marks, groups, kills, limits, actions, looks, what is lost."""

import json
import os
import sqlite3
import sys
from pathlib import Path

import pytest

from memtop.actions.result import Result as Acted
from memtop.anatomy.objects import Container, Objects, TypeCount
from memtop.anatomy.result import Anatomy, Part, Settings
from memtop.cli import main
from memtop.diagnosis.finding import Finding
from memtop.kept import kept_anatomy, kept_census, kept_result, kept_verdict
from memtop.probe.sample import Cgroup, Identity, Pod
from memtop.recording.appending import add_event, add_mark, write_result
from memtop.recording.opening import make
from memtop.recording.recording import Recording
from memtop.render.finding import Verdict
from memtop.reports.headline import headline_of, summary_of

sys.path.insert(0, str(Path(__file__).parent.parent))

from reports import BEGIN, MIB, climbing, document, python, read, record, service, subject, told

STEPS = {1: 54, 2: 27, 4: 54, 8: 108}


def stepping(begins):
    """A process that takes so many MiB at each of these samples."""

    def move(source, tick):
        if tick in begins:
            source.processes[20].rss_kib += begins[tick] * MIB

    return service(move)


# -- marks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("lead_s", [0.4, 0.0, -0.3, -1.5])
def test_steps_belong_to_their_marks(tmp_path, capsys, lead_s):
    """Each level has its step, ±2 MiB, whether a script marks just before it or just after."""
    begins = {30 + 40 * n: mib for n, mib in enumerate(STEPS.values())}
    path = record(tmp_path / "a.memtop", stepping(begins), 220)
    for level, tick in zip(STEPS, begins, strict=True):
        # What a sample shows has come since the one before it.
        add_mark(path, f"level {level}", BEGIN + tick - 0.2 - lead_s)
    marks = document(capsys, path)["marks"]
    assert marks[0]["text"] == "" and marks[0]["changes"] == []
    assert [one["text"] for one in marks[1:]] == [f"level {level}" for level in STEPS]
    for one, mib in zip(marks[1:], STEPS.values(), strict=True):
        (change,) = [each for each in one["changes"] if each["pid"] == 20]
        assert abs(change["change_bytes"] - mib * MIB * 1024) <= 2 << 20
        assert (change["rose_bytes"], change["fell_bytes"]) == (change["change_bytes"], 0)
        assert abs(one["change_bytes"] - mib * MIB * 1024) <= 2 << 20
    text = told(capsys, path)
    assert "level 8" in text and "+108 MiB" in text
    assert "+108 MiB with “level 8”" in " ".join(text.split())


def test_what_went_again_is_told_apart(tmp_path, capsys):
    """A level that takes memory and gives it back says both; a fall right before a mark is old."""
    path = record(tmp_path / "a.memtop", stepping({40: 60, 79: -60, 81: 30}), 120)
    for tick, text in ((39, "one"), (80, "two")):
        add_mark(path, text, BEGIN + tick)
    _, one, two = document(capsys, path)["marks"]
    assert (one["changes"][0]["rose_bytes"], one["changes"][0]["fell_bytes"]) == (
        60 << 20,
        60 << 20,
    )
    assert one["changes"][0]["change_bytes"] == 0
    assert two["changes"][0]["change_bytes"] == 30 << 20
    assert "+60.0 MiB, then −60.0 MiB" in " ".join(told(capsys, path).split())


def test_marks_of_a_long_recording(tmp_path, capsys, monkeypatch):
    """Steps are as right where a recording is told in buckets."""
    from memtop.recording import courses

    begins = {100 + 200 * n: mib for n, mib in enumerate(STEPS.values())}
    path = record(tmp_path / "a.memtop", stepping(begins), 1000)
    for level, tick in zip(STEPS, begins, strict=True):
        add_mark(path, f"level {level}", BEGIN + tick - 0.3)
    monkeypatch.setattr(courses, "MOST_SAMPLES", 10)
    marks = document(capsys, path)["marks"]
    for one, mib in zip(marks[1:], STEPS.values(), strict=True):
        assert abs(one["changes"][0]["change_bytes"] - (mib << 20)) <= 2 << 20
        assert abs(one["changes"][0]["rose_bytes"] - (mib << 20)) <= 2 << 20


# -- many processes, limits, kills ---------------------------------------------------------


def storm(source, tick):
    """Forty alike workers come within two minutes, and stay."""
    if 60 <= tick < 180 and tick % 3 == 0:
        python(source, 100 + tick, "voice.main", 380)


def test_a_storm_is_no_leak(tmp_path, capsys):
    """40 × 380 MiB: count and average at the highest moment, since when, and that none grows."""
    path = record(tmp_path / "a.memtop", service(storm), 400)
    report = read(path)
    assert not [one for one in report.processes if one.grows]
    text = " ".join(told(capsys, path).split())
    assert "many processes, none of which grows: 4" in text.lower()
    highest = document(capsys, path)["highest"]
    holder = highest["holders"][0]
    assert holder["processes"] == 41 and abs(holder["average_rss_bytes"] - (374 << 20)) < 8 << 20
    group = next(one for one in report.groups if one.members.births)
    assert (group.members.births, group.members.end, group.members.deaths) == (40, 41, 0)
    assert group.members.born_kib == 40 * 380 * MIB and group.members.grown_kib == 0
    assert "40 births +14.84 GiB" in text
    assert any(one["cause"] == "many_processes" for one in document(capsys, path)["findings"])


def limited(source, tick):
    """A pod whose worker grows until it is killed at sample 150."""
    worker = source.processes.get(50)
    kills = 0 if tick < 150 else 1
    if worker is not None and tick < 150:
        worker.rss_kib += 3 * MIB
    if tick == 150 and worker is not None:
        source.end(50)
    pod = Pod("c" * 64, "app", "u-1", "shop-1", "shop", "Burstable")
    used = sum(one.rss_kib for one in source.processes.values() if one.cgroup == "/pod") << 10
    source.cgroups = [
        Cgroup(
            "/pod", None, pod, 704 << 20, False, limit_file="memory.max", current_bytes=used,
            working_set_bytes=used, floor_bytes=used, anon_bytes=used, oom_kills=kills,
        )
    ]  # fmt: skip


def test_who_was_killed(tmp_path, capsys):
    """An OOM kill names who died, how large it was, and what the fine readings before it saw."""
    source = service(limited)
    python(source, 50, "shop.job", 100, cgroup="/pod")
    path = record(tmp_path / "a.memtop", source, 170)
    with Recording(path) as recording:
        number = next(one.number for one in recording.processes() if one.identity.pid == 50)
    at = BEGIN + 150
    connection = sqlite3.connect(path)
    from memtop.recording.schema import check_of, insert

    for step in range(25):
        row = [round((at - 5 + step * 0.2) * 1000), number, (500 + step) * MIB]
        connection.execute(insert("fine"), (None, *row, check_of(row)))
    connection.commit()
    connection.close()
    (kill,) = document(capsys, path)["oom_kills"]
    (victim,) = kill["victims"]
    assert (victim["pid"], len(victim["fine"])) == (50, 25)
    assert victim["fine"][-1]["rss_bytes"] == 524 << 20
    text = " ".join(told(capsys, path).split())
    assert "OOM kill in shop-1 app: " in text
    assert "4 s before: 500 MiB, then 524 MiB (25 readings)" in text
    # Who was killed for growing has grown.
    assert "grew +180 MiB/min" in text and "until it ended" in text and "→ 550 MiB in 2 m" in text
    assert "of 704 MiB" in text


def test_kills_elsewhere_are_no_headline(tmp_path, capsys):
    """A kill in a cgroup of which nobody was recorded is only counted."""
    path = record(tmp_path / "a.memtop", service(), 60)
    detail = {"cgroup": "/x", "kills": 1, "ended": [{"pid": 999, "name": "b", "rss_kib": 5}]}
    add_event(path, "oom", "OOM kill in /x: b 999", detail, at=BEGIN + 30)
    text = told(capsys, path)
    assert summary_of(read(path)).startswith("Nothing grows") and "not recorded" in text


# -- what commands have added --------------------------------------------------------------


def looks(identity, at, mib):
    """An anatomy and a census of a process of so many MiB."""
    parts = (
        Part("python_objects", "Python objects", mib << 19),
        Part("malloc_trapped", "freed, trapped", mib << 18),
        Part("other", "other", mib << 18),
    )
    settings = Settings(2, 131072, 131072, 0, True)
    anatomy = Anatomy(
        identity, "python3", at, 0.1, mib << 20, parts, settings=settings, allocator="glibc 2.36"
    )
    types = (TypeCount("Partial", "app", mib * 10, mib << 17),)
    containers = (Container("app.PARTIAL", "dict", mib * 10),)
    return anatomy, Objects(
        identity, "python3", at, 0.1, "census", types, "3.11", containers=containers
    )


def test_looks_and_actions_are_told_with_what_changed(tmp_path, capsys):
    """Two anatomies, two censuses, a trim and a diagnosis: parts, types, before and after, why."""
    path = record(tmp_path / "a.memtop", climbing(), 300)
    who = subject(read(path), 20).identity
    for at, mib in ((100.0, 140), (250.0, 180)):
        anatomy, census = looks(who, BEGIN + at, mib)
        for kept in (kept_anatomy(anatomy), kept_census(census)):
            write_result(path, kept.kind, kept.identity, kept.document, at=BEGIN + at)
    trim = Acted(
        "trim", 20, "python3", BEGIN + 260, "returned", "It gave back 9 MiB.", who,
        rss_before_bytes=190 << 20, rss_after_bytes=181 << 20, predicted_bytes=10 << 20,
    )  # fmt: skip
    kept = kept_result(trim)
    write_result(path, kept.kind, kept.identity, kept.document, at=BEGIN + 260)
    detail = {"pid": 20, "action": "trim", "outcome": "returned", "returned_bytes": 9 << 20}
    add_event(path, "action", "trim 20", detail, at=BEGIN + 260.2)
    add_event(path, "action", "TERM 31", {"pid": 31, "action": "TERM"}, at=BEGIN + 270)
    finding = Finding(
        "python_objects", "main process 20 grows 12 MiB/min: objects", 0.9, 20, "main"
    )
    kept = kept_verdict(Verdict((finding,), BEGIN + 280, 30.0, 2, 20.0, 1, True), who)
    write_result(path, kept.kind, kept.identity, kept.document, at=BEGIN + 280)

    text = " ".join(told(capsys, path).split())
    assert headline_of(
        read(path)
    ) == "main process 20 grows 12 MiB/min: objects (almost sure)." or (
        "Main process 20 grows 12 MiB/min: objects (almost sure)." in text
    )
    assert "Diagnosed 14:04:40Z:" in text
    assert "changed by +40.0 MiB: Python objects +20.0 MiB and freed, trapped +10.0 MiB" in text
    assert "Partial +400 (+5.0 MiB)" in text and "app.PARTIAL (dict): 1,400 → 1,800" in text
    assert "190 MiB 181 MiB 9.0 MiB returned" in text and "It gave back 9 MiB." in text
    assert "arena_max 2, mmap_threshold 131,072 B (fixed)" in text
    made = document(capsys, path)
    assert [one["action"] for one in made["actions"]] == ["trim", "TERM"]
    assert made["actions"][0]["predicted_bytes"] == 10 << 20
    assert made["findings"][0]["from"] == "diagnosis" and len(made["findings"]) == 1
    assert made["looks"][0]["difference"]["rss_bytes"] == 40 << 20


def test_answers_of_a_later_version_are_counted(tmp_path, capsys):
    """What cannot be understood is said to be there, and nothing fails."""
    path = record(tmp_path / "a.memtop", service(), 60)
    write_result(path, "anatomy", Identity(1, 20), {"value": {"new": 1}}, at=BEGIN + 5)
    assert "1 answer of another version of memtop" in told(capsys, path)


def test_the_rules_are_asked_where_nobody_asked(tmp_path, capsys):
    """Without a diagnosis the findings come from the recording, over all of its time."""
    path = record(tmp_path / "a.memtop", climbing(), 1500)
    made = document(capsys, path)
    first = made["findings"][0]
    assert (first["from"], first["pid"]) == ("recording", 20)
    assert "in 24 m" in " ".join(first["for"])  # and not only the last minutes
    assert "nobody looked" in " ".join(one["reason"] for one in first["missing"])


# -- what is not there ---------------------------------------------------------------------


def test_an_empty_recording(tmp_path, capsys):
    """No sample: a clear sentence, all fields, and no failure."""
    path = str(tmp_path / "a.memtop")
    make(path).close()
    assert "Nothing was recorded" in told(capsys, path)
    made = document(capsys, path)
    assert made["samples"] == 0 and made["first_sample_at"] is None and made["processes"] == []
    assert "no sample" in told(capsys, path, "--compare", path)


def test_one_sample(tmp_path, capsys):
    """A single sample is told as what it is."""
    path = record(tmp_path / "a.memtop", service(), 1)
    assert "as far as 1 sample can tell" in " ".join(told(capsys, path).split())
    assert document(capsys, path)["samples"] == 1


def test_a_damaged_recording_says_so(tmp_path, capsys):
    """Cut or with changed bits: what can be read is told, and that something is missing."""
    path = record(tmp_path / "a.memtop", service(storm), 400)
    whole = Path(path).read_bytes()
    cut = tmp_path / "cut.memtop"
    cut.write_bytes(whole[: len(whole) * 3 // 4 // 4096 * 4096])
    code = main(["report", str(cut)])
    out, err = capsys.readouterr()
    assert (code == 0 and "cut off" in out) or (code == 1 and "cut off" in err)
    flipped = bytearray(whole)
    for at in range(len(whole) // 2, len(whole) // 2 + 20_000, 997):
        flipped[at] ^= 0xFF
    bad = tmp_path / "bad.memtop"
    bad.write_bytes(flipped)
    code = main(["report", str(bad)])
    out, err = capsys.readouterr()
    assert "damaged" in (out if code == 0 else err) and "Traceback" not in out + err


def test_what_is_no_recording(tmp_path, capsys):
    """Another file, and none: a sentence, exit code 1, nothing written."""
    other = tmp_path / "a.txt"
    other.write_text("no")
    for path in (other, tmp_path / "none.memtop", tmp_path):
        assert main(["report", str(path)]) == 1
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("memtop: ")
        assert main(["report", str(path), "--json"]) == 1
        assert json.loads(capsys.readouterr().out)["error"]["reason"]
    assert os.listdir(tmp_path) == ["a.txt"]


def test_the_time_between_two_recorders(tmp_path, capsys):
    """Where nobody looked is said, and does not count as a plateau."""
    source = service()
    path = record(tmp_path / "a.memtop", source, 100)
    source.step(300)
    for process in source.processes.values():
        process.reported.clear()
    record(path, source, 100)
    made = document(capsys, path)
    assert len(made["runs"]) == 2 and len(made["gaps"]) == 1 and made["samples"] == 200
    assert "not watched" in told(capsys, path)


def test_numbers_in_json_are_whole(tmp_path, capsys):
    """Bytes are integers, moments end in Z, and everything has its place in the contract."""
    path = record(tmp_path / "a.memtop", service(storm), 300)
    made = document(capsys, path)
    contract = "memtop taken_at first_sample_at last_sample_at samples groups processes marks"
    assert {*contract.split(), "actions", "findings"} <= made.keys()

    def walk(value, name=""):
        if isinstance(value, dict):
            for key, each in value.items():
                walk(each, key)
        elif isinstance(value, list):
            for each in value:
                walk(each, name)
        elif name.endswith("_bytes"):
            assert value is None or type(value) is int, name
        elif name.endswith("_at") or name == "at":
            assert value is None or value.endswith("Z"), name

    walk(made)
