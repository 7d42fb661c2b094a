"""What happens by itself and is worth a mark: OOM kills, processes that become leak-like.

Pure: it compares each state with the one before. Sizes in KiB.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from memtop.model.state import Row, State
from memtop.probe.sample import Cgroup, Identity

ENDED_WITHIN_S = 10.0


class Happening(NamedTuple):
    """An event to be written: `oom`, `leak-like`, or the `action` of somebody."""

    kind: str
    text: str
    detail: dict[str, object]


class Happenings:
    """Watches states; the first one only tells what was before."""

    def __init__(self) -> None:
        self._kills: dict[str, int] | None = None
        self._leaking: set[Identity] = set()
        self._told: list[tuple[float, str]] = []  # OOM kills of late: when, in which cgroup

    def look(self, state: State, among: Collection[Identity] | None = None) -> list[Happening]:
        """What has happened since the state before; who became leak-like only of those `among`."""
        return [*self._oom_kills(state), *self._leaks(state, among)]

    def _oom_kills(self, state: State) -> Iterable[Happening]:
        is_first, known = self._kills is None, self._kills or {}
        self._kills = known
        self._told = [one for one in self._told if state.clock_s - one[0] < ENDED_WITHIN_S]
        for cgroup in _cgroups(state):
            if cgroup.oom_kills is None:
                continue
            before = known.get(cgroup.path)
            known[cgroup.path] = cgroup.oom_kills
            if is_first or before is None or cgroup.oom_kills <= before:
                continue
            # A kill counts in all cgroups above, too, which may be read a bit later.
            if any(_is_below(path, cgroup.path) for _, path in self._told):
                continue
            self._told.append((state.clock_s, cgroup.path))
            yield _oom_kill(state, cgroup, cgroup.oom_kills - before)

    def _leaks(self, state: State, among: Collection[Identity] | None) -> Iterable[Happening]:
        now = {
            row.identity: row
            for row in state.growing
            if row.trend.word == "leak-like"
            and row.identity != state.own  # who watches more and more knows more and more
            and (among is None or row.identity in among)
        }
        for identity, row in now.items():
            if identity not in self._leaking:
                text = f"{row.title or row.name} {row.pid} is leak-like"
                yield Happening(
                    "leak-like", text, {"pid": row.pid, "start_ticks": identity.start_ticks}
                )
        self._leaking = set(now)


def _cgroups(state: State) -> list[Cgroup]:
    found: dict[str, Cgroup] = {}
    for limit in state.limits.values():
        for one in (limit.cgroup, limit.bound):
            if one is not None:
                found[one.path] = one
    # The innermost first.
    return sorted(found.values(), key=lambda one: -len(one.path))


def _oom_kill(state: State, cgroup: Cgroup, kills: int) -> Happening:
    ended = [
        {"pid": row.pid, "name": row.name, "rss_kib": row.rss_kib}
        for row in state.rows.values()
        if _died_in(row, cgroup.path, state.taken_at)
    ]
    who = ", ".join(f"{one['name']} {one['pid']}" for one in ended[:3])
    times = "OOM kill" if kills == 1 else f"{kills} OOM kills"
    text = f"{times} in {name_of(cgroup)}" + (f": {who}" if who else "")
    return Happening("oom", text, {"cgroup": cgroup.path, "kills": kills, "ended": ended})


def _died_in(row: Row, path: str, at: float) -> bool:
    if row.ended_at is None or at - row.ended_at > ENDED_WITHIN_S or row.cgroup is None:
        return False
    return row.cgroup == path or _is_below(row.cgroup, path)


def _is_below(path: str, above: str) -> bool:
    return path.startswith(above.rstrip("/") + "/")


def name_of(cgroup: Cgroup) -> str:
    """The pod and container of a cgroup, else its path."""
    pod = cgroup.pod
    if pod is None:
        return cgroup.path
    parts = (pod.name or pod.uid, pod.container or (pod.container_id or "")[:12])
    return " ".join(part for part in parts if part) or cgroup.path
