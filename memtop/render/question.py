"""The question before something is done: what, to whom, what it holds and leaves, what was checked.

A `Question` holds words only, so that every action and every signal asks in the same way. It is
drawn in as few lines as there are: the list of targets gives way first, then the blank lines, then
the end of the text; never the question itself, nor the keys. Sizes in KiB.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from memtop import units
from memtop.render.cells import Cell, cut, width_of
from memtop.render.escape import cells as cell_width
from memtop.render.escape import fit, visible

WIDTH = 74  # within the frame, which takes two more
MARGIN = 2
LABEL, VALUE = 10, 12
NARROW = 44  # with less, a term has no columns
LISTED, LEAST_LISTED = 8, 3
NOTE_LINES = 3
KEY_GAP = 5


class Term(NamedTuple):
    """One thing to know before: `holds`, `≈ 0.2`, `ms`, "one thread, while it waits"."""

    label: str
    value: str
    unit: str
    words: str


class Listed(NamedTuple):
    """One of several targets."""

    pid: int
    name: str
    rss_kib: float | None


class Note(NamedTuple):
    """A warning (`!`) or a reason, and the command that helps."""

    words: str
    command: str | None = None


class Answer(NamedTuple):
    """A key that answers, and what it does; those at right are further ways."""

    key: str
    words: str
    right: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `answers` without Esc, which leaves; none: nothing can be done.

    With `typed` that very text has to be typed and confirmed by Enter instead.
    """

    title: str
    does: str
    rss_kib: float | None = None
    terms: tuple[Term, ...] = ()
    targets: tuple[Listed, ...] = ()
    checks: tuple[str, ...] = ()
    harmless: str = ""
    notes: tuple[Note, ...] = ()
    answers: tuple[Answer, ...] = ()
    typed: str | None = None


def question_lines(question: Question, width: int, height: int) -> list[list[Cell]]:
    """The text in at most `height` lines of `width` cells, a margin of its own included."""
    inner = max(1, width - 2 * MARGIN)
    most = min(LISTED, len(question.targets))
    least = min(LEAST_LISTED, most)
    ways = [(listed, True) for listed in range(most, least - 1, -1)]
    ways += [(listed, False) for listed in range(least, min(most, 1) - 1, -1)]
    for listed, spaced in ways:
        lines = _joined(_blocks(question, inner, listed), spaced=spaced)
        if len(lines) <= height:
            break
    if len(lines) > height > 0:
        lines = [*lines[: height - 1], [("…", "dim")]] if height > 1 else lines[:1]
    return [[(" " * MARGIN, "dim"), *cut(line, inner)] if line else [] for line in lines]


def answer_lines(question: Question, width: int) -> list[list[Cell]]:
    """The rule below the text, and the keys."""
    inner = max(1, width - 2 * MARGIN)
    if question.typed is not None:
        left: list[Cell] = [("Enter", "accent"), (f" after {question.typed} is typed", "dim")]
        answers: tuple[Answer, ...] = ()
    else:
        left, answers = [], question.answers
    right: list[Cell] = []
    for answer in answers:
        side = right if answer.right else left
        # The first one is what was asked for; ways around stand back.
        role = "clear" if not side and not answer.right else "dim"
        side += [(" " * KEY_GAP if side else "", "dim"), (answer.key, "accent")]
        side.append((f" {answer.words}", role))
    left += [(" " * KEY_GAP if left else "", "dim"), ("Esc", "accent"), (" leave it", "dim")]
    gap = inner - width_of(left) - width_of(right)
    if gap < 2 and right:
        return [
            [("─" * width, "rule")],
            [(" " * MARGIN, "dim"), *cut(left, inner)],
            [(" " * MARGIN, "dim"), *cut(right, inner)],
        ]
    return [
        [("─" * width, "rule")],
        [(" " * MARGIN, "dim"), *cut([*left, (" " * max(0, gap), "dim"), *right], inner)],
    ]


def _joined(blocks: Sequence[list[list[Cell]]], *, spaced: bool) -> list[list[Cell]]:
    """The blocks one below the other."""
    lines: list[list[Cell]] = []
    for block in blocks:
        if block:
            lines += [*([[]] if lines and spaced else []), *block]
    return lines


def _blocks(question: Question, width: int, listed: int) -> list[list[list[Cell]]]:
    end = _check_lines(question.checks, width)
    if question.harmless:
        end += _wrapped(question.harmless, width, "dim")
    return [
        [_title(question, width)],
        _target_lines(question.targets, width, listed),
        _wrapped(question.does, width, "dim"),
        [line for term in question.terms for line in _term_lines(term, width)],
        [line for note in question.notes for line in _note_lines(note, width)],
        end,
    ]


def _title(question: Question, width: int) -> list[Cell]:
    """The question; how large it is at right."""
    number, unit = units.size_parts(question.rss_kib)
    size: list[Cell] = [] if not unit else [(number, "clear"), (f" {unit}", "faint")]
    title = visible(question.title)
    room = width - width_of(size) - 2
    if cell_width(title) > room and size:
        if room < 20:
            return [(fit(title, width).rstrip(), "strong")]
        # The name gives way, not the number after it.
        name, blank, pid = title.rpartition(" ")
        title = fit(name, max(1, room - len(pid) - 1)) + blank + pid
    gap = max(1, width - cell_width(title) - width_of(size))
    return [(title, "strong"), (" " * gap, "dim"), *size] if size else [(title, "strong")]


def _target_lines(targets: Sequence[Listed], width: int, listed: int) -> list[list[Cell]]:
    if not targets:
        return []
    pid_width = max(len(str(one.pid)) for one in targets)
    name_width = max(4, width - pid_width - 12)
    lines: list[list[Cell]] = []
    for one in targets[:listed]:
        number, unit = units.size_parts(one.rss_kib)
        lines.append(
            [
                (str(one.pid).rjust(pid_width), "text"),
                ("  " + fit(visible(one.name), name_width), "dim"),
                (number.rjust(6), "dim"),
                (f" {unit}", "faint"),
            ]
        )
    if rest := len(targets) - listed:
        lines.append(
            [(f"{' ' * pid_width}  and {rest} more" if listed else f"{rest} in all", "dim")]
        )
    return lines


def _term_lines(term: Term, width: int) -> list[list[Cell]]:
    """Label, value and words in columns; the words wrap within theirs."""
    role = "clear" if term.unit else "text"
    value: list[Cell] = [(term.value, role), (f" {term.unit}" if term.unit else "", "dim")]
    if width < NARROW:
        words = f"{term.label} {term.value} {term.unit}".strip() + f"  {term.words}"
        return _wrapped(words, width, "dim")
    pieces = textwrap.wrap(term.words, width - LABEL - VALUE, break_on_hyphens=False) or [""]
    gap = max(1, VALUE - width_of(value))
    lines: list[list[Cell]] = [
        [(fit(term.label, LABEL), "dim"), *value, (" " * gap, "dim"), (pieces[0], "dim")]
    ]
    return lines + [[(" " * (LABEL + VALUE), "dim"), (piece, "dim")] for piece in pieces[1:]]


def _check_lines(checks: Sequence[str], width: int) -> list[list[Cell]]:
    """What was found in order, one beside the other as far as they fit."""
    lines: list[list[Cell]] = []
    pieces: list[list[Cell]] = [[("✓ ", "shrink"), (visible(words), "dim")] for words in checks]
    size = sum(map(width_of, pieces))
    gap = 2 if size + 3 * (len(pieces) - 1) > width >= size + 2 * (len(pieces) - 1) else 3
    for piece in pieces:
        if lines and width_of(lines[-1]) + gap + width_of(piece) <= width:
            lines[-1] += [(" " * gap, "dim"), *piece]
        else:
            lines.append(piece)
    return lines


def _note_lines(note: Note, width: int) -> list[list[Cell]]:
    """A warning with its sign, and below it what helps."""
    pieces = textwrap.wrap(visible(note.words), max(8, width - 3), break_on_hyphens=False)
    lines: list[list[Cell]] = []
    for index, piece in enumerate(pieces[:NOTE_LINES]):
        if index == NOTE_LINES - 1 and len(pieces) > NOTE_LINES:
            piece = piece[: max(0, width - 4)] + "…"
        lines.append([("   " if index else "!  ", "rising"), (piece, "rising")])
    if note.command:
        lines += command_lines(note.command, width)
    return lines


def command_lines(command: str, width: int) -> list[list[Cell]]:
    """A command that helps, whole, so that it can be copied."""
    pieces = textwrap.wrap(visible(command), max(8, width - 3), break_on_hyphens=False)
    return [
        [("   ", "dim") if index else ("→  ", "accent"), (piece, "text")]
        for index, piece in enumerate(pieces)
    ]


def _wrapped(text: str, width: int, role: str) -> list[list[Cell]]:
    pieces = textwrap.wrap(visible(text), max(8, width), break_on_hyphens=False)
    return [[(piece, role)] for piece in pieces]
