"""How many more children fit under a limit: the arithmetic, and where each term comes from.

Pure; sizes in bytes. It answers for one parent and its workers what happens if every one of them
became as large as one of them may become, not what will happen.
"""

from __future__ import annotations

from typing import NamedTuple


class Capacity(NamedTuple):
    """What fits below `limit_bytes`, the limit of the cgroup `bound_by`.

    `taken_bytes` is what is there besides the children; `worst_child_bytes` comes from `RLIMIT_AS`
    or from `peak`, the largest seen of any child. `fits_total` counts the ones that run.
    """

    limit_bytes: int
    taken_bytes: int
    worst_child_bytes: int
    worst_child_from: str
    children: int
    children_at_worst_bytes: int
    fits_total: int
    fits_more: int
    bound_by: str
    group: str
    comes_and_goes: bool

    @property
    def left_bytes(self) -> int:
        """What is left when every child that runs takes its worst; below zero if they cannot."""
        return self.limit_bytes - self.taken_bytes - self.children_at_worst_bytes

    @property
    def warns(self) -> bool:
        """Whether nothing more fits, or those alive could together exceed the limit.

        A pool of a fixed size that is full of workers is no warning: only where children come and
        go, or are known to have a worst case, will there be one more.
        """
        if not (self.comes_and_goes or self.worst_child_from == "RLIMIT_AS"):
            return False
        return self.fits_more == 0 or self.left_bytes < 0


def capacity_of(
    *,
    limit_bytes: int,
    taken_bytes: int,
    children: int,
    child_limit_bytes: int | None,
    largest_child_bytes: int,
    bound_by: str,
    group: str,
    comes_and_goes: bool,
) -> Capacity | None:
    """The capacity, or None if nothing is known about the size of a child."""
    worst, source = largest_child_bytes, "peak"
    if child_limit_bytes is not None:
        worst, source = child_limit_bytes, "RLIMIT_AS"
    if worst <= 0:
        return None
    total = max(0, (limit_bytes - taken_bytes) // worst)
    return Capacity(
        limit_bytes=limit_bytes,
        taken_bytes=taken_bytes,
        worst_child_bytes=worst,
        worst_child_from=source,
        children=children,
        children_at_worst_bytes=children * worst,
        fits_total=total,
        fits_more=max(0, total - children),
        bound_by=bound_by,
        group=group,
        comes_and_goes=comes_and_goes,
    )
