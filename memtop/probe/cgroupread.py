"""Reads one cgroup after the other: from memtop's own mounts, or in the view that a process has.

What memtop's own mounts show stays open, as far as there is room. In the view of a process nothing
does: it would hold a mount of somebody else's. A cgroup's parent is the nearest one above that has
memory files. When to read is told by `cgroups`. Times are in seconds of a clock that never jumps.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection

from memtop.probe.cgroup import ALL, HOT, NO_LIMIT, TOTAL_LIMIT, CgroupFiles, Stable
from memtop.probe.cgroupfs import Finder, Place, Unknown, View, place_of
from memtop.probe.sample import Cgroup, Identity, Pod

DELETED = " (deleted)"  # kernel/cgroup/cgroup.c: proc_cgroup_show
_turns = itertools.count()


class Known:
    """One cgroup that is known, and what was last read of it.

    `members`: the processes in it, `pod` as they say, `above`: its ancestors in `view`, the nearest
    first. `stable` is None when it is to be read anew.
    """

    __slots__ = (
        "above",
        "files",
        "has_parent",
        "is_urgent",
        "members",
        "misses",
        "names",
        "not_before",
        "offset_s",
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
        self.members: dict[Identity, None] = {}
        self.pod: Pod | None = None
        self.names: Pod | None = None
        self.view: View | None = None
        self.files: CgroupFiles | None = None
        self.above: tuple[str, ...] = ()
        self.parent: str | None = None
        self.has_parent = False
        self.stable: Stable | None = None
        self.stable_at = self.read_at = self.not_before = float("-inf")
        self.offset_s = next(_turns) % 5.0  # the first time counts as so much earlier
        self.misses = 0
        self.is_urgent = False


class CgroupReader:
    """Reads cgroups into `found`, by path. `at` gives the one that is known by a path."""

    def __init__(
        self,
        finder: Finder,
        pod_of: Callable[[str], Pod | None],
        room: int,
        at: Callable[[str], Known],
    ) -> None:
        self._finder, self._pod_of, self._room, self._at = finder, pod_of, room, at
        self._kept = 0

    def read(
        self, known: Known, members: list[Identity], now: float, found: dict[str, Cgroup]
    ) -> None:
        """Read a cgroup with these processes in it; OSError if it is gone, else Unknown."""
        if known.files is None:
            self._find(known, members, now, found)
        if known.files is None:
            return  # read already
        self._read_files(known, known.files, now, found)
        known.read_at, known.offset_s = now - known.offset_s, 0.0
        if self._kept > self._room:
            self.release(known)

    def release(self, known: Known) -> None:
        """Close the files of a cgroup; where they are is found anew."""
        if known.files is not None:
            self._kept -= known.files.descriptors
            known.files.close()
            known.files = None

    def note_unknown(self, known: Known, reason: str, found: dict[str, Cgroup]) -> None:
        """Say that, and why, nothing is known about a cgroup."""
        unknown = Cgroup(known.path, None, None, limit_bytes=None, unlimited=False, reason=reason)
        self._put(unknown, found, known.pod)

    def close(self) -> None:
        """Give back what the finder holds."""
        self._finder.close()

    def _find(
        self, known: Known, members: list[Identity], now: float, found: dict[str, Cgroup]
    ) -> None:
        """Open the files of a cgroup, or read them at once in the view that a process has."""
        if known.path.endswith(DELETED):
            raise Unknown("the cgroup was removed")
        try:
            place = place_of(known.path)
        except ValueError:
            raise Unknown("this is no path of a cgroup") from None
        if known.view is None:
            version, path = self._hierarchy(members)
            if path != known.path:
                raise ProcessLookupError  # moved since
            try:
                known.view = self._finder.view(version, place)
            except Unknown:
                if not self._finder.may_enter:
                    raise
                self._read_inside(known, place, version, members, now, found)
                return
        view = known.view
        known.files = CgroupFiles(view.open(place), view.version, self._what_to_keep(view.version))
        self._kept += known.files.descriptors
        known.stable = None
        known.above = tuple(above.path for above in view.above(place))
        known.parent = self._parent(known, view, now, found)
        known.has_parent = known.parent is not None

    def _hierarchy(self, members: list[Identity]) -> tuple[int, str]:
        """Where the first of these processes that is still there is now."""
        for identity in members:
            try:
                return self._finder.hierarchy_of(identity)
            except OSError:
                continue
        raise ProcessLookupError

    def _what_to_keep(self, version: int) -> Collection[str]:
        """The files of one more cgroup that stay open: of the first ones all of them."""
        for files, share in ((ALL[version], self._room // 2), (HOT[version], self._room)):
            if self._kept + len(files) < share:
                return files
        return ()

    def _parent(self, known: Known, view: View, now: float, found: dict[str, Cgroup]) -> str | None:
        """The nearest ancestor that has memory files."""
        for path in known.above:
            above = self._at(path)
            above.view = view
            if above.files is None:
                try:
                    self.read(above, [], now, found)
                except (OSError, ValueError, Unknown):
                    continue
            if above.stable is not None and above.stable.is_controlled:
                return path
        return None

    def _read_files(
        self, known: Known, files: CgroupFiles, now: float, found: dict[str, Cgroup]
    ) -> None:
        assert known.view is not None
        if known.stable is None:
            stable = files.read_stable()
            known.names = self._pod_of(known.path) or known.pod
            if not known.has_parent:
                hidden = _hidden(files, stable, known.path)
                known.parent = hidden.path if hidden else None
                if hidden:
                    self._put(hidden, found)
                stable = _judged(stable, known.view)
            known.stable, known.stable_at = stable, now
        if known.stable.is_controlled or known.members:
            found[known.path] = files.read(known.path, known.parent, known.stable, known.names)

    def _read_inside(
        self,
        known: Known,
        place: Place,
        version: int,
        members: list[Identity],
        now: float,
        found: dict[str, Cgroup],
    ) -> None:
        """Read a cgroup, and those above it, as far as one of its own processes sees them."""
        reason: Exception = ProcessLookupError()
        for identity in members:
            try:
                with self._finder.view_of(identity, version, known.path) as view:
                    read = _read_all(view, place)
            except (Unknown, OSError) as error:
                if not isinstance(reason, Unknown):
                    reason = error
                continue
            for cgroup in read:
                self._put(cgroup, found, known.pod if cgroup.path == known.path else None)
            known.read_at = now
            return
        raise reason

    def _put(self, cgroup: Cgroup, found: dict[str, Cgroup], pod: Pod | None = None) -> None:
        """Add what was read, with the names that belong to it."""
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
                parent = read[-1].path if read else None
                read.append(files.read(at.path, parent, stable, None))
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
    return Cgroup(above, None, None, limit, unlimited=False, limit_file=TOTAL_LIMIT)


def _judged(stable: Stable, view: View) -> Stable:
    """Without memory files here or above there is no limit only if everything above is shown."""
    if stable.is_controlled or view.is_whole:
        return stable
    reason = "memory is not controlled in this cgroup, and those above are not visible"
    return stable._replace(unlimited=False, reason=reason)
