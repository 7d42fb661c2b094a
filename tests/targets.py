"""Targets: real programs of a test folder that say lines of JSON and obey lines on their stdin.

Nothing here is a test or a fixture; the `conftest` of a folder makes fixtures of it.
"""

import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pythons import label, trouble

PATIENCE_S = 30.0


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
        """What it wrote to stderr, the last of it."""
        self.errors.seek(0)
        return self.errors.read().decode("utf-8", "replace")[-8000:]

    def end(self):
        self.process.kill()
        self.process.wait()
        for file in (self.process.stdin, self.process.stdout, self.errors):
            try:
                file.close()
            except OSError:
                pass


class Starter:
    """Starts the targets of a folder, and ends them all."""

    def __init__(self, folder, errors):
        self._folder, self._errors = folder, errors
        self._started = []

    def __call__(
        self, file, *arguments, python=sys.executable, prefix=(), env=(), first=True, **options
    ):
        """A target, after its first line, which is its `said`.

        A path that is no Python file is run as it is. `prefix` runs it under another command,
        which has to become it by exec; `env` is added to the environment.
        """
        command = [*prefix]
        if str(file).endswith(".py"):
            if reason := trouble(python):
                pytest.skip(f"{label(python)} is of no use here: {reason}")
            command.append(python)
        command += [str(self._folder / file) if "/" not in str(file) else str(file)]
        errors = open(self._errors / f"errors{len(self._started)}", "w+b")  # noqa: SIM115
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
        }
        process = subprocess.Popen(
            [*command, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**environment, **dict(env)},
            **options,
        )
        target = Target(process, errors)
        self._started.append(target)
        if first:
            said = target.read()
            if "trouble" in said:
                pytest.skip(f"this target is not possible here: {said['trouble']}")
            target.said = said
        return target

    def end(self):
        for target in self._started:
            target.end()


class Compiler:
    """Compiles the C files of a folder, each once for the same flags."""

    def __init__(self, folder, made):
        self._folder, self._made = folder, made
        self._found = {}

    def __call__(self, file, *flags):
        """The path of the program, or of what the flags say."""
        gcc = shutil.which("gcc")
        if gcc is None:
            pytest.skip("there is no gcc to compile the targets")
        key = (file, flags)
        if key not in self._found:
            out = self._made / f"{Path(file).stem}-{len(self._found)}"
            command = [gcc, "-O2", "-Wall", *flags, "-o", out, self._folder / file, "-pthread"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            self._found[key] = str(out)
        return self._found[key]
