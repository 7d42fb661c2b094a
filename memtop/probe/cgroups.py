"""Which memory cgroups there are, and when the figures of each are read again.

A cgroup is known because a process in it is, or because it is an ancestor of such a one. Those
that are looked at are read every second, the others every five, in turn; what rarely changes is
read at longer intervals, and when a process has ended. Where files cannot be had is asked ever
less often. The sampling thread only notes who is where; `read` is for a thread that may wait.
Times are in seconds of a clock that never jumps.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from itertools import islice

from memtop.probe.cgroupfs import Finder, Unknown
from memtop.probe.cgroupread import CgroupReader, Known
from memtop.probe.sample import Cgroup, Identity, Pod

LOOKED_AT_S, LOOKED_AT_STABLE_S = 1.0, 5.0
OTHERS_S, OTHERS_STABLE_S = 5.0, 15.0
EARLY_S = 0.2  # so much before its time a cgroup is read along with others
LONGEST_WAIT_S = 30.0  # until files that could not be had are asked for again
MOST_KEPT = 1200  # descriptors of cgroup files that stay open; each holds a page in the kernel
TRY_MEMBERS = 4  # processes of a cgroup whose view of it is tried


class CgroupTable:
    """The memory cgroups of the processes that were joined to it.

    `room`: how many descriptors it may keep open.
    """

    def __init__(
        self, finder: Finder, pod_of: Callable[[str], Pod | None], *, room: int = MOST_KEPT
    ) -> None:
        self._reader = CgroupReader(finder, pod_of, room, self._at)
        self._is_live = finder.may_enter
        self._lock = threading.Lock()  # for what both threads use
        self._reading = threading.Lock()
        self._paths: dict[Identity, str] = {}
        self._cgroups: dict[str, Known] = {}
        self._looked_at: frozenset[str] = frozenset()
        self._is_changed = False
        self._closed = False

    # -- the sampling thread ---------------------------------------------------------------

    def join(self, identity: Identity, path: str | None, pod: Pod | None) -> bool:
        """A process is in this cgroup from now on; whether it is the first one in it."""
        with self._lock:
            if self._paths.get(identity, path) != path:
                self._leave(identity)
            if path is None:
                return False
            known = self._cgroups.setdefault(path, Known(path))
            is_first = not known.members
            self._is_changed = self._is_changed or is_first
            known.members[identity] = None
            known.pod = pod or known.pod
            self._paths[identity] = path
            return is_first

    def leave(self, identity: Identity) -> None:
        """A process has ended."""
        with self._lock:
            self._leave(identity)

    def look_at(self, identities: Iterable[Identity] | None) -> None:
        """Whose cgroups are to be read more often; None stands for everybody's."""
        with self._lock:
            found: set[str | None] = set()
            if identities is None:
                found.update(self._cgroups)
            else:
                found.update(self._paths.get(identity) for identity in identities)
            self._looked_at = frozenset(path for path in found if path is not None)

    def _leave(self, identity: Identity) -> None:
        path = self._paths.pop(identity, None)
        known = self._cgroups.get(path) if path is not None else None
        if known is None:
            return
        known.members.pop(identity, None)
        self._is_changed = self._is_changed or not known.members
        # It may have been killed for memory, of its own cgroup or of the pod.
        known.is_urgent = True
        if known.parent is not None and (above := self._cgroups.get(known.parent)):
            above.is_urgent = True

    # -- a thread that may wait ------------------------------------------------------------

    def read(self) -> tuple[list[Cgroup], list[Identity]]:
        """What is due, and the processes that seem to have moved to another cgroup."""
        with self._reading:
            if self._closed:
                return [], []
            now = time.monotonic()
            found: dict[str, Cgroup] = {}
            lost: list[Identity] = []
            for known, members in self._due(now):
                # Some are read with another one; of others the last process has gone.
                if known.path not in found and (known.files or members):
                    self._read(known, members, now, found, lost)
            with self._lock:
                if self._is_changed:
                    self._prune()
            return list(found.values()), lost

    def close(self) -> None:
        """Give the descriptors back, unless a read hangs."""
        self._closed = True
        if self._reading.acquire(timeout=0.2):
            for known in self._cgroups.values():
                self._reader.release(known)
            self._reader.close()
            self._reading.release()

    def _at(self, path: str) -> Known:
        """A cgroup by its path, which is from now on known if it was not."""
        with self._lock:
            return self._cgroups.setdefault(path, Known(path))

    def _due(self, now: float) -> list[tuple[Known, list[Identity]]]:
        """Whose figures are to be read, with a few processes of each."""
        with self._lock:
            hot = self._hot()
            due = []
            for path, known in self._cgroups.items():
                if now < known.not_before:
                    continue
                is_hot = path in hot
                age_s = now - known.read_at + EARLY_S
                if not (known.is_urgent or age_s >= (LOOKED_AT_S if is_hot else OTHERS_S)):
                    continue
                stable_s = LOOKED_AT_STABLE_S if is_hot else OTHERS_STABLE_S
                if known.is_urgent or now - known.stable_at + EARLY_S >= stable_s:
                    known.stable = None
                known.is_urgent = False
                due.append((known, list(islice(known.members, TRY_MEMBERS))))
            return due

    def _hot(self) -> set[str]:
        """The cgroups that are looked at, and those above them that have a limit."""
        hot = set(self._looked_at)
        for path in self._looked_at:
            known = self._cgroups.get(path)
            while known is not None and known.parent is not None:
                known = self._cgroups.get(known.parent)
                if known and known.stable and known.stable.limit_bytes is not None:
                    hot.add(known.path)
        return hot

    def _read(
        self,
        known: Known,
        members: list[Identity],
        now: float,
        found: dict[str, Cgroup],
        lost: list[Identity],
    ) -> None:
        """Read one cgroup; of what cannot be had at least the reason is found."""
        try:
            self._reader.read(known, members, now, found)
            known.misses = 0
            return
        except Unknown as error:
            reason = str(error)
        except (OSError, ValueError):
            reason = "there are no files of this cgroup"
            self._reader.release(known)
            if self._is_live and not known.misses:
                # Its processes were moved, most likely: their facts will tell.
                with self._lock:
                    lost += known.members
                reason = ""
        known.misses += 1
        known.read_at, known.not_before = now, now + min(2.0**known.misses, LONGEST_WAIT_S)
        if reason and members:
            self._reader.note_unknown(known, reason, found)

    def _prune(self) -> None:
        """Forget the cgroups without a process in them or below; the caller holds the lock."""
        self._is_changed = False
        needed = {path for path, known in self._cgroups.items() if known.members}
        needed.update(*(self._cgroups[path].above for path in list(needed)))
        for path in self._cgroups.keys() - needed:
            self._reader.release(self._cgroups.pop(path))
