"""Real targets for actions: programs that check themselves while something is done in them.

A target is a file `target_*.py` or `target_*.c` of this folder. It says what it saw as lines of
JSON, and ends when its input ends. `act` runs the real command line as a process of its own.
"""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))
from injecting import HERE, Unharmed, act_on_all
from pythons import interpreters, label
from targets import Compiler, Starter

PYTHONS = interpreters() or [sys.executable]
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17


def pytest_generate_tests(metafunc):
    """A test that takes `python` runs with each interpreter of this machine.

    Without `deep` with some of them: the one that runs the tests, the oldest and the newest; one
    that takes `each_python` with the first of these only.
    """
    own = os.path.realpath(sys.executable)
    for name in {"python", "each_python"} & set(metafunc.fixturenames):
        metafunc.parametrize(
            name,
            [
                pytest.param(path, id=label(path), marks=() if is_quick else pytest.mark.deep)
                for path, is_quick in _with_priority(PYTHONS)
                for is_quick in [is_quick and (name == "python" or os.path.realpath(path) == own)]
            ],
        )


def _with_priority(paths):
    def version(path):
        digits = label(path).split(".")
        return tuple(map(int, digits)) if all(map(str.isdecimal, digits)) else (0,)

    own = os.path.realpath(sys.executable)
    # Of 3.6 an interpreter without threads has no GIL, which is a case of its own.
    usable = sorted((path for path in paths if version(path) > (3, 7)), key=version)
    quick = {path for path in paths if os.path.realpath(path) == own}
    quick |= {usable[0], usable[-1]} if usable else set()
    return [(path, path in quick) for path in paths]


def pytest_terminal_summary(terminalreporter):
    """What the tests measured, one line for each."""
    reports = [one for name in ("passed", "failed") for one in terminalreporter.getreports(name)]
    for report in reports:
        if figures := [f"{name} {value}" for name, value in report.user_properties]:
            test = report.nodeid.rpartition("::")[2]
            terminalreporter.write_line(f"{test}: {', '.join(figures)}")


@pytest.fixture(autouse=True, scope="session")
def _may_ptrace():
    """Skips everything here with a reason if nothing can be traced."""
    if reason := why_not_ptrace():
        pytest.skip(reason)


def why_not_ptrace():
    """Why no process can be traced here; "" if one can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "actions exist on Linux on x86_64 only"
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        call = ctypes.CDLL(None, use_errno=True).ptrace
        call.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        try:
            with open(f"/proc/{child.pid}/mem", "r+b"):
                pass
            if call(PTRACE_SEIZE, child.pid, 0, 0) < 0:
                return f"ptrace is not permitted here: {os.strerror(ctypes.get_errno())}"
            call(PTRACE_INTERRUPT, child.pid, 0, 0)
            os.waitpid(child.pid, 0x40000000)
            call(PTRACE_DETACH, child.pid, 0, 0)
        except OSError as error:
            return f"ptrace is not permitted here: {error.strerror}"
        finally:
            child.kill()
    return ""


@pytest.fixture
def start(tmp_path):
    """start(file, *arguments, python=…, prefix=(…)): a target, after its first line.

    A path that is no Python file is run as it is. `prefix` runs it under another command, which
    has to become it by exec.
    """
    starter = Starter(HERE, tmp_path)
    yield starter
    starter.end()


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """compiled(file, *flags): a C file of this folder as a program, or as what the flags say."""
    return Compiler(HERE, tmp_path_factory.mktemp("compiled"))


@pytest.fixture
def act():
    """act(pid, action="trim", *options): the result of one process with its `exit` code."""

    def one(pid, action="trim", *options, **more):
        pid = getattr(pid, "pid", pid)
        results, error, code = act_on_all([pid], action, *options, **more)
        assert pid in results, f"no result of {pid} ({code}): {error}"
        return results[pid]

    return one


@pytest.fixture
def unharmed():
    """unharmed(target): remembers what it is like; `.check()` compares."""
    return Unharmed
