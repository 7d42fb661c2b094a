"""What of malloc's memory no object of Python owns: native or unknown, by a census.

Heaps of malloc and big blocks; pools of Python's own allocator hold nothing else but objects. Sizes
are bytes.
"""

from __future__ import annotations

from memtop import units
from memtop.anatomy.objects import Growth, Objects
from memtop.anatomy.owners import NATIVE
from memtop.render.sight import of_whole
from memtop.render.strokes import MIB


def native_growth(objects: Objects, growth: Growth) -> int:
    """By how much malloc's memory in use that no object owns has grown, big blocks included.

    0 if that is less than the error of a sample.
    """
    native = growth.native_bytes or 0
    if abs(native) <= growth.error * (objects.malloc_in_use_python_bytes or 0):
        native = 0
    return native + sum(one.bytes for one in growth.big_blocks if one.type == NATIVE)


def native_words(objects: Objects, change: int = 0) -> str:
    """How much of malloc's memory, and of the big blocks, no object owns; and its change.

    Empty if that is not known.
    """
    known = (
        (objects.malloc_in_use_python_bytes, objects.malloc_in_use_bytes, "in malloc"),
        (objects.big_blocks_python_bytes, objects.big_blocks_bytes, "of big blocks"),
    )
    parts = [
        f"{of_whole(max(0, whole - own), whole)} {where}"
        for own, whole, where in known
        if own is not None and whole
    ]
    if not parts:
        return ""
    more = f", {mib(change)} MiB" if abs(change) >= MIB else ""
    return f"Native or unknown{more}: {' and '.join(parts)}; Python objects own the rest."


def mib(bytes_: int) -> str:
    """A change in MiB, with its sign."""
    change = bytes_ / MIB
    return units.signed(change) if abs(change) < 99.95 else units.signed(change, 0)
