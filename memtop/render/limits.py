"""The cgroup tab: which limit holds, what takes how much of it, how many more children fit.

It says where each figure comes from, and of what is unknown why. Lines of cells with roles.
"""

from __future__ import annotations

from memtop import units
from memtop.model.capacity import Capacity
from memtop.model.limits import Limit, chain
from memtop.model.state import Row, State
from memtop.render.cells import Cell, width_of
from memtop.render.escape import fit, visible
from memtop.render.summary import limit_name

NOW_WIDTH = 38
BAR_CELLS = 46
MOST_CASES = 5


def limit_lines(
    row: Row | None, limit: Limit | None, state: State, width: int, room: int
) -> list[list[Cell]]:
    """The tab for the cgroup of a process, in at most `room` lines."""
    if row is None or limit is None:
        why = "its cgroup is not known" if row is None or row.cgroup is None else "not read yet"
        return [[(f" No memory cgroup to show: {why}.", "dim")], *_others(state, None, width, room)]
    head: list[list[Cell]] = [_who(limit), []]
    left = (
        _fit_lines(limit.capacity, limit, state) if limit.capacity else _chain_lines(limit, state)
    )
    right = _now_lines(limit)
    body = _beside(left, right, width) if width >= 96 else [*left, [], *right]
    lines = [*head, *body]
    if limit.capacity is not None and room - len(lines) >= 4:
        lines += [[], *_case_lines(limit.capacity, width)]
    if room - len(lines) >= 4:
        lines += [[], *_others(state, limit, width, room - len(lines) - 1)]
    return lines[:room]


def _who(limit: Limit) -> list[Cell]:
    """Whose cgroup it is, and which limit holds in it."""
    pod = limit.cgroup.pod
    pieces: list[Cell] = [(" " + limit_name(limit.cgroup), "strong")]
    if pod is not None and pod.qos:
        pieces.append((f"   qos {pod.qos}", "dim"))
    if limit.bound is None:
        words = f"limit not known: {visible(limit.why)}" if limit.why else "no limit"
        return [*pieces, (f"   {words}", "rising" if limit.why else "dim")]
    words = f"   {limit.bound.limit_file} {units.size((limit.limit_bytes or 0) / 1024)}"
    return [*pieces, (words, "text"), (_whose(limit), "dim")]


def _whose(limit: Limit) -> str:
    """Where a limit is set, if not in the cgroup itself."""
    bound = limit.bound
    if bound is None or bound.path == limit.cgroup.path:
        return ""
    pod = bound.pod
    if pod is not None and pod.uid and not pod.container_id:
        return " of the pod"
    return f" of {visible(bound.path)}"


def _fit_lines(capacity: Capacity, limit: Limit, state: State) -> list[list[Cell]]:
    """The arithmetic of how many more children fit, each term with its source."""
    group = state.groups.get(capacity.group)
    label = visible(group.label) if group is not None else "children"
    source = (
        "RLIMIT_AS"
        if capacity.worst_child_from == "RLIMIT_AS"
        else f"largest peak seen of any {label}"
    )
    worst, taken = capacity.worst_child_bytes, capacity.taken_bytes
    if capacity.worst_child_from == "RLIMIT_AS" and group is not None and group.largest_child_kib:
        source += f"; seen so far {units.size(group.largest_child_kib)}"
    whole = max(0, capacity.limit_bytes - taken) / worst
    bound = limit.bound
    file = bound.limit_file if bound is not None and bound.limit_file else "limit"
    sums = f"({_mib(capacity.limit_bytes)} − {_mib(taken)}) ÷ {_mib(worst)} = {whole:.1f}"
    return [
        [(" how many more fit", "dim")],
        _term("limit", _whole(capacity.limit_bytes), file + _whose(limit)),
        _term("taken by others", _whole(taken), "own memory of all but the children"),
        _term("child, at worst", _whole(worst), source),
        [(" " + "─" * 66, "rule")],
        _term("fit in all", f"{capacity.fits_total}", sums),
        _term("running now", f"{capacity.children}", f"of {label}"),
        _term(
            "more fit",
            f"{capacity.fits_more}",
            "nothing stops another one from starting" if capacity.warns else "",
            "rising" if capacity.warns else "text",
        ),
    ]


def _term(label: str, value: str, source: str, role: str = "text") -> list[Cell]:
    return [
        (f" {label:<17}", "dim"),
        (f"{value:>10}", role),
        ("    " + fit(source, 46).rstrip(), "dim"),
    ]


def _size(bytes_: int) -> str:
    return units.size(bytes_ / 1024)


def _whole(bytes_: int) -> str:
    """A size in MiB, as arithmetic needs one unit."""
    return f"{_mib(bytes_)} MiB"


def _mib(bytes_: int) -> str:
    return f"{bytes_ / 1024**2:,.0f}"


def _chain_lines(limit: Limit, state: State) -> list[list[Cell]]:
    """The cgroup and its ancestors with their own limits, where no children are counted."""
    cgroups = {path: one.cgroup for path, one in state.limits.items()}
    lines: list[list[Cell]] = [[(" limits from here up", "dim")]]
    for cgroup in chain(cgroups, limit.cgroup.path):
        number = (
            _size(cgroup.limit_bytes)
            if cgroup.limit_bytes is not None
            else "none"
            if cgroup.unlimited
            else units.UNKNOWN
        )
        role = "text" if limit.bound is not None and cgroup.path == limit.bound.path else "dim"
        use = "" if cgroup.current_bytes is None else f"{_size(cgroup.current_bytes)} used"
        name = visible(cgroup.path)
        short = "…" + name[-29:] if len(name) > 30 else name
        lines.append([(f" {short:<31}", "dim"), (f"{number:>10}", role), (f"   {use}", "dim")])
    return lines


def _now_lines(limit: Limit) -> list[list[Cell]]:
    """What the cgroup whose limit binds is made of now."""
    cgroup = limit.measured
    pairs: list[tuple[str, str, str]] = []
    for label, value in (
        ("in use", cgroup.current_bytes),
        ("working set", cgroup.working_set_bytes),
        ("floor", cgroup.floor_bytes),
        ("anonymous", cgroup.anon_bytes),
        ("file cache", cgroup.file_bytes),
        ("kernel", cgroup.kernel_bytes),
        ("swap", cgroup.swap_bytes),
        ("highest", cgroup.peak_bytes),
    ):
        if value is not None:
            pairs.append((label, _size(value), "text"))
    kills = cgroup.oom_kills
    if kills is not None:
        pairs.append(("OOM kills", str(kills), "leak" if kills else "text"))
    if cgroup.oom_group is not None:
        pairs.append(
            ("an OOM kill takes", "all of it" if cgroup.oom_group else "one process", "text")
        )
    if cgroup.pressure_percent is not None:
        pairs.append(("stalled, 10 s", f"{cgroup.pressure_percent:.1f} %", "text"))
    if limit.eta_s is not None:
        pairs.append(("full in", f"≈ {units.about(limit.eta_s)}", "bright"))
        if limit.eta_low_s is not None and limit.eta_high_s is not None:
            spread = f"{units.about(limit.eta_low_s)} to {units.about(limit.eta_high_s)}"
            pairs.append(("  between", spread, "dim"))
    head: list[list[Cell]] = [[("now", "dim")]]
    return head + [[(f"{label:<18}", "dim"), (value, role)] for label, value, role in pairs]


def _case_lines(capacity: Capacity, width: int) -> list[list[Cell]]:
    """What each number of children may take at worst, as bars against the limit."""
    first = max(0, capacity.fits_total - MOST_CASES + 2)
    cases = range(first, capacity.fits_total + 2)
    largest = capacity.taken_bytes + cases[-1] * capacity.worst_child_bytes
    cells = max(10, min(BAR_CELLS, width - 60))
    scale = cells / max(largest, capacity.limit_bytes)
    at_limit = round(capacity.limit_bytes * scale)
    lines: list[list[Cell]] = [[(" worst case by number of children", "dim")]]
    for number in cases:
        need = capacity.taken_bytes + number * capacity.worst_child_bytes
        size = round(need * scale)
        inside, outside = min(size, at_limit), max(0, size - at_limit)
        over = need - capacity.limit_bytes
        words = f"fits, {_whole(-over)} free" if over <= 0 else f"OOM kill, {_whole(over)} over"
        sign, role = ("=", "dim") if over <= 0 else ("▲▲", "leak")
        now = "running" if number == capacity.children else ""
        lines.append(
            [
                (f" {number:>3} {now:<8} ", "dim"),
                ("━" * inside + " " * (at_limit - inside), "live"),
                ("│", "faint"),
                ("╍" * outside + " " * (cells - at_limit - outside), "rising"),
                (f" {_whole(need):>10}  ", "text"),
                (f"{sign:<3}{words}", role),
            ]
        )
    return lines


def _others(state: State, here: Limit | None, width: int, room: int) -> list[list[Cell]]:
    """Every cgroup that holds processes, the fullest first."""
    limits = [one for one in state.limits.values() if one.processes]
    limits.sort(key=lambda one: (-_share(one), one.cgroup.path))
    if not limits or room < 3:
        return []
    name_width = max(16, width - 76)
    lines: list[list[Cell]] = [
        [
            (f" {'all cgroups with processes':<{name_width}}", "dim"),
            (f"{'PROC':>6}{'IN USE':>11}{'FLOOR':>11}{'LIMIT':>11}{'Δ MiB/min':>12}", "dim"),
            (f"{'OOM KILLS':>11}   FULL IN", "dim"),
        ]
    ]
    for one in limits[: room - 1]:
        cgroup = one.cgroup
        is_here = here is not None and cgroup.path == here.cgroup.path
        number = (
            _size(one.limit_bytes)
            if one.limit_bytes is not None
            else units.UNKNOWN
            if one.why
            else "none"
        )
        rate = units.rate_mib_min(one.rate_bytes_s)
        kills = units.UNKNOWN if cgroup.oom_kills is None else str(cgroup.oom_kills)
        full = "" if one.eta_s is None else f"≈ {units.about(one.eta_s)}"
        lines.append(
            [
                (" " + fit(limit_name(one.cgroup), name_width), "bright" if is_here else "dim"),
                (f"{one.processes:>6}", "dim"),
                (f"{_known(cgroup.current_bytes):>11}{_known(cgroup.floor_bytes):>11}", "text"),
                (f"{number:>11}{rate:>12}", "text"),
                (f"{kills:>11}", "leak" if cgroup.oom_kills else "faint"),
                (f"   {full}", "bright"),
            ]
        )
    if len(limits) > room - 1:
        lines[-1] = [(f" and {len(limits) - room + 2} more", "dim")]
    return lines


def _known(bytes_: int | None) -> str:
    return units.UNKNOWN if bytes_ is None else _size(bytes_)


def _share(limit: Limit) -> float:
    use, most = limit.measured.floor_bytes, limit.limit_bytes
    return 0.0 if use is None or not most else use / most


def _beside(left: list[list[Cell]], right: list[list[Cell]], width: int) -> list[list[Cell]]:
    """Two columns; the right one has a width of its own."""
    at = max(40, width - NOW_WIDTH)
    lines = []
    for index in range(max(len(left), len(right))):
        pieces = left[index] if index < len(left) else []
        gap = max(1, at - width_of(pieces))
        lines.append([*pieces, (" " * gap, "dim"), *(right[index] if index < len(right) else [])])
    return lines


def limit_finding(limit: Limit | None) -> list[list[Cell]]:
    """What follows from the figures, and what can be done about it."""
    if limit is None or limit.limit_bytes is None:
        return []
    capacity, lines = limit.capacity, []
    if capacity is not None and capacity.warns:
        need = capacity.taken_bytes + (capacity.fits_total + 1) * capacity.worst_child_bytes
        fits = capacity.fits_total
        what = f"{fits} fit{'s' if fits == 1 else ''}, one more"
        if capacity.children > capacity.fits_total:
            need = capacity.taken_bytes + capacity.children_at_worst_bytes
            what = f"{fits} fit{'s' if fits == 1 else ''}, the {capacity.children} that run"
        words = f"{what} could need {_mib(need)} MiB of {_mib(limit.limit_bytes)}: an OOM kill."
        lines.append([("▲   ", "rising"), (words, "bright")])
        lines.append([("→   ", "accent"), (_way_out(capacity, need), "text")])
    elif limit.eta_s is not None:
        words = f"The floor meets the limit in about {units.about(limit.eta_s)} if it goes on."
        lines.append([("▲   ", "rising"), (words, "bright")])
    return [*lines, *kill_lines(limit)]


def kill_lines(limit: Limit | None) -> list[list[Cell]]:
    """How often the kernel has killed for a limit; nothing if it never did."""
    kills = limit.measured.oom_kills if limit is not None else None
    if not kills:
        return []
    words = f"{kills} OOM kill{'s' if kills > 1 else ''} in it so far."
    return [[("▲▲  ", "leak"), (words, "text")]]


def _way_out(capacity: Capacity, need: int) -> str:
    """What makes one more child fit: fewer at a time, smaller ones, or more memory."""
    ways = [f"Let at most {max(1, capacity.fits_total)} run at a time"]
    wanted = max(capacity.children, capacity.fits_total + 1)
    if capacity.worst_child_from == "RLIMIT_AS":
        smaller = (capacity.limit_bytes - capacity.taken_bytes) // wanted // 1024**2
        if smaller > 0:
            ways.append(f"lower RLIMIT_AS to {smaller:,} MiB for {wanted}")
    ways.append(f"raise the limit to {-(-need // 1024**2):,} MiB")
    return ", or ".join(ways) + "."
