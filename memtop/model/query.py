"""What is shown, in which order: a state and a view make an arrangement of lines. Pure.

An arrangement holds identities, not rows, so it stays right while only numbers change; it is made
anew when processes come, go or move, when the view changes, and now and then for the order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from memtop.columns import BY_ID, Column
from memtop.model import filter as filters
from memtop.model.filter import Filter, number_of
from memtop.model.forest import subtree
from memtop.model.groups import MANY, Group
from memtop.model.state import Row, State
from memtop.model.trends import CLASS, STEADY, Trend
from memtop.probe.sample import Identity

Key = Identity | str  # a process, or the label of a group


@dataclass(frozen=True, slots=True)
class View:
    """How somebody looks at the processes. With `top_pid` only that one and all below it count."""

    filter: Filter = filters.EVERYTHING
    sort: str = "rate"
    inverted: bool = False
    layout: str = "tree"
    folded: frozenset[Key] = frozenset()
    unfolded: frozenset[Key] = frozenset()
    fold_many: bool = False  # groups of many, of which none grows, begin folded
    kernel: bool = False
    python: bool = False
    columns: tuple[str, ...] = ()
    top_pid: int | None = None

    @property
    def dear(self) -> frozenset[str]:
        """The columns it sorts or filters by which are not read for everybody by themselves."""
        used = self.filter.columns | {self.sort, *self.columns}
        return frozenset(name for name in used if BY_ID[name].dear)

    @property
    def column(self) -> Column:
        """The column that the rows are sorted by."""
        return BY_ID[self.sort]


class Line(NamedTuple):
    """One line: a process or a group of them. `guide` holds the tree's strokes before the name.

    The key of a group of workers is its id in `State.groups`; they follow it as siblings.

    `members` are the processes that a group or a folded row speaks for, itself included.
    """

    key: Key
    guide: str
    depth: int
    parent: Key | None
    foldable: bool
    folded: bool
    dimmed: bool
    members: tuple[Identity, ...] = ()


class _Node(NamedTuple):
    """A line that is still to be written; its indent is that of the strokes before it."""

    key: Key
    indent: str
    depth: int
    parent: Key | None
    is_last: bool
    folded: bool


@dataclass(frozen=True, slots=True)
class Arrangement:
    """The lines in order, and the rank of every process for the next time."""

    lines: tuple[Line, ...]
    matched: int
    ranks: Mapping[Key, int] = field(default_factory=dict)


def arrange(state: State, view: View, before: Arrangement | None = None) -> Arrangement:
    """The lines of a view.

    With the arrangement of `before`, processes keep their order and only new ones are placed, at
    the end of their siblings; without it they are sorted.
    """
    return _Arranger(state, view, before).arrange()


class _Arranger:
    def __init__(self, state: State, view: View, before: Arrangement | None) -> None:
        self.state = state
        self.view = view
        self.ranks = before.ranks if before else None
        self.lines: list[Line] = []
        self.matches: set[Identity] = set()
        self.shown: set[Identity] = set()

    def arrange(self) -> Arrangement:
        self._match()
        if self.view.layout == "tree":
            self._tree()
        elif self.view.layout == "flat":
            for identity in self._sorted(list(self.matches)):
                self.lines.append(Line(identity, "", 0, None, False, False, False))
        else:
            self._groups()
        ranks: dict[Key, int] = {line.key: rank for rank, line in enumerate(self.lines)}
        return Arrangement(tuple(self.lines), len(self.matches), ranks)

    def _match(self) -> None:
        """Which processes match, and in the tree which are shown because one below matches."""
        view, state = self.view, self.state
        rows: Iterable[Row] = state.rows.values()
        if view.top_pid is not None:
            tops = self._roots()
            rows = [state.rows[one] for top in tops for one in subtree(state.children, top)]
        if not view.kernel:
            rows = [row for row in rows if not row.kernel]
        if view.python:
            rows = [row for row in rows if row.python]
        if view.filter:
            rows = [row for row in rows if view.filter.matches(row, state)]
        self.matches = {row.identity for row in rows}

    # -- order -----------------------------------------------------------------------------

    def _key(self, row: Row) -> tuple[float | str, ...]:
        """What rows are compared by, the first of a list being the smallest.

        Growth and sizes are compared on a scale of steps of 10 %, so that rows which differ by
        less keep the order in which they started.
        """
        column = self.view.column
        sign = -1 if column.descending != self.view.inverted else 1
        if column.kind == "text":
            return (str(column.get(row) or "~").lower(), row.identity)  # type: ignore[return-value]
        value = number_of(column, row, self.state)
        if column.id == "rate":
            return _growth_key(sign, row.trend, value, row.rss_kib)
        if column.kind in ("size", "bytes_s"):
            return (sign * _steps(value),)
        if column.kind == "percent":
            return (sign * round(value or 0),)
        return (math.inf if value is None else sign * value,)

    def _sorted(self, identities: list[Identity]) -> list[Identity]:
        if self.ranks is not None:
            ranks, last = self.ranks, len(self.ranks)
            return sorted(identities, key=lambda one: (ranks.get(one, last), one))
        rows = self.state.rows
        identities.sort()
        identities.sort(
            key=lambda one: self._key(rows[one]),
            reverse=self.view.column.kind == "text" and self.view.inverted,
        )
        return identities

    def _group_key(self, group: Group) -> tuple[float | str, ...] | None:
        """What a group is compared by besides its members; None: by them alone."""
        column = self.view.column
        sign = -1 if column.descending != self.view.inverted else 1
        if column.id == "rate":
            return _growth_key(sign, STEADY, group.rate_bytes_s, group.rss_kib)
        return (sign * _steps(group.rss_kib),) if column.id == "rss" else None

    # -- the tree --------------------------------------------------------------------------

    def _tree(self) -> None:
        children, rows = self.state.children, self.state.rows
        order = self._top_down()
        reverse = self.view.column.kind == "text" and self.view.inverted and self.ranks is None
        pick = max if reverse else min
        shown = self.shown = set(self.matches)
        best: dict[Identity, tuple[float | str, ...]] = {}
        ranks = self.ranks
        last = len(ranks) if ranks is not None else 0
        for identity in reversed(order):  # from the leaves up
            below = children.get(identity, ())
            if not self.view.kernel and rows[identity].kernel:
                continue
            if any(child in shown for child in below):
                shown.add(identity)
            if identity not in shown:
                continue
            if ranks is not None and identity in ranks:
                best[identity] = (ranks[identity],)
            elif ranks is not None:  # just come, or unfolded: behind the others, in order
                best[identity] = (last, *self._key(rows[identity]))
            else:
                values = [best[child] for child in below if child in best]
                values.append(self._key(rows[identity]))
                best[identity] = pick(values)
        self._emit(best, reverse)

    def _roots(self) -> tuple[Identity, ...]:
        """Where the tree begins: at the processes without a parent, or at the one asked for."""
        if self.view.top_pid is None:
            return self._without_kernel(self.state.children[None])
        return self.state.with_pid(self.view.top_pid)

    def _without_kernel(self, roots: tuple[Identity, ...]) -> tuple[Identity, ...]:
        """Kernel threads give way to the programs that they started, such as for core dumps."""
        rows, children = self.state.rows, self.state.children
        if self.view.kernel:
            return roots
        found: list[Identity] = []
        todo = list(reversed(roots))
        while todo:
            identity = todo.pop()
            if rows[identity].kernel:
                todo.extend(reversed(children.get(identity, ())))
            else:
                found.append(identity)
        return tuple(found)

    def _top_down(self) -> list[Identity]:
        children, order = self.state.children, []
        todo = list(self._roots())
        while todo:
            identity = todo.pop()
            order.append(identity)
            todo.extend(children.get(identity, ()))
        return order

    def _emit(self, best: dict[Identity, tuple[float | str, ...]], reverse: bool) -> None:
        """Write the lines, depth first; `best` has the shown processes and what orders them."""
        children, folded = self.state.children, self.view.folded
        todo: list[_Node] = []

        def push(
            identities: tuple[Identity, ...], indent: str, depth: int, parent: Identity | None
        ) -> None:
            below = [one for one in identities if one in best]
            nodes = self._siblings(below, best, reverse, indent, depth, parent)
            todo.extend(reversed(nodes))

        push(self._roots(), "", 0, None)
        while todo:
            node = todo.pop()
            if isinstance(node.key, str):
                members = self.state.groups[node.key].members
                self.lines.append(
                    Line(
                        node.key,
                        node.indent,
                        node.depth,
                        node.parent,
                        True,
                        node.folded,
                        False,
                        members,
                    )
                )
                continue
            identity, depth = node.key, node.depth
            below = children.get(identity, ())
            foldable = any(child in best for child in below)
            is_folded = foldable and identity in folded
            stroke, further = ("└", "  ") if node.is_last else ("├", "│ ")
            if depth == 0:
                stroke, further = "", ""
            elif not foldable:
                stroke += "─"
            self.lines.append(
                Line(
                    identity,
                    node.indent + stroke,
                    depth,
                    node.parent,
                    foldable,
                    is_folded,
                    identity not in self.matches,
                    tuple(subtree(children, identity)) if is_folded else (),
                )
            )
            if foldable and not is_folded:
                push(below, node.indent + further if depth else "", depth + 1, identity)

    def _siblings(
        self,
        below: list[Identity],
        best: dict[Identity, tuple[float | str, ...]],
        reverse: bool,
        indent: str,
        depth: int,
        parent: Identity | None,
    ) -> list[_Node]:
        """The children of one process in order; the workers among them below their group."""
        teams = self._teams(below)
        units: list[tuple[tuple[float | str, ...], Key, list[Identity]]] = []
        for group, members in teams.items():
            key = self._group_key(self.state.groups[group])
            keys = [best[one] for one in members]
            if self.ranks is not None:
                keys = [(self.ranks.get(group, len(self.ranks)),)]
            elif key is not None:
                keys.append(key)
            units.append(((max if reverse else min)(keys), group, members))
        gathered = {one for members in teams.values() for one in members}
        units += [(best[one], one, [one]) for one in below if one not in gathered]
        units.sort(key=_first, reverse=reverse)
        nodes: list[_Node] = []
        last = -1  # the last process: its stroke is another one
        for _, name, members in units:
            over: Key | None = parent
            if isinstance(name, str):
                over, is_folded = name, self._is_folded(name)
                nodes.append(_Node(name, indent, depth, parent, False, is_folded))
                if is_folded:
                    continue
                members.sort(key=best.__getitem__, reverse=reverse)
            nodes += [_Node(one, indent, depth, over, False, False) for one in members]
            last = len(nodes) - 1
        if last >= 0:
            nodes[last] = nodes[last]._replace(is_last=True)
        return nodes

    def _teams(self, below: list[Identity]) -> dict[str, list[Identity]]:
        """Those of some siblings who are shown below their group: two or more of one."""
        rows, groups = self.state.rows, self.state.groups
        teams: dict[str, list[Identity]] = {}
        for one in below:
            group = rows[one].group
            if group is not None and group in groups:
                teams.setdefault(group, []).append(one)
        return {group: members for group, members in teams.items() if len(members) >= 2}

    def _is_folded(self, name: str) -> bool:
        """Whether a group is folded: by hand, or because it is many processes and none grows."""
        if name in self.view.folded or name in self.view.unfolded:
            return name in self.view.folded
        group = self.state.groups[name]
        return self.view.fold_many and len(group.members) >= MANY and not group.growing

    # -- groups ----------------------------------------------------------------------------

    def _groups(self) -> None:
        """By container or user: one line a group with the sum of its members, then they."""
        rows, view = self.state.rows, self.view
        groups: dict[str, list[Identity]] = {}
        for identity in self.matches:
            groups.setdefault(_label(rows[identity], view.layout), []).append(identity)

        def order(label: str) -> tuple[float, ...]:
            if self.ranks is not None:
                return (self.ranks.get(label, len(self.ranks)),)
            members = [rows[one] for one in groups[label] if rows[one].ended_at is None]
            rss = sum(row.rss_kib or 0 for row in members)
            rate = sum(row.rate_bytes_s or 0 for row in members)
            return (-_steps(rate), -_steps(rss)) if view.sort == "rate" else (-rss,)

        for label in sorted(sorted(groups), key=order):
            members = self._sorted(groups[label])
            is_folded = label in view.folded
            self.lines.append(
                Line(label, "", 0, None, True, is_folded, False, tuple(groups[label]))
            )
            if is_folded:
                continue
            for index, identity in enumerate(members):
                guide = "└─" if index == len(members) - 1 else "├─"
                self.lines.append(Line(identity, guide, 1, label, False, False, False))


def _label(row: Row, layout: str) -> str:
    if layout == "user":
        return f"user {row.user}" if row.user else "user not known"
    if row.pod_name:
        namespace = f"{row.namespace}/" if row.namespace else ""
        container = f" {row.container}" if row.container else ""
        return f"pod {namespace}{row.pod_name}{container}"
    if row.container:
        return f"container {row.container}"
    return "no container" if row.cgroup is not None else "container not known"


def _first(unit: tuple[tuple[float | str, ...], Key, list[Identity]]) -> tuple[float | str, ...]:
    return unit[0]


def _growth_key(
    sign: int, trend: Trend, rate_bytes_s: float | None, rss_kib: float | None
) -> tuple[float, ...]:
    """By growth: what leaks before what rises before the rest, then by rate, then by size."""
    return (sign * CLASS.get(trend.word, 0), sign * _steps(rate_bytes_s), -_steps(rss_kib))


def _steps(value: float | None) -> float:
    """A number on a scale whose steps are 10 %: equal for values that hardly differ."""
    if value is None:
        return 0.0
    magnitude = abs(value)
    if magnitude < 1000:  # 1 KB a second, 1 MiB: below this nothing is told apart
        return 0.0
    return math.copysign(math.floor(math.log(magnitude) / _LOG_STEP), value)


_LOG_STEP = math.log(1.1)
