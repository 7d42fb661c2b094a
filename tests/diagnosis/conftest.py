"""Real programs of which it is known why they grow, and the command that has to find out.

A target is a file `target_*.py` of this folder. `diagnose` runs the command in a process of its
own, as a user does, and gives what it printed as JSON. `watched` has what it says of many programs
that are watched at the same time, because a diagnosis takes as long as it watches.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))
from targets import Starter

HERE = Path(__file__).parent
FOR = "16s"
START_S = 0.3  # one after the other, so that none waits for all
EXECS_AFTER_S = 12
EXECS = (
    "import os, sys, time; kept = bytearray(b'x') * (60 << 20); print('{}', flush=True);"
    "time.sleep(%d); os.execv(sys.executable, [sys.executable, %r, 'objects', '2'])"
)
POOL = """
import multiprocessing, time
def work(_):
    data = [bytes(1000) for _ in range(4000)]
    time.sleep(0.2)
    return len(data)
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(3, maxtasksperchild=5) as pool:
        print("{}", flush=True)
        for _ in pool.imap_unordered(work, range(10**6)):
            pass
"""


@pytest.fixture(autouse=True, scope="session")
def _may_read():
    """Skips everything here with a reason if the memory of others cannot be read."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        pytest.skip("memory is looked into on Linux on x86_64 only")
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            with open(f"/proc/{child.pid}/mem", "rb"), open(f"/proc/{child.pid}/pagemap", "rb"):
                pass
        except OSError as error:
            pytest.skip(f"the memory of other processes cannot be read here: {error.strerror}")
        finally:
            child.kill()


@pytest.fixture
def start(tmp_path):
    """start(file, *arguments): a target, after its first line."""
    starter = Starter(HERE, tmp_path)
    yield starter
    starter.end()


class Answer:
    """What the command has said: `document` of stdout, its exit code, stderr."""

    def __init__(self, done):
        self.code, self.err = done.returncode, done.stderr
        assert done.stdout.strip(), done.stderr
        self.document = json.loads(done.stdout)
        self.findings = self.document.get("findings", [])

    @property
    def first(self):
        return self.findings[0]

    @property
    def causes(self):
        return [finding["cause"] for finding in self.findings]

    def __repr__(self):
        """For the message of an assertion that fails."""
        return json.dumps(self.document, indent=1)[:6000] + self.err


def run(pid, *arguments, watch=FOR, as_json=True, **options):
    """The command in a process of its own, as it was completed."""
    command = [sys.executable, "-m", "memtop", "diagnose", str(pid), "--for", watch]
    command += ["--json"] if as_json else []
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=150, **options
    )


@pytest.fixture
def diagnose():
    """diagnose(pid, …): what the command says about a process; more arguments as it takes them."""

    def answer(pid, *arguments, **options):
        return Answer(run(pid, *arguments, **options))

    return answer


# -- all at the same time ----------------------------------------------------------------------


class Watched:
    """Programs that run, and the answers about them by their names.

    All is done by threads: a test waits for its own answer only.
    """

    execs_after_s = EXECS_AFTER_S

    def __init__(self, starter):
        self._starter, self._processes = starter, []
        self._pool = ThreadPoolExecutor(40)
        self._begun, self._options = {}, {}
        self.pids, self.children = {}, {}

    def begin(self, name, how, *arguments, **options):
        """Start a program with one of the functions below, and watch it."""
        self._begun[name] = self._pool.submit(self._run, name, how, arguments, options)

    def _run(self, name, how, arguments, options):
        self._options[name] = options
        self.pids[name] = how(name, *arguments)
        return run(self.pids[name], **options)

    def memory(self, _, kind, rate, then_s=0.0, then=None):
        """A program of one kind (target_memory.py), and a signal for it some seconds later."""
        target = self._starter("target_memory.py", kind, rate)
        if then is not None and then_s:
            threading.Timer(then_s, os.kill, (target.pid, then)).start()
        elif then is not None:
            os.kill(target.pid, then)
        return target.pid

    def service(self, name, late_s, *arguments):
        """A service and its children (target_service.py), which start some seconds later."""
        service = self._starter("target_service.py", *arguments)

        def go():
            self.children[name] = service.ask("go")["children"]

        threading.Timer(late_s, go).start() if late_s else go()
        return service.pid

    def program(self, _, *command):
        """Any other program, after its first line if it has one."""
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self._processes.append(process)
        if command[0] == sys.executable:
            process.stdout.readline()
        return process.pid

    def done(self, name):
        """What the command did, when it has ended."""
        return self._begun[name].result()

    def __call__(self, name):
        """The answer about one."""
        return Answer(self.done(name))

    def again(self, name):
        """The answer about one that still runs, when the others are done."""
        for begun in self._begun.values():
            begun.result()
        return Answer(run(self.pids[name], **self._options[name]))

    def end(self):
        for process in self._processes:
            process.kill()
            process.communicate()
        self._starter.end()
        self._pool.shutdown(cancel_futures=True)


class Case(NamedTuple):
    """A program, how it is started (a method of Watched), and how it is watched."""

    how: str
    arguments: tuple
    options: dict = {}


def memory(*arguments, **options):
    return Case("memory", arguments, options)


CASES = {
    "objects": memory("objects", 2),
    "table": memory("table", 3),
    "frames": memory("frames", 4),
    "native": memory("native", 2),
    "mapped": memory("mapped", 3),
    "holes": memory("holes", 4),
    "kept": memory("kept", 1),
    "files": memory("files", 3),
    "attached": memory("attached", 3),
    "unnamed": memory("unnamed", 3),
    "threads": memory("threads", 1),
    "nothing": memory("nothing", 1, watch="22s"),
    "cache": memory("cache", 1, watch="22s"),
    "cycles": memory("cycles", 6),
    "text": memory("objects", 3, as_json=False),
    "stopped": memory("objects", 2, 0, signal.SIGSTOP),
    "ends": memory("objects", 3, 10, signal.SIGKILL, watch="60s"),
    "one of many": Case("service", (0, 5, 20, "objects", 3)),
    "many": Case("service", (4, 12, 15)),
    "born": Case("service", (4, 1, 20, "native", 4)),
    "sleep": Case("program", ("sleep", "600")),
    "execs": Case(
        "program",
        (sys.executable, "-c", EXECS % (EXECS_AFTER_S, str(HERE / "target_memory.py"))),
        {"watch": "24s"},
    ),
    "pool": Case("program", (sys.executable, "-c", POOL), {"watch": "22s"}),
}


def pytest_configure(config):
    config.addinivalue_line("markers", "watches(*names): the CASES that a test is about")


def pytest_collection_modifyitems(items):
    """They share one time of watching, and a case belongs to the test that has its name."""
    for item in items:
        parameters = getattr(item, "callspec", SimpleNamespace(params={})).params
        if Path(item.path).parent == HERE and "kind" in parameters:
            item.add_marker(pytest.mark.watches(parameters["kind"]))


@pytest.fixture(scope="session")
def watched(request, tmp_path_factory):
    """watched(name): the answer about a program; those of all tests are watched together."""
    marks = [mark for item in request.session.items for mark in item.iter_markers("watches")]
    everything = Watched(Starter(HERE, tmp_path_factory.mktemp("watched")))
    try:
        for name in dict.fromkeys(name for mark in marks for name in mark.args):
            case = CASES[name]
            everything.begin(name, getattr(everything, case.how), *case.arguments, **case.options)
            time.sleep(START_S)
        yield everything
    finally:
        everything.end()
