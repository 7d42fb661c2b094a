"""What is known of the objects of a process: an answer, what grew, in which order types stand.

Values for the objects pane; nothing here draws. Bytes of a type are those of its objects and of
what they own. Sizes are bytes, times seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from memtop.anatomy.objects import Growth, Objects, TypeChange
from memtop.render.sight import Sight

MIB = 1 << 20
NOTABLE_SHARE = 0.1  # of all that grew: a type that has so much of it stands out
CAME, CAME_SHARE = 100, 0.02  # objects, and of those that there are now: many more
# What types can be ordered by: id, name, help.
ORDERS = (
    ("growth", "growth", "change of bytes, the largest first; without one by bytes"),
    ("bytes", "bytes", "what objects take and own"),
    ("count", "count", "how many there are"),
    ("name", "name", "type, from a to z"),
)


@dataclass(frozen=True, slots=True)
class TypeRow:
    """One type: what there is of it, and how that changed; None if nothing was compared.

    `noise_share`: a change of a sampled count that is a smaller share may be none.
    """

    type: str
    module: str | None
    count: int
    bytes: int
    buffer_bytes: int
    count_change: int | None = None
    change: int | None = None
    per_minute: float | None = None
    noise_share: float = 0.0

    @property
    def name(self) -> str:
        """With its module, unless that is builtins."""
        return type_name(self.type, self.module)

    @property
    def has_come(self) -> bool:
        """Whether there are many more objects of a class than before; what Python itself is made
        of (str, dict) comes with everything, and tells nothing."""
        change = self.count_change or 0
        least = max(CAME, CAME_SHARE * self.count, self.noise_share * self.count)
        return change >= least and self.module not in (None, "builtins")

    @property
    def sure_change(self) -> int:
        """The change, 0 if it may be none."""
        change = self.change or 0
        size = max(self.bytes, self.bytes - change)  # the larger one of before and now
        return change if abs(change) > self.noise_share * size else 0


def type_name(type_: str, module: str | None) -> str:
    """A type with its module, unless that is builtins."""
    return type_ if module in (None, "builtins") else f"{module}.{type_}"


def rows_of(
    objects: Objects, growth: Growth | None = None, order: str = "growth"
) -> tuple[TypeRow, ...]:
    """The types in an order; also those of which none is left.

    What was not compared has no change.
    """
    here = {(one.type, one.module) for one in objects.types}
    changes = {} if growth is None else {(one.type, one.module): one for one in growth.types}
    # Where the module is known of the earlier one only, the change has that.
    named = {key[0]: key for key in changes if key not in here}
    rows = []
    for one in objects.types:
        key = (one.type, one.module)
        if one.module is None and key not in changes:
            key = named.get(one.type, key)
        row = TypeRow(*key, one.count, one.all_bytes, one.buffer_bytes)
        rows.append(_changed(row, changes.pop(key, None)))
    rows += [_changed(TypeRow(*key, 0, 0, 0), change) for key, change in changes.items()]
    return tuple(sorted(rows, key=_KEYS[order]))


def _changed(row: TypeRow, change: TypeChange | None) -> TypeRow:
    """The row with what changed, if that is known."""
    if change is None:
        return row
    return replace(
        row,
        count_change=change.count,
        change=change.bytes,
        per_minute=change.per_minute,
        noise_share=change.error,
    )


def matching(rows: tuple[TypeRow, ...], words: str) -> tuple[TypeRow, ...]:
    """Those that have the words in their name, case ignored."""
    wanted = words.strip().lower()
    return tuple(row for row in rows if wanted in row.name.lower()) if wanted else rows


def _by_growth(row: TypeRow) -> tuple[object, ...]:
    return (-abs(row.change or 0), -row.bytes, row.name)


_KEYS: dict[str, Callable[[TypeRow], tuple[object, ...]]] = {
    "growth": _by_growth,
    "bytes": lambda row: (-row.bytes, row.name),
    "count": lambda row: (-row.count, row.name),
    "name": lambda row: (row.type.lower(), row.name),
}


class Standing(NamedTuple):
    """What stands out of the growth of all types."""

    grown_bytes: int = 0
    leading: tuple[str, str | None] | None = None

    def is_notable(self, row: TypeRow) -> bool:
        """Whether a type has a good part of what grew."""
        return row.sure_change >= max(MIB, NOTABLE_SHARE * self.grown_bytes)


CALM = Standing()


def standing_of(rows: Sequence[TypeRow]) -> Standing:
    """Of all types: how much grew in all, and the type that has at least half of it, and a MiB."""
    grown = sum(row.sure_change for row in rows if row.sure_change > 0)
    most = max(rows, key=lambda row: row.sure_change, default=None)
    if most is None or most.sure_change < max(MIB, grown / 2):
        return Standing(grown, None)
    return Standing(grown, (most.type, most.module))


@dataclass(frozen=True, slots=True)
class Counted(Sight):
    """What is known of the objects of a process, for its pane.

    `rows` are the types in their `order`, those that have the `words` of a filter in their name;
    `standing` is about all of them. `growth` is `since` the first answer, the last, or `r`.
    `shrunk`: containers that were shorter meanwhile. `at` is the line under the cursor, None
    without one. `key` reads such an answer again, `counts` takes a census, `asks` a snapshot,
    `other` says what memory is made of; empty if there is no such key.
    """

    answer: Objects | None = None
    growth: Growth | None = None
    since: str = "the first"
    rows: tuple[TypeRow, ...] = ()
    standing: Standing = CALM
    shrunk: frozenset[str] = frozenset()
    order: str = "growth"
    words: str = ""
    at: int | None = None
    counts: str = "o"
    asks: str = "S"
    other: str = "a"

    @property
    def taken_at(self) -> float | None:
        """When the answer was taken; None before there is one."""
        return None if self.answer is None else self.answer.taken_at
