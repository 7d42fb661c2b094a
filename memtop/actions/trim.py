"""malloc_trim(0): what came back, and what malloc itself says afterwards.

The free bytes of mallinfo2 count pages that were given back long ago as well (glibc keeps them in
its lists), so no conclusion is drawn from them here.
"""

from __future__ import annotations

import struct
from dataclasses import replace

from memtop import units
from memtop.actions.remote.session import Reply
from memtop.actions.result import Result

NOISE_BYTES = 256 << 10  # RSS of a busy process moves by as much in the time of a trim
_MALLINFO = struct.Struct("<10Q")  # struct mallinfo2, malloc.h


def judge(result: Result, reply: Reply) -> Result:
    """The result of a trim that was done, whose RSS before and after is known."""
    in_use = free = None
    if reply.room is not None:
        _, _, _, _, mapped, _, _, used, free, _ = _MALLINFO.unpack(reply.room)
        in_use = used + mapped
    came = result.returned_bytes or 0
    nothing = came < NOISE_BYTES
    meaning = _meaning(result, came, nothing)
    if in_use is not None and free is not None:
        meaning += (
            f" malloc has {_size(in_use)} in use and counts {_size(free)} as free, "
            "part of it perhaps given back already."
        )
    return replace(
        result,
        outcome="nothing_to_return" if nothing else "returned",
        in_use_bytes=in_use,
        free_bytes=free,
        meaning=meaning,
    )


def _meaning(result: Result, came: int, nothing: bool) -> str:
    before, after = result.rss_before_bytes, result.rss_after_bytes
    if before is None or after is None:
        return "It was trimmed, but it has ended since."
    if not nothing:
        return f"{_size(came)} came back to the system."
    if after - before >= NOISE_BYTES:
        return f"Nothing came back: it took {_size(after - before)} more meanwhile."
    return "Nothing came back."


def _size(count: int) -> str:
    return units.size(count / 1024)
