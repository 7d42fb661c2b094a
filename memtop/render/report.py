"""What `ps` prints: the tree once, as text for people or as JSON for programs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from memtop import __version__, units
from memtop.columns import BY_ID
from memtop.model.filter import number_of
from memtop.model.query import Arrangement, Line, View
from memtop.model.state import Row, State
from memtop.render.cells import process_name, state_words, write_value
from memtop.render.escape import ASCII, cells, fit, visible
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
) -> str:
    """The tree as text. With a `width` the process column is cut to it, without it is whole."""
    state = replace(state, late_s=0.0)  # of no interest where nothing is watched
    shown = [BY_ID[name] for name in columns if BY_ID[name].title != "PROCESS"]
    lines = [line for line in arrangement.lines if _is_printed(line, state)]
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
        members = [state.rows[key] for key in line.members]
        if column_id == "pid":
            return f"{len(members)} ×"
        if column_id == "rss":
            return units.size(sum(row.rss_kib or 0 for row in members))
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
        return line.key
    row = state.rows[line.key]
    _, words, _ = state_words(row, state)
    note = f"  ({words})" if words and row.state != "Z" else ""
    return guide + process_name(row, own=row.identity == state.own) + note


def ps_json(state: State, arrangement: Arrangement) -> dict[str, Any]:
    """The object of `ps --json`: every process that matches, in the order of the screen."""
    keys = [line.key for line in arrangement.lines if not line.dimmed]
    rows = [state.rows[key] for key in keys if not isinstance(key, str)]
    return {
        "memtop": __version__,
        "taken_at": iso_utc(state.taken_at),
        "host": state.host.name,
        "interval_s": state.interval_s,
        "watched_s": round(state.watched_s, 3),
        "processes": [process_json(row) for row in rows if row.ended_at is None],
        "groups": [],
        "cgroups": [],
        "capacity": None,
    }


def process_json(row: Row) -> dict[str, Any]:
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
        cgroup=row.cgroup,
        container=row.pod and (row.pod.container or row.pod.container_id),
        pod=row.pod and (row.pod.name or row.pod.uid),
        namespace=row.pod and row.pod.namespace,
        rights=None if row.rights is None else list(row.rights),
    )
    return values


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
    return "\n".join(head) + "\n" + ps_text(state, arrangement) + "\n"
