"""Ten minutes of one history as a line of blocks.

A cell is a span of time aligned to the clock, and shows the largest value in it, so that only the
last cell changes from tick to tick. The scale is the row's own, from its smallest value up, over
never less than 4 % of its size nor 16 MiB: growth has height, noise is a hairline.
"""

from __future__ import annotations

from functools import lru_cache

from memtop.model.groups import WINDOW_S
from memtop.model.history import BUCKET_S, History

LEVELS = "▁▂▃▄▅▆▇"
LEAST_KIB = 16 * 1024
LEAST_SHARE = 0.04


@lru_cache(maxsize=8)
def _bins(bucket: int, cells: int) -> tuple[int, tuple[int, ...]]:
    """The first bucket on show, and for each bucket up to `bucket` the cell that it falls into."""
    cell_s = WINDOW_S / cells
    last = int(bucket * BUCKET_S // cell_s)
    first = bucket
    while int((first - 1) * BUCKET_S // cell_s) > last - cells:
        first -= 1
    base = last - cells + 1
    return first, tuple(int(b * BUCKET_S // cell_s) - base for b in range(first, bucket + 1))


def bin_of(bucket: int, cells: int) -> int:
    """The number of the cell that `bucket` falls into; it changes when the line steps left."""
    return int(bucket * BUCKET_S // (WINDOW_S / cells)) if cells else 0


def heights_kib(
    history: History,
    bucket: int,
    cells: int,
    gaps: tuple[tuple[int, int], ...] = (),
    ended: int | None = None,
) -> list[int | None]:
    """The largest value in each cell; None before birth, after death and where nothing was seen."""
    first, places = _bins(bucket, cells)
    heights: list[int | None] = [None] * cells
    for place, peak in zip(places, history.peaks(first, bucket), strict=True):
        height = heights[place]
        if peak is not None and (height is None or peak > height):
            heights[place] = peak
    if gaps or ended is not None:
        for place in set(places):
            seen = [b for b, p in zip(range(first, bucket + 1), places, strict=True) if p == place]
            if all(_missing(b, gaps, ended) for b in seen):
                heights[place] = None
    return heights


def _missing(bucket: int, gaps: tuple[tuple[int, int], ...], ended: int | None) -> bool:
    if ended is not None and bucket > ended:
        return True
    return any(begin <= bucket <= end for begin, end in gaps)


def sparkline(heights: list[int | None]) -> str:
    """The heights as blocks, blank where unknown."""
    known = [height for height in heights if height is not None]
    if not known:
        return " " * len(heights)
    low, high = min(known), max(known)
    if high == low:
        return "".join(" " if height is None else LEVELS[0] for height in heights)
    span = max(high - low, LEAST_SHARE * high, LEAST_KIB)
    top = len(LEVELS) - 1
    return "".join(
        " " if height is None else LEVELS[min(top, int((height - low) / span * len(LEVELS)))]
        for height in heights
    )
