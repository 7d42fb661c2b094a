"""Which processes of a tree are worth a look, and whose memory it is that matters.

Pure. Looking into a process takes a while, so that of many alike one stands for all, unless one of
them grows. What a process takes while it starts up is no growth. Sizes in KiB, times in seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from memtop.evidence.watch import change_kib, usual_kib
from memtop.model.groups import Group
from memtop.model.state import Row, State
from memtop.probe.sample import Identity

FIRST = 6  # processes that are looked into at the start
STARTS_FOR_S = 4.0  # from its birth on
SMALL_KIB = 6 << 10  # hardly more than an interpreter has
GREW_KIB, GREW_SHARE = 2 << 10, 0.02  # less is noise
DIED_KIB = 16 << 10
COMPARABLE = 1 / 2  # who grows, or has, so much of what the first one does may be the one, too
LAST = 3  # that are looked into once more at the end
# What a parent hands to its workers, it has had itself: of two that grow alike it is the worker.
WEIGHTS = {"worker": 1.5, "tracker": 0.5, "forkserver": 0.5}
ALIKE = 0.15  # processes of one group that differ by less


def grown_kib(state: State, row: Row) -> int:
    """By how much it has grown while it was watched, without its start-up."""
    watched_s = state.watched_s
    if row.started_at is not None:
        watched_s = min(watched_s, state.taken_at - row.started_at - STARTS_FOR_S)
    return change_kib(state, row, watched_s) if watched_s > 0 else 0


def grows(state: State, row: Row) -> bool:
    """Whether it has grown by more than noise."""
    return grown_kib(state, row) >= max(GREW_KIB, GREW_SHARE * (row.rss_kib or 0))


def first_ones(tree: Sequence[Row], asked: Identity) -> list[Row]:
    """Who is to be looked into before anything is known: the one that was asked for, then Python's
    before others, the largest first, of the workers of one parent only those that differ."""
    chosen: list[Row] = []
    for row in sorted(tree, key=lambda row: _order(row, asked)):
        if len(chosen) == FIRST:
            break
        is_asked = row.identity == asked
        if not is_asked and ((row.rss_kib or 0) < SMALL_KIB or _stands_for(row, chosen)):
            continue
        chosen.append(row)
    return chosen


def next_ones(state: State, tree: Iterable[Row], looked_at: Collection[Identity]) -> list[Row]:
    """Who has begun to grow, or was born and is large by now; who grows most comes first."""
    fresh = [row for row in tree if row.identity not in looked_at]
    growing = [row for row in fresh if grows(state, row)]
    growing.sort(key=lambda row: -grown_kib(state, row))
    seen = Counter(one.group for one in tree if one.identity in looked_at)
    born = [
        row
        for row in fresh
        if row not in growing
        and not seen[row.group]
        and _age_s(state, row) >= STARTS_FOR_S
        and (row.rss_kib or 0) >= SMALL_KIB
        and row.history is not None
        and row.history.first_tick > 0
    ]
    return growing + born[:1]


def crowd_that_matters(state: State, tree: Collection[Identity]) -> Group | None:
    """The group of this tree whose number it is that matters, the largest of several."""
    found = [
        group
        for group in state.groups.values()
        if group.finding == "many-processes"
        and (group.parent in tree or any(one in tree for one in group.members))
    ]
    return max(found, key=lambda group: group.rss_kib, default=None)


def contenders(state: State, tree: Sequence[Row], asked: Identity) -> list[Row]:
    """Whose memory it may be that matters, the likeliest first: the parent of many alike, who
    grows most, who has most, the one that was asked for."""
    by_identity = {row.identity: row for row in tree}
    rises = {row.identity: WEIGHTS.get(row.role or "", 1.0) * grown_kib(state, row) for row in tree}
    sizes = {row.identity: WEIGHTS.get(row.role or "", 1.0) * usual_kib(state, row) for row in tree}
    growing = [one for one, row in by_identity.items() if grows(state, row)]
    growing.sort(key=lambda one: -rises[one])
    large = sorted((one for one, row in by_identity.items() if row.python), key=lambda o: -sizes[o])
    crowd = crowd_that_matters(state, by_identity.keys())
    chosen: list[Identity] = []
    if crowd is not None and crowd.parent in by_identity:
        came_kib = max(0, crowd.born_kib) + crowd.median_kib
        chosen += [crowd.parent] if not growing or rises[growing[0]] < came_kib else []
    chosen += [one for one in growing if rises[one] >= COMPARABLE * rises[growing[0]]]
    if not chosen:
        chosen += [one for one in large if sizes[one] >= COMPARABLE * sizes[large[0]]][:LAST]
    chosen = [*dict.fromkeys(chosen)][:LAST]
    chosen += [asked] if asked in by_identity else large[:1]
    return [by_identity[one] for one in dict.fromkeys(chosen)]


def who_died(state: State, tree: Iterable[Row]) -> Row | None:
    """Who grew most before it ended, unless children that come and go are what is usual here."""
    found = [
        row
        for row in tree
        if row.ended_at is not None
        and grown_kib(state, row) >= DIED_KIB
        and not ((group := state.groups.get(row.group or "")) and group.comes_and_goes)
    ]
    return max(found, key=lambda row: grown_kib(state, row), default=None)


def _order(row: Row, asked: Identity) -> tuple[bool, bool, bool, int]:
    return (row.identity != asked, not row.is_growing, not row.python, -(row.rss_kib or 0))


def _stands_for(row: Row, chosen: Iterable[Row]) -> bool:
    """Whether one like it is among those chosen."""
    if row.is_growing or row.group is None:
        return False
    size = row.rss_kib or 0
    return any(
        one.group == row.group and abs((one.rss_kib or 0) - size) <= ALIKE * size for one in chosen
    )


def _age_s(state: State, row: Row) -> float:
    return state.watched_s if row.started_at is None else state.taken_at - row.started_at
