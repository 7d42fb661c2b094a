"""Real targets for actions: programs that check themselves while something is done in them.

A target is a file `target_*.py` or `target_*.c` of this folder. It says what it saw as lines of
JSON, and ends when its input ends. `act` runs the real command line as a process of its own.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))
from injecting import HERE, Unharmed, act_on_all
from pythons import interpreters, label, trouble

PYTHONS = interpreters() or [sys.executable]
PATIENCE_S = 30.0
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


def pytest_collection_modifyitems(items):
    """One after the other: they measure times."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("inject"))


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


# Starting targets


class Target:
    """A process that answers with lines of JSON; `pid` of the target itself."""

    def __init__(self, process, errors, pid=None):
        self.process, self.errors = process, errors
        self.pid = process.pid if pid is None else pid
        self._rest = b""

    def read(self, limit_s=PATIENCE_S):
        """The next line; fails if the target has ended, or says nothing."""
        deadline = time.monotonic() + limit_s
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, left))
            assert ready, f"the target said nothing for {limit_s} s"
            chunk = os.read(self.process.stdout.fileno(), 1 << 16)
            assert chunk, f"the target has ended ({self.process.wait()}): {self.complaints()}"
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)

    def lines(self):
        """All lines that are there, without waiting."""
        while select.select([self.process.stdout], [], [], 0)[0]:
            chunk = os.read(self.process.stdout.fileno(), 1 << 16)
            if not chunk:
                break
            self._rest += chunk
        *found, self._rest = self._rest.split(b"\n")
        return [json.loads(line) for line in found]

    def ask(self, line="report"):
        """Its answer to a line."""
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        return self.read()

    @property
    def is_alive(self):
        return self.process.poll() is None

    def complaints(self):
        """What it wrote to stderr."""
        self.errors.seek(0)
        return self.errors.read().decode("utf-8", "replace")[-2000:]

    def end(self):
        self.process.kill()
        self.process.wait()
        for file in (self.process.stdin, self.process.stdout, self.errors):
            try:
                file.close()
            except OSError:
                pass


@pytest.fixture
def start(tmp_path):
    """start(file, *arguments, python=…, prefix=(…)): a target, after its first line.

    A path that is no Python file is run as it is. `prefix` runs it under another command, which
    has to become it by exec.
    """
    started = []

    def begin(file, *arguments, python=sys.executable, prefix=(), first=True, **options):
        command = [*prefix]
        if str(file).endswith(".py"):
            if reason := trouble(python):
                pytest.skip(f"{label(python)} is of no use here: {reason}")
            command.append(python)
        command += [str(HERE / file) if "/" not in str(file) else str(file)]
        errors = open(tmp_path / f"errors{len(started)}", "w+b")  # noqa: SIM115
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
        }
        process = subprocess.Popen(
            [*command, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            **options,
        )
        target = Target(process, errors)
        started.append(target)
        if first:
            said = target.read()
            if "trouble" in said:
                pytest.skip(f"this target is not possible here: {said['trouble']}")
            target.said = said
        return target

    yield begin
    for target in started:
        target.end()


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """compiled(file, *flags): a C file of this folder as a program, or as what the flags say."""
    gcc = shutil.which("gcc")
    folder = tmp_path_factory.mktemp("compiled")
    made = {}

    def compile_once(file, *flags):
        if gcc is None:
            pytest.skip("there is no gcc to compile the targets")
        key = (file, flags)
        if key not in made:
            out = folder / f"{Path(file).stem}-{len(made)}"
            command = [gcc, "-O2", "-Wall", *flags, "-o", out, HERE / file, "-pthread"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            made[key] = str(out)
        return made[key]

    return compile_once


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
