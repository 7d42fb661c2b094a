"""What was seen in processes and done to them while they were recorded: looks, counts, actions.

Of each process the first and the last look, and what changed between them. Sizes in bytes, times
in seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from memtop.actions.result import Result as Acted
from memtop.anatomy.difference import Difference
from memtop.anatomy.difference import compare as compare_looks
from memtop.anatomy.objects import Growth, Objects
from memtop.anatomy.objects import compare as compare_objects
from memtop.anatomy.result import Anatomy
from memtop.kept import recalled
from memtop.probe.sample import Identity
from memtop.recording.recording import Event, Result
from memtop.render.finding import Verdict

SAME_S = 20.0  # an event so soon beside a result is about the same


@dataclass(frozen=True, slots=True)
class Inside:
    """What was seen in one process: the first and the last of each; `first` None: there is one."""

    identity: Identity
    name: str
    first: Anatomy | None = None
    last: Anatomy | None = None
    difference: Difference | None = None
    first_objects: Objects | None = None
    last_objects: Objects | None = None
    growth: Growth | None = None


class Action(NamedTuple):
    """Something that was done to a process; what is None was not recorded."""

    at: float
    action: str
    pid: int | None
    name: str | None
    outcome: str | None
    meaning: str | None
    before_bytes: int | None
    after_bytes: int | None
    returned_bytes: int | None
    predicted_bytes: int | None
    text: str


class Told(NamedTuple):
    """All that other commands have added; `verdicts` with when each came and who was asked about.

    `lost` is how many answers cannot be shown: of a later version, or damaged.
    """

    inside: tuple[Inside, ...]
    actions: tuple[Action, ...]
    verdicts: tuple[tuple[float, Identity | None, Verdict], ...]
    acted: tuple[Acted, ...]
    lost: int = 0


def told_of(results: Sequence[Result], events: Sequence[Event]) -> Told:
    """What the rows of a recording hold."""
    looks: dict[Identity, list[Anatomy]] = {}
    counts: dict[Identity, list[Objects]] = {}
    verdicts: list[tuple[float, Identity | None, Verdict]] = []
    acted: list[Acted] = []
    lost = 0
    for row in results:
        value = recalled(row)
        if isinstance(value, Anatomy):
            looks.setdefault(value.identity, []).append(value)
        elif isinstance(value, Objects):
            counts.setdefault(value.identity, []).append(value)
        elif isinstance(value, Verdict):
            verdicts.append((row.at, row.identity, value))
        elif isinstance(value, Acted):
            acted.append(value)
            if value.objects is not None:
                counts.setdefault(value.objects.identity, []).append(value.objects)
        else:
            lost += 1
    inside = [_inside(one, looks.get(one, []), counts.get(one, [])) for one in {**looks, **counts}]
    return Told(tuple(inside), _actions(acted, events), tuple(verdicts), tuple(acted), lost)


def _inside(identity: Identity, looks: list[Anatomy], counts: list[Objects]) -> Inside:
    looks.sort(key=lambda one: one.taken_at)
    last = looks[-1] if looks else None
    first = looks[0] if len(looks) > 1 else None
    counts.sort(key=lambda one: one.taken_at)
    last_objects = counts[-1] if counts else None
    same = [one for one in counts[:-1] if last_objects and one.source == last_objects.source]
    first_objects = same[0] if same else None
    return Inside(
        identity,
        (last or last_objects).name,  # type: ignore[union-attr]
        first,
        last,
        compare_looks(first, last) if first and last else None,
        first_objects,
        last_objects,
        compare_objects(first_objects, last_objects) if first_objects and last_objects else None,
    )


def _actions(acted: Iterable[Acted], events: Iterable[Event]) -> tuple[Action, ...]:
    """Those with a result, and those of which only the event is there."""
    made = [
        Action(
            one.at,
            one.action,
            one.pid,
            one.name,
            one.outcome,
            one.meaning,
            one.rss_before_bytes,
            one.rss_after_bytes,
            one.returned_bytes,
            one.predicted_bytes,
            f"{one.action} {one.pid}",
        )
        for one in acted
    ]
    for event in events:
        if event.kind != "action":
            continue
        detail = event.detail if isinstance(event.detail, dict) else {}
        name, pid = _text(detail.get("action")), _number(detail.get("pid"))
        name = name or event.text.partition(" ")[0]
        if any(
            one.action == name and one.pid == pid and abs(one.at - event.at) < SAME_S
            for one in made
        ):
            continue
        before, after, returned = (
            _number(detail.get(f"{key}_bytes")) for key in ("rss_before", "rss_after", "returned")
        )
        made.append(
            Action(
                event.at,
                name,
                pid,
                None,
                _text(detail.get("outcome")),
                None,
                before,
                after,
                returned,
                None,
                event.text,
            )
        )
    return tuple(sorted(made, key=lambda one: one.at))


def _number(value: Any) -> int | None:
    return value if type(value) is int else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
