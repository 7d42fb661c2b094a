"""What stands above the parts: how much, how well explained, how old; the whole as one bar.

While it is read, how far that has come. Lines of cells with roles. Sizes are bytes, times seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

from memtop import units
from memtop.anatomy.result import FREED, LIVE, Anatomy
from memtop.render.cells import Cell, cut, width_of
from memtop.render.escape import fit, visible
from memtop.render.inside import Inside
from memtop.render.parts import Deltas
from memtop.render.sight import Progress, Sight
from memtop.render.strokes import KEPT, MIB, REST, TRIMMABLE, USED, stacked

PROGRESS_CELLS = 24
LEGEND_GAP = 3
HEADINGS = ("heading", "sorted")
_WEAKER = {
    "faint": "faint",
    "rule": "rule",
    "ink": "ink",
    "live": "faint",
    "heading": "heading",
    "sorted": "heading",
}
_LOUD = frozenset(("text", "clear", "bright", "strong", "dim"))


def sizes(anatomy: Anatomy) -> list[Cell]:
    number, unit = units.size_parts(anatomy.rss_bytes / 1024)
    return [(number, "strong"), (f" {unit} RSS   ", "dim"), (explained(anatomy), "dim")]


def explained(anatomy: Anatomy) -> str:
    if not anatomy.rss_bytes:
        return "nothing to explain"
    return f"{100 * anatomy.explained_bytes / anatomy.rss_bytes:.1f} % explained"


def head_line(inside: Inside, width: int) -> list[Cell]:
    """How much, how well it is explained, how old that is; since when changes are counted."""
    answer = inside.answer
    assert answer is not None
    tails = age_ways(inside, f"read in {units.span(answer.seconds)}")
    head, size = sizes(answer), sizes(answer)[:2]
    ways = [*([*head, (" " * 3, "dim"), *tail] for tail in tails), *([*size, *t] for t in tails)]
    left = next((way for way in ways if width_of(way) <= width), ways[-1])
    if inside.deltas is not None:
        right = since(inside.deltas, inside.now)
    elif inside.is_stale or inside.off or not inside.key:
        right = []
    else:
        right = [(inside.key, "accent"), (" again shows what has changed", "dim")]
    return apart(left, right, width)


def age_ways(sight: Sight, took: str) -> list[list[Cell]]:
    """How dear and how old an answer is, what has moved since, which key reads again.

    The longest way to say it first.
    """
    if not sight.is_stale:
        return [[(f"{took}, {units.duration(sight.age_s)} ago", "dim")]]
    age: list[Cell] = [("as of ", "dim"), (units.clock(sight.taken_at or 0.0), "text")]
    age.append((f", {units.duration(sight.age_s)} ago", "dim"))
    again: list[Cell] = [("   ", "dim"), (sight.key, "accent"), (" reads again", "dim")]
    if sight.off or not sight.key:
        return [age]
    return [[*age, *_moved(sight), *again], [*age, *again], age]


def _moved(sight: Sight) -> list[Cell]:
    """By how much RSS has moved since, if that is much."""
    if not sight.moved_bytes:
        return []
    word = "grown" if sight.moved_bytes > 0 else "shrunk"
    size = units.size(abs(sight.moved_bytes) / 1024)
    return [(f"; RSS has {word} by ", "dim"), (size, "text")]


def since(deltas: Deltas, now: float | None) -> list[Cell]:
    """Since when changes are counted."""
    at = deltas.difference.since_at
    cells: list[Cell] = [("Δ since ", "dim"), (units.clock(at), "text")]
    if now is not None:
        return [*cells, (f", {units.duration(now - at)} ago", "dim")]
    return [*cells, (f", {units.duration(deltas.difference.seconds)} before", "dim")]


def note(inside: Inside) -> list[Cell]:
    """How dear and how old the newest look at the arenas is."""
    if inside.again is None:
        return []
    if inside.again.taken_at is None:
        return [("not read again: too many holes", "faint")]
    age = units.duration(inside.now - inside.again.taken_at)
    return [(f"read again in {units.span(inside.again.seconds)}, {age} ago", "faint")]


def progress_line(sight: Sight, width: int) -> list[Cell]:
    """What is being read, how far it has come, and the key that ends it."""
    progress = sight.progress or Progress()
    name = fit(f"reading {sight.pid} {visible(sight.name)}", min(36, max(12, width // 3)))
    cells: list[Cell] = [(name.rstrip(), "text")]
    tail: list[Cell] = [("   ", "dim"), ("Esc", "accent"), (" cancel", "dim")]
    if progress.total_bytes > 0:
        share = min(1.0, max(0.0, progress.done_bytes / progress.total_bytes))
        size = max(0, min(PROGRESS_CELLS, width - width_of(cells) - width_of(tail) - 24))
        full = round(size * share)
        number, unit = units.size_parts(progress.total_bytes / 1024)
        decimals = min(1, len(number.partition(".")[2]))
        scale = {"MiB": MIB, "GiB": MIB << 10, "TiB": MIB << 20}[unit]
        done, total = progress.done_bytes / scale, progress.total_bytes / scale
        cells += [("   ", "dim"), ("━" * full, "accent"), ("─" * (size - full), "rule")]
        cells += [(f"   {done:.{decimals}f}", "text"), (" of ", "dim")]
        cells += [(f"{total:.{decimals}f}", "text"), (f" {unit}", "dim")]
    return [*cells, *tail]


def empty_line(sight: Sight, words: str) -> list[Cell]:
    """What is missing, and the key that fills it."""
    if sight.off:
        return [(sight.off, "dim")]
    who = f"Nothing was read of {sight.pid} yet.   "
    return [(who, "dim"), (sight.key, "accent"), (f" {words}", "dim")]


def bar_lines(anatomy: Anatomy, width: int) -> list[list[Cell]]:
    """All of RSS as one bar, and below it what the strokes are."""
    live, trimmable = anatomy.bytes_of(*LIVE), anatomy.bytes_of("malloc_trimmable")
    kept = anatomy.bytes_of(*FREED) - trimmable
    rest = sum(part.bytes for part in anatomy.parts) - live - kept - trimmable
    scale = max(anatomy.rss_bytes, live + kept + trimmable + rest)
    strokes = (
        (USED, "live", live),
        (KEPT, "rising", kept),
        (TRIMMABLE, "accent", trimmable),
        (REST, "dim", rest),
    )
    warm = "rising" if (kept + trimmable) * 10 >= scale > 0 else "dim"
    first = _legend("live", live, "dim", "clear")
    second = _legend("freed, not returned", kept + trimmable, warm, "clear")
    third = _legend("rest", rest, "dim", "dim")
    # Each stands below its stroke, as far as what follows leaves it room.
    end = width - width_of(third)
    place = round(width * live / scale) if scale > 0 else 0
    least = width_of(first) + (LEGEND_GAP if first else 0)
    legend = first
    if second:
        place = max(least, min(place, end - width_of(second) - LEGEND_GAP))
        legend = [*first, (" " * (place - width_of(first)), "dim"), *second]
    if third and end - width_of(legend) >= LEGEND_GAP:
        legend = [*legend, (" " * (end - width_of(legend)), "dim"), *third]
    return [stacked(strokes, scale, width), cut(legend, width)]


def _legend(words: str, size: int, role: str, number_role: str) -> list[Cell]:
    """What a stroke is, and how much; nothing if there is none of it."""
    if not size:
        return []
    number, unit = units.size_parts(size / 1024)
    return [(words + "  ", role), (number, number_role), (f" {unit}", "dim")]


def apart(left: list[Cell], right: list[Cell], width: int) -> list[Cell]:
    """One at each end of the line; the right one goes if there is no room for both."""
    gap = width - width_of(left) - width_of(right)
    return cut(left, width) if gap < 3 or not right else [*left, (" " * gap, "dim"), *right]


def apart_ways(
    lefts: Sequence[Sequence[Cell]], rights: Sequence[Sequence[Cell]], width: int
) -> list[Cell]:
    """One at each end of the line: the longest ways for which there is room."""
    for left in lefts:
        for right in rights:
            gap = width - width_of(left) - width_of(right)
            if gap >= 3 or (gap >= 0 and not right):
                return [*left, (" " * gap, "dim"), *right] if right else list(left)
    return cut(min(lefts, key=width_of), width)


def margined(line: list[Cell], width: int) -> list[Cell]:
    """The line with a margin of one; headings go from edge to edge."""
    role = "heading" if line[0][1] in HEADINGS else "dim"
    return cut([(" ", role), *line, *([(" ", role)] if role == "heading" else [])], width)


def dimmed(line: Sequence[Cell]) -> list[Cell]:
    """The line without anything that draws the eye: it is about to be replaced."""
    return [(text, _WEAKER.get(role, "dim" if role in _LOUD else "faint")) for text, role in line]
