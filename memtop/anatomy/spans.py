"""Arithmetic of address ranges: what is left of some when others are cut out.

Ranges are (start, end), the end not included.
"""

from __future__ import annotations

from collections.abc import Iterable

Range = tuple[int, int]


def merged(ranges: Iterable[Range]) -> list[Range]:
    """The same addresses in order, neighbours and overlaps as one range; empty ones are dropped."""
    made: list[Range] = []
    for start, end in sorted(ranges):
        if start >= end:
            continue
        if made and start <= made[-1][1]:
            made[-1] = made[-1][0], max(end, made[-1][1])
        else:
            made.append((start, end))
    return made


def without(ranges: Iterable[Range], cuts: Iterable[Range]) -> list[Range]:
    """What is left of ranges, in order, when these cuts are taken out of them."""
    holes = merged(cuts)
    left: list[Range] = []
    place = 0
    for start, end in merged(ranges):
        while place < len(holes) and holes[place][1] <= start:
            place += 1
        index = place
        while index < len(holes) and holes[index][0] < end:
            if start < holes[index][0]:
                left.append((start, holes[index][0]))
            start = max(start, holes[index][1])
            index += 1
        if start < end:
            left.append((start, end))
    return left


def within(ranges: Iterable[Range], bounds: Iterable[Range]) -> list[Range]:
    """What of ranges lies within these bounds."""
    ranges = merged(ranges)
    return without(ranges, without(ranges, bounds))
