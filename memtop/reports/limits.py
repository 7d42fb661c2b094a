"""How near the limits were, and who was killed for them. Sizes in bytes unless a name says KiB,
times in seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from memtop.model.limits import Limit
from memtop.model.state import State
from memtop.recording.happenings import name_of
from memtop.recording.recording import Event

BEFORE_S, AFTER_S = 150.0, 10.0  # fine samples around a kill


class Room(NamedTuple):
    """A cgroup with the limit that holds in it, at the moment at which it was fullest of those
    that were looked at: `at`. `used_bytes` is the working set, which is what counts."""

    at: float
    limit: Limit
    name: str
    used_bytes: int | None

    @property
    def share(self) -> float | None:
        """How full it was."""
        most = self.limit.limit_bytes
        return self.used_bytes / most if most and self.used_bytes is not None else None


class Victim(NamedTuple):
    """Who died, with the RSS that was seen last, and the fine samples before: (when, KiB).

    `is_known`: it is in the recording, and not only in a cgroup that was seen.
    """

    pid: int | None
    name: str
    rss_kib: int | None
    fine: tuple[tuple[float, int], ...] = ()
    is_known: bool = False


class Kill(NamedTuple):
    """An OOM kill, or several at once."""

    at: float
    text: str
    cgroup: str | None
    kills: int
    victims: tuple[Victim, ...]

    @property
    def is_near(self) -> bool:
        """Whether somebody died who was recorded, or nobody knows who it was."""
        return not self.victims or any(one.is_known for one in self.victims)


def rooms_of(states: Iterable[State]) -> list[Room]:
    """The limits of these states, each where it was fullest; the fullest first."""
    found: dict[str, Room] = {}
    for state in states:
        for limit in state.limits.values():
            bound = limit.bound
            if bound is None:
                continue
            used = bound.working_set_bytes
            used = bound.current_bytes if used is None else used
            now = Room(state.taken_at, limit, name_of(bound), used)
            before = found.get(bound.path)
            if before is None or _fuller(now, before):
                found[bound.path] = now
    return sorted(found.values(), key=lambda one: -(one.share or 0.0))


def _fuller(now: Room, before: Room) -> bool:
    warns = (capacity := now.limit.capacity) is not None and capacity.warns
    warned = (old := before.limit.capacity) is not None and old.warns
    return (warns, capacity is not None, now.share or 0.0) > (
        warned,
        old is not None,
        before.share or 0.0,
    )


def why_no_limit(state: State) -> str | None:
    """Why no limit is known, where none is."""
    reasons = {limit.why for limit in state.limits.values() if limit.bound is None and limit.why}
    return min(reasons, default=None)


def kills_of(
    events: Sequence[Event],
    fine: Iterable[tuple[float, int, int]],
    numbers: Mapping[int, Sequence[tuple[int, float]]],
) -> list[Kill]:
    """The OOM kills; `numbers`: by PID, the numbers that it had in the file and since when."""
    by_number: dict[int, list[tuple[float, int]]] = {}
    for at, number, kib in fine:
        by_number.setdefault(number, []).append((at, kib))
    made = []
    for event in events:
        if event.kind != "oom":
            continue
        detail = event.detail if isinstance(event.detail, dict) else {}
        victims = []
        for one in _list(detail.get("ended")):
            pid = one.get("pid")
            since = [pair for pair in numbers.get(pid or 0, ()) if pair[1] <= event.at]
            number = max(since, key=lambda pair: pair[1])[0] if since else -1
            points = [
                point
                for point in by_number.get(number, [])
                if event.at - BEFORE_S <= point[0] <= event.at + AFTER_S
            ]
            victims.append(
                Victim(pid, str(one.get("name")), one.get("rss_kib"), tuple(points), bool(since))
            )
        kills = detail.get("kills")
        made.append(
            Kill(
                event.at,
                event.text,
                detail.get("cgroup"),
                kills if isinstance(kills, int) else 1,
                tuple(victims),
            )
        )
    return made


def _list(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
