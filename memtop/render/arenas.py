"""The arenas of malloc, its settings, and the sizes of big blocks: what stands beside the parts.

Lines of cells with roles; what there is no room for goes in order of use. Sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from memtop import units
from memtop.anatomy.result import Anatomy, Arena, BigBlocks
from memtop.render.cells import Cell, width_of
from memtop.render.escape import cells as cell_width
from memtop.render.escape import fit, visible
from memtop.render.strokes import KEPT, TRACK, TRIMMABLE, USED, size_cells, stacked

NAME, LEAST_NAME, HELD, TRAPPED = 8, 6, 9, 10
LEAST_ARENAS, ROOMY = 3, 10  # with so many lines at least so many arenas
MOST_ARENAS = 6  # as long as something else needs the room
LEAST_CLASSES = 2
_TITLES = ("IN USE · TRAPPED", "USED · TRAPPED", "IN USE", "")
KIB = 1024
SURE = 0.9995  # what is written as 100.0 % is no doubt


def beside_lines(
    anatomy: Anatomy, width: int, room: int, note: Sequence[Cell] = ()
) -> list[list[Cell]]:
    """Arenas, settings and big blocks in at most `room` lines; `note`: how old the arenas are."""
    facts = fact_lines(anatomy, width)
    count = len(anatomy.arenas)
    least = min(count, MOST_ARENAS)
    blocks = anatomy.big_blocks
    classes = 0 if blocks is None else len(blocks.sizes)
    # Heading, rule, sum and share of the arenas; `note` or a blank line before what follows.
    fixed = (4 if count else 0) + (1 if count and facts else 0)
    spare = room - fixed - len(facts)
    # One line for "n more" if not all are shown.
    few = LEAST_ARENAS if room >= ROOMY else 1
    shown = max(min(count, few), min(least, spare - (1 if least < count else 0)))
    spare -= shown + (1 if shown < count else 0)
    drawn = min(classes, max(0, spare - 2)) if spare >= 2 + min(classes, LEAST_CLASSES) else 0
    spare -= drawn + 2 if drawn else 0
    if shown < count and spare > 0:
        shown = min(count, shown + spare + (1 if shown + spare + 1 >= count else 0))
    shown = count if shown == count - 1 else shown  # "1 more" takes a line, too
    lines = arena_lines(anatomy.arenas, width, shown) if count else []
    if facts and len(lines) + 2 <= room:
        lines += [*([list(note)] if lines else []), *facts]
    if drawn and blocks is not None:
        lines += [[], *block_lines(blocks, width, drawn)]
    return lines[:room]


def arena_lines(arenas: Sequence[Arena], width: int, shown: int) -> list[list[Cell]]:
    """So many of the arenas, those that hold most, and the sum of all."""
    name = NAME if width >= 40 else LEAST_NAME
    size = max(0, width - name - HELD - TRAPPED)
    title = next(one for one in _TITLES if len(one) < size + HELD - 4 or not one)
    lines: list[list[Cell]] = [
        [
            (fit("ARENA", name), "heading"),
            (fit(title, size + HELD - 4) + "HELD", "heading"),
            ("TRAPPED".rjust(TRAPPED), "heading"),
        ]
    ]
    ordered = sorted(arenas, key=lambda one: (-one.held_bytes, one.index))
    scale = ordered[0].held_bytes if ordered else 0
    for arena in ordered[:shown]:
        label = "main" if arena.main else str(arena.index)
        lines.append(
            [
                (fit(label, name), "dim"),
                *_bar(arena, scale, size),
                *size_cells(arena.held_bytes, HELD, "dim"),
                *size_cells(arena.trapped_bytes, TRAPPED, "dim"),
            ]
        )
    if rest := ordered[shown:]:
        lines.append(
            [
                (fit(f"{len(rest)} more", name + size), "faint"),
                *size_cells(sum(one.held_bytes for one in rest), HELD, "faint"),
                *size_cells(sum(one.trapped_bytes for one in rest), TRAPPED, "faint"),
            ]
        )
    held, trapped = (
        sum(one.held_bytes for one in arenas),
        sum(one.trapped_bytes for one in arenas),
    )
    share = round(100 * trapped / held) if held > 0 else 0
    warm = "rising" if share >= 20 else "text"
    lines.append([("─" * width, "rule")])
    lines.append(
        [
            (fit(count_words(len(arenas)), name + size), "text"),
            *size_cells(held, HELD, "clear"),
            *size_cells(trapped, TRAPPED, "strong" if warm == "rising" else "clear"),
        ]
    )
    label = fit("of what they hold", width - 6)
    lines.append([(label, "dim"), (f"{share:>2}".rjust(2), warm), (" %", "dim"), ("  ", "dim")])
    return lines


def count_words(count: int) -> str:
    """`1 arena`, `14 arenas`."""
    return f"{count} arena{'' if count == 1 else 's'}"


def _bar(arena: Arena, scale: int, width: int) -> list[Cell]:
    """In use, trapped, trimmable, top, against the largest arena."""
    strokes = (
        (USED, "live", arena.in_use_bytes),
        (KEPT, "rising", arena.trapped_bytes),
        (TRIMMABLE, "accent", arena.trimmable_bytes),
        (*TRACK, arena.top_bytes),
    )
    return stacked(strokes, scale, width)


def fact_lines(anatomy: Anatomy, width: int) -> list[list[Cell]]:
    """What trim would return, and what malloc goes by: label and value."""
    lines: list[list[Cell]] = []
    for label, value, role in facts_of(anatomy):
        name = fit(label, min(18, width))
        room = width - cell_width(name)
        lines.append([(name, "dim"), (fit(value, room).rstrip().rjust(room), role)])
    return lines


def facts_of(anatomy: Anatomy) -> list[tuple[str, str, str]]:
    """Label, value and role of what is known beside the parts, the most asked for first."""
    facts: list[tuple[str, str, str]] = []
    would = anatomy.trim_would_return_bytes
    if would is not None or anatomy.arenas:
        text = units.UNKNOWN if would is None else units.size(would / KIB)
        facts.append(("trim would return", text, "text"))
    if anatomy.confidence < SURE:
        again = f", {anatomy.resyncs} × lost" if anatomy.resyncs else ""
        facts.append(("made sense", f"{100 * anatomy.confidence:.1f} %{again}", "rising"))
    if anatomy.heaps is not None:
        resident = units.size(anatomy.heaps.resident_bytes / KIB)
        facts.append(("heaps, not read", f"{anatomy.heaps.count}, {resident}", "text"))
    settings = anatomy.settings
    if settings is not None:
        most = str(settings.arena_max) if settings.arena_max else "not set"
        facts.append(("arena_max", most, "text"))
    if anatomy.allocator:
        facts.append(("allocator", visible(anatomy.allocator), "text"))
    if anatomy.provider:
        facts.append(("provided by", visible(anatomy.provider.rsplit("/", 1)[-1]), "text"))
    if anatomy.threads is not None:
        facts.append(("threads", str(anatomy.threads), "text"))
    if settings is not None:
        moves = "" if settings.is_fixed else ", moves"
        mapped = small_size(settings.mmap_threshold_bytes) + moves
        facts.append(("mmap threshold", mapped, "dim"))
        trimmed = small_size(settings.trim_threshold_bytes) + moves
        facts.append(("trim threshold", trimmed, "dim"))
        if settings.thread_cache_bytes and anatomy.threads:
            most = small_size(settings.thread_cache_bytes * anatomy.threads)
            facts.append(("thread caches", f"≤ {most}", "dim"))
    if anatomy.swapped_bytes:
        facts.append(("in swap", units.size(anatomy.swapped_bytes / KIB), "text"))
    return facts


def small_size(bytes_: int) -> str:
    """A size that was chosen, not measured: below a MiB it is written as it was chosen."""
    if 0 <= bytes_ < 1 << 20:
        return f"{bytes_ / KIB:.0f} KiB"
    return units.size(bytes_ / KIB)


def block_lines(blocks: BigBlocks, width: int, shown: int) -> list[list[Cell]]:
    """How many big blocks there are of which size, in `shown` lines: those with most memory."""
    name, count = 11, 7
    size = max(0, width - name - count - TRAPPED)
    title = "BIG BLOCKS" if width < 30 else fit("BIG BLOCKS FROM", name + size)
    lines: list[list[Cell]] = [
        [
            (fit(title, name + size), "heading"),
            ("COUNT".rjust(count), "heading"),
            ("SIZE".rjust(TRAPPED), "heading"),
        ]
    ]
    most = sorted(blocks.sizes, key=lambda one: -one.bytes)
    rest = most[shown - 1 :] if len(most) > shown else []
    most = most[: len(most) - len(rest)]
    scale = max((one.bytes for one in most), default=0)
    for one in sorted(most, key=lambda one: one.at_least_bytes):
        lines.append(
            [
                (fit(small_size(one.at_least_bytes).rjust(name - 3), name), "dim"),
                *stacked([(USED, "live", one.bytes)], scale, size),
                (f"{one.count:,}".rjust(count), "dim"),
                *size_cells(one.bytes, TRAPPED, "dim"),
            ]
        )
    if rest:
        lines.append(
            [
                (fit("other sizes", name + size), "faint"),
                (f"{sum(one.count for one in rest):,}".rjust(count), "faint"),
                *size_cells(sum(one.bytes for one in rest), TRAPPED, "faint"),
            ]
        )
    return lines


def arenas_sentence(anatomy: Anatomy, width: int, note: Sequence[Cell] = ()) -> list[Cell]:
    """All arenas in one line, as much of it as fits."""
    arenas = anatomy.arenas
    if not arenas:
        return []
    held = sum(one.held_bytes for one in arenas)
    trapped = sum(one.trapped_bytes for one in arenas)
    share = round(100 * trapped / held) if held > 0 else 0
    cells: list[Cell] = [
        (f"{count_words(len(arenas))} ", "dim"),
        (units.size(held / KIB), "text"),
        (", trapped ", "dim"),
        (units.size(trapped / KIB), "text"),
        (f" ({share} %)", "rising" if share >= 20 else "dim"),
    ]
    would = anatomy.trim_would_return_bytes
    more = [list(note)]
    if would is not None:
        more.append([("trim would return ", "dim"), (units.size(would / KIB), "text")])
    for pieces in more:
        if pieces and width_of(cells) + 3 + width_of(pieces) <= width:
            cells += [("   ", "dim"), *pieces]
    return cells


def settings_line(anatomy: Anatomy, width: int) -> list[Cell]:
    """What malloc goes by in one line, as much of it as fits."""
    cells: list[Cell] = []
    for label, value, role in facts_of(anatomy):
        if label == "trim would return":
            continue
        words: list[Cell] = [(label + " ", "dim"), (value, role)]
        gap = 3 if cells else 0
        if width_of(cells) + gap + width_of(words) <= width:
            cells += [(" " * gap, "dim"), *words]
    return cells
