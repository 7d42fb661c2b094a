"""Roles in `ps --json`: recorded trees as a /proc folder, and real pools of every Python here."""

import contextlib
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from proctree import recorded_trees, write_procfs

TREES = recorded_trees()
VERSIONS = [f"3.{minor}" for minor in range(6, 15)]

# A service with two workers for each start method that it is told. ProcessPoolExecutor takes a
# method since 3.7.
SERVICE = """
import multiprocessing, sys, time
from concurrent.futures import ProcessPoolExecutor

def work(seconds):
    time.sleep(seconds)

if __name__ == "__main__":
    pools = []
    for method in sys.argv[1:]:
        context = multiprocessing.get_context(method)
        if sys.version_info < (3, 7):
            pools.append(context.Pool(2))
            continue
        pools.append(ProcessPoolExecutor(2, mp_context=context))
        for _ in range(2):
            pools[-1].submit(work, 60)
    print("ready", flush=True)
    sys.stdin.read()
"""


def listed(*arguments):
    """What `memtop ps --json` prints of processes, by PID."""
    command = [sys.executable, "-m", "memtop", "ps", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return {one["pid"]: one for one in json.loads(done.stdout)["processes"]}


@pytest.fixture(scope="module", params=[True, False], ids=["all rights", "no rights"])
def recorded(request, tmp_path_factory):
    """All trees in one /proc: what memtop says of each process, and what was recorded of it."""
    if sys.platform != "linux":
        pytest.skip("a folder is read as /proc on Linux")
    folder = tmp_path_factory.mktemp("proc")
    written = write_procfs(folder, TREES.values(), with_exe=request.param)
    found = listed("--procfs", str(folder))
    assert found.keys() == written.keys()
    return [(found[pid], tree, process) for pid, (tree, process) in written.items()]


@pytest.mark.parametrize("name", TREES)
def test_recorded_trees(recorded, name):
    """Every process of a recorded tree has the role and the framework that it really had."""
    judged = [
        (found, process)
        for found, tree, process in recorded
        if tree == name and process["kind"] is not None
    ]
    assert judged
    for found, process in judged:
        assert found["role"] == process["kind"], process
        if process["framework"]:  # `execnet/pytest-xdist` and `torch DataLoader` are two names
            names = process["framework"].replace("/", " ").split()
            assert found["framework"] in names, process


def interpreters():
    """Pythons of this machine by version: beside this one, of pyenv and uv, on PATH, system."""
    homes = [os.path.dirname(sys.executable), os.path.dirname(os.path.realpath(sys.executable))]
    for folders in ("~/.pyenv/versions/*/bin", "~/.local/share/uv/python/*/bin"):
        homes += sorted(glob.glob(os.path.expanduser(folders)))
    homes += [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin", "/usr/local/bin"]
    return {
        version: path
        for version in VERSIONS
        # A shim of pyenv is a shell script, which starts whatever is chosen for the folder.
        for path in [
            shutil.which(
                f"python{version}",
                path=os.pathsep.join(home for home in homes if "shims" not in home),
            )
        ]
        if path
    }


INTERPRETERS = interpreters()
# The oldest and the newest that are here, and the one that runs the tests.
QUICK = {*[*INTERPRETERS][:1], *[*INTERPRETERS][-1:], f"3.{sys.version_info.minor}"}


@cache
def trouble(path):
    """Why an interpreter is of no use here, "" if it is: it may lack a library, or semaphores."""
    code = "import multiprocessing.synchronize, ctypes"
    done = subprocess.run([path, "-c", code], capture_output=True, text=True, timeout=30)
    return done.stderr.strip().rpartition("\n")[2]


@pytest.fixture
def service(tmp_path):
    """Starts services; each is a session of its own, which ends as a whole."""
    (tmp_path / "shop.py").write_text(SERVICE)
    started = []

    def start(python, *methods):
        process = subprocess.Popen(
            [python, "shop.py", *methods],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="start methods are those of Linux")
@pytest.mark.parametrize(
    "version",
    [pytest.param(one, marks=() if one in QUICK else pytest.mark.deep) for one in VERSIONS],
)
def test_real_pools(version, service):
    """The roles of real workers of every start method.

    Spawn and forkserver share one tracker (of semaphores until 3.7, of resources since 3.8), a
    plain fork needs none. The forkserver's workers are its children, all others the main's.
    """
    if version not in INTERPRETERS:
        pytest.skip(f"there is no Python {version} here")
    python = INTERPRETERS[version]
    if reason := trouble(python):
        pytest.skip(f"Python {version} cannot have pools: {reason}")
    forking, mixed = service(python, "fork"), service(python, "spawn", "forkserver")
    assert forking.stdout.readline() == mixed.stdout.readline() == "ready\n"

    processes = listed("--pid", str(forking.pid))
    assert counted(processes) == {
        ("main", None, "the test"): 1,
        ("worker", "multiprocessing", "main"): 2,
    }

    processes = listed("--pid", str(mixed.pid))
    assert counted(processes) == {
        ("main", None, "the test"): 1,
        ("tracker", "multiprocessing", "main"): 1,
        ("forkserver", "multiprocessing", "main"): 1,
        ("worker", "multiprocessing", "forkserver"): 2,
        ("worker", "multiprocessing", "main"): 2,
    }
    tracker = next(one for one in processes.values() if one["role"] == "tracker")
    old = version in ("3.6", "3.7")
    assert ("semaphore_tracker" if old else "resource_tracker") in tracker["command"]


def counted(processes):
    """How many there are of each role, framework and role of the parent."""
    roles = {pid: one["role"] for pid, one in processes.items()}
    return Counter(
        (one["role"], one["framework"], roles.get(one["ppid"], "the test"))
        for one in processes.values()
    )
