"""Real targets for anatomy: programs of which the truth is known, because they tell it themselves.

A target is a file `target_*.py` or `target_*.c` of this folder. What it can be asked is in
`answering`; `look` looks at it in this process, through the same function as the screen.
"""

import os
import platform
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))
from pythons import interpreters, label
from targets import Compiler, Starter
from truth import HERE, identity_of

PYTHONS = interpreters() or [sys.executable]


def pytest_generate_tests(metafunc):
    """A test that takes `python` runs with each interpreter; without `deep` with three of them."""
    if "python" not in metafunc.fixturenames:
        return

    def version(path):
        digits = label(path).split(".")
        return tuple(map(int, digits)) if all(map(str.isdecimal, digits)) else (0,)

    own = os.path.realpath(sys.executable)
    ordered = sorted((path for path in PYTHONS if version(path) > (0,)), key=version)
    quick = {path for path in PYTHONS if os.path.realpath(path) == own}
    quick |= {ordered[0], ordered[-1]} if ordered else set()
    metafunc.parametrize(
        "python",
        [
            pytest.param(path, id=label(path), marks=() if path in quick else pytest.mark.deep)
            for path in PYTHONS
        ],
    )


def pytest_terminal_summary(terminalreporter):
    """What the tests measured, one line for each."""
    reports = [one for name in ("passed", "failed") for one in terminalreporter.getreports(name)]
    for report in reports:
        if "anatomy/" not in report.nodeid:
            continue
        if figures := [f"{name} {value}" for name, value in report.user_properties]:
            test = report.nodeid.rpartition("::")[2]
            terminalreporter.write_line(f"{test}: {', '.join(figures)}")


@pytest.fixture(autouse=True, scope="session")
def _may_read():
    """Skips everything here with a reason if the memory of others cannot be read."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("anatomy is known of Linux on x86_64 only")
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
def compiled(tmp_path_factory):
    """compiled(file, *flags): a C file of this folder as a program."""
    return Compiler(HERE, tmp_path_factory.mktemp("compiled"))


@pytest.fixture
def look(record_property):
    """look(target): the anatomy of it now; what matters is in the summary."""
    from memtop.anatomy import anatomy

    def one(target, **options):
        found = anatomy.look(identity_of(getattr(target, "pid", target)), **options)
        record_property("explained", f"{found.explained_bytes / found.rss_bytes:.2%}")
        if found.resyncs:
            record_property("resyncs", f"{found.resyncs} ({found.confidence:.3%})")
        return found

    return one
