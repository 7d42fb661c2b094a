"""Limits and names as memtop tells them: of recorded nodes, and of real cgroups and containers.

The containers are made of namespaces and the machine's own files: root and util-linux suffice.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import memtop

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

DATA = Path(__file__).parent.parent / "data" / "cgroups"
CODE = Path(memtop.__file__).parent.parent
IS_V1 = Path("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists()
TOP = Path("/sys/fs/cgroup/memory" if IS_V1 else "/sys/fs/cgroup")
LIMIT, SWAP = (
    ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
    if IS_V1
    else ("memory.max", "memory.swap.max")
)
UID = "8d9c5a52-1b1e-4c53-a4a5-0c0ffee0000{}"
QOS = ("Burstable", "BestEffort", "Guaranteed")
MIB = 1 << 20
# What each container of the recorded nodes may use: its own limit, and the tightest.
OWN = {1: 256 * MIB, 2: None, 3: None, 4: None, 5: 128 * MIB, 6: 64 * MIB}
POD = {0: None, 1: None, 2: 192 * MIB}
# One sample as JSON; `ps` is asked in the tests of recorded nodes.
LOOK = """
import json, sys, time
from memtop.probe.procfs import ProcfsSource
from memtop.probe.sample import Wanted
source = ProcfsSource(sys.argv[1], **json.loads(sys.argv[2]))
source.sample(Wanted(all_usage=True))
cgroups, facts = {}, {}
for _ in range(int(sys.argv[3])):
    source.settle(5)
    sample = source.sample(Wanted(all_usage=True))
    cgroups.update((one.path, one._asdict()) for one in sample.cgroups)
    facts.update((one.identity.pid, one._asdict()) for one in sample.facts)
    time.sleep(0.05)
for one in [*cgroups.values(), *facts.values()]:
    one['pod'] = one['pod'] and one['pod']._asdict()
print(json.dumps({'cgroups': cgroups, 'facts': facts}))
source.close()
"""
HOLD = "import sys, time; b = b'x' * (int(sys.argv[1]) << 20); print(1, flush=True); time.sleep(99)"


def look(
    procfs: str = "/proc", options: Mapping[str, Any] | None = None, prefix: tuple[str, ...] = ()
) -> Any:
    """What a source tells, asked in a process of its own."""
    command = [*prefix, sys.executable, "-c", LOOK, procfs, json.dumps(options or {}), "2"]
    done = subprocess.run(command, cwd=CODE, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def tightest(cgroups: Mapping[str, Any], path: str | None) -> Any:
    """The smallest limit of a cgroup and its ancestors."""
    limits = []
    while path is not None:
        limits.append(cgroups[path]["limit_bytes"])
        path = cgroups[path]["parent"]
    return min((limit for limit in limits if limit is not None), default=None)


class Node:
    """A recorded machine below a folder: `proc`, `cgroup`, `var/log`."""

    def __init__(self, root: Path) -> None:
        self.root, self.proc, self.cgroup = root, root / "proc", root / "cgroup"
        self.proc.mkdir()
        self.cgroup.mkdir()
        (self.proc / "meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 400 kB\n")

    def put(self, pid: int, cgroup: str, **files: str) -> None:
        """A process with its cgroup line."""
        folder = self.proc / str(pid)
        folder.mkdir()
        numbers = [1, 1, 1, 0, -1, 0, 0, 0, 0, 0, 5, 5, 0, 0, 20, 0, 1, 0, 100, 0, 1000]
        tail = " ".join(map(str, numbers)) + " 0" * 28
        (folder / "stat").write_text(f"{pid} (python) S {tail}\n")
        (folder / "statm").write_text("2000 1000 300 10 0 100 0\n")
        (folder / "cmdline").write_bytes(b"python\0app.py\0")
        (folder / "status").write_text("Name: python\nUid:\t0\t0\t0\t0\n")
        (folder / "cgroup").write_text(cgroup)
        for name, text in files.items():
            (folder / name).write_text(text)


def recorded(name: str, root: Path) -> tuple[Node, dict[int, str]]:
    """A node of tests/data written out, and the cgroup of each PID."""
    node, paths = Node(root), {}
    for path, files in json.loads((DATA / "nodes.json").read_text())[name].items():
        folder = node.cgroup / path.lstrip("/")
        folder.mkdir(parents=True)
        for file, text in files.items():
            (folder / file).write_text(text)
        for pid in files["cgroup.procs"].split():
            paths[int(pid)] = path
            node.put(int(pid), f"0::{path}\n")
    return node, paths


@pytest.fixture(
    params=["systemd-containerd", "systemd-crio", "cgroupfs-containerd", "cgroupfs-crio"]
)
def node(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Node, dict[int, str]]:
    """One of the recorded Kubernetes nodes: 3 pods of 2 containers, in the kernel's words."""
    return recorded(request.param, tmp_path)


def test_recorded_nodes(node):
    """On each kind of node every container has its id, pod, class, own and tightest limit."""
    tree, paths = node

    seen = look(str(tree.proc), {"cgroupfs": str(tree.cgroup)})

    assert len(paths) == 6
    for path in paths.values():
        cgroup = seen["cgroups"][path]
        number = int(cgroup["pod"]["container_id"][0])
        pod = (number - 1) // 2
        assert cgroup["pod"]["container_id"] == f"{number}" * 3 + "fed321cba" + "0" * 52
        assert cgroup["pod"]["uid"] == UID.format(pod)
        assert cgroup["pod"]["qos"] == QOS[pod]
        assert cgroup["limit_bytes"] == OWN[number]
        assert cgroup["unlimited"] == (OWN[number] is None)
        above = seen["cgroups"][cgroup["parent"]]
        assert above["limit_bytes"] == POD[pod]
        assert above["pod"] == {
            "container_id": None,
            "container": None,
            "uid": UID.format(pod),
            "name": None,
            "namespace": None,
            "qos": QOS[pod],
        }
        assert tightest(seen["cgroups"], path) == (OWN[number] or POD[pod])
        assert 8 * MIB < cgroup["anon_bytes"] <= cgroup["floor_bytes"] <= cgroup["current_bytes"]
        assert (cgroup["oom_kills"], cgroup["oom_group"], cgroup["reason"]) == (0, False, None)
    for pid, facts in seen["facts"].items():
        assert facts["cgroup"] == paths[int(pid)]
        assert facts["pod"] == seen["cgroups"][facts["cgroup"]]["pod"]


def test_recorded_nodes_as_json(node):
    """`ps --json` tells the same: the tightest limit, and the file that it stands in."""
    tree, paths = node
    command = [sys.executable, "-m", "memtop", "ps", "--json"]
    command += ["--procfs", str(tree.proc), "--cgroupfs", str(tree.cgroup)]

    done = subprocess.run(command, cwd=CODE, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = {one["path"]: one for one in json.loads(done.stdout)["cgroups"]}

    for path in paths.values():
        cgroup = told[path]
        number = int(cgroup["container"][0])
        pod = (number - 1) // 2
        limit = OWN[number] or POD[pod]
        assert (cgroup["pod"], cgroup["qos"]) == (UID.format(pod), QOS[pod])
        assert cgroup["limit_bytes"] == limit
        assert cgroup["limit_from"] == (f"{path}/memory.max" if limit else None)
        assert cgroup["working_set_bytes"] == cgroup["current_bytes"] > 8 * MIB
        assert (cgroup["oom_kills"], cgroup["oom_group"]) == (0, False)
        assert told[path.rpartition("/")[0]]["limit_bytes"] == POD[pod]


def test_a_pod_may_be_tighter_than_its_containers(tmp_path):
    """When a container may use more than its pod, the limit of the pod is the tightest."""
    tree, paths = recorded("cgroupfs-containerd", tmp_path)
    path = next(path for path in paths.values() if "/555fed" in path)
    (tree.cgroup / path.lstrip("/") / "memory.max").write_text(f"{512 * MIB}\n")

    seen = look(str(tree.proc), {"cgroupfs": str(tree.cgroup)})

    assert seen["cgroups"][path]["limit_bytes"] == 512 * MIB
    assert tightest(seen["cgroups"], path) == 192 * MIB


def test_names_of_a_recorded_node(node):
    """The log folders beside /proc name container, pod and namespace; mounts name the container."""
    tree, paths = node
    logs = tree.root / "var" / "log"
    (logs / "containers").mkdir(parents=True)
    (logs / "pods" / f"shop_web-0_{UID.format(1)}").mkdir(parents=True)
    first, third = (
        next(pid for pid, path in paths.items() if f"{n}{n}{n}fed" in path) for n in (1, 3)
    )
    id_ = "111fed321cba" + "0" * 52
    (logs / "containers" / f"api-7d9f-x2x_prod_server-{id_}.log").write_text("")
    (logs / "containers" / "what_ever.log").write_text("")
    (tree.proc / str(third) / "mountinfo").write_text(
        f"1 2 8:1 /var/lib/kubelet/pods/{UID.format(1)}/etc-hosts "
        "/etc/hosts rw - ext4 /dev/sda rw\n"
        f"3 2 8:1 /k0s/kubelet/pods/{UID.format(1)}/containers/worker/0a1b2c3d "
        "/dev/termination-log rw - ext4 /dev/sda rw\n"
    )

    facts = look(str(tree.proc), {"cgroupfs": str(tree.cgroup)})["facts"]

    pod = facts[str(first)]["pod"]
    assert (pod["container"], pod["name"], pod["namespace"]) == ("server", "api-7d9f-x2x", "prod")
    pod = facts[str(third)]["pod"]
    assert (pod["container"], pod["name"], pod["namespace"]) == ("worker", "web-0", "shop")


def test_another_proc_has_no_limits_of_this_machine(node):
    """Without --cgroupfs the limits of another /proc are not known, and it is said what to do."""
    tree, paths = node

    seen = look(str(tree.proc))

    for path in paths.values():
        cgroup = seen["cgroups"][path]
        assert (cgroup["limit_bytes"], cgroup["unlimited"]) == (None, False)
        assert cgroup["reason"] == "cgroup files of this /proc are not at hand: --cgroupfs DIR"
    assert seen["cgroups"].keys() == set(paths.values())


def test_paths_that_lead_outside(tmp_path):
    """Neither `..` nor links lead out of the folder; such limits are unknown, with a reason."""
    tree = Node(tmp_path)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "memory.max").write_text("4096\n")
    (tree.cgroup / "memory.max").write_text("max\n")
    (tree.cgroup / "link").symlink_to(tmp_path / "secret")
    (tree.cgroup / "inner").mkdir()
    (tree.cgroup / "inner" / "memory.max").symlink_to(tmp_path / "secret" / "memory.max")
    (tree.cgroup / "fifo").mkdir()
    os.mkfifo(tree.cgroup / "fifo" / "memory.max")
    hostile = ["/../secret", "/x/../../secret", "/link", "/inner", "/fifo", "//secret", "", "/a\0b"]
    hostile += ["/" + "d/" * 500 + "d", "/secret (deleted)", "/\udcff\x1b[2J"]
    for pid, path in enumerate(hostile, 10):
        tree.put(pid, "")
        (tree.proc / str(pid) / "cgroup").write_bytes(
            b"0::" + path.encode("utf-8", "surrogateescape") + b"\n"
        )

    cgroups = look(str(tree.proc), {"cgroupfs": str(tree.cgroup)})["cgroups"]

    for path in hostile:
        assert cgroups[path]["limit_bytes"] is None
        assert not cgroups[path]["unlimited"]
        assert cgroups[path]["reason"]


# -- this machine --------------------------------------------------------------------------


@contextlib.contextmanager
def made(*names: str) -> Iterator[list[Path]]:
    """A real memory cgroup with others in it, which are taken away again."""
    if os.geteuid() != 0 or not (TOP / "cgroup.procs").exists():
        pytest.skip("needs root and cgroups")
    top = TOP / f"memtop-{uuid.uuid4().hex[:8]}"
    folders = [top, *(top / name for name in names)]
    try:
        top.mkdir()
        if not IS_V1:
            (top / "cgroup.subtree_control").write_text("+memory")
        for folder in folders[1:]:
            folder.mkdir()
        yield folders
    except OSError as error:
        pytest.skip(f"no memory cgroups can be made here: {error}")
    finally:
        deadline = time.monotonic() + 10
        for folder in reversed(folders):
            while folder.exists() and time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    folder.rmdir()
                    break
                time.sleep(0.05)


def entering(folder: Path) -> tuple[str, ...]:
    """The beginning of a command that runs in a cgroup."""
    return ("sh", "-c", f'echo $$ > {folder}/cgroup.procs && exec "$@"', "sh")


def test_real_limits():
    """A limit, and what is used below it, on a real kernel; the tightest is that of the parent."""
    with made("inner") as (top, inner):
        (top / LIMIT).write_text(str(64 * MIB))
        child = subprocess.Popen(
            [*entering(inner), sys.executable, "-c", HOLD, "20"], stdout=subprocess.PIPE
        )
        try:
            assert child.stdout
            child.stdout.readline()
            seen = look()
        finally:
            child.kill()
            child.wait()
            child.stdout.close()

    path = seen["facts"][str(child.pid)]["cgroup"]
    cgroup = seen["cgroups"][path]
    assert path == f"/{top.name}/inner"
    assert (cgroup["limit_bytes"], cgroup["unlimited"]) == (None, True)
    assert cgroup["parent"] == f"/{top.name}"
    above = seen["cgroups"][f"/{top.name}"]
    assert (above["limit_bytes"], above["limit_file"]) == (64 * MIB, LIMIT)
    assert tightest(seen["cgroups"], path) == 64 * MIB
    for one in (cgroup, above):
        assert 20 * MIB < one["floor_bytes"] <= one["current_bytes"] < 60 * MIB
        assert one["oom_kills"] == 0
        assert one["peak_bytes"] >= one["anon_bytes"]


def test_an_oom_kill_is_counted():
    """A process that is killed for memory appears in the count of its cgroup."""
    hog = "b = []\nwhile True: b.append(b'x' * (1 << 20))"
    with made("full") as (_, full):
        (full / LIMIT).write_text(str(32 * MIB))
        with contextlib.suppress(OSError):
            (full / SWAP).write_text(str(32 * MIB) if IS_V1 else "0")
        keeper = subprocess.Popen([*entering(full), "sleep", "99"])
        try:
            before = look()["cgroups"]
            subprocess.run([*entering(full), sys.executable, "-c", hog], timeout=60)
            after = look()["cgroups"]
        finally:
            keeper.kill()
            keeper.wait()

    path = f"/{full.parent.name}/full"
    assert (before[path]["oom_kills"], after[path]["oom_kills"]) == (0, 1)
    assert after[path]["oom_group"] is False


# The root of a container: the machine's files, its own /proc, and of the cgroups its own only.
ROOT = """
set -e
mount --rbind / {root}
mount -t proc proc {root}/proc
"""
CGROUPS = (
    """
mount -t tmpfs tmpfs {root}/sys/fs/cgroup
mkdir {root}/sys/fs/cgroup/memory
mount --bind {cgroup} {root}/sys/fs/cgroup/memory
mount -o remount,bind,ro {root}/sys/fs/cgroup/memory
"""
    if IS_V1
    else """
umount -l {root}/sys/fs/cgroup
mount --bind {cgroup} {root}/sys/fs/cgroup
mount -o remount,bind,ro {root}/sys/fs/cgroup
"""
)
# What kubelet mounts into a container, and what the service account knows.
POD_FILES = """
mkdir -p {folder}/pods/{uid}/containers/app
touch {folder}/pods/{uid}/etc-hosts {folder}/pods/{uid}/containers/app/0a1b2c3d
mount --bind {folder}/pods/{uid}/etc-hosts {root}/etc/passwd
mount --bind {folder}/pods/{uid}/containers/app/0a1b2c3d {root}/etc/group
mount -t tmpfs tmpfs {root}/run
mkdir -p {root}/run/secrets/kubernetes.io/serviceaccount
echo shop > {root}/run/secrets/kubernetes.io/serviceaccount/namespace
export HOSTNAME=web-0
"""
# What containerd gives a container by default.
CAPABILITIES = (
    "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,"
    "+net_bind_service,+sys_chroot"
)


class Pair:
    """Container A, whose first process is `pid`, and a way to run a command in a B beside it."""

    def __init__(
        self,
        a: Path,
        b: Path,
        folder: Path,
        *,
        a_uid: int = 0,
        private: bool = False,
        in_pod: bool = False,
    ) -> None:
        self.above, self._b, self._folder = a.parent, b, folder
        self._unshare = ("unshare", "--mount", *(["--cgroup"] if private else []))
        (folder / "a").mkdir()
        (folder / "b").mkdir()
        begin = (ROOT + CGROUPS).format(root=folder / "a", cgroup=a)
        if in_pod:
            begin += POD_FILES.format(root=folder / "a", folder=folder, uid=UID.format(7))
        drop = f"--reuid {a_uid} --regid {a_uid} --clear-groups" if a_uid else ""
        begin += f"exec chroot {folder}/a setpriv {drop} --bounding-set={CAPABILITIES} sleep 99"
        self._process = subprocess.Popen(
            [
                *entering(a),
                *(*self._unshare, *"--pid --fork --kill-child --ipc --uts".split()),
                *("--propagation", "private"),
                *("sh", "-c", begin),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self._wait()

    def look(self, *, ptrace: bool) -> Any:
        """What a source tells in B: A's PIDs and another root, in a cgroup of its own."""
        begin = (ROOT + CGROUPS).format(root=self._folder / "b", cgroup=self._b)
        more = ",+sys_ptrace" if ptrace else ""
        begin += (
            f"exec chroot {self._folder}/b sh -c 'cd {CODE}; exec \"$@\"' sh "
            f'setpriv --inh-caps=-all --bounding-set={CAPABILITIES}{more} "$@"'
        )
        join = ("nsenter", "--target", str(self.pid), "--pid", "--ipc", "--uts", "--")
        own = (*self._unshare, "--propagation", "private", "sh", "-c", begin, "sh")
        return look(prefix=(*entering(self._b), *join, *own))

    def end(self) -> None:
        """End A's first process, and with it the whole container."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._process.communicate()

    def _wait(self) -> int:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError, ValueError):
                pid = int(children.read_text())
                if Path(f"/proc/{pid}/comm").read_text() == "sleep\n":
                    return pid
            time.sleep(0.02)
        self._process.kill()
        pytest.skip(f"no containers can be made here: {self._process.communicate()[1]}")


@pytest.fixture
def pair(tmp_path):
    """Two containers in one pod: A may use 96 MiB, B as much as it likes."""
    opened = []
    with made("a", "b") as (_, a, b):
        (a / LIMIT).write_text(str(96 * MIB))

        def open_pair(**options):
            opened.append(Pair(a, b, tmp_path, **options))
            return opened[-1]

        yield open_pair
        for one in opened:
            one.end()


def test_a_sidecar_sees_the_limit_of_the_other_container(pair):
    """In B, whose own cgroup files are in the usual place, A has A's limit, and B has none."""
    both = pair()
    seen = both.look(ptrace=True)

    a, b = seen["facts"]["1"]["cgroup"], next(p for p in seen["cgroups"] if p.endswith("/b"))
    assert a.endswith("/a")
    assert seen["cgroups"][a]["limit_bytes"] == 96 * MIB
    assert seen["cgroups"][a]["parent"] is None
    assert 0 < seen["cgroups"][a]["current_bytes"] < 20 * MIB
    assert (seen["cgroups"][b]["limit_bytes"], seen["cgroups"][b]["unlimited"]) == (None, True)
    assert seen["cgroups"][b]["current_bytes"] > seen["cgroups"][a]["current_bytes"]


def test_private_cgroup_namespaces(pair):
    """With paths such as `/../a` the limits are still those of the right container."""
    both = pair(private=True)
    seen = both.look(ptrace=True)

    assert seen["facts"]["1"]["cgroup"] == "/../a"
    a, b = seen["cgroups"]["/../a"], seen["cgroups"]["/"]
    assert (a["limit_bytes"], a["parent"]) == (96 * MIB, None)
    assert (b["limit_bytes"], b["unlimited"]) == (None, True)
    assert b["current_bytes"] > a["current_bytes"]


def test_private_cgroup_namespaces_without_the_right(pair):
    """memtop's own cgroup is `/` then, and lends its limit to nobody else."""
    both = pair(private=True, a_uid=1000)
    seen = both.look(ptrace=False)

    a = seen["cgroups"]["/../a"]
    assert (a["limit_bytes"], a["unlimited"]) == (None, False)
    assert "needs CAP_SYS_PTRACE" in a["reason"]
    assert seen["cgroups"]["/"]["unlimited"]


def test_a_sidecar_is_told_of_the_limit_of_the_pod(pair):
    """The limit of a cgroup above that no mount shows is the tightest all the same."""
    if not IS_V1:
        pytest.skip("needs cgroup v1: v2 does not tell")
    both = pair()
    (both.above / LIMIT).write_text(str(80 * MIB))
    seen = both.look(ptrace=True)

    a = seen["facts"]["1"]["cgroup"]
    assert seen["cgroups"][a]["limit_bytes"] == 96 * MIB
    assert tightest(seen["cgroups"], a) == 80 * MIB


def test_without_the_right_the_limit_is_unknown(pair):
    """Without CAP_SYS_PTRACE the limit of another user's container is unknown, never one's own."""
    both = pair(a_uid=1000)
    seen = both.look(ptrace=False)

    a = seen["cgroups"][seen["facts"]["1"]["cgroup"]]
    assert (a["limit_bytes"], a["unlimited"], a["current_bytes"]) == (None, False, None)
    assert a["reason"] == "no right to look into the container of PID 1 (needs CAP_SYS_PTRACE)"
    b = next(one for path, one in seen["cgroups"].items() if path.endswith("/b"))
    assert b["unlimited"]


def test_names_of_a_real_pod(pair):
    """Mounts, HOSTNAME and the service account of a real container tell whose it is."""
    both = pair(in_pod=True)
    seen = both.look(ptrace=True)

    pod = seen["facts"]["1"]["pod"]
    assert (pod["container"], pod["uid"]) == ("app", UID.format(7))
    assert (pod["name"], pod["namespace"]) == ("web-0", "shop")
    assert seen["cgroups"][seen["facts"]["1"]["cgroup"]]["pod"] == pod


def test_names_without_the_right(pair):
    """Pod and container are known without any right; the rest is not."""
    both = pair(in_pod=True, a_uid=1000)
    pod = both.look(ptrace=False)["facts"]["1"]["pod"]

    assert (pod["container"], pod["uid"]) == ("app", UID.format(7))
    assert (pod["name"], pod["namespace"]) == (None, None)


def test_cgroups_come_and_go():
    """A process that is moved takes its limit along; a cgroup that is removed is no more news."""
    from memtop.probe.procfs import ProcfsSource
    from memtop.probe.sample import Wanted

    with made("one", "two") as (_, one, two):
        (two / LIMIT).write_text(str(48 * MIB))
        child = subprocess.Popen([*entering(one), "sleep", "99"])
        source = ProcfsSource()
        wanted = Wanted(pids=frozenset([child.pid]))
        news: dict[str, list[Any]] = {}
        where = []

        def watch(until: Any) -> None:
            deadline = time.monotonic() + 30
            while not until():
                assert time.monotonic() < deadline, (where, news.keys())
                sample = source.sample(wanted)
                for cgroup in sample.cgroups:
                    news.setdefault(cgroup.path, []).append(cgroup)
                where.extend(f.cgroup for f in sample.facts if f.identity.pid == child.pid)
                time.sleep(0.2)

        try:
            paths = [f"/{one.parent.name}/{name}" for name in ("one", "two")]
            watch(lambda: paths[0] in news)
            (two / "cgroup.procs").write_text(str(child.pid))
            one.rmdir()
            watch(lambda: paths[1] in news)
            assert where[-1] == paths[1]
            assert news[paths[1]][-1].limit_bytes == 48 * MIB
            assert all(cgroup.reason is None for cgroup in news[paths[0]])
            (two / LIMIT).write_text(str(40 * MIB))
            watch(lambda: news[paths[1]][-1].limit_bytes == 40 * MIB)
            before = len(os.listdir("/proc/self/fd"))
            child.kill()
            child.wait()
            watch(lambda: len(os.listdir("/proc/self/fd")) < before - 5)
        finally:
            child.kill()
            child.wait()
            source.close()
