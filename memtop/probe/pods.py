"""Which container a process belongs to, told by the path of its cgroup alone.

Sources of the forms: containerd, CRI-O, Docker and Podman under both cgroup drivers; see
kubernetes/kubernetes issue 106514 for paths that differ by controller.
"""

from __future__ import annotations

import re

_CONTAINER = re.compile(r"(?:^|[-/:])([0-9a-f]{64})(?:\.scope)?(?=/|$)")


def container_of(cgroup: str | None) -> str | None:
    """The container id in a cgroup path, the innermost one; None outside containers."""
    found = _CONTAINER.findall(cgroup or "")
    return found[-1] if found else None
