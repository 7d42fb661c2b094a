"""What any answer about the inside of a process has: whose, how old, how far, why not.

And how it is said: sentences behind their signs, each whole or not at all. Lines of cells with
roles. Sizes are bytes, times seconds since the epoch.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import NamedTuple

from memtop import units
from memtop.anatomy.result import Missing
from memtop.render.cells import Cell
from memtop.render.escape import visible
from memtop.render.question import command_lines

STALE_S, STALE_SHARE = 60.0, 0.05
INDENT = 4
UNWRAPPED = 10_000
MOST_MISSING = 3


class Progress(NamedTuple):
    """How far a reading has come; nothing of both before it is known how much there is."""

    done_bytes: int = 0
    total_bytes: int = 0


class Failure(NamedTuple):
    """Why a reading came to nothing, and the command that helps."""

    words: str
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """One process, and what is read of it.

    At the last look in full RSS was `read_rss_bytes`, now it is `rss_bytes`. `off` is why nothing
    can be read at all. `key` reads (again). `sign` is that of the trend, with its role.
    """

    pid: int
    name: str
    now: float
    rss_bytes: int | None = None
    _: KW_ONLY
    read_rss_bytes: int | None = None
    progress: Progress | None = None
    failure: Failure | None = None
    off: str = ""
    key: str = "a"
    sign: tuple[str, str] = ("", "dim")

    @property
    def taken_at(self) -> float | None:
        """When the answer was taken; None before there is one."""
        return None

    @property
    def age_s(self) -> float:
        """How old the answer is."""
        return 0.0 if self.taken_at is None else max(0.0, self.now - self.taken_at)

    @property
    def moved_bytes(self) -> int:
        """By how much RSS has changed since the answer, if that is much; else 0."""
        if self.taken_at is None or self.rss_bytes is None or self.read_rss_bytes is None:
            return 0
        moved = self.rss_bytes - self.read_rss_bytes
        return moved if abs(moved) > STALE_SHARE * self.read_rss_bytes else 0

    @property
    def is_stale(self) -> bool:
        """Whether the answer is old, or of a size that the process no longer has."""
        return self.taken_at is not None and (self.moved_bytes != 0 or self.age_s > STALE_S)


def as_many_as_fit(blocks: Sequence[list[list[Cell]]], room: int) -> list[list[Cell]]:
    """The first blocks, each whole or not at all."""
    lines: list[list[Cell]] = []
    for block in blocks:
        if len(lines) + len(block) > room:
            break
        lines += block
    return lines


def first_lines(blocks: Sequence[list[list[Cell]]], room: int) -> list[list[Cell]]:
    """The beginning of the first block: where not even one fits."""
    return [line for block in blocks[:1] for line in block][:room]


def failure_lines(failure: Failure, width: int) -> list[list[Cell]]:
    """Why nothing was read, and the command that helps."""
    lines = said("–", "rising", failure.words, "bright", width)
    return lines + commands(failure.command, width)


def missing_blocks(missing: Sequence[Missing], width: int) -> list[list[list[Cell]]]:
    """What is not known and why, and the commands that would have it."""
    blocks = []
    for one in missing[:MOST_MISSING]:
        words = f"Not known: {visible(one.what)}: {visible(one.reason)}."
        blocks.append(said("–", "dim", words, "text", width))
    if (more := len(missing) - MOST_MISSING) > 0:
        blocks.append(said("–", "dim", f"and {more} more.", "dim", width))
    helpful = dict.fromkeys(one.command for one in missing if one.command)
    return [*blocks, *(commands(command, width) for command in helpful)]


def of_whole(size: int, whole: int) -> str:
    """`305 of 580 MiB`, `333 MiB of 1.09 GiB`."""
    number, unit = units.size_parts(size / 1024)
    of = units.size(whole / 1024)
    return f"{number} of {of}" if of.endswith(unit) else f"{number} {unit} of {of}"


def said(sign: str, role: str, words: str, text: str, width: int) -> list[list[Cell]]:
    """A sentence behind its sign; it wraps within its own column."""
    pieces = textwrap.wrap(visible(words), max(8, width - INDENT), break_on_hyphens=False)
    return [
        [((sign if index == 0 else "").ljust(INDENT), role), (piece, text)]
        for index, piece in enumerate(pieces)
    ]


def commands(command: str | None, width: int) -> list[list[Cell]]:
    """A command that helps, whole, behind its arrow."""
    return [
        [(mark.ljust(INDENT), role), text]
        for (mark, role), text in (command_lines(command, width - 1) if command else [])
    ]
