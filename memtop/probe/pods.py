"""Whose a process is: container and pod, told by a cgroup path, mounts or names of log files.

Forms of cgroup paths: containerd, CRI-O, Docker and Podman under both cgroup drivers, with folders
of a container of their own above or below; see kubernetes/kubernetes issue 106514 for paths that
differ by controller. Forms of mounts and logs: kubernetes pkg/kubelet/kubelet_getters.go and
pkg/kubelet/kuberuntime/legacy.go. Nothing here reads a process: see `names`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from memtop.probe.sample import Pod

# A conmon is the process that watches a container from outside.
_CONTAINER = re.compile(r"(?:^|/|(?<!conmon)[-:])([0-9a-f]{64})(?:\.scope)?(?=/|$)")
_UID = r"[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32}"
# Before it stands the class; guaranteed pods are right below kubepods.
_POD = re.compile(
    rf"(?:^|[-/])(?:(burstable|besteffort|kubepods)(?:\.slice)?[-/])?pod({_UID})(?=\.slice|[:/]|$)"
)
_QOS = {"burstable": "Burstable", "besteffort": "BestEffort", "kubepods": "Guaranteed"}
# What kubelet mounts into every container: /etc/hosts and the termination log.
_HOSTS = re.compile(rf"/pods/({_UID})/etc-hosts$")
_LOG = re.compile(rf"/pods/({_UID})/containers/([a-z0-9][-a-z0-9]*)/[0-9a-f]+$")
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_UID_ONLY = re.compile(_UID)


def container_of(cgroup: str | None) -> str | None:
    """The container id in a cgroup path, the innermost one; None outside containers."""
    found = _CONTAINER.findall(cgroup or "")
    return found[-1] if found else None


@lru_cache(maxsize=2048)
def pod_of_path(cgroup: str | None) -> Pod | None:
    """What a cgroup path tells: container id, uid and class of the pod; None for neither."""
    path = cgroup or ""
    container = container_of(path)
    found = _POD.findall(path)
    if not found:
        return Pod(container_id=container) if container else None
    qos, uid = found[-1]
    return Pod(container_id=container, uid=with_dashes(uid), qos=_QOS.get(qos))


def with_dashes(uid: str) -> str:
    """A pod uid as the API writes it; in names of slices underscores stand for dashes."""
    return uid.replace("_", "-")


def pod_of_mounts(roots: Iterable[str]) -> Pod | None:
    """Uid and container name, told by the folders that are mounted; None outside of pods."""
    uid = container = None
    for root in roots:
        if "/pods/" not in root:
            continue
        if found := _LOG.search(root):
            uid, container = found[1], found[2]
        elif found := _HOSTS.search(root):
            uid = uid or found[1]
    return Pod(container=container, uid=uid) if uid else None


def is_pod_name(text: str) -> bool:
    """Whether this can be the name of a pod (RFC 1123 subdomain)."""
    return bool(_NAME.fullmatch(text))


def is_namespace(text: str) -> bool:
    """Whether this can be the name of a namespace (RFC 1123 label)."""
    return bool(_LABEL.fullmatch(text))


class Logs(NamedTuple):
    """What the names below a node's log folder tell: by container id, and by uid of the pod."""

    containers: dict[str, Pod]
    pods: dict[str, Pod]


def parse_logs(container_logs: Iterable[str], pod_folders: Iterable[str]) -> Logs:
    """The names in the folders `containers` and `pods`; those of another form are left out.

    They are `POD_NAMESPACE_CONTAINER-ID.log` and `NAMESPACE_POD_UID`.
    """
    containers: dict[str, Pod] = {}
    pods: dict[str, Pod] = {}
    for log in container_logs:
        parts = log.removesuffix(".log").split("_")
        name, _, id_ = parts[-1].rpartition("-")
        if len(parts) == 3 and container_of(id_) and _are_names(parts[0], parts[1], name):
            containers[id_] = Pod(id_, container=name, name=parts[0], namespace=parts[1])
    for folder in pod_folders:
        parts = folder.split("_")
        if len(parts) == 3 and _UID_ONLY.fullmatch(parts[2]) and _are_names(parts[1], parts[0]):
            pods[parts[2]] = Pod(uid=parts[2], name=parts[1], namespace=parts[0])
    return Logs(containers, pods)


def merged(first: Pod | None, *others: Pod | None) -> Pod | None:
    """The fields of all; of two that know one, the earlier."""
    pod = first
    for other in others:
        if pod is None or other is None:
            pod = pod or other
        else:
            pod = Pod(*(mine or theirs for mine, theirs in zip(pod, other, strict=True)))
    return pod


def _are_names(pod: str, namespace: str, container: str = "x") -> bool:
    return is_pod_name(pod) and is_namespace(namespace) and is_namespace(container)
