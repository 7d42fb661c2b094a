"""Where the files of a memory cgroup are: the right folder, or the reason why there is none.

/proc/PID/cgroup and /proc/PID/mountinfo tell paths seen from memtop's own cgroup namespace
(kernel/cgroup/cgroup.c: cgroup_show_path), so that both can be compared: a mount shows a cgroup
if its root is this cgroup or one above. In a sidecar memtop's own mount shows its own cgroup only.
Then the mount that the process sees is entered, through /proc/PID/root, which takes the right to
trace it. A folder that was found by its name alone is never taken.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from memtop.probe import mounts, parse
from memtop.probe.handle import close, slurp, slurp_whole
from memtop.probe.mounts import Mount
from memtop.probe.own import SYS_PTRACE, read_standing
from memtop.probe.sample import Identity

MAX_DEPTH = 64
MAX_FOLDERS = 20_000  # of a whole tree that is searched for memtop's own cgroup
FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NOT_AT_HAND = "cgroup files of this /proc are not at hand: --cgroupfs DIR"
KINDS = {1: "cgroup", 2: "cgroup2"}


class Unknown(Exception):
    """Why the files of a cgroup cannot be had, in words."""


class Place(NamedTuple):
    """A cgroup as seen from memtop's cgroup namespace: so many levels up, then down by names."""

    ups: int
    names: tuple[str, ...]

    @property
    def path(self) -> str:
        """The path as the kernel writes it."""
        return "/" + "/".join((*[".."] * self.ups, *self.names))

    @property
    def parent(self) -> Place:
        """The cgroup above, which need not exist."""
        if self.names:
            return Place(self.ups, self.names[:-1])
        return Place(self.ups + 1, ())


def place_of(path: str) -> Place:
    """The place that a path means; ValueError for one that no kernel writes."""
    if not path.startswith("/"):
        raise ValueError(path)
    names = path[1:].split("/") if path != "/" else []
    ups = 0
    while ups < len(names) and names[ups] == "..":
        ups += 1
    below = tuple(names[ups:])
    if len(names) > MAX_DEPTH or any(name in ("", ".", "..") or "\0" in name for name in below):
        raise ValueError(path)
    return Place(ups, below)


class View:
    """One mount (or copy) of the memory hierarchy: the folder `top` (a descriptor) shows `root`."""

    def __init__(self, top: int, root: Place, version: int) -> None:
        self.top, self.root, self.version = top, root, version
        self.own_inode: int | None = None  # of the root of memtop's cgroup namespace
        self._above: tuple[str, ...] | None = None

    def way(self, place: Place) -> tuple[str, ...] | None:
        """The names from the top down to a cgroup; None if it is not below."""
        ups, names = self.root
        if place.ups == ups and place.names[: len(names)] == names:
            return place.names[len(names) :]
        if place.ups < ups and not names and (above := self._names_above()) is not None:
            return above[: ups - place.ups] + place.names
        return None

    def above(self, place: Place) -> list[Place]:
        """The cgroups above one that are in this view, the nearest first."""
        found: list[Place] = []
        while self.way(place := place.parent) is not None:
            found.append(place)
        return found

    @property
    def is_whole(self) -> bool:
        """Whether nothing is above the top: the root of v2 alone has no events (cgroup-v2.rst)."""
        return self.version == 1 or not _has(self.top, "cgroup.events")

    def open(self, place: Place) -> int:
        """The folder of a cgroup that is below; OSError if it is not there (any more)."""
        way = self.way(place)
        if way is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        fd = os.open(".", FOLDER, dir_fd=self.top)
        for name in way:
            try:
                inner = os.open(name, FOLDER, dir_fd=fd)
            finally:
                os.close(fd)
            fd = inner
        return fd

    def _names_above(self) -> tuple[str, ...] | None:
        """The names from the top down to the root of memtop's cgroup namespace.

        A cgroup has the same inode number in every mount of its hierarchy (fs/kernfs).
        """
        if self._above is None:
            self._above = ()
            if self.own_inode is not None:
                try:
                    self._above = _find_inode(self.top, self.root.ups, self.own_inode)
                except OSError:
                    pass
        return self._above or None


class Finder:
    """Finds the folders of cgroups for the processes of the /proc tree at `root`.

    `live`: that tree is one of this machine. `cgroupfs`: where to look, and nowhere else.
    """

    def __init__(self, root: str, *, live: bool, cgroupfs: str | None = None) -> None:
        self._root, self._live, self._cgroupfs = root, live, cgroupfs
        self._own: dict[int, list[View]] = {}

    @property
    def may_enter(self) -> bool:
        """Whether the view of a process may be taken."""
        return self._live and self._cgroupfs is None

    def hierarchy_of(self, identity: Identity) -> tuple[int, str]:
        """The version of the memory hierarchy, and where in it a process is now."""
        with self._folder(identity) as folder:
            return _hierarchy(folder)

    def view(self, version: int, place: Place) -> View:
        """The lasting view that shows a cgroup; Unknown if only its processes may have one."""
        if not self._live and self._cgroupfs is None:
            raise Unknown(NOT_AT_HAND)
        if version not in self._own:
            self._own[version] = self._open_views(version)
        for view in self._own[version]:
            if view.way(place) is not None:
                return view
        if self._cgroupfs is not None:
            raise Unknown(f"{self._cgroupfs} does not show this cgroup")
        raise Unknown("no mount shows this cgroup")

    @contextmanager
    def view_of(self, identity: Identity, version: int, path: str) -> Iterator[View]:
        """The view that a process has of its own cgroup; Unknown without one or the right to it."""
        place = place_of(path)
        with self._folder(identity) as folder:
            if _hierarchy(folder) != (version, path):
                raise ProcessLookupError
            raw = slurp_whole(folder, "mountinfo", mounts.MAX_MOUNTINFO)
            shown = [
                (mount, root)
                for mount, root in _memory_mounts(raw, version)
                if View(-1, root, version).way(place) is not None
            ]
            if not shown:
                raise Unknown(f"PID {identity.pid} has no mount that shows its cgroup")
            top = self._enter(folder, identity, shown)
        try:
            yield View(*top, version)
        finally:
            os.close(top[0])

    def close(self) -> None:
        """Give the descriptors back."""
        for view in (view for views in self._own.values() for view in views):
            close(view.top)
        self._own.clear()

    def _enter(
        self, folder: int, identity: Identity, shown: list[tuple[Mount, Place]]
    ) -> tuple[int, Place]:
        """Open the top of one of these mounts, through the root of a process."""
        try:
            inside = os.open("root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
        except PermissionError:
            why = (
                "refused although CAP_SYS_PTRACE is held"
                if read_standing().has(SYS_PTRACE)
                else "needs CAP_SYS_PTRACE"
            )
            raise Unknown(
                f"no right to look into the container of PID {identity.pid} ({why})"
            ) from None
        try:
            for mount, root in reversed(shown):
                try:
                    top = mounts.open_inside(inside, mount.point, FOLDER)
                except OSError:
                    continue
                if mounts.mount_id(top) == mount.id:
                    return top, root
                os.close(top)  # something else is mounted over it
        finally:
            os.close(inside)
        raise Unknown(f"the cgroup mount of PID {identity.pid} cannot be entered")

    def _open_views(self, version: int) -> list[View]:
        """memtop's own mounts of the hierarchy, or what --cgroupfs says."""
        try:
            folder = os.open("/proc/self", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                raw = slurp_whole(folder, "mountinfo", mounts.MAX_MOUNTINFO)
            finally:
                os.close(folder)
        except OSError:
            raw = b""
        views = []
        for mount, root in _memory_mounts(raw, version):
            try:
                top = os.open(mount.point, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError:
                continue
            if mounts.mount_id(top) == mount.id:
                views.append(View(top, root, version))
            else:
                os.close(top)
        own = next((os.stat(view.top).st_ino for view in views if view.root == Place(0, ())), None)
        if self._cgroupfs is not None:
            close(*(view.top for view in views))
            views = _views_below(self._cgroupfs, version, raw)
        for view in views:
            view.own_inode = own
        # The one that shows most comes first.
        return sorted(views, key=lambda view: (-view.root.ups, len(view.root.names)))

    @contextmanager
    def _folder(self, identity: Identity) -> Iterator[int]:
        """The folder of this very process in /proc; OSError when it is gone, or another one."""
        folder = os.open(f"{self._root}/{identity.pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if parse.parse_stat(slurp(folder, "stat")).start_ticks != identity.start_ticks:
                raise ProcessLookupError
            yield folder
        except ValueError:
            raise ProcessLookupError from None
        finally:
            os.close(folder)


def _hierarchy(folder: int) -> tuple[int, str]:
    found = parse.parse_memory_cgroup(slurp(folder, "cgroup"))
    if found is None:
        raise Unknown("it is in no memory cgroup")
    return found


def _memory_mounts(mountinfo: bytes, version: int) -> list[tuple[Mount, Place]]:
    """The mounts of the memory hierarchy, each with the cgroup that it shows."""
    found = []
    lines = b"\n".join(line for line in mountinfo.split(b"\n") if b" - cgroup" in line)
    for mount in mounts.parse_mountinfo(lines):
        if mount.kind == KINDS[version] and (version == 2 or "memory" in mount.options):
            try:
                found.append((mount, place_of(mount.root)))
            except ValueError:
                continue
    return found


def _views_below(folder: str, version: int, mountinfo: bytes) -> list[View]:
    """The view that a folder gives: a mount, a folder within one, or a copy of a whole tree."""
    for path in (f"{folder}/memory", folder) if version == 1 else (folder,):
        try:
            top = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            continue
        if version == 1 and not _has(top, "memory.limit_in_bytes"):
            os.close(top)
            continue
        number = mounts.mount_id(top)
        by_id = {mount.id: mount for mount in mounts.parse_mountinfo(mountinfo)}
        mount = by_id.get(number) if number is not None else None
        root = Place(0, ())
        if mount and mount.kind in KINDS.values():
            below = os.path.relpath(os.path.realpath(path), mount.point)
            parts = [] if below == "." else [below]
            try:
                root = place_of("/" + "/".join([mount.root.strip("/"), *parts]).strip("/"))
            except ValueError:
                os.close(top)
                continue
        return [View(top, root, version)]
    return []


def _has(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return True


def _find_inode(top: int, depth: int, inode: int) -> tuple[str, ...]:
    """The names down to the folder with this inode, so many levels below; none if it is not."""
    level: list[tuple[str, ...]] = [()]
    left = MAX_FOLDERS
    for above in range(depth, 0, -1):
        below: list[tuple[str, ...]] = []
        for names in level:
            with os.scandir("/".join((f"/proc/self/fd/{top}", *names))) as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        continue
                    if above == 1 and entry.inode() == inode:
                        return (*names, entry.name)
                    below.append((*names, entry.name))
            left -= 1
            if left < 0:
                return ()
        level = below
    return ()
