"""Which memory cgroups there are, and when the figures of each are read again.

A cgroup is known because a process in it is, or because it is an ancestor of such a one. Those
that are looked at are read every second, the others every five, in turn; what rarely changes is
read at longer intervals, and when a process has ended. The sampling thread only notes who is
where; `read` is for a thread that may wait. Times are in seconds of a clock that never jumps.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable
from itertools import islice

from memtop.probe.cgroup import ALL, HOT, NO_LIMIT, STAT, CgroupFiles, Stable
from memtop.probe.cgroupfs import Finder, Place, Unknown, View, place_of
from memtop.probe.sample import Cgroup, Identity, Pod

LOOKED_AT_S, LOOKED_AT_STABLE_S = 1.0, 5.0
OTHERS_S, OTHERS_STABLE_S = 5.0, 15.0
EARLY_S = 0.2  # so much before its time a cgroup is read along with others
MOST_KEPT = 1000  # descriptors of cgroup files that stay open; each holds a page in the kernel
TRY_MEMBERS = 4  # processes of a cgroup whose view of it is tried
DELETED = " (deleted)"  # kernel/cgroup/cgroup.c: proc_cgroup_show


class _Entry:
    """One cgroup. With a lasting view of it its folder stays open, and `above` are its ancestors.

    `parent` is the nearest of them that has memory files, or stands for a limit that is hidden.
    """

    __slots__ = (
        "above",
        "files",
        "has_parent",
        "is_urgent",
        "members",
        "misses",
        "names",
        "parent",
        "path",
        "pod",
        "read_at",
        "stable",
        "stable_at",
        "view",
    )

    def __init__(self, path: str) -> None:
        self.path = path
        self.view: View | None = None
        self.above: tuple[str, ...] = ()
        self.members: dict[Identity, None] = {}
        self.pod: Pod | None = None  # as its processes say
        self.names: Pod | None = None
        self.files: CgroupFiles | None = None
        self.parent: str | None = None
        self.has_parent = False
        self.stable: Stable | None = None
        self.stable_at = self.read_at = float("-inf")
        self.misses = 0
        self.is_urgent = False


class CgroupTable:
    """The memory cgroups of the processes that were joined to it.

    `room`: how many descriptors it may keep open.
    """

    def __init__(
        self, finder: Finder, pod_of: Callable[[str], Pod | None], *, room: int = MOST_KEPT
    ) -> None:
        self._finder, self._pod_of, self._room = finder, pod_of, room
        self._lock = threading.Lock()  # for what both threads use
        self._reading = threading.Lock()
        self._paths: dict[Identity, str] = {}
        self._entries: dict[str, _Entry] = {}
        self._looked_at: frozenset[str] = frozenset()
        self._is_changed = False
        self._kept = self._turn = 0
        self._closed = False

    # -- the sampling thread ---------------------------------------------------------------

    def join(self, identity: Identity, path: str | None, pod: Pod | None) -> bool:
        """A process is in this cgroup from now on; whether the cgroup is new."""
        with self._lock:
            before = self._paths.get(identity)
            if before is not None and before != path:
                self._leave(identity)
            if path is None:
                return False
            entry = self._entries.get(path)
            if is_new := entry is None or not entry.members:
                entry = entry or self._entries.setdefault(path, _Entry(path))
                self._is_changed = True
            assert entry is not None
            entry.members[identity] = None
            entry.pod = pod or entry.pod
            self._paths[identity] = path
            return is_new

    def leave(self, identity: Identity) -> None:
        """A process has ended."""
        with self._lock:
            self._leave(identity)

    def look_at(self, identities: Iterable[Identity] | None) -> None:
        """Whose cgroups are to be read more often; None stands for everybody's."""
        with self._lock:
            found: set[str | None] = set()
            if identities is None:
                found.update(self._entries)
            else:
                found.update(self._paths.get(identity) for identity in identities)
            self._looked_at = frozenset(path for path in found if path is not None)

    def _leave(self, identity: Identity) -> None:
        path = self._paths.pop(identity, None)
        entry = self._entries.get(path) if path is not None else None
        if entry is not None:
            entry.members.pop(identity, None)
            self._is_changed = self._is_changed or not entry.members
            # It may have been killed for memory, here or in the pod.
            entry.is_urgent = True
            if entry.parent is not None and (above := self._entries.get(entry.parent)):
                above.is_urgent = True

    # -- a thread that may wait ------------------------------------------------------------

    def read(self) -> tuple[list[Cgroup], list[Identity]]:
        """What is due, and the processes that are not where they were any more."""
        with self._reading:
            if self._closed:
                return [], []
            now = time.monotonic()
            found: dict[str, Cgroup] = {}
            lost: list[Identity] = []
            for entry, members in self._due(now):
                if entry.path in found or (entry.files is None and not members):
                    continue  # read with another one, or its last process is gone
                self._read_entry(entry, members, now, found, lost)
            with self._lock:
                if self._is_changed:
                    self._prune()
            return list(found.values()), lost

    def close(self) -> None:
        """Give the descriptors back, unless a read hangs."""
        self._closed = True
        if self._reading.acquire(timeout=0.2):
            for entry in self._entries.values():
                self._release(entry)
            self._finder.close()
            self._reading.release()

    def _due(self, now: float) -> list[tuple[_Entry, list[Identity]]]:
        """Whose figures are to be read, with a few processes of each."""
        with self._lock:
            hot = set(self._looked_at)
            for path in self._looked_at:
                entry = self._entries.get(path)
                while entry is not None and entry.parent is not None:
                    entry = self._entries.get(entry.parent)
                    if entry and entry.stable and entry.stable.limit_bytes is not None:
                        hot.add(entry.path)
            due = []
            for path, entry in self._entries.items():
                is_hot = path in hot
                age_s = now - entry.read_at + EARLY_S
                if not (entry.is_urgent or age_s >= (LOOKED_AT_S if is_hot else OTHERS_S)):
                    continue
                stable_s = LOOKED_AT_STABLE_S if is_hot else OTHERS_STABLE_S
                if entry.is_urgent or now - entry.stable_at + EARLY_S >= stable_s:
                    entry.stable = None
                entry.is_urgent = False
                due.append((entry, list(islice(entry.members, TRY_MEMBERS))))
            return due

    def _prune(self) -> None:
        """Forget the cgroups without a process in them or below; the caller holds the lock."""
        self._is_changed = False
        needed = {path for path, entry in self._entries.items() if entry.members}
        needed.update(*(self._entries[path].above for path in list(needed)))
        for path in self._entries.keys() - needed:
            self._release(self._entries.pop(path))

    def _read_entry(
        self,
        entry: _Entry,
        members: list[Identity],
        now: float,
        found: dict[str, Cgroup],
        lost: list[Identity],
    ) -> None:
        is_first = entry.read_at == float("-inf")
        # In turn from the second time on.
        self._turn += is_first
        entry.read_at = now - (self._turn % OTHERS_S if is_first else 0.0)
        try:
            if entry.files is None:
                self._find(entry, members, now, found)
            if entry.files is not None:
                self._read_files(entry, now, found)
            entry.misses = 0
            if self._kept > self._room:
                self._release(entry)
        except Unknown as unknown:
            self._put(_unknown(entry.path, str(unknown)), found, entry.pod)
        except (OSError, ValueError):
            self._release(entry)
            entry.misses += 1
            with self._lock:
                lost += entry.members
            # At first its processes may just have been moved, which their facts will tell.
            if members and (entry.misses > 1 or not self._finder.may_enter):
                self._put(
                    _unknown(entry.path, "there are no files of this cgroup"), found, entry.pod
                )

    def _release(self, entry: _Entry) -> None:
        """Close the files of a cgroup; where they are is found anew."""
        if entry.files is not None:
            self._kept -= entry.files.descriptors
            entry.files.close()
            entry.files = None

    def _find(
        self, entry: _Entry, members: list[Identity], now: float, found: dict[str, Cgroup]
    ) -> None:
        """Find the files of a cgroup, or have them read in the view that a process has."""
        if entry.path.endswith(DELETED):
            raise Unknown("the cgroup was removed")
        try:
            place = place_of(entry.path)
        except ValueError:
            raise Unknown("this is no path of a cgroup") from None
        if entry.view is None:
            version, path = self._hierarchy(members)
            if path != entry.path:
                raise ProcessLookupError  # moved since
            try:
                entry.view = self._finder.view(version, place)
            except Unknown as unknown:
                if not self._finder.may_enter:
                    raise
                self._read_inside(entry, place, version, members, found, unknown)
                return
        view = entry.view
        entry.has_parent, entry.stable = False, None
        entry.files = CgroupFiles(view.open(place), view.version, self._what_to_keep(view.version))
        self._kept += entry.files.descriptors
        entry.above = tuple(above.path for above in view.above(place))
        entry.parent = self._parent(entry, view, now, found)

    def _what_to_keep(self, version: int) -> Collection[str]:
        """The files of one more cgroup that stay open."""
        left = self._room - self._kept
        return next((files for files in (ALL[version], HOT[version]) if len(files) < left), ())

    def _parent(
        self, entry: _Entry, view: View, now: float, found: dict[str, Cgroup]
    ) -> str | None:
        """The nearest ancestor that has memory files."""
        for path in entry.above:
            with self._lock:
                above = self._entries.get(path)
                if above is None:
                    above = self._entries[path] = _Entry(path)
                above.view = view
            if above.files is None:
                self._read_entry(above, [], now, found, [])
            if above.stable is not None and above.stable.is_controlled:
                entry.has_parent = True
                return path
        return None

    def _hierarchy(self, members: list[Identity]) -> tuple[int, str]:
        """Where the first of these processes that is still there is now."""
        for identity in members:
            try:
                return self._finder.hierarchy_of(identity)
            except OSError:
                continue
        raise ProcessLookupError

    def _read_files(self, entry: _Entry, now: float, found: dict[str, Cgroup]) -> None:
        files, view = entry.files, entry.view
        assert files is not None
        assert view is not None
        if entry.stable is None:
            entry.stable, entry.stable_at = files.read_stable(), now
            entry.names = self._pod_of(entry.path) or entry.pod
            if not entry.has_parent:
                hidden = _hidden(files, entry.stable, entry.path)
                self._put(hidden, found)
                entry.parent = hidden.path if hidden else None
                entry.stable = _judged(entry.stable, view)
        if entry.stable.is_controlled or entry.members:
            found[entry.path] = files.read(entry.path, entry.parent, entry.stable, entry.names)

    def _read_inside(
        self,
        entry: _Entry,
        place: Place,
        version: int,
        members: list[Identity],
        found: dict[str, Cgroup],
        unknown: Unknown,
    ) -> None:
        """Read a cgroup, and those above it, as far as one of its own processes sees them.

        Nothing stays open: it would hold a mount of somebody else's.
        """
        for identity in members:
            try:
                with self._finder.view_of(identity, version, entry.path) as view:
                    read = _read_all(view, place)
            except Unknown as error:
                unknown = error
            except OSError:
                continue
            else:
                for cgroup in read:
                    self._put(cgroup, found, entry.pod if cgroup.path == entry.path else None)
                return
        raise unknown

    def _put(self, cgroup: Cgroup | None, found: dict[str, Cgroup], pod: Pod | None = None) -> None:
        """Add what was read, with the names that belong to it."""
        if cgroup is not None:
            found[cgroup.path] = cgroup._replace(pod=self._pod_of(cgroup.path) or pod)


def _read_all(view: View, place: Place) -> list[Cgroup]:
    """A cgroup and those above it that the view shows, the outermost first."""
    read: list[Cgroup] = []
    for at in reversed((place, *view.above(place))):
        files = CgroupFiles(view.open(at), view.version)
        try:
            stable = files.read_stable()
            if not read:
                if hidden := _hidden(files, stable, at.path):
                    read.append(hidden)
                stable = _judged(stable, view)
            if stable.is_controlled or at == place:
                read.append(files.read(at.path, read[-1].path if read else None, stable, None))
        finally:
            files.close()
    return read


def _hidden(files: CgroupFiles, stable: Stable, path: str) -> Cgroup | None:
    """The limit of a cgroup above that no mount shows, which v1 tells; None without one.

    It stands for all of them, in the place of the nearest.
    """
    limit = files.read_total_limit()
    if limit is None or limit >= (stable.limit_bytes or NO_LIMIT):
        return None
    above = place_of(path).parent.path
    return Cgroup(above, None, None, limit, unlimited=False, limit_file=STAT)


def _judged(stable: Stable, view: View) -> Stable:
    """Without memory files here or above there is no limit only if everything above is shown."""
    if stable.is_controlled or view.is_whole:
        return stable
    reason = "memory is not controlled in this cgroup, and those above are not visible"
    return stable._replace(unlimited=False, reason=reason)


def _unknown(path: str, reason: str) -> Cgroup:
    return Cgroup(path, None, None, limit_bytes=None, unlimited=False, reason=reason)
