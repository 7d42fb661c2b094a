"""What is known of the inside of a process, and what that means, in measured sentences.

`Inside` is all that the anatomy pane shows of one process. A sentence says figures; it names no
cause, and no advice but the key or the command that comes next. Sizes are bytes, times seconds
since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from memtop import units
from memtop.anatomy.difference import Difference
from memtop.anatomy.objects import Objects
from memtop.anatomy.result import LIVE, Anatomy
from memtop.render.arenas import count_words
from memtop.render.cells import Cell
from memtop.render.escape import visible
from memtop.render.native import native_words
from memtop.render.parts import Deltas
from memtop.render.sight import (
    INDENT,
    UNWRAPPED,
    Sight,
    as_many_as_fit,
    failure_lines,
    first_lines,
    missing_blocks,
    of_whole,
    said,
)
from memtop.render.strokes import MIB, SHOWN_BYTES

NOTABLE_BYTES, NOTABLE_SHARE, TRIM_SHARE = 16 * MIB, 0.1, 0.02
NAMED_CHANGES = 2
COUNTED = ("malloc_in_use", "big_blocks")  # parts that a census divides: Python's, and the rest
SHARE_WITHIN = 1.05  # parts that moved by more than RSS are not shares of its change


class Again(NamedTuple):
    """The arenas were read again: when, and how long it took; None if it takes too long."""

    taken_at: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Inside(Sight):
    """What is known of the memory of a process, for its pane.

    `answer` has the newest figures, also those that were read `again` after it; `census` is the
    newest one of its objects. `trim` is the key that trims, `objects` the one that takes a census;
    empty if there is none.
    """

    answer: Anatomy | None = None
    deltas: Deltas | None = None
    again: Again | None = None
    census: Objects | None = None
    trim: str = "T"
    objects: str = "o"

    @property
    def taken_at(self) -> float | None:
        """When the answer was taken; None before there is one."""
        return None if self.answer is None else self.answer.taken_at


def finding_lines(inside: Inside, width: int, room: int = 100) -> list[list[Cell]]:
    """What ends the pane: why nothing was read, or what was measured and what is missing.

    As many sentences as fit into `room` lines; where not even one does, its beginning.
    """
    return as_many_as_fit(_finding(inside, width), room) or first_lines(
        _finding(inside, UNWRAPPED), room
    )


def _finding(inside: Inside, width: int) -> list[list[list[Cell]]]:
    """The sentences, each in its lines; a command belongs to the sentence before it."""
    answer = inside.answer
    if answer is None:
        return []
    blocks = [failure_lines(inside.failure, width)] if inside.failure is not None else []
    blocks += _measured(answer, inside.deltas, width, inside.sign)
    blocks += _whose(inside, width)
    would = answer.trim_would_return_bytes or 0
    is_much = would >= max(NOTABLE_BYTES, TRIM_SHARE * answer.rss_bytes)
    if is_much and inside.trim and not inside.off:
        words: list[Cell] = [("→".ljust(INDENT), "accent"), (inside.trim, "accent")]
        blocks.append([[*words, (f" trim would return ≈ {units.size(would / 1024)}", "text")]])
    return [*blocks, *missing_blocks(answer.missing, width)]


def _whose(inside: Inside, width: int) -> list[list[list[Cell]]]:
    """What of malloc no object of Python owns, or the key that tells when malloc grows."""
    if inside.census is not None and (words := native_words(inside.census)):
        age = units.duration(max(0.0, inside.now - inside.census.taken_at))
        return [said("", "dim", f"{words[:-1]} (census, {age} ago).", "text", width)]
    leading = inside.deltas.leading if inside.deltas is not None else None
    if leading not in COUNTED or inside.census is not None or not inside.objects or inside.off:
        return []
    words = " counts objects, and tells how much of malloc they own"
    arrow: list[Cell] = [("→".ljust(INDENT), "accent"), (inside.objects, "accent")]
    return [[[*arrow, (words, "text")]]]


def measured_lines(anatomy: Anatomy, deltas: Deltas | None, width: int) -> list[list[Cell]]:
    """What was measured and what is missing, for a text."""
    blocks = [
        *_measured(anatomy, deltas, width, ("", "dim")),
        *missing_blocks(anatomy.missing, width),
    ]
    return [line for block in blocks for line in block]


def _measured(
    anatomy: Anatomy, deltas: Deltas | None, width: int, sign: tuple[str, str]
) -> list[list[list[Cell]]]:
    """What it mostly is, and whose its change is."""
    words, is_notable = _most(anatomy)
    if sign[1] not in ("leak", "rising", "shrink") and is_notable:
        sign = ("!", "rising")
    blocks = [said(*sign, words, "bright" if is_notable else "text", width)]
    if deltas is not None and (words := _changed(deltas)):
        blocks.append(said("", "dim", words, "text", width))
    return blocks


def _most(anatomy: Anatomy) -> tuple[str, bool]:
    """What it mostly is, and whether that is worth a second look."""
    rss = anatomy.rss_bytes
    trimmable = anatomy.bytes_of("malloc_trimmable")
    kept = anatomy.bytes_of("malloc_trapped") + trimmable
    pools = anatomy.bytes_of("pymalloc_free")

    def notable(size: int) -> bool:
        return size >= max(NOTABLE_BYTES, NOTABLE_SHARE * rss)

    if notable(kept) and kept >= pools and anatomy.arenas:
        held = sum(one.held_bytes for one in anatomy.arenas)
        arenas = count_words(len(anatomy.arenas))
        would = anatomy.trim_would_return_bytes
        back = "" if would is None else f"; trim would return {units.size(would / 1024)}"
        if 2 * trimmable >= kept:
            return f"Freed, not returned: {of_whole(kept, held)} in {arenas}{back}.", True
        free = f"{of_whole(kept - trimmable, held)} in {arenas}"
        return f"Freed, but kept by malloc: {free}, in holes smaller than a page{back}.", True
    if notable(pools):
        used = anatomy.bytes_of("python_objects")
        return (
            f"Freed, but kept by Python: {of_whole(pools, pools + used)} in its pools are free.",
            True,
        )
    if anatomy.heaps is not None:
        size = units.size(anatomy.heaps.resident_bytes / 1024)
        return f"Heaps of malloc have {size}; what of that is in use was not read.", False
    if not anatomy.parts or rss <= 0:
        return "It has no memory of its own.", False
    largest = max(anatomy.parts, key=lambda part: part.bytes)
    live = anatomy.bytes_of(*LIVE)
    if largest.id in LIVE:
        size = units.size(largest.bytes / 1024)
        return (
            f"In use: {of_whole(live, rss)}; the largest part is {visible(largest.label)}, {size}.",
            False,
        )
    return f"The largest part is {visible(largest.label)}: {of_whole(largest.bytes, rss)}.", False


def _changed(deltas: Deltas) -> str:
    """Whose the change of RSS is: the parts that moved most."""
    difference: Difference = deltas.difference
    rss, over = difference.rss_bytes, units.duration(difference.seconds)
    moved = [
        one
        for one in difference.changes
        if abs(one.bytes) >= SHOWN_BYTES and deltas.of([one.id]) is not None
    ]
    total = f"{units.signed(rss / MIB)} MiB in {over}"
    if max((abs(one.bytes) for one in moved), default=0) < MIB:
        return "" if deltas.is_partial else f"RSS changed by {total}."
    along = [one for one in moved if (one.bytes > 0) == (rss > 0)][:NAMED_CHANGES]
    is_share = bool(along) and abs(sum(one.bytes for one in along)) <= SHARE_WITHIN * abs(rss)
    named = ", ".join(
        f"{visible(one.label)} {units.signed(one.bytes / MIB)}"
        for one in (along if is_share else moved[:NAMED_CHANGES])
    )
    return f"Of {total}: {named}." if is_share else f"RSS {total}; {named}."
