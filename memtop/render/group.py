"""The detail of a group of workers: is it one that eats, or many that are created?

The change of the sum split into births, deaths and growth, the spread of sizes, shared memory
counted once where PSS is known. Lines of cells with roles.
"""

from __future__ import annotations

from statistics import median

from memtop import units
from memtop.model.groups import WINDOW_S, Group
from memtop.model.state import Row, State
from memtop.render.cells import Cell, process_name
from memtop.render.escape import visible

BAR_CELLS = 12
SPREAD_CLASSES = 4
ALIKE_WITHIN = 0.1  # sizes that differ by less need no classes


def members_of(group: Group, state: State) -> list[Row]:
    """The living members."""
    rows = (state.rows.get(one) for one in group.members)
    return [row for row in rows if row is not None and row.ended_at is None]


def group_title(group: Group, state: State) -> list[Cell]:
    """How many of which kind, whose, since when."""
    parent = state.rows.get(group.parent)
    words = [(f"{len(group.members)} × {visible(group.label)}", "strong")]
    whose = f"of {group.parent.pid}"
    if parent is not None:
        whose += f" {process_name(parent, short=True)[:24]}"
    words.append((f"   {whose}", "dim"))
    if group.framework:
        words.append((f"   framework {group.framework}", "dim"))
    if group.oldest_at is not None and group.newest_at is not None:
        oldest = units.duration(state.taken_at - group.oldest_at)
        newest = units.duration(state.taken_at - group.newest_at)
        words.append((f"   oldest {oldest}, newest {newest}", "dim"))
    return words


def group_facts(group: Group, state: State) -> list[list[Cell]]:
    """Where the change came from, and how large the members are."""
    change = group.born_kib + group.died_kib + group.grown_kib + group.moved_kib
    over = units.duration(min(WINDOW_S, state.watched_s))
    lines: list[list[Cell]] = [
        [(f"{_signed(change)} in {over} watched came from", "dim")]
        if change
        else [(f"no change in {over} watched", "dim")],
    ]
    parts = (
        ("births", str(group.births), group.born_kib),
        ("deaths", str(group.deaths), group.died_kib),
        ("members' growth", f"{group.growing} of {len(group.members)} grow", group.grown_kib),
        *((("came or went", "", group.moved_kib),) if group.moved_kib else ()),
    )
    largest = max((abs(kib) for _, _, kib in parts), default=0)
    for label, number, kib in parts:
        bar = 0 if not largest else round(BAR_CELLS * abs(kib) / largest)
        lines.append(
            [
                (f"{label:<16}", "dim"),
                (f"{number:<13}", "text"),
                ("━" * bar, "live"),
                ("─" * (BAR_CELLS - bar), "rule"),
                (f"{_signed(kib):>11}", "text"),
            ]
        )
    rows = members_of(group, state)
    unseen = group.births - group.watched_births
    if unseen > 0:
        lines.append([(f"{unseen} were born before memtop watched", "faint")])
    if group.lives:
        last = group.lives[-3:]
        rates = ", ".join(units.rate_mib_min(rate) for rate in last)
        lines.append([(f"workers before these grew by {rates} MiB/min", "text")])
    lines += [[], *_spread_lines(rows), []]
    lines += _share_lines(group, rows)
    return lines


def _signed(kib: float) -> str:
    """A change as size with a sign."""
    text = units.size(abs(kib))
    if text.startswith("0.0"):
        return "0 MiB"
    return ("+" if kib > 0 else units.MINUS) + text


def _spread_lines(rows: list[Row]) -> list[list[Cell]]:
    """How large the members are, and how many of each size."""
    sizes = sorted(row.rss_kib or 0 for row in rows)
    if not sizes:
        return [[("none alive", "dim")]]
    middle = median(sizes)
    off = median(abs(size - middle) for size in sizes)
    about = "" if off < 1024 else f" ± {units.size(off)}"
    lines: list[list[Cell]] = [[(f"{units.size(middle)}{about} each", "text")]]
    low, high = sizes[0], sizes[-1]
    if len(sizes) < 4 or high - low < max(4096, ALIKE_WITHIN * high):
        return lines
    step = max(1, -(-(high - low + 1) // SPREAD_CLASSES))
    most = 0
    counts = []
    for index in range(SPREAD_CLASSES):
        begin = low + index * step
        number = sum(begin <= size < begin + step for size in sizes)
        counts.append((begin, number))
        most = max(most, number)
    for begin, number in counts:
        bar = round(BAR_CELLS * number / most)
        label = f"{units.size(begin)} – {units.size(begin + step)}"
        lines.append(
            [
                (f"{label:<24}", "dim"),
                ("━" * bar, "live"),
                ("─" * (BAR_CELLS - bar), "rule"),
                (f"{number:>6}", "text"),
            ]
        )
    return lines


def _share_lines(group: Group, rows: list[Row]) -> list[list[Cell]]:
    """That a sum of RSS counts shared pages several times; the sum of PSS, if it is known."""
    number = len(rows)
    if number < 2:
        return []
    lines: list[list[Cell]] = [[(f"shared pages are counted {number} times in this sum", "dim")]]
    known = sum(row.pss_kib is not None for row in rows)
    if group.pss_kib is not None:
        lines.append(
            [(f"{'own memory (PSS) of all':<41}", "dim"), (units.size(group.pss_kib), "text")]
        )
    else:
        why = f"read of {known} of {number} so far"
        if not any("smaps" in (row.rights or ()) for row in rows):
            why = "needs CAP_SYS_PTRACE or their user"
        lines.append([("own memory (PSS)  ", "dim"), (f"–   {why}", "dim")])
    return lines


def group_finding(group: Group, state: State) -> list[list[Cell]]:
    """One sentence with its proof, and the next step."""
    number, label = len(group.members), visible(group.label)
    each = units.size(group.median_kib)
    worst = state.rows.get(group.worst) if group.worst is not None else None
    if group.finding == "many-processes":
        more = f": {group.births} new ones in {units.duration(WINDOW_S)}" if group.births else ""
        return [
            [("≡   ", "rising"), (f"Many processes, none grows{more}. Each is {each}.", "bright")],
            [
                ("→   ", "accent"),
                (f"Ask who starts them: all are children of {group.parent.pid}. Cap them.", "text"),
            ],
        ]
    if group.finding in ("one-grows", "many-grow") and worst is not None:
        sign, role = ("▲▲  ", "leak") if worst.trend.word == "leak-like" else ("▲   ", "rising")
        rate = units.rate_mib_min(worst.rate_bytes_s).lstrip("+")
        who = f"{worst.pid} grows by {rate} MiB a minute, it is {units.size(worst.rss_kib)}"
        if group.finding == "one-grows":
            what = f"One of {number} grows: {who}; the others do not."
        else:
            what = f"{group.growing} of {number} grow; the fastest, {who}."
        step = f"Look at {worst.pid}: unfold with → and press Enter on it."
        return [[(sign, role), (what, "bright")], [("→   ", "accent"), (step, "text")]]
    if not number:
        return [[("–   ", "dim"), (f"No {label} is alive.", "dim")]]
    if group.growing and worst is not None:
        rate = units.rate_mib_min(worst.rate_bytes_s).lstrip("+")
        words = f"{worst.pid} grows by {rate} MiB a minute, less than half of what the group rises."
        return [[("▲   ", "rising"), (words, "bright")]]
    if group.trend.is_growing or group.lives:
        words = "None has lived long enough to tell"
        if group.lives:
            rate = units.rate_mib_min(group.lives[-1]).lstrip("+")
            words += f"; the last one that grew before it ended did so by {rate} MiB a minute"
        return [[("~   ", "text"), (words + ".", "text")]]
    return [[("=   ", "faint"), (f"{number} {label}, {each} each, none grows.", "dim")]]
