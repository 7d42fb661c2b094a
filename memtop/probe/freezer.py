"""Whether a process is frozen by a cgroup, so that no thread of it can run until it is thawed.

v1 tells it in `freezer.state`, which counts those above (kernel/cgroup/legacy_freezer.c), v2 in
`cgroup.events` (kernel/cgroup/freezer.c). Where no mount of memtop shows the cgroup, the place
where a thread sleeps tells it, for v2 only; on v1 its threads are in state D, like others.
"""

from __future__ import annotations

import os

from memtop.probe import mounts
from memtop.probe.cgroupfs import KINDS, View, place_of
from memtop.probe.handle import close, slurp, slurp_whole

# Where a thread waits for its cgroup (kernel/signal.c: get_signal, do_freezer_trap).
_TRAPS = (b"do_freezer_trap", b"get_signal")


def is_frozen(folder: int) -> bool:
    """Whether the process of an open /proc/PID folder is frozen, as far as that can be seen."""
    try:
        places = _places(slurp_whole(folder, "cgroup", 1 << 16))
    except OSError:
        return False
    if not any(_is_frozen_in(version, path) for version, path in places):
        return _is_trapped(folder)
    return True


def _places(cgroup: bytes) -> list[tuple[int, str]]:
    """Its cgroup in the v1 hierarchy with the freezer, and in that of v2."""
    found = []
    for line in cgroup.decode("utf-8", "surrogateescape").split("\n"):
        number, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        # In the root of a hierarchy nothing can be frozen.
        if colon and path != "/":
            if "freezer" in controllers.split(","):
                found.append((1, path))
            elif number == "0" and not controllers:
                found.append((2, path))
    return found


def _is_frozen_in(version: int, path: str) -> bool:
    """Whether the files of a cgroup say so; False if no mount of memtop shows them."""
    name = "freezer.state" if version == 1 else "cgroup.events"
    try:
        place = place_of(path)
        with open("/proc/self/mountinfo", "rb") as file:
            raw = b"\n".join(line for line in file if b" - cgroup" in line)
    except (OSError, ValueError):
        return False
    for mount in mounts.parse_mountinfo(raw):
        if mount.kind != KINDS[version] or (version == 1 and "freezer" not in mount.options):
            continue
        top = inner = -1
        try:
            top = os.open(mount.point, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            inner = View(top, place_of(mount.root), version).open(place)
            text = slurp(inner, name)
        except (OSError, ValueError):
            continue
        finally:
            close(top, inner)
        return text.strip() != b"THAWED" if version == 1 else b"frozen 1" in text.split(b"\n")
    return False


def _is_trapped(folder: int) -> bool:
    """Whether its first thread sleeps where v2 keeps those that are frozen."""
    try:
        return slurp(folder, "wchan").strip() in _TRAPS
    except OSError:
        return False
