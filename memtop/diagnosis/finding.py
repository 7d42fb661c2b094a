"""What a diagnosis says: a cause, how sure it is and why, and the next step.

Pure values for the screen, the text and the JSON. Sentences are complete and name figures; none is
said that was not measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Cause = Literal[
    "python_objects",
    "arena_retention",
    "arena_fragmentation",
    "big_blocks",
    "native",
    "many_processes",
    "page_cache",
    "shared_memory",
    "copy_on_write",
    "thread_stacks",
    "huge_pages",
    "pymalloc_fragmentation",
    "warm_up",
    "sawtooth",
    "steady",
    "capacity",
    "unknown",
]
CAUSES: tuple[Cause, ...] = Cause.__args__  # type: ignore[attr-defined]


class Lack(NamedTuple):
    """What was not measured, why, and what would measure it: a key of the screen, a command."""

    what: str
    reason: str
    key: str | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause. `pid` and `role` say whose memory it is, `type` which Python type dominates.

    `confidence` is a share; `word` says it in words. `supporting` and `against` are sentences with
    figures, `remarks` what is worth knowing beside the cause (that a worker is used again, say).
    """

    cause: Cause
    headline: str
    confidence: float
    pid: int | None = None
    role: str | None = None
    type: str | None = None
    supporting: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    missing: tuple[Lack, ...] = ()
    next_step: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """How sure, in words; that nothing is sure is what `unknown` says."""
        if self.cause == "unknown":
            return "not sure"
        if self.confidence >= 0.8:
            return "almost sure"
        if self.confidence >= 0.6:
            return "likely"
        return "possible" if self.confidence >= 0.3 else "unlikely"
