"""What `ps` prints: the tree once, as text for people or as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from memtop import __version__, units
from memtop.columns import BY_ID
from memtop.model.capacity import Capacity
from memtop.model.filter import number_of
from memtop.model.groups import Group
from memtop.model.limits import Limit
from memtop.model.query import Arrangement, Line, View
from memtop.model.state import Row, State
from memtop.model.trends import Trend
from memtop.probe.sample import Pod
from memtop.render.cells import group_of, process_name, write_value
from memtop.render.escape import ASCII, cells, fit, visible
from memtop.render.words import NEW_S, state_words
from memtop.units import iso_utc

TEXT_COLUMNS = ("pid", "user", "rss", "rate", "cpu", "threads")

JSON_FIELDS = (
    "pid started ppid uid user name command role framework group rss_bytes shared_bytes "
    "swap_bytes pss_bytes peak_bytes cpu_percent threads write_bytes_per_s written_bytes_per_s "
    "rate_bytes_per_s trend since_s cgroup container pod namespace rights"
).split()


def ps_text(
    state: State,
    arrangement: Arrangement,
    *,
    columns: tuple[str, ...] = TEXT_COLUMNS,
    width: int | None = None,
    ascii_only: bool = False,
    groups: bool = False,
) -> str:
    """The tree as text. With a `width` the process column is cut to it, without it is whole.

    `groups`: with a line for each group of workers, too.
    """
    state = replace(state, late_s=0.0)  # of no interest where nothing is watched
    shown = [BY_ID[name] for name in columns if BY_ID[name].title != "PROCESS"]
    lines = [
        line
        for line in arrangement.lines
        if _is_printed(line, state) and (groups or group_of(line, state) is None)
    ]
    table = [[column.title for column in shown]]
    table += [[_value(line, state, column.id) for column in shown] for line in lines]
    sizes = [max(cells(row[index]) for row in table) for index in range(len(shown))]
    names = ["PROCESS", *(_name(line, state) for line in lines)]
    out = []
    for values, name in zip(table, names, strict=True):
        parts = [
            fit(value, size) if column.kind == "text" else " " * (size - cells(value)) + value
            for value, size, column in zip(values, sizes, shown, strict=True)
        ]
        text = "  ".join([*parts, ""])
        room = None if width is None else max(8, width - cells(text))
        out.append((text + (name if room is None else fit(name, room))).rstrip())
    result = "\n".join(out)
    return result.translate(ASCII) if ascii_only else result


def _is_printed(line: Line, state: State) -> bool:
    return isinstance(line.key, str) or state.rows[line.key].ended_at is None


def _value(line: Line, state: State, column_id: str) -> str:
    column = BY_ID[column_id]
    if isinstance(line.key, str):
        members = [row for key in line.members if (row := state.rows.get(key)) is not None]
        group = group_of(line, state)
        if column_id == "pid":
            return f"{len(members)} ×"
        if column_id == "rss":
            return units.size(sum(row.rss_kib or 0 for row in members))
        if group is not None and column_id in ("rate", "trend", "role", "framework"):
            value = {"rate": units.rate_mib_min(group.rate_bytes_s), "trend": group.finding}
            return value.get(column_id) or str(getattr(group, column_id) or units.UNKNOWN)
        return ""
    row = state.rows[line.key]
    if column.kind == "text":
        return visible(str(column.get(row) or units.UNKNOWN))
    return write_value(column, number_of(column, row, state))


def _name(line: Line, state: State) -> str:
    guide = line.guide.replace("─", "─ ") if line.guide.endswith("─") else line.guide
    if line.foldable and line.depth:
        guide += "─ "
    if isinstance(line.key, str):
        group = group_of(line, state)
        return guide + visible(group.label if group is not None else line.key)
    row = state.rows[line.key]
    _, words, _ = state_words(row, state)
    note = f"  ({words})" if words and row.state != "Z" else ""
    return guide + process_name(row, own=row.identity == state.own) + note


def ps_json(state: State, arrangement: Arrangement) -> dict[str, Any]:
    """The object of `ps --json`: every process that matches, in the order of the screen."""
    keys = [line.key for line in arrangement.lines if not line.dimmed]
    rows = [state.rows[key] for key in keys if not isinstance(key, str)]
    living = [row for row in rows if row.ended_at is None]
    ids = {row.group for row in rows if row.group is not None}
    pids = {row.identity for row in living}
    groups = [one for one in state.groups.values() if one.id in ids or one.parent in pids]
    limits = _shown_limits(living, state)
    return {
        "memtop": __version__,
        "taken_at": iso_utc(state.taken_at),
        "host": state.host.name,
        "interval_s": state.interval_s,
        "watched_s": round(state.watched_s, 3),
        "processes": [process_json(row, state) for row in living],
        "groups": [group_json(group) for group in groups],
        "cgroups": [cgroup_json(limit) for limit in limits],
        "capacity": capacity_json(most_pressing(limits)),
    }


def _shown_limits(rows: list[Row], state: State) -> list[Limit]:
    """The cgroups of these processes and their ancestors, by path."""
    paths: set[str] = set()
    for row in rows:
        path = row.cgroup
        while path is not None and path not in paths and path in state.limits:
            paths.add(path)
            path = state.limits[path].cgroup.parent
    return [state.limits[path] for path in sorted(paths)]


def most_pressing(limits: Iterable[Limit]) -> Capacity | None:
    """The capacity that says most: one that warns, else the one with the least left."""
    known = [limit.capacity for limit in limits if limit.capacity is not None]
    return min(known, key=lambda one: (not one.warns, one.fits_more, one.left_bytes), default=None)


def process_json(row: Row, state: State) -> dict[str, Any]:
    """One process: every field of the contract, null where nothing is known."""
    values: dict[str, Any] = dict.fromkeys(JSON_FIELDS)
    values.update(
        pid=row.pid,
        started=None if row.started_at is None else iso_utc(row.started_at),
        ppid=row.ppid,
        uid=row.uid,
        user=row.user,
        name=_unicode(row.name),
        command=_unicode(row.command),
        role=row.role,
        framework=row.framework,
        group=_unicode(row.group),
        rss_bytes=_bytes(row.rss_kib),
        shared_bytes=_bytes(row.shared_kib),
        swap_bytes=_bytes(row.swap_kib),
        pss_bytes=_bytes(row.pss_kib),
        peak_bytes=_bytes(row.peak_kib),
        cpu_percent=None if row.cpu_percent is None else round(row.cpu_percent, 1),
        threads=row.threads,
        write_bytes_per_s=_rounded(row.write_bytes_s),
        written_bytes_per_s=_rounded(row.written_bytes_s),
        rate_bytes_per_s=_rounded(row.rate_bytes_s),
        trend=_trend_word(row, state),
        since_s=_since(row.trend, state),
        cgroup=_unicode(row.cgroup),
        container=row.pod and (row.pod.container or row.pod.container_id),
        pod=row.pod and (row.pod.name or row.pod.uid),
        namespace=row.pod and row.pod.namespace,
        rights=None if row.rights is None else list(row.rights),
    )
    return values


def _trend_word(row: Row, state: State) -> str | None:
    """The trend; of a process that only memtop has not seen for long, nothing is known."""
    if row.state == "Z":
        return None
    young = row.started_at is not None and 0 <= state.taken_at - row.started_at < NEW_S
    return row.trend.word if row.trend.word != "new" or young else None


def _since(trend: Trend, state: State) -> float | None:
    """For how many seconds it has grown; null if it does not."""
    return None if trend.since_s is None else round(state.clock_s - trend.since_s, 1)


def group_json(group: Group) -> dict[str, Any]:
    """One group of workers."""
    return {
        "id": group.id,
        "label": _unicode(group.label),
        "role": group.role,
        "framework": group.framework,
        "pid_parent": group.parent.pid,
        "processes": len(group.members),
        "rss_bytes": group.rss_kib * 1024,
        "largest_rss_bytes": group.largest_kib * 1024,
        "average_rss_bytes": round(group.average_kib * 1024),
        "rate_bytes_per_s": _rounded(group.rate_bytes_s),
        "trend": None if group.trend.word == "new" else group.trend.word,
        "births": group.births,
        "deaths": group.deaths,
        "growing": group.growing,
        "finding": group.finding,
    }


def cgroup_json(limit: Limit) -> dict[str, Any]:
    """One memory cgroup: its own figures, and the tightest limit over it and its ancestors."""
    cgroup, pod = limit.cgroup, limit.cgroup.pod or Pod()
    bound = limit.bound
    return {
        "path": _unicode(cgroup.path),
        "container": pod.container or pod.container_id,
        "pod": pod.name or pod.uid,
        "namespace": pod.namespace,
        "qos": pod.qos,
        "limit_bytes": limit.limit_bytes,
        "limit_from": bound and _unicode(f"{bound.path.rstrip('/')}/{bound.limit_file or ''}"),
        "current_bytes": cgroup.current_bytes,
        "working_set_bytes": cgroup.working_set_bytes,
        "floor_bytes": cgroup.floor_bytes,
        "oom_kills": cgroup.oom_kills,
        "oom_group": cgroup.oom_group,
        "rate_bytes_per_s": _rounded(limit.rate_bytes_s),
        "eta_s": _rounded(limit.eta_s),
        "capacity": capacity_json(limit.capacity),
    }


def capacity_json(capacity: Capacity | None) -> dict[str, Any] | None:
    """How many more children fit; null where that is no question."""
    if capacity is None:
        return None
    names = "taken_bytes worst_child_bytes worst_child_from children children_at_worst_bytes"
    return {
        name: getattr(capacity, name) for name in f"{names} fits_total fits_more bound_by".split()
    }


def _unicode(text: str | None) -> str | None:
    """The text as it is; bytes that are no UTF-8 become U+FFFD, which every parser reads."""
    return text and text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _bytes(kib: int | None) -> int | None:
    return None if kib is None else kib * 1024


def _rounded(value: float | None) -> int | None:
    return None if value is None else round(value)


def report_text(state: State, view: View, arrangement: Arrangement) -> str:
    """The screen as text for a runbook: what was looked at when, then the rows."""
    host = state.host
    order = "rising" if view.inverted else "falling"
    head = [
        f"memtop {__version__} on {visible(host.name)} at {iso_utc(state.taken_at)}, "
        f"watched {units.duration(state.watched_s)} every {state.interval_s:g} s",
        f"memory {units.size(host.used_kib)} of {units.size(host.total_kib)} in use, "
        f"{units.rate_mib_min(host.rate_bytes_s)} MiB/min",
        f"{len(state.living())} processes, by {view.sort}, {order}"
        + (f", filter {visible(view.filter.text.strip())}" if view.filter else ""),
        "",
    ]
    return "\n".join(head) + "\n" + ps_text(state, arrangement, groups=True) + "\n"
