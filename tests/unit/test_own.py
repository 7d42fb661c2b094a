"""memtop as a guest in somebody's pod."""

import subprocess
import sys

import pytest

from memtop.model.limits import Limit, headroom_bytes
from memtop.model.trends import NEW
from memtop.probe.own import Standing, give_way, is_guest
from memtop.probe.sample import Cgroup

MIB = 1 << 20
UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc"]


def limit(path, limit_mib, used_mib):
    cgroup = Cgroup(
        path,
        None,
        None,
        limit_mib and limit_mib * MIB,
        not limit_mib,
        working_set_bytes=used_mib * MIB,
    )
    return Limit(cgroup, cgroup if limit_mib else None, None, None, NEW, None, None, None)


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (Standing(0, 0, node=True), False),
        (Standing(0, 0, node=False), True),
        (Standing(0, 0, container="kubernetes", node=True), True),
        (Standing(1000, 0, container="docker"), True),
    ],
)
def test_who_is_a_guest(standing, expected):
    """Whoever is in a container, or sees not the host's processes, is a guest."""
    assert is_guest(standing) is expected


@pytest.mark.parametrize(
    ("before", "after"), [(b"0\n", b"1000"), (b"-997\n", b"1000\n"), (b"1000\n", b"1000\n")]
)
def test_giving_way(tmp_path, before, after):
    """The adjustment is raised to 1000, whatever it was."""
    path = tmp_path / "oom_score_adj"
    path.write_bytes(before)

    assert give_way(str(path))
    assert path.read_bytes().startswith(after.strip())


def test_nothing_to_write_to_is_no_error(tmp_path):
    """Where there is no such file (another system), nothing happens."""
    assert not give_way(str(tmp_path / "none"))


def test_in_a_pid_namespace_memtop_is_killed_first():
    """Started in a PID namespace of its own, as a sidecar is, it has raised its oom_score_adj."""
    if subprocess.run([*UNSHARE, "true"], capture_output=True).returncode:
        pytest.skip("no right to make a PID namespace")
    code = (
        "import os, sys; from memtop.cli import main; sys.stdout = open(os.devnull, 'w');"
        "main(['ps']); sys.stderr.write(open('/proc/self/oom_score_adj').read())"
    )
    done = subprocess.run([*UNSHARE, sys.executable, "-c", code], capture_output=True, text=True)

    assert done.stderr.strip() == "1000"


@pytest.mark.parametrize(
    ("own", "expected_mib"),
    [(None, 50), (limit("/me", 100, 90), 10), (limit("/me", None, 40), 50)],
)
def test_headroom(own, expected_mib):
    """Of a guest's own limit if it has one, else of the container with the least room."""
    others = [limit("/a", 300, 250), limit("/b", 500, 100), limit("/c", None, 3000)]

    assert headroom_bytes(others, own) == expected_mib * MIB
    assert headroom_bytes([limit("/c", None, 3000)], None) is None
