"""The one table of actions: what each is called, what it does, holds and leaves, in words.

Keys, dialog, log and command line take their words from here, so that they say the same. Nothing
here acts. Figures that depend on the process (how long, how much) are a Plan's.
"""

from __future__ import annotations

from typing import NamedTuple

from memtop.actions.result import ActionId


class Fact(NamedTuple):
    """A short value and the words that explain it: `nothing`, "no file, no descriptor"."""

    value: str
    words: str


class Action(NamedTuple):
    """One thing that can be done inside a process.

    `question` stands before the name of the process, `doing` and `done` before it in a sentence.
    `returns` is what can come back, `waits` who may have to wait for a Plan's `stall_s`.
    """

    id: ActionId
    verb: str
    question: str
    doing: str
    done: str
    does: str
    returns: Fact
    waits: str
    help: str
    python_only: bool


ACTIONS: dict[ActionId, Action] = {
    "trim": Action(
        id="trim",
        verb="trim",
        question="Trim",
        doing="trimming",
        done="trimmed",
        does="malloc_trim(0), run in a thread of its own inside the process.",
        returns=Fact("free pages", "that malloc keeps; measured before and after"),
        waits="threads that allocate may wait so long",
        help="trim: let malloc return its free pages; asks first",
        python_only=False,
    ),
    "gc": Action(
        id="gc",
        verb="gc.collect",
        question="gc.collect in",
        doing="gc.collect in",
        done="gc.collect in",
        does="gc.collect(), run in a thread of its own inside the process.",
        returns=Fact("garbage", "unreachable cycles; RSS is measured"),
        waits="threads that run Python wait meanwhile",
        help="gc.collect in a Python process; asks first",
        python_only=True,
    ),
    "snapshot": Action(
        id="snapshot",
        verb="gc snapshot",
        question="gc snapshot of",
        doing="gc snapshot of",
        done="gc snapshot of",
        does="Counts its objects by type, in a thread of its own inside the process.",
        returns=Fact("objects", "by type, the longest containers by name; nothing is changed"),
        waits="no other thread runs Python meanwhile",
        help="gc snapshot: objects by type, from inside; asks first",
        python_only=True,
    ),
}
HOLDS = "one thread, while it waits in a system call"
HOLDS_EACH = "one thread of each, one process after another"
LEAVES = Fact(
    "nothing",
    "no file, no descriptor, no socket; up to 72 MiB of address space, once, which is no memory",
)
HARMLESS = "Harmless if memtop dies meanwhile."
USUALLY_HELD_S = 0.0005  # a median of trims is 0.3 to 0.6 ms

ITSELF = "is memtop itself"
KERNEL = "is a thread of the kernel"


def elsewhere(action: Action) -> str:
    """Why an action is off where the processes are not those of this machine."""
    return (
        f"{action.verb} is off: this is a recording or the /proc of another host; run memtop there"
    )
