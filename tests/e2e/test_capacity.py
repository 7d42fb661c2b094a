"""A service that runs each request in a child with a limit of its own, in a container with one."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time

import pytest

from memtop.cli import main
from tests.e2e.test_limits import entering, made

MIB = 1 << 20
LIMIT, CHILD_LIMIT = 704 * MIB, 512 * MIB
SERVICE = """
import resource, subprocess, sys
child = "b = b'x' * (MIB << 20); print(1, flush=True); import time; time.sleep(600)"
def limit(): resource.setrlimit(resource.RLIMIT_AS, (512 << 20, 512 << 20))
for line in sys.stdin:
    run = [sys.executable, "-c", child.replace("MIB", line.strip())]
    one = subprocess.Popen(run, preexec_fn=limit, stdout=subprocess.PIPE)
    one.stdout.readline()
    print(one.pid, flush=True)
"""


class Service:
    """The service in its cgroup."""

    def __init__(self, folder, path):
        command = [*entering(folder), sys.executable, "-c", SERVICE]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.path = path

    def request(self, mib):
        """Start a child of a size; its PID once it has taken the memory, or was killed."""
        self.process.stdin.write(f"{mib}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def look(self, capsys, *options):
        """What memtop says about the service."""
        assert main(["ps", "--json", "--pid", str(self.process.pid), *options]) == 0
        return json.loads(capsys.readouterr().out)


@pytest.fixture
def service():
    with made("app") as (top, app):
        (app / "memory.limit_in_bytes").write_text(str(LIMIT))
        with contextlib.suppress(OSError):
            (app / "memory.memsw.limit_in_bytes").write_text(str(LIMIT))
        running = Service(app, f"/{top.name}/app")
        try:
            yield running
        finally:
            subprocess.run(["pkill", "-9", "-P", str(running.process.pid)], check=False)
            running.process.kill()
            running.process.wait()
            running.process.stdin.close()
            running.process.stdout.close()
            time.sleep(0.2)


def test_one_request_fits_and_no_second(service, capsys):
    """704 MiB less the service, over 512 MiB: one fits in all; none more while one runs."""
    child = service.request(200)
    document = service.look(capsys)
    by_pid = {process["pid"]: process for process in document["processes"]}
    (group,) = document["groups"]
    capacity = document["capacity"]

    assert by_pid[service.process.pid]["role"] == "main"
    assert by_pid[child]["role"] == "worker"
    assert group["processes"] == 1
    assert by_pid[child]["group"] == group["id"]
    assert capacity["worst_child_bytes"] == CHILD_LIMIT
    assert capacity["worst_child_from"] == "RLIMIT_AS"
    assert (capacity["children"], capacity["fits_total"], capacity["fits_more"]) == (1, 1, 0)
    assert capacity["children_at_worst_bytes"] == CHILD_LIMIT
    assert capacity["bound_by"] == service.path
    assert 0 < capacity["taken_bytes"] < 100 * MIB
    mine = next(one for one in document["cgroups"] if one["path"] == service.path)
    assert mine["limit_bytes"] == LIMIT
    assert mine["capacity"] == capacity
    assert mine["oom_kills"] == 0


def test_after_a_kill_the_count_is_right(service, capsys):
    """Two at once are too many: one is killed, and the cgroup says so."""
    service.request(450)
    service.request(450)
    document = service.look(capsys)
    mine = next(one for one in document["cgroups"] if one["path"] == service.path)

    assert mine["oom_kills"] == 1
    assert mine["oom_group"] is False
    assert document["capacity"]["fits_total"] == 1
    assert document["capacity"]["fits_more"] == 0


def test_the_screen_warns(service, tmp_path, capsys):
    """The first line says that none fits any more; the cgroup tab shows the arithmetic."""
    service.request(200)
    out = tmp_path / "screen.txt"
    command = ["screenshot", str(out), "--pid", str(service.process.pid), "--for", "3s"]
    assert main([*command, "--size", "120x40", "--keys", "enter,tab,tab,tab"]) == 0
    capsys.readouterr()
    text = out.read_text()
    first = text.splitlines()[0]

    assert "0 more fit" in first
    assert "of 704 MiB" in first
    assert "RLIMIT_AS" in text
    assert "nothing stops another one from starting" in text
    assert "OOM kill" in text
