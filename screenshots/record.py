"""Makes the recordings of this folder: five incidents, each of a service that really does it.

    make recordings
    python screenshots/record.py s4 s5      (only these)

Every service (folder services) runs in namespaces and a memory cgroup of its own, as a container
does, so that nothing of this machine is in its file. memtop records it, and what an operator would
ask meanwhile joins the recording. All run at once, for some minutes. Needs root and cgroup v1.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
CGROUPS = Path("/sys/fs/cgroup/memory/services")
OPTIONS = ("--pid", "1", "--interval", "1")
STARTS_S = 10.0
FOR = ("--for", "30s")
# What the first process of a container does before it becomes the service. A bound interpreter
# has the same path on every machine.
ENTRYPOINT = """
set -e
hostname "$1"
mount -t tmpfs -o mode=755 tmpfs /srv
mkdir /srv/app /srv/python
cp -r "$2"/. /srv/app
mount --bind "$3" /srv/python
echo $$ > "$4"
cd /srv/app
exec env -i PATH=/srv/python/bin:/usr/bin:/bin LANG=C.UTF-8 python -m "$5"
"""


class Step(NamedTuple):
    """What is asked `at` so many seconds: a command about the largest process of that name, or
    about the first process of the container, `main`."""

    at: float
    command: str
    name: str
    options: tuple[str, ...] = ()


class Story(NamedTuple):
    """One incident: the service, its limit if it has one, how long it is recorded, the steps."""

    service: str
    host: str
    limit_mib: int | None
    seconds: int
    steps: tuple[Step, ...]


STORIES = {
    "s1": Story(
        "tracker",
        "node-a",
        1536,
        345,
        (
            Step(60, "anatomy", "pool_worker"),
            Step(64, "census", "pool_worker"),
            Step(240, "diagnose", "pool_worker", FOR),
            Step(290, "anatomy", "pool_worker"),
            Step(320, "trim", "pool_worker"),
        ),
    ),
    "s2": Story(
        "ingest",
        "node-a",
        704,
        345,
        (
            Step(60, "anatomy", "main"),
            Step(66, "census", "main"),
            Step(240, "diagnose", "main", FOR),
            Step(290, "anatomy", "main"),
            Step(296, "census", "main"),
            Step(325, "trim", "main"),
        ),
    ),
    "s3": Story("voice", "node-b", 2048, 290, (Step(220, "diagnose", "main", FOR),)),
    "s4": Story(
        "bench",
        "bench-3",
        None,
        345,
        (
            Step(60, "anatomy", "main"),
            Step(64, "census", "main"),
            Step(215, "diagnose", "main", FOR),
            Step(285, "census", "main"),
            Step(295, "anatomy", "main"),
            Step(325, "gc", "main"),
        ),
    ),
    "s5": Story("render", "node-b", 704, 250, (Step(165, "diagnose", "main", FOR),)),
}


class Container:
    """A service that runs in namespaces and a cgroup of its own, until it is ended."""

    def __init__(self, story: Story) -> None:
        self._cgroup = CGROUPS / story.service
        self._cgroup.mkdir()
        if story.limit_mib is not None:
            (self._cgroup / "memory.limit_in_bytes").write_text(str(story.limit_mib << 20))
        arguments = [
            *(story.host, str(HERE / "services"), sys.base_prefix),
            *(str(self._cgroup / "cgroup.procs"), f"{story.service}.main"),
        ]
        unshare = ("unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--uts")
        self.process = subprocess.Popen(
            [*unshare, "sh", "-c", ENTRYPOINT, "sh", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._pid = self._first_pid()

    def memtop(self, *arguments: str) -> list[str]:
        """The command that runs memtop inside, as `kubectl exec` would."""
        enter = ("nsenter", "-t", str(self._pid), "--pid", "--mount", "--uts", "--wd=/")
        environment = (
            "env",
            "-i",
            "PATH=/usr/bin:/bin",
            "LANG=C.UTF-8",
            f"PYTHONPATH={HERE.parent}",
        )
        return [*enter, *environment, sys.executable, "-m", "memtop", *arguments]

    def pid_of(self, name: str) -> int:
        """The PID, inside, of the largest process of a name."""
        if name == "main":
            return 1
        done = subprocess.run(
            self.memtop("ps", "--json", "--pid", "1"), stdout=subprocess.PIPE, check=True
        )
        rows = json.loads(done.stdout)["processes"]
        return max((row["rss_bytes"], row["pid"]) for row in rows if row["name"] == name)[1]

    def end(self) -> None:
        """End all that runs inside."""
        self.process.kill()
        self.process.wait()
        for _ in range(50):
            with contextlib.suppress(OSError):
                self._cgroup.rmdir()
                return
            time.sleep(0.1)

    def _first_pid(self) -> int:
        """The first process inside, by its PID out here, once it is the service."""
        deadline = time.monotonic() + STARTS_S
        below = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, LookupError):
                pid = int(below.read_text().split()[0])
                if b"-m" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    return pid
            time.sleep(0.05)
        raise SystemExit("a service does not start")


def record(name: str, folder: Path) -> None:
    """Record one incident to a file in `folder`."""
    story, file = STORIES[name], str(folder / f"{name}.memtop")
    container = Container(story)
    try:
        length = ("--duration", f"{story.seconds}s")
        recorder = subprocess.Popen(container.memtop("record", file, *OPTIONS, *length))
        begin = time.monotonic()
        threading.Thread(target=set_marks, args=(container, file), daemon=True).start()
        for step in story.steps:
            time.sleep(max(0.0, begin + step.at - time.monotonic()))
            pid = str(container.pid_of(step.name))
            command = container.memtop(step.command, pid, *step.options, "--record", file)
            said = subprocess.run(command, text=True, stdout=subprocess.PIPE)
            print(f"--- {name}, {step.command} after {step.at:g} s\n{said.stdout}", flush=True)
        if recorder.wait():
            raise SystemExit(f"{name} could not be recorded")
    finally:
        container.end()


def set_marks(container: Container, file: str) -> None:
    """Mark the moments that the service tells on its stdout."""
    for line in container.process.stdout:
        word, _, text = line.strip().partition(" ")
        if word == "mark":
            subprocess.run(container.memtop("mark", file, text))


def main() -> None:
    """Record the incidents that were named, or all, at once; then put the files in their place."""
    wanted = sys.argv[1:] or list(STORIES)
    CGROUPS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        threads = [threading.Thread(target=record, args=(one, folder)) for one in wanted]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for one in wanted:
            if (file := folder / f"{one}.memtop").exists():
                shutil.copyfile(file, HERE / file.name)
                print(f"{file.name}: {os.stat(file).st_size >> 10} KiB")
    with contextlib.suppress(OSError):
        CGROUPS.rmdir()


if __name__ == "__main__":
    main()
