"""malloc_trim(0): what came back, what had been predicted, and what stays and why.

What stays is told by a look at the arenas before the trim. Without one nothing is concluded: the
free bytes of mallinfo2 count pages that were given back long ago as well (glibc keeps them in its
lists).
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

from memtop import units
from memtop.actions.remote.session import Reply
from memtop.actions.result import Result

if TYPE_CHECKING:  # looking into arenas takes long to import, and may be left out
    from memtop.anatomy.predict import Prediction

NOISE_BYTES = 256 << 10  # RSS of a busy process moves by as much in the time of a trim
# A prediction that is off by no more than this, or a tenth, was right.
CLOSE_BYTES = 1 << 20
MUCH_BYTES = 1 << 20  # that stays free is worth a sentence
_MALLINFO = struct.Struct("<10Q")  # struct mallinfo2, malloc.h


def judge(result: Result, reply: Reply, prediction: Prediction | None = None) -> Result:
    """The result of a trim that was done, whose RSS before and after is known."""
    in_use = free = None
    if reply.room is not None:
        _, _, _, _, mapped, _, _, used, free, _ = _MALLINFO.unpack(reply.room)
        in_use = used + mapped
    came = result.returned_bytes or 0
    nothing = came < NOISE_BYTES
    stays = None if prediction is None else prediction.trapped_bytes
    parts = [_meaning(result, came, nothing), _rest(stays, in_use, free, prediction)]
    if prediction is not None and prediction.returns_bytes is None and prediction.reason:
        parts.append(f"What would come back was not predicted: {prediction.reason}.")
    return replace(
        result,
        outcome="nothing_to_return" if nothing else "returned",
        in_use_bytes=in_use,
        free_bytes=free,
        meaning=" ".join(filter(None, parts)),
    )


def _meaning(result: Result, came: int, nothing: bool) -> str:
    """What came back, and whether that was to be expected."""
    before, after = result.rss_before_bytes, result.rss_after_bytes
    if before is None or after is None:
        return "It was trimmed, but it has ended since."
    predicted = result.predicted_bytes
    grew = after - before >= NOISE_BYTES
    if not nothing:
        words = f"{_size(came)} came back to the system"
    elif grew:
        words = f"Nothing came back: it took {_size(after - before)} more meanwhile"
    else:
        words = "Nothing came back"
    if predicted is None:
        return f"{words}."
    if abs(came - predicted) <= max(CLOSE_BYTES, predicted // 10):
        return f"{words}." if grew else f"{words}, as predicted."
    expected = _size(predicted) if predicted >= NOISE_BYTES else "nothing"
    if nothing and grew:
        return f"{words}, while {expected} were predicted."
    return f"{words}, not {expected} as predicted: other threads have allocated or freed meanwhile."


def _rest(
    stays: int | None, in_use: int | None, free: int | None, prediction: Prediction | None
) -> str:
    """What malloc has left, and whether another trim would help."""
    if prediction is None or stays is None:
        if in_use is None or free is None:
            return ""
        return (
            f"malloc has {_size(in_use)} in use and counts {_size(free)} as free, "
            "part of it perhaps given back already."
        )
    beside = "" if in_use is None else f"{_size(in_use)} in use"
    if stays < MUCH_BYTES:
        return beside and f"malloc has {beside}, and hardly anything that is free."
    count = prediction.arenas
    arenas = "one arena" if count == 1 else f"{count} arenas"
    beside = beside and f", beside {beside}"
    return (
        f"{_size(stays)} of freed memory stay in holes smaller than a page, in {arenas}{beside}:"
        " trimming again will not help."
    )


def _size(count: int) -> str:
    return units.size(count / 1024)
