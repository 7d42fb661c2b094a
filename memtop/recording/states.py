"""States out of the values at one sample: the rows, groups and limits that were shown then.

Words are looked up in the file once and kept. Nothing is judged here: what was said is said again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from memtop.model import forest
from memtop.model.capacity import Capacity
from memtop.model.groups import Group
from memtop.model.limits import Limit
from memtop.model.state import HostRow, Row, State
from memtop.model.trends import NEW, Trend
from memtop.probe.sample import Cgroup, Identity, Pod
from memtop.recording import said
from memtop.recording.cursor import Cursor, Stretches
from memtop.recording.opening import Damaged
from memtop.recording.quantities import FINDINGS, PAGE_KIB, rate_of
from memtop.recording.quantities import Quantity as Q
from memtop.recording.reading import Shelf
from memtop.recording.recalled import Moment, Recalled

_MOST_KEPT = 50_000
Values = Mapping[int, Mapping[int, int]]


class _Process(NamedTuple):
    identity: Identity
    started_at: float | None
    first_tick: int


class States:
    """Makes states of one recording."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._cursor = Cursor(shelf)
        self._stretches = Stretches(shelf)
        self._processes: dict[int, _Process] = {}
        self._facts: dict[int, tuple[Any, ...]] = {}
        self._words: dict[int, dict[str, Any]] = {}
        self._trends: dict[int, Trend] = {}
        self._objects: dict[int, tuple[str, str, int]] = {}
        self._parents: dict[Identity, Identity | None] = {}
        self._children: forest.Children = {None: ()}

    def at(self, tick: int) -> State:
        """The state at a sample; Damaged if it cannot be read."""
        now = self._cursor.go(tick)
        shelf, values = self._shelf, self._cursor.values
        run = shelf.run_of(tick)
        unit = 1 if run.exact else PAGE_KIB
        cursor = self._cursor
        moment = Moment(shelf, self._stretches, tick, now.bucket, cursor.index, cursor.stretch)
        rows: dict[Identity, Row] = {}
        parents: dict[Identity, Identity | None] = {}
        others: list[tuple[int, str, str, dict[str, Any]]] = []
        for number, words in sorted(values[Q.WORDS].items()):
            if number not in self._processes and self._is_other(number):
                kind, name, _ = self._objects[number]
                others.append((number, kind, name, self._words_of(words)))
                continue
            process = self._process(number)
            facts = self._facts_of(words)
            row = self._row(moment, number, process, facts, unit, now.at)
            rows[process.identity] = row
            parent = facts[4]
            parents[process.identity] = None if parent is None else self._process(parent).identity
        if parents != self._parents:
            known = {one: above if above in rows else None for one, above in parents.items()}
            self._parents, self._children = parents, forest.plant(known)
        groups, limits, host = self._others(moment, others, rows, unit)
        own = None if run.own is None else self._process(run.own).identity
        gaps = [(first, last) for at, first, last in shelf.gaps if at <= tick]
        return State(
            tick=tick,
            bucket=now.bucket,
            taken_at=now.at,
            clock_s=now.clock_s,
            interval_s=run.interval_s,
            watched_s=now.clock_s - run.first_clock_s,
            late_s=now.late_s,
            host=host or HostRow(run.host, None, None, None),
            rows=rows,
            children=self._children,
            own=own if own in rows else None,
            births=now.births,
            deaths=now.deaths,
            growing=tuple(row for row in rows.values() if row.is_growing),
            groups=groups,
            limits=limits,
            gaps=tuple(gaps[-64:]),
        )

    def identity_of(self, number: int) -> Identity:
        """Who has this number in the file; Damaged if that cannot be read."""
        return self._process(number).identity

    def number_of(self, identity: Identity) -> int | None:
        """The number of a process of the last state."""
        for number in self._cursor.values.get(Q.WORDS, ()):
            if number in self._processes and self._processes[number].identity == identity:
                return number
        return None

    # -- processes -------------------------------------------------------------------------

    def _row(
        self,
        moment: Moment,
        number: int,
        process: _Process,
        facts: tuple[Any, ...],
        unit: int,
        at: float,
    ) -> Row:
        values = self._cursor.values
        (ppid, _, name, command, user, uid, exe, cgroup, pod, rights, address_space) = facts[3:14]
        python, role, framework, team, title = facts[14:19]
        rss, swap = values[Q.RSS].get(number), values[Q.SWAP].get(number)
        kept_kib = None if rss is None else rss * unit
        state = chr(values[Q.STATE].get(number, ord("?")))
        ended_ms = values[Q.ENDED].get(number)
        is_zombie = state == "Z" and ended_ms is None
        write, written = values[Q.WRITE].get(number), values[Q.WRITTEN].get(number)
        cpu = values[Q.CPU].get(number)
        return Row(
            identity=process.identity,
            version=self._cursor.moved.get(number, 0),
            pid=process.identity.pid,
            ppid=ppid,
            name=name,
            command=command,
            user=user,
            uid=uid,
            exe=exe,
            cgroup=cgroup,
            pod=None if pod is None else Pod(**json.loads(pod)),
            rights=None if rights is None else tuple(rights.split()),
            address_space_bytes=address_space,
            started_at=process.started_at,
            kernel=False,
            python=bool(python),
            role=role,
            framework=framework,
            group=team,
            title=title,
            state=state,
            threads=values[Q.THREADS].get(number),
            rss_kib=0 if is_zombie else kept_kib,
            shared_kib=values[Q.SHARED].get(number),
            swap_kib=None if swap is None else swap * unit,
            peak_kib=values[Q.PEAK].get(number),
            pss_kib=values[Q.PSS].get(number),
            cpu_percent=None if cpu is None else float(cpu),
            rate_bytes_s=rate_of(values[Q.RATE].get(number)),
            trend=self._trend_of(number),
            write_bytes_s=None if write is None else float(write),
            written_bytes_s=None if written is None else float(written),
            seen_at=at,
            ended_at=None if ended_ms is None else ended_ms / 1000,
            history=None
            if kept_kib is None
            else Recalled(moment, number, kept_kib, process.first_tick),
        )

    def _process(self, number: int) -> _Process:
        known = self._processes.get(number)
        if known is None:
            row = self._shelf.row("processes", number)
            if row is None:
                raise self._missing()
            known = _Process(Identity(row[2], row[1]), row[4], row[5])
            self._remember(self._processes, number, known)
        return known

    def _facts_of(self, number: int) -> tuple[Any, ...]:
        known = self._facts.get(number)
        if known is None:
            row = self._shelf.row("facts", number)
            if row is None:
                raise self._missing()
            known = tuple(
                one.decode("utf-8", "surrogateescape") if isinstance(one, bytes) else one
                for one in row
            )
            self._remember(self._facts, number, known)
        return known

    def _trend_of(self, number: int) -> Trend:
        at = self._cursor.values[Q.TREND].get(number)
        if at is None:
            return NEW
        known = self._trends.get(at)
        if known is None:
            row = self._shelf.row("trends", at)
            if row is None:
                raise self._missing()
            since_s = None if row[4] is None else row[4] / 1000
            known = Trend(row[3], since_s, *row[5:10])
            self._remember(self._trends, at, known)
        return known

    # -- groups, limits, the machine -------------------------------------------------------

    def _is_other(self, number: int) -> bool:
        if number not in self._objects:
            row = self._shelf.row("objects", number)
            if row is None:
                return False
            self._objects[number] = (row[1], row[2], row[3])
        return True

    def _words_of(self, number: int) -> dict[str, Any]:
        known = self._words.get(number)
        if known is None:
            row = self._shelf.row("words", number)
            if row is None:
                raise self._missing()
            known = json.loads(row[3])
            self._remember(self._words, number, known)
        return known

    def _others(
        self,
        moment: Moment,
        others: list[tuple[int, str, str, dict[str, Any]]],
        rows: Mapping[Identity, Row],
        unit: int,
    ) -> tuple[dict[str, Group], dict[str, Limit], HostRow | None]:
        values = self._cursor.values
        members: dict[str, list[Row]] = {}
        for row in rows.values():
            if row.group is not None and row.ended_at is None and row.state != "Z":
                members.setdefault(row.group, []).append(row)
        groups: dict[str, Group] = {}
        cgroups: dict[str, Cgroup] = {}
        limits: list[tuple[int, dict[str, Any]]] = []
        host: HostRow | None = None
        for number, kind, name, words in others:
            if kind == "group":
                groups[name] = self._group(moment, number, words, members.get(name, []), unit)
            elif kind == "cgroup":
                cgroups[name] = _cgroup(words, values, number)
            elif kind == "limit":
                limits.append((number, words))
            elif kind == "host":
                host = HostRow(
                    words["name"],
                    values[Q.TOTAL].get(number),
                    values[Q.USED].get(number),
                    rate_of(values[Q.RATE].get(number)),
                    values[Q.ETA].get(number),
                )
        return groups, dict(self._limits(limits, cgroups)), host

    def _group(
        self, moment: Moment, number: int, words: dict[str, Any], members: list[Row], unit: int
    ) -> Group:
        values = self._cursor.values
        figures: dict[str, Any] = {
            name: values[quantity].get(number) for quantity, name in said.GROUP_FIGURES.items()
        }
        starts = [row.started_at for row in members if row.started_at is not None]
        worst, finding = values[Q.WORST].get(number), values[Q.FINDING].get(number, 0)
        rss_kib = values[Q.RSS].get(number, 0) * unit
        _, _, first_tick = self._objects[number]
        return Group(
            id=words["id"],
            version=self._cursor.moved.get(number, 0),
            role=words["role"],
            label=words["label"],
            framework=words["framework"],
            parent=self._process(words["parent"]).identity,
            members=tuple(row.identity for row in members),
            rss_kib=rss_kib,
            median_kib=float(values[Q.MEDIAN].get(number, 0)),
            rate_bytes_s=rate_of(values[Q.RATE].get(number)),
            trend=self._trend_of(number),
            growing=values[Q.GROWING].get(number, 0),
            worst=None if worst is None else self._process(worst).identity,
            finding=FINDINGS[finding] if 0 <= finding < len(FINDINGS) else FINDINGS[0],
            births=values[Q.BIRTHS].get(number, 0),
            deaths=values[Q.DEATHS].get(number, 0),
            watched_births=values[Q.WATCHED_BIRTHS].get(number, 0),
            newest_at=max(starts, default=None),
            oldest_at=min(starts, default=None),
            lives=tuple(words["lives"]),
            child_limit_bytes=words["child_limit_bytes"],
            comes_and_goes=words["comes_and_goes"],
            history=Recalled(moment, number, rss_kib, first_tick),
            **figures,
        )

    def _limits(
        self, limits: list[tuple[int, dict[str, Any]]], cgroups: Mapping[str, Cgroup]
    ) -> list[tuple[str, Limit]]:
        values = self._cursor.values
        made: list[tuple[str, Limit]] = []
        for number, words in limits:
            cgroup, capacity = cgroups.get(words["path"]), words["capacity"]
            if cgroup is None:
                continue
            taken = values[Q.TAKEN].get(number)
            limit = Limit(
                cgroup=cgroup,
                bound=cgroups.get(words["bound"]) if words["bound"] is not None else None,
                why=words["why"],
                rate_bytes_s=rate_of(values[Q.RATE].get(number)),
                trend=self._trend_of(number),
                eta_s=values[Q.ETA].get(number),
                eta_low_s=values[Q.ETA_LOW].get(number),
                eta_high_s=values[Q.ETA_HIGH].get(number),
                processes=values[Q.PROCESSES].get(number, 0),
                capacity=capacity and Capacity(**capacity, taken_bytes=1024 * (taken or 0)),
            )
            made.append((words["path"], limit))
        return made

    def _remember(self, kept: dict[int, Any], number: int, value: Any) -> None:
        if len(kept) >= _MOST_KEPT:
            kept.clear()
        kept[number] = value

    def _missing(self) -> Damaged:
        return Damaged(f"{self._shelf.path} is damaged: words of a process or group are missing")


def _cgroup(words: dict[str, Any], values: Values, number: int) -> Cgroup:
    pod = words["pod"]
    figures: dict[str, Any] = {}
    for quantity, name in said.CGROUP_KIB.items():
        kib = values[quantity].get(number)
        figures[name] = None if kib is None else kib * 1024
    pressure = values[Q.PRESSURE].get(number)
    figures["pressure_percent"] = None if pressure is None else pressure / 100
    return Cgroup(**{**words, "pod": pod and Pod(**pod)}, **figures)
