"""Real targets for what counts Python's objects: programs of which the numbers are known.

A target is a file `target_*.py` of this folder; what it can be asked is in `reckoning`, and in
`answering` of the folder of anatomy. `census` takes one in this process, as the screen does.
"""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "anatomy"))
sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))
from pythons import interpreters, label, trouble
from targets import Starter
from truth import identity_of

HERE = Path(__file__).parent
PYTHONS = interpreters() or [sys.executable]


def pytest_generate_tests(metafunc):
    """A test that takes `python` runs with each interpreter, without `deep` with three of them.

    One that takes `each_python` without `deep` with that only which runs the tests.
    """
    own = os.path.realpath(sys.executable)
    by_age = sorted(PYTHONS, key=lambda path: [int(one) for one in label(path).split(".")[1:2]])
    numbered = [path for path in by_age if label(path)[:1].isdigit()]
    ends = {os.path.realpath(path) for path in (*numbered[:1], *numbered[-1:])}
    for name, quick in (("python", ends | {own}), ("each_python", {own})):
        if name in metafunc.fixturenames:
            marks = [() if os.path.realpath(one) in quick else pytest.mark.deep for one in PYTHONS]
            chosen = zip(PYTHONS, marks, strict=True)
            metafunc.parametrize(
                name, [pytest.param(path, id=label(path), marks=mark) for path, mark in chosen]
            )


def pytest_terminal_summary(terminalreporter):
    """What the tests measured, one line for each."""
    reports = [one for name in ("passed", "failed") for one in terminalreporter.getreports(name)]
    for report in reports:
        if "objects/" not in report.nodeid:
            continue
        if figures := [f"{name} {value}" for name, value in report.user_properties]:
            test = report.nodeid.rpartition("::")[2]
            terminalreporter.write_line(f"{test}: {', '.join(figures)}")


@pytest.fixture(autouse=True, scope="session")
def _may_read():
    """Skips everything here with a reason if the memory of others cannot be read."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        pytest.skip("objects are known of Linux on x86_64 only")
    pid = os.fork()
    if not pid:
        os.read(os.pipe()[0], 1)
    try:
        with open(f"/proc/{pid}/mem", "rb"), open(f"/proc/{pid}/pagemap", "rb"):
            pass
    except OSError as error:
        pytest.skip(f"the memory of other processes cannot be read here: {error.strerror}")
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


@pytest.fixture
def start(tmp_path):
    """start(file, *arguments, python=…, env={…}): a target, after its first line."""
    starter = Starter(HERE, tmp_path)
    yield starter
    starter.end()


@pytest.fixture(scope="session")
def numpy_python():
    """An interpreter that has numpy."""
    found = [path for path in PYTHONS if not trouble(path, "numpy, ctypes")]
    if not found:
        pytest.skip("no Python here has numpy")
    return found[0]


@pytest.fixture
def census(record_property):
    """census(target, full=…): the objects of it now; how long it took is in the summary."""
    from memtop.anatomy.census import take_census

    def one(target, **options):
        found = take_census(identity_of(getattr(target, "pid", target)), **options)
        record_property("took", f"{found.seconds:.2f} s for {found.count:,}")
        return found

    return one
