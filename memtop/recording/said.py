"""What of a state is written, as plain values: the words of a process, group, cgroup or limit.

Words change rarely and are written whole when they do; figures are in `quantities`. Nothing is
computed here that a screen has not shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from operator import attrgetter, itemgetter
from typing import Any

from memtop.model.groups import Group
from memtop.model.limits import Limit
from memtop.model.state import HostRow, Row
from memtop.model.trends import Trend
from memtop.probe.sample import Cgroup, Identity
from memtop.recording.quantities import FINDINGS, rate_digits
from memtop.recording.quantities import Quantity as Q
from memtop.secrets import mask_text
from memtop.units import about

# What of a row rarely changes, to be compared with what it was.
facts_key: Callable[[Row], tuple[object, ...]] = itemgetter(
    slice(Row._fields.index("ppid"), Row._fields.index("title") + 1)
)
# Figures of a cgroup in bytes, which are kept in KiB.
CGROUP_KIB = {
    Q.CURRENT: "current_bytes",
    Q.WORKING_SET: "working_set_bytes",
    Q.FLOOR: "floor_bytes",
    Q.ANON: "anon_bytes",
    Q.FILE: "file_bytes",
    Q.KERNEL: "kernel_bytes",
    Q.CGROUP_SWAP: "swap_bytes",
    Q.CGROUP_PEAK: "peak_bytes",
}
_FIGURES = {*CGROUP_KIB.values(), "pressure_percent"}
CGROUP_WORDS = tuple(name for name in Cgroup._fields if name not in _FIGURES)
GROUP_WORDS = "id role label framework lives child_limit_bytes comes_and_goes".split()
group_key: Callable[[Group], tuple[object, ...]] = attrgetter(*GROUP_WORDS)  # the same
GROUP_FIGURES = {
    Q.LARGEST: "largest_kib",
    Q.SMALLEST: "smallest_kib",
    Q.PSS: "pss_kib",
    Q.BORN: "born_kib",
    Q.DIED: "died_kib",
    Q.GROWN: "grown_kib",
    Q.MOVED: "moved_kib",
    Q.LARGEST_CHILD: "largest_child_kib",
}
CAPACITY_WORDS = (
    "limit_bytes worst_child_bytes worst_child_from children children_at_worst_bytes fits_total "
    "fits_more bound_by group comes_and_goes"
).split()


def facts(row: Row, parent: int | None) -> tuple[object, ...]:
    """The columns of `facts` behind its object."""
    return (
        row.ppid,
        parent,
        row.name,
        row.command,
        row.user,
        row.uid,
        row.exe,
        row.cgroup,
        None if row.pod is None else as_json(row.pod._asdict()),
        None if row.rights is None else " ".join(row.rights),
        row.address_space_bytes,
        int(row.python),
        row.role,
        row.framework,
        row.group,
        row.title,
    )


def trend_values(trend: Trend) -> tuple[object, ...]:
    """The columns of `trends` behind its object."""
    since_ms = None if trend.since_s is None else round(trend.since_s * 1000)
    figures = (
        trend.slope_bytes_s,
        trend.low_bytes_s,
        trend.high_bytes_s,
        trend.grown_bytes,
        trend.sure,
    )
    return (
        trend.word,
        since_ms,
        *(None if one is None else float(f"{one:.6g}") for one in figures),
    )


def is_news(old: Trend, new: Trend) -> bool:
    """Whether a trend says something else: a word, or since when."""
    if old.word != new.word:
        return True
    before, after = old.since_s, new.since_s
    if before is None or after is None:
        return before is not after
    return abs(after - before) >= 1.0


def is_refined(old: Trend, new: Trend) -> bool:
    """Whether the evidence of the same trend has moved by what could be seen."""
    pairs = zip(old[2:6], new[2:6], strict=True)
    if any(_moved(before, after) for before, after in pairs):
        return True
    return abs((new.sure or 0.0) - (old.sure or 0.0)) >= (0.05 if new.is_growing else 0.25)


def _moved(before: float | None, after: float | None) -> bool:
    if before is None or after is None:
        return before is not after
    return abs(after - before) > 0.02 * abs(before)


def group_words(group: Group, numbers: Mapping[Identity, int]) -> dict[str, Any]:
    """What rarely changes of a group; its parent by its number."""
    words = {name: getattr(group, name) for name in GROUP_WORDS}
    return {**words, "parent": numbers.get(group.parent)}


def group_says(group: Group, numbers: Mapping[Identity, int]) -> dict[int, int | None]:
    """What is said of a group at once: its finding, who grows most, births and deaths."""
    return {
        Q.FINDING: FINDINGS.index(group.finding),
        Q.WORST: None if group.worst is None else numbers.get(group.worst),
        Q.GROWING: group.growing,
        Q.BIRTHS: group.births,
        Q.DEATHS: group.deaths,
        Q.WATCHED_BIRTHS: group.watched_births,
        Q.RATE: rate_digits(group.rate_bytes_s),
    }


def group_figures(group: Group) -> dict[int, int | None]:
    """The figures of a group besides its sum and its rate."""
    figures: dict[int, int | None] = {
        quantity: getattr(group, name) for quantity, name in GROUP_FIGURES.items()
    }
    figures[Q.MEDIAN] = round(group.median_kib)
    return figures


def cgroup_words(cgroup: Cgroup) -> dict[str, Any]:
    """What rarely changes of a cgroup."""
    words = {name: getattr(cgroup, name) for name in CGROUP_WORDS}
    words["pod"] = cgroup.pod and cgroup.pod._asdict()
    return words


def cgroup_figures(cgroup: Cgroup) -> dict[int, int | None]:
    """How full a cgroup is."""
    figures: dict[int, int | None] = {
        quantity: _kib(getattr(cgroup, name)) for quantity, name in CGROUP_KIB.items()
    }
    pressure = cgroup.pressure_percent
    figures[Q.PRESSURE] = None if pressure is None else round(pressure * 100)
    return figures


def limit_words(limit: Limit) -> dict[str, Any]:
    """What is said of a limit."""
    capacity = limit.capacity
    return {
        "path": limit.cgroup.path,
        "bound": limit.bound and limit.bound.path,
        "why": limit.why,
        "capacity": capacity and {name: getattr(capacity, name) for name in CAPACITY_WORDS},
    }


def limit_figures(limit: Limit) -> dict[int, int | None]:
    """The numbers of a limit."""
    capacity = limit.capacity
    return {
        **limit_times(limit),
        Q.RATE: rate_digits(limit.rate_bytes_s),
        Q.PROCESSES: limit.processes,
        Q.TAKEN: None if capacity is None else _kib(capacity.taken_bytes),
    }


def limit_times(limit: Limit) -> dict[int, int | None]:
    """When it is full."""
    times = {Q.ETA: limit.eta_s, Q.ETA_LOW: limit.eta_low_s, Q.ETA_HIGH: limit.eta_high_s}
    return {quantity: _whole(value) for quantity, value in times.items()}


def host_figures(host: HostRow) -> dict[int, int | None]:
    """The numbers of the machine."""
    return {Q.TOTAL: host.total_kib, Q.USED: host.used_kib, Q.ETA: _whole(host.eta_s)}


def event(at: float, kind: str, text: str, detail: object) -> tuple[object, ...]:
    """The columns of `events` behind its number; a mark may be a command line."""
    return (round(at * 1000), kind, mask_text(text), None if detail is None else as_json(detail))


def result(at: float, kind: str, identity: Identity | None, document: object) -> tuple[object, ...]:
    """The columns of `results` behind its number."""
    pid, start_ticks = (None, None) if identity is None else (identity.pid, identity.start_ticks)
    return (round(at * 1000), kind, pid, start_ticks, as_json(document))


def as_json(value: object) -> str:
    """Compact JSON in ASCII, so that bytes that are no UTF-8 go through, too."""
    return json.dumps(value, separators=(",", ":"))


def _kib(value: int | None) -> int | None:
    return None if value is None else value // 1024


def _whole(value: float | None) -> int | None:
    """Whole seconds that are said in the same words."""
    if value is None:
        return None
    whole = round(value)
    if about(whole) != about(value):
        whole += 1 if value > whole else -1
    return whole
