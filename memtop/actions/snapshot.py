"""What a process answered when it was asked for its objects: read, and put into a sentence.

The answer is text of a process that may be anybody's: what cannot be read is a failure, names are
cut and masked, and nothing of it is run. Of types that the collector tracks all objects are
counted; of others (str, bytes, arrays) those that containers refer to, from a sample of many.
Bytes, seconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import replace

from memtop import units
from memtop.actions.collect import refuse
from memtop.actions.remote.session import Reply
from memtop.actions.remote.snapshot_code import (
    MOST_CONTAINERS,
    MOST_TASKS,
    MOST_THREADS,
    MOST_TYPES,
)
from memtop.actions.result import Result, as_sentence
from memtop.anatomy.objects import Container, Objects, Task, TypeCount
from memtop.anatomy.result import Missing
from memtop.secrets import mask_argv

SHARED = (
    "what containers refer to (str, bytes, arrays) was not counted: that would copy memory that it"
    " shares with relatives"
)
FROZEN = "{:,} objects that gc.freeze has put aside were not counted"
NAME_LENGTH = 200
NAMED = 3  # types in a sentence
MAIN_SHARE = 0.05  # of all bytes: a main type
_AS_ASCII = re.compile(
    r"([ -\[\]-~]|\\([\\'nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U00(0[0-9a-f]|10)[0-9a-f]{4}))*"
)
MOST_COUNT = 1 << 48  # more cannot lie in memory


def judge(result: Result, reply: Reply, python: str | None) -> Result:
    """The result of a snapshot that was tried; `python` is the version of its interpreter."""
    if reply.payload is None:
        return refuse(result, reply)
    head, _, body = reply.payload.decode("utf-8", "replace").partition("\n")
    try:
        if head != "ok" or result.identity is None:
            raise ValueError
        answer = _Answer(body)
    except (ValueError, ArithmeticError, TypeError):  # TypeError: a line has too few fields
        said = _plain(body if head == "error" else "its answer cannot be read")
        reason = f"gc snapshot failed in it: {said}"
        return replace(result, outcome="failed", reason=reason, meaning=as_sentence(reason))
    objects = Objects(
        identity=result.identity,
        name=result.name,
        taken_at=result.at,
        seconds=result.seconds or 0.0,
        source="snapshot",
        types=answer.types,
        python=python,
        sampled=answer.stride > 1 or answer.is_cut,
        coverage=answer.coverage,
        error=answer.error,
        cut=answer.is_cut,
        containers=answer.containers,
        tasks=answer.tasks,
        threads=answer.threads,
        gc_counts=answer.gc[:3],
        gc_thresholds=answer.gc[3:6],
        garbage=answer.gc[6],
        is_tracing=bool(answer.gc[8]),
        gil_s=answer.held_s,
        held_us=result.held_us,
        tracked_only=not answer.follows,
        missing=answer.missing,
    )
    has_others = bool(reply.results.get("another"))
    return replace(
        result, outcome="done", objects=objects, meaning=_meaning(objects, has_others=has_others)
    )


class _Answer:
    """The lines of an answer; ValueError if something is missing or no number."""

    def __init__(self, text: str) -> None:
        lines: dict[str, list[list[str]]] = {}
        for line in text.split("\n"):
            kind, *fields = line.split("\t")
            lines.setdefault(kind, []).append(fields)
        seen, total, stride, is_whole, follows = map(_count, _only(lines, "seen"))
        self.stride = stride if follows else 1
        self.coverage = seen / total if total else 1.0
        self.is_cut = seen < total or not is_whole
        self.held_s = max(_number(field) for field in _only(lines, "held"))
        self.gc = tuple(map(_count, _only(lines, "gc")))
        if len(self.gc) != 9:
            raise ValueError
        self._scale = total / seen if seen else 1.0
        self._is_whole = bool(is_whole)
        found = [self._type(*fields) for fields in lines.get("type", ())[: MOST_TYPES + 1]]
        found.sort(key=lambda one: -one.bytes)
        self.types = tuple(one for one in found if one.count)
        self.error = self._error()
        self.containers = tuple(
            Container(_name(name), _name(kind), _count(length))
            for name, kind, length in lines.get("container", ())[:MOST_CONTAINERS]
        )
        # Some more than there can be names: what is left over, once for each state.
        self.tasks = tuple(
            Task(_name(name), _name(state), round(_count(number) * self._scale))
            for name, state, number in lines.get("task", ())[: MOST_TASKS + 3]
        )
        self.threads = tuple(
            _masked(_name(name)) for (name,) in lines.get("thread", ())[:MOST_THREADS]
        )
        self.follows = bool(follows)
        self.missing = tuple(self._missing(self.follows))

    def _type(
        self, name: str, module: str, tracked: str, met: str, referred: str, drawn: str, size: str
    ) -> TypeCount:
        """A type: how many of its objects are tracked, and in how many chunks they were; how many
        others were found in containers that were asked, of which so many were drawn."""
        own, others, draws = _count(tracked), _number(referred), _number(drawn)
        # Twice the standard error. Objects of a kind lie together: chunks of them were drawn.
        error = 2 / math.sqrt(max(1, _count(met))) if self.coverage < 1 else 0.0
        if others and not self._is_whole:
            error = 1.0  # some containers were not asked, and what they hold is anybody's guess
        elif others and self.stride > 1:
            error = max(error, 2 / math.sqrt(max(1.0, draws)) * others / (own + others))
        return TypeCount(
            type=_name(name),
            module=None if module == "?" else _name(module),
            count=round((own + others) * self._scale),
            bytes=round(_number(size) * self._scale),
            error=min(1.0, error),
        )

    def _error(self) -> float | None:
        """That of a main type, which is off by more than others; None if nothing was sampled."""
        if not self.is_cut and self.stride == 1:
            return None
        if not self._is_whole:  # types that were not met at all are off by as much
            return 1.0
        most = MAIN_SHARE * sum(one.bytes for one in self.types)
        return max((one.error or 0.0 for one in self.types if one.bytes >= most), default=0.0)

    def _missing(self, follows: bool) -> Iterable[Missing]:
        if not follows:
            yield Missing("types", SHARED)
        if self.gc[7]:
            yield Missing("types", FROZEN.format(self.gc[7]))


def _only(lines: dict[str, list[list[str]]], kind: str) -> list[str]:
    """The fields of a line that is there once."""
    found = lines.get(kind, [])
    if len(found) != 1:
        raise ValueError
    return found[0]


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ValueError
    return min(int(text), MOST_COUNT)


def _number(text: str) -> float:
    value = float(text)
    if not 0 <= value < MOST_COUNT:
        raise ValueError
    return value


def _name(text: str) -> str:
    """A name that ascii() has written."""
    if not _AS_ASCII.fullmatch(text):
        raise ValueError
    return _plain(text.encode("ascii").decode("unicode_escape"))


def _plain(text: str) -> str:
    """Not too long, and fit for UTF-8."""
    return text[:NAME_LENGTH].encode("utf-8", "replace").decode()


def _masked(name: str) -> str:
    """People give threads names with all kinds of things in them."""
    return mask_argv(("", name))[1]


def _meaning(objects: Objects, *, has_others: bool) -> str:
    """How many objects, the largest types, the longest container, and what is not in it."""
    about = "≈ " if objects.sampled else ""
    largest = ", ".join(f"{one.name} {_size(one.all_bytes)}" for one in objects.types[:NAMED])
    words = f"{about}{objects.count:,} objects, {_size(objects.bytes)}: mostly {largest}."
    if objects.containers:
        longest = objects.containers[0]
        words += f" The longest container is {longest.name} ({longest.kind}, {longest.length:,})."
    if objects.garbage:
        words += f" {objects.garbage:,} cannot be collected (gc.garbage)."
    if objects.cut:
        words += f" The time was over after {_percent(objects.coverage)}: the rest is reckoned."
    if objects.gil_s is not None:
        words += f" It held the interpreter for {units.span(objects.gil_s)}."
    for one in objects.missing:
        words += f" {as_sentence(one.reason)}"
    if has_others:
        words += " Only the main interpreter was asked; it has others."
    return words


def _percent(share: float) -> str:
    if share >= 1:
        return "all but the largest containers"
    return f"{max(1, math.floor(100 * share))} % of the objects"


def _size(count: int) -> str:
    return units.size(count / 1024)
