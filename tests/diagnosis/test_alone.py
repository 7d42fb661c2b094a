"""Who may not look, who cannot be looked into, and whoever does not wait: one after the other.

They run while the programs of `watched` are watched.
"""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Imported here, because another user may not be able to read it later.
import memtop.diagnosing  # noqa: F401
from memtop.cli import main

sys.path.insert(0, str(Path(__file__).parent.parent))
from users import NOBODY, as_user

pytestmark = pytest.mark.usefixtures("watched")
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
MEMTOP = [sys.executable, "-m", "memtop", "diagnose"]


def called(arguments):
    """Exit code and stdout of the command in this process."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        code = main(arguments)
    return code, out.getvalue()


@ROOT_ONLY
def test_without_rights(start):
    """How far it gets as another user: RSS alone; the missing right and the command that has it."""
    target = start("target_memory.py", "objects", 3)
    arguments = ["diagnose", str(target.pid), "--json", "--for", "6s"]
    code, out = as_user(NOBODY, lambda: called(arguments))
    document = json.loads(out)
    (first, *_) = document["findings"]

    assert code == 3, out
    assert first["cause"] == "unknown"
    assert document["error"]["right"] == "smaps"
    assert document["error"]["command"]  # sudo, or a container of its own
    assert "grows" in first["headline"]


def test_who_cannot_be_diagnosed():
    """No such process; a thread of the kernel; memtop itself."""
    done = subprocess.run([*MEMTOP, str(2**22 + 1)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 4
    assert "there is no process" in done.stderr

    code = "import os; from memtop.cli import main; exit(main(['diagnose', str(os.getpid())]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "is memtop itself" in done.stderr


def watches(pid, other):
    """Whether one process holds files of /proc open that tell of another."""
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{name}").startswith(f"/proc/{other}/"):
                    return True
    return False


def test_ctrl_c_gives_what_is_known(start):
    """Exit code 130, and an answer all the same; nobody is left watching."""
    target = start("target_memory.py", "objects", 3)
    command = [*MEMTOP, str(target.pid), "--json", "--for", "5m"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as one:
        while one.poll() is None and not watches(one.pid, target.pid):
            time.sleep(0.1)
        time.sleep(3)
        one.send_signal(signal.SIGINT)
        out, err = one.communicate(timeout=30)

    assert one.returncode == 130, err
    assert json.loads(out)["findings"][0]["pid"] == target.pid
