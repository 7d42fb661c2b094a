"""Censuses and snapshots in files: what is saved comes back, what is wrong with a file is said."""

import json
import os
from dataclasses import replace

import pytest

from memtop.anatomy.objects import Container, Objects, Owner, Task, TypeCount, compare
from memtop.anatomy.result import Missing
from memtop.anatomy.saved import load, save
from memtop.errors import MemtopError
from memtop.probe.sample import Identity

OBJECTS = Objects(
    identity=Identity(123, 4711),
    name="worker \udcff\x1b",
    taken_at=1e9,
    seconds=0.5,
    source="snapshot",
    types=(
        TypeCount("Partial", "app\n.models", 1000, 56_000, 8000, 0.0),
        TypeCount("str", "builtins", 5000, 300_000, 0, 0.02),
    ),
    python="3.11.7",
    sampled=True,
    error=0.02,
    big_blocks=(Owner("ndarray", "uint8 (3, 4)", 2, 1 << 20),),
    containers=(Container("app.PENDING", "dict", 400),),
    tasks=(Task("poll", "pending", 3),),
    threads=("MainThread",),
    gc_counts=(1, 2, 3),
    missing=(Missing("types", "why"),),
)


@pytest.fixture
def path(tmp_path):
    """A file with OBJECTS."""
    return save(OBJECTS, tmp_path / "objects")


def test_all_comes_back(path):
    """Every value, strange characters among them; nobody else may read the file."""
    assert load(path) == OBJECTS
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_nothing_is_overwritten(path):
    """Unless that is said."""
    with pytest.raises(MemtopError):
        save(OBJECTS, path)
    save(replace(OBJECTS, name="other"), path, force=True)
    assert load(path).name == "other"


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_cut_off(path, share):
    """A file that was not written to its end is no JSON, and that is said."""
    data = path.read_bytes()
    path.write_bytes(data[: int(share * (len(data) - 3))])
    with pytest.raises(MemtopError, match="holds no census or snapshot: it is no JSON"):
        load(path)


def test_any_byte_is_flipped(path):
    """It loads or is refused in words; nothing else is ever raised."""
    data, refused = path.read_bytes(), 0
    for at in range(len(data)):
        for flip in (0x01, 0x20, 0x80):
            path.write_bytes(data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :])
            try:
                assert isinstance(load(path), Objects)
            except MemtopError as error:
                refused += 1
                assert str(path) in str(error)
    assert refused > len(data)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"SQLite format 3\0" + bytes(100), "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"{}", "write such files"),
        (b"[1]", "write such files"),
        (b'{"format": "memtop objects", "version": 2, "memtop": "9.1"}', "memtop 9.1"),
        (b'{"format": "memtop objects", "version": 1}', "objects is wrong"),
        (b'{"format": "memtop objects", "version": 1, "objects": {}}', "objects lacks identity"),
    ],
)
def test_foreign_files(tmp_path, content, words):
    """What they are, or what they lack, is said."""
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(MemtopError, match=words):
        load(path)


def test_wrong_values(path):
    """The place is named; what this version does not know is left out."""
    document = json.loads(path.read_text())
    document["objects"]["types"][1]["count"] = "many"
    path.write_text(json.dumps(document))
    with pytest.raises(MemtopError, match=r"objects\.types\[1\]\.count is wrong"):
        load(path)
    document["objects"]["types"][1] |= {"count": 5000, "colour": "red"}
    document["objects"]["later"] = [1]
    path.write_text(json.dumps(document))
    assert load(path) == OBJECTS


def test_no_file(tmp_path):
    """A folder, a pipe that nobody writes to, nothing: a sentence, and no waiting."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "nothing", "."):
        with pytest.raises(MemtopError):
            load(tmp_path / name)


def test_what_only_one_has_counted():
    """Of one that has left out what is not tracked nothing has grown or gone because of that."""
    later = replace(OBJECTS, taken_at=OBJECTS.taken_at + 60)
    partly = replace(later, types=OBJECTS.types[:1], tracked_only=True)
    growth = compare(OBJECTS, partly)
    assert [(one.type, one.bytes) for one in growth.types] == [("Partial", 0)]
    assert {one.type for one in compare(OBJECTS, later).types} == {"Partial", "str"}


def test_how_sure_a_change_is():
    """The errors of both are added, for each type; of what was counted in full it is none."""
    later = replace(OBJECTS, taken_at=OBJECTS.taken_at + 60)
    errors = {one.type: one.error for one in compare(OBJECTS, later).types}
    assert errors == {"Partial": 0.0, "str": pytest.approx(0.04)}
    whole = replace(OBJECTS, sampled=False)
    assert {one.error for one in compare(whole, replace(later, sampled=False)).types} == {0.0}
