"""The memory of one process over time, in at most 7.5 KB.

Three tiers in one flat array of KiB: every tick (300), then the minimum and maximum of each
15 s (480 buckets, 2 h) and of each 5 min (288 buckets, 24 h). Buckets are aligned to the clock.

A value holds until it changes, so a process that rests costs nothing: nothing is stored for it,
and what was passed over is filled in at its next change. The array grows with what it holds.

One thread writes. Others may read at the same time: they can see a bucket a moment early,
never one of another process.
"""

from __future__ import annotations

from array import array

TICKS = 300
BUCKET_S = 15
BUCKETS = 480
LONG_EVERY = 20  # 15 s buckets in a 5 min one
LONG_BUCKETS = 288
MOST_KIB = (1 << 32) - 1  # 4 TiB, which only sums exceed

# How many entries each tier has room for: (ticks, buckets, long buckets). Each step holds all
# that the one before it does; only a full tier begins to overwrite its oldest entries.
_ROOMS = (
    (0, 0, 0),
    (20, 4, 2),
    (75, 12, 2),
    (TICKS, 40, 4),
    (TICKS, BUCKETS, 32),
    (TICKS, BUCKETS, LONG_BUCKETS),
)
# The room is told by the length of the array, so that a reader always sees the two together.
_ROOM_OF = {ticks + 2 * (buckets + long): i for i, (ticks, buckets, long) in enumerate(_ROOMS)}


class History:
    """RSS of one process, in KiB. Ticks count samples, buckets count 15 s since the epoch."""

    __slots__ = (
        "_cells",
        "_first_bucket",
        "_first_tick",
        "_written_bucket",
        "_written_tick",
        "kib",
    )

    def __init__(self, tick: int, bucket: int, kib: int) -> None:
        self.kib = min(max(kib, 0), MOST_KIB)
        self._cells = array("I")
        self._first_tick, self._written_tick = tick, tick - 1
        self._first_bucket, self._written_bucket = bucket, bucket - 1

    @property
    def first_tick(self) -> int:
        """The tick of the first sample."""
        return self._first_tick

    @property
    def changed_tick(self) -> int:
        """The tick of the last change; before any, the one before the first sample."""
        return self._written_tick

    def add(self, tick: int, bucket: int, kib: int, before_bucket: int) -> None:
        """Take a value that differs from the one before.

        `before_bucket` is the bucket of the tick before this one: it tells whether the old value
        was still seen in this bucket.
        """
        old, kib = self.kib, min(max(kib, 0), MOST_KIB)
        self._make_room(tick, bucket)
        cells = self._cells
        ticks, buckets, _ = _ROOMS[_ROOM_OF[len(cells)]]
        for passed in range(max(self._written_tick + 1, tick - TICKS + 1), tick):
            cells[(passed - self._first_tick) % TICKS] = old
        cells[(tick - self._first_tick) % TICKS] = kib
        self._widen(
            ticks,
            BUCKETS,
            bucket - self._first_bucket,
            self._written_bucket - self._first_bucket,
            bucket == before_bucket,
            kib,
        )
        first_long = self._first_bucket // LONG_EVERY
        long = bucket // LONG_EVERY
        self._widen(
            ticks + 2 * buckets,
            LONG_BUCKETS,
            long - first_long,
            self._written_bucket // LONG_EVERY - first_long
            if self._written_bucket >= self._first_bucket
            else -1,
            long == before_bucket // LONG_EVERY,
            kib,
        )
        self._written_tick, self._written_bucket, self.kib = tick, bucket, kib

    def _widen(
        self, base: int, room: int, index: int, written: int, old_seen: bool, kib: int
    ) -> None:
        """Put a value into bucket `index` of the tier that begins at `base`."""
        cells, old = self._cells, self.kib
        if index <= written:
            place = base + 2 * (index % room)
            if kib < cells[place]:
                cells[place] = kib
            elif kib > cells[place + 1]:
                cells[place + 1] = kib
            return
        for passed in range(max(written + 1, index - room + 1), index):
            place = base + 2 * (passed % room)
            cells[place] = cells[place + 1] = old
        place = base + 2 * (index % room)
        cells[place] = min(old, kib) if old_seen else kib
        cells[place + 1] = max(old, kib) if old_seen else kib

    def _make_room(self, tick: int, bucket: int) -> None:
        needs = (
            min(TICKS, tick - self._first_tick + 1),
            min(BUCKETS, bucket - self._first_bucket + 1),
            min(LONG_BUCKETS, bucket // LONG_EVERY - self._first_bucket // LONG_EVERY + 1),
        )
        old = self._cells
        room = before = _ROOM_OF[len(old)]
        while any(need > have for need, have in zip(needs, _ROOMS[room], strict=True)):
            room += 1
        if room == before:
            return
        ticks, buckets, long_buckets = _ROOMS[before]
        new_ticks, new_buckets, new_long = _ROOMS[room]
        # Joined from slices, because extending an array leaves a tenth of it unused.
        self._cells = (
            old[:ticks]
            + array("I", bytes(4 * (new_ticks - ticks)))
            + old[ticks : ticks + 2 * buckets]
            + array("I", bytes(8 * (new_buckets - buckets)))
            + old[ticks + 2 * buckets :]
            + array("I", bytes(8 * (new_long - long_buckets)))
        )

    def minimum(self, first: int, last: int) -> int:
        """The smallest value of the ticks `first` to `last`, as far as they are kept."""
        written = self._written_tick
        least = self.kib
        first = max(first, self._first_tick)
        if first > written:
            return least
        if last <= written:
            least = 1 << 40
        begin = max(first, written - TICKS + 1) - self._first_tick
        end = min(last, written) - self._first_tick + 1
        if begin >= end:
            return self.kib if least == 1 << 40 else least
        start, stop = begin % TICKS, (end - 1) % TICKS + 1
        cells = self._cells
        if start < stop:
            return min(least, min(cells[start:stop]))
        return min(least, min(cells[start:TICKS]), min(cells[:stop]))

    def ticks(self, first: int, last: int) -> list[int]:
        """The values of the ticks `first` to `last` that are kept, the oldest first."""
        first = max(first, self._first_tick, last - TICKS + 1)
        written, base, cells = self._written_tick, self._first_tick, self._cells
        return [
            cells[(tick - base) % TICKS] if tick <= written else self.kib
            for tick in range(first, last + 1)
        ]

    def peaks(self, first: int, last: int) -> list[int | None]:
        """The largest value of each bucket from `first` to `last`; None before the first sample."""
        return [pair and pair[1] for pair in self.spans(first, last)]

    def spans(self, first: int, last: int) -> list[tuple[int, int] | None]:
        """Smallest and largest value of each bucket from `first` to `last`; None if not kept."""
        # What was written is read before the cells: these may be newer, never older.
        kib, begin, written = self.kib, self._first_bucket, self._written_bucket
        cells = self._cells
        if written < begin:
            return [(kib, kib) if bucket >= begin else None for bucket in range(first, last + 1)]
        oldest = max(begin, last - BUCKETS + 1, written - BUCKETS + 1)
        base = _ROOMS[_ROOM_OF[len(cells)]][0]
        spans: list[tuple[int, int] | None] = []
        for bucket in range(first, last + 1):
            if bucket > written:
                spans.append((kib, kib))
            elif bucket < oldest:
                spans.append(None)
            else:
                place = base + 2 * ((bucket - begin) % BUCKETS)
                spans.append((cells[place], cells[place + 1]))
        return spans

    def long_spans(self, first: int, last: int) -> list[tuple[int, int] | None]:
        """The same for buckets of 5 minutes, counted since the epoch."""
        kib, begin = self.kib, self._first_bucket // LONG_EVERY
        last_written = self._written_bucket
        written = last_written // LONG_EVERY if last_written >= self._first_bucket else begin - 1
        cells = self._cells  # after what was written
        oldest = max(begin, written - LONG_BUCKETS + 1)
        ticks, buckets, _ = _ROOMS[_ROOM_OF[len(cells)]]
        base = ticks + 2 * buckets
        spans: list[tuple[int, int] | None] = []
        for bucket in range(first, last + 1):
            if bucket > written:
                spans.append((kib, kib) if bucket >= begin else None)
            elif bucket < oldest:
                spans.append(None)
            else:
                place = base + 2 * ((bucket - begin) % LONG_BUCKETS)
                spans.append((cells[place], cells[place + 1]))
        return spans
