"""What `memtop diff` says of processes that grow: the first sentence names whose memory it is.

The targets are those of the tests of objects; memtop runs as its users run it, as a command.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))
from pythons import interpreters, trouble
from targets import Starter

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="needs a Linux /proc"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="memtop looks into x86_64 only"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs the memory of other processes"),
]
TESTS = Path(__file__).parent.parent
MB = 12


@pytest.fixture
def start(tmp_path):
    """start(file, *arguments, python=…): a target, after its first line."""
    starter = Starter(TESTS / "objects", tmp_path)
    yield starter
    starter.end()


def memtop(*arguments):
    """Exit code, stdout and stderr of the command."""
    command = [sys.executable, "-m", "memtop", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=TESTS.parent)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def difference(start, tmp_path):
    """What `diff` says of two censuses or two snapshots, between which a target has grown."""

    def made(command, kind, **options):
        target = start("target_growing.py", kind, MB, **options)
        files = [tmp_path / name for name in ("before", "after")]
        for index, file in enumerate(files):
            if index:
                target.ask("grow")
            code, _, err = memtop(command, target.pid, "--save", file)
            assert (code, err) == (0, "")
        code, out, err = memtop("diff", *files)
        assert (code, err) == (0, "")
        return out, " ".join(out.split())

    return made


def test_a_census_names_the_class(difference):
    """bytes have the growth; the class that came with them is named, though it is small."""
    out, said = difference("census", "messages")

    assert "! Python objects grew by " in said
    assert ": bytes +11." in said
    assert f"with {MB * 350:,} more of __main__.Partial." in said
    types = [line.split()[0] for line in out.partition("\nTYPE ")[2].splitlines()[1:7]]
    assert types[0] == "bytes" and "Partial" in types


def test_a_snapshot_names_the_container_first(difference):
    """The dictionary of the module that only ever grew stands before the types."""
    out, said = difference("snapshot", "messages")

    grew = f"! __main__.PENDING (dict) grew from {MB * 350:,} to {2 * MB * 350:,} in "
    assert grew in said
    assert (
        said.index(grew) < said.index("Python objects grew by ") < said.index("__main__.Partial.")
    )
    containers = out.partition("\ncontainers ")[2].splitlines()
    assert containers[1].split()[0] == "__main__.PENDING"


def test_frames_have_their_shape(difference):
    """Arrays by type and shape, and the class that holds them."""
    python = next((one for one in interpreters() if not trouble(one, "numpy, ctypes")), None)
    if python is None:
        pytest.skip("no Python here has numpy")
    _, said = difference("census", "frames", python=python)

    assert ": numpy.ndarray +10.6" in said
    assert "Big blocks: 12 more of ndarray uint8 (480, 640, 3), +10.6 MiB." in said


@pytest.mark.parametrize("kind", ["native", "mapped"])
def test_what_c_forgot_is_native(difference, kind):
    """Memory that no type of Python has is native or unknown, and that is said first."""
    _, said = difference("census", kind)

    assert f"! Native or unknown memory grew by {MB} MiB in " in said
    assert "; no Python type did." in said


def test_a_snapshot_does_not_see_what_is_native(difference):
    """It says so, and which command does."""
    _, said = difference("snapshot", "native")

    assert "! " not in said
    assert "no module-level container is longer" in said
    assert "Native memory is not in a snapshot: a census tells of it." in said


def test_two_processes_are_told_apart(start, tmp_path):
    """They are compared, and the output says that they are two; other pairs are refused."""
    files = {}
    for name, command, kind in (("a", "census", "steady"), ("b", "census", "messages")):
        target = start("target_growing.py", kind, MB)
        files[name] = tmp_path / name
        assert memtop(command, target.pid, "--save", files[name])[0] == 0
    assert memtop("snapshot", target.pid, "--save", tmp_path / "c")[0] == 0

    code, out, _ = memtop("diff", files["a"], files["b"])
    assert code == 0
    assert "Two processes: Δ is what the second one has more than the first one had." in out
    code, out, err = memtop("diff", files["b"], tmp_path / "c")
    assert (code, out) == (2, "")
    assert "compare two censuses, or two snapshots" in err
    code, out, err = memtop("diff", files["b"], files["a"])
    assert (code, out) == (2, "")
    assert f"memtop diff {files['a']} {files['b']}" in err
