"""A real terminal for the tests: a tmux server of its own, with one pane of a fixed size.

Nothing here sleeps to be in step with the program; `wait` polls the pane until it shows what was
asked for, and fails with the whole pane when that takes too long.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TMUX = shutil.which("tmux")
LIMIT_S = 20.0
POLL_S = 0.05

# The pane waits for Enter, so that its bytes can be recorded from the first one on.
SCRIPT = """\
read go
printf '%s\\n' '{before}'
stty -a > stty.before
sh -c 'echo $$ > memtop.pid; exec "$@"' sh {command}
code=$?
stty -a > stty.after
echo EXIT $code
exec cat
"""

# It leaves its parent, so that above it in the tree there is nothing but PID 1.
FAMILY = """\
import json, os, subprocess, sys
if os.fork():
    os._exit(0)
print(os.getpid(), flush=True)
born = []
for line in sys.stdin:
    born.append(subprocess.Popen([sys.executable, *json.loads(line)], stdin=subprocess.PIPE))
    print(born[-1].pid, flush=True)
"""
HOLDS = "import sys\nheld = b'x' * ({mib} << 20)\nsys.stdin.read()\n"


class Terminal:
    """A pane with a shell that runs one command; `folder` is the working directory."""

    SHELL = "$$"  # as an argument: the process id of the shell in the pane, whose child memtop is
    BEFORE = "text from before the start"

    def __init__(self, folder: Path) -> None:
        assert TMUX is not None
        self.folder = folder
        name = f"memtop-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._tmux_command = [TMUX, "-u", "-L", name, "-f", "/dev/null"]
        # pytest imports readline, which puts COLUMNS and LINES into the environment.
        dropped = "COLORTERM NO_COLOR COLUMNS LINES TMUX TMUX_PANE ENV TERM".split()
        self._env = {
            key: value
            for key, value in os.environ.items()
            if key not in dropped and not key.startswith("TEXTUAL")
        }
        self._env |= {
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm-256color",
            "XDG_STATE_HOME": str(folder / "state"),
        }
        self._raw = folder / "pane.raw"

    def tmux(self, *arguments: str) -> str:
        """Run a tmux command on this server and return what it prints."""
        done = subprocess.run(
            [*self._tmux_command, *arguments],
            env=self._env,
            capture_output=True,
            timeout=60,
            check=True,
        )
        return done.stdout.decode()

    def run(
        self,
        *arguments: str,
        size: tuple[int, int] = (80, 24),
        env: dict[str, str] | None = None,
        program: tuple[str, ...] = ("-m", "memtop"),
    ) -> None:
        """Start Python with a program and arguments, memtop if nothing else is said."""
        words = [sys.executable, *program, *arguments]
        command = " ".join(word if word == self.SHELL else shlex.quote(word) for word in words)
        script = self.folder / "pane.sh"
        script.write_text(SCRIPT.format(before=self.BEFORE, command=command))
        settings = {"TERM": "xterm-256color", **(env or {})}
        inside = ["env", "-u", "COLORTERM", *(f"{key}={value}" for key, value in settings.items())]
        place = ("-c", str(self.folder), "-x", str(size[0]), "-y", str(size[1]))
        self.tmux("new-session", "-d", *place, *inside, "sh", str(script))
        self.tmux("pipe-pane", f"cat > {shlex.quote(str(self._raw))}")
        self.keys("Enter")

    def keys(self, *keys: str) -> None:
        """Send keys by their tmux names, and texts, all in one call."""
        self.tmux("send-keys", *keys)

    def lines(self, *options: str) -> list[str]:
        """The lines of the pane, as they are now."""
        return self.tmux("capture-pane", "-p", *options).split("\n")[:-1]

    def screen(self) -> str:
        """The pane as one text."""
        return "\n".join(self.lines())

    def wait(self, *texts: str, without: str | tuple[str, ...] = ()) -> str:
        """Wait until the pane shows all the texts and none of those it must be `without`."""
        absent = (without,) if isinstance(without, str) else without
        return self.wait_until(
            lambda screen: (
                all(text in screen for text in texts) and not any(text in screen for text in absent)
            ),
            f"shows {texts} without {absent}",
        )

    def wait_until(
        self, holds: Callable[[str], object], what: str, limit_s: float = LIMIT_S
    ) -> str:
        """Wait until something holds for the pane; returns what the pane showed then."""
        deadline = time.monotonic() + limit_s
        while True:
            screen = self.screen()
            if holds(screen):
                return screen
            if time.monotonic() > deadline:
                raise AssertionError(f"not in {limit_s:g} s: the pane {what}. It is:\n{screen}")
            time.sleep(POLL_S)

    def row(self, text: str) -> str:
        """The line that has a text in it, "" if none has."""
        return next((line for line in self.lines() if text in line), "")

    def go_to(self, text: str) -> None:
        """Move the cursor down from the first row to the row that has a text in it."""
        self.keys("Home")
        self.wait("▌")
        for _ in self.lines():
            here = self.row("▌")
            if text in here:
                return
            self.keys("Down")
            pid = here[: here.index(" ", 8)]  # with the mark; the numbers may change meanwhile
            self.wait_until(lambda screen, left=pid: left not in screen, "moves the cursor")
        raise AssertionError(f"no row with {text!r}:\n{self.screen()}")

    def flag(self, name: str) -> str:
        """A format variable of tmux, such as `cursor_flag`."""
        return self.tmux("display-message", "-p", f"#{{{name}}}").strip()

    def resize(self, width: int, height: int) -> None:
        """Give the terminal another size."""
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def exit_code(self) -> int:
        """Wait for the end of the program and return its exit code."""
        found = re.search(r"^EXIT (\d+)", self.wait_until(_EXIT.search, "says EXIT"), re.M)
        assert found is not None
        return int(found[1])

    def raw(self) -> bytes:
        """All bytes that were written to the pane until the program ended."""
        deadline = time.monotonic() + LIMIT_S
        while b"EXIT " not in (data := self._raw.read_bytes()):
            assert time.monotonic() < deadline, "the end of the program was not recorded"
            time.sleep(POLL_S)
        return data

    def memtop_pid(self) -> int:
        """The process id of the program in the pane."""
        return int((self.folder / "memtop.pid").read_text())

    def close(self) -> None:
        """End the server and everything in it."""
        try:
            socket = self.flag("socket_path")
            self.tmux("kill-server")
        except subprocess.CalledProcessError:
            return  # it was never started
        Path(socket).unlink(missing_ok=True)


_EXIT = re.compile(r"^EXIT \d+", re.MULTILINE)


class Family:
    """A process with two children: small.py, and quarry.py which holds 80 MiB more."""

    def __init__(self, folder: Path) -> None:
        (folder / "family.py").write_text(FAMILY)
        for name, mib in (("small.py", 1), ("quarry.py", 80), ("late.py", 1)):
            (folder / name).write_text(HOLDS.format(mib=mib))
        self._process = subprocess.Popen(
            [sys.executable, "family.py"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._read_pid()
        self.small = self.bear("small.py")
        self.quarry = self.bear("quarry.py")

    def bear(self, *arguments: str) -> int:
        """Start one more child, Python with these arguments; returns its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        return self._read_pid()

    def _read_pid(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End it; its children end because their pipes do."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.read()  # until the last of them has closed it
        self._process.stdout.close()
        self._process.wait(LIMIT_S)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal whose working directory is the test's own."""
    if TMUX is None:
        pytest.skip("tmux is not installed: there is no real terminal to test in")
    made = Terminal(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    """A small tree of processes that is always the same."""
    made = Family(tmp_path)
    try:
        yield made
    finally:
        made.close()
