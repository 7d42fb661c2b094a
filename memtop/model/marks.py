"""What changed from mark to mark: which level of a test a step came with, and how large it was.

Pure: who asks has the marks and the values, of a process, a group or a cgroup. A mark names what
begins; scripts set it just before that or just after, so a jump right before a mark belongs to it.
Times in seconds since the epoch, sizes in KiB; a value that is not known is None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

NEAR_S = 2.0  # before a mark: a jump that came then is the mark's,
JUMP_KIB = 1024  # if it is at least this large,
PACE = 3  # and so many times what came in as long a time before


class Stretch(NamedTuple):
    """The time from a mark to the next one; `text` is what the mark says that it begins with.

    Before the first mark the text is empty. `change_kib` is None where a value is not known.
    """

    begin: float
    end: float
    change_kib: int | None
    text: str


def between(
    marks: Sequence[tuple[float, str]],
    first_at: float,
    last_at: float,
    value_at: Callable[[float], int | None],
) -> list[Stretch]:
    """The stretches from mark to mark between two moments, the earliest first; none without marks.

    What came before `first_at` names the first stretch, what came after `last_at` is left out, and
    marks of one moment are one.
    """
    texts: dict[float, list[str]] = {}
    for at, text in sorted(marks, key=lambda mark: mark[0]):
        if at <= first_at:
            texts[first_at] = [text]
        elif at < last_at:
            texts.setdefault(at, []).append(text)
    if not texts or last_at <= first_at:
        return []
    texts.setdefault(first_at, [])
    moments = [*sorted(texts), last_at]
    values = [value_at(at) for at in moments]
    for place in range(1, len(moments) - 1):
        values[place] = _before_jump(moments[place - 1], moments[place], values[place], value_at)
    return [
        Stretch(
            begin,
            end,
            None if before is None or after is None else after - before,
            ", ".join(text for text in texts[begin] if text),
        )
        for begin, end, before, after in zip(moments, moments[1:], values, values[1:], strict=False)
    ]


def before_mark(at: float) -> tuple[float, float]:
    """The moments before a mark at which `between` asks for values, besides those of the marks."""
    return at - NEAR_S, at - 2 * NEAR_S


def _before_jump(
    since: float, at: float, now: int | None, value_at: Callable[[float], int | None]
) -> int | None:
    """The value with which a mark begins: the one before a jump that came right before it."""
    before, earlier = (value_at(max(since, near)) for near in before_mark(at))
    if now is None or before is None or earlier is None:
        return now
    jumped = now - before
    return before if jumped >= JUMP_KIB and jumped > PACE * abs(before - earlier) else now
