"""What changed between two looks at the same process, part by part.

Of growth this says whose it is: "+60 MiB, of which objects +10 and trapped +46". A part that one of
the looks did not find was nothing then. Bytes are signed here, times are seconds, rates bytes per
minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from memtop.anatomy.result import Anatomy, PartId


class Change(NamedTuple):
    """By how much a part grew or shrank; `per_minute` in bytes."""

    id: PartId
    label: str
    bytes: int
    per_minute: float


@dataclass(frozen=True, slots=True)
class Difference:
    """All parts of either look, the largest change first; `rss_bytes` is that of the whole.

    `since_at` is when the first one was made (seconds since the epoch), `seconds` how long before
    the second one.
    """

    since_at: float
    seconds: float
    rss_bytes: int
    changes: tuple[Change, ...]

    def of(self, part: PartId) -> Change | None:
        """The change of one part; None if neither look found it."""
        return next((change for change in self.changes if change.id == part), None)


def compare(before: Anatomy, after: Anatomy) -> Difference | None:
    """What changed from one look to a later one; None if they are not of the same process.

    None as well if the clock was set back between them: then there is no rate.
    """
    seconds = after.taken_at - before.taken_at
    if before.identity != after.identity or seconds <= 0:
        return None
    labels = {part.id: part.label for part in (*before.parts, *after.parts)}
    grown = {part: after.bytes_of(part) - before.bytes_of(part) for part in labels}
    changes = [
        Change(part, labels[part], size, size * 60 / seconds)
        for part, size in sorted(grown.items(), key=lambda one: -abs(one[1]))
    ]
    rss_bytes = after.rss_bytes - before.rss_bytes
    return Difference(before.taken_at, seconds, rss_bytes, tuple(changes))
