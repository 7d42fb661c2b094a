"""What is known before an action, and what became of it: values for the screen and the JSON.

Bytes are integers, times seconds, `held_us` microseconds; None is not known or not applicable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from memtop.probe.sample import Identity

if TYPE_CHECKING:  # looking into arenas takes long to import, and may be left out
    from memtop.anatomy.objects import Objects
    from memtop.anatomy.predict import Prediction

Verdict = Literal[
    "done", "returned", "nothing_to_return", "not_applicable", "refused", "cancelled", "failed"
]
ActionId = Literal["trim", "gc", "snapshot"]


def as_sentence(reason: str) -> str:
    """A reason as it stands alone."""
    return f"{reason[:1].upper()}{reason[1:]}."


class Check(NamedTuple):
    """One thing that was looked at before; `passed` None: it could not be, or is a warning."""

    words: str
    passed: bool | None


class Refusal(NamedTuple):
    """Why nothing will be done; `forceable`: whoever insists may have it done all the same.

    `right` names the missing right, `command` one that has it or that helps.
    """

    reason: str
    right: str | None = None
    command: str | None = None
    forceable: bool = False
    verdict: Verdict = "refused"
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What an action would meet in one process: made before it is confirmed, and again before it.

    `stall_s`: how long threads of the target may wait (trim: those that allocate, else those that
    run Python), an estimate. `would_unshare_bytes`: memory shared with relatives that gc or a
    snapshot would copy, an estimate; 0 if nothing is shared. `needs_bytes`: what a snapshot takes
    for a moment, to list all objects. `prediction`: what a trim would bring back; None if nobody
    asked.
    """

    action: ActionId
    identity: Identity
    name: str
    rss_bytes: int | None
    checks: tuple[Check, ...] = ()
    refusal: Refusal | None = None
    stall_s: float | None = None
    would_unshare_bytes: int | None = None
    needs_bytes: int = 0
    allocator: str | None = None
    python: str | None = None
    prediction: Prediction | None = None


class Generation(NamedTuple):
    """What one generation of the garbage collector gave."""

    collected: int
    uncollectable: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an action on one process; `meaning` is the sentence for people.

    `in_use_bytes` and `free_bytes` are malloc's own after a trim (mallinfo2: uordblks + hblkhd,
    fordblks; of the latter, part may have been given back to the system already). `objects`: what
    a snapshot found; `needs_bytes`: what it was expected to take for a moment.
    """

    action: ActionId
    pid: int
    name: str
    at: float
    outcome: Verdict
    meaning: str
    identity: Identity | None = None
    reason: str | None = None
    right: str | None = None
    command: str | None = None
    held_us: float | None = None
    seconds: float | None = None
    rss_before_bytes: int | None = None
    rss_after_bytes: int | None = None
    predicted_bytes: int | None = None
    allocator: str | None = None
    in_use_bytes: int | None = None
    free_bytes: int | None = None
    generations: tuple[Generation, ...] = ()
    would_unshare_bytes: int | None = None
    needs_bytes: int = 0
    objects: Objects | None = None
    gone: bool = False

    @property
    def returned_bytes(self) -> int | None:
        """By how much RSS fell; 0 if it did not; None without both figures."""
        if self.rss_before_bytes is None or self.rss_after_bytes is None:
            return None
        return max(0, self.rss_before_bytes - self.rss_after_bytes)
