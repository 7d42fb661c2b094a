"""What can be said about one cause: its headline, what speaks for it, what against.

The modules `arenas`, `objects`, `around` and `motion` have a table of these, each for its causes;
`sentences` picks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from memtop.diagnosis.figures import Figures

Reasons = Callable[[Figures], Iterator[str | None]]


class Saying(NamedTuple):
    """One cause. None among the reasons is what was not measured, and is left out.

    `suspect` is what the cause is about, for the sentence that it hardly is that.
    """

    headline: Callable[[Figures], str]
    supporting: Reasons
    against: Reasons
    suspect: str = ""


def joined(begin: str, *more: str | None) -> str:
    """A headline, and what is known beside."""
    return "; ".join([begin, *filter(None, more)])
