"""Which columns a screen has, and where. It depends on the width of the screen, never on the data.

The order of columns never changes; what goes for want of room gives it to PROCESS.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from memtop.columns import BY_ID


@dataclass(frozen=True, slots=True)
class Slot:
    """One column on the screen: `x` and `width` in cells."""

    id: str
    title: str
    x: int
    width: int
    right: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a screen of `width` cells."""

    width: int
    slots: tuple[Slot, ...]
    spark_cells: int

    def at(self, x: int) -> Slot | None:
        """The slot that holds cell `x`."""
        return next((slot for slot in self.slots if slot.x <= x < slot.x + slot.width), None)

    def slot(self, column: str) -> Slot | None:
        """The slot of a column, if it is on show."""
        return next((slot for slot in self.slots if slot.id == column), None)


@lru_cache(maxsize=64)
def layout(
    width: int,
    sort: str,
    pid_width: int = 5,
    since: bool = False,
    extra: tuple[str, ...] = (),
) -> Layout:
    """Which columns fit; PROCESS takes what is left. The sort column is always on show."""
    wide, roomy, middle, small = width >= 160, width >= 112, width >= 96, width >= 80
    tail: list[tuple[str, str, int, bool]] = []
    if roomy:
        tail.append(("role", "ROLE", 10, False))
    tail.append(("rss", "RSS", 8, True))
    if wide:
        tail.append(("swap", "SWAP", 8, True))
    on_show = {"pid", "command", "name", "rate", "trend", *(column[0] for column in tail)}
    column = BY_ID[sort]
    added = [BY_ID[name] for name in extra if name not in on_show]
    if column.id not in on_show and column not in added:
        added.append(column)
    tail += [(one.id, one.title, one.width, one.kind != "text") for one in added]
    tail.append(("rate", "Δ MiB/min", 11, True) if middle else ("rate", "Δ/min", 7, True))
    if since:
        tail.append(("since", "Δ SINCE R", 9, True))
    spark = 32 if wide else 24 if roomy else 20 if middle else 10 if small else 0
    if spark and since and not wide:
        spark = max(0, spark - 11)
    if spark:
        tail.append(("spark", "10 MIN", spark, False))
    tail.append(
        ("trend", "TREND", 21 if middle else 17, False) if small else ("trend", "", 2, False)
    )
    taken = 1 + pid_width + 1 + sum(slot[2] + 2 for slot in tail) + 1
    while taken + 8 > width and len(tail) > 2:
        # Too narrow: what is asked for least goes first, RSS and Δ never.
        others = [one.id for one in reversed(added) if one is not column]
        for name in ("trend", "role", "spark", *others, "swap", "since", column.id):
            going = next((slot for slot in tail if slot[0] == name), None)
            if going is not None and name not in ("rss", "rate"):
                tail.remove(going)
                taken -= going[2] + 2
                break
        else:
            break
    slots = [Slot("pid", "PID", 1, pid_width, True)]
    x = 1 + pid_width + 1
    room = max(1, width - taken)
    slots.append(Slot("command", "PROCESS", x, room))
    x += room + 2
    for name, title, size, right in tail:
        slots.append(Slot(name, title, x, size, right))
        x += size + 2
    return Layout(width, tuple(slots), next((s.width for s in slots if s.id == "spark"), 0))
