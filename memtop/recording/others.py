"""Writes groups, cgroups, limits and the machine to a recording, as far as they have changed.

What is said of them is written at once, sizes when they move by more than their dead band, the
other figures in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from memtop.model.groups import Group
from memtop.model.limits import Limit
from memtop.model.state import HostRow, Row, State
from memtop.model.trends import Trend
from memtop.probe.sample import Cgroup, Identity
from memtop.recording import said
from memtop.recording.batch import Batch
from memtop.recording.quantities import BAND_KIB, COARSE, PAGE_KIB, rate_digits
from memtop.recording.quantities import Quantity as Q
from memtop.recording.written import Kept, news
from memtop.units import about

Figures = dict[int, int | None]


class Others:
    """What was written of everything but processes; `numbers` are those of the processes."""

    def __init__(self, batch: Batch, numbers: Mapping[Identity, int], *, exact: bool) -> None:
        self._batch = batch
        self._numbers = numbers
        self._exact = exact
        self._unit = 1 if exact else PAGE_KIB
        self._kept: dict[tuple[str, str], Kept] = {}

    def note(self, state: State, rows: Mapping[Identity, Row], *, is_all: bool) -> None:
        """Write what is news of a state; of groups and limits only those of `rows`."""
        groups = None if is_all else {row.group for row in rows.values()}
        for name, group in state.groups.items():
            if group.parent in self._numbers and (groups is None or name in groups):
                self._note_group(name, group)
        paths = None if is_all else {row.cgroup for row in rows.values()}
        for path, limit in state.limits.items():
            if paths is None or path in paths:
                self._note_limit(path, limit)
        self._note_host(state.host)
        for key, kept in list(self._kept.items()):
            if kept.seen != self._batch.tick:
                self._batch.note_gone(kept.number)
                self._batch.note_spans(kept.number, getattr(kept.value, "history", None))
                del self._kept[key]

    def end_segment(self) -> None:
        """Write the ranges of the segment that is over."""
        for kept in self._kept.values():
            self._batch.note_spans(kept.number, getattr(kept.value, "history", None))

    def _note_group(self, name: str, group: Group) -> None:
        kept = self._news("group", name, group)
        if kept is None:
            return
        key = (said.group_key(group), self._numbers.get(group.parent))
        self._note_words(kept, key, lambda: said.group_words(group, self._numbers))
        unit, old = self._unit, kept.figures.get(Q.RSS)
        at_once = said.group_says(group, self._numbers)
        far = 1 if self._exact else max(BAND_KIB, (old or 0) * unit // COARSE)
        if old is None or self._batch.is_whole or abs(group.rss_kib - old * unit) >= far:
            at_once[Q.RSS] = group.rss_kib // unit
        self._note(kept, group.trend, at_once, lambda: said.group_figures(group))
        if self._exact and kept.figures.get(Q.RSS) != group.rss_kib:
            self._batch.note_figures(kept.number, kept.figures, {Q.RSS: group.rss_kib})

    def _note_limit(self, path: str, limit: Limit) -> None:
        for cgroup in (limit.cgroup, limit.bound):
            if cgroup is not None:
                self._note_cgroup(cgroup)
        kept = self._news("limit", path, limit)
        if kept is not None:
            words = said.limit_words(limit)
            self._note_words(kept, words, lambda: words)
            at_once: Figures = {Q.RATE: rate_digits(limit.rate_bytes_s)}
            self._note(kept, limit.trend, at_once, lambda: said.limit_figures(limit))
            self._note_time(kept, limit.eta_s, said.limit_times(limit))

    def _note_cgroup(self, cgroup: Cgroup) -> None:
        known = self._kept.get(("cgroup", cgroup.path))
        if known is not None and known.seen == self._batch.tick:
            return  # it limits several
        kept = self._news("cgroup", cgroup.path, cgroup)
        if kept is not None:
            words = said.cgroup_words(cgroup)
            self._note_words(kept, words, lambda: words)
            self._note(kept, None, said.cgroup_figures(cgroup), dict)

    def _note_host(self, host: HostRow) -> None:
        kept = self._news("host", "", host)
        if kept is not None:
            self._note_words(kept, host.name, lambda: {"name": host.name})
            at_once: Figures = {Q.RATE: rate_digits(host.rate_bytes_s)}
            self._note(kept, None, at_once, lambda: said.host_figures(host))
            self._note_time(kept, host.eta_s, {Q.ETA: said.host_figures(host)[Q.ETA]})

    def _note_time(self, kept: Kept, eta_s: float | None, times: Figures) -> None:
        """Write when something is full as soon as that is said in other words."""
        if _is_other_time(kept.figures.get(Q.ETA), eta_s):
            moved = {one: time for one, time in times.items() if time != kept.figures.get(one)}
            self._batch.note_figures(kept.number, kept.figures, moved)

    def _news(self, kind: str, name: str, value: object) -> Kept | None:
        """What was written of an object that is there now; None if nothing of it is to be now."""
        batch = self._batch
        kept = self._kept.get((kind, name))
        if kept is None:
            kept = self._kept[kind, name] = Kept(batch.new_number())
            batch.add("objects", kept.number, kind, name, batch.tick)
        kept.seen = batch.tick
        if not batch.is_turn(kept.number) and (value is kept.value or value == kept.value):
            return None
        kept.value = value
        return kept

    def _note_words(self, kept: Kept, key: object, make: Callable[[], dict[str, Any]]) -> None:
        """Words of an object, which are only made if what they are made of, `key`, is other."""
        is_other = key != kept.key
        kept.key = key
        self._batch.note_words(kept, "words", (said.as_json(make()),) if is_other else None)

    def _note(
        self,
        kept: Kept,
        trend: Trend | None,
        at_once: Figures,
        in_turn: Callable[[], Figures],
    ) -> None:
        batch, number = self._batch, kept.number
        is_new = not kept.figures
        if trend is not None:
            batch.note_trend(kept, trend)
        if batch.is_whole:
            kept.figures = {}
        batch.note_figures(number, kept.figures, news(kept.figures, at_once))
        if is_new or batch.is_turn(number):
            batch.note_figures(number, kept.figures, news(kept.figures, in_turn()))


def _is_other_time(old: int | None, new: float | None) -> bool:
    """Whether an estimate of a time is said in other words now."""
    if old is None or new is None:
        return old is not new
    return about(old) != about(new)
