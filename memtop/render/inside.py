"""What is known of the inside of a process, and what that means, in measured sentences.

`Inside` is all that the anatomy pane shows of one process. A sentence says figures; it names no
cause, and no advice but the key or the command that comes next. Sizes are bytes, times seconds
since the epoch.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import NamedTuple

from memtop import units
from memtop.anatomy.difference import Difference
from memtop.anatomy.result import LIVE, Anatomy
from memtop.render.arenas import count_words
from memtop.render.cells import Cell
from memtop.render.escape import visible
from memtop.render.parts import Deltas
from memtop.render.question import command_lines
from memtop.render.strokes import MIB, SHOWN_BYTES

STALE_S, STALE_SHARE = 60.0, 0.05
NOTABLE_BYTES, NOTABLE_SHARE, TRIM_SHARE = 16 * MIB, 0.1, 0.02
INDENT = 4
UNWRAPPED = 10_000
MOST_MISSING, NAMED_CHANGES = 3, 2
SHARE_WITHIN = 1.05  # parts that moved by more than RSS are not shares of its change


class Progress(NamedTuple):
    """How far a reading has come; nothing of both before it is known how much there is."""

    done_bytes: int = 0
    total_bytes: int = 0


class Failure(NamedTuple):
    """Why a reading came to nothing, and the command that helps."""

    words: str
    command: str | None = None


class Again(NamedTuple):
    """The arenas were read again: when, and how long it took; None if it takes too long."""

    taken_at: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Inside:
    """What is known of the inside of a process, for its pane.

    `answer` has the newest figures, also those that were read `again` after it; at the last look in
    full RSS was `read_rss_bytes`, now it is `rss_bytes`. `off` is why nothing can be read at all.
    `key` reads (again), `trim` is the key that trims; empty if there is none. `sign` is that of the
    trend, with its role.
    """

    pid: int
    name: str
    now: float
    rss_bytes: int | None = None
    answer: Anatomy | None = None
    read_rss_bytes: int | None = None
    deltas: Deltas | None = None
    again: Again | None = None
    progress: Progress | None = None
    failure: Failure | None = None
    off: str = ""
    key: str = "a"
    trim: str = "T"
    sign: tuple[str, str] = ("", "dim")

    @property
    def age_s(self) -> float:
        """How old the answer is."""
        return max(0.0, self.now - self.answer.taken_at) if self.answer is not None else 0.0

    @property
    def moved_bytes(self) -> int:
        """By how much RSS has changed since the answer."""
        if self.answer is None or self.rss_bytes is None:
            return 0
        read = self.read_rss_bytes if self.read_rss_bytes is not None else self.answer.rss_bytes
        return self.rss_bytes - read

    @property
    def is_stale(self) -> bool:
        """Whether the answer is old, or of a size that the process no longer has."""
        if self.answer is None:
            return False
        moved = abs(self.moved_bytes) > STALE_SHARE * self.answer.rss_bytes
        return moved or self.age_s > STALE_S


def finding_lines(inside: Inside, width: int, room: int = 100) -> list[list[Cell]]:
    """What ends the pane: why nothing was read, or what was measured and what is missing.

    As many sentences as fit into `room` lines; where not even one does, its beginning.
    """
    blocks = _finding(inside, width)
    lines: list[list[Cell]] = []
    for block in blocks:
        if len(lines) + len(block) > room:
            break
        lines += block
    return lines or [line for block in _finding(inside, UNWRAPPED)[:1] for line in block][:room]


def _finding(inside: Inside, width: int) -> list[list[list[Cell]]]:
    """The sentences, each in its lines; a command belongs to the sentence before it."""
    answer = inside.answer
    if answer is None:
        return []
    blocks = [failure_lines(inside.failure, width)] if inside.failure is not None else []
    blocks += _measured(answer, inside.deltas, width, inside.sign)
    would = answer.trim_would_return_bytes or 0
    is_much = would >= max(NOTABLE_BYTES, TRIM_SHARE * answer.rss_bytes)
    if is_much and inside.trim and not inside.off:
        words: list[Cell] = [("→".ljust(INDENT), "accent"), (inside.trim, "accent")]
        blocks.append([[*words, (f" trim would return ≈ {units.size(would / 1024)}", "text")]])
    return [*blocks, *_missing(answer, width)]


def failure_lines(failure: Failure, width: int) -> list[list[Cell]]:
    """Why nothing was read, and the command that helps."""
    lines = _said("–", "rising", failure.words, "bright", width)
    return lines + _commands(failure.command, width)


def measured_lines(anatomy: Anatomy, deltas: Deltas | None, width: int) -> list[list[Cell]]:
    """What was measured and what is missing, for a text."""
    blocks = [*_measured(anatomy, deltas, width, ("", "dim")), *_missing(anatomy, width)]
    return [line for block in blocks for line in block]


def _measured(
    anatomy: Anatomy, deltas: Deltas | None, width: int, sign: tuple[str, str]
) -> list[list[list[Cell]]]:
    """What it mostly is, and whose its change is."""
    words, is_notable = _most(anatomy)
    if sign[1] not in ("leak", "rising", "shrink") and is_notable:
        sign = ("!", "rising")
    blocks = [_said(*sign, words, "bright" if is_notable else "text", width)]
    if deltas is not None and (words := _changed(deltas)):
        blocks.append(_said("", "dim", words, "text", width))
    return blocks


def _missing(anatomy: Anatomy, width: int) -> list[list[list[Cell]]]:
    """What is not known and why, and the commands that would have it."""
    blocks = []
    for one in anatomy.missing[:MOST_MISSING]:
        words = f"Not known: {visible(one.what)}: {visible(one.reason)}."
        blocks.append(_said("–", "dim", words, "text", width))
    if (more := len(anatomy.missing) - MOST_MISSING) > 0:
        blocks.append(_said("–", "dim", f"and {more} more.", "dim", width))
    commands = dict.fromkeys(one.command for one in anatomy.missing if one.command)
    return [*blocks, *(_commands(command, width) for command in commands)]


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
            return f"Freed, not returned: {_of(kept, held)} in {arenas}{back}.", True
        free = f"{_of(kept - trimmable, held)} in {arenas}"
        return f"Freed, but kept by malloc: {free}, in holes smaller than a page{back}.", True
    if notable(pools):
        used = anatomy.bytes_of("python_objects")
        return f"Freed, but kept by Python: {_of(pools, pools + used)} in its pools are free.", True
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
            f"In use: {_of(live, rss)}; the largest part is {visible(largest.label)}, {size}.",
            False,
        )
    return f"The largest part is {visible(largest.label)}: {_of(largest.bytes, rss)}.", False


def _of(size: int, whole: int) -> str:
    """`305 of 580 MiB`, `333 MiB of 1.09 GiB`."""
    number, unit = units.size_parts(size / 1024)
    of = units.size(whole / 1024)
    return f"{number} of {of}" if of.endswith(unit) else f"{number} {unit} of {of}"


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


def _said(sign: str, role: str, words: str, text: str, width: int) -> list[list[Cell]]:
    """A sentence behind its sign; it wraps within its own column."""
    pieces = textwrap.wrap(visible(words), max(8, width - INDENT), break_on_hyphens=False)
    return [
        [((sign if index == 0 else "").ljust(INDENT), role), (piece, text)]
        for index, piece in enumerate(pieces)
    ]


def _commands(command: str | None, width: int) -> list[list[Cell]]:
    """A command that helps, whole, behind its arrow."""
    return [
        [(mark.ljust(INDENT), role), text]
        for (mark, role), text in (command_lines(command, width - 1) if command else [])
    ]
