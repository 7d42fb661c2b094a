"""The names of the container and pod that a process belongs to, without asking an API.

In this order: cgroup path, mounts of the process, names in the node's log folder, HOSTNAME and the
namespace file of the service account (these two need the right to read the process). Looked up
once for a container, and again after a while if something was not found. Of the environment
nothing but HOSTNAME is used, and that only as the name of a pod.
"""

from __future__ import annotations

import itertools
import os
import re
import stat
import threading
import time

from memtop.probe import mounts, parse, pods
from memtop.probe.handle import READ, read, slurp, slurp_whole
from memtop.probe.sample import Pod

AGAIN_S = 15.0  # what was not found is looked for again after this long
MAX_KEPT = 4096
MAX_ENVIRON = 1 << 16
MAX_LOGS = 20_000  # names of log files and folders that are looked at
NAMESPACE_FILE = "var/run/secrets/kubernetes.io/serviceaccount/namespace"
# PROC_UTS_INIT_INO and so on, include/linux/proc_ns.h
_HOST_UTS, _HOST_PIDS = "uts:[4026531838]", "pid:[4026531836]"
_HOST_CGROUPS = "cgroup:[4026531835]"
_HOSTNAME = re.compile(rb"(?:^|\0)HOSTNAME=([^\0]{1,253})(?:\0|$)")
_HOST_NETWORK = "# Kubernetes-managed hosts file (host network)"


class PodNames:
    """Names for the processes of the /proc tree at `root`, which may be a recorded one."""

    def __init__(self, root: str, *, live: bool = True) -> None:
        self._root, self._live = root, live
        # Beside /host/proc there is /host/var/log.
        self._top = (root.removesuffix("/proc") or "/") if root.endswith("/proc") else None
        self._logs = pods.Logs({}, {})
        self._logs_at = float("-inf")
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Pod | None, float]] = {}
        self._by_uid: dict[str, Pod] = {}
        self._begun = False
        self._node_names: frozenset[str] | None = None

    def of(self, folder: int, cgroup: str | None) -> Pod | None:
        """The names for a process (a descriptor of its folder) in this cgroup; None outside."""
        told = pods.pod_of_path(cgroup)
        key = (told and told.container_id) or cgroup or ""
        pod, again_at = self._known.get(key, (None, 0.0))
        now = time.monotonic()
        if now < again_at:
            return pod
        self._look_at_self()
        pod = pods.merged(self._look(folder, told), pod)
        complete = pod is None or bool(pod.container and pod.name and pod.namespace)
        with self._lock:
            if len(self._known) >= MAX_KEPT:
                self._known.clear()
            self._known[key] = (pod, float("inf") if complete else now + AGAIN_S)
            if pod and pod.uid:
                of_pod = Pod(uid=pod.uid, name=pod.name, namespace=pod.namespace)
                self._by_uid[pod.uid] = pods.merged(self._by_uid.get(pod.uid), of_pod) or of_pod
        return pod

    def known(self, cgroup: str) -> Pod | None:
        """What is known about a cgroup: that of a container, or of a whole pod; None for others."""
        told = pods.pod_of_path(cgroup)
        if told is None:
            return None
        key = told.container_id
        found = self._known[key][0] if key in self._known else self._by_uid.get(told.uid or "")
        return pods.merged(told, found)

    def _look(self, folder: int, told: Pod | None) -> Pod | None:
        """Everything that can be found out about one process."""
        if told is None and self._sees_whole_paths():
            return None
        mounted = _pod_of_mounts(folder)
        if told and mounted and told.uid and told.uid != mounted.uid:
            mounted = None  # a cluster within a container of another one
        pod = pods.merged(told, mounted)
        if pod is None:
            return None
        pod = self._look_at_logs(pod)
        if pod.uid is None or (pod.name and pod.namespace):
            return pod
        pod = pods.merged(pod, self._by_uid.get(pod.uid)) or pod
        return pod._replace(
            name=pod.name or self._host_name(folder),
            namespace=pod.namespace or self._service_account(folder),
        )

    def _sees_whole_paths(self) -> bool:
        """Whether a path that tells of no container means that there is none: on the node."""
        return self._live and _is_on_node() and _link("/proc/self/ns/cgroup") == _HOST_CGROUPS

    def _look_at_self(self) -> None:
        """In a sidecar memtop's own environment may be the only one that it can read."""
        if self._live and not self._begun:
            self._begun = True
            try:
                own = os.open(f"{self._root}/self", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError:
                return
            try:
                self.of(own, parse.parse_cgroup(slurp(own, "cgroup")))
            except OSError:
                pass
            finally:
                os.close(own)

    def _look_at_logs(self, pod: Pod) -> Pod:
        id_, uid = pod.container_id or "", pod.uid or ""
        is_new = id_ not in self._logs.containers and uid not in self._logs.pods
        if is_new and time.monotonic() - self._logs_at > AGAIN_S:
            self._logs_at = time.monotonic()
            self._logs = self._read_logs()
        logs = self._logs
        return pods.merged(pod, logs.containers.get(id_), logs.pods.get(uid)) or pod

    def _read_logs(self) -> pods.Logs:
        """The log folders of the machine whose /proc this is; empty if they are not in reach."""
        logs = pods.Logs({}, {})
        of_init = f"{self._root}/1/root" if self._live and _is_on_node() else None
        for top in (self._top, of_init):
            if top is not None and not (logs.containers or logs.pods):
                logs = pods.parse_logs(
                    _listed(top, "var/log/containers"), _listed(top, "var/log/pods")
                )
        return logs

    def _host_name(self, folder: int) -> str | None:
        """HOSTNAME of a process, if it is the name of its pod and not that of the node."""
        try:
            found = _HOSTNAME.search(slurp_whole(folder, "environ", MAX_ENVIRON))
            name = found[1].decode("ascii") if found else ""
        except (OSError, ValueError):
            return None
        if not pods.is_pod_name(name) or name in self._names_of_node():
            return None
        try:
            if os.readlink("ns/uts", dir_fd=folder) == _HOST_UTS:
                return None
        except OSError:
            pass
        # Pods in the node's network have its name; kubelet writes so (pkg/kubelet/kubelet_pods.go).
        return None if self._inside(folder, "etc/hosts").startswith(_HOST_NETWORK) else name

    def _service_account(self, folder: int) -> str | None:
        """The namespace that kubelet wrote for the process."""
        text = self._inside(folder, NAMESPACE_FILE).strip()
        return text if pods.is_namespace(text) else None

    def _inside(self, folder: int, path: str) -> str:
        """A file below the root of a process; recorded processes have none but memtop's own."""
        raw = _read_inside(folder, path) if self._live else None
        return (raw or b"").decode("ascii", "replace")

    def _names_of_node(self) -> frozenset[str]:
        """The host names of the machine, as far as they can be told from those of a pod."""
        if self._node_names is None:
            names = set()
            if not self._live or _link("/proc/self/ns/uts") == _HOST_UTS:
                names.add(_text(f"{self._root}/sys/kernel/hostname"))
            if self._live and _is_on_node():
                try:
                    init = os.open(f"{self._root}/1", mounts.FOLDER)
                except OSError:
                    pass
                else:
                    names.add(self._inside(init, "etc/hostname"))
                    os.close(init)
            stripped = {name.strip() for name in names}
            self._node_names = frozenset(stripped | {name.partition(".")[0] for name in stripped})
        return self._node_names


def _pod_of_mounts(folder: int) -> Pod | None:
    try:
        raw = slurp_whole(folder, "mountinfo", mounts.MAX_MOUNTINFO)
    except OSError:
        return None
    # On a node there may be thousands of other lines.
    likely = b"\n".join(
        line for line in raw.split(b"\n") if b"/etc-hosts " in line or b"/containers/" in line
    )
    return pods.pod_of_mounts(mount.root for mount in mounts.parse_mountinfo(likely))


def _read_inside(folder: int, path: str) -> bytes | None:
    """The beginning of an ordinary file below the root of a process."""
    try:
        root = os.open("root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
        try:
            fd = mounts.open_inside(root, path, READ)
        finally:
            os.close(root)
        try:
            return os.read(fd, 1024) if stat.S_ISREG(os.fstat(fd).st_mode) else None
        finally:
            os.close(fd)
    except OSError:
        return None


def _listed(top: str, path: str) -> list[str]:
    """The names in a folder below `top`; none without it."""
    try:
        root = os.open(top, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fd = mounts.open_inside(root, path, os.O_RDONLY | os.O_DIRECTORY)
        finally:
            os.close(root)
        try:
            with os.scandir(fd) as entries:
                return [entry.name for entry in itertools.islice(entries, MAX_LOGS)]
        finally:
            os.close(fd)
    except OSError:
        return []


def _is_on_node() -> bool:
    """Whether memtop sees the processes of the whole machine as what they are."""
    return _link("/proc/self/ns/pid") == _HOST_PIDS


def _link(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def _text(path: str) -> str:
    try:
        return read(path).decode("ascii", "replace")
    except OSError:
        return ""
